//! Permits that keep alive what their semaphore is a part of.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use semafair::{PermitIn, Semaphore, TryAcquireError};
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok};

use crate::support::panic_of;

/// It has two semaphores, and shows one and then the other.
struct Pool {
    semaphores: [Semaphore; 2],
    asked: AtomicUsize,
    dropped: Arc<AtomicBool>,
}

impl AsRef<Semaphore> for Pool {
    fn as_ref(&self) -> &Semaphore {
        &self.semaphores[self.asked.fetch_add(1, Ordering::SeqCst) % 2]
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::SeqCst);
    }
}

fn pool(permits: usize) -> Arc<Pool> {
    let semaphores = [Semaphore::new(permits), Semaphore::new(permits)];
    Arc::new(Pool { semaphores, asked: AtomicUsize::new(0), dropped: Arc::default() })
}

impl Pool {
    fn available(&self) -> [usize; 2] {
        [0, 1].map(|i| self.semaphores[i].available_permits())
    }
}

#[test]
fn it_waits_in_the_same_line() {
    let pool = pool(1);
    let first = pool.semaphores[0].try_acquire().unwrap();
    let mut second = spawn(Semaphore::acquire_in(pool.clone()));
    assert_pending!(second.poll());
    assert!(second.is_queued());
    let mut third = spawn(pool.semaphores[0].acquire());
    assert_pending!(third.poll());
    drop(first);
    assert!(second.is_woken() && !third.is_woken());
    let second: PermitIn<Pool> = assert_ready_ok!(second.poll());
    assert_eq!(second.num_permits(), 1);
    drop(second);
    drop(assert_ready_ok!(third.poll()));
    assert_eq!(pool.available(), [1, 1]);
}

/// Whatever the owner says later, permits go back to where they were taken.
#[test]
fn the_owner_is_asked_once() {
    let pool = pool(3);
    let mut held = Semaphore::try_acquire_many_in(pool.clone(), 2).unwrap();
    assert_eq!(pool.available(), [1, 3]);
    let other = Semaphore::try_acquire_in(pool.clone()).unwrap();
    assert_eq!(pool.available(), [1, 2]);
    let part = held.split(1).unwrap();
    drop(held);
    assert_eq!(pool.available(), [2, 2]);
    assert!(std::ptr::eq(part.semaphore(), &raw const pool.semaphores[0]));
    let mut waiter = spawn(Semaphore::acquire_many_in(pool.clone(), 3));
    assert_pending!(waiter.poll());
    drop(part);
    drop(assert_ready_ok!(waiter.poll()));
    assert_eq!(pool.available(), [3, 2]);
    other.forget();
    assert_eq!(pool.available(), [3, 2]);
    assert_eq!(pool.asked.load(Ordering::SeqCst), 3);
}

#[test]
fn it_keeps_the_owner_alive_as_long_as_it_must() {
    let owner = pool(1);
    let dropped = owner.dropped.clone();
    let permit = Semaphore::try_acquire_in(owner).unwrap();
    assert!(!dropped.load(Ordering::SeqCst));
    // Elsewhere: the last of it goes with the permit.
    thread::spawn(move || drop(permit)).join().unwrap();
    assert!(dropped.load(Ordering::SeqCst));

    let pool = pool(1);
    let dropped = pool.dropped.clone();
    let held = pool.semaphores[0].try_acquire().unwrap();
    std::mem::forget(held);
    let mut waiter = spawn(Semaphore::acquire_in(pool));
    assert_pending!(waiter.poll());
    assert!(!dropped.load(Ordering::SeqCst));
    drop(waiter);
    assert!(dropped.load(Ordering::SeqCst));
}

#[test]
fn it_is_refused_as_others_are() {
    let pool = pool(0);
    assert_eq!(Semaphore::try_acquire_in(pool.clone()).unwrap_err(), TryAcquireError::NoPermits);
    pool.asked.store(0, Ordering::SeqCst);
    let mut waiter = spawn(Semaphore::acquire_in(pool.clone()));
    assert_pending!(waiter.poll());
    pool.semaphores[0].close();
    assert!(waiter.is_woken());
    assert!(assert_ready_err!(waiter.poll()).is_closed());
    let panic = panic_of(|| drop(waiter.poll()));
    assert_eq!(panic, "`AcquireIn` polled after completion");
}

#[test]
fn it_asks_before_it_is_polled() {
    let pool = pool(1);
    let mut first = Semaphore::acquire_in(pool.clone());
    assert!(!first.is_queued());
    first.enqueue();
    assert_eq!(pool.available(), [0, 1]);
    drop(first);
    assert_eq!(pool.available(), [1, 1]);
}

#[test]
fn an_owner_without_a_size_will_do() {
    let owner: Arc<dyn AsRef<Semaphore> + Send + Sync> = Arc::new(Semaphore::new(1));
    let permit = Semaphore::try_acquire_in(owner.clone()).unwrap();
    assert!(Arc::ptr_eq(permit.owner(), &owner));
    let permit = thread::spawn(move || permit).join().unwrap();
    assert_eq!(owner.as_ref().as_ref().available_permits(), 0);
    drop(permit);
    assert_eq!(owner.as_ref().as_ref().available_permits(), 1);
}
