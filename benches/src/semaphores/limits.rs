//! What no semaphore can be faster than, and what the simplest would cost. They go through the same
//! loops as the semaphores, and keep nobody waiting.

use std::future::{Future, ready};
use std::sync;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Operation, Semaphore};

/// An atomic subtraction, and an atomic addition: a semaphore that does not look at the result.
#[derive(Debug)]
pub struct FetchAdd(AtomicUsize);

impl Semaphore for FetchAdd {
    const NAME: &'static str = "fetch_add, twice";
    const LACKS: &'static [Operation] = &[Operation::Wait, Operation::Add];
    type Granted<'a> = Self::Permit<'a>;
    type Permit<'a> = AddedPermit<'a>;

    #[inline]
    fn with_permits(permits: usize) -> Self {
        Self(AtomicUsize::new(permits))
    }

    #[inline]
    fn acquire(&self) -> impl Future<Output = Self::Granted<'_>> + Send {
        self.acquire_many(1)
    }

    #[inline]
    fn acquire_many(&self, n: u32) -> impl Future<Output = Self::Granted<'_>> + Send {
        ready(AddedPermit::take(&self.0, n as usize))
    }

    #[inline]
    fn permit<'a>(&'a self, granted: Self::Granted<'a>, _n: u32) -> Self::Permit<'a> {
        granted
    }

    #[inline]
    fn try_acquire(&self) -> Option<Self::Permit<'_>> {
        Some(AddedPermit::take(&self.0, 1))
    }
}

/// Adds what was subtracted.
#[derive(Debug)]
pub struct AddedPermit<'a> {
    count: &'a AtomicUsize,
    n: usize,
}

impl<'a> AddedPermit<'a> {
    #[inline]
    fn take(count: &'a AtomicUsize, n: usize) -> Self {
        count.fetch_sub(n, Ordering::Acquire);
        Self { count, n }
    }
}

impl Drop for AddedPermit<'_> {
    #[inline]
    fn drop(&mut self) {
        self.count.fetch_add(self.n, Ordering::Release);
    }
}

/// A lock and an unlock of the standard library's mutex; both on acquiring, as its guard may not go
/// to another thread.
#[derive(Debug)]
pub struct Mutex(sync::Mutex<()>);

impl Mutex {
    #[inline]
    fn lock_and_unlock(&self) {
        drop(self.0.lock().expect("nobody panics with it"));
    }
}

impl Semaphore for Mutex {
    const NAME: &'static str = "Mutex, lock and unlock";
    const LACKS: &'static [Operation] = &[Operation::Wait, Operation::Many, Operation::Add];
    type Granted<'a> = ();
    type Permit<'a> = ();

    #[inline]
    fn with_permits(_permits: usize) -> Self {
        Self(sync::Mutex::new(()))
    }

    #[inline]
    fn acquire(&self) -> impl Future<Output = Self::Granted<'_>> + Send {
        self.lock_and_unlock();
        ready(())
    }

    #[inline]
    fn permit<'a>(&'a self, (): Self::Granted<'a>, _n: u32) -> Self::Permit<'a> {}

    #[inline]
    fn try_acquire(&self) -> Option<Self::Permit<'_>> {
        self.lock_and_unlock();
        Some(())
    }
}
