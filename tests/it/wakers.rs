//! Who is woken, how often, by which waker; and no waker is kept longer than it is needed.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use semafair::Semaphore;

use crate::support::hooks::Hooked;
use crate::support::{Wakes, poll};

#[test]
fn one_grant_is_one_wake() {
    let sem = Semaphore::new(0);
    let wakes = [Wakes::new(), Wakes::new(), Wakes::new()];
    let mut line: Vec<_> = wakes.iter().map(|_| sem.acquire_many(2)).collect();
    for (future, wakes) in line.iter_mut().zip(&wakes) {
        assert!(wakes.poll(future).is_pending());
    }
    let counts = || wakes.each_ref().map(|w| w.count());
    sem.add_permits(1);
    assert_eq!(counts(), [0, 0, 0], "half of it is no reason to wake");
    sem.add_permits(2);
    assert_eq!(counts(), [1, 0, 0]);
    sem.add_permits(3);
    assert_eq!(counts(), [1, 1, 1]);
    sem.add_permits(3);
    assert_eq!(counts(), [1, 1, 1]);
    for (future, wakes) in line.iter_mut().zip(&wakes) {
        let Poll::Ready(Ok(permit)) = wakes.poll(future) else { panic!("granted") };
        permit.forget();
    }
    assert_eq!(counts(), [1, 1, 1]);
}

#[test]
fn no_wake_for_one_who_need_not_wait() {
    let sem = Semaphore::new(1);
    let wakes = Wakes::new();
    let mut future = sem.acquire();
    let Poll::Ready(Ok(permit)) = wakes.poll(&mut future) else { panic!("one is free") };
    drop(permit);
    drop(future);
    sem.close();
    assert_eq!(wakes.count(), 0);
    assert_eq!(Arc::strong_count(&wakes), 1);
}

#[test]
fn only_the_latest_waker_is_woken() {
    let sem = Semaphore::new(0);
    let (old, older, new) = (Wakes::new(), Wakes::new(), Wakes::new());
    let mut future = sem.acquire();
    for wakes in [&older, &old, &new] {
        assert!(wakes.poll(&mut future).is_pending());
    }
    assert_eq!(Arc::strong_count(&older), 1, "a replaced waker is dropped at once");
    assert_eq!(Arc::strong_count(&old), 1);
    sem.add_permits(1);
    assert_eq!((older.count(), old.count(), new.count()), (0, 0, 1));
}

#[test]
fn the_first_waker_can_come_back() {
    let sem = Semaphore::new(0);
    let (a, b) = (Wakes::new(), Wakes::new());
    let mut future = sem.acquire();
    for _ in 0..1000 {
        assert!(a.poll(&mut future).is_pending());
        assert!(b.poll(&mut future).is_pending());
    }
    assert!(a.poll(&mut future).is_pending());
    sem.add_permits(1);
    assert_eq!((a.count(), b.count()), (1, 0));
}

#[test]
fn a_big_request_is_woken_by_its_latest_waker_when_it_is_full() {
    let sem = Semaphore::new(0);
    let mut future = sem.acquire_many(50);
    let mut last = Wakes::new();
    for unit in 0..50 {
        let wakes = Wakes::new();
        assert!(wakes.poll(&mut future).is_pending());
        assert_eq!((last.count(), Arc::strong_count(&last)), (0, 1), "unit {unit}");
        last = wakes;
        sem.add_permits(1);
    }
    assert_eq!(last.count(), 1);
    assert!(last.poll(&mut future).is_ready());
}

#[test]
fn polling_again_with_the_same_waker_keeps_one() {
    let sem = Semaphore::new(0);
    let wakes = Wakes::new();
    let waker = wakes.waker();
    let mut future = sem.acquire();
    for _ in 0..10 {
        assert!(poll(&mut future, &waker).is_pending());
        assert_eq!(Arc::strong_count(&wakes), 3, "the test's two, and one in line");
    }
    sem.add_permits(1);
    assert_eq!(wakes.count(), 1);
    assert_eq!(Arc::strong_count(&wakes), 2, "waking consumes it");
}

#[test]
fn polling_again_with_the_same_waker_clones_none() {
    let sem = Semaphore::new(0);
    let hooked = Hooked::new();
    let waker = hooked.waker();
    let mut future = sem.acquire();
    assert!(poll(&mut future, &waker).is_pending());
    hooked.on_clone(|| panic!("it has one already"));
    assert!(poll(&mut future, &waker).is_pending());
    hooked.no_more_hooks();
}

#[test]
fn a_waker_goes_with_its_future() {
    let sem = Semaphore::new(0);
    for _ in 0..3 {
        let wakes = Wakes::new();
        let mut future = sem.acquire();
        assert!(wakes.poll(&mut future).is_pending());
        assert_eq!(Arc::strong_count(&wakes), 2);
        drop(future);
        assert_eq!((wakes.count(), Arc::strong_count(&wakes)), (0, 1));
    }
}

