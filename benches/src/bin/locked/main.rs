//! Counts the instructions of an operation, and those among them that lock the bus.
//!
//! `locked` prints a table of all semaphores, `locked --where` also the functions that the
//! instructions are in, and `locked --check` counts `semafair` alone, and fails unless it keeps to its
//! limits. `scripts/locked` builds this and runs it.
//!
//! Counts are exact where times are not: the same on every machine that runs the same binary. A
//! locked instruction is what an uncontended operation mostly costs, so they are held to a limit.
//! The exception is `saa` where it waits: it spins by the clock, which a simulator slows down.

mod count;

use std::collections::BTreeMap;
use std::process::ExitCode;

use semafair_benches::{
    Acquire, AcquireMany, Comparison, EnqueueCancel, HandOff, Order, Semafair, Semaphore,
    TryAcquire,
};

use crate::count::Counts;

/// What is counted.
struct Counted {
    comparison: Comparison,
    /// How many locked instructions it may take on `semafair`.
    limit: Option<Limit>,
    /// How many instructions it is to take one day, and how many of them locked.
    goal: Option<(u32, u32)>,
}

fn operations() -> [Counted; 5] {
    let counted = |comparison, limit, goal| Counted { comparison, limit, goal };
    let cancel = EnqueueCancel { waiters: 1, order: Order::Fifo };
    [
        counted(Comparison::of(Acquire), Some(Limit::Exactly(2.0)), Some((16, 2))),
        counted(Comparison::of(TryAcquire), Some(Limit::Exactly(2.0)), Some((20, 2))),
        counted(Comparison::of(AcquireMany(8)), Some(Limit::Exactly(2.0)), None),
        counted(Comparison::of(HandOff), Some(Limit::AtMost(8.0)), Some((280, 6))),
        counted(Comparison::of(cancel), None, Some((180, 4))),
    ]
}

#[derive(Clone, Copy)]
enum Limit {
    Exactly(f64),
    AtMost(f64),
}

impl Limit {
    fn holds(self, count: f64) -> bool {
        // Counts are averages over thousands of rounds.
        let tolerance = 0.005;
        match self {
            Self::Exactly(limit) => (count - limit).abs() <= tolerance,
            Self::AtMost(limit) => count <= limit + tolerance,
        }
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exactly(limit) => write!(f, "{limit}"),
            Self::AtMost(limit) => write!(f, "at most {limit}"),
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (check, show_where) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => (false, false),
        ["--check"] => (true, false),
        ["--where"] => (false, true),
        // What runs under the simulator: see `count`.
        ["--run", operation, semaphore, rounds] => {
            run(operation, semaphore, rounds);
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("usage: locked [--check | --where]");
            return ExitCode::from(2);
        }
    };
    match report(check, show_where) {
        Ok(failures) if check && !failures.is_empty() => {
            eprintln!("\n{}", failures.join("\n"));
            ExitCode::FAILURE
        }
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("locked: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The functions in which the instructions are, and the locked ones: the most expensive first.
fn print_where(by_function: &BTreeMap<String, Counts>) {
    let mut functions: Vec<_> = by_function.iter().collect();
    functions.sort_by(|(_, a), (_, b)| b.instructions.total_cmp(&a.instructions));
    for (function, Counts { instructions, locked }) in functions {
        // Less is what the loader did once in one run and not in the other.
        if *instructions >= 0.01 {
            println!("    {instructions:8.2} {locked:6.2}  {function}");
        }
    }
}

fn run(operation: &str, semaphore: &str, rounds: &str) {
    let rounds = rounds.parse().expect("rounds is a number");
    let operations = operations();
    let contender = operations
        .iter()
        .map(|counted| &counted.comparison)
        .filter(|comparison| comparison.workload == operation)
        .flat_map(|comparison| &comparison.contenders)
        .find(|contender| contender.name == semaphore)
        .expect("operation and semaphore are among those compared");
    // The time would be the simulator's.
    let _: std::time::Duration = contender.run(rounds);
}

/// Prints the table, and returns a sentence for each limit that does not hold.
fn report(only_ours: bool, show_where: bool) -> Result<Vec<String>, count::Error> {
    let mut failures = Vec::new();
    println!("| operation | semaphore | instructions | goal | locked | goal | limit |");
    println!("|---|---|--:|--:|--:|--:|--:|");
    for Counted { comparison, limit, goal } in &operations() {
        for contender in &comparison.contenders {
            let ours = contender.name == Semafair::NAME;
            if only_ours && !ours {
                continue;
            }
            let by_function = count::per_round(&["--run", &comparison.workload, contender.name])?;
            let instructions: f64 = by_function.values().map(|counts| counts.instructions).sum();
            let locked: f64 = by_function.values().map(|counts| counts.locked).sum();
            let limit = limit.filter(|_| ours);
            let (goal, locked_goal) = goal
                .filter(|_| ours)
                .map(|(all, locked)| (format!("≤ {all}"), format!("≤ {locked}")))
                .unwrap_or_default();
            println!(
                "| {} | {} | {instructions:.1} | {goal} | {locked:.2} | {locked_goal} | {} |",
                comparison.workload,
                contender.name,
                limit.map_or(String::new(), |limit| limit.to_string()),
            );
            if show_where {
                print_where(&by_function);
            }
            if let Some(limit) = limit.filter(|limit| !limit.holds(locked)) {
                failures.push(format!(
                    "{} on {} takes {locked:.2} locked instructions, not {limit}",
                    comparison.workload, contender.name,
                ));
            }
        }
    }
    Ok(failures)
}
