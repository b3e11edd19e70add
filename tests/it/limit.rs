//! The limit: how many permits exist, and how that changes.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use fastrand::Rng;
use semafair::{Semaphore, TryAcquireError};

use crate::support::watchdog::times;
use crate::support::{panic_of, seed, served, wait, waits};

const MAX: usize = Semaphore::MAX_PERMITS;

/// Nothing changes: the books must be right.
#[track_caller]
fn books(sem: &Semaphore, limit: usize, available: usize, outstanding: usize) {
    let status = sem.status();
    assert_eq!((status.limit, sem.limit()), (limit, limit), "limit");
    assert_eq!((status.available, sem.available_permits()), (available, available), "available");
    assert_eq!((status.outstanding, sem.outstanding()), (outstanding, outstanding), "outstanding");
    assert_eq!(limit + status.debt, available + outstanding, "limit == free + outstanding - debt");
}

#[test]
fn everything_that_makes_or_takes_permits_moves_the_limit() {
    let sem = Semaphore::new(3);
    books(&sem, 3, 3, 0);
    sem.add_permits(2);
    books(&sem, 5, 5, 0);
    let mut permits = sem.try_acquire_many(3).unwrap();
    books(&sem, 5, 2, 3);
    assert_eq!(sem.forget_permits(7), 2);
    books(&sem, 3, 0, 3);
    permits.split(1).unwrap().forget();
    books(&sem, 2, 0, 2);
    mem::forget(permits.split(1));
    books(&sem, 2, 0, 2);
    drop(permits);
    books(&sem, 2, 1, 1);
    drop(sem.adopt(1));
    books(&sem, 2, 2, 0);
}

