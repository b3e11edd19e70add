//! The results as Markdown.

use std::fmt::{self, Display, Formatter};
use std::process::Command;

use semafair_benches::{ForEach, Semafair, Semaphore, Tokio, for_each};

use crate::catalogue::Shows;
use crate::fairness::{self, Fairness};
use crate::footprint::{self, Footprint};
use crate::measure::{PATIENCE, Row};

/// All that was measured.
pub(crate) struct Report {
    pub(crate) sections: Vec<Measured>,
    pub(crate) fairness: Vec<Fairness>,
    pub(crate) footprints: Vec<Footprint>,
    /// The chart of ratios and those of the sections, as they are called in the folder.
    pub(crate) charts: Vec<String>,
}

impl Report {
    pub(crate) fn is_empty(&self) -> bool {
        let no_rows = self.sections.iter().all(|section| section.rows.is_empty());
        no_rows && self.fairness.is_empty() && self.footprints.is_empty()
    }
}

/// A section, measured.
pub(crate) struct Measured {
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    pub(crate) shows: Shows,
    pub(crate) rows: Vec<Row>,
}

/// Without these, figures mislead.
const PECULIARITIES: &str = "
- `async-lock`: newcomers overtake. A task that drops a permit and acquires the next takes it again, so next to nothing is
  handed over.
- `async-weighted-semaphore`: a permit that was dropped may be free a moment later, when another thread is done. So
  threads with a permit each would wait.
- `a queue, unshared` is no semaphore: permits and wakers in variables of one thread, with nothing to protect them. What it
  takes, the runtime takes, or the workload itself.
- `saa`: a poll spins, for tens of microseconds, before it waits; who releases or leaves walks the line. It has 63
  permits at most.";

struct Names;

impl ForEach for Names {
    type Outcome = &'static str;

    fn visit<S: Semaphore>(&self) -> Self::Outcome {
        S::NAME
    }
}

/// The columns.
pub(crate) fn semaphores() -> Vec<&'static str> {
    for_each(&Names)
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Semaphores, side by side\n")?;
        writeln!(
            f,
            "Written by `cargo run --release -p semafair-benches`, in one process on one machine: \
             {}.\n\n{}.\n",
            machine(),
            versions().join(", "),
        )?;
        writeln!(
            f,
            "Ratios are to tokio's time for the same work, lower is faster: the median over rounds \
             in which all semaphores took their turns, for semafair with the middle half of them in \
             brackets; *goal* is what it set out for, and `src/line/README.md` says what is in the way \
             where that was not reached. `–` stands where an operation is lacking, `slow` where ten thousand of them, or \
             more, would take over {PATIENCE:?} each. On another machine, or at another hour, all of it \
             differs."
        )?;
        writeln!(f, "{PECULIARITIES}")?;
        for section in self.sections.iter().filter(|section| !section.rows.is_empty()) {
            writeln!(f, "\n## {}\n\n{}\n", section.title, section.about)?;
            match section.shows {
                Shows::Ratios => ratios(f, &section.rows)?,
                Shows::Times { over } => times(f, over, &section.rows)?,
            }
        }
        if !self.fairness.is_empty() {
            writeln!(f, "\n## Fairness\n\n{}\n", fairness::ABOUT)?;
            waits(f, &self.fairness)?;
        }
        if !self.footprints.is_empty() {
            writeln!(f, "\n## Sizes\n\n{}\n", footprint::ABOUT)?;
            sizes(f, &self.footprints)?;
        }
        if !self.charts.is_empty() {
            writeln!(f, "\n## Charts\n")?;
            for chart in &self.charts {
                writeln!(f, "![{}]({chart})", chart.trim_end_matches(".svg"))?;
            }
        }
        Ok(())
    }
}

/// The head of a table: the first column holds words, the others numbers.
fn head(f: &mut Formatter<'_>, columns: &[&str]) -> fmt::Result {
    writeln!(f, "| {} |", columns.join(" | "))?;
    writeln!(f, "|---|{}", "--:|".repeat(columns.len() - 1))
}

