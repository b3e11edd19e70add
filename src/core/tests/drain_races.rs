//! The drain: either the last release, or the last closer, or the one who waits sees that it ended.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Waker};
use std::sync::Arc;

use super::models::{Alarm, Bank, check};
use crate::DrainedOwned;

fn poll(drained: &mut DrainedOwned, alarm: &Arc<Alarm>) -> bool {
    let waker = Waker::from(Arc::clone(alarm));
    Pin::new(drained).poll(&mut Context::from_waker(&waker)).is_ready()
}

/// Three sides: whoever of them is last, the one who waits is woken or sees it.
#[test]
fn drain_against_the_last_release_and_close() {
    check(|| {
        let bank = Bank::new(1);
        let permit = bank.semaphore.clone().try_acquire_owned().unwrap();
        let t1 = bank.spawn(move |_| drop(permit));
        let t2 = bank.spawn(crate::Semaphore::close);
        let alarm = Arc::<Alarm>::default();
        let mut drained = bank.semaphore.clone().drained_owned();
        let ready = poll(&mut drained, &alarm);
        t1.join().unwrap();
        t2.join().unwrap();
        assert!(ready || alarm.has_rung(), "it sleeps for ever");
        assert!(poll(&mut drained, &alarm));
    });
}

/// D4: whoever brings the last permit back, or the one who waits, sees the other.
#[test]
fn drain_against_the_last_release() {
    check(|| {
        let bank = Bank::new(1);
        let permit = bank.semaphore.clone().try_acquire_owned().unwrap();
        bank.semaphore.close();
        let t = bank.spawn(move |_| drop(permit));
        let alarm = Arc::<Alarm>::default();
        let mut drained = bank.semaphore.clone().drained_owned();
        let ready = poll(&mut drained, &alarm);
        t.join().unwrap();
        assert!(ready || alarm.has_rung(), "it sleeps for ever");
        assert!(poll(&mut drained, &alarm));
    });
}

/// A unit is on its way to a waiter that leaves, and another permit is out: that is never left out of
/// the count.
#[test]
fn drain_against_cancel_release_and_close() {
    check(|| {
        let bank = Bank::new(2);
        let kept = bank.semaphore.clone().try_acquire_owned().unwrap();
        let permit = bank.semaphore.clone().try_acquire_owned().unwrap();
        let waiter = bank.waiting(1);
        let alarm = Arc::<Alarm>::default();
        let mut drained = bank.semaphore.clone().drained_owned();
        assert!(!poll(&mut drained, &alarm));
        let t1 = bank.spawn(move |_| drop(permit));
        let t2 = bank.spawn(move |_| waiter.cancel());
        bank.semaphore.close();
        assert!((1..=2).contains(&bank.semaphore.outstanding()), "a permit is out");
        t1.join().unwrap();
        t2.join().unwrap();
        assert!(!alarm.has_rung(), "a permit is out");
        assert_eq!(bank.semaphore.outstanding(), 1);
        drop(kept);
        assert!(alarm.has_rung(), "it sleeps for ever");
        assert!(poll(&mut drained, &alarm));
    });
}

/// The limit changes while the closer has read the old one.
#[test]
fn drain_against_a_new_limit_and_close() {
    for limit in [0, 2] {
        check(move || {
            let bank = Bank::new(1);
            let kept = bank.semaphore.clone().try_acquire_owned().unwrap();
            let alarm = Arc::<Alarm>::default();
            let mut drained = bank.semaphore.clone().drained_owned();
            assert!(!poll(&mut drained, &alarm));
            let t = bank.spawn(move |semaphore| semaphore.set_limit(limit));
            bank.semaphore.close();
            t.join().unwrap();
            assert!(!alarm.has_rung(), "a permit is out");
            drop(kept);
            assert!(alarm.has_rung(), "it sleeps for ever");
        });
    }
}