#[test]
fn a_waker_goes_from_the_middle_of_the_line() {
    let sem = Semaphore::new(0);
    let wakes: Vec<_> = (0..200).map(|_| Wakes::new()).collect();
    let mut line: Vec<_> = wakes.iter().map(|_| Some(sem.acquire())).collect();
    for (future, wakes) in line.iter_mut().flatten().zip(&wakes) {
        assert!(wakes.poll(future).is_pending());
    }
    for i in (1..200).step_by(2) {
        line[i] = None;
        assert_eq!(Arc::strong_count(&wakes[i]), 1);
    }
    sem.add_permits(50);
    for (i, wakes) in wakes.iter().enumerate() {
        let waiting = i % 2 == 0 && i >= 100;
        let woken = i % 2 == 0 && i < 100;
        assert_eq!(wakes.count(), usize::from(woken), "number {i}");
        assert_eq!(Arc::strong_count(wakes), 1 + usize::from(waiting), "number {i}");
    }
}

#[test]
fn close_wakes_once_and_keeps_no_waker() {
    let sem = Semaphore::new(1);
    let wakes: Vec<_> = (0..100).map(|_| Wakes::new()).collect();
    let mut line: Vec<_> = wakes.iter().map(|_| sem.acquire_many(2)).collect();
    for (future, wakes) in line.iter_mut().zip(&wakes) {
        assert!(wakes.poll(future).is_pending());
    }
    sem.close();
    for wakes in &wakes {
        assert_eq!((wakes.count(), Arc::strong_count(wakes)), (1, 1));
    }
    sem.add_permits(1);
    drop(line);
    sem.close();
    for wakes in &wakes {
        assert_eq!(wakes.count(), 1);
    }
}

#[test]
fn a_forgotten_future_leaves_its_waker_to_the_semaphore() {
    let sem = Semaphore::new(0);
    let wakes: Vec<_> = (0..100).map(|_| Wakes::new()).collect();
    for wakes in &wakes {
        let mut future = sem.acquire();
        assert!(wakes.poll(&mut future).is_pending());
        mem::forget(future);
    }
    // Some of them are even granted what nobody will ever fetch. (Not so many that the line goes on from
    // their memory, which leaks then, as `tests/memory.rs` says.)
    sem.add_permits(2);
    assert_eq!(wakes.iter().map(|w| w.count()).sum::<usize>(), 2);
    for wakes in &wakes[2..] {
        assert_eq!(Arc::strong_count(wakes), 2);
    }
    drop(sem);
    for wakes in &wakes {
        assert_eq!(Arc::strong_count(wakes), 1, "dropped with the semaphore");
    }
}

#[test]
fn a_forgotten_future_is_woken_by_close() {
    let sem = Semaphore::new(0);
    let wakes = Wakes::new();
    let mut future = sem.acquire();
    assert!(wakes.poll(&mut future).is_pending());
    mem::forget(future);
    sem.close();
    assert_eq!((wakes.count(), Arc::strong_count(&wakes)), (1, 1));
    sem.add_permits(1);
    assert_eq!(sem.available_permits(), 1);
}

#[test]
fn one_waker_may_wait_in_many_places() {
    let sem = Semaphore::new(0);
    let wakes = Wakes::new();
    let waker = wakes.waker();
    let mut line: Vec<_> = (0..10).map(|_| sem.acquire()).collect();
    for future in &mut line {
        assert!(poll(future, &waker).is_pending());
    }
    drop(line.remove(3));
    sem.add_permits(4);
    assert_eq!(wakes.count(), 4);
    drop(line);
    assert_eq!(sem.available_permits(), 4);
    assert_eq!(Arc::strong_count(&wakes), 2);
}

#[test]
fn a_grant_passed_on_wakes_the_next_only() {
    let sem = Semaphore::new(0);
    let wakes: Vec<_> = (0..50).map(|_| Wakes::new()).collect();
    let mut line: Vec<_> = wakes.iter().map(|_| sem.acquire()).collect();
    for (future, wakes) in line.iter_mut().zip(&wakes) {
        assert!(wakes.poll(future).is_pending());
    }
    sem.add_permits(1);
    for (i, future) in line.into_iter().enumerate() {
        let woken: Vec<_> = wakes.iter().map(|w| w.count()).collect();
        let expected: Vec<_> = (0..50).map(|j| usize::from(j <= i)).collect();
        assert_eq!(woken, expected);
        drop(future);
    }
    assert_eq!(sem.available_permits(), 1);
}

#[test]
fn a_waker_is_not_needed_to_fail_or_to_succeed() {
    // Ready at once: whether granted, or closed, the waker is not even cloned.
    let wakes = Wakes::new();
    let waker = wakes.waker();
    let cx = &mut Context::from_waker(&waker);
    let sem = Semaphore::new(1);
    let mut future = std::pin::pin!(sem.acquire());
    let Poll::Ready(Ok(permit)) = future.as_mut().poll(cx) else { panic!("one is free") };
    assert_eq!(Arc::strong_count(&wakes), 2);
    sem.close();
    let mut future = std::pin::pin!(sem.acquire());
    assert!(matches!(future.as_mut().poll(cx), Poll::Ready(Err(_))));
    assert_eq!(Arc::strong_count(&wakes), 2);
    drop(permit);
}
