//! One workload, bound to every semaphore.

use crate::semaphores::{ForEach, for_each};
use crate::{Semaphore, Time, Workload};

/// A workload and who takes part in it; the first contender is who the others are compared to.
#[derive(Debug)]
pub struct Comparison {
    /// The workload's name.
    pub workload: String,
    /// The workload's name without the size.
    pub family: String,
    /// Operations in one round of it.
    pub operations: u32,
    /// How many waiters, tasks or threads take part, if that is what its name differs in.
    pub size: Option<u32>,
    /// What part of the baseline's time ours may take.
    pub goal: Option<f64>,
    /// The baseline, then the others that have what it takes.
    pub contenders: Vec<Contender>,
}

impl Comparison {
    /// Binds a workload to the semaphores.
    #[must_use]
    pub fn of<W: Workload>(workload: W) -> Self {
        Self {
            workload: workload.name(),
            family: workload.family(),
            operations: workload.operations(),
            size: workload.size(),
            goal: None,
            contenders: for_each(&workload).into_iter().flatten().collect(),
        }
    }

    /// Sets the goal.
    #[must_use]
    pub fn goal(self, ratio: f64) -> Self {
        Self { goal: Some(ratio), ..self }
    }
}

impl<W: Workload> ForEach for W {
    type Outcome = Option<Contender>;

    fn visit<S: Semaphore>(&self) -> Self::Outcome {
        self.suits::<S>().then(|| Contender::new::<W, S>(*self))
    }
}

/// A workload on one semaphore.
pub struct Contender {
    /// The semaphore's name.
    pub name: &'static str,
    // Called once for thousands of rounds: the indirect call does not show.
    run: Run,
    tenths: Vec<Run>,
}

type Run = Box<dyn Fn(u64) -> Time>;

impl Contender {
    fn new<W: Workload, S: Semaphore>(workload: W) -> Self {
        let run = |workload: W| -> Run { Box::new(move |rounds| workload.run::<S>(rounds)) };
        let tenths = std::iter::successors(workload.tenth(), Workload::tenth);
        let mut tenths: Vec<_> = tenths.filter(Workload::suits::<S>).map(run).collect();
        tenths.reverse();
        Self { name: S::NAME, run: run(workload), tenths }
    }

    /// Runs so many rounds, and tells how long they took without what sets them up.
    #[must_use]
    pub fn run(&self, rounds: u64) -> Time {
        (self.run)(rounds)
    }

    /// The same with fewer waiters, from the fewest to a tenth of them: each runs one round.
    pub fn tenths(&self) -> impl Iterator<Item = impl Fn() -> Time> {
        self.tenths.iter().map(|run| || run(1))
    }
}

impl std::fmt::Debug for Contender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contender").field("name", &self.name).finish_non_exhaustive()
    }
}
