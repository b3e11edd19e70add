//! Closing.

use core::task::Poll;

use super::models::{Bank, check};
use crate::line::Line;

/// `PARKED -> VOID`, or nobody in yet: whoever asks at the same time is refused or woken.
#[test]
fn close_against_join() {
    check(|| {
        let bank = Bank::without_line(0);
        let waiter = bank.waiter(1);
        let t = bank.spawn(move |_| waiter.visit());
        bank.semaphore.close();
        let left = t.join().unwrap();
        bank.settle(left, 0);
    });
}

/// The same with somebody in line before.
#[test]
fn close_against_join_behind() {
    check(|| {
        let bank = Bank::new(0);
        let first = bank.waiting(1);
        let waiter = bank.waiter(1);
        let t = bank.spawn(move |_| waiter.visit());
        bank.semaphore.close();
        let mut left = t.join().unwrap();
        left.push(first);
        bank.settle(left, 0);
    });
}

/// Granted before the close, or refused; the unit is there in the end.
#[test]
fn close_against_release() {
    check(|| {
        let bank = Bank::new(0);
        let waiter = bank.waiting(1);
        let t = bank.spawn(|semaphore| semaphore.add_permits(1));
        bank.semaphore.close();
        t.join().unwrap();
        bank.settle(vec![waiter], 1);
    });
}

/// Three sides: a unit that was left for whoever comes is free again.
#[test]
fn close_against_join_and_release() {
    check(|| {
        let bank = Bank::new(0);
        let waiter = bank.waiter(1);
        let t1 = bank.spawn(move |_| waiter.visit());
        let t2 = bank.spawn(|semaphore| semaphore.add_permits(1));
        bank.semaphore.close();
        let left = t1.join().unwrap();
        t2.join().unwrap();
        bank.settle(left, 1);
    });
}

/// Of a waiter with a part, the part comes back.
#[test]
fn close_against_cancel() {
    check(|| {
        let bank = Bank::new(0);
        let waiter = bank.waiting(2);
        bank.semaphore.add_permits(1);
        let t = bank.spawn(move |_| waiter.cancel());
        bank.semaphore.close();
        t.join().unwrap();
        bank.settle(vec![], 1);
    });
}

/// `RETURN -> GONE`: what was on its way to who left comes to the end of the line, and is free.
#[test]
fn close_against_cancel_and_release() {
    check(|| {
        let bank = Bank::new(0);
        let waiter = bank.waiting(1);
        let next = bank.waiting(1);
        let t1 = bank.spawn(move |_| next.cancel());
        let t2 = bank.spawn(|semaphore| semaphore.add_permits(2));
        bank.semaphore.close();
        t1.join().unwrap();
        t2.join().unwrap();
        bank.settle(vec![waiter], 2);
    });
}

/// Two close at once: nobody is voided twice, or left out.
#[test]
fn two_close() {
    check(|| {
        let bank = Bank::new(0);
        let waiters = vec![bank.waiting(1), bank.waiting(1), bank.waiting(1)];
        let t = bank.spawn(crate::Semaphore::close);
        bank.semaphore.close();
        t.join().unwrap();
        bank.settle(waiters, 0);
    });
}

/// Whoever finds it closed sees what was done before the close.
#[test]
fn a_closed_permit_is_no_permit() {
    check(|| {
        let bank = Bank::new(1);
        let t = bank.spawn(crate::Semaphore::close);
        let permit = bank.semaphore.try_acquire();
        let refused = permit.is_err();
        drop(permit);
        t.join().unwrap();
        assert!(!refused || bank.semaphore.is_closed());
        bank.settle(vec![], 1);
    });
}

/// Nobody is served who stood behind somebody that was refused.
#[test]
fn close_keeps_the_order() {
    check(|| {
        let bank = Bank::new(0);
        let mut one = bank.waiting(1);
        let mut two = bank.waiting(1);
        let t = bank.spawn(crate::Semaphore::close);
        bank.semaphore.add_permits(1);
        t.join().unwrap();
        let (one, two) = (one.poll(), two.poll());
        let granted = |poll: &Poll<Option<_>>| matches!(poll, Poll::Ready(Some(_)));
        assert!(granted(&one) || !granted(&two), "served behind somebody who was refused");
        drop((one, two));
        bank.settle(vec![], 1);
    });
}

/// A demand that closing has voided is not counted as free by its waiter, not for a moment.
#[test]
fn void_demand_is_not_free() {
    check(|| {
        let bank = Bank::new(0);
        let waiter = bank.waiting(2);
        let t = bank.spawn(move |_| waiter.cancel());
        bank.semaphore.close();
        assert_eq!(bank.semaphore.forget_permits(2), 0, "permits were invented");
        t.join().unwrap();
        bank.settle(vec![], 0);
    });
}

/// A waiter joins while another thread makes the line, and a third closes.
#[test]
fn close_against_making_the_line() {
    check(|| {
        let bank = Bank::without_line(0);
        let waiter = bank.waiter(1);
        let t1 = bank.spawn(|semaphore| {
            let _made = semaphore.core.line.get_or_init(Line::with_seed);
        });
        let t2 = bank.spawn(crate::Semaphore::close);
        let left = waiter.visit();
        t1.join().unwrap();
        t2.join().unwrap();
        bank.settle(left, 0);
    });
}
