//! Joining and delivering.

use super::models::{Bank, check};

/// `OPEN -> PARKED -> DONE`, and `OPEN(c) -> GONE` where the unit is there first.
#[test]
fn one_waiter_one_release() {
    check(|| {
        let bank = Bank::new(0);
        let waiter = bank.waiter(1);
        let t = bank.spawn(move |_| waiter.visit());
        bank.semaphore.add_permits(1);
        let left = t.join().unwrap();
        bank.settle(left, 1);
    });
}

/// Two who come at once, and two units that come one by one: a unit that lies in a place whose
/// owner is late is carried on to the one behind (`OPEN(c) -> SKIPPED`).
#[test]
fn two_join_two_releases() {
    check(|| {
        let bank = Bank::new(0);
        let (one, two) = (bank.waiter(1), bank.waiter(1));
        let t1 = bank.spawn(move |_| one.visit());
        let t2 = bank.spawn(move |_| two.visit());
        bank.semaphore.add_permits(1);
        bank.semaphore.add_permits(1);
        let mut left = t1.join().unwrap();
        left.extend(t2.join().unwrap());
        bank.settle(left, 2);
    });
}

/// The same with one release of both units: a deliverer that leaves units in a place, and then
/// finds that somebody has come behind.
#[test]
fn two_join_one_release_of_two() {
    check(|| {
        let bank = Bank::new(0);
        let (one, two) = (bank.waiter(1), bank.waiter(1));
        let t1 = bank.spawn(move |_| one.visit());
        let t2 = bank.spawn(move |_| two.visit());
        bank.semaphore.add_permits(2);
        let mut left = t1.join().unwrap();
        left.extend(t2.join().unwrap());
        bank.settle(left, 2);
    });
}

/// Nobody keeps a part while waiting for the rest: each would wait for the other for ever.
#[test]
fn weights_do_not_hold_and_wait() {
    check(|| {
        let bank = Bank::new(2);
        let held = bank.semaphore.clone().try_acquire_owned().unwrap();
        let (one, two) = (bank.waiter(2), bank.waiter(2));
        let t1 = bank.spawn(move |_| one.visit());
        let t2 = bank.spawn(move |_| two.visit());
        drop(held);
        let mut left = t1.join().unwrap();
        left.extend(t2.join().unwrap());
        bank.settle(left, 2);
    });
}

/// `PARKED(r) -> PARKED(r - d)`: two deliverers fill one waiter, and the next after it.
#[test]
fn two_deliverers_fill_up() {
    check(|| {
        let bank = Bank::new(0);
        let big = bank.waiting(2);
        let small = bank.waiting(1);
        let t = bank.spawn(|semaphore| semaphore.add_permits(2));
        bank.semaphore.add_permits(1);
        t.join().unwrap();
        bank.settle(vec![big, small], 3);
    });
}

/// A permit is never taken before somebody who waits.
#[test]
fn try_acquire_does_not_overtake() {
    check(|| {
        let bank = Bank::new(0);
        let waiter = bank.waiting(1);
        let t = bank.spawn(|semaphore| semaphore.try_acquire().is_ok());
        bank.semaphore.add_permits(1);
        assert!(!t.join().unwrap(), "somebody overtook");
        assert!(waiter.is_woken());
        bank.settle(vec![waiter], 1);
    });
}

/// A permit goes round: two threads take it and give it back.
#[test]
fn a_permit_goes_round() {
    check(|| {
        let bank = Bank::new(1);
        let (one, two) = (bank.waiter(1), bank.waiter(1));
        let t = bank.spawn(move |_| one.visit());
        let mut left = two.visit();
        left.extend(t.join().unwrap());
        bank.settle(left, 1);
    });
}

/// Those who came first are served first, whatever their weight.
#[test]
fn first_come_first_served() {
    check(|| {
        let bank = Bank::new(0);
        let big = bank.waiting(2);
        let small = bank.waiting(1);
        let t = bank.spawn(|semaphore| semaphore.add_permits(1));
        bank.semaphore.add_permits(1);
        assert!(!small.is_woken(), "somebody overtook");
        t.join().unwrap();
        assert!(big.is_woken() && !small.is_woken());
        bank.settle(vec![big, small], 2);
    });
}
