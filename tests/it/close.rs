//! After `close` nobody is granted anything new; what was granted before stays granted, and what is
//! back is seen to be back.

use std::sync::{Arc, Barrier};
use std::task::{Context, Wake, Waker};
use std::thread;

use semafair::{Acquire, Semaphore, TryAcquireError};
use tokio_test::{assert_ready_err, assert_ready_ok, task};

use crate::support::{Wakes, poll, served, wait, waits};

#[test]
fn nobody_is_granted_anything_new() {
    let sem = Arc::new(Semaphore::new(5));
    let mut made_before = task::spawn(sem.acquire());
    assert!(!sem.is_closed());
    sem.close();
    assert!(sem.is_closed());
    assert_ready_err!(made_before.poll());
    assert_ready_err!(task::spawn(sem.acquire()).poll());
    assert_ready_err!(task::spawn(sem.acquire_many(2)).poll());
    assert_ready_err!(task::spawn(sem.clone().acquire_owned()).poll());
    assert_ready_err!(task::spawn(sem.clone().acquire_many_owned(2)).poll());
    assert_eq!(sem.try_acquire().unwrap_err(), TryAcquireError::Closed);
    assert_eq!(sem.try_acquire_many(6).unwrap_err(), TryAcquireError::Closed);
    assert_eq!(sem.clone().try_acquire_owned().unwrap_err(), TryAcquireError::Closed);
    assert_eq!(sem.clone().try_acquire_many_owned(6).unwrap_err(), TryAcquireError::Closed);
    assert_eq!(sem.available_permits(), 5);
}

#[test]
fn not_even_a_request_of_nothing() {
    let sem = Semaphore::new(5);
    sem.close();
    assert_ready_err!(task::spawn(sem.acquire_many(0)).poll());
    assert_eq!(sem.try_acquire_many(0).unwrap_err(), TryAcquireError::Closed);
}

#[test]
fn everyone_in_line_is_woken_once_and_fails() {
    let sem = Semaphore::new(1);
    let wakes = Wakes::new();
    let waker = wakes.waker();
    let cx = &mut Context::from_waker(&waker);
    let mut line: Vec<_> = (0..1000).map(|i| Box::pin(sem.acquire_many(2 + i % 3))).collect();
    for future in &mut line {
        assert!(future.as_mut().poll(cx).is_pending());
    }
    sem.close();
    assert_eq!(wakes.count(), 1000);
    for future in &mut line {
        assert_ready_err!(future.as_mut().poll(cx));
    }
    sem.close();
    drop(line);
    assert_eq!(wakes.count(), 1000, "closing again, and leaving, wakes nobody");
    assert_eq!(sem.available_permits(), 1);
}

#[test]
fn granted_before_stays_granted() {
    let sem = Arc::new(Semaphore::new(0));
    let mut granted = wait(sem.acquire_many(2));
    let mut owned = wait(sem.clone().acquire_owned());
    let mut waiting = wait(sem.acquire());
    sem.add_permits(3);
    sem.close();
    assert_eq!(served(&mut granted).unwrap().num_permits(), 2);
    assert_eq!(served(&mut owned).unwrap().num_permits(), 1);
    served(&mut waiting).unwrap_err();
    assert_eq!(sem.available_permits(), 3);
}

#[test]
fn granted_before_and_dropped_after_is_free() {
    let sem = Semaphore::new(0);
    let granted = wait(sem.acquire_many(2));
    let mut waiting = wait(sem.acquire());
    sem.add_permits(2);
    sem.close();
    drop(granted);
    assert_eq!(sem.available_permits(), 2);
    served(&mut waiting).unwrap_err();
    assert_eq!(sem.available_permits(), 2);
}

#[test]
fn those_who_waited_are_no_demand() {
    let sem = Semaphore::new(4);
    let mut two = sem.try_acquire_many(2).unwrap();
    let other = sem.try_acquire_many(2).unwrap();
    let mut polled = wait(sem.acquire());
    let dropped = wait(sem.acquire_many(7));
    let mut late = wait(sem.acquire_many(3));
    sem.close();
    assert_eq!(sem.available_permits(), 0);
    // None of the three has been polled yet.
    drop(two.split(1));
    assert_eq!(sem.available_permits(), 1);
    drop(two);
    assert_eq!(sem.available_permits(), 2);
    served(&mut polled).unwrap_err();
    drop(dropped);
    assert_eq!(sem.available_permits(), 2, "failing and leaving give nothing");
    drop(other);
    assert_eq!(sem.available_permits(), 4);
    served(&mut late).unwrap_err();
    assert_eq!(sem.available_permits(), 4);
}

