//! Counts the instructions of an operation, and those among them that lock the bus.
//!
//! `locked` prints a table of all semaphores, `locked --where` also the functions that the
//! instructions are in, and `locked --check` counts `semafair` alone, and fails unless it keeps to its
//! limits. `scripts/locked` builds this and runs it.
//!
//! Counts are exact where times are not: the same on every machine that runs the same binary. A
//! locked instruction is what an uncontended operation mostly costs. Both are held to limits.
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
    /// How many instructions it may take on `semafair`, and how many of them locked. Compilers differ
    /// by a few; a usual case that goes the long way takes a hundred more.
    limit: (u32, f64),
    /// How many it is to take one day.
    goal: Option<(u32, u32)>,
}

fn operations() -> [Counted; 5] {
    let counted = |comparison, limit, goal| Counted { comparison, limit, goal };
    let cancel = EnqueueCancel { waiters: 1, order: Order::Fifo };
    [
        counted(Comparison::of(Acquire), (22, 2.0), Some((19, 2))),
        counted(Comparison::of(TryAcquire), (20, 2.0), Some((20, 2))),
        counted(Comparison::of(AcquireMany(8)), (28, 2.0), None),
        counted(Comparison::of(HandOff), (280, 7.3), Some((276, 6))),
        counted(Comparison::of(cancel), (269, 5.4), Some((180, 4))),
    ]
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
    let _: semafair_benches::Time = contender.run(rounds);
}

/// Prints the table, and returns a sentence for each limit that does not hold.
fn report(only_ours: bool, show_where: bool) -> Result<Vec<String>, count::Error> {
    let mut failures = Vec::new();
    println!("| operation | semaphore | instructions | goal | limit | locked | goal | limit |");
    println!("|---|---|--:|--:|--:|--:|--:|--:|");
    for Counted { comparison, limit, goal } in &operations() {
        for contender in &comparison.contenders {
            let ours = contender.name == Semafair::NAME;
            if only_ours && !ours {
                continue;
            }
            let by_function = count::per_round(&["--run", &comparison.workload, contender.name])?;
            let instructions: f64 = by_function.values().map(|counts| counts.instructions).sum();
            let locked: f64 = by_function.values().map(|counts| counts.locked).sum();
            let limit = Some(limit).filter(|_| ours);
            let goal = goal.filter(|_| ours);
            println!(
                "| {} | {} | {instructions:.1} | {} | {} | {locked:.2} | {} | {} |",
                comparison.workload,
                contender.name,
                at_most(goal.map(|(all, _)| all)),
                at_most(limit.map(|(all, _)| all)),
                at_most(goal.map(|(_, locked)| locked)),
                at_most(limit.map(|(_, locked)| locked)),
            );
            if show_where {
                print_where(&by_function);
            }
            // Counts are averages over thousands of rounds.
            let over = |&&(all, most_locked): &&(u32, f64)| {
                instructions > f64::from(all) + 0.5 || locked > most_locked + 0.005
            };
            if let Some((all, most_locked)) = limit.filter(over) {
                failures.push(format!(
                    "{} on {} takes {instructions:.1} instructions, {locked:.2} of them locked, and \
                     not at most {all} and {most_locked}",
                    comparison.workload, contender.name,
                ));
            }
        }
    }
    Ok(failures)
}

fn at_most(count: Option<impl std::fmt::Display>) -> String {
    count.map_or_else(String::new, |count| format!("≤ {count}"))
}
