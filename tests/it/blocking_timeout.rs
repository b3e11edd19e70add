//! `blocking_*_timeout` waits on the thread for a while, in the same line as everyone else, and leaves
//! it as a future does that is dropped.

use std::sync::Arc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use semafair::{AcquireTimeoutError, Semaphore};

use crate::blocking::until_somebody_waits;
use crate::races::{Step, races};
#[cfg(feature = "tokio")]
use crate::support::panic_of;
use crate::support::{poll, served, wait, waits, watch};

const SHORT: Duration = Duration::from_millis(2);
/// More than any test takes.
const LONG: Duration = Duration::from_secs(1000);

/// How many permits each of the four methods got, of 1 or `n`.
type Call = fn(&Arc<Semaphore>, u32, Duration) -> Result<usize, AcquireTimeoutError>;

const ONE: [Call; 2] = [
    |sem, _, time| sem.blocking_acquire_timeout(time).map(|permit| permit.num_permits()),
    |sem, _, time| {
        Arc::clone(sem).blocking_acquire_owned_timeout(time).map(|permit| permit.num_permits())
    },
];
const MANY: [Call; 2] = [
    |sem, n, time| sem.blocking_acquire_many_timeout(n, time).map(|permits| permits.num_permits()),
    |sem, n, time| {
        Arc::clone(sem)
            .blocking_acquire_many_owned_timeout(n, time)
            .map(|permits| permits.num_permits())
    },
];

#[track_caller]
fn times_out(result: Result<usize, AcquireTimeoutError>) {
    assert!(matches!(result, Err(AcquireTimeoutError::Timeout)), "{result:?}");
}

#[test]
fn takes_what_is_free() {
    watch();
    let sem = Arc::new(Semaphore::new(3));
    for time in [Duration::ZERO, SHORT, LONG, Duration::MAX] {
        for call in ONE {
            assert_eq!(call(&sem, 1, time).unwrap(), 1);
        }
        for call in MANY {
            assert_eq!(call(&sem, 3, time).unwrap(), 3);
            assert_eq!(call(&sem, 0, time).unwrap(), 0);
        }
        assert_eq!(sem.available_permits(), 3);
    }
}

#[test]
fn gives_up_when_the_time_is_over_and_leaves_no_trace() {
    watch();
    let sem = Arc::new(Semaphore::new(0));
    for call in ONE {
        let start = Instant::now();
        times_out(call(&sem, 1, SHORT));
        assert!(start.elapsed() >= SHORT, "it gave up early");
        times_out(call(&sem, 1, Duration::ZERO));
    }
    sem.add_permits(2);
    for call in MANY {
        times_out(call(&sem, 3, SHORT));
        assert_eq!(sem.available_permits(), 2);
        times_out(call(&sem, 3, Duration::ZERO));
        assert_eq!(sem.available_permits(), 2);
    }
}

#[test]
fn is_served_in_time() {
    let sem = Arc::new(Semaphore::new(1));
    for call in MANY {
        for time in [LONG, Duration::MAX] {
            thread::scope(|scope| {
                let thread = scope.spawn(|| call(&sem, 2, time));
                until_somebody_waits(&sem);
                sem.add_permits(1);
                assert_eq!(thread.join().unwrap().unwrap(), 2);
            });
            assert_eq!(sem.forget_permits(1), 1);
        }
    }
}

/// The thread that gives up had one of two permits: it goes to the next in line.
#[test]
fn what_it_had_is_handed_on() {
    watch();
    let sem = Arc::new(Semaphore::new(1));
    for call in MANY {
        thread::scope(|scope| {
            let thread = scope.spawn(|| call(&sem, 2, Duration::from_millis(50)));
            // Nobody else is there, so a failure means that it has its place; or had it, which comes to
            // the same.
            while sem.available_permits() == 1 && !thread.is_finished() {
                thread::yield_now();
            }
            let mut next = sem.acquire();
            let permit = loop {
                match poll(&mut next, Waker::noop()) {
                    Poll::Ready(permit) => break permit.unwrap(),
                    Poll::Pending => thread::yield_now(),
                }
            };
            assert_eq!(permit.num_permits(), 1);
            times_out(thread.join().unwrap());
        });
        assert_eq!(sem.available_permits(), 1);
    }
}

