//! What went wrong in other semaphores, and must not go wrong here. One test for each bug, by the
//! name of the project and the number of its issue where there is one. That cancelled waiters pile
//! up (tokio#2237) is in `tests/memory.rs`, which counts bytes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use semafair::{PollSemaphore, Semaphore, TryAcquireError};

use crate::races::{Step, races};
use crate::support::hooks::Hooked;
use crate::support::{Wakes, panic_of, poll, served, wait, waits};

/// The head asked for more than there was and left; those behind, for whom there was enough, slept
/// on until somebody released (futures-intrusive#61, embassy#6964, Go#37852).
#[test]
fn futures_intrusive_61_cancelled_head_strands_its_followers() {
    let sem = Semaphore::new(4);
    let big = wait(sem.acquire_many(5));
    let mut line: Vec<_> = [1, 1, 2, 1].map(|n| wait(sem.acquire_many(n))).into();
    line.iter_mut().for_each(waits);
    // No release: what was kept for the head covers three of the four.
    drop(big);
    waits(&mut line[3]);
    for task in &mut line[..3] {
        served(task).unwrap().forget();
    }
    assert_eq!(sem.available_permits(), 0);
}

/// A waiter that had been woken was cancelled before it ran, and nobody else was woken in its place
/// (cpython#90155).
#[test]
fn cpython_90155_cancelled_after_its_grant_loses_the_permit() {
    let sem = Semaphore::new(0);
    let mut first = wait(sem.acquire());
    let mut second = wait(sem.acquire());
    sem.add_permits(1);
    assert!(first.is_woken());
    waits(&mut second);
    drop(first);
    served(&mut second).unwrap().forget();
    assert_eq!(sem.available_permits(), 0);

    first = wait(sem.acquire());
    sem.add_permits(1);
    drop(first);
    assert_eq!(sem.available_permits(), 1, "nobody waits: it is free");
}

/// Releases that met the cancel of a waiter left a wrong count (kotlinx.coroutines#1477).
#[test]
fn kotlin_1477_release_against_cancel_leaks_a_permit() {
    races(40_000, [|_| vec![Step::Leave], |rng| vec![Step::Add(rng.usize(1..4))]]);
}

/// Every cancel woke the next waiter, whether or not there was a permit to pass on
/// (kotlinx.coroutines#1323).
#[test]
fn kotlin_1323_ungranted_cancel_grants_the_next() {
    for leaver in 0..4 {
        let sem = Semaphore::new(0);
        let mut line: Vec<_> = (0..4).map(|_| wait(sem.acquire())).collect();
        drop(line.remove(leaver));
        line.iter_mut().for_each(waits);
        for i in 0..3 {
            sem.add_permits(1);
            line[i + 1..].iter_mut().for_each(waits);
            served(&mut line[i]).unwrap().forget();
        }
        sem.add_permits(1);
        assert_eq!(sem.available_permits(), 1, "nobody is owed anything any more");
    }
}

/// Whoever was cancelled while it waited counted as if it had entered, and let in one too many
/// when it left (vs-threading#521).
#[tokio::test(start_paused = true)]
async fn vs_threading_521_cancelled_requests_let_too_many_in() {
    let sem = Semaphore::new(1);
    let permit = sem.acquire().await.unwrap();
    for _ in 0..100 {
        tokio::time::timeout(Duration::from_secs(1), sem.acquire()).await.unwrap_err();
    }
    drop(permit);
    assert_eq!(sem.available_permits(), 1);
}

/// Closed was a bit of the count, and forgetting permits wiped it out (tokio#8020).
#[test]
fn tokio_8020_forgetting_permits_opens_it_again() {
    let sem = Semaphore::new(3);
    let held = sem.try_acquire().unwrap();
    sem.close();
    assert_eq!(sem.forget_permits(1), 1);
    assert!(sem.is_closed());
    assert_eq!(sem.forget_permits(9), 1);
    assert!(sem.is_closed());
    assert_eq!(sem.forget_permits(9), 0);
    held.forget();
    assert!(sem.is_closed());
    sem.add_permits(2);
    assert!(sem.is_closed());
    assert!(matches!(poll(&mut sem.acquire(), Waker::noop()), Poll::Ready(Err(_))));
    assert_eq!(sem.available_permits(), 2);
}

