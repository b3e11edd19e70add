//! The results as Markdown.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use semafair_benches::{ForEach, Semafair, Semaphore, Tokio, for_each};

use crate::catalogue::Shows;
use crate::fairness::{self, Fairness};
use crate::footprint::{self, Footprint};
use crate::kept::{self, BURSTS, Kept};
use crate::locks::{self, Contention, Cost};
use crate::machine;
use crate::measure::{Clock, PATIENCE, Row};
use crate::results::{ALIKE, Results, differences};
use crate::statistics::{Spread, quantile};

/// All that was measured.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) sections: Vec<Measured>,
    pub(crate) fairness: Vec<Fairness>,
    pub(crate) locks: Vec<Contention>,
    pub(crate) footprints: Vec<Footprint>,
    pub(crate) kept: Vec<Kept>,
    /// The names of their files.
    pub(crate) charts: Vec<String>,
    /// This machine's results, and then those of others.
    pub(crate) machines: Vec<Results>,
}

impl Report {
    pub(crate) fn is_empty(&self) -> bool {
        let no_rows = self.sections.iter().all(|section| section.rows.is_empty());
        let no_sizes = self.footprints.is_empty() && self.kept.is_empty();
        no_rows && self.fairness.is_empty() && self.locks.is_empty() && no_sizes
    }
}

/// A section, measured.
pub(crate) struct Measured {
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    pub(crate) shows: Shows,
    /// How long each row may take.
    pub(crate) budget: Duration,
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
            "Ratios are to tokio's time for the same work; lower is faster. All semaphores take turns, with one \
             short sample each. *Clock* says what is compared. **CPU**: one thread works, and its processor time is \
             taken; the ratio is that of the times that a tenth of the samples of each do not exceed. So the time of other \
             programs is left out, though not what they do to the caches. **wall**: several threads work, and the ratio is the median, over \
             all turns, of the ratios by the wall clock. All rows were measured twice, minutes apart: *differ* says \
             by how much semafair's two ratios do, and much more than 2 % tells of a busy machine. *By the wall clock* is the median for semafair, with the middle \
             half of the ratios in brackets. *Goal* is what it set out for; where that was not reached, \
             `src/line/COSTS.md` says what is in the way. `–` stands where an operation is lacking, `slow` where ten \
             thousand of them, or more, would take over {PATIENCE:?} each."
        )?;
        if let Some(agreement) = self.agreement() {
            writeln!(f, "\n{agreement}")?;
        }
        writeln!(f, "{PECULIARITIES}")?;
        for (i, contention) in self.locks.iter().enumerate() {
            if i == 0 {
                writeln!(f, "\n## What a lock costs\n\n{} {}", locks::ABOUT, contention.runs())?;
            }
            costs(f, contention)?;
        }
        for machine in self.machines.iter().skip(1).filter(|_| !self.locks.is_empty()) {
            for contention in &machine.locks {
                writeln!(f, "\nOn another machine, {}, on {}:", machine.processor, machine.date)?;
                costs(f, contention)?;
            }
        }
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
        compare(f, &self.machines)?;
        if !self.charts.is_empty() {
            writeln!(f, "\n## Charts\n")?;
            for chart in &self.charts {
                writeln!(f, "![{}]({chart})", chart.trim_end_matches(".svg"))?;
            }
        }
        Ok(())
    }
}

