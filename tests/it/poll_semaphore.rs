//! `PollSemaphore` waits without a future in the caller's hands: one place at a time, kept between
//! polls, given up when the count changes.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use semafair::{OwnedSemaphorePermit, PollSemaphore, Semaphore};

use crate::support::{Wakes, served, wait, waits, watch};

/// Polls for `n` with a waker of `wakes`.
fn ask(
    handle: &mut PollSemaphore,
    wakes: &Arc<Wakes>,
    n: u32,
) -> Poll<Option<OwnedSemaphorePermit>> {
    watch();
    handle.poll_acquire_many(&mut Context::from_waker(&wakes.waker()), n)
}

#[track_caller]
fn got(answer: Poll<Option<OwnedSemaphorePermit>>) -> OwnedSemaphorePermit {
    match answer {
        Poll::Ready(Some(permit)) => permit,
        Poll::Ready(None) => panic!("closed"),
        Poll::Pending => panic!("it should have been served"),
    }
}

fn new(permits: usize) -> (Arc<Semaphore>, PollSemaphore, Arc<Wakes>) {
    let sem = Arc::new(Semaphore::new(permits));
    (Arc::clone(&sem), PollSemaphore::new(sem), Wakes::new())
}

#[test]
fn takes_what_is_free_and_asks_again() {
    let (sem, mut handle, wakes) = new(3);
    let cx = &mut Context::from_waker(Waker::noop());
    let one = got(handle.poll_acquire(cx));
    let two = got(ask(&mut handle, &wakes, 2));
    assert_eq!((one.num_permits(), two.num_permits()), (1, 2));
    assert!(handle.poll_acquire(cx).is_pending());
    drop(two);
    let another = got(handle.poll_acquire(cx));
    assert_eq!(sem.available_permits(), 1);
    drop((one, another));
    assert_eq!(sem.available_permits(), 3);
    assert_eq!(wakes.count(), 0);
}

#[test]
fn waits_in_the_line_of_the_semaphore() {
    let (sem, mut handle, wakes) = new(0);
    let mut first = wait(sem.acquire());
    assert!(ask(&mut handle, &wakes, 2).is_pending());
    let mut last = wait(sem.acquire());
    sem.add_permits(1);
    served(&mut first).unwrap().forget();
    sem.add_permits(1);
    assert_eq!(wakes.count(), 0);
    assert!(ask(&mut handle, &wakes, 2).is_pending());
    waits(&mut last);
    sem.add_permits(1);
    waits(&mut last);
    assert_eq!(wakes.count(), 1);
    assert_eq!(got(ask(&mut handle, &wakes, 2)).num_permits(), 2);
    assert_eq!(wakes.count(), 1);
    drop(served(&mut last).unwrap());
}

#[test]
fn keeps_its_place_and_wakes_the_latest_waker() {
    let (sem, mut handle, old) = new(0);
    assert!(ask(&mut handle, &old, 1).is_pending());
    let mut behind = wait(sem.acquire());
    let new = Wakes::new();
    assert!(ask(&mut handle, &new, 1).is_pending());
    sem.add_permits(1);
    waits(&mut behind);
    assert_eq!((old.count(), new.count()), (0, 1));
    assert_eq!(Arc::strong_count(&old), 1);
    got(ask(&mut handle, &new, 1)).forget();
    // The next request stands behind whoever came meanwhile.
    assert!(ask(&mut handle, &new, 1).is_pending());
    sem.add_permits(1);
    assert!(ask(&mut handle, &new, 1).is_pending());
    drop(served(&mut behind).unwrap());
    assert_eq!(new.count(), 2);
}

#[test]
fn another_count_is_another_place() {
    let (sem, mut handle, wakes) = new(1);
    assert!(ask(&mut handle, &wakes, 3).is_pending());
    let mut behind = wait(sem.acquire_many(2));
    // It leaves, and what it had goes to the one who is first now.
    assert!(ask(&mut handle, &wakes, 4).is_pending());
    sem.add_permits(1);
    let two = served(&mut behind).unwrap();
    sem.add_permits(2);
    assert!(ask(&mut handle, &wakes, 4).is_pending());
    assert_eq!(wakes.count(), 0);
    drop(two);
    assert_eq!(wakes.count(), 1);
    assert_eq!(got(ask(&mut handle, &wakes, 4)).num_permits(), 4);
    assert_eq!(sem.available_permits(), 4);
}

#[test]
fn asking_for_nothing_gives_up_the_place_too() {
    let (sem, mut handle, wakes) = new(0);
    assert!(ask(&mut handle, &wakes, 1).is_pending());
    assert_eq!(got(ask(&mut handle, &wakes, 0)).num_permits(), 0);
    sem.add_permits(1);
    assert_eq!(sem.available_permits(), 1);
    assert_eq!(wakes.count(), 0);
}

