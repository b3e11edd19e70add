//! How many events etcd sends for one hand-off, with 1 to 10 000 processes, in three designs.
//!
//! ```sh
//! cargo run --release -p semafair-etcd --example scale
//! ```
//!
//! It needs no etcd, and prints the same numbers each time: nothing is measured, all is counted. First the tables of
//! `../../SCALE.md`, which says what follows; then all that was counted.

mod course;
mod store;
mod tables;
#[cfg(test)]
mod tests;
mod world;

use std::io::{self, Write};
use std::process::ExitCode;

use course::COURSES;
use world::Design;

const PROCESSES: [usize; 5] = [1, 10, 100, 1000, 10_000];

/// How many hand-offs are counted.
const HAND_OFFS: usize = 100;

/// How many events a second one node of etcd sends, at most: see `SCALE.md`.
const EVENTS_A_SECOND: f64 = 100_000.0;

fn main() -> ExitCode {
    match print() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

fn print() -> io::Result<()> {
    let mut out = io::stdout();
    for table in tables::tables() {
        writeln!(out, "{table}\n")?;
    }
    for course in &COURSES {
        writeln!(out, "For each hand-off: {}.\n", course.name)?;
        writeln!(
            out,
            "| processes | design | events | bytes sent | writes | reads | hand-offs a second |"
        )?;
        writeln!(out, "|--:|---|--:|--:|--:|--:|--:|")?;
        for processes in PROCESSES {
            for design in Design::ALL {
                let cost = course.run(design, processes, HAND_OFFS);
                let [events, bytes, writes, reads] =
                    [cost.sent.events, cost.sent.bytes, cost.sent.writes, cost.sent.reads]
                        .map(|count| cost.each(count));
                let most = match events {
                    0.0 => "any".to_owned(),
                    _ => format!("{:.0}", EVENTS_A_SECOND / events),
                };
                writeln!(
                    out,
                    "| {processes} | {} | {events:.1} | {bytes:.0} | {writes:.1} | {reads:.1} | {most} |",
                    design.name(),
                )?;
            }
        }
        writeln!(out)?;
    }
    Ok(())
}
