//! Simulates what semaphores cost on many cores: who has which cache line when.
//!
//! `scripts/coherence` builds this and runs it. It traces the real accesses to memory of each
//! operation, and lets 2 to 128 simulated cores take the steps; see `benches/results/COHERENCE.md`
//! for the model, and for where it is wrong.

mod caches;
mod chart;
mod code;
mod layout;
mod report;
mod subject;
mod trace;

#[expect(dead_code, reason = "the charts of times, whose place and date they need, use the rest")]
#[path = "../semafair-benches/machine.rs"]
mod machine;
#[allow(dead_code, reason = "the charts of times use the rest")]
#[path = "../semafair-benches/charts/style.rs"]
mod style;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{error, fs};

use clap::Parser;
use semafair_benches::{FetchAdd, FuturesIntrusive, Semafair, Semaphore, Tokio};

use crate::caches::Costs;
use crate::code::Disassembly;
use crate::report::{Report, Traced};
use crate::subject::{MOST_CORES, Subject, Workload};

type Error = Box<dyn error::Error>;
type Result<T, E = Error> = std::result::Result<T, E>;

/// Those that are simulated: ours, the one that all ratios are taken to, one that has a mutex around
/// everything, and what no semaphore can be faster than.
const SEMAPHORES: [&str; 4] = [Semafair::NAME, Tokio::NAME, FuturesIntrusive::NAME, FetchAdd::NAME];

/// Simulates cache-line transfers between 2 to 128 cores, over traces of the real code.
#[derive(Parser)]
#[command(name = "coherence")]
struct Options {
    /// Numbers of cores
    #[arg(long, value_delimiter = ',', default_values_t = [2, 4, 8, 16, 32, 64, 128])]
    cores: Vec<usize>,

    /// How many operations each core does at least
    #[arg(long, default_value_t = 8)]
    rounds: usize,

    /// How many operations all cores together do at least
    #[arg(long, default_value_t = 256)]
    operations: usize,

    /// Hand-offs of each thread before the trace begins: see the module `subject`
    #[arg(long, default_value_t = 5000)]
    warm_up: usize,

    /// Only this workload
    #[arg(long, value_enum)]
    workload: Option<Workload>,

    #[command(flatten)]
    costs: Costs,

    /// The folder for the tables and the chart
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Runs this semaphore, to be traced
    #[arg(long, hide = true)]
    subject: Option<String>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("coherence: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    if let Some(&wrong) = options.cores.iter().find(|cores| !(2..=MOST_CORES).contains(cores)) {
        return Err(format!("{wrong} cores: there must be 2 to {MOST_CORES}").into());
    }
    if options.rounds < 4 {
        return Err("fewer than 4 rounds have no middle that could be measured".into());
    }
    if let (Some(semaphore), Some(workload)) = (&options.subject, options.workload) {
        let subject = Subject {
            semaphore: semaphore.clone(),
            workload,
            cores: options.cores.clone(),
            rounds: options.rounds,
            operations: options.operations,
            warm_up: options.warm_up,
        };
        return Ok(subject.start()?);
    }
    let report = Report { traced: trace(options)?, costs: options.costs };
    let folder = options
        .out
        .clone()
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/benches"));
    fs::create_dir_all(&folder)?;
    let tables = report.to_string();
    chart::draw(&report, &folder.join("coherence.svg"))?;
    fs::write(folder.join("coherence-tables.md"), &tables)?;
    println!("{tables}");
    Ok(())
}

/// Traces each workload on each semaphore that is able to do it.
fn trace(options: &Options) -> Result<Vec<Traced>> {
    let mut disassembly = Disassembly::default();
    let mut traced = Vec::new();
    let cores: Vec<String> = options.cores.iter().map(ToString::to_string).collect();
    for workload in Workload::ALL {
        if options.workload.is_some_and(|only| only != workload) {
            continue;
        }
        for semaphore in SEMAPHORES {
            let waits = matches!(workload, Workload::HandOff | Workload::Cancel);
            if waits && semaphore == FetchAdd::NAME {
                continue;
            }
            eprintln!("{}: {semaphore}", workload.title());
            let name = clap::ValueEnum::to_possible_value(&workload).ok_or("it has a name")?;
            let arguments = [
                format!("--subject={semaphore}"),
                format!("--workload={}", name.get_name()),
                format!("--cores={}", cores.join(",")),
                format!("--rounds={}", options.rounds),
                format!("--operations={}", options.operations),
                format!("--warm-up={}", options.warm_up),
            ];
            let series = trace::record(semaphore, workload, &arguments, &mut disassembly)?;
            traced.push(Traced { workload, semaphore, series });
        }
    }
    Ok(traced)
}
