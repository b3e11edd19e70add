//! A bounded line, and requests that can never be served.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::thread;

use semafair::Semaphore;

use crate::support::watchdog::times;
use crate::support::{Wakes, panic_of, poll, served, wait, waits, watch};

/// Polls a new request once, and says why it was refused.
#[track_caller]
fn refusal(sem: &Semaphore, n: u32) -> semafair::AcquireError {
    let wakes = Wakes::new();
    match wakes.poll(&mut sem.acquire_many(n)) {
        Poll::Ready(Err(error)) => {
            assert_eq!(wakes.count(), 0, "it woke somebody");
            error
        }
        Poll::Ready(Ok(_)) => panic!("it was granted"),
        Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn no_more_permits_are_waited_for_than_the_bound() {
    static SEM: Semaphore = Semaphore::builder(1).queue_limit(3).build();
    let permit = SEM.try_acquire().unwrap();
    let mut first = wait(SEM.acquire_many(2));
    assert!(refusal(&SEM, 2).is_queue_full());
    let mut second = wait(SEM.acquire());
    assert_eq!(SEM.status().queued, 3);
    assert!(refusal(&SEM, 1).is_queue_full());
    assert_eq!(SEM.status().queued, 3, "a request that was refused asks for nothing");
    // A place in the line is free again when somebody leaves, or is served.
    waits(&mut second);
    drop(second);
    let third = wait(SEM.acquire());
    assert!(refusal(&SEM, 1).is_queue_full());
    drop(permit);
    waits(&mut first);
    let fourth = wait(SEM.acquire());
    assert!(refusal(&SEM, 1).is_queue_full());
    drop((third, fourth));
    drop(first);
    assert_eq!(SEM.available_permits(), 1);
}

#[test]
fn with_no_line_at_all_a_request_is_served_at_once_or_refused() {
    let sem = Semaphore::builder(2).queue_limit(0).build();
    let mut permits = sem.try_acquire_many(1).unwrap();
    assert!(refusal(&sem, 2).is_queue_full());
    assert_eq!(sem.available_permits(), 1, "it took what was free");
    let Poll::Ready(Ok(more)) = poll(&mut sem.acquire(), Waker::noop()) else { panic!() };
    permits.merge(more);
    assert!(refusal(&sem, 1).is_queue_full());
    assert!(matches!(poll(&mut sem.acquire_many(0), Waker::noop()), Poll::Ready(Ok(_))));
    drop(permits);
    assert!(matches!(poll(&mut sem.acquire_many(2), Waker::noop()), Poll::Ready(Ok(_))));
    assert!(sem.blocking_acquire_many(3).unwrap_err().is_queue_full());
}

/// Only what is not free counts.
#[test]
fn a_request_that_is_partly_free_counts_for_the_rest() {
    let sem = Semaphore::builder(2).queue_limit(1).build();
    let waiter = wait(sem.acquire_many(3));
    assert_eq!(sem.status().queued, 1);
    drop(waiter);
    assert!(refusal(&sem, 4).is_queue_full());
    assert_eq!(sem.available_permits(), 2);
}

/// On 32 bits, each number is a bound.
#[cfg(target_pointer_width = "64")]
#[test]
fn the_largest_bound_is_none() {
    for bound in [1 << 55, usize::MAX] {
        let sem = Semaphore::builder(0).queue_limit(bound).build();
        let _line: Vec<_> = (0..100).map(|_| wait(sem.acquire_many(u32::MAX >> 3))).collect();
    }
}

#[test]
fn debt_is_not_waited_for() {
    let sem = Semaphore::builder(5).queue_limit(1).build();
    let permits = sem.try_acquire_many(5).unwrap();
    sem.set_limit(1);
    let mut waiter = wait(sem.acquire());
    assert!(refusal(&sem, 1).is_queue_full());
    drop(permits);
    drop(served(&mut waiter).unwrap());
}

#[test]
fn a_closed_semaphore_says_so_first() {
    let sem = Semaphore::builder(1).queue_limit(0).fail_oversized().build();
    sem.close();
    for n in [0, 1, 2] {
        let error = refusal(&sem, n);
        assert!(error.is_closed() && !error.is_queue_full() && !error.is_oversized());
    }
    assert_eq!(sem.available_permits(), 1);
}

#[test]
fn oversized_requests_are_refused_by_the_limit_of_that_moment() {
    let sem = Semaphore::builder(2).fail_oversized().build();
    let permits = sem.try_acquire_many(2).unwrap();
    let error = refusal(&sem, 3);
    assert!(error.is_oversized() && !error.is_closed() && !error.is_queue_full());
    let mut waiter = wait(sem.acquire_many(2));
    // It was let in, and stays.
    sem.set_limit(1);
    assert!(refusal(&sem, 2).is_oversized());
    waits(&mut waiter);
    sem.set_limit(3);
    waits(&mut waiter);
    drop(permits);
    drop(served(&mut waiter).unwrap());
    assert!(matches!(poll(&mut sem.acquire_many(3), Waker::noop()), Poll::Ready(Ok(_))));
}

#[test]
fn without_being_told_oversized_requests_wait() {
    let sem = Semaphore::builder(1).queue_limit(2).build();
    let mut waiter = wait(sem.acquire_many(2));
    sem.add_permits(1);
    drop(served(&mut waiter).unwrap());
}

#[test]
fn errors_say_why_and_whose() {
    const NAME: &str = "cafétéria";
    let sem = Semaphore::builder(1).queue_limit(0).fail_oversized().name(NAME).build();
    let permit = sem.try_acquire().unwrap();
    assert_eq!(
        refusal(&sem, 2).to_string(),
        format!("request exceeds the limit of the semaphore `{NAME}`")
    );
    assert_eq!(refusal(&sem, 1).to_string(), format!("semaphore `{NAME}` queue full"));
    sem.close();
    assert_eq!(refusal(&sem, 1).to_string(), format!("semaphore `{NAME}` closed"));
    drop(permit);
}

#[test]
fn names_stay_when_there_is_a_line_and_after_the_close() {
    static TOO_LONG: &str = match str::from_utf8(&[b'x'; 128]) {
        Ok(name) => name,
        Err(_) => "",
    };
    let longest = &TOO_LONG[1..];
    for name in ["", "a", longest] {
        let sem = Semaphore::builder(0).name(name).queue_limit(1).build();
        assert_eq!(sem.status().name, Some(name));
        let waiter = wait(sem.acquire());
        assert_eq!(sem.status().name, Some(name));
        assert!(refusal(&sem, 1).is_queue_full());
        sem.close();
        assert_eq!(sem.status().name, Some(name));
        drop(waiter);
        let shut = Semaphore::builder(0).name(name).build();
        shut.close();
        assert_eq!(shut.status().name, Some(name));
    }
    assert_eq!(Semaphore::new(1).status().name, None);
    assert!(panic_of(|| Semaphore::builder(0).name(TOO_LONG)).contains("127"));
}

/// Threads come and go, and some leave before they are served: there are never more in the line
/// than the bound allows, and nobody is refused for whom there was room.
#[test]
fn the_bound_is_exact_under_races() {
    const THREADS: usize = 4;
    watch();
    // Nobody can be refused where there is room for all, ...
    let roomy = Semaphore::builder(1).queue_limit(THREADS - 1).build();
    // ... and somebody is where there is not.
    let narrow = Semaphore::builder(1).queue_limit(1).build();
    let refused = AtomicUsize::new(0);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (roomy, narrow, refused) = (&roomy, &narrow, &refused);
            scope.spawn(move || {
                for round in 0..5_000 * times() {
                    let mut future = roomy.acquire();
                    match poll(&mut future, Waker::noop()) {
                        Poll::Ready(Err(error)) => panic!("{error}, though there was room"),
                        Poll::Ready(Ok(permit)) => drop(permit),
                        Poll::Pending if (round + thread) % 2 == 0 => {}
                        Poll::Pending => thread::yield_now(),
                    }
                    drop(future);
                    let mut future = narrow.acquire();
                    if let Poll::Ready(Err(error)) = poll(&mut future, Waker::noop()) {
                        assert!(error.is_queue_full());
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                    let queued = narrow.status().queued;
                    assert!(queued <= 1, "{queued} are waited for");
                }
            });
        }
    });
    assert_eq!((roomy.available_permits(), narrow.available_permits()), (1, 1));
    println!("{} were refused", refused.into_inner());
}

/// Those who are refused do not move anybody in the line.
#[test]
fn a_refusal_keeps_the_order() {
    let sem = Arc::new(Semaphore::builder(0).queue_limit(2).build());
    let mut first = wait(sem.clone().acquire_owned());
    let mut second = wait(sem.clone().acquire_owned());
    assert!(refusal(&sem, 1).is_queue_full());
    sem.add_permits(1);
    let permit = served(&mut first).unwrap();
    waits(&mut second);
    let mut third = wait(sem.clone().acquire_owned());
    drop(permit);
    let permit = served(&mut second).unwrap();
    waits(&mut third);
    drop(permit);
    drop(served(&mut third).unwrap());
}
