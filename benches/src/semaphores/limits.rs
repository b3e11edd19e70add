//! What no semaphore can be faster than, and what the simplest would cost. They go through the same
//! loops as the semaphores.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn, ready};
use std::sync;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};

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

/// Permits and wakers in variables of one thread, with nothing to protect them: what remains is the
/// work of whoever runs the tasks.
#[derive(Debug)]
pub struct Unshared;

/// What an [`Unshared`] has. There is one at a time: it may go to another thread, and this does not.
#[derive(Default)]
struct Line {
    free: usize,
    came: u64,
    served: u64,
    wakers: VecDeque<Waker>,
}

thread_local! {
    static LINE: RefCell<Line> = RefCell::default();
}

impl Line {
    fn take(&mut self) -> bool {
        let some = self.free > 0;
        self.free -= usize::from(some);
        some
    }

    /// Takes a permit, or a place for one who is to be woken.
    fn join(&mut self, waker: &Waker) -> Option<u64> {
        if self.take() {
            return None;
        }
        self.wakers.push_back(waker.clone());
        self.came += 1;
        Some(self.came)
    }

    fn release(&mut self) -> Option<Waker> {
        let waker = self.wakers.pop_front();
        match waker {
            Some(_) => self.served += 1,
            None => self.free += 1,
        }
        waker
    }
}

impl Semaphore for Unshared {
    const NAME: &'static str = "a queue, unshared";
    const LACKS: &'static [Operation] = &[
        Operation::Many,
        Operation::Add,
        Operation::Threads,
        Operation::Several,
        Operation::Leave,
    ];
    type Granted<'a> = ();
    type Permit<'a> = UnsharedPermit;

    fn with_permits(permits: usize) -> Self {
        LINE.set(Line { free: permits, ..Line::default() });
        Self
    }

    #[inline]
    fn acquire(&self) -> impl Future<Output = Self::Granted<'_>> + Send {
        let mut place = None;
        poll_fn(move |cx| {
            LINE.with_borrow_mut(|line| {
                if place.is_none() {
                    place = line.join(cx.waker());
                }
                match place {
                    Some(place) if place > line.served => Poll::Pending,
                    _ => Poll::Ready(()),
                }
            })
        })
    }

    #[inline]
    fn permit<'a>(&'a self, (): Self::Granted<'a>, _n: u32) -> Self::Permit<'a> {
        UnsharedPermit
    }

    #[inline]
    fn try_acquire(&self) -> Option<Self::Permit<'_>> {
        LINE.with_borrow_mut(Line::take).then(|| UnsharedPermit)
    }
}

/// Goes to the next in the queue.
#[derive(Debug)]
pub struct UnsharedPermit;

impl Drop for UnsharedPermit {
    #[inline]
    fn drop(&mut self) {
        if let Some(waker) = LINE.with_borrow_mut(Line::release) {
            waker.wake();
        }
    }
}
