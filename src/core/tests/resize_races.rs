//! Changes of the limit, beside all else.

use core::task::Poll;
use std::sync::Arc;
use std::vec::Vec;

use super::models::{Bank, Waiter, check};
use crate::Semaphore;
use crate::line::Line;

/// A semaphore with all its permits taken, and the guard.
fn saturated(permits: u32) -> (Bank, crate::OwnedSemaphorePermit) {
    let bank = Bank::new(permits as usize);
    let permit = bank.semaphore.clone().try_acquire_many_owned(permits).unwrap();
    (bank, permit)
}

/// All threads were joined, and nobody has a guard; some have been served and do not know. The books
/// must be right; and when the limit rises, all are served.
fn settle(bank: Bank, waiters: Vec<Waiter>, limit: usize) {
    settle_beside(0, bank, waiters, limit);
}

/// The same where a debt may have taken what was on its way to waiters that left: up to so many
/// units are expected by RETURNs, and count as queued until some come.
fn settle_beside(expected: usize, bank: Bank, waiters: Vec<Waiter>, limit: usize) {
    let status = bank.semaphore.status();
    let served = waiters.iter().filter(|waiter| waiter.is_woken()).count();
    assert_eq!(status.limit, limit, "the limit");
    if !status.is_closed {
        assert_eq!(status.outstanding, served, "units are stranded");
        assert_eq!(limit + status.debt, status.available + served, "permits were lost or invented");
        let queued = waiters.len() - served;
        assert!((queued..=queued + expected).contains(&status.queued), "all of them want one");
    }
    bank.semaphore.set_limit(2);
    assert_eq!(bank.semaphore.status().queued, 0, "a RETURN is left");
    bank.settle(waiters, 2);
}

/// D3: the unit comes back before the debt is there, and is left in the line; or it pays.
#[test]
fn shrink_against_release() {
    check(|| {
        let (bank, permit) = saturated(1);
        let t = bank.spawn(move |_| drop(permit));
        assert_eq!(bank.semaphore.set_limit(0), 1);
        t.join().unwrap();
        settle(bank, Vec::new(), 0);
    });
}

/// The same with somebody in the line, who is served before, or waits on.
#[test]
fn shrink_against_delivery() {
    check(|| {
        let (bank, permit) = saturated(1);
        let waiter = bank.waiting(1);
        let t = bank.spawn(move |_| drop(permit));
        assert_eq!(bank.semaphore.set_limit(0), 1);
        t.join().unwrap();
        settle(bank, Vec::from([waiter]), 0);
    });
}

/// The permit is free for whoever asks, or is gone.
#[test]
fn shrink_against_join() {
    check(|| {
        let bank = Bank::new(1);
        let waiter = bank.waiter(1);
        let t = bank.spawn(move |_| waiter.visit());
        assert_eq!(bank.semaphore.set_limit(0), 1);
        let left = t.join().unwrap();
        settle(bank, left, 0);
    });
}

/// Three sides: a unit is left for somebody who is not there yet, and it is not clear for whom.
#[test]
fn shrink_against_join_and_release() {
    check(|| {
        let (bank, permit) = saturated(1);
        let waiter = bank.waiter(1);
        let t1 = bank.spawn(move |_| waiter.visit());
        let t2 = bank.spawn(move |_| drop(permit));
        assert_eq!(bank.semaphore.set_limit(0), 1);
        let left = t1.join().unwrap();
        t2.join().unwrap();
        settle(bank, left, 0);
    });
}

#[test]
fn shrink_against_leave() {
    check(|| {
        let (bank, permit) = saturated(1);
        let waiter = bank.waiting(1);
        let t = bank.spawn(move |_| waiter.cancel());
        assert_eq!(bank.semaphore.set_limit(0), 1);
        t.join().unwrap();
        drop(permit);
        settle(bank, Vec::new(), 0);
    });
}

/// What a waiter leaves behind that had a part of what it wanted pays.
#[test]
fn shrink_against_leave_of_a_part() {
    check(|| {
        let bank = Bank::new(1);
        let waiter = bank.waiting(2);
        let next = bank.waiting(1);
        let t = bank.spawn(move |_| waiter.cancel());
        assert_eq!(bank.semaphore.set_limit(0), 1);
        t.join().unwrap();
        settle(bank, Vec::from([next]), 0);
    });
}

#[test]
fn shrink_against_leave_and_release() {
    check(|| {
        let (bank, permit) = saturated(1);
        let waiter = bank.waiting(1);
        let t1 = bank.spawn(move |_| waiter.cancel());
        let t2 = bank.spawn(move |_| drop(permit));
        assert_eq!(bank.semaphore.set_limit(0), 1);
        t1.join().unwrap();
        t2.join().unwrap();
        settle_beside(1, bank, Vec::new(), 0);
    });
}

