//! Looking again, with another waker.

use super::models::{Bank, check};

/// `PARKED -> AWAKE -> PARKED` against the last unit: the latest waker is woken, or it sees.
#[test]
fn poll_anew_against_release() {
    check(|| {
        let bank = Bank::new(0);
        let waiter = bank.waiting(1);
        let t = bank.spawn(move |_| waiter.visit_anew());
        bank.semaphore.add_permits(1);
        let left = t.join().unwrap();
        bank.settle(left, 1);
    });
}

/// The same with a unit that is not the last: `AWAKE(2) -> AWAKE(1)`.
#[test]
fn poll_anew_against_two_releases() {
    check(|| {
        let bank = Bank::new(0);
        let waiter = bank.waiting(2);
        let t = bank.spawn(move |_| waiter.visit_anew());
        bank.semaphore.add_permits(1);
        bank.semaphore.add_permits(1);
        let left = t.join().unwrap();
        bank.settle(left, 2);
    });
}

/// Twice: a deliverer that read the waker of two polls ago must not get at it.
#[test]
fn poll_anew_twice_against_release() {
    check(|| {
        let bank = Bank::new(0);
        let mut waiter = bank.waiting(1);
        let t = bank.spawn(move |_| {
            if waiter.poll_anew().is_pending() && waiter.poll_anew().is_pending() {
                vec![waiter]
            } else {
                vec![]
            }
        });
        bank.semaphore.add_permits(1);
        let left = t.join().unwrap();
        bank.settle(left, 1);
    });
}

/// `AWAKE -> VOID`.
#[test]
fn poll_anew_against_close() {
    check(|| {
        let bank = Bank::new(0);
        let waiter = bank.waiting(1);
        let t = bank.spawn(move |_| waiter.visit_anew());
        bank.semaphore.close();
        let left = t.join().unwrap();
        bank.settle(left, 0);
    });
}
