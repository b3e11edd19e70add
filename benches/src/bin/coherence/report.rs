//! The tables.

use std::fmt::{self, Display, Formatter};

use semafair_benches::{Semafair, Semaphore, Tokio};

use crate::caches::{Costs, Outcome, Simulation};
use crate::layout::{apart, sharded};
use crate::subject::Workload;
use crate::trace::Series;

/// The functions that are listed, of those whose accesses need transfers.
const LISTED: usize = 8;

/// A workload on a semaphore.
pub(crate) struct Traced {
    pub(crate) workload: Workload,
    pub(crate) semaphore: &'static str,
    pub(crate) series: Vec<Series>,
}

/// Everything that was traced.
pub(crate) struct Report {
    pub(crate) traced: Vec<Traced>,
    pub(crate) costs: Costs,
}

/// One simulation.
pub(crate) struct Point {
    pub(crate) cores: usize,
    /// Operations in a microsecond.
    pub(crate) throughput: f64,
    /// Transfers for each operation.
    pub(crate) transfers: f64,
    operations: f64,
    outcome: Outcome,
}

/// Simulates one series.
pub(crate) fn simulate(series: &Series, workload: Workload, costs: Costs) -> Point {
    let cores = series.cores;
    let before = move |part| match workload {
        Workload::HandOff => before_hand_off(part, cores),
        Workload::Acquire | Workload::Try | Workload::Cancel => Vec::new(),
    };
    let outcome = Simulation::new(&series.parts, series.names.len(), &before, costs).run();
    let of_one = workload.parts() as f64;
    let operations = outcome.all_parts as f64 / of_one;
    Point {
        cores,
        throughput: outcome.parts as f64 / of_one / outcome.nanoseconds * 1000.0,
        transfers: outcome.transfers() as f64 / operations,
        operations,
        outcome,
    }
}

/// A core's turn has two parts: it passes the permit on, and queues up again. It passes the permit on
/// when the core before it has done so, and when the next waits.
fn before_hand_off(part: usize, cores: usize) -> Vec<usize> {
    if part % 2 == 1 {
        return Vec::new();
    }
    let passed = part.checked_sub(2);
    let next_has_queued = (part + 3).checked_sub(2 * cores);
    passed.into_iter().chain(next_has_queued).collect()
}

impl Traced {
    pub(crate) fn points(&self, costs: Costs) -> Vec<Point> {
        self.series.iter().map(|series| simulate(series, self.workload, costs)).collect()
    }
}

impl Report {
    pub(crate) fn of(&self, workload: Workload) -> Vec<(&Traced, Vec<Point>)> {
        let traced = self.traced.iter().filter(|traced| traced.workload == workload);
        traced.map(|traced| (traced, traced.points(self.costs))).collect()
    }

    fn ours(&self, workload: Workload) -> Option<&Traced> {
        let mut traced = self.traced.iter();
        traced.find(|it| it.workload == workload && it.semaphore == Semafair::NAME)
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Costs { transfer, locked, instruction } = self.costs;
        writeln!(
            f,
            "A transfer costs {transfer} ns, a locked instruction {locked} ns more than others, and any \
             instruction {instruction} ns.\n"
        )?;
        for workload in Workload::ALL {
            let traced = self.of(workload);
            if traced.is_empty() {
                continue;
            }
            writeln!(f, "## {}\n", workload.title())?;
            figures(f, &traced)?;
            for (traced, points) in &traced {
                by_function(f, traced, points)?;
            }
        }
        self.layouts(f)?;
        self.other_costs(f)
    }
}

/// Operations in a microsecond, and the transfers of one, for each number of cores.
fn figures(f: &mut Formatter<'_>, traced: &[(&Traced, Vec<Point>)]) -> fmt::Result {
    writeln!(f, "Operations in a microsecond; in brackets, transfers for each.\n")?;
    write!(f, "| cores |")?;
    for (traced, _) in traced {
        write!(f, " {} |", traced.semaphore)?;
    }
    writeln!(f, "\n|--:|{}", "--:|".repeat(traced.len()))?;
    let (_, first) = &traced[0];
    for i in 0..first.len() {
        write!(f, "| {} |", first[i].cores)?;
        for (_, points) in traced {
            write!(f, " {:.2} ({:.1}) |", points[i].throughput, points[i].transfers)?;
        }
        writeln!(f)?;
    }
    writeln!(f)
}

