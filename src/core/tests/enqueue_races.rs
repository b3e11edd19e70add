//! Asking before the first poll.

use super::models::{Bank, check};

/// `OPEN -> PARKED` with a waker that does nothing, and then another waker, against the last unit: the
/// first poll sees it, or its waker is woken.
#[test]
fn enqueue_and_poll_against_release() {
    check(|| {
        let bank = Bank::new(0);
        let mut waiter = bank.waiter(1);
        let t = bank.spawn(move |_| {
            waiter.enqueue();
            waiter.visit()
        });
        bank.semaphore.add_permits(1);
        let left = t.join().unwrap();
        bank.settle(left, 1);
    });
}

/// The place was taken before; and then it is polled on another thread.
#[test]
fn poll_of_one_that_was_enqueued_against_release() {
    check(|| {
        let bank = Bank::new(0);
        let mut waiter = bank.waiter(2);
        waiter.enqueue();
        let behind = bank.waiting(1);
        let t = bank.spawn(move |_| waiter.visit());
        bank.semaphore.add_permits(2);
        let mut left = t.join().unwrap();
        left.push(behind);
        bank.settle(left, 2);
    });
}

/// It was never polled: what it has, and what comes to it, goes to the next.
#[test]
fn enqueue_and_cancel_against_release() {
    check(|| {
        let bank = Bank::new(0);
        let mut fickle = bank.waiter(1);
        let patient = bank.waiter(1);
        let t = bank.spawn(move |_| {
            fickle.enqueue();
            fickle.cancel();
            patient.visit()
        });
        bank.semaphore.add_permits(1);
        let left = t.join().unwrap();
        bank.settle(left, 1);
    });
}

/// Permits that it took at once, or that were left for it, are kept, and not lost.
#[test]
fn enqueue_against_enqueue_and_release() {
    check(|| {
        let bank = Bank::new(1);
        let (mut one, mut two) = (bank.waiter(1), bank.waiter(1));
        let t1 = bank.spawn(move |_| {
            one.enqueue();
            one.visit()
        });
        let t2 = bank.spawn(|semaphore| semaphore.add_permits(1));
        two.enqueue();
        let mut left = two.visit();
        left.extend(t1.join().unwrap());
        t2.join().unwrap();
        bank.settle(left, 2);
    });
}

/// Refused as it asks, or in the line; its first poll says so, or its drop leaves nothing behind.
#[test]
fn enqueue_against_close() {
    for polls in [true, false] {
        check(move || {
            let bank = Bank::without_line(1);
            let mut waiter = bank.waiter(2);
            let t = bank.spawn(move |_| {
                waiter.enqueue();
                if polls { waiter.visit() } else { Vec::new() }
            });
            bank.semaphore.close();
            let left = t.join().unwrap();
            bank.settle(left, 1);
        });
    }
}

/// The time of a thread that waits is over as a unit comes: polled once without a waker, once with its
/// own, and dropped.
#[test]
fn time_out_against_release() {
    check(|| {
        let bank = Bank::new(0);
        let mut late = bank.waiter(1);
        let patient = bank.waiting(1);
        let t = bank.spawn(move |_| {
            late.enqueue();
            if late.poll().is_pending() {
                late.cancel();
            }
        });
        bank.semaphore.add_permits(2);
        t.join().unwrap();
        bank.settle(vec![patient], 2);
    });
}
