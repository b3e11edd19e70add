//! Who gets how much, and who waits how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use semafair_benches::{ForEach, Operation, Semaphore, for_each};
use tokio::runtime;

use crate::statistics::{jain, median, quantile};

const TASKS: u32 = 100;
const PERMITS: u32 = 10;

/// The word that selects it.
pub(crate) const NAME: &str = "fairness";

/// A hundred tasks over ten permits, on tokio's runtime with two workers: each acquires, lets the
/// others run, and drops, until the time is up.
///
/// Grants are counted for each task. A wait is the time from the call of `acquire` to the grant; that
/// of who waits when the time is up ends when the others have left.
pub(crate) struct Fairness {
    pub(crate) name: &'static str,
    /// Jain's index over grants per task.
    pub(crate) jain: f64,
    /// The grants of the task that got fewest, and of the one that got most.
    pub(crate) grants: [f64; 2],
    /// The median, the 99th percentile and the longest of all waits, in nanoseconds.
    pub(crate) waits: [f64; 3],
}

pub(crate) const ABOUT: &str = "A hundred tasks over ten permits, on tokio's runtime with two workers: \
    each acquires, lets the others run, and drops. Jain's index of the grants per task is 1 if all \
    get the same, and 0.01 if one gets everything. A wait is the time from `acquire` to the grant. \
    Each figure is the median of several runs.";

/// Measures each semaphore so often, in turns, for so long.
pub(crate) fn measure(times: u32, duration: Duration) -> Vec<Fairness> {
    let rounds: Vec<Vec<Fairness>> =
        (0..times).map(|_| for_each(&Visit(duration)).into_iter().flatten().collect()).collect();
    let middle = |i: usize, figure: &dyn Fn(&Fairness) -> f64| {
        let all: Vec<_> = rounds.iter().map(|round| figure(&round[i])).collect();
        median(&all).expect("there was a round")
    };
    (0..rounds[0].len())
        .map(|i| Fairness {
            name: rounds[0][i].name,
            jain: middle(i, &|run| run.jain),
            grants: [0, 1].map(|k| middle(i, &|run| run.grants[k])),
            waits: [0, 1, 2].map(|k| middle(i, &|run| run.waits[k])),
        })
        .collect()
}

struct Visit(Duration);

impl ForEach for Visit {
    type Outcome = Option<Fairness>;

    fn visit<S: Semaphore>(&self) -> Self::Outcome {
        let lacks = |operation| S::LACKS.contains(&operation);
        let able = !lacks(Operation::Wait) && !lacks(Operation::Threads);
        able.then(|| Fairness::of::<S>(self.0))
    }
}

impl Fairness {
    fn of<S: Semaphore>(duration: Duration) -> Self {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .expect("it can start threads");
        let semaphore = Arc::new(S::with_permits(PERMITS as usize));
        let over = Arc::new(AtomicBool::new(false));
        let waits: Vec<Vec<f64>> = runtime.block_on(async {
            let tasks: Vec<_> = (0..TASKS)
                .map(|_| tokio::spawn(take_turns(Arc::clone(&semaphore), Arc::clone(&over))))
                .collect();
            tokio::time::sleep(duration).await;
            over.store(true, Ordering::Relaxed);
            let mut waits = Vec::new();
            for task in tasks {
                waits.push(task.await.expect("no task panics"));
            }
            waits
        });
        let grants: Vec<_> = waits.iter().map(|waits| waits.len() as f64).collect();
        let waits = waits.concat();
        Self {
            name: S::NAME,
            jain: jain(&grants),
            grants: [0.0, 1.0].map(|part| quantile(&grants, part).expect("there are tasks")),
            waits: [0.5, 0.99, 1.0].map(|part| quantile(&waits, part).expect("there are grants")),
        }
    }
}

/// Takes turns until it is over, and returns the wait for each.
async fn take_turns<S: Semaphore>(semaphore: Arc<S>, over: Arc<AtomicBool>) -> Vec<f64> {
    let mut waits = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let start = Instant::now();
        let permit = semaphore.permit(semaphore.acquire().await, 1);
        waits.push(start.elapsed().as_secs_f64() * 1e9);
        tokio::task::yield_now().await;
        drop(permit);
    }
    waits
}
