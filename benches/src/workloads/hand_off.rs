//! A permit goes from its holder to a waiter, and nothing else happens.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::{Workload, poll, ready, timed};
use crate::Semaphore;

/// Two take turns with one permit. A round is one hand-off: one of them waits, the other drops the
/// permit, and the first finds that it has it.
#[derive(Clone, Copy, Debug)]
pub struct HandOff;

impl Workload for HandOff {
    fn name(&self) -> String {
        "hand-off to one waiter, no-op waker".into()
    }

    fn run<S: Semaphore>(&self, rounds: u64) -> Duration {
        let semaphore = S::with_permits(1);
        let mut held = ready(semaphore.acquire());
        // A permit outlives the future that brought it, so both waiters use one place in turn.
        let mut waiter = pin!(semaphore.acquire());
        timed(|| {
            for _ in 0..rounds {
                waiter.set(semaphore.acquire());
                assert!(poll(waiter.as_mut()).is_pending(), "the permit is held");
                drop(held);
                let Poll::Ready(Ok(granted)) = poll(waiter.as_mut()) else {
                    panic!("the permit was dropped, and nobody got it");
                };
                held = granted;
            }
        })
    }
}
