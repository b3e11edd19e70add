//! Nobody waits.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use super::{Workload, ready, timed};
use crate::Semaphore;

/// `acquire().await`, and the permit's drop.
#[derive(Clone, Copy, Debug)]
pub struct Acquire;

impl Workload for Acquire {
    fn name(&self) -> String {
        "acquire + drop".into()
    }

    fn run<S: Semaphore>(&self, rounds: u64) -> Duration {
        let semaphore = S::with_permits(1);
        timed(|| acquire_and_drop(&semaphore, rounds))
    }
}

/// `try_acquire()`, and the permit's drop.
#[derive(Clone, Copy, Debug)]
pub struct TryAcquire;

impl Workload for TryAcquire {
    fn name(&self) -> String {
        "try_acquire + drop".into()
    }

    fn run<S: Semaphore>(&self, rounds: u64) -> Duration {
        let semaphore = S::with_permits(1);
        timed(|| {
            for _ in 0..rounds {
                drop(black_box(&semaphore).try_acquire().expect("the only permit is free"));
            }
        })
    }
}

/// `acquire_many(n).await`, and the permit's drop.
#[derive(Clone, Copy, Debug)]
pub struct AcquireMany(pub u16);

impl Workload for AcquireMany {
    fn name(&self) -> String {
        format!("acquire_many({}) + drop", self.0)
    }

    fn run<S: Semaphore>(&self, rounds: u64) -> Duration {
        let semaphore = S::with_permits(self.0.into());
        timed(|| {
            for _ in 0..rounds {
                drop(ready(black_box(&semaphore).acquire_many(self.0.into())));
            }
        })
    }
}

/// Two threads that acquire and drop, with a permit for each: they meet in the semaphore's memory
/// only. A round is one operation of each thread, counted once.
#[derive(Clone, Copy, Debug)]
pub struct TwoThreads;

impl Workload for TwoThreads {
    fn name(&self) -> String {
        "acquire + drop, two threads that never wait".into()
    }

    fn run<S: Semaphore>(&self, rounds: u64) -> Duration {
        let semaphore = S::with_permits(2);
        let start = Barrier::new(2);
        let run = || {
            start.wait();
            timed(|| acquire_and_drop(&semaphore, rounds))
        };
        thread::scope(|scope| {
            let other = scope.spawn(run);
            run().max(other.join().expect("the other thread panicked"))
        })
    }
}

fn acquire_and_drop<S: Semaphore>(semaphore: &S, rounds: u64) {
    for _ in 0..rounds {
        drop(ready(black_box(semaphore).acquire()));
    }
}