/// `PARKED -> RETURN` behind somebody who waits: nobody is served above the limit, whatever the debt
/// takes.
#[test]
fn shrink_against_leave_behind_and_release() {
    check(|| {
        let (bank, permit) = saturated(2);
        let first = bank.waiting(1);
        let second = bank.waiting(1);
        let t1 = bank.spawn(move |_| second.cancel());
        let t2 = bank.spawn(move |_| drop(permit));
        assert_eq!(bank.semaphore.set_limit(1), 2);
        t1.join().unwrap();
        t2.join().unwrap();
        assert!(first.is_woken(), "a permit is there for it");
        settle_beside(1, bank, Vec::from([first]), 1);
    });
}

/// The debt is written off, or never made, or what was taken comes back: the permits that are out
/// are out, whatever the limit is.
#[test]
fn shrink_against_close() {
    check(|| {
        let (bank, permit) = saturated(1);
        let waiter = bank.waiting(1);
        let t = bank.spawn(|semaphore| semaphore.close());
        assert_eq!(bank.semaphore.set_limit(0), 1);
        t.join().unwrap();
        assert_eq!(bank.semaphore.outstanding(), 1);
        drop(permit);
        assert_eq!(bank.semaphore.outstanding(), 0);
        settle(bank, Vec::from([waiter]), 0);
    });
}

/// The same where the close finds no line, or the shrink makes one.
#[test]
fn shrink_against_close_without_line() {
    check(|| {
        let bank = Bank::without_line(2);
        let permit = bank.semaphore.try_acquire().unwrap();
        let t = bank.spawn(|semaphore| semaphore.close());
        assert_eq!(bank.semaphore.set_limit(0), 2);
        t.join().unwrap();
        assert_eq!((bank.semaphore.outstanding(), bank.semaphore.available_permits()), (1, 0));
        drop(permit);
        settle(bank, Vec::new(), 0);
    });
}

#[test]
fn shrink_against_close_and_release() {
    check(|| {
        let (bank, permit) = saturated(1);
        let t1 = bank.spawn(|semaphore| semaphore.close());
        let t2 = bank.spawn(move |_| drop(permit));
        assert_eq!(bank.semaphore.set_limit(0), 1);
        t1.join().unwrap();
        t2.join().unwrap();
        assert_eq!(bank.semaphore.outstanding(), 0);
        settle(bank, Vec::new(), 0);
    });
}

/// A debt that is paid while the semaphore is closed.
#[test]
fn pay_against_close() {
    check(|| {
        let (bank, permit) = saturated(2);
        bank.semaphore.set_limit(1);
        let t = bank.spawn(move |_| drop(permit));
        bank.semaphore.close();
        t.join().unwrap();
        assert_eq!((bank.semaphore.outstanding(), bank.semaphore.available_permits()), (0, 1));
        settle(bank, Vec::new(), 1);
    });
}

/// The same, and the limit changes: whoever of the three comes first closes the balance.
#[test]
fn pay_against_close_and_a_new_limit() {
    check(|| {
        let (bank, permit) = saturated(2);
        bank.semaphore.set_limit(1);
        let t1 = bank.spawn(move |_| drop(permit));
        let t2 = bank.spawn(|semaphore| semaphore.set_limit(2));
        bank.semaphore.close();
        t1.join().unwrap();
        assert_eq!(t2.join().unwrap(), 1);
        assert_eq!((bank.semaphore.outstanding(), bank.semaphore.available_permits()), (0, 2));
        settle(bank, Vec::new(), 2);
    });
}

#[test]
fn grow_against_close() {
    check(|| {
        let bank = Bank::new(0);
        let waiter = bank.waiting(1);
        let t = bank.spawn(|semaphore| semaphore.close());
        assert_eq!(bank.semaphore.set_limit(1), 0);
        t.join().unwrap();
        settle(bank, Vec::from([waiter]), 1);
    });
}

/// Of two at once, one is the later: it saw the limit of the other, and its own stays.
fn two_limits(free: bool, one: usize, other: usize) {
    check(move || {
        let bank = Bank::new(2);
        let permits = (!free).then(|| bank.semaphore.clone().try_acquire_many_owned(2).unwrap());
        let t = bank.spawn(move |semaphore| semaphore.set_limit(one));
        let before_other = bank.semaphore.set_limit(other);
        let before_one = t.join().unwrap();
        let last = if before_other == 2 { one } else { other };
        assert!(
            [(2, one), (other, 2)].contains(&(before_one, before_other)) || before_other == one
        );
        drop(permits);
        settle(bank, Vec::new(), last);
    });
}