/// Where the transfers are, with the fewest cores and with the most.
fn by_function(f: &mut Formatter<'_>, traced: &Traced, points: &[Point]) -> fmt::Result {
    let (Some(few), Some(many)) = (points.first(), points.last()) else { return Ok(()) };
    writeln!(
        f,
        "**{}**, {} and {} cores. For each operation: swaps that failed {:.2}, {:.2}; locks taken \
         {:.2}; waits for a lock {:.2}, {:.2}, of {:.0} ns, {:.0} ns in all.\n",
        traced.semaphore,
        few.cores,
        many.cores,
        few.outcome.retries as f64 / few.operations,
        many.outcome.retries as f64 / many.operations,
        many.outcome.locks as f64 / many.operations,
        few.outcome.waits_for_locks as f64 / few.operations,
        many.outcome.waits_for_locks as f64 / many.operations,
        few.outcome.waited_for_locks / few.operations,
        many.outcome.waited_for_locks / many.operations,
    )?;
    writeln!(f, "| function | transfers | transfers | ns in queues for lines | ns in queues |")?;
    writeln!(f, "|---|--:|--:|--:|--:|")?;
    let names = &traced.series[traced.series.len() - 1].names;
    // Names are numbered in each series by itself.
    let first_names = &traced.series[0].names;
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|&name| std::cmp::Reverse(many.outcome.by_name[name].transfers));
    for name in order.into_iter().take(LISTED) {
        let after = many.outcome.by_name[name];
        let earlier = first_names.binary_search(&names[name]);
        let before = earlier.map(|name| few.outcome.by_name[name]).unwrap_or_default();
        let [transfers, queued] =
            [[before, after].map(|it| it.transfers as f64), [before, after].map(|it| it.queued)];
        writeln!(
            f,
            "| `{}` | {:.2} | {:.2} | {:.0} | {:.0} |",
            names[name],
            transfers[0] / few.operations,
            transfers[1] / many.operations,
            queued[0] / few.operations,
            queued[1] / many.operations,
        )?;
    }
    writeln!(f)
}

impl Report {
    /// What other layouts would change, as a ratio of throughputs.
    fn layouts(&self, f: &mut Formatter<'_>) -> fmt::Result {
        type Change = fn(&Series) -> Series;
        let changes: [(&str, Change); 7] = [
            ("the tail in a line of its own", |it| apart(it, "position.rs")),
            ("the hazard slots in lines of their own", |it| apart(it, "hazards.rs: claim")),
            ("each cell in a line of its own", |it| apart(it, "cell/")),
            ("every word in a line of its own", |it| apart(it, "")),
            ("the balance in 2 shards", |it| sharded(it, "balance.rs", 2)),
            ("the balance in 8 shards", |it| sharded(it, "balance.rs", 8)),
            ("the balance in a shard for each core", |it| sharded(it, "balance.rs", 128)),
        ];
        writeln!(
            f,
            "## Other layouts\n\nThroughput of semafair, as a ratio to the layout that it has.\n"
        )?;
        for workload in Workload::ALL {
            let Some(ours) = self.ours(workload) else { continue };
            write!(f, "| {} |", workload.title())?;
            for series in &ours.series {
                write!(f, " {} cores |", series.cores)?;
            }
            writeln!(f, "\n|---|{}", "--:|".repeat(ours.series.len()))?;
            for (title, change) in changes {
                write!(f, "| {title} |")?;
                for series in &ours.series {
                    let now = simulate(series, workload, self.costs);
                    let then = simulate(&change(series), workload, self.costs);
                    write!(f, " {:.2} |", then.throughput / now.throughput)?;
                }
                writeln!(f)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    /// Whether the answer depends on the costs that were chosen.
    fn other_costs(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "## Other costs\n\nThroughput of semafair, as a ratio to tokio's.\n")?;
        for workload in Workload::ALL {
            let tokio = self
                .traced
                .iter()
                .find(|it| it.workload == workload && it.semaphore == Tokio::NAME);
            let (Some(ours), Some(tokio)) = (self.ours(workload), tokio) else { continue };
            write!(f, "| {}: a transfer costs |", workload.title())?;
            for series in &ours.series {
                write!(f, " {} cores |", series.cores)?;
            }
            writeln!(f, "\n|--:|{}", "--:|".repeat(ours.series.len()))?;
            for transfer in [15.0, 30.0, 60.0, 120.0, 240.0] {
                let costs = Costs { transfer, ..self.costs };
                write!(f, "| {transfer} ns |")?;
                for (ours, tokio) in ours.points(costs).iter().zip(tokio.points(costs)) {
                    write!(f, " {:.2} |", ours.throughput / tokio.throughput)?;
                }
                writeln!(f)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::before_hand_off;

    #[test]
    fn the_permit_goes_round_in_order() {
        // Part 2k passes the permit on, and 2k + 1 queues up again.
        assert_eq!(before_hand_off(0, 3), [0; 0]);
        assert_eq!(before_hand_off(2, 3), [0]);
        assert_eq!(before_hand_off(3, 3), [0; 0]);
        // Of 3 cores, the one with turn 3 queued up in turn 0.
        assert_eq!(before_hand_off(4, 3), [2, 1]);
    }
}
