//! The clocks: every semaphore does the same work, in turns, in one process.
//!
//! `cargo run --release -p semafair-benches [-- --quick] [WORDS]` runs the workloads whose names
//! hold all of the words, and writes a Markdown page and charts of them.

mod catalogue;
mod charts;
mod fairness;
mod footprint;
mod kept;
mod locks;
mod machine;
mod measure;
mod report;
mod results;
mod statistics;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use semafair_benches::{Comparison, Semafair, Semaphore};

use crate::catalogue::{Section, sections};
use crate::measure::Row;
use crate::report::{Measured, Report};
use crate::results::Results;

/// Compares semaphores: time, what a lock costs, fairness and sizes.
#[derive(Parser)]
#[command(name = "semafair-benches")]
struct Options {
    /// Only workloads whose names hold all of these words; `fairness`, `locks`, `sizes` and `kept` are
    /// names too
    words: Vec<String>,

    /// Runs each workload once, and none of more than 1000 waiters: it tells that all is well, and
    /// nothing of time
    #[arg(long)]
    quick: bool,

    /// The folder for the page and the charts [default: benches/results for a whole run,
    /// target/benches for a part]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Options {
    fn wants(&self, name: &str) -> bool {
        self.words.iter().all(|word| name.contains(word.as_str()))
    }

    fn wants_comparison(&self, comparison: &Comparison) -> bool {
        let small = comparison.size.is_none_or(|size| size <= 1000);
        (small || !self.quick) && self.wants(&comparison.workload)
    }

    fn folder(&self) -> PathBuf {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        match &self.out {
            Some(out) => out.clone(),
            None if self.quick || !self.words.is_empty() => package.join("../target/benches"),
            None => package.join("results"),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let mut report = Report {
        sections: sections().into_iter().map(|section| choose(section, &options)).collect(),
        ..Report::default()
    };
    pass(&mut report.sections, &options);
    if options.wants(fairness::NAME) {
        let (runs, millis) = if options.quick { (1, 10) } else { (15, 500) };
        report.fairness = fairness::measure(runs, Duration::from_millis(millis));
    }
    if options.wants(locks::NAME) {
        let (runs, millis) = if options.quick { (1, 10) } else { (5, 1000) };
        report.locks = locks::measure(runs, Duration::from_millis(millis));
    }
    if options.wants(footprint::NAME) {
        report.footprints = footprint::measure();
    }
    if options.wants(kept::NAME) {
        let millis = if options.quick { 10 } else { 500 };
        report.kept = kept::measure(Duration::from_millis(millis));
    }
    if report.is_empty() {
        let words = options.words.join(" ");
        return Err(format!("no workload has all of these words in its name: {words}").into());
    }
    if !options.quick {
        // Minutes after the first: how far they agree is part of what is told.
        pass(&mut report.sections, &options);
    }
    let folder = options.folder();
    fs::create_dir_all(&folder)?;
    report.charts = charts::draw(&report.sections, &report.locks, &folder)?;
    let results = Results::new(&report.sections, &report.locks);
    report.machines = results.others(&folder)?;
    results.save(&folder)?;
    report.machines.insert(0, results);
    fs::write(folder.join("README.md"), report.to_string())?;
    println!("{report}");
    Ok(())
}

/// The rows that are wanted, with nothing measured yet.
fn choose(section: Section, options: &Options) -> Measured {
    let chosen = section.comparisons.into_iter().filter(|it| options.wants_comparison(it));
    Measured {
        rows: chosen.map(Row::new).collect(),
        title: section.title,
        about: section.about,
        shows: section.shows,
        budget: section.budget,
    }
}

/// Spends half of its time on each row, or takes one sample of each contender.
fn pass(sections: &mut [Measured], options: &Options) {
    for section in sections {
        let budget = if options.quick { Duration::ZERO } else { section.budget / 2 };
        for row in &mut section.rows {
            row.pass(budget);
            // Minutes pass before the page is complete.
            if let Some(ratio) = row.ratio(Semafair::NAME) {
                eprintln!("{ratio:.2}  {}", row.workload());
            }
        }
    }
}
