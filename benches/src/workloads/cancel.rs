//! Waiters that give up.

use std::pin::{Pin, pin};
use std::time::Duration;

use super::{Workload, poll, timed};
use crate::Semaphore;

/// So many waiters queue up behind one that stays, and then leave in the order in which they came.
#[derive(Clone, Copy, Debug)]
pub struct EnqueueCancel(pub u16);

impl Workload for EnqueueCancel {
    fn name(&self) -> String {
        match self.0 {
            1 => "enqueue + cancel behind a waiter".into(),
            n => format!("enqueue + cancel of {n} behind a waiter"),
        }
    }

    fn operations(&self) -> u32 {
        self.0.into()
    }

    fn run<S: Semaphore>(&self, rounds: u64) -> Duration {
        let semaphore = S::with_permits(0);
        let mut stays = pin!(semaphore.acquire());
        assert!(poll(stays.as_mut()).is_pending(), "there is no permit");

        // The places are made once: a future that may not move while it waits is put into its
        // place and dropped there, and no round pays for a box.
        let mut places: Vec<_> = (0..self.0).map(|_| Box::pin(None)).collect();
        timed(|| {
            for _ in 0..rounds {
                for place in &mut places {
                    place.set(Some(semaphore.acquire()));
                    let waiter = Option::as_pin_mut(Pin::as_mut(place)).expect("it was just set");
                    assert!(poll(waiter).is_pending(), "there is no permit");
                }
                for place in &mut places {
                    place.set(None);
                }
            }
        })
    }
}
