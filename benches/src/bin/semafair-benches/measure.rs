//! Times, taken side by side.
//!
//! A machine changes its speed from second to second, and a ratio of two times that were taken one
//! after the other does not. So every sample is short, and a round of samples takes one of each
//! semaphore. What other programs do lengthens a sample, and never shortens it. So where one thread
//! works, what is reported is what remains when they are left out: its processor time, and of that
//! a low quantile. Where several threads work, only the wall clock tells, and what is reported is the
//! median of the ratios to the baseline over all rounds.

use std::time::{Duration, Instant};

use semafair_benches::{Comparison, Contender, Time};

use crate::statistics::{median, quantile, ratios};

/// How long one sample should take where processor time is told: much longer than reading the
/// clocks, much shorter than the time until another program gets the processor.
const SHORT_SAMPLE: Duration = Duration::from_micros(300);

/// How long it should take elsewhere: much longer than starting threads, much shorter than a change
/// of the machine's speed.
const LONG_SAMPLE: Duration = Duration::from_millis(4);

/// The part of all samples that do not exceed what is reported of processor time.
const LOW: f64 = 0.1;

/// Who needs longer than this for an operation, and for one round longer than so many of them take, is
/// left out.
pub(crate) const PATIENCE: Duration = Duration::from_micros(10);
const PATIENT_OPERATIONS: u32 = 10_000;

/// The clock that a row is told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// The processor time of the one thread that works.
    Cpu,
    /// The wall clock.
    Wall,
}

/// A comparison, and what was measured of it.
pub(crate) struct Row {
    comparison: Comparison,
    /// How many rounds make a sample of a contender. Who is left out has none; nobody has before the
    /// first pass.
    rounds: Vec<Option<u64>>,
    passes: Vec<Pass>,
}

/// What one pass measured: the samples of each contender.
///
/// The n-th ones of all contenders were taken next to each other; a slow one is not in every round.
struct Pass(Vec<Vec<Option<Sample>>>);

/// Nanoseconds per operation.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    wall: f64,
    cpu: Option<f64>,
}

impl Row {
    pub(crate) fn new(comparison: Comparison) -> Self {
        Self { comparison, rounds: Vec::new(), passes: Vec::new() }
    }

    /// Finds out who can take part, and how many rounds make a sample; only one in `quick` runs.
    fn prepare(&mut self, quick: bool) {
        let patience = PATIENCE * self.comparison.operations.max(PATIENT_OPERATIONS);
        let rounds = self.comparison.contenders.iter().enumerate().map(|(i, contender)| {
            // Without the baseline there would be nothing.
            let able = i == 0 || !takes_longer_than(patience, contender);
            able.then(|| if quick { 1 } else { calibrate(|rounds| contender.run(rounds)) })
        });
        self.rounds = rounds.collect();
    }

    /// Measures for so long; without any time, one round of each.
    pub(crate) fn pass(&mut self, budget: Duration) {
        if self.rounds.is_empty() {
            self.prepare(budget.is_zero());
        }
        let contenders = &self.comparison.contenders;
        let mut samples = vec![Vec::new(); contenders.len()];
        let mut spent = vec![Duration::ZERO; contenders.len()];
        let share = budget / u32::try_from(contenders.len()).expect("they can be counted");
        let start = Instant::now();
        let mut first = 0;
        while start.elapsed() < budget || samples[0].is_empty() {
            // Whoever starts a round changes, in case it matters whom one comes after.
            for i in (0..contenders.len()).map(|i| (first + i) % contenders.len()) {
                // A slow one must not leave the others with too few rounds.
                let in_turn = i == 0 || spent[i] <= share;
                samples[i].push(self.rounds[i].filter(|_| in_turn).map(|rounds| {
                    let start = Instant::now();
                    let time = contenders[i].run(rounds);
                    spent[i] += start.elapsed();
                    let operations = rounds as f64 * f64::from(self.comparison.operations);
                    Sample::of(time, operations)
                }));
            }
            first += 1;
        }
        self.passes.push(Pass(samples));
    }

    pub(crate) fn workload(&self) -> &str {
        &self.comparison.workload
    }

    pub(crate) fn family(&self) -> &str {
        &self.comparison.family
    }

    pub(crate) fn size(&self) -> Option<u32> {
        self.comparison.size
    }

    pub(crate) fn goal(&self) -> Option<f64> {
        self.comparison.goal
    }

    /// The contender could take part, and would have taken too long.
    pub(crate) fn is_too_slow(&self, name: &str) -> bool {
        self.index(name).is_some_and(|index| self.rounds.get(index) == Some(&None))
    }

    /// Processor time, if every sample has it.
    pub(crate) fn clock(&self) -> Clock {
        let mut samples = self.passes.iter().flat_map(|pass| pass.0[0].iter().flatten());
        if samples.all(|sample| sample.cpu.is_some()) { Clock::Cpu } else { Clock::Wall }
    }