/// Closing took its lock anew for each batch of wakers, and those woken by the first found the
/// semaphore as if it were open (maitake).
#[test]
fn maitake_close_is_lost_between_wake_batches() {
    let sem = Arc::new(Semaphore::new(1));
    let refused = Rc::new(Cell::new(0));
    let mut line = Vec::new();
    for _ in 0..200 {
        let hooked = Hooked::new();
        let mut future = sem.acquire_many(500);
        assert!(poll(&mut future, &hooked.waker()).is_pending());
        line.push(future);
        let (sem, refused) = (Arc::clone(&sem), Rc::clone(&refused));
        hooked.on_wake(move || {
            assert!(sem.is_closed());
            sem.add_permits(2);
            assert_eq!(sem.try_acquire().unwrap_err(), TryAcquireError::Closed);
            assert!(matches!(poll(&mut sem.acquire(), Waker::noop()), Poll::Ready(Err(_))));
            refused.set(refused.get() + 1);
        });
    }
    sem.close();
    assert_eq!(refused.get(), 200);
    for mut future in line {
        assert!(matches!(poll(&mut future, Waker::noop()), Poll::Ready(Err(_))));
    }
    assert_eq!(sem.available_permits(), 401);
}

/// One waker of a batch panicked: permits that were still to be handed out were gone with it, and
/// those behind slept on (tokio, saa).
#[test]
fn tokio_panicking_waker_loses_permits() {
    let sem = Semaphore::new(0);
    let bad = Hooked::new();
    bad.on_wake(|| panic!("a bad waker"));
    let mut first = sem.acquire();
    assert!(poll(&mut first, &bad.waker()).is_pending());
    let mut line: Vec<_> = (1..40).map(|_| wait(sem.acquire())).collect();
    assert_eq!(panic_of(|| sem.add_permits(50)), "a bad waker");
    assert_eq!(sem.available_permits(), 10);
    line.iter_mut().for_each(|task| served(task).unwrap().forget());
    drop(first);
    assert_eq!(sem.available_permits(), 11);
}

/// A waker that came back to the semaphore when it was woken found the lock taken, by its own
/// thread (async-lock).
#[test]
fn async_lock_wake_that_comes_back_deadlocks() {
    let sem = Arc::new(Semaphore::new(0));
    let hooked = Hooked::new();
    let slot = Rc::new(RefCell::new(Some(Arc::clone(&sem).acquire_owned())));
    let mut future = slot.take().unwrap();
    assert!(poll(&mut future, &hooked.waker()).is_pending());
    slot.replace(Some(future));
    let inner = Rc::clone(&slot);
    let granted = Rc::new(Cell::new(false));
    let seen = Rc::clone(&granted);
    hooked.on_wake(move || {
        let mut future = inner.take().unwrap();
        seen.set(matches!(poll(&mut future, Waker::noop()), Poll::Ready(Ok(_))));
    });
    sem.add_permits(1);
    hooked.no_more_hooks();
    assert!(granted.get(), "granted before it is woken");
    assert_eq!(sem.available_permits(), 1);
}

/// The same when a replaced waker was dropped (tokio#5429), and when a waker was cloned (tokio).
#[test]
fn tokio_5429_clone_or_drop_that_comes_back_deadlocks() {
    let sem = Arc::new(Semaphore::new(0));
    let (old, new) = (Hooked::new(), Hooked::new());
    let mut future = sem.acquire_many(4);
    let add = || {
        let sem = Arc::clone(&sem);
        move || sem.add_permits(1)
    };
    old.on_clone(add());
    assert!(poll(&mut future, &old.waker()).is_pending());
    new.on_clone(add());
    old.on_drop(add());
    assert!(poll(&mut future, &new.waker()).is_pending());
    assert_eq!((old.live(), new.live()), (0, 1));
    sem.add_permits(1);
    assert_eq!(new.wakes(), 1);
    assert!(matches!(poll(&mut future, Waker::noop()), Poll::Ready(Ok(_))));
    assert_eq!(sem.available_permits(), 4);
}

/// Two permits came back before the first waiter was polled, and only that one was woken
/// (async-lock#18).
#[test]
fn async_lock_18_second_release_wakes_nobody() {
    let sem = Semaphore::new(2);
    let (one, two) = (sem.try_acquire().unwrap(), sem.try_acquire().unwrap());
    let mut first = wait(sem.acquire());
    let mut second = wait(sem.acquire());
    drop(one);
    drop(two);
    assert!(first.is_woken() && second.is_woken());
    drop(served(&mut first).unwrap());
    drop(served(&mut second).unwrap());
    assert_eq!(sem.available_permits(), 2);
}