fn line(f: &mut Formatter<'_>, cells: &[String]) -> fmt::Result {
    writeln!(f, "| {} |", cells.join(" | "))
}

fn ratios(f: &mut Formatter<'_>, rows: &[Row]) -> fmt::Result {
    let mut others = semaphores();
    others.retain(|name| ![Semafair::NAME, Tokio::NAME].contains(name));
    head(f, &[&["operation", "tokio, ns", Semafair::NAME, "goal"][..], &others].concat())?;
    for row in rows {
        let ours = row.ratio(Semafair::NAME);
        let goal = row.goal.zip(ours).map_or(String::new(), |(goal, [_, ratio, _])| {
            format!("{} {goal:.2}", if ratio <= goal { "✓ ≤" } else { "✗ ≤" })
        });
        let ours = ours.map(|[low, ratio, high]| format!("**{ratio:.2}** ({low:.2}–{high:.2})"));
        let mut cells = vec![
            row.workload.clone(),
            cell(row, Tokio::NAME, row.time(Tokio::NAME).map(number)),
            cell(row, Semafair::NAME, ours),
            goal,
        ];
        cells.extend(others.iter().map(|name| {
            cell(row, name, row.ratio(name).map(|[_, ratio, _]| format!("{ratio:.2}")))
        }));
        line(f, &cells)?;
    }
    Ok(())
}

fn times(f: &mut Formatter<'_>, over: &str, rows: &[Row]) -> fmt::Result {
    let names = semaphores();
    head(f, &[&[over], &names[..]].concat())?;
    for row in rows {
        let mut cells = vec![row.size.map_or(row.workload.clone(), |size| size.to_string())];
        cells.extend(names.iter().map(|name| cell(row, name, row.time(name).map(number))));
        line(f, &cells)?;
    }
    Ok(())
}

/// What stands where there may be no figure.
fn cell(row: &Row, name: &str, figure: Option<String>) -> String {
    figure.unwrap_or_else(|| if row.is_too_slow(name) { "slow" } else { "–" }.into())
}

fn waits(f: &mut Formatter<'_>, all: &[Fairness]) -> fmt::Result {
    let columns = ["Jain's index", "fewest grants", "most", "wait, µs: median", "p99", "longest"];
    head(f, &[&["semaphore"], &columns[..]].concat())?;
    for Fairness { name, jain, grants, waits } in all {
        let mut cells = vec![(*name).to_owned(), format!("{jain:.3}")];
        cells.extend(grants.map(|grants| format!("{grants:.0}")));
        cells.extend(waits.map(|wait| number(wait / 1000.0)));
        line(f, &cells)?;
    }
    Ok(())
}

fn sizes(f: &mut Formatter<'_>, all: &[Footprint]) -> fmt::Result {
    let columns =
        ["semaphore", "future", "permit", "heap: first waiter", "each of 10 000", "when they left"];
    head(f, &[&[""], &columns[..]].concat())?;
    for Footprint { name, semaphore, future, permit, first, each, left } in all {
        let cells = [semaphore, future, permit].map(ToString::to_string);
        let heap = [first.to_string(), format!("{each:.1}"), left.to_string()];
        line(f, &[&[(*name).to_owned()], &cells[..], &heap].concat())?;
    }
    Ok(())
}

/// Three digits or so.
fn number(value: f64) -> String {
    if value < 100.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

/// The crates compared, as they are in the lock file.
fn versions() -> Vec<String> {
    let lock = include_str!("../../../../Cargo.lock");
    let version = |name: &str| {
        let (_, package) = lock.split_once(&format!("\nname = \"{name}\"\nversion = \""))?;
        package.split_once('"').map(|(version, _)| format!("{name} {version}"))
    };
    semaphores().into_iter().filter_map(version).collect()
}

/// Processors, their model, the system and the compiler, as far as they can be found.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or("?".into(), |cores| cores.to_string());
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    format!("{cores} cores, {model}, {}, {}", std::env::consts::OS, compiler())
}

/// The compiler that cargo takes here.
fn compiler() -> String {
    let version = Command::new("rustc").arg("--version").output();
    let version = version.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    version.map_or("unknown compiler".into(), |version| version.trim().into())
}