    /// The time in nanoseconds per operation: that which a tenth of the samples do not exceed, in
    /// processor time, or the median by the wall clock.
    pub(crate) fn time(&self, name: &str) -> Option<f64> {
        let samples = self.samples(self.index(name)?);
        match self.clock() {
            Clock::Cpu => low(&samples),
            Clock::Wall => median(&walls(&samples).into_iter().flatten().collect::<Vec<_>>()),
        }
    }

    /// The ratio to the baseline: of these times, or the median by the wall clock.
    pub(crate) fn ratio(&self, name: &str) -> Option<f64> {
        match self.clock() {
            Clock::Cpu => Some(self.time(name)? / low(&self.samples(0))?),
            Clock::Wall => self.wall_ratio(name).map(|[_, median, _]| median),
        }
    }

    /// How far the ratios of the passes lie apart: the greatest, by the least, less one. Nothing if
    /// there was one pass.
    pub(crate) fn disagreement(&self, name: &str) -> Option<f64> {
        let index = self.index(name)?;
        let ratio = |pass: &Pass| match self.clock() {
            Clock::Cpu => Some(low(&pass.0[index])? / low(&pass.0[0])?),
            Clock::Wall => median(&ratios(&walls(&pass.0[index]), &walls(&pass.0[0]))),
        };
        let ratios = self.passes.iter().map(ratio).collect::<Option<Vec<_>>>()?;
        let [least, greatest] = [0.0, 1.0].map(|part| quantile(&ratios, part));
        (ratios.len() > 1).then_some(greatest? / least? - 1.0)
    }

    /// The median of the ratios to the baseline by the wall clock, between the quartiles.
    pub(crate) fn wall_ratio(&self, name: &str) -> Option<[f64; 3]> {
        let [ours, baseline] = [self.index(name)?, 0].map(|index| walls(&self.samples(index)));
        let ratios = ratios(&ours, &baseline);
        let [low, median, high] = [0.25, 0.5, 0.75].map(|part| quantile(&ratios, part));
        Some([low?, median?, high?])
    }

    fn index(&self, name: &str) -> Option<usize> {
        self.comparison.contenders.iter().position(|contender| contender.name == name)
    }

    /// The samples of a contender, from all passes.
    fn samples(&self, index: usize) -> Vec<Option<Sample>> {
        self.passes.iter().flat_map(|pass| &pass.0[index]).copied().collect()
    }
}

impl Sample {
    fn of(time: Time, operations: f64) -> Self {
        let each = |time: Duration| time.as_secs_f64() * 1e9 / operations;
        Self { wall: each(time.wall), cpu: time.cpu.map(each) }
    }
}

fn walls(samples: &[Option<Sample>]) -> Vec<Option<f64>> {
    samples.iter().map(|sample| sample.map(|sample| sample.wall)).collect()
}

/// The processor time of a sample that was left alone. Even that is lengthened by whatever runs on the
/// machine: it takes caches, and the clock of the processor.
fn low(samples: &[Option<Sample>]) -> Option<f64> {
    let cpu = samples.iter().flatten().map(|sample| sample.cpu);
    quantile(&cpu.collect::<Option<Vec<_>>>()?, LOW)
}

/// How many rounds make a sample. Doubling also warms everything up.
fn calibrate(run: impl Fn(u64) -> Time) -> u64 {
    let length = |time: Time| time.cpu.unwrap_or(time.wall);
    let sample = if run(1).cpu.is_some() { SHORT_SAMPLE } else { LONG_SAMPLE };
    let run = |rounds| length(run(rounds));
    let mut rounds = 1;
    loop {
        let mut time = run(rounds);
        // One that was held up must not pass for a long one.
        for _ in 0..2 {
            if time > sample * 3 / 4 {
                time = time.min(run(rounds));
            }
        }
        // Threads that start late, or are held up, must not pass for many rounds.
        let takes_longer_with_more = || run(2 * rounds) > time * 3 / 2;
        if time > sample * 3 / 4 && (time > sample * 10 || takes_longer_with_more()) {
            return rounds;
        }
        rounds *= 2;
    }
}

/// Tries it with fewer waiters first, lest the first round never end.
fn takes_longer_than(patience: Duration, contender: &Contender) -> bool {
    let mut times = Vec::new();
    contender.tenths().any(|run| {
        let wall = || {
            let start = Instant::now();
            let _time = run();
            start.elapsed()
        };
        let mut time = wall();
        // A short one may just have been interrupted.
        for _ in 0..2 {
            if time < patience / 2 {
                time = time.min(wall());
            }
        }
        times.push(time);
        forecast(&times) > patience
    })
}

