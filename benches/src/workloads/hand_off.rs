//! A permit goes from its holder to a waiter, and nothing else happens.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::{Places, Workload, acquired, no_task, poll, tenth, timed};
use crate::{Operation, Semaphore};

/// Two take turns with one permit. A round is one hand-off: one of them waits, the other drops the
/// permit, and the first finds that it has it.
#[derive(Clone, Copy, Debug)]
pub struct HandOff;

impl Workload for HandOff {
    fn name(&self) -> String {
        "hand-off to one waiter, no-op waker".into()
    }

    fn needs(&self) -> &'static [Operation] {
        &[Operation::Wait]
    }

    fn run<S: Semaphore>(&self, rounds: u64) -> Duration {
        let semaphore = S::with_permits(1);
        let mut held = acquired(&mut no_task(), &semaphore);
        // A permit outlives the future that brought it, so both waiters use one place in turn.
        let mut waiter = pin!(semaphore.acquire());
        timed(|| {
            for _ in 0..rounds {
                waiter.set(semaphore.acquire());
                assert!(poll(waiter.as_mut()).is_pending(), "the permit is held");
                drop(held);
                let Poll::Ready(granted) = poll(waiter.as_mut()) else {
                    panic!("the permit was dropped, and nobody got it");
                };
                held = semaphore.permit(granted, 1);
            }
        })
    }
}

/// So many waiters queue up behind a held permit, which is not timed, and the permit goes from each
/// to the next.
///
/// Timed, per waiter: the drop of the permit before it, the poll that is ready, and the drop of the
/// future. The waker does nothing.
#[derive(Clone, Copy, Debug)]
pub struct HandOffDownTheLine(pub u32);

impl Workload for HandOffDownTheLine {
    fn name(&self) -> String {
        format!("hand-off down a line of {}", self.0)
    }

    fn family(&self) -> String {
        "hand-off down a line".into()
    }

    fn operations(&self) -> u32 {
        self.0
    }

    fn size(&self) -> Option<u32> {
        Some(self.0)
    }

    fn tenth(&self) -> Option<Self> {
        tenth(self.0).map(Self)
    }

    fn needs(&self) -> &'static [Operation] {
        &[Operation::Wait]
    }

    fn run<S: Semaphore>(&self, rounds: u64) -> Duration {
        let semaphore = S::with_permits(1);
        let mut places = Places::new(self.0);
        let mut time = Duration::ZERO;
        for _ in 0..rounds {
            let mut held = acquired(&mut no_task(), &semaphore);
            places.fill(|| semaphore.acquire());
            time += timed(|| {
                for index in 0..places.count() {
                    drop(held);
                    held = semaphore.permit(places.take(index), 1);
                }
            });
        }
        time
    }
}
