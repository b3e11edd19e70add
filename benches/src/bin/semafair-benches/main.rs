//! The wall clock: every semaphore does the same work, in turns, in one process.
//!
//! `cargo run --release -p semafair-benches [-- --quick] [WORDS]` runs the workloads whose names
//! hold all of the words, and writes a Markdown page and charts of them.

mod catalogue;
mod charts;
mod fairness;
mod footprint;
mod kept;
mod machine;
mod measure;
mod report;
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

/// Compares semaphores on the clock: time, fairness and sizes, as ratios to tokio's.
#[derive(Parser)]
#[command(name = "semafair-benches")]
struct Options {
    /// Only workloads whose names hold all of these words; `fairness`, `sizes` and `kept` are names
    /// too
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
        sections: sections().into_iter().map(|section| run(section, &options)).collect(),
        fairness: Vec::new(),
        footprints: Vec::new(),
        kept: Vec::new(),
        charts: Vec::new(),
    };
    if options.wants(fairness::NAME) {
        let (runs, millis) = if options.quick { (1, 10) } else { (15, 500) };
        report.fairness = fairness::measure(runs, Duration::from_millis(millis));
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
    let folder = options.folder();
    fs::create_dir_all(&folder)?;
    report.charts = charts::draw(&report.sections, &folder)?;
    fs::write(folder.join("README.md"), report.to_string())?;
    println!("{report}");
    Ok(())
}

fn run(section: Section, options: &Options) -> Measured {
    let chosen = section.comparisons.into_iter().filter(|it| options.wants_comparison(it));
    let budget = (!options.quick).then_some(section.budget);
    let measured = chosen.map(|comparison| {
        let row = Row::measure(comparison, budget);
        // Minutes pass before the page is complete.
        if let Some([_, ratio, _]) = row.ratio(Semafair::NAME) {
            eprintln!("{ratio:.2}  {}", row.workload);
        }
        row
    });
    Measured {
        rows: measured.collect(),
        title: section.title,
        about: section.about,
        shows: section.shows,
    }
}
