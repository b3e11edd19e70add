//! Nobody waits, and nobody else is there.

use std::hint::black_box;

use super::{Workload, acquired, no_task, ready};
use crate::time::timed;
use crate::{Operation, Semaphore, Time};

/// `acquire().await`, and the permit's drop.
#[derive(Clone, Copy, Debug)]
pub struct Acquire;

impl Workload for Acquire {
    fn name(&self) -> String {
        "acquire + drop".into()
    }

    fn run<S: Semaphore>(&self, rounds: u64) -> Time {
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

    fn run<S: Semaphore>(&self, rounds: u64) -> Time {
        let semaphore = S::with_permits(1);
        timed(|| try_and_drop(&semaphore, rounds))
    }
}

/// `acquire_many(n).await`, and the permit's drop.
#[derive(Clone, Copy, Debug)]
pub struct AcquireMany(pub u16);

impl Workload for AcquireMany {
    fn name(&self) -> String {
        format!("acquire_many({}) + drop", self.0)
    }

    fn needs(&self) -> &'static [Operation] {
        &[Operation::Many]
    }

    fn run<S: Semaphore>(&self, rounds: u64) -> Time {
        let semaphore = S::with_permits(self.0.into());
        timed(|| {
            let cx = &mut no_task();
            for _ in 0..rounds {
                let semaphore = black_box(&semaphore);
                let n = self.0.into();
                drop(ready(cx, semaphore, semaphore.acquire_many(n), n));
            }
        })
    }
}

pub(super) fn acquire_and_drop<S: Semaphore>(semaphore: &S, rounds: u64) {
    let cx = &mut no_task();
    for _ in 0..rounds {
        drop(acquired(cx, black_box(semaphore)));
    }
}

pub(super) fn try_and_drop<S: Semaphore>(semaphore: &S, rounds: u64) {
    for _ in 0..rounds {
        drop(black_box(semaphore).try_acquire().expect("there is a permit for each"));
    }
}