impl Report {
    /// How far the passes agree.
    fn agreement(&self) -> Option<String> {
        let rows = || self.sections.iter().flat_map(|section| &section.rows);
        let of = |clock: Clock| {
            let rows = rows().filter(|row| row.clock() == clock);
            let all: Vec<_> = rows.filter_map(|row| row.disagreement(Semafair::NAME)).collect();
            let [half, most, all] = [0.5, 0.9, 1.0].map(|part| quantile(&all, part));
            Some([half?, most?, all?].map(percent))
        };
        let told = |([half, most, all], by): ([String; 3], _)| {
            format!(
                "{by}, by {half} or less in half of the rows, {most} in nine of ten, {all} in all"
            )
        };
        let clocks =
            [(of(Clock::Cpu), "in processor time"), (of(Clock::Wall), "by the wall clock")];
        let told: Vec<_> =
            clocks.into_iter().filter_map(|(of, by)| Some(told((of?, by)))).collect();
        (!told.is_empty())
            .then(|| format!("semafair's two ratios differ, {}.", told.join("; and, ")))
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
    let ours =
        ["operation", "clock", "tokio, ns", Semafair::NAME, "differ", "goal", "by the wall clock"];
    head(f, &[&ours[..], &others].concat())?;
    for row in rows {
        let ratio = row.ratio(Semafair::NAME);
        let goal = row.goal().zip(ratio).map_or(String::new(), |(goal, ratio)| {
            format!("{} {goal:.2}", if ratio <= goal { "✓ ≤" } else { "✗ ≤" })
        });
        let by_wall = row.wall_ratio(Semafair::NAME);
        let by_wall = by_wall.map(|[low, it, high]| format!("{it:.2} ({low:.2}–{high:.2})"));
        let clock = match row.clock() {
            Clock::Cpu => "CPU",
            Clock::Wall => "wall",
        };
        let mut cells = vec![
            row.workload().to_owned(),
            clock.to_owned(),
            cell(row, Tokio::NAME, row.time(Tokio::NAME).map(number)),
            cell(row, Semafair::NAME, ratio.map(|ratio| format!("**{ratio:.2}**"))),
            row.disagreement(Semafair::NAME).map_or("–".into(), percent),
            goal,
            cell(row, Semafair::NAME, by_wall),
        ];
        cells.extend(
            others
                .iter()
                .map(|name| cell(row, name, row.ratio(name).map(|ratio| format!("{ratio:.2}")))),
        );
        line(f, &cells)?;
    }
    Ok(())
}

fn times(f: &mut Formatter<'_>, over: &str, rows: &[Row]) -> fmt::Result {
    let names = semaphores();
    head(f, &[&[over], &names[..]].concat())?;
    for row in rows {
        let mut cells = vec![row.size().map_or(row.workload().to_owned(), |size| size.to_string())];
        cells.extend(names.iter().map(|name| cell(row, name, row.time(name).map(number))));
        line(f, &cells)?;
    }
    Ok(())
}

/// A table of what a lock costs, under who took turns.
fn costs(f: &mut Formatter<'_>, contention: &Contention) -> fmt::Result {
    writeln!(f, "\n**{}**\n", contention.title())?;
    let columns = [
        "semaphore",
        "turns, 1000/s",
        "of starved threads",
        "sleeps for a million turns",
        "turn, µs: p99.9",
        "p99.99",
        "longest",
    ];
    head(f, &columns)?;
    for Cost { name, turns, sleeps, latencies } in &contention.costs {
        let [normal, starved] = turns.map(|turns| number(turns / 1000.0));
        let starved = if contention.starved == 0 { "–".into() } else { starved };
        let sleeps = sleeps.map_or("–".into(), |sleeps| {
            let [all, fewest, most] = [sleeps.all, sleeps.fewest, sleeps.most].map(shown);
            format!("**{all}** ({fewest}–{most})")
        });
        let latencies = latencies.map(|nanoseconds| number(nanoseconds as f64 / 1000.0));
        line(f, &[&[name.clone(), normal, starved, sleeps], &latencies[..]].concat())?;
    }
    Ok(())
}

/// The rows in which machines differ, side by side, if there are several.
fn compare(f: &mut Formatter<'_>, machines: &[Results]) -> fmt::Result {
    let machines: Vec<_> = machines.iter().collect();
    let (rows, compared) = differences(&machines);
    if machines.len() < 2 || compared == 0 {
        return Ok(());
    }
    writeln!(
        f,
        "\n## Other machines\n\nThe ratio of {} to tokio, where machines differ by more than {}: in {} of {compared} rows. \
         What `machines/` has of each machine is from its last run.\n",
        Semafair::NAME,
        percent(ALIKE),
        rows.len(),
    )?;
    let titles: Vec<_> =
        machines.iter().map(|machine| format!("{}, {}", machine.processor, machine.date)).collect();
    let titles: Vec<_> = titles.iter().map(String::as_str).collect();
    head(f, &[&["operation"], &titles[..]].concat())?;
    for (workload, ratios) in rows {
        let ratios = ratios.iter().map(|ratio| format!("{ratio:.2}"));
        line(f, &std::iter::once(workload).chain(ratios).collect::<Vec<_>>())?;
    }
    Ok(())
}

fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

/// Two digits of a small number, and none behind the point of a large one.
pub(crate) fn shown(count: f64) -> String {
    match count {
        0.0 => "0".into(),
        few if few < 10.0 => format!("{few:.2}"),
        many => format!("{many:.0}"),
    }
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
