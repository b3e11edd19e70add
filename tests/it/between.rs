//! `acquire_between` takes as many permits as there are, at its place in the line.

use std::sync::Arc;
use std::task::{Poll, Waker};

use fastrand::Rng;
use semafair::{AcquireBetween, AcquireBetweenOwned, Semaphore, TryAcquireError};
use tokio_test::task::spawn;
use tokio_test::{assert_ready_err, assert_ready_ok};

use crate::races::{Step, races};
use crate::support::{panic_of, poll, served, wait, waits, watch};

/// How many permits each of the four methods got, now or never.
type Call = fn(&Arc<Semaphore>, u32, u32) -> Option<usize>;

const CALLS: [Call; 4] = [
    |sem, min, max| match poll(&mut sem.acquire_between(min..=max), Waker::noop()) {
        Poll::Ready(permits) => Some(permits.unwrap().num_permits()),
        Poll::Pending => None,
    },
    |sem, min, max| match poll(&mut Arc::clone(sem).acquire_between_owned(min..=max), Waker::noop())
    {
        Poll::Ready(permits) => Some(permits.unwrap().num_permits()),
        Poll::Pending => None,
    },
    |sem, min, max| sem.try_acquire_between(min..=max).ok().map(|permits| permits.num_permits()),
    |sem, min, max| {
        Arc::clone(sem)
            .try_acquire_between_owned(min..=max)
            .ok()
            .map(|permits| permits.num_permits())
    },
];

#[test]
fn takes_as_many_as_are_free() {
    watch();
    for free in 0..6 {
        let sem = Arc::new(Semaphore::new(free));
        for call in CALLS {
            for min in 0..6_u32 {
                for max in min..7 {
                    let expected = (min as usize <= free).then_some(free.min(max as usize));
                    assert_eq!(call(&sem, min, max), expected, "{min}..={max} of {free}");
                    assert_eq!(sem.available_permits(), free);
                }
            }
        }
    }
}

#[test]
fn the_largest_numbers() {
    watch();
    let sem = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
    let all = u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX);
    for call in CALLS {
        for min in [0, 1, all] {
            assert_eq!(call(&sem, min, u32::MAX), Some(all as usize));
            assert_eq!(sem.available_permits(), Semaphore::MAX_PERMITS);
        }
    }
}

#[test]
fn nothing_is_free_while_somebody_waits() {
    let sem = Arc::new(Semaphore::new(1));
    let mut first = wait(sem.acquire_many(2));
    for call in CALLS {
        assert_eq!(call(&sem, 1, 3), None);
        assert_eq!(call(&sem, 0, 3), Some(0), "none is no wait");
    }
    waits(&mut first);
    sem.add_permits(1);
    assert_eq!(served(&mut first).unwrap().num_permits(), 2);
}

#[test]
fn waits_for_the_least_and_takes_what_is_free_when_it_returns() {
    let sem = Semaphore::new(0);
    // What it gets of so many that come at once.
    for (comes, gets) in [(2, 2), (3, 3), (4, 4), (5, 4)] {
        let mut waiter = wait(sem.acquire_between(2..=4));
        sem.add_permits(1);
        waits(&mut waiter);
        assert_eq!(sem.available_permits(), 0);
        sem.add_permits(comes - 1);
        assert_eq!(sem.available_permits(), comes - 2);
        let permits = served(&mut waiter).unwrap();
        assert_eq!(permits.num_permits(), gets);
        assert_eq!(sem.available_permits(), comes - gets);
        drop(permits);
        assert_eq!(sem.forget_permits(9), comes);
    }
}

#[test]
fn the_owned_one_waits_too() {
    watch();
    let sem = Arc::new(Semaphore::new(0));
    let mut waiter: AcquireBetweenOwned = Arc::clone(&sem).acquire_between_owned(1..=3);
    assert!(poll(&mut waiter, Waker::noop()).is_pending());
    sem.add_permits(2);
    let Poll::Ready(Ok(permits)) = poll(&mut waiter, Waker::noop()) else { panic!("granted") };
    assert_eq!(permits.num_permits(), 2);
    // It keeps nothing alive any more.
    let weak = Arc::downgrade(&sem);
    drop((sem, permits));
    assert!(weak.upgrade().is_none());
}

