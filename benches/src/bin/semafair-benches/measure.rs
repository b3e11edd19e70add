//! Times, taken side by side.
//!
//! A machine changes its speed from second to second, and a ratio of two times that were taken one
//! after the other does not. So every sample is short, a round of samples takes one of each
//! semaphore, and what is reported of the ratios to the baseline is their median over all rounds.

use std::time::{Duration, Instant};

use semafair_benches::{Comparison, Contender};

use crate::statistics::{median, quantile, ratios};

/// How long one sample should take: much longer than reading the clock or starting a thread, much
/// shorter than a change of the machine's mood.
const SAMPLE: Duration = Duration::from_millis(4);

/// Who needs longer than this for an operation, and for one round longer than so many of them take, is
/// left out.
pub(crate) const PATIENCE: Duration = Duration::from_micros(10);
const PATIENT_OPERATIONS: u32 = 10_000;

/// A comparison, measured.
pub(crate) struct Row {
    pub(crate) workload: String,
    pub(crate) family: String,
    pub(crate) size: Option<u32>,
    pub(crate) goal: Option<f64>,
    contenders: Vec<(&'static str, Samples)>,
}

/// Nanoseconds per operation, one for each round. The n-th ones of all contenders were taken next to
/// each other; a slow one is not in every round. Whoever is left out has none.
type Samples = Vec<Option<f64>>;

impl Row {
    /// Spends so much time on a comparison; without any, each contender runs once.
    pub(crate) fn measure(comparison: Comparison, budget: Option<Duration>) -> Self {
        let contenders = &comparison.contenders;
        let patience = PATIENCE * comparison.operations.max(PATIENT_OPERATIONS);
        let rounds: Vec<Option<u64>> = contenders
            .iter()
            .enumerate()
            .map(|(i, contender)| {
                // Without the baseline there would be nothing.
                let able = i == 0 || !takes_longer_than(patience, contender);
                able.then(|| {
                    if budget.is_some() { calibrate(|rounds| contender.run(rounds)) } else { 1 }
                })
            })
            .collect();
        let mut samples = vec![Samples::new(); contenders.len()];
        let mut spent = vec![Duration::ZERO; contenders.len()];
        let budget = budget.unwrap_or_default();
        let share = budget / u32::try_from(contenders.len()).expect("they can be counted");
        let start = Instant::now();
        let mut first = 0;
        while start.elapsed() < budget || samples[0].is_empty() {
            // Whoever starts a round changes, in case it matters whom one comes after.
            for i in (0..contenders.len()).map(|i| (first + i) % contenders.len()) {
                // A slow one must not leave the others with too few rounds.
                let in_turn = i == 0 || spent[i] <= share;
                samples[i].push(rounds[i].filter(|_| in_turn).map(|rounds| {
                    let start = Instant::now();
                    let time = contenders[i].run(rounds);
                    spent[i] += start.elapsed();
                    let operations = rounds as f64 * f64::from(comparison.operations);
                    time.as_secs_f64() * 1e9 / operations
                }));
            }
            first += 1;
        }
        let names = contenders.iter().map(|contender| contender.name);
        Self {
            contenders: names.zip(samples).collect(),
            workload: comparison.workload,
            family: comparison.family,
            size: comparison.size,
            goal: comparison.goal,
        }
    }

    /// The samples of a contender; nothing if it cannot take part.
    fn samples(&self, name: &str) -> Option<&Samples> {
        self.contenders.iter().find(|(contender, _)| *contender == name).map(|(_, samples)| samples)
    }

    /// The contender could take part, and would have taken too long.
    pub(crate) fn is_too_slow(&self, name: &str) -> bool {
        self.samples(name).is_some_and(|samples| samples.iter().all(Option::is_none))
    }

    /// The median time, in nanoseconds per operation.
    pub(crate) fn time(&self, name: &str) -> Option<f64> {
        median(&self.samples(name)?.iter().flatten().copied().collect::<Vec<_>>())
    }

    /// The median of the ratios to the baseline, between the quartiles.
    pub(crate) fn ratio(&self, name: &str) -> Option<[f64; 3]> {
        let (_, baseline) = self.contenders.first()?;
        let ratios = ratios(self.samples(name)?, baseline);
        let [low, median, high] = [0.25, 0.5, 0.75].map(|part| quantile(&ratios, part));
        Some([low?, median?, high?])
    }

    /// The ratio to the baseline on a quiet machine, as far as one was: see [`low_ratio`].
    pub(crate) fn low_ratio(&self, name: &str) -> Option<f64> {
        let (_, baseline) = self.contenders.first()?;
        low_ratio(self.samples(name)?, baseline)
    }
}

/// The ratio of what each takes when it is left alone: of the times that a tenth of the samples do not
/// exceed. Whatever else runs on the machine lengthens a sample, and never shortens it.
fn low_ratio(of: &[Option<f64>], to: &[Option<f64>]) -> Option<f64> {
    let low = |samples: &[Option<f64>]| {
        quantile(&samples.iter().flatten().copied().collect::<Vec<_>>(), 0.1)
    };
    Some(low(of)? / low(to)?)
}

/// How many rounds make a sample. Doubling also warms everything up.
fn calibrate(run: impl Fn(u64) -> Duration) -> u64 {
    let mut rounds = 1;
    loop {
        let mut time = run(rounds);
        // One that was held up must not pass for a long one.
        for _ in 0..2 {
            if time > SAMPLE * 3 / 4 {
                time = time.min(run(rounds));
            }
        }
        // Threads that start late, or are held up, must not pass for many rounds.
        let takes_longer_with_more = || run(2 * rounds) > time * 3 / 2;
        if time > SAMPLE * 3 / 4 && (time > SAMPLE * 10 || takes_longer_with_more()) {
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

    use super::*;

    #[test]
    fn a_run_that_was_held_up_does_not_end_the_calibration() {
        let runs = Cell::new(0_u64);
        let rounds = calibrate(|rounds| {
            runs.set(runs.get() + 1);
            let held_up = if runs.get() == 1 { SAMPLE * 20 } else { Duration::ZERO };
            Duration::from_micros(rounds) + held_up
        });
        let time = Duration::from_micros(rounds);
        assert!((SAMPLE * 3 / 4..=SAMPLE * 2).contains(&time), "{rounds} rounds, {time:?}");
    }

    #[test]
    fn one_round_is_enough_of_what_is_slow() {
        assert_eq!(calibrate(|rounds| SAMPLE * 20 * u32::try_from(rounds).expect("few")), 1);
    }

    #[test]
    fn a_low_ratio_forgets_what_was_interrupted() {
        // Most samples were interrupted, and longer beside the one than beside the other.
        let ours: Vec<_> =
            (0..20).map(|i| Some(if i < 4 { 10.0 } else { 10.0 + f64::from(i) })).collect();
        let base: Vec<_> =
            (0..20).map(|i| Some(if i % 5 == 0 { 20.0 } else { 90.0 })).chain([None]).collect();
        assert_eq!(low_ratio(&ours, &base), Some(0.5));
        assert_eq!(low_ratio(&[None], &base), None);
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
