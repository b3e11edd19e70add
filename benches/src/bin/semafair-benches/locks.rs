//! What a lock costs where it shows: its holder loses the processor, and the others go to sleep.

use std::pin::pin;
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use semafair_benches::{
    ForEach, Operation, Semaphore, Starved, for_each, starve, stay_on, voluntary_switches,
};
use serde::{Deserialize, Serialize};

/// The word that selects it.
pub(crate) const NAME: &str = "locks";

pub(crate) const ABOUT: &str = "Threads take turns on one semaphore with one permit. In a turn, a thread acquires: it \
    gets the permit or a place in line. It queues up a second time, and cancels that. Then it gives the permit back, or \
    cancels its first place. No turn waits for a permit, so a thread that goes to sleep waits for another thread in \
    the semaphore itself. *Sleeps* are the voluntary context switches of the normal threads \
    (`ru_nvcsw` of `RUSAGE_THREAD`); an allocator that locks causes some too. A thread that spins does not sleep; it \
    wastes its processor, and that shows in the longest turn. The latencies are those of \
    the turns of the normal threads. They have the thread's own preemption in them, which no semaphore can avoid.";

/// The quantiles of the latencies.
pub(crate) const QUANTILES: [f64; 3] = [0.999, 0.9999, 1.0];

/// Nanoseconds. Two digits keep a histogram small enough for the cache.
const LONGEST: u64 = 60_000_000_000;
const DIGITS: u8 = 2;

/// Who takes turns.
#[derive(Clone, Copy, Debug)]
struct Scenario {
    normal: usize,
    /// Each stays on a processor together with a normal thread.
    starved: usize,
}

/// A scenario, measured.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Contention {
    pub(crate) normal: usize,
    pub(crate) starved: usize,
    /// How they were starved.
    pub(crate) by: Option<Starved>,
    pub(crate) runs: usize,
    pub(crate) duration: Duration,
    pub(crate) costs: Vec<Cost>,
}

/// What a semaphore costs in a scenario.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Cost {
    pub(crate) name: String,
    /// Turns of the normal threads, and of the starved ones, per second.
    pub(crate) turns: [f64; 2],
    /// For a million turns of the normal threads; nothing if the system does not tell.
    pub(crate) sleeps: Option<Sleeps>,
    /// The [`QUANTILES`], in nanoseconds.
    pub(crate) latencies: [u64; 3],
}

/// In all runs, and in those with the fewest and the most.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Sleeps {
    pub(crate) all: f64,
    pub(crate) fewest: f64,
    pub(crate) most: f64,
}

/// A thread for each processor, and as many starved ones; and four for each processor.
fn scenarios() -> [Scenario; 2] {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    [
        Scenario { normal: processors, starved: processors },
        Scenario { normal: 4 * processors, starved: 0 },
    ]
}

/// Runs each semaphore so many times in each scenario, for so long each time, in turns.
pub(crate) fn measure(runs: usize, duration: Duration) -> Vec<Contention> {
    let contenders: Vec<_> = for_each(&Visit).into_iter().flatten().collect();
    let contention = |scenario: Scenario| {
        let mut taken: Vec<Vec<Run>> = contenders.iter().map(|_| Vec::new()).collect();
        for first in 0..runs {
            // Whoever starts changes, in case it matters whom one comes after.
            for i in (0..contenders.len()).map(|i| (first + i) % contenders.len()) {
                taken[i].push((contenders[i].run)(scenario, duration));
            }
        }
        Contention {
            normal: scenario.normal,
            starved: scenario.starved,
            by: taken.iter().flatten().find_map(|run| run.starved.by),
            runs,
            duration,
            costs: contenders
                .iter()
                .zip(&taken)
                .map(|(it, runs)| Cost::of(it.name, runs))
                .collect(),
        }
    };
    scenarios().map(contention).into()
}

struct Visit;

struct Contender {
    name: &'static str,
    run: fn(Scenario, Duration) -> Run,
}

impl ForEach for Visit {
    type Outcome = Option<Contender>;

    fn visit<S: Semaphore>(&self) -> Self::Outcome {
        let lacks = |operation| S::LACKS.contains(&operation);
        let able = ![Operation::Wait, Operation::Leave, Operation::Threads].into_iter().any(lacks);
        able.then_some(Contender { name: S::NAME, run: run::<S> })
    }
}

/// One run of a semaphore.
struct Run {
    elapsed: Duration,
    normal: Turns,
    starved: Turns,
}

/// The turns of one thread or of several.
struct Turns {
    /// Their latencies, and so also how many they are.
    latencies: Histogram<u64>,
    sleeps: Option<u64>,
    by: Option<Starved>,
}

