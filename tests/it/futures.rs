//! The futures are named types: stored, moved while they wait, joined, selected on.

use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures::future::{join_all, select_all};
use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use semafair::{Acquire, AcquireOwned, Semaphore};

use crate::support::{Wakes, panic_of, poll, watch};

/// A hand-written future with one of each as a field, without a box or a pin projection.
struct Both<'a> {
    borrowed: Option<Acquire<'a>>,
    owned: Option<AcquireOwned>,
    got: usize,
}

impl Future for Both<'_> {
    type Output = usize;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        if let Some(future) = &mut self.borrowed {
            let Poll::Ready(permit) = Pin::new(future).poll(cx) else {
                return Poll::Pending;
            };
            self.got += permit.unwrap().num_permits();
            self.borrowed = None;
        }
        if let Some(future) = &mut self.owned {
            let Poll::Ready(permit) = Pin::new(future).poll(cx) else {
                return Poll::Pending;
            };
            self.got += permit.unwrap().num_permits();
            self.owned = None;
        }
        Poll::Ready(self.got)
    }
}

#[test]
fn stored_in_a_struct() {
    let sem = Arc::new(Semaphore::new(1));
    let mut both = Both {
        borrowed: Some(sem.acquire_many(2)),
        owned: Some(Arc::clone(&sem).acquire_many_owned(3)),
        got: 0,
    };
    let wakes = Wakes::new();
    assert!(wakes.poll(&mut both).is_pending());
    sem.add_permits(1);
    assert_eq!(wakes.count(), 1);
    assert!(wakes.poll(&mut both).is_pending());
    sem.add_permits(1);
    assert_eq!(wakes.count(), 2);
    assert_eq!(wakes.poll(&mut both), Poll::Ready(5));
    assert_eq!(sem.available_permits(), 3);
}

#[test]
fn moved_while_it_waits() {
    let sem = Arc::new(Semaphore::new(0));
    let (first, second) = (Wakes::new(), Wakes::new());
    let mut a = sem.acquire();
    assert!(first.poll(&mut a).is_pending());
    // Into a box, out again, through a vector that grows, and to another thread and back.
    let mut boxed = Box::new(a);
    assert!(first.poll(&mut *boxed).is_pending());
    let mut vector = vec![*boxed];
    let mut b = sem.acquire();
    assert!(second.poll(&mut b).is_pending());
    vector.extend((0..100).map(|_| sem.acquire()));
    vector.push(b);
    let mut vector = std::thread::scope(|scope| scope.spawn(move || vector).join().unwrap());
    let mut b = vector.pop().unwrap();
    let mut a = vector.swap_remove(0);
    drop(vector);

    sem.add_permits(1);
    assert_eq!((first.count(), second.count()), (1, 0));
    assert!(second.poll(&mut b).is_pending());
    assert!(matches!(first.poll(&mut a), Poll::Ready(Ok(_))));
    assert!(matches!(second.poll(&mut b), Poll::Ready(Ok(_))));
}

#[test]
fn owned_moved_while_it_waits() {
    let sem = Arc::new(Semaphore::new(0));
    let wakes = Wakes::new();
    let mut future = Arc::clone(&sem).acquire_many_owned(2);
    assert!(wakes.poll(&mut future).is_pending());
    sem.add_permits(1);
    let future = std::thread::spawn(move || {
        sem.add_permits(1);
        future
    });
    let mut future = future.join().unwrap();
    assert_eq!(wakes.count(), 1);
    let Poll::Ready(Ok(permits)) = wakes.poll(&mut future) else { panic!("granted") };
    // The completed future keeps nothing alive.
    let weak = Arc::downgrade(permits.semaphore());
    drop(permits);
    assert!(weak.upgrade().is_none());
    drop(future);
}

#[test]
fn swapped_futures_take_their_places_along() {
    let sem = Semaphore::new(0);
    let (early, late) = (Wakes::new(), Wakes::new());
    let mut a = sem.acquire_many(1);
    let mut b = sem.acquire_many(2);
    assert!(early.poll(&mut a).is_pending());
    assert!(late.poll(&mut b).is_pending());
    mem::swap(&mut a, &mut b);
    sem.add_permits(1);
    assert_eq!((early.count(), late.count()), (1, 0));
    assert!(late.poll(&mut a).is_pending());
    let Poll::Ready(Ok(permit)) = early.poll(&mut b) else { panic!("granted") };
    assert_eq!(permit.num_permits(), 1);
}