#[test]
fn takes_no_more_than_the_least_while_others_wait_behind() {
    let sem = Semaphore::new(0);
    let mut waiter = wait(sem.acquire_between(1..=10));
    let mut behind = wait(sem.acquire_many(3));
    let mut last = wait(sem.acquire_between(1..=2));
    sem.add_permits(3);
    assert_eq!(served(&mut waiter).map(|permits| permits.num_permits()).unwrap(), 1);
    // The guard is gone: the third comes back.
    assert_eq!(served(&mut behind).map(semafair::SemaphorePermit::forget).unwrap(), ());
    waits(&mut last);
    sem.add_permits(5);
    assert_eq!(served(&mut last).unwrap().num_permits(), 2);
    assert_eq!(sem.available_permits(), 5);
}

#[test]
fn a_newcomer_may_come_between_the_grant_and_the_poll() {
    let sem = Semaphore::new(0);
    let mut waiter = wait(sem.acquire_between(2..=9));
    sem.add_permits(4);
    let newcomer = sem.try_acquire().unwrap();
    assert_eq!(served(&mut waiter).unwrap().num_permits(), 3);
    drop(newcomer);
    assert_eq!(sem.available_permits(), 4);
}

#[test]
fn dropped_it_gives_all_back() {
    let sem = Semaphore::new(1);
    let waiter = wait(sem.acquire_between(2..=3));
    let mut behind = wait(sem.acquire());
    drop(waiter);
    drop(served(&mut behind).unwrap());
    // Granted, and not polled since.
    let waiter = wait(sem.acquire_between(2..=3));
    sem.add_permits(2);
    drop(waiter);
    assert_eq!(sem.available_permits(), 3);
    drop(sem.acquire_between(1..=2));
    assert_eq!(sem.available_permits(), 3);
}

#[test]
fn enqueued_it_takes_what_is_free_then() {
    let sem = Semaphore::new(3);
    let mut waiter = sem.acquire_between(1..=5);
    waiter.enqueue();
    assert!(!waiter.is_queued());
    assert_eq!(sem.available_permits(), 0);
    sem.add_permits(1);
    let Poll::Ready(Ok(permits)) = poll(&mut waiter, Waker::noop()) else { panic!("granted") };
    assert_eq!(permits.num_permits(), 3);
    // Dropped unpolled.
    let mut waiter = sem.acquire_between(1..=5);
    waiter.enqueue();
    assert_eq!(sem.available_permits(), 0);
    drop(waiter);
    assert_eq!(sem.available_permits(), 1);
}

#[test]
fn closed_it_is_refused() {
    watch();
    let sem = Arc::new(Semaphore::new(3));
    let mut waiter = wait(sem.acquire_between(4..=5));
    sem.close();
    assert!(served(&mut waiter).is_err());
    assert_ready_err!(spawn(sem.acquire_between(0..=5)).poll());
    assert_ready_err!(spawn(Arc::clone(&sem).acquire_between_owned(1..=5)).poll());
    for min in 0..2 {
        let error = sem.try_acquire_between(min..=5).unwrap_err();
        assert_eq!(error, TryAcquireError::Closed);
        let error = Arc::clone(&sem).try_acquire_between_owned(min..=5).unwrap_err();
        assert_eq!(error, TryAcquireError::Closed);
    }
    assert_eq!(sem.available_permits(), 3);
}

#[test]
fn granted_before_the_close_it_gets_the_least() {
    let sem = Semaphore::new(0);
    let mut waiter = wait(sem.acquire_between(1..=5));
    sem.add_permits(3);
    sem.close();
    assert_eq!(served(&mut waiter).unwrap().num_permits(), 1);
    assert_eq!(sem.available_permits(), 3);
}

