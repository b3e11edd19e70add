//! Tasks that share few permits, so that every acquire but the first few waits.
//!
//! One turn of a task is to acquire a permit, to let the others run, and to drop it; with a fair
//! semaphore that is one hand-off.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::runtime;
use tokio::sync::Notify;

use super::{Workload, tenth};
use crate::executor::{self, Executor};
use crate::time::{Stopwatch, timed};
use crate::{Operation, Semaphore, Time};

/// The turns that each task takes in a round: enough for those that start and end it not to show.
const TURNS: u32 = 10;

/// So many tasks on the least executor that there can be: next to nothing but the semaphore.
///
/// Timed, per turn: all polls of the tasks, the first and the last included.
#[derive(Clone, Copy, Debug)]
pub struct BareTasks {
    /// How many share the permits.
    pub tasks: u32,
    /// How many permits there are.
    pub permits: u32,
}

impl Workload for BareTasks {
    fn name(&self) -> String {
        match self.permits {
            1 => format!("hand-off, {} tasks, bare polling", self.tasks),
            n => format!("hand-off, {} tasks over {n} permits, bare polling", self.tasks),
        }
    }

    fn family(&self) -> String {
        match self.permits {
            1 => "hand-off, bare polling".into(),
            n => format!("hand-off over {n} permits, bare polling"),
        }
    }

    fn operations(&self) -> u32 {
        self.tasks * TURNS
    }

    fn size(&self) -> Option<u32> {
        Some(self.tasks)
    }

    fn tenth(&self) -> Option<Self> {
        tenth(self.tasks).map(|tasks| Self { tasks, ..*self })
    }

    fn needs(&self) -> &'static [Operation] {
        &[Operation::Wait]
    }

    fn run<S: Semaphore>(&self, rounds: u64) -> Time {
        let semaphore = &S::with_permits(self.permits as usize);
        let mut executor = Executor::new((0..self.tasks).map(|_| async move {
            for _ in 0..rounds * u64::from(TURNS) {
                let permit = semaphore.permit(semaphore.acquire().await, 1);
                executor::yield_now().await;
                drop(permit);
            }
        }));
        timed(|| executor.run())
    }
}

/// A runtime of tokio's.
#[derive(Clone, Copy, Debug)]
pub enum Runtime {
    /// All tasks on the thread that drives it.
    CurrentThread,
    /// Two threads that steal from each other, and a third that waits for the end.
    TwoWorkers,
}

impl Runtime {
    fn build(self) -> runtime::Runtime {
        let mut builder = match self {
            Self::CurrentThread => runtime::Builder::new_current_thread(),
            Self::TwoWorkers => runtime::Builder::new_multi_thread(),
        };
        // A runtime on the current thread ignores it.
        builder.worker_threads(2).build().expect("it needs no driver")
    }
}

impl Display for Runtime {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CurrentThread => "tokio's current-thread runtime",
            Self::TwoWorkers => "tokio's runtime with 2 workers",
        })
    }
}

/// So many tasks over one permit, on a runtime of tokio's.
///
/// Timed, per turn: from the opening of a gate behind which all tasks wait, until the last task has
/// taken its last turn.
#[derive(Clone, Copy, Debug)]
pub struct TokioTasks {
    /// How many share the permit.
    pub tasks: u32,
    /// Where they run.
    pub runtime: Runtime,
}

impl Workload for TokioTasks {
    fn name(&self) -> String {
        format!("hand-off, {} tasks, {}", self.tasks, self.runtime)
    }

    fn family(&self) -> String {
        format!("hand-off, {}", self.runtime)
    }

    fn operations(&self) -> u32 {
        self.tasks * TURNS
    }

    fn size(&self) -> Option<u32> {
        Some(self.tasks)
    }

    fn tenth(&self) -> Option<Self> {
        tenth(self.tasks).map(|tasks| Self { tasks, ..*self })
    }

    fn needs(&self) -> &'static [Operation] {
        match self.runtime {
            Runtime::CurrentThread => &[Operation::Wait],
            Runtime::TwoWorkers => &[Operation::Wait, Operation::Threads],
        }
    }

    fn run<S: Semaphore>(&self, rounds: u64) -> Time {
        let runtime = self.runtime.build();
        let semaphore = Arc::new(S::with_permits(1));
        let gate = Arc::new(Gate::default());
        for _ in 0..self.tasks {
            let (semaphore, gate) = (Arc::clone(&semaphore), Arc::clone(&gate));
            drop(runtime.spawn(async move {
                gate.pass().await;
                for _ in 0..rounds * u64::from(TURNS) {
                    let permit = semaphore.permit(semaphore.acquire().await, 1);
                    tokio::task::yield_now().await;
                    drop(permit);
                }
                gate.leave();
            }));
        }
        let time = runtime.block_on(gate.open_for(self.tasks));
        match self.runtime {
            Runtime::CurrentThread => time,
            Runtime::TwoWorkers => Time::of_threads(time.wall),
        }
    }
}

/// Lets tasks start together, and tells when the last of them ends.
#[derive(Default)]
struct Gate {
    inside: AtomicU32,
    opens: Notify,
    last_leaves: Notify,
}

impl Gate {
    async fn pass(&self) {
        // From here on the opening is not missed, polled or not.
        let opens = self.opens.notified();
        self.inside.fetch_add(1, Ordering::AcqRel);
        opens.await;
    }

    fn leave(&self) {
        if self.inside.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.last_leaves.notify_one();
        }
    }

    /// Opens as soon as so many are there, and tells how long it took until all had left.
    async fn open_for(&self, tasks: u32) -> Time {
        while self.inside.load(Ordering::Acquire) < tasks {
            tokio::task::yield_now().await;
        }
        let stopwatch = Stopwatch::start();
        self.opens.notify_waiters();
        self.last_leaves.notified().await;
        stopwatch.stop()
    }
}
