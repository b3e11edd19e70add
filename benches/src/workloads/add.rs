//! Permits for everybody at once.

use std::mem::forget;

use super::{Places, Workload, tenth};
use crate::time::timed;
use crate::{Operation, Semaphore, Time};

/// So many waiters queue up, which is not timed; as many permits are added in one call, and each
/// waiter takes one.
///
/// Timed, per waiter: its share of the call, the poll that is ready, and the drop of the future. The
/// waker does nothing, and the permits are forgotten.
#[derive(Clone, Copy, Debug)]
pub struct AddPermits(pub u32);

impl Workload for AddPermits {
    fn name(&self) -> String {
        format!("add_permits({0}) to {0} waiters, and all acquire", self.0)
    }

    fn family(&self) -> String {
        "add_permits(n) to n waiters, and all acquire".into()
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
        &[Operation::Wait, Operation::Add]
    }

    fn run<S: Semaphore>(&self, rounds: u64) -> Time {
        let semaphore = S::with_permits(0);
        let mut places = Places::new(self.0);
        let round = |_| {
            places.fill(|| semaphore.acquire());
            timed(|| {
                semaphore.add_permits(places.count());
                for index in 0..places.count() {
                    forget(semaphore.permit(places.take(index), 1));
                }
            })
        };
        (0..rounds).map(round).sum()
    }
}

/// The same, and only the call is timed.
#[derive(Clone, Copy, Debug)]
pub struct AddPermitsCall(pub u32);

impl Workload for AddPermitsCall {
    fn name(&self) -> String {
        format!("add_permits({0}) to {0} waiters, the call alone", self.0)
    }

    fn family(&self) -> String {
        "add_permits(n) to n waiters, the call alone".into()
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
        &[Operation::Wait, Operation::Add]
    }

    fn run<S: Semaphore>(&self, rounds: u64) -> Time {
        let semaphore = S::with_permits(0);
        let mut places = Places::new(self.0);
        let round = |_| {
            places.fill(|| semaphore.acquire());
            let time = timed(|| semaphore.add_permits(places.count()));
            for index in 0..places.count() {
                forget(semaphore.permit(places.take(index), 1));
            }
            time
        };
        (0..rounds).map(round).sum()
    }
}
