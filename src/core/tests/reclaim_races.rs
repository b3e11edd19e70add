//! Segments that come and go. The models' cells panic when they are used after they were freed.

use super::models::{Bank, check};
use crate::sync::sizes::CELLS;

/// Across the border between two segments, from both sides.
#[test]
fn join_and_deliver_across_the_border() {
    check(|| {
        let bank = Bank::new(0);
        let first = bank.waiting(1);
        let (two, three) = (bank.waiter(1), bank.waiter(1));
        let t1 = bank.spawn(move |_| two.visit());
        let t2 = bank.spawn(move |_| three.visit());
        bank.semaphore.add_permits(3);
        let mut left = t1.join().unwrap();
        left.extend(t2.join().unwrap());
        left.push(first);
        bank.settle(left, 3);
    });
}

/// Two deliverers move the head along, while those served look and finish their segments.
#[test]
fn two_deliver_while_one_finishes() {
    check(|| {
        let bank = Bank::new(0);
        let mut waiters: Vec<_> = (0..3).map(|_| bank.waiting(1)).collect();
        bank.semaphore.add_permits(1);
        let mut first = waiters.remove(0);
        let t1 = bank.spawn(move |_| first.poll().is_ready());
        let t2 = bank.spawn(|semaphore| semaphore.add_permits(1));
        bank.semaphore.add_permits(1);
        assert!(t1.join().unwrap());
        t2.join().unwrap();
        bank.settle(waiters, 3);
    });
}

/// One who leaves a slot must not take what was handed to the slot's next owner.
#[test]
fn two_deliver_while_one_comes_and_goes() {
    check(|| {
        let bank = Bank::new(0);
        let first = bank.waiting(1);
        let mut left = vec![bank.waiting(1), bank.waiting(1)];
        let t1 = bank.spawn(|semaphore| semaphore.add_permits(1));
        let t2 = bank.spawn(move |_| first.visit());
        bank.semaphore.add_permits(1);
        t1.join().unwrap();
        left.extend(t2.join().unwrap());
        bank.settle(left, 2);
    });
}

/// Who leaves must not look at its cell again: the others of its segment are served and gone.
#[test]
fn cancel_while_the_segment_is_freed() {
    check(|| {
        let bank = Bank::new(0);
        let leaver = bank.waiting(1);
        let (mut served, last) = (bank.waiting(1), bank.waiting(1));
        let t = bank.spawn(move |_| leaver.cancel());
        bank.semaphore.add_permits(2);
        let mut left = vec![last];
        if served.poll().is_pending() {
            left.push(served);
        }
        t.join().unwrap();
        bank.settle(left, 2);
    });
}

/// Two finished segments in the middle, unlinked by two at once, behind one that stays.
#[test]
fn two_sweep() {
    check(|| {
        let bank = Bank::new(0);
        let waiting = |n| (0..n).map(|_| bank.waiting(1)).collect::<Vec<_>>();
        let (mut stay, one, two) = (waiting(CELLS), waiting(CELLS), waiting(CELLS));
        stay.push(bank.waiting(1));
        let t = bank.spawn(move |_| two.into_iter().for_each(super::models::Waiter::cancel));
        one.into_iter().for_each(super::models::Waiter::cancel);
        t.join().unwrap();
        let permits = stay.len();
        bank.semaphore.add_permits(permits);
        bank.settle(stay, permits);
    });
}

/// A sweep against a deliverer, which unlinks at the head.
#[test]
fn sweep_against_deliver() {
    check(|| {
        let bank = Bank::new(0);
        let mut waiters: Vec<_> = (0..5).map(|_| bank.waiting(1)).collect();
        let last = waiters.pop().unwrap();
        let head = waiters.remove(0);
        let t = bank.spawn(move |_| waiters.into_iter().for_each(super::models::Waiter::cancel));
        bank.semaphore.add_permits(2);
        t.join().unwrap();
        bank.settle(vec![head, last], 2);
    });
}

/// A sweep against somebody who appends.
#[test]
fn sweep_against_join() {
    check(|| {
        let bank = Bank::new(0);
        let mut waiters: Vec<_> = (0..4).map(|_| bank.waiting(1)).collect();
        let head = waiters.remove(0);
        let new = bank.waiter(1);
        let t = bank.spawn(move |_| waiters.into_iter().for_each(super::models::Waiter::cancel));
        let mut left = new.visit();
        t.join().unwrap();
        bank.semaphore.add_permits(2);
        left.push(head);
        bank.settle(left, 2);
    });
}

/// A new line from the first waiter on, made by two at once.
#[test]
fn two_make_the_line() {
    check(|| {
        let bank = Bank::without_line(0);
        let (one, two) = (bank.waiter(1), bank.waiter(1));
        let t = bank.spawn(move |_| drop(one.visit()));
        drop(two.visit());
        t.join().unwrap();
        bank.settle(vec![], 0);
    });
}

/// The places of a segment that the line has left are finished by two at once: the mark goes from
/// one to the other, and whoever has it frees, when both look no more.
fn two_finish(swap: bool) {
    check(move || {
        let bank = Bank::new(0);
        let mut waiters: Vec<_> = (0..3).map(|_| bank.waiting(1)).collect();
        bank.semaphore.add_permits(3);
        let (mut one, mut two) = (waiters.remove(0), waiters.remove(0));
        if swap {
            core::mem::swap(&mut one, &mut two);
        }
        let t = bank.spawn(move |_| drop(one.poll()));
        drop(two.poll());
        t.join().unwrap();
        bank.settle(waiters, 3);
    });
}

#[test]
fn two_finish_the_first_first() {
    two_finish(false);
}

#[test]
fn two_finish_the_last_first() {
    two_finish(true);
}