impl Turns {
    fn none() -> Self {
        let mut latencies = Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("the bounds fit");
        // Writes to all of it. Memory that is touched for the first time may put a thread to sleep.
        latencies.clear();
        Self { latencies, sleeps: Some(0), by: None }
    }

    fn and(mut self, other: Self) -> Self {
        self.latencies.add(&other.latencies).expect("the bounds are the same");
        self.sleeps = self.sleeps.zip(other.sleeps).map(|(ours, theirs)| ours + theirs);
        self.by = self.by.or(other.by);
        self
    }
}

fn run<S: Semaphore>(scenario: Scenario, duration: Duration) -> Run {
    let semaphore = &S::with_permits(1);
    let barrier = &Barrier::new(scenario.normal + scenario.starved);
    let begin = Instant::now();
    let [normal, starved] = thread::scope(|scope| {
        let spawn = |starved: bool, index: usize| {
            scope.spawn(move || {
                // Where that is not allowed, the system keeps most of them where they are.
                let _stays = index < scenario.starved && stay_on(index);
                let by = starved.then(starve).flatten();
                let mut turns = Turns { by, ..Turns::none() };
                barrier.wait();
                take_turns(semaphore, duration, &mut turns);
                turns
            })
        };
        let normal: Vec<_> = (0..scenario.normal).map(|index| spawn(false, index)).collect();
        let starved: Vec<_> = (0..scenario.starved).map(|index| spawn(true, index)).collect();
        [normal, starved].map(|threads| {
            let turns = threads.into_iter().map(|thread| thread.join().expect("it panicked"));
            turns.fold(Turns::none(), Turns::and)
        })
    });
    Run { elapsed: begin.elapsed(), normal, starved }
}

/// Takes turns for so long, one at least.
fn take_turns<S: Semaphore>(semaphore: &S, duration: Duration, turns: &mut Turns) {
    let before = voluntary_switches();
    let start = Instant::now();
    let mut end = start;
    loop {
        let begin = end;
        turn(semaphore);
        end = Instant::now();
        let nanoseconds = (end - begin).as_nanos().try_into().unwrap_or(LONGEST);
        turns.latencies.saturating_record(nanoseconds);
        if end - start >= duration {
            break;
        }
    }
    turns.sleeps = voluntary_switches().zip(before).map(|(after, before)| after - before);
}

#[inline]
fn turn<S: Semaphore>(semaphore: &S) {
    let cx = &mut Context::from_waker(Waker::noop());
    let mut first = pin!(semaphore.acquire());
    let permit = match first.as_mut().poll(cx) {
        Poll::Ready(granted) => Some(semaphore.permit(granted, 1)),
        Poll::Pending => None,
    };
    {
        let mut second = pin!(semaphore.acquire());
        if let Poll::Ready(granted) = second.as_mut().poll(cx) {
            drop(semaphore.permit(granted, 1));
        }
    }
    drop(permit);
}

impl Contention {
    /// Who takes turns.
    pub(crate) fn title(&self) -> String {
        let normal = format!("{} normal threads", self.normal);
        match (self.starved, self.by) {
            (0, _) => normal,
            (starved, Some(by)) => format!(
                "{normal}, one on each processor, and {starved} starved ones beside them ({by})"
            ),
            (starved, None) => {
                format!("{normal}, and {starved} more, which the system let nobody starve")
            }
        }
    }

    /// How it was measured.
    pub(crate) fn runs(&self) -> String {
        format!("Runs of each semaphore, in turns: {}, of {:?} each.", self.runs, self.duration)
    }
}

impl Cost {
    fn of(name: &str, runs: &[Run]) -> Self {
        let seconds: f64 = runs.iter().map(|run| run.elapsed.as_secs_f64()).sum();
        let sum = |turns: fn(&Run) -> &Turns| {
            runs.iter().map(|run| turns(run).latencies.len() as f64).sum::<f64>()
        };
        let [normal, starved] = [sum(|run| &run.normal), sum(|run| &run.starved)];
        let mut latencies = Turns::none().latencies;
        for run in runs {
            latencies.add(&run.normal.latencies).expect("the bounds are the same");
        }
        Self {
            name: name.to_owned(),
            turns: [normal, starved].map(|turns| turns / seconds),
            sleeps: Sleeps::of(runs),
            latencies: QUANTILES.map(|part| latencies.value_at_quantile(part)),
        }
    }
}