/// How long it takes with ten times as many, if it goes on growing as it did last.
fn forecast(times: &[Duration]) -> Duration {
    match times {
        [.., before, last] => last.mul_f64(last.as_secs_f64() / before.as_secs_f64()),
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use semafair_benches::{Acquire, Call, Semafair, Semaphore, Threads};

    use super::*;

    /// By the wall clock, or by both.
    fn time(time: Duration, cpu: bool) -> Time {
        Time { wall: time, cpu: cpu.then_some(time) }
    }

    #[test]
    fn a_run_that_was_held_up_does_not_end_the_calibration() {
        for (cpu, sample) in [(false, LONG_SAMPLE), (true, SHORT_SAMPLE)] {
            let runs = Cell::new(0_u64);
            let rounds = calibrate(|rounds| {
                runs.set(runs.get() + 1);
                let held_up = if runs.get() == 2 { sample * 20 } else { Duration::ZERO };
                time(Duration::from_micros(rounds) + held_up, cpu)
            });
            let time = Duration::from_micros(rounds);
            assert!((sample * 3 / 4..=sample * 2).contains(&time), "{rounds} rounds, {time:?}");
        }
    }

    #[test]
    fn one_round_is_enough_of_what_is_slow() {
        let run = |rounds| time(LONG_SAMPLE * 20 * u32::try_from(rounds).expect("few"), false);
        assert_eq!(calibrate(run), 1);
    }

    /// A row whose baseline and contender took these times, pass by pass: the baseline takes 20 and is
    /// interrupted in most samples, and so is the contender, for longer.
    fn row(cpu: bool, passes: &[f64]) -> Row {
        let comparison = Comparison::of(Acquire);
        let contenders = comparison.contenders.len();
        let sample =
            |nanoseconds| Some(Sample { wall: nanoseconds, cpu: cpu.then_some(nanoseconds) });
        let passes = passes.iter().map(|&ours| {
            let mut samples = vec![Vec::new(); contenders];
            samples[0] = (0..20).map(|i| sample(if i % 5 == 0 { 20.0 } else { 90.0 })).collect();
            samples[1] =
                (0..20).map(|i| sample(if i < 4 { ours } else { ours + f64::from(i) })).collect();
            samples[1].push(None);
            Pass(samples)
        });
        Row { passes: passes.collect(), rounds: vec![Some(1); contenders], comparison }
    }

    #[test]
    fn processor_time_forgets_what_was_interrupted() {
        let row = row(true, &[10.0]);
        assert_eq!(row.clock(), Clock::Cpu);
        assert_eq!(row.time(Semafair::NAME), Some(10.0));
        assert_eq!(row.ratio(Semafair::NAME), Some(0.5));
        // Beside it stands what the wall clock tells, which is another thing.
        assert!(row.wall_ratio(Semafair::NAME).is_some_and(|[_, median, _]| median < 0.3));
    }

    #[test]
    fn without_processor_time_the_median_by_the_wall_clock_is_told() {
        let row = row(false, &[10.0]);
        assert_eq!(row.clock(), Clock::Wall);
        assert_eq!(row.time(Semafair::NAME), Some(20.0));
        assert_eq!(row.ratio(Semafair::NAME), row.wall_ratio(Semafair::NAME).map(|[_, it, _]| it));
    }

    #[test]
    fn passes_that_differ_disagree() {
        assert_eq!(row(true, &[10.0]).disagreement(Semafair::NAME), None);
        assert_eq!(row(true, &[10.0, 10.0]).disagreement(Semafair::NAME), Some(0.0));
        assert_eq!(row(true, &[15.0, 10.0, 12.0]).disagreement(Semafair::NAME), Some(0.5));
        assert!(row(false, &[15.0, 10.0]).disagreement(Semafair::NAME) > Some(0.0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn one_thread_is_told_in_processor_time_and_several_are_not() {
        let clock = |comparison| {
            let mut row = Row::new(comparison);
            row.pass(Duration::ZERO);
            assert!(row.time(Semafair::NAME).is_some_and(|time| time > 0.0));
            row.clock()
        };
        assert_eq!(clock(Comparison::of(Acquire)), Clock::Cpu);
        assert_eq!(clock(Comparison::of(Threads { threads: 2, call: Call::Acquire })), Clock::Wall);
    }

    #[test]
    fn a_forecast_follows_the_last_two() {
        let forecast = |millis: &[u64]| {
            forecast(&millis.iter().copied().map(Duration::from_millis).collect::<Vec<_>>())
        };
        assert_eq!(forecast(&[]), Duration::ZERO);
        assert_eq!(forecast(&[7]), Duration::ZERO);
        assert_eq!(forecast(&[1, 10]), Duration::from_millis(100));
        assert_eq!(forecast(&[1, 10, 1000]), Duration::from_secs(100));
    }
}
