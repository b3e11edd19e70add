//! `enqueue` asks before the first poll: the order of the calls is the order of service.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use fastrand::Rng;
use semafair::{Acquire, AcquireOwned, Semaphore};

use crate::races::{Step, races};
use crate::support::hooks::Hooked;
use crate::support::{Wakes, panic_of, poll, wait, waits, watch};

/// The four futures that have it, each of `n` permits.
macro_rules! each {
    (|$sem:ident, $future:ident| $test:block) => {{
        watch();
        let sem = || Arc::new(Semaphore::new(0));
        let $sem = sem();
        let mut $future = $sem.acquire_many(2);
        $test
        let $sem = sem();
        let mut $future = Arc::clone(&$sem).acquire_many_owned(2);
        $test
        let $sem = sem();
        let mut $future = $sem.acquire_between(2..=2);
        $test
        let $sem = sem();
        let mut $future = Arc::clone(&$sem).acquire_between_owned(2..=2);
        $test
    }};
}

#[test]
fn takes_what_is_free_at_once() {
    each!(|sem, future| {
        sem.add_permits(3);
        assert!(!future.is_queued());
        future.enqueue();
        assert!(!future.is_queued());
        assert_eq!(sem.available_permits(), 1);
        future.enqueue();
        assert_eq!(sem.available_permits(), 1);
        let Poll::Ready(Ok(permits)) = poll(&mut future, Waker::noop()) else { panic!("granted") };
        assert_eq!(permits.num_permits(), 2);
        drop(permits);
        assert_eq!(sem.available_permits(), 3);
        // It is over.
        future.enqueue();
        assert!(!future.is_queued());
        assert_eq!(sem.available_permits(), 3);
        panic_of(|| poll(&mut future, Waker::noop()));
    });
}

#[test]
fn waits_in_the_line_and_wakes_whom_the_next_poll_names() {
    each!(|sem, future| {
        sem.add_permits(1);
        future.enqueue();
        assert!(future.is_queued());
        assert_eq!(sem.available_permits(), 0);
        let wakes = Wakes::new();
        assert!(wakes.poll(&mut future).is_pending());
        assert_eq!(wakes.count(), 0);
        future.enqueue();
        assert!(future.is_queued());
        sem.add_permits(1);
        assert_eq!(wakes.count(), 1);
        assert!(!future.is_queued());
        assert!(matches!(wakes.poll(&mut future), Poll::Ready(Ok(_))));
    });
}

#[test]
fn what_comes_before_the_first_poll_is_kept_for_it() {
    each!(|sem, future| {
        future.enqueue();
        sem.add_permits(1);
        assert!(future.is_queued());
        sem.add_permits(2);
        assert!(!future.is_queued());
        assert_eq!(sem.available_permits(), 1);
        let Poll::Ready(Ok(permits)) = poll(&mut future, Waker::noop()) else { panic!("granted") };
        assert_eq!(permits.num_permits(), 2);
    });
}

#[test]
fn dropped_unpolled_it_loses_nothing() {
    // It has all, it waits, it has a part, it was granted, it was refused.
    let starts: [(&[usize], &[usize]); 4] =
        [(&[3], &[]), (&[], &[]), (&[1], &[]), (&[], &[1, 1, 1])];
    for (before, after) in starts {
        for close in [false, true] {
            each!(|sem, future| {
                before.iter().for_each(|n| sem.add_permits(*n));
                future.enqueue();
                let mut behind = sem.acquire();
                let wakes = Wakes::new();
                let behind_waits = wakes.poll(&mut behind).is_pending();
                after.iter().for_each(|n| sem.add_permits(*n));
                if close {
                    sem.close();
                }
                drop(future);
                let total: usize = before.iter().chain(after).sum();
                if total > 0 && behind_waits {
                    assert_eq!(wakes.count(), 1, "what it had goes to the next");
                }
                drop(behind);
                assert_eq!(sem.available_permits(), total);
            });
        }
    }
}

#[test]
fn the_order_of_the_calls_is_the_order_of_service() {
    watch();
    let sem = Semaphore::new(0);
    let mut all: Vec<_> = (0..50).map(|_| (sem.acquire(), Wakes::new())).collect();
    all.iter_mut().for_each(|(future, _)| future.enqueue());
    // Polled in the reverse order; one in three never.
    for (i, (future, wakes)) in all.iter_mut().enumerate().rev() {
        assert!(i % 3 == 0 || wakes.poll(future).is_pending());
    }
    for i in 0..all.len() {
        assert!(all[i..].iter().all(|(future, _)| future.is_queued()));
        sem.add_permits(1);
        assert!(!all[i].0.is_queued());
        assert_eq!(all[i].1.count(), usize::from(i % 3 != 0));
    }
    for (future, wakes) in &mut all {
        let Poll::Ready(Ok(permit)) = wakes.poll(future) else { panic!("granted") };
        permit.forget();
    }
}

#[test]
fn it_overtakes_nobody() {
    let sem = Semaphore::new(1);
    let mut first = wait(sem.acquire_many(2));
    let mut second = sem.acquire();
    second.enqueue();
    assert!(second.is_queued());
    waits(&mut first);
    let mut nothing = sem.acquire_many(0);
    nothing.enqueue();
    assert!(!nothing.is_queued());
    assert!(matches!(poll(&mut nothing, Waker::noop()), Poll::Ready(Ok(_))));
}