#[test]
fn too_few_is_no_permits() {
    let sem = Arc::new(Semaphore::new(1));
    let error = sem.try_acquire_between(2..=3).unwrap_err();
    assert_eq!(error, TryAcquireError::NoPermits);
    let error = Arc::clone(&sem).try_acquire_between_owned(2..=3).unwrap_err();
    assert_eq!(error, TryAcquireError::NoPermits);
    assert_eq!(Arc::strong_count(&sem), 1);
}

#[test]
#[expect(clippy::reversed_empty_ranges, reason = "that is the mistake")]
fn an_empty_range_panics_at_the_call_and_changes_nothing() {
    let sem = Arc::new(Semaphore::new(9));
    let text = "no number of permits is in the range 3..=2";
    assert_eq!(panic_of(|| drop(sem.acquire_between(3..=2))), text);
    assert_eq!(panic_of(|| drop(Arc::clone(&sem).acquire_between_owned(3..=2))), text);
    assert_eq!(panic_of(|| drop(sem.try_acquire_between(3..=2))), text);
    assert_eq!(panic_of(|| drop(Arc::clone(&sem).try_acquire_between_owned(3..=2))), text);
    // One that an iterator has used up.
    let mut used = 2..=3;
    assert_eq!(used.by_ref().count(), 2);
    let text = panic_of(|| drop(sem.acquire_between(used)));
    assert!(text.starts_with("no number of permits is in the range"), "{text}");
    assert_eq!(sem.available_permits(), 9);
    assert_eq!(Arc::strong_count(&sem), 1);
}

#[test]
fn polled_after_it_returned_it_panics() {
    let sem = Arc::new(Semaphore::new(9));
    let mut borrowed = spawn(sem.acquire_between(1..=2));
    let mut owned = spawn(Arc::clone(&sem).acquire_between_owned(1..=2));
    drop((assert_ready_ok!(borrowed.poll()), assert_ready_ok!(owned.poll())));
    let panics = [panic_of(|| drop(borrowed.poll())), panic_of(|| drop(owned.poll()))];
    assert_eq!(panics[0], "`AcquireBetween` polled after completion");
    assert_eq!(panics[1], "`AcquireBetweenOwned` polled after completion");
    assert_eq!(sem.available_permits(), 9);
}

#[test]
fn debug_says_how_many_and_how_far() {
    let sem = Arc::new(Semaphore::new(1));
    let mut waits: AcquireBetween<'_> = sem.acquire_between(2..=5);
    assert_eq!(format!("{waits:?}"), "AcquireBetween { permits: 2, more: 3, state: New, .. }");
    waits.enqueue();
    assert_eq!(format!("{waits:?}"), "AcquireBetween { permits: 2, more: 3, state: Waiting, .. }");
    let owned = Arc::clone(&sem).acquire_between_owned(0..=2);
    let text = "AcquireBetweenOwned { permits: 0, more: 2, state: New, .. }";
    assert_eq!(format!("{owned:?}"), text);
}

fn asks(rng: &mut Rng) -> Vec<Step> {
    let min = rng.u32(1..4);
    let max = min + rng.u32(0..3);
    match rng.u8(..4) {
        0 => vec![Step::TryBetween(rng.u32(0..2), max)],
        1 => vec![Step::AskBetween(min, max)],
        2 => vec![Step::AskBetween(min, max), Step::AskAgain(1)],
        _ => vec![Step::AskBetween(min, max), Step::LeaveLast],
    }
}

#[test]
fn races_with_a_release() {
    races(8_000, [asks, |rng| [[Step::Release], [Step::Add(2)]][rng.usize(..2)].into()]);
}

#[test]
fn races_with_anything() {
    races(8_000, [asks, Step::some]);
    races(2_000, [asks, asks, Step::some]);
}