/// A permit counted in 32 bits, and merging wrapped (tokio#8395).
#[test]
#[cfg(target_pointer_width = "64")]
fn tokio_8395_merging_wraps_at_32_bits() {
    let sem = Semaphore::new(1 << 34);
    let mut all = sem.try_acquire_many(u32::MAX).unwrap();
    for _ in 0..3 {
        all.merge(sem.try_acquire_many(u32::MAX).unwrap());
    }
    assert_eq!(all.num_permits(), 4 * (u32::MAX as usize));
    assert_eq!(sem.available_permits(), 4);
    let part = all.split(3 * (u32::MAX as usize)).unwrap();
    assert_eq!(all.num_permits(), u32::MAX as usize);
    drop(part);
    assert_eq!(sem.available_permits(), 3 * (u32::MAX as usize) + 4);
    drop(all);
    assert_eq!(sem.available_permits(), 1 << 34);
}

/// A request for more than there can ever be was not refused (tokio#8548).
#[test]
#[cfg(target_pointer_width = "32")]
fn tokio_8548_request_beyond_the_limit_wraps() {
    let sem = Semaphore::new(1);
    let mut future = sem.acquire_many(u32::MAX);
    assert!(panic_of(|| poll(&mut future, Waker::noop())).contains("MAX_PERMITS"));
    assert!(panic_of(|| sem.try_acquire_many(u32::MAX)).contains("MAX_PERMITS"));
    drop(future);
    assert_eq!(sem.available_permits(), 1);
}

/// Adding too many panicked when they were already in the count (tokio).
#[test]
fn tokio_add_permits_overflows_before_it_panics() {
    const MAX: usize = Semaphore::MAX_PERMITS;
    for there in [0, 1, 5, MAX - 1, MAX] {
        let sem = Semaphore::new(there);
        for too_many in [MAX - there + 1, MAX + 1, usize::MAX - 1, usize::MAX] {
            let text = panic_of(|| sem.add_permits(too_many));
            assert!(text.contains("MAX_PERMITS"), "{text}");
            assert_eq!(sem.available_permits(), there, "nothing has changed");
        }
        sem.add_permits(MAX - there);
        sem.add_permits(0);
        assert_eq!(sem.available_permits(), MAX);
    }
}

/// Asked for another number, it went on with the request it had, and gave that many
/// (tokio#5137, as it was proposed).
#[test]
fn tokio_5137_another_count_gets_what_was_asked_before() {
    let sem = Arc::new(Semaphore::new(0));
    let mut handle = PollSemaphore::new(Arc::clone(&sem));
    let wakes = Wakes::new();
    let waker = wakes.waker();
    let cx = &mut Context::from_waker(&waker);
    assert!(handle.poll_acquire_many(cx, 3).is_pending());
    sem.add_permits(3);
    assert_eq!((wakes.count(), sem.available_permits()), (1, 0));
    let Poll::Ready(Some(one)) = handle.poll_acquire(cx) else { panic!("three are there") };
    assert_eq!(one.num_permits(), 1);
    assert_eq!(sem.available_permits(), 2);

    // Granted three, it asks for one: first come is the one behind.
    assert!(handle.poll_acquire_many(cx, 3).is_pending());
    let mut behind = wait(sem.acquire());
    drop(one);
    assert!(matches!(handle.poll_acquire(cx), Poll::Ready(Some(_))));
    drop(served(&mut behind).unwrap());

    // Dropped while it waits, it passes on what it had.
    assert!(handle.poll_acquire_many(cx, 4).is_pending());
    let mut behind = wait(sem.acquire_many(3));
    drop(handle);
    drop(served(&mut behind).unwrap());
    assert_eq!(sem.available_permits(), 3);
}

/// A cancel took its place out of the line that a close had emptied meanwhile (vs-threading#924).
#[test]
fn vs_threading_924_cancel_meets_a_closed_line() {
    for first in 0..4 {
        for second in (0..4).filter(|i| *i != first) {
            let sem = Semaphore::new(3);
            let mut line = [5, 1, 2, 4].map(|n| Some(wait(sem.acquire_many(n))));
            drop(line[first].take());
            sem.close();
            drop(line[second].take());
            drop(line);
            assert_eq!(sem.available_permits(), 3);
        }
    }
    races(20_000, [|_| vec![Step::Leave], |_| vec![Step::Close]]);
}