impl Sleeps {
    fn of(runs: &[Run]) -> Option<Self> {
        let sleeps = runs.iter().map(|run| run.normal.sleeps).collect::<Option<Vec<_>>>()?;
        let turns = runs.iter().map(|run| run.normal.latencies.len());
        let million = |sleeps: u64, turns: u64| sleeps as f64 * 1e6 / turns as f64;
        let each: Vec<_> = sleeps.iter().zip(turns.clone()).map(|(&s, t)| million(s, t)).collect();
        Some(Self {
            all: million(sleeps.iter().sum(), turns.sum()),
            fewest: each.iter().copied().fold(f64::INFINITY, f64::min),
            most: each.iter().copied().fold(0.0, f64::max),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use semafair_benches::Tokio;

    use super::*;

    fn turns(latencies: &[u64], sleeps: u64) -> Turns {
        let mut turns = Turns::none();
        for &latency in latencies {
            turns.latencies.record(latency).expect("it is in the bounds");
        }
        Turns { sleeps: Some(sleeps), ..turns }
    }

    #[test]
    fn a_cost_is_that_of_the_normal_threads() {
        let run = |normal, starved| Run { elapsed: Duration::from_secs(2), normal, starved };
        let runs = [
            run(turns(&[100; 10], 0), turns(&[50_000_000], 7)),
            run(turns(&[100; 9], 0).and(turns(&[8000], 3)), turns(&[100], 7)),
        ];
        let cost = Cost::of("x", &runs);
        assert_eq!(cost.turns, [5.0, 0.5]);
        assert_eq!(cost.sleeps, Some(Sleeps { all: 150e3, fewest: 0.0, most: 300e3 }));
        // To two digits.
        assert!((7900..8100).contains(&cost.latencies[2]), "{cost:?}");
        let unknown = Turns { sleeps: None, ..turns(&[100], 0) };
        assert_eq!(Cost::of("x", &[run(unknown, turns(&[], 0))]).sleeps, None);
    }

    #[test]
    fn the_quantiles_are_those_that_they_are_called() {
        let mut latencies = vec![100; 99_900];
        latencies.extend([2000; 91]);
        latencies.extend([30_000; 8]);
        latencies.push(400_000);
        let run = Run {
            elapsed: Duration::from_secs(1),
            normal: turns(&latencies, 0),
            starved: turns(&[], 0),
        };
        let [p999, p9999, worst] = Cost::of("x", &[run]).latencies;
        assert!((90..110).contains(&p999), "{p999}");
        assert!((1900..2100).contains(&p9999), "{p9999}");
        assert!((390_000..410_000).contains(&worst), "{worst}");
    }

    /// Each of its futures sleeps once.
    struct Sleepy(tokio::sync::Semaphore);

    impl Semaphore for Sleepy {
        const NAME: &'static str = "sleepy";
        type Granted<'a> = Self::Permit<'a>;
        type Permit<'a> = tokio::sync::SemaphorePermit<'a>;

        fn with_permits(permits: usize) -> Self {
            Self(tokio::sync::Semaphore::new(permits))
        }

        fn acquire(&self) -> impl Future<Output = Self::Granted<'_>> + Send {
            thread::sleep(Duration::from_micros(10));
            async { self.0.acquire().await.expect("nobody closes it") }
        }

        fn permit<'a>(&'a self, granted: Self::Granted<'a>, _n: u32) -> Self::Permit<'a> {
            granted
        }

        fn try_acquire(&self) -> Option<Self::Permit<'_>> {
            self.0.try_acquire().ok()
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn every_sleep_in_a_turn_is_counted_and_lengthens_it() {
        let run = run::<Sleepy>(Scenario { normal: 2, starved: 1 }, Duration::from_millis(5));
        for turns in [&run.normal, &run.starved] {
            let count = turns.latencies.len();
            assert!(turns.sleeps >= Some(2 * count), "{:?} in {count} turns", turns.sleeps);
            assert!(turns.latencies.min() >= 19_000, "{}", turns.latencies.min());
        }
        assert_eq!(run.normal.by, None);
    }

    #[test]
    fn a_turn_leaves_the_permit_free() {
        let semaphore = Tokio::with_permits(1);
        for _ in 0..3 {
            turn(&semaphore);
            assert!(semaphore.try_acquire().is_some());
        }
        // And nobody in line, if somebody else has it.
        let permit = semaphore.try_acquire().expect("it is free");
        turn(&semaphore);
        drop(permit);
        assert!(semaphore.try_acquire().is_some());
    }

    #[test]
    fn every_semaphore_takes_turns_in_every_scenario() {
        for contention in measure(2, Duration::from_millis(1)) {
            assert!(contention.costs.iter().any(|cost| cost.name == "semafair"));
            for Cost { name, turns: [normal, starved], .. } in contention.costs {
                assert!(normal > 0.0, "{name}: no turns");
                assert_eq!(starved > 0.0, contention.starved > 0, "{name}");
            }
        }
    }
}
