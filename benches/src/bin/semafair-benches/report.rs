//! The results as Markdown.

use std::fmt::{self, Display, Formatter};

use semafair_benches::{ForEach, Semafair, Semaphore, Tokio, for_each};

use crate::catalogue::Shows;
use crate::fairness::{self, Fairness};
use crate::footprint::{self, Footprint};
use crate::kept::{self, BURSTS, Kept};
use crate::machine;
use crate::measure::{PATIENCE, Row};
use crate::statistics::Spread;

/// All that was measured.
pub(crate) struct Report {
    pub(crate) sections: Vec<Measured>,
    pub(crate) fairness: Vec<Fairness>,
    pub(crate) footprints: Vec<Footprint>,
    pub(crate) kept: Vec<Kept>,
    /// The chart of ratios and those of the sections, as they are called in the folder.
    pub(crate) charts: Vec<String>,
}

impl Report {
    pub(crate) fn is_empty(&self) -> bool {
        let no_rows = self.sections.iter().all(|section| section.rows.is_empty());
        let no_sizes = self.footprints.is_empty() && self.kept.is_empty();
        no_rows && self.fairness.is_empty() && no_sizes
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
             {}, {}, on {}.\n\n{}.\n",
            machine::processor(),
            machine::system(),
            machine::date(),
            versions().join(", "),
        )?;
        writeln!(
            f,
            "Ratios are to tokio's time for the same work, lower is faster: the median over rounds \
             in which all semaphores took their turns, for semafair with the middle half of them in \
             brackets; *low* is the ratio of the times that a tenth of the samples of each do not exceed, \
             which is what remains where other programs interrupt; *goal* is what it set out for, and `src/line/COSTS.md` says what is in the way \
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
            writeln!(f, "\n## Fairness\n\n{} {}\n", fairness::ABOUT, runs(&self.fairness[0]))?;
            waits(f, &self.fairness)?;
        }
        if !self.footprints.is_empty() {
            writeln!(f, "\n## Sizes\n\n{}\n", footprint::ABOUT)?;
            sizes(f, &self.footprints)?;
        }
        if !self.kept.is_empty() {
            writeln!(f, "\n## What an idle semaphore keeps\n\n{}\n", kept::ABOUT)?;
            keeps(f, &self.kept)?;
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
    head(f, &[&["operation", "tokio, ns", Semafair::NAME, "low", "goal"][..], &others].concat())?;
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
            row.low_ratio(Semafair::NAME).map_or("–".into(), |ratio| format!("{ratio:.2}")),
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

/// How the figures of fairness were taken.
fn runs(fairness: &Fairness) -> String {
    format!(
        "The semaphores took turns; runs of each: {}, of {:?} each. A figure is the median of the runs, with the \
         least and the greatest in brackets.",
        fairness.runs, fairness.duration
    )
}

fn waits(f: &mut Formatter<'_>, all: &[Fairness]) -> fmt::Result {
    let columns = [
        "grants, 1000/s",
        "Jain's index",
        "most / fewest grants",
        "wait, µs: median",
        "p99",
        "longest",
    ];
    head(f, &[&["semaphore"], &columns[..]].concat())?;
    for Fairness { name, figures, .. } in all {
        let exact = |value: f64| format!("{value:.3}");
        let mut cells = vec![
            (*name).to_owned(),
            spread(figures.grants, |grants| number(grants / 1000.0)),
            spread(figures.jain, exact),
            spread(figures.most_to_fewest, factor),
        ];
        cells.extend(figures.waits.map(|wait| spread(wait, |wait| number(wait / 1000.0))));
        line(f, &cells)?;
    }
    Ok(())
}

/// A number of times, of which small ones matter most.
fn factor(value: f64) -> String {
    if value < 10.0 { format!("{value:.2}") } else { number(value) }
}

/// `median (least–greatest)`
fn spread(spread: Spread, show: impl Fn(f64) -> String) -> String {
    let [median, least, greatest] = [spread.median, spread.least, spread.greatest].map(show);
    format!("{median} ({least}–{greatest})")
}

fn keeps(f: &mut Formatter<'_>, all: &[Kept]) -> fmt::Result {
    let bursts = BURSTS.map(kept::Burst::name);
    let bursts: Vec<_> = bursts.iter().map(String::as_str).collect();
    head(f, &[&["", "itself"], &bursts[..]].concat())?;
    for Kept { name, itself, heap } in all {
        let mut cells = vec![(*name).to_owned(), itself.to_string()];
        cells.extend(heap.map(|bytes| format!("{bytes:.0}")));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_shown_with_both_ends() {
        let waits = Spread { least: 900.0, median: 26_900.0, greatest: 250_400.0 };
        assert_eq!(spread(waits, |wait| number(wait / 1000.0)), "26.9 (0.9–250)");
    }

    #[test]
    fn every_column_of_what_is_kept_has_a_head() {
        struct Table(Vec<Kept>);
        impl Display for Table {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                keeps(f, &self.0)
            }
        }
        let kept = Kept { name: "x", itself: 16, heap: [1.0, 2.0, 3.0, 4.0, 5.0, 6.4] };
        let table = Table(vec![kept]).to_string();
        let [head, rule, row] = table.lines().collect::<Vec<_>>()[..] else { panic!("{table}") };
        assert_eq!(row, "| x | 16 | 1 | 2 | 3 | 4 | 5 | 6 |");
        assert!(head.contains("| 1000 served |"), "{head}");
        let columns = |line: &str| line.matches('|').count();
        assert_eq!([head, rule].map(columns), [columns(row); 2]);
    }

    #[test]
    fn the_versions_of_all_crates_are_found() {
        let versions = versions();
        assert!(versions.iter().any(|version| version.starts_with("saa 5.")), "{versions:?}");
    }
}
