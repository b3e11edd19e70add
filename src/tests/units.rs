//! Limits and moments that cannot be reached from outside.

use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use crate::balance::Balance;
use crate::line::{Joined, LazyBox, Line, Look};
use crate::wakes::{BATCH, Wakes};
use crate::{Acquire, Semaphore, SemaphorePermit};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        // ORDERING: SeqCst. The test's own note; nothing hangs on its order.
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Count {
    fn get(&self) -> usize {
        // ORDERING: SeqCst. The test's own note; nothing hangs on its order.
        self.0.load(Ordering::SeqCst)
    }
}

fn missing(look: Look) -> u32 {
    match look {
        Look::Waiting(seen) => seen.missing(),
        over => panic!("{over:?}"),
    }
}

/// A slot that was refilled 2^28 - 1 times is not refilled again: the waiter is woken to look.
#[test]
fn a_worn_out_slot_wakes_at_once() {
    let line = Line::new();
    let counts: [Arc<Count>; 4] = Default::default();
    let wakers = counts.each_ref().map(|count| Waker::from(count.clone()));
    let (Joined::Waiting(mut place), 0) = line.join(None, 2, Some(&wakers[0])) else {
        panic!("no place")
    };
    core::mem::forget(wakers[0].clone()); // the line owns one now
    place.wear_out();

    // The last version.
    assert_eq!(missing(place.register(&wakers[1])), 2);
    assert_eq!(counts.each_ref().map(|count| count.get()), [0, 0, 0, 0]);
    // None is left: woken at once, and at every look after that.
    assert_eq!(missing(place.register(&wakers[2])), 2);
    assert_eq!(missing(place.register(&wakers[3])), 2);
    assert_eq!(counts.each_ref().map(|count| count.get()), [0, 0, 1, 1]);
    assert_eq!(Arc::strong_count(&counts[1]), 2, "the line kept a waker");

    assert_eq!(line.deliver(1, &mut Wakes::default()), 0);
    assert_eq!(missing(place.register(&wakers[3])), 1);
    assert_eq!(line.deliver(1, &mut Wakes::default()), 0);
    assert_eq!(place.register(&wakers[3]), Look::Granted);
    line.finish(place);
}

/// Units and permits that are handed on together serve more than a batch of wakers holds.
#[test]
fn what_is_handed_on_wakes_more_than_a_batch() {
    let semaphore = Semaphore::new(0);
    let counts: [Arc<Count>; BATCH + 1] = Default::default();
    let wakers = counts.each_ref().map(|count| Waker::from(count.clone()));
    let mut line = wakers.each_ref().map(|_| Box::pin(semaphore.acquire()));
    for (future, waker) in line.iter_mut().zip(&wakers) {
        assert!(future.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    }
    // As whoever leaves does with units that came beyond those to be swallowed.
    assert!(semaphore.balance.give(BATCH).is_err(), "they are owed");
    semaphore.hand_on(BATCH as u64, 1);
    assert_eq!(counts.each_ref().map(|count| count.get()), [1; BATCH + 1]);
}

/// Nobody can drive the balance so low that it looks closed.
#[test]
fn too_much_demand_is_refused() {
    assert!(Balance::owing(1 << 59).load().is_open_to_waiters());
    let owed = (1 << 59) + 1;
    let semaphore = Semaphore { balance: Balance::owing(owed), line: LazyBox::new() };
    assert!(!semaphore.is_closed());
    let mut future = pin!(semaphore.acquire());
    let mut cx = Context::from_waker(Waker::noop());
    let panic = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx).is_ready()));
    let message = *panic.expect_err("it was refused").downcast::<&str>().expect("a sentence");
    assert_eq!(message, "more than 2^59 permits are being waited for");
    assert_eq!(semaphore.balance.load().owed(), owed.unsigned_abs(), "it asks all the same");
    assert!(!semaphore.is_closed());
}

/// Guards that were held while permits were added come back one by one, up to the limit. What
/// would exceed it panics, and changes nothing.
#[test]
fn a_release_over_the_limit_panics() {
    let semaphore = Semaphore::new(Semaphore::MAX_PERMITS);
    let guard = semaphore.try_acquire().unwrap();
    semaphore.add_permits(1);
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(guard)));
    let message = *dropped.expect_err("one too many").downcast::<String>().expect("a sentence");
    assert!(message.contains("would overflow MAX_PERMITS"), "{message}");
    assert_eq!(semaphore.available_permits(), Semaphore::MAX_PERMITS);
}

/// Whoever comes to a semaphore whose closer was stopped at once closes it to the end.
#[test]
fn anybody_closes_for_one_who_is_stopped() {
    type Other = fn(&Semaphore, &mut Option<Acquire<'_>>, &mut Option<SemaphorePermit<'_>>);
    let others: [Other; 6] = [
        |semaphore, _, _| assert!(semaphore.try_acquire().is_err()),
        |semaphore, _, _| assert!(poll(&mut semaphore.acquire(), Waker::noop()).is_ready()),
        |_, waiting, _| assert!(poll(waiting.as_mut().unwrap(), Waker::noop()).is_pending()),
        |_, waiting, _| *waiting = None,
        |_, _, permit| *permit = None,
        |semaphore, _, _| semaphore.add_permits(1),
    ];
    for other in others {
        let semaphore = Semaphore::new(1);
        let mut permit = Some(semaphore.try_acquire().unwrap());
        let count = Arc::new(Count::default());
        let mut sleeps = semaphore.acquire();
        assert!(poll(&mut sleeps, &Waker::from(count.clone())).is_pending());
        let mut waiting = Some(semaphore.acquire());
        assert!(poll(waiting.as_mut().unwrap(), Waker::noop()).is_pending());
        semaphore.balance.close();
        other(&semaphore, &mut waiting, &mut permit);
        assert_eq!(count.get(), 1, "it sleeps for ever");
        assert!(matches!(poll(&mut sleeps, Waker::noop()), Poll::Ready(Err(_))));
    }
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// A closed semaphore stays closed, however many permits are added to it, and come back.
#[test]
fn closed_stays_closed() {
    let semaphore = Semaphore::new(0);
    let mut waiter = Box::pin(semaphore.acquire_many(2));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(waiter.as_mut().poll(&mut cx).is_pending());
    semaphore.add_permits(1);
    semaphore.close();
    semaphore.add_permits(Semaphore::MAX_PERMITS);
    drop(waiter); // what had been put aside for it comes back
    assert!(semaphore.is_closed());
    assert_eq!(semaphore.available_permits(), Semaphore::MAX_PERMITS + 1);
}