#[test]
fn zero_overtakes_nobody() {
    let sem = Arc::new(Semaphore::new(1));
    let mut first = wait(sem.acquire_many(2));
    for call in ONE {
        times_out(call(&sem, 1, Duration::ZERO));
    }
    for call in MANY {
        times_out(call(&sem, 1, Duration::ZERO));
        assert_eq!(call(&sem, 0, Duration::ZERO).unwrap(), 0);
    }
    waits(&mut first);
    sem.add_permits(1);
    drop(served(&mut first).unwrap());
    assert_eq!(sem.available_permits(), 2);
}

#[test]
fn stands_in_line_with_the_others() {
    watch();
    let sem = Arc::new(Semaphore::new(0));
    for call in ONE {
        let mut first = wait(sem.acquire());
        thread::scope(|scope| {
            // Whether or not the thread stands in the line yet, it came later.
            let thread = scope.spawn(|| call(&sem, 1, LONG));
            sem.add_permits(1);
            let permit = served(&mut first).unwrap();
            assert!(!thread.is_finished());
            drop(permit);
            assert_eq!(thread.join().unwrap().unwrap(), 1);
        });
        assert_eq!(sem.forget_permits(2), 1);
    }
}

#[test]
fn is_refused_when_closed() {
    let sem = Arc::new(Semaphore::new(1));
    thread::scope(|scope| {
        let threads = MANY.map(|call| {
            let sem = &sem;
            scope.spawn(move || call(sem, 2, LONG))
        });
        until_somebody_waits(&sem);
        sem.close();
        for thread in threads {
            let refused = thread.join().unwrap();
            assert!(matches!(refused, Err(AcquireTimeoutError::Refused(_))), "{refused:?}");
        }
    });
    for call in ONE.into_iter().chain(MANY) {
        for time in [Duration::ZERO, LONG] {
            let refused = call(&sem, 1, time);
            assert!(matches!(refused, Err(AcquireTimeoutError::Refused(_))), "{refused:?}");
        }
    }
    assert_eq!(sem.available_permits(), 1);
}

#[test]
fn the_errors_say_why() {
    use std::error::Error;

    let sem = Semaphore::new(0);
    let late = sem.blocking_acquire_timeout(Duration::ZERO).unwrap_err();
    assert_eq!(late.to_string(), "timed out waiting for permits");
    assert!(late.source().is_none());
    sem.close();
    let refused = sem.blocking_acquire_timeout(SHORT).unwrap_err();
    assert_eq!(refused.to_string(), "semaphore closed");
    assert!(refused.source().is_none());
    let AcquireTimeoutError::Refused(refused) = refused else { panic!("it is closed") };
    // As in a function that returns the larger error.
    assert!(matches!(AcquireTimeoutError::from(refused), AcquireTimeoutError::Refused(_)));
}

/// A time that is over soon: some of these waits are granted, and some not.
fn soon(rng: &mut Rng) -> Vec<Step> {
    vec![Step::Block(rng.u32(0..4), Duration::from_nanos(rng.u64(0..30_000)))]
}

#[test]
fn races_of_the_time_and_a_grant() {
    races(8_000, [soon, |rng| vec![Step::Add(rng.usize(1..4)), Step::Release]]);
}

#[test]
fn races_of_the_time_and_anything() {
    races(8_000, [soon, Step::some]);
}

#[test]
fn races_of_the_time_and_a_close() {
    races(2_000, [soon, |_| vec![Step::Close], |_| vec![Step::Release]]);
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn in_a_runtime_it_panics_even_if_it_need_not_wait() {
    let sem = Arc::new(Semaphore::new(9));
    for call in ONE.into_iter().chain(MANY) {
        for time in [Duration::ZERO, LONG] {
            let text = panic_of(|| call(&sem, 1, time));
            assert!(
                text.contains("Cannot block the current thread from within a runtime"),
                "{text}"
            );
        }
    }
    assert_eq!(sem.available_permits(), 9);
    assert_eq!(Arc::strong_count(&sem), 1);
}
