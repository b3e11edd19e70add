//! Leaving, in each state of the cell.

use super::models::{Bank, check};

/// `PARKED -> GONE`, `RETURN` or `DONE -> GONE`: the unit finds the next, or is free.
#[test]
fn cancel_against_release() {
    check(|| {
        let bank = Bank::new(0);
        let waiter = bank.waiting(1);
        let t = bank.spawn(move |_| waiter.cancel());
        bank.semaphore.add_permits(1);
        t.join().unwrap();
        bank.settle(vec![], 1);
    });
}

/// A head that wants `n` is cancelled, and leaves what it had to who stands behind it.
fn cancelled_head(n: u32) {
    check(move || {
        let bank = Bank::new(0);
        let head = bank.waiting(n);
        let next = bank.waiting(1);
        let t = bank.spawn(move |_| head.cancel());
        bank.semaphore.add_permits(1);
        t.join().unwrap();
        assert!(next.is_woken());
        bank.settle(vec![next], 1);
    });
}

#[test]
fn cancelled_head_hands_on() {
    cancelled_head(1);
}

/// The unit is only a part of what the head needs.
#[test]
fn cancelled_head_hands_on_its_part() {
    cancelled_head(2);
}

/// Granted, and dropped before it looked, while somebody else joins.
#[test]
fn granted_then_dropped() {
    check(|| {
        let bank = Bank::new(0);
        let granted = bank.waiting(1);
        bank.semaphore.add_permits(1);
        let next = bank.waiter(1);
        let t = bank.spawn(move |_| next.visit());
        granted.cancel();
        let left = t.join().unwrap();
        bank.settle(left, 1);
    });
}

/// Two neighbours leave while units come for them: `RETURN` gives back what is on its way.
#[test]
fn two_cancel_against_release() {
    check(|| {
        let bank = Bank::new(0);
        let one = bank.waiting(1);
        let two = bank.waiting(2);
        let t1 = bank.spawn(move |_| one.cancel());
        let t2 = bank.spawn(move |_| two.cancel());
        bank.semaphore.add_permits(2);
        t1.join().unwrap();
        t2.join().unwrap();
        bank.settle(vec![], 2);
    });
}

/// Somebody in the middle leaves, and the line closes up behind.
#[test]
fn cancel_in_the_middle() {
    check(|| {
        let bank = Bank::new(0);
        let head = bank.waiting(1);
        let middle = bank.waiting(1);
        let last = bank.waiting(1);
        let t = bank.spawn(move |_| middle.cancel());
        bank.semaphore.add_permits(2);
        t.join().unwrap();
        bank.settle(vec![head, last], 2);
    });
}

/// Asks and gives up at once, while another asks, and a unit comes.
#[test]
fn join_and_cancel_against_join() {
    check(|| {
        let bank = Bank::new(0);
        let (fickle, patient) = (bank.waiter(1), bank.waiter(1));
        let t1 = bank.spawn(move |_| drop(fickle.visit()));
        let t2 = bank.spawn(move |_| patient.visit());
        bank.semaphore.add_permits(1);
        t1.join().unwrap();
        let left = t2.join().unwrap();
        bank.settle(left, 1);
    });
}

/// What is on its way to one who leaves can be taken as soon as it is there.
#[test]
fn cancel_then_try() {
    check(|| {
        let bank = Bank::new(0);
        let waiter = bank.waiting(2);
        let t = bank.spawn(|semaphore| semaphore.add_permits(2));
        waiter.cancel();
        let taken = bank.semaphore.try_acquire().is_ok();
        t.join().unwrap();
        assert!(taken || bank.semaphore.available_permits() == 2);
        bank.settle(vec![], 2);
    });
}
