//! The wall clock: every semaphore does the same work, in turns, in one process.
//!
//! `cargo run --release -p semafair-benches [-- --quick] [WORDS]` runs the workloads whose names
//! hold all of the words, and prints a Markdown table.
//!
//! A machine changes its speed from second to second, and a ratio of two times that were taken one
//! after the other does not. So every sample is short, a round of samples takes one of each
//! semaphore, and what is reported of the ratios to the baseline is their median over all rounds.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use semafair_benches::{
    Acquire, AcquireMany, BareTasks, Comparison, EnqueueCancel, HandOff, TokioTasks, TryAcquire,
    TwoThreads,
};

fn workloads() -> Vec<Comparison> {
    vec![
        Comparison::of(Acquire),
        Comparison::of(TryAcquire),
        Comparison::of(AcquireMany(8)),
        Comparison::of(TwoThreads),
        Comparison::of(HandOff),
        Comparison::of(BareTasks(2)),
        Comparison::of(BareTasks(10)),
        Comparison::of(BareTasks(1000)),
        Comparison::of(TokioTasks(10)),
        Comparison::of(EnqueueCancel(1)),
        Comparison::of(EnqueueCancel(1000)),
    ]
}

/// How long one sample should take: much longer than reading the clock or starting a thread, much
/// shorter than a change of the machine's mood.
const SAMPLE: Duration = Duration::from_millis(4);

fn main() -> ExitCode {
    let (flags, words): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with('-'));
    let per_workload = match flags.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Duration::from_secs(4),
        ["--quick"] => Duration::from_millis(400),
        _ => {
            eprintln!("usage: semafair-benches [--quick] [WORDS]");
            return ExitCode::from(2);
        }
    };
    let mut chosen = workloads();
    chosen.retain(|comparison| words.iter().all(|word| comparison.workload.contains(word)));
    let Some(first) = chosen.first() else {
        eprintln!("no workload has all of these words in its name: {}", words.join(" "));
        return ExitCode::from(2);
    };

    println!("{}\n", machine());
    print_header(first);
    for comparison in &chosen {
        print_row(comparison, &measure(comparison, per_workload));
    }
    println!(
        "\nTimes are medians, per operation. Ratios are medians over the rounds of this one run, \
         with the middle half of them in brackets; on another machine, or at another hour, they \
         differ."
    );
    ExitCode::SUCCESS
}

/// The samples of a contender, in nanoseconds per operation; the n-th ones of all contenders were
/// taken next to each other.
type Samples = Vec<f64>;

fn measure(comparison: &Comparison, budget: Duration) -> Vec<Samples> {
    let contenders = &comparison.contenders;
    let rounds: Vec<u64> =
        contenders.iter().map(|contender| calibrate(|rounds| contender.run(rounds))).collect();
    let mut samples = vec![Samples::new(); contenders.len()];
    let end = Instant::now() + budget;
    let mut first = 0;
    while Instant::now() < end || samples[0].is_empty() {
        // Whoever starts a round changes, in case it matters whom one comes after.
        for i in (0..contenders.len()).map(|i| (first + i) % contenders.len()) {
            let time = contenders[i].run(rounds[i]);
            let operations = rounds[i] as f64 * f64::from(comparison.operations);
            samples[i].push(time.as_secs_f64() * 1e9 / operations);
        }
        first += 1;
    }
    samples
}

/// How many rounds make a sample.
fn calibrate(run: impl Fn(u64) -> Duration) -> u64 {
    let mut rounds = 1;
    // Doubling also warms everything up.
    while run(rounds) < SAMPLE * 3 / 4 {
        rounds *= 2;
    }
    rounds
}

fn print_header(comparison: &Comparison) {
    let (baseline, others) = split(&comparison.contenders);
    print!("| operation | {}, ns |", baseline.name);
    for other in others {
        print!(" {}, ns | ratio to {} |", other.name, baseline.name);
    }
    println!("\n|---|--:|{}", "--:|--:|".repeat(others.len()));
}

fn print_row(comparison: &Comparison, samples: &[Samples]) {
    let (baseline, others) = split(samples);
    print!("| {} | {:.1} |", comparison.workload, quantile(baseline, 0.5));
    for other in others {
        let ratios: Samples = other.iter().zip(baseline).map(|(time, base)| time / base).collect();
        let [low, median, high] = [0.25, 0.5, 0.75].map(|q| quantile(&ratios, q));
        print!(" {:.1} | **{median:.2}** ({low:.2}–{high:.2}) |", quantile(other, 0.5));
    }
    println!();
}

fn split<T>(contenders: &[T]) -> (&T, &[T]) {
    contenders.split_first().expect("a comparison has a baseline")
}

/// The sample below which this part of all samples lies.
fn quantile(samples: &[f64], part: f64) -> f64 {
    let mut sorted = samples.to_vec();
    let index = ((sorted.len() - 1) as f64 * part).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of a length is an index"
    )]
    *sorted.select_nth_unstable_by(index as usize, f64::total_cmp).1
}

/// Cores, processor and system, as far as they can be found.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or("?".into(), |cores| cores.to_string());
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    format!("{cores} cores, {model}, {}.", std::env::consts::OS)
}