#[test]
fn closed_is_none_for_ever() {
    let (sem, mut handle, wakes) = new(1);
    assert!(ask(&mut handle, &wakes, 2).is_pending());
    handle.close();
    assert!(sem.is_closed());
    assert_eq!(wakes.count(), 1);
    for n in [2, 1, 0, 2] {
        assert!(matches!(ask(&mut handle, &wakes, n), Poll::Ready(None)));
    }
    assert_eq!(sem.available_permits(), 1);
    assert_eq!(wakes.count(), 1);
}

#[test]
fn granted_before_close_is_granted() {
    let (sem, mut handle, wakes) = new(0);
    assert!(ask(&mut handle, &wakes, 2).is_pending());
    handle.add_permits(2);
    sem.close();
    drop(got(ask(&mut handle, &wakes, 2)));
    assert!(matches!(ask(&mut handle, &wakes, 2), Poll::Ready(None)));
    assert_eq!(sem.available_permits(), 2);
}

#[test]
fn granted_before_close_and_another_count_is_none() {
    let (sem, mut handle, wakes) = new(0);
    assert!(ask(&mut handle, &wakes, 2).is_pending());
    handle.add_permits(2);
    sem.close();
    assert!(matches!(ask(&mut handle, &wakes, 1), Poll::Ready(None)));
    assert_eq!(sem.available_permits(), 2);
}

#[test]
fn dropped_it_leaves_the_line() {
    let (sem, mut handle, wakes) = new(1);
    assert!(ask(&mut handle, &wakes, 2).is_pending());
    let mut behind = wait(sem.acquire());
    drop(handle);
    drop(served(&mut behind).unwrap());
    assert_eq!(sem.available_permits(), 1);
    assert_eq!((wakes.count(), Arc::strong_count(&wakes)), (0, 1));
    assert_eq!(Arc::strong_count(&sem), 1);
}

#[test]
fn into_inner_leaves_the_line() {
    let (sem, mut handle, wakes) = new(1);
    assert!(ask(&mut handle, &wakes, 2).is_pending());
    let inner = handle.into_inner();
    assert!(Arc::ptr_eq(&inner, &sem));
    assert_eq!(sem.available_permits(), 1);
    assert_eq!(Arc::strong_count(&sem), 2);
}

#[test]
fn a_clone_has_a_place_of_its_own() {
    let (sem, mut handle, wakes) = new(0);
    assert!(ask(&mut handle, &wakes, 1).is_pending());
    let mut clone = handle.clone();
    let other = Wakes::new();
    sem.add_permits(1);
    assert!(ask(&mut clone, &other, 1).is_pending());
    assert_eq!((wakes.count(), other.count()), (1, 0));
    got(ask(&mut handle, &wakes, 1)).forget();
    sem.add_permits(1);
    assert_eq!((wakes.count(), other.count()), (1, 1));
    drop(got(ask(&mut clone, &other, 1)));
}

#[test]
fn the_semaphore_is_within_reach() {
    let (sem, handle, _) = new(2);
    assert!(Arc::ptr_eq(&handle.clone_inner(), &sem));
    let inner: &Semaphore = handle.as_ref();
    assert!(std::ptr::eq(inner, &*sem));
    assert_eq!(handle.available_permits(), 2);
    handle.add_permits(3);
    assert_eq!(handle.available_permits(), 5);
    assert_eq!(sem.available_permits(), 5);
    assert!(format!("{handle:?}").contains("PollSemaphore"));
}

#[test]
fn moved_while_it_waits() {
    let (sem, mut handle, wakes) = new(0);
    assert!(ask(&mut handle, &wakes, 1).is_pending());
    let mut boxed = Box::new(handle);
    assert!(ask(&mut boxed, &wakes, 1).is_pending());
    sem.add_permits(1);
    let mut moved = *boxed;
    assert_eq!(wakes.count(), 1);
    drop(got(ask(&mut moved, &wakes, 1)));
}

#[cfg(feature = "stream")]
mod stream {
    use futures::{FutureExt, StreamExt};

    use super::*;

    #[tokio::test]
    async fn yields_permits_until_it_is_closed() {
        watch();
        let (sem, mut handle, _) = new(2);
        let first = handle.next().await.unwrap();
        let second = handle.next().await.unwrap();
        assert!(handle.next().now_or_never().is_none());
        // The place is kept, though the future of `next` is gone.
        let mut behind = wait(sem.acquire());
        drop(first);
        waits(&mut behind);
        let third = handle.next().now_or_never().unwrap().unwrap();
        drop(second);
        drop(served(&mut behind).unwrap());
        sem.close();
        assert!(handle.next().await.is_none());
        assert!(handle.next().await.is_none());
        drop(third);
        assert_eq!(sem.available_permits(), 2);
    }
}
