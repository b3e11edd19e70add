//! Who gets how much, and who waits how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use semafair_benches::{ForEach, Operation, Semaphore, for_each};
use tokio::runtime;

use crate::statistics::{Spread, jain, quantile};

const TASKS: u32 = 100;
const PERMITS: u32 = 10;

/// The word that selects it.
pub(crate) const NAME: &str = "fairness";

pub(crate) const ABOUT: &str = "A hundred tasks over ten permits, on tokio's runtime with two workers: \
    each acquires, lets the others run, and drops. Jain's index of the grants per task is 1 if all \
    get the same, and 0.01 if one gets everything. A wait is the time from `acquire` to the grant.";

/// A figure for each run, or its spread over all runs.
///
/// Grants are counted for each task. A wait is the time from the call of `acquire` to the grant; that
/// of who waits when the time is up ends when the others have left.
#[derive(Debug, PartialEq)]
pub(crate) struct Figures<T> {
    /// Grants to all tasks, per second.
    pub(crate) grants: T,
    /// Jain's index over grants per task.
    pub(crate) jain: T,
    /// The grants of the task that got most, by those of the one that got fewest.
    pub(crate) most_to_fewest: T,
    /// The median, the 99th percentile and the longest of all waits, in nanoseconds.
    pub(crate) waits: [T; 3],
}

/// A semaphore, measured.
pub(crate) struct Fairness {
    pub(crate) name: &'static str,
    pub(crate) runs: usize,
    pub(crate) duration: Duration,
    pub(crate) figures: Figures<Spread>,
}

/// Runs each semaphore so many times, for so long each time, in turns.
///
/// One run tells little: the threads of a runtime fall into a rhythm, and keep it to the end of the
/// run, that differs from run to run by a factor of two.
pub(crate) fn measure(runs: usize, duration: Duration) -> Vec<Fairness> {
    let contenders: Vec<_> = for_each(&Visit).into_iter().flatten().collect();
    let mut figures: Vec<Vec<_>> = contenders.iter().map(|_| Vec::new()).collect();
    for first in 0..runs {
        // Whoever starts changes, in case it matters whom one comes after.
        for i in (0..contenders.len()).map(|i| (first + i) % contenders.len()) {
            figures[i].push((contenders[i].run)(duration));
        }
    }
    let named = contenders.iter().map(|contender| contender.name).zip(figures);
    let spread = |(name, figures): (_, Vec<_>)| {
        Some(Fairness { name, runs, duration, figures: Figures::spread(&figures)? })
    };
    named.filter_map(spread).collect()
}

impl Figures<Spread> {
    /// Nothing if there are no runs.
    fn spread(runs: &[Figures<f64>]) -> Option<Self> {
        let spread = |figure: &dyn Fn(&Figures<f64>) -> f64| {
            Spread::of(&runs.iter().map(figure).collect::<Vec<_>>())
        };
        Some(Self {
            grants: spread(&|run| run.grants)?,
            jain: spread(&|run| run.jain)?,
            most_to_fewest: spread(&|run| run.most_to_fewest)?,
            waits: [
                spread(&|run| run.waits[0])?,
                spread(&|run| run.waits[1])?,
                spread(&|run| run.waits[2])?,
            ],
        })
    }
}

struct Visit;

/// One run of a semaphore.
struct Contender {
    name: &'static str,
    run: fn(Duration) -> Figures<f64>,
}

impl ForEach for Visit {
    type Outcome = Option<Contender>;

    fn visit<S: Semaphore>(&self) -> Self::Outcome {
        let lacks = |operation| S::LACKS.contains(&operation);
        let able = !lacks(Operation::Wait) && !lacks(Operation::Threads);
        able.then_some(Contender { name: S::NAME, run: run::<S> })
    }
}

fn run<S: Semaphore>(duration: Duration) -> Figures<f64> {
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime starts");
    let semaphore = Arc::new(S::with_permits(PERMITS as usize));
    let over = Arc::new(AtomicBool::new(false));
    let start = Instant::now();
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
    figures(&waits, start.elapsed())
}

/// What the waits of each task tell.
fn figures(waits: &[Vec<f64>], elapsed: Duration) -> Figures<f64> {
    let grants: Vec<_> = waits.iter().map(|waits| waits.len() as f64).collect();
    let waits = waits.concat();
    let grants_of = |part| quantile(&grants, part).expect("there are tasks");
    Figures {
        grants: grants.iter().sum::<f64>() / elapsed.as_secs_f64(),
        jain: jain(&grants),
        most_to_fewest: grants_of(1.0) / grants_of(0.0),
        waits: [0.5, 0.99, 1.0].map(|part| quantile(&waits, part).expect("there are grants")),
    }
}

/// Takes turns until it is over, and returns the wait for each.
async fn take_turns<S: Semaphore>(semaphore: Arc<S>, over: Arc<AtomicBool>) -> Vec<f64> {
    let mut waits = Vec::new();
    loop {
        let start = Instant::now();
        let permit = semaphore.permit(semaphore.acquire().await, 1);
        waits.push(start.elapsed().as_secs_f64() * 1e9);
        tokio::task::yield_now().await;
        drop(permit);
        // Not before the first turn: everybody has a wait to tell.
        if over.load(Ordering::Relaxed) {
            return waits;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_tell_who_got_how_much() {
        let waits = [vec![1.0, 5.0, 3.0], vec![9.0]];
        let figures = figures(&waits, Duration::from_millis(500));
        assert_eq!(figures.grants, 8.0);
        assert_eq!(figures.jain, 0.8);
        assert_eq!(figures.most_to_fewest, 3.0);
        assert_eq!(figures.waits[2], 9.0);
    }

    #[test]
    fn a_spread_is_taken_over_the_runs_of_each_figure() {
        let run = |grants, longest| Figures {
            grants,
            jain: 1.0,
            most_to_fewest: 1.0,
            waits: [1.0, 2.0, longest],
        };
        let runs = [run(10.0, 7.0), run(30.0, 5.0), run(20.0, 6.0)];
        let figures = Figures::spread(&runs).expect("there are runs");
        assert_eq!(figures.grants, Spread { least: 10.0, median: 20.0, greatest: 30.0 });
        assert_eq!(figures.waits[2], Spread { least: 5.0, median: 6.0, greatest: 7.0 });
        assert_eq!(Figures::spread(&[]), None);
    }

    #[test]
    fn every_semaphore_is_run_in_every_round() {
        let all = measure(2, Duration::from_millis(1));
        assert!(all.iter().any(|fairness| fairness.name == "semafair"));
        for Fairness { name, runs, figures, .. } in all {
            assert_eq!(runs, 2);
            assert!(figures.grants.least > 0.0, "{name} granted nothing");
        }
    }
}