#[test]
fn two_shrinks_of_free_permits() {
    two_limits(true, 1, 0);
}

#[test]
fn two_shrinks_of_permits_that_are_out() {
    two_limits(false, 1, 0);
}

#[test]
fn grow_against_shrink() {
    two_limits(false, 0, 3);
}

/// One lowers the limit, and one raises it again: no more permits are there than the larger limit
/// at any moment.
#[test]
fn a_limit_that_falls_and_rises_lets_one_in() {
    check(|| {
        let bank = Bank::new(1);
        let t1 = bank.spawn(|semaphore| semaphore.set_limit(0));
        let t2 = bank.spawn(|semaphore| semaphore.set_limit(1));
        let one = bank.semaphore.try_acquire();
        let two = bank.semaphore.try_acquire();
        assert!(one.is_err() || two.is_err(), "two are in");
        drop((one, two));
        t1.join().unwrap();
        t2.join().unwrap();
        let limit = bank.semaphore.limit();
        settle(bank, Vec::new(), limit);
    });
}

/// A guard that is forgotten lowers the limit, or pays.
#[test]
fn shrink_against_forget() {
    check(|| {
        let (bank, permit) = saturated(1);
        let t = bank.spawn(move |_| permit.forget());
        let before = bank.semaphore.set_limit(0);
        assert!(before <= 1);
        t.join().unwrap();
        settle(bank, Vec::new(), 0);
    });
}

/// Those that are free vanish once.
#[test]
fn shrink_against_forget_of_free_ones() {
    check(|| {
        let bank = Bank::new(2);
        let t = bank.spawn(|semaphore| semaphore.forget_permits(2));
        let before = bank.semaphore.set_limit(1);
        let forgot = t.join().unwrap();
        let limit = bank.semaphore.limit();
        assert_eq!(2 + 1 - before - forgot, limit, "the limit");
        settle(bank, Vec::new(), limit);
    });
}

fn bounded(permits: usize, bound: usize) -> Bank {
    let semaphore = Semaphore::builder(permits).queue_limit(bound).build();
    let bank = Bank { semaphore: Arc::new(semaphore) };
    let _line = bank.semaphore.core.line.get_or_init(Line::with_seed);
    bank
}

/// Polls once: whether it waits; `None` if it was refused.
fn asks(mut waiter: Waiter) -> Option<Vec<Waiter>> {
    match waiter.poll() {
        Poll::Pending => Some(Vec::from([waiter])),
        Poll::Ready(Some(_)) => Some(Vec::new()),
        Poll::Ready(None) => None,
    }
}

/// There is room for one of two.
#[test]
fn bound_against_join() {
    check(|| {
        let bank = bounded(0, 1);
        let (one, two) = (bank.waiter(1), bank.waiter(1));
        let t = bank.spawn(move |_| asks(one));
        let mut waiting: Vec<Waiter> = asks(two).into_iter().flatten().collect();
        waiting.extend(t.join().unwrap().into_iter().flatten());
        assert_eq!(waiting.len(), 1, "there is room for one");
        settle(bank, waiting, 0);
    });
}

/// There is room for two, and a permit goes round.
#[test]
fn bound_with_room_refuses_nobody() {
    check(|| {
        let bank = bounded(1, 1);
        let (one, two) = (bank.waiter(1), bank.waiter(1));
        let t = bank.spawn(move |_| asks(one).expect("there was room"));
        let mut waiting = asks(two).expect("there was room");
        waiting.extend(t.join().unwrap());
        settle(bank, waiting, 1);
    });
}

/// Who leaves makes room, before or after.
#[test]
fn bound_against_leave() {
    check(|| {
        let bank = bounded(0, 1);
        let waiter = bank.waiting(1);
        let next = bank.waiter(1);
        let t = bank.spawn(move |_| waiter.cancel());
        let waiting: Vec<Waiter> = asks(next).into_iter().flatten().collect();
        assert!(bank.semaphore.status().queued <= 1);
        t.join().unwrap();
        settle(bank, waiting, 0);
    });
}

/// Who is served makes room.
#[test]
fn bound_against_release() {
    check(|| {
        let bank = bounded(0, 1);
        let first = bank.waiting(1);
        let next = bank.waiter(1);
        let t = bank.spawn(|semaphore| semaphore.add_permits(1));
        let mut waiting: Vec<Waiter> = asks(next).into_iter().flatten().collect();
        t.join().unwrap();
        assert!(first.is_woken());
        waiting.insert(0, first);
        settle(bank, waiting, 1);
    });
}