#[test]
fn a_shrink_takes_what_is_free_at_once() {
    let sem = Semaphore::new(5);
    assert_eq!(sem.set_limit(2), 5);
    books(&sem, 2, 2, 0);
    assert_eq!(sem.set_limit(0), 2);
    books(&sem, 0, 0, 0);
    assert_eq!(sem.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
}

#[test]
fn growing_serves_waiters_at_once_and_in_order() {
    let sem = Semaphore::new(0);
    let mut first = wait(sem.acquire_many(2));
    let mut second = wait(sem.acquire());
    let mut third = wait(sem.acquire());
    assert_eq!(sem.set_limit(1), 0);
    waits(&mut first);
    assert_eq!(sem.set_limit(3), 1);
    let first = served(&mut first).unwrap();
    let second = served(&mut second).unwrap();
    waits(&mut third);
    books(&sem, 3, 0, 3);
    drop((first, second, third));
    books(&sem, 3, 3, 0);
}

/// Under saturation: permits that come back pay first, and those who wait keep their places.
#[test]
fn debt_is_paid_before_any_waiter_is_served() {
    let sem = Semaphore::new(3);
    let mut permits = sem.try_acquire_many(3).unwrap();
    let mut first = wait(sem.acquire());
    let mut second = wait(sem.acquire());
    assert_eq!(sem.set_limit(1), 3);
    assert_eq!(sem.status().debt, 2);
    assert_eq!(sem.status().queued, 2);
    for debt in [1, 0] {
        drop(permits.split(1));
        waits(&mut first);
        assert_eq!(sem.status().debt, debt);
        books(&sem, 1, 0, 1 + debt);
    }
    drop(permits);
    let one = served(&mut first).unwrap();
    waits(&mut second);
    drop(one);
    drop(served(&mut second).unwrap());
    books(&sem, 1, 1, 0);
}

/// Part of a permit that comes back pays, and the rest goes to those who wait.
#[test]
fn a_release_of_many_pays_and_serves() {
    let sem = Semaphore::new(4);
    let permits = sem.try_acquire_many(4).unwrap();
    let mut first = wait(sem.acquire());
    let mut second = wait(sem.acquire_many(2));
    sem.set_limit(2);
    drop(permits);
    let one = served(&mut first).unwrap();
    waits(&mut second);
    drop(one);
    drop(served(&mut second).unwrap());
    books(&sem, 2, 2, 0);
}

#[test]
fn growth_pays_the_debt_before_it_serves() {
    let sem = Semaphore::new(3);
    let permits = sem.try_acquire_many(3).unwrap();
    let mut waiter = wait(sem.acquire());
    assert_eq!(sem.set_limit(0), 3);
    books(&sem, 0, 0, 3);
    assert_eq!(sem.set_limit(2), 0);
    waits(&mut waiter);
    sem.add_permits(1);
    waits(&mut waiter);
    books(&sem, 3, 0, 3);
    sem.add_permits(1);
    drop(served(&mut waiter).unwrap());
    drop(permits);
    books(&sem, 4, 4, 0);
}

#[test]
fn newcomers_do_not_overtake_a_debt() {
    let sem = Semaphore::new(2);
    let mut permits = sem.try_acquire_many(2).unwrap();
    sem.set_limit(1);
    drop(permits.split(1));
    assert_eq!(sem.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
    let mut waiter = wait(sem.acquire());
    drop(permits);
    drop(served(&mut waiter).unwrap());
    books(&sem, 1, 1, 0);
}

/// One who leaves a line behind a debt takes nothing along, and leaves nothing.
#[test]
fn leaving_behind_a_debt() {
    let sem = Semaphore::new(2);
    let permits = sem.try_acquire_many(2).unwrap();
    let mut head = wait(sem.acquire_many(3));
    sem.add_permits(1);
    waits(&mut head);
    assert_eq!(sem.set_limit(1), 3);
    let mut next = wait(sem.acquire());
    assert_eq!(sem.status().debt, 2);
    // What the head had pays.
    drop(head);
    waits(&mut next);
    assert_eq!(sem.status().debt, 1);
    books(&sem, 1, 0, 2);
    drop(permits);
    drop(served(&mut next).unwrap());
    books(&sem, 1, 1, 0);
}

#[test]
fn reduce_permits_takes_what_there_is() {
    let sem = Semaphore::new(3);
    let permits = sem.try_acquire_many(2).unwrap();
    assert_eq!(sem.reduce_permits(0), 0);
    assert_eq!(sem.reduce_permits(2), 2);
    books(&sem, 1, 0, 2);
    assert_eq!(sem.reduce_permits(usize::MAX), 1);
    books(&sem, 0, 0, 2);
    assert_eq!(sem.reduce_permits(1), 0);
    drop(permits);
    books(&sem, 0, 0, 0);
}

/// The limit cannot fall below 0, so what is forgotten beyond pays for the debt.
#[test]
fn a_guard_that_is_forgotten_in_debt() {
    let sem = Semaphore::new(5);
    let mut permits = sem.try_acquire_many(5).unwrap();
    sem.set_limit(2);
    permits.split(1).unwrap().forget();
    books(&sem, 1, 0, 4);
    permits.split(3).unwrap().forget();
    books(&sem, 0, 0, 1);
    assert_eq!(sem.status().debt, 1);
    permits.forget();
    books(&sem, 0, 0, 0);
}

#[test]
fn forgetting_nothing_changes_nothing() {
    let sem = Arc::new(Semaphore::new(1));
    sem.try_acquire_many(0).unwrap().forget();
    sem.clone().try_acquire_many_owned(0).unwrap().forget();
    assert_eq!(sem.forget_permits(0), 0);
    books(&sem, 1, 1, 0);
}

#[test]
fn from_max_permits_to_one_and_back() {
    let sem = Semaphore::builder(MAX).acquired(MAX - 1).build();
    let most = sem.adopt(MAX - 1);
    let one = sem.try_acquire().unwrap();
    assert_eq!(sem.set_limit(1), MAX);
    books(&sem, 1, 0, MAX);
    let mut waiter = wait(sem.acquire());
    drop(one);
    waits(&mut waiter);
    assert_eq!(sem.set_limit(0), 1);
    assert_eq!(sem.set_limit(MAX), 0);
    drop(served(&mut waiter).unwrap());
    books(&sem, MAX, 1, MAX - 1);
    drop(most);
    books(&sem, MAX, MAX, 0);
    assert_eq!(sem.set_limit(1), MAX);
    books(&sem, 1, 1, 0);
}

#[test]
fn a_limit_beyond_max_permits_changes_nothing() {
    let sem = Semaphore::new(1);
    assert!(panic_of(|| sem.set_limit(MAX + 1)).contains("MAX_PERMITS"));
    assert!(sem.try_add_permits(MAX).is_err());
    assert!(sem.try_add_permits(usize::MAX).is_err());
    books(&sem, 1, 1, 0);
    sem.try_add_permits(MAX - 1).unwrap();
    books(&sem, MAX, MAX, 0);
    let held = sem.try_acquire().unwrap();
    // As many are free as there were before, but as many exist as there may.
    assert!(sem.try_add_permits(1).is_err());
    drop(held);
    books(&sem, MAX, MAX, 0);
}

#[test]
fn after_a_close_debt_is_still_paid() {
    let sem = Semaphore::new(3);
    let mut permits = sem.try_acquire_many(3).unwrap();
    let mut waiter = wait(sem.acquire());
    sem.set_limit(1);
    sem.close();
    assert!(served(&mut waiter).unwrap_err().is_closed());
    books(&sem, 1, 0, 3);
    drop(permits.split(1));
    books(&sem, 1, 0, 2);
    drop(permits.split(1));
    books(&sem, 1, 0, 1);
    drop(permits);
    books(&sem, 1, 1, 0);
}

#[test]
fn a_closed_semaphore_has_a_limit_too() {
    let sem = Semaphore::new(3);
    let mut permits = sem.try_acquire_many(2).unwrap();
    sem.close();
    books(&sem, 3, 1, 2);
    assert_eq!(sem.set_limit(1), 3);
    books(&sem, 1, 0, 2);
    assert_eq!(sem.set_limit(6), 1);
    books(&sem, 6, 4, 2);
    assert_eq!(sem.forget_permits(3), 3);
    books(&sem, 3, 1, 2);
    sem.add_permits(1);
    books(&sem, 4, 2, 2);
    permits.split(1).unwrap().forget();
    books(&sem, 3, 2, 1);
    assert_eq!(sem.reduce_permits(9), 3);
    books(&sem, 0, 0, 1);
    drop(permits);
    books(&sem, 0, 0, 0);
    assert_eq!(sem.try_acquire().unwrap_err(), TryAcquireError::Closed);
}

#[test]
fn permits_that_are_taken_from_the_start() {
    static SEM: Semaphore = Semaphore::builder(3).acquired(2).build();
    books(&SEM, 3, 1, 2);
    assert!(panic_of(|| SEM.adopt(3)).contains("fewer permits are outstanding"));
    let guard = SEM.adopt(2);
    assert_eq!(guard.num_permits(), 2);
    drop(guard);
    books(&SEM, 3, 3, 0);
    assert_eq!(SEM.adopt(0).num_permits(), 0);
    assert!(panic_of(|| SEM.adopt(1)).contains("fewer permits are outstanding"));
    assert!(panic_of(|| Semaphore::builder(1).acquired(2)).contains("more permits are acquired"));
    let sem = Arc::new(Semaphore::builder(2).acquired(2).build());
    let guard = sem.clone().adopt_owned(1);
    thread::spawn(move || drop(guard)).join().unwrap();
    books(&sem, 2, 1, 1);
}

/// However two threads set the limit, no more permits are given out than the larger of their limits.
/// One of the calls is the last, and its limit stays.
#[test]
fn two_who_set_the_limit_let_nobody_in_beyond_it() {
    let rounds = 2_000 * times();
    let mut rng = Rng::with_seed(seed());
    for _ in 0..4 {
        let sem = Semaphore::new(2);
        let (out, most) = (AtomicUsize::new(0), 2);
        thread::scope(|scope| {
            let last: Vec<_> = (0..2)
                .map(|_| {
                    let (sem, mut rng) = (&sem, rng.fork());
                    scope.spawn(move || {
                        let mut last = 2;
                        for _ in 0..rounds {
                            last = rng.usize(..=most);
                            sem.set_limit(last);
                        }
                        last
                    })
                })
                .collect();
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        if let Ok(permit) = sem.try_acquire() {
                            let others = out.fetch_add(1, Ordering::SeqCst);
                            assert!(others < most, "{} are out", others + 1);
                            out.fetch_sub(1, Ordering::SeqCst);
                            drop(permit);
                        }
                    }
                });
            }
            let last: Vec<_> = last.into_iter().map(|thread| thread.join().unwrap()).collect();
            assert!(last.contains(&sem.limit()), "{last:?}, but the limit is {}", sem.limit());
        });
        books(&sem, sem.limit(), sem.limit(), 0);
    }
}

/// The largest steps that there are, at the same instant.
#[test]
fn three_who_set_the_largest_and_the_smallest_limit() {
    let rounds = 1_000 * times();
    let mut rng = Rng::with_seed(seed());
    let sem = Semaphore::new(1);
    thread::scope(|scope| {
        for _ in 0..3 {
            let (sem, mut rng) = (&sem, rng.fork());
            scope.spawn(move || {
                for _ in 0..rounds {
                    sem.set_limit([MAX, 1, 0][rng.usize(..3)]);
                    drop(sem.try_acquire());
                }
            });
        }
    });
    assert!(!sem.is_closed());
    books(&sem, sem.limit(), sem.limit(), 0);
}
