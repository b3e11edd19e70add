//! What is printed: a table for a README.

use std::fs;
use std::process::Command;
use std::thread;

use crate::workloads::Times;

pub(crate) fn row(what: &str, result: &str) {
    println!("| {what} | {result} |");
}

pub(crate) fn quantiles(times: &Times) -> String {
    format!("{} µs, {} µs", times.quantile(50), times.quantile(99))
}

/// The head of the table: what the numbers are of.
pub(crate) fn head(server: &str) {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model.trim());
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("?");
    let date = output("date", "+%Y-%m-%d");
    let date = date.trim();
    println!("| {model}, {cores} cores; {server}; {date}; load before: {load} | |");
    println!("|---|--:|");
}

/// What a program says, or nothing.
pub(crate) fn output(program: &str, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}