#[test]
fn a_close_refuses_it() {
    each!(|sem, future| {
        sem.add_permits(1);
        future.enqueue();
        sem.close();
        assert!(!future.is_queued());
        assert!(matches!(poll(&mut future, Waker::noop()), Poll::Ready(Err(_))));
        assert_eq!(sem.available_permits(), 1);
    });
    each!(|sem, future| {
        sem.add_permits(1);
        sem.close();
        future.enqueue();
        assert!(!future.is_queued());
        assert_eq!(sem.available_permits(), 1);
        assert!(matches!(poll(&mut future, Waker::noop()), Poll::Ready(Err(_))));
        panic_of(|| poll(&mut future, Waker::noop()));
        future.enqueue();
        assert_eq!(sem.available_permits(), 1);
    });
}

/// A closer takes the waiters out of the line one after the other; but all are refused when the first is
/// woken.
#[test]
fn a_close_refuses_all_at_once() {
    watch();
    let sem = Arc::new(Semaphore::new(0));
    let hooked = Hooked::new();
    let mut head = Arc::clone(&sem).acquire_owned();
    assert!(poll(&mut head, &hooked.waker()).is_pending());
    // More than one batch of wakers.
    let mut others: Vec<_> = (0..1000).map(|_| Arc::clone(&sem).acquire_owned()).collect();
    others.iter_mut().for_each(AcquireOwned::enqueue);
    assert!(others.iter().all(AcquireOwned::is_queued));
    let still_queued = Rc::new(Cell::new(None));
    let seen = Rc::clone(&still_queued);
    hooked.on_wake(move || {
        seen.set(Some(others.iter().filter(|other| other.is_queued()).count()));
    });
    sem.close();
    assert_eq!(still_queued.get(), Some(0));
}

#[test]
fn granted_before_a_close_it_stays_granted() {
    each!(|sem, future| {
        future.enqueue();
        sem.add_permits(2);
        sem.close();
        assert!(matches!(poll(&mut future, Waker::noop()), Poll::Ready(Ok(_))));
        assert_eq!(sem.available_permits(), 2);
    });
}

#[test]
fn after_a_poll_it_does_nothing() {
    each!(|sem, future| {
        assert!(!future.is_queued());
        let wakes = Wakes::new();
        assert!(wakes.poll(&mut future).is_pending());
        assert!(future.is_queued());
        future.enqueue();
        sem.add_permits(2);
        assert_eq!(wakes.count(), 1);
        future.enqueue();
        assert!(matches!(wakes.poll(&mut future), Poll::Ready(Ok(_))));
        assert_eq!(sem.available_permits(), 2);
    });
}

#[test]
fn its_place_moves_along() {
    watch();
    let sem = Arc::new(Semaphore::new(0));
    let mut future: AcquireOwned = Arc::clone(&sem).acquire_owned();
    future.enqueue();
    let thread = std::thread::spawn(move || {
        let wakes = Wakes::new();
        assert!(wakes.poll(&mut future).is_pending());
        (future, wakes)
    });
    let (mut future, wakes) = thread.join().unwrap();
    sem.add_permits(1);
    assert_eq!(wakes.count(), 1);
    assert!(matches!(wakes.poll(&mut future), Poll::Ready(Ok(_))));
    let mut borrowed: Acquire<'_> = sem.acquire();
    borrowed.enqueue();
    assert_eq!(sem.available_permits(), 0);
}

/// A task that enqueues all its requests yields as others do.
#[cfg(feature = "tokio")]
#[test]
fn neighbours_have_their_turn() {
    use std::sync::atomic::{AtomicBool, Ordering};

    watch();
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        for others in 0..2 {
            let turn = Arc::new(AtomicBool::new(false));
            let neighbour = Arc::clone(&turn);
            tokio::spawn(async move { neighbour.store(true, Ordering::SeqCst) });
            let sem = Semaphore::new(1);
            let mut rounds = 0;
            while !turn.load(Ordering::SeqCst) {
                rounds += 1;
                assert!(rounds < 100_000, "the neighbour starves");
                // In whatever step with the count of the acquires of this thread.
                for _ in 0..others {
                    drop(sem.acquire().await.unwrap());
                }
                let mut future = sem.acquire();
                future.enqueue();
                drop(future.await.unwrap());
                let mut future = sem.acquire_between(1..=3);
                future.enqueue();
                drop(future.await.unwrap());
            }
        }
    });
}

fn asks_early(rng: &mut Rng) -> Vec<Step> {
    let n = rng.u32(1..4);
    match rng.u8(..4) {
        0 => vec![Step::Enqueue(n)],
        1 => vec![Step::EnqueueBetween(n, n + 1)],
        2 => vec![Step::Enqueue(n), Step::AskAgain(1)],
        _ => vec![Step::Enqueue(n), Step::LeaveLast],
    }
}

#[test]
fn races_with_a_cancel() {
    races(8_000, [asks_early, |rng| [[Step::Leave], [Step::LeaveLast]][rng.usize(..2)].into()]);
}

#[test]
fn races_with_a_close() {
    races(8_000, [asks_early, |_| vec![Step::Close]]);
}

#[test]
fn races_with_anything() {
    races(8_000, [asks_early, Step::some]);
    races(2_000, [asks_early, asks_early, Step::some]);
}