#[test]
fn what_the_first_in_line_had_so_far_comes_back_with_it() {
    let sem = Semaphore::new(2);
    let mut polled = wait(sem.acquire_many(5));
    sem.close();
    assert_eq!(sem.available_permits(), 0);
    served(&mut polled).unwrap_err();
    assert_eq!(sem.available_permits(), 2);

    let sem = Semaphore::new(2);
    let dropped = wait(sem.acquire_many(5));
    sem.add_permits(1);
    let behind = wait(sem.acquire());
    sem.close();
    sem.add_permits(1);
    assert_eq!(sem.available_permits(), 1);
    drop(dropped);
    assert_eq!(sem.available_permits(), 4);
    drop(behind);
    assert_eq!(sem.available_permits(), 4);
}

#[test]
fn who_left_before_gets_nothing_after() {
    let sem = Semaphore::new(1);
    let head = wait(sem.acquire_many(2));
    let left = wait(sem.acquire());
    drop(left);
    sem.close();
    sem.add_permits(1);
    drop(head);
    assert_eq!(sem.available_permits(), 2);
}

#[test]
fn adding_grants_nobody() {
    let sem = Semaphore::new(0);
    let mut first = wait(sem.acquire());
    let mut second = wait(sem.acquire_many(3));
    sem.close();
    sem.add_permits(2);
    assert_eq!(sem.available_permits(), 2);
    sem.add_permits(5);
    assert_eq!(sem.available_permits(), 7);
    served(&mut first).unwrap_err();
    served(&mut second).unwrap_err();
    assert_eq!(sem.available_permits(), 7);
    assert_eq!(sem.try_acquire().unwrap_err(), TryAcquireError::Closed);
}

#[test]
fn permits_that_are_out_work_as_before() {
    let sem = Arc::new(Semaphore::new(6));
    let mut one = assert_ready_ok!(task::spawn(sem.acquire_many(3)).poll());
    let two = sem.try_acquire_many(2).unwrap();
    let owned = sem.clone().try_acquire_owned().unwrap();
    sem.close();
    one.merge(two);
    let part = one.split(4).unwrap();
    drop(part);
    assert_eq!(sem.available_permits(), 4);
    one.forget();
    drop(owned);
    assert_eq!(sem.available_permits(), 5);
}

#[test]
fn one_who_is_polled_before_and_after_sees_both() {
    let sem = Semaphore::new(0);
    let mut first = wait(sem.acquire());
    waits(&mut first);
    waits(&mut first);
    sem.close();
    served(&mut first).unwrap_err();
}

/// A waker that does not return until it may.
struct Stuck {
    in_waker: Barrier,
    may_return: Barrier,
}

impl Wake for Stuck {
    fn wake(self: Arc<Self>) {
        self.in_waker.wait();
        self.may_return.wait();
    }
}

/// Whoever comes to a semaphore whose closer stands in a waker goes on with the close: all are woken
/// but those whose wakers the closer has taken already.
#[test]
fn a_waker_that_never_returns_withholds_its_own_batch_at_most() {
    type Help = fn(&Semaphore, Option<Acquire<'_>>);
    let helps: [Help; 3] = [
        // One who was refused, and learns of it.
        |_, refused| {
            assert_ready_err!(task::spawn(refused.unwrap()).poll());
        },
        // One who was refused, and does not look.
        |_, refused| drop(refused),
        // One who comes now.
        |sem, _| {
            assert_ready_err!(task::spawn(sem.acquire()).poll());
        },
    ];
    for help in helps {
        let sem = Semaphore::new(0);
        let stuck = Arc::new(Stuck { in_waker: Barrier::new(2), may_return: Barrier::new(2) });
        let wakes = Wakes::new();
        let mut first = sem.acquire();
        assert!(poll(&mut first, &Waker::from(Arc::clone(&stuck))).is_pending());
        // In the same batch.
        let mut second = sem.acquire();
        assert!(poll(&mut second, Waker::noop()).is_pending());
        let mut line: Vec<_> = (0..1000).map(|_| sem.acquire()).collect();
        line.iter_mut().for_each(|future| assert!(wakes.poll(future).is_pending()));
        thread::scope(|scope| {
            scope.spawn(|| sem.close());
            stuck.in_waker.wait();
            help(&sem, Some(second));
            let woken = wakes.count();
            stuck.may_return.wait();
            assert!(woken >= 1000 - 30, "only {woken} of 1000 were woken");
        });
        assert_eq!(wakes.count(), 1000);
        for future in line {
            assert_ready_err!(task::spawn(future).poll());
        }
    }
}