#[test]
fn replaced_by_a_new_one_it_leaves() {
    let sem = Semaphore::new(0);
    let wakes = Wakes::new();
    let mut slot = sem.acquire();
    assert!(poll(&mut slot, Waker::noop()).is_pending());
    let mut behind = sem.acquire();
    assert!(wakes.poll(&mut behind).is_pending());
    slot = sem.acquire();
    sem.add_permits(1);
    assert!(poll(&mut slot, Waker::noop()).is_pending());
    assert_eq!(wakes.count(), 1);
}

#[tokio::test]
async fn joined() {
    watch();
    let sem = Semaphore::new(2);
    let three = (0..3).map(|_| async { drop(sem.acquire().await.unwrap()) });
    join_all(three).await;
    let (a, b) = tokio::join!(sem.acquire(), sem.acquire_many(1));
    assert_eq!(a.unwrap().num_permits() + b.unwrap().num_permits(), 2);
    assert_eq!(sem.available_permits(), 2);
}

#[tokio::test]
async fn in_order_however_they_are_driven() {
    watch();
    let sem = Semaphore::new(1);
    let first = sem.acquire().await.unwrap();
    let number = |i| sem.acquire().map(move |permit| (i, permit.unwrap()));
    let mut line: FuturesUnordered<_> = (0..50).map(number).collect();
    assert!(line.next().now_or_never().is_none(), "all of them wait");
    drop(first);
    for expected in 0..50 {
        let (i, permit) = line.next().await.unwrap();
        assert_eq!(i, expected);
        drop(permit);
    }
    assert!(line.next().await.is_none());
}

#[tokio::test]
async fn the_first_of_many() {
    watch();
    let sem = Semaphore::new(0);
    let mut many: Vec<_> = (1..5).map(|n| sem.acquire_many(n)).collect();
    for future in &mut many {
        assert!(future.now_or_never().is_none());
    }
    sem.add_permits(1);
    let (permit, index, others) = select_all(many).await;
    assert_eq!((index, others.len()), (0, 3));
    drop(others);
    drop(permit.unwrap());
    assert_eq!(sem.available_permits(), 1);
}

#[tokio::test]
async fn selected_on_by_reference_it_keeps_its_place() {
    watch();
    let sem = Semaphore::new(0);
    let mut first = sem.acquire();
    let mut second = sem.acquire();
    for _ in 0..10 {
        tokio::select! {
            biased;
            _ = &mut first => panic!("there is no permit"),
            _ = &mut second => panic!("there is no permit"),
            () = tokio::task::yield_now() => {}
        }
    }
    sem.add_permits(1);
    tokio::select! {
        biased;
        _ = &mut second => panic!("the other came first"),
        permit = &mut first => permit.unwrap().forget(),
    }
    sem.add_permits(1);
    drop(second.await.unwrap());
}

#[tokio::test]
async fn selected_on_by_value_it_leaves() {
    watch();
    let sem = Semaphore::new(0);
    for _ in 0..10 {
        tokio::select! {
            biased;
            _ = sem.acquire_many(3) => panic!("there is no permit"),
            () = tokio::task::yield_now() => {}
        }
    }
    sem.add_permits(1);
    assert_eq!(sem.available_permits(), 1);
}

#[tokio::test]
async fn spawned_on_a_runtime() {
    watch();
    let sem = Arc::new(Semaphore::new(0));
    // A task of nothing but the future itself.
    let task = tokio::spawn(Arc::clone(&sem).acquire_many_owned(2));
    tokio::task::yield_now().await;
    sem.add_permits(2);
    assert_eq!(task.await.unwrap().unwrap().num_permits(), 2);
    assert_eq!(sem.available_permits(), 2);
}

#[tokio::test]
async fn dropped_while_another_future_polls() {
    watch();
    let sem = Semaphore::new(1);
    let mut big = Some(sem.acquire_many(2));
    let mut small = sem.acquire();
    let permit = poll_fn(|cx| {
        if let Some(big) = &mut big {
            assert!(Pin::new(big).poll(cx).is_pending());
        }
        if Pin::new(&mut small).poll(cx).is_ready() {
            panic!("the big one came first");
        }
        big = None;
        Pin::new(&mut small).poll(cx)
    });
    drop(permit.await.unwrap());
    assert_eq!(sem.available_permits(), 1);
}

