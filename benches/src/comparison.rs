//! One workload, bound to every semaphore.

use std::time::Duration;

use crate::{Semafair, Semaphore, Tokio, Workload};

/// A workload and who takes part in it; the first contender is who the others are compared to.
#[derive(Debug)]
pub struct Comparison {
    /// The workload's name.
    pub workload: String,
    /// Operations in one round of it.
    pub operations: u32,
    /// The baseline, then the others.
    pub contenders: Vec<Contender>,
}

impl Comparison {
    /// Binds a workload to the semaphores.
    #[must_use]
    pub fn of<W: Workload>(workload: W) -> Self {
        Self {
            workload: workload.name(),
            operations: workload.operations(),
            contenders: vec![
                Contender::new::<W, Tokio>(workload),
                // One line for each further semaphore.
                Contender::new::<W, Semafair>(workload),
            ],
        }
    }
}

/// A workload on one semaphore.
pub struct Contender {
    /// The semaphore's name.
    pub name: &'static str,
    // Called once for thousands of rounds: the indirect call does not show.
    run: Box<dyn Fn(u64) -> Duration>,
}

impl Contender {
    fn new<W: Workload, S: Semaphore>(workload: W) -> Self {
        Self { name: S::NAME, run: Box::new(move |rounds| workload.run::<S>(rounds)) }
    }

    /// Runs so many rounds, and tells how long they took without what sets them up.
    #[must_use]
    pub fn run(&self, rounds: u64) -> Duration {
        (self.run)(rounds)
    }
}

impl std::fmt::Debug for Contender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contender").field("name", &self.name).finish_non_exhaustive()
    }
}
