//! Taking as many permits as there are.

use core::task::Poll;

use super::models::{Bank, Waiter, check};
use crate::OwnedSemaphorePermit;

/// What it has got, if it was granted.
fn granted(waiter: &mut Waiter) -> Option<OwnedSemaphorePermit> {
    match waiter.poll() {
        Poll::Ready(permits) => permits,
        Poll::Pending => None,
    }
}

/// How many there are in it.
fn number(permits: Option<&OwnedSemaphorePermit>) -> usize {
    permits.map_or(0, OwnedSemaphorePermit::num_permits)
}

/// One step of two that race for the same permits: each is taken once.
#[test]
fn between_against_try_and_release() {
    check(|| {
        let bank = Bank::new(1);
        let mut waiter = bank.waiter_between(1..=3);
        let t = bank.spawn(|semaphore| {
            semaphore.add_permits(1);
            semaphore.try_acquire().map(crate::SemaphorePermit::forget).is_ok()
        });
        let permits = granted(&mut waiter);
        let tried = usize::from(t.join().unwrap());
        let held = number(permits.as_ref());
        assert_eq!(held + tried + bank.semaphore.available_permits(), 2);
        assert!(held > 0 || tried > 0, "nobody got the permit that was free");
        drop(permits);
        let left = if held > 0 { vec![] } else { vec![waiter] };
        bank.settle(left, 2 - tried);
    });
}

/// In the line it has its least; the poll that returns takes what came besides, if nobody else did.
#[test]
fn poll_between_against_add_and_try() {
    check(|| {
        let bank = Bank::new(0);
        let mut waiter = bank.waiter_between(1..=2);
        assert!(granted(&mut waiter).is_none());
        let t = bank.spawn(|semaphore| {
            semaphore.add_permits(2);
            semaphore.try_acquire().map(crate::SemaphorePermit::forget).is_ok()
        });
        let permits = granted(&mut waiter);
        let held = number(permits.as_ref());
        let tried = usize::from(t.join().unwrap());
        let left = if permits.is_some() { vec![] } else { vec![waiter] };
        if permits.is_some() {
            assert_eq!(held + tried + bank.semaphore.available_permits(), 2);
        }
        drop(permits);
        bank.settle(left, 2 - tried);
    });
}

/// The second unit is that of the waiter behind, whether it was asked for or is on its way.
#[test]
fn between_does_not_overtake() {
    check(|| {
        let bank = Bank::new(0);
        let mut waiter = bank.waiter_between(1..=2);
        assert!(granted(&mut waiter).is_none());
        let behind = bank.waiting(1);
        let t = bank.spawn(move |_| {
            let permits = granted(&mut waiter);
            assert!(number(permits.as_ref()) < 2, "it took what somebody waits for");
            if permits.is_some() { vec![] } else { vec![waiter] }
        });
        bank.semaphore.add_permits(1);
        bank.semaphore.add_permits(1);
        let mut left = t.join().unwrap();
        left.push(behind);
        bank.settle(left, 2);
    });
}

/// A closed semaphore gives no more than was granted before.
#[test]
fn poll_between_against_add_and_close() {
    check(|| {
        let bank = Bank::new(0);
        let mut waiter = bank.waiter_between(1..=3);
        assert!(granted(&mut waiter).is_none());
        let t = bank.spawn(|semaphore| semaphore.add_permits(3));
        bank.semaphore.close();
        let permits = granted(&mut waiter);
        let held = number(permits.as_ref());
        t.join().unwrap();
        assert!(held <= 1, "a closed semaphore gave permits");
        drop((permits, waiter));
        bank.settle(vec![], 3);
    });
}

/// Granted, with all that was free, and dropped unpolled.
#[test]
fn enqueue_between_and_cancel_against_release() {
    check(|| {
        let bank = Bank::new(1);
        let mut waiter = bank.waiter_between(1..=2);
        let t = bank.spawn(|semaphore| semaphore.add_permits(1));
        waiter.enqueue();
        waiter.cancel();
        t.join().unwrap();
        bank.settle(vec![], 2);
    });
}