#[test]
fn polled_after_completion_it_panics() {
    let sem = Arc::new(Semaphore::new(1));
    let mut granted = sem.acquire();
    assert!(poll(&mut granted, Waker::noop()).is_ready());
    let text = panic_of(|| poll(&mut granted, Waker::noop()));
    assert!(text.contains("`Acquire` polled after completion"), "{text}");
    let mut owned = Arc::clone(&sem).acquire_owned();
    assert!(poll(&mut owned, Waker::noop()).is_ready());
    let text = panic_of(|| poll(&mut owned, Waker::noop()));
    assert!(text.contains("`AcquireOwned` polled after completion"), "{text}");

    // The panics cost nothing.
    drop((granted, owned));
    assert_eq!(sem.available_permits(), 1);
}

#[test]
fn polled_after_it_waited_and_completed_it_panics() {
    let sem = Arc::new(Semaphore::new(0));
    let mut granted = sem.acquire();
    let mut owned = Arc::clone(&sem).acquire_owned();
    assert!(poll(&mut granted, Waker::noop()).is_pending());
    assert!(poll(&mut owned, Waker::noop()).is_pending());
    sem.add_permits(2);
    assert!(poll(&mut granted, Waker::noop()).is_ready());
    assert!(poll(&mut owned, Waker::noop()).is_ready());
    panic_of(|| poll(&mut granted, Waker::noop()));
    panic_of(|| poll(&mut owned, Waker::noop()));
    drop((granted, owned));
    assert_eq!(sem.available_permits(), 2);
}

#[test]
fn polled_after_it_failed_it_panics() {
    let sem = Arc::new(Semaphore::new(1));
    let mut waited = sem.acquire_many(2);
    assert!(poll(&mut waited, Waker::noop()).is_pending());
    sem.close();
    assert!(matches!(poll(&mut waited, Waker::noop()), Poll::Ready(Err(_))));
    let text = panic_of(|| poll(&mut waited, Waker::noop()));
    assert!(text.contains("`Acquire` polled after completion"), "{text}");
    let mut owned = Arc::clone(&sem).acquire_owned();
    assert!(matches!(poll(&mut owned, Waker::noop()), Poll::Ready(Err(_))));
    let text = panic_of(|| poll(&mut owned, Waker::noop()));
    assert!(text.contains("`AcquireOwned` polled after completion"), "{text}");
}

#[test]
fn debug_output_names_the_type() {
    let sem = Arc::new(Semaphore::new(1));
    let mut borrowed = sem.acquire_many(2);
    let mut owned = Arc::clone(&sem).acquire_owned();
    for _ in 0..2 {
        assert!(format!("{borrowed:?}").contains("Acquire"));
        assert!(format!("{owned:?}").contains("AcquireOwned"));
        // Once more, in the line.
        assert!(poll(&mut borrowed, Waker::noop()).is_pending());
        assert!(poll(&mut owned, Waker::noop()).is_pending());
    }
    assert!(format!("{sem:?}").contains("Semaphore"));
    drop((borrowed, owned));
    let mut permit = sem.try_acquire().unwrap();
    assert!(format!("{permit:?}").contains("SemaphorePermit"));
    drop(permit.split(1));
    let permit = Arc::clone(&sem).try_acquire_owned().unwrap();
    assert!(format!("{permit:?}").contains("OwnedSemaphorePermit"));
}

#[test]
fn debug_says_how_many_permits_and_how_far_it_has_come() {
    let sem = Arc::new(Semaphore::new(3));
    let mut future = sem.acquire_many(3);
    assert_eq!(format!("{future:?}"), "Acquire { permits: 3, state: New, .. }");
    let mut waits = Arc::clone(&sem).acquire_many_owned(4);
    assert!(poll(&mut waits, Waker::noop()).is_pending());
    assert_eq!(format!("{waits:?}"), "AcquireOwned { permits: 4, state: Waiting, .. }");
    assert!(poll(&mut future, Waker::noop()).is_pending());
    drop(waits);
    assert!(poll(&mut future, Waker::noop()).is_ready());
    assert_eq!(format!("{future:?}"), "Acquire { permits: 3, state: Over, .. }");
}
