//! A small case of the simulation, from the trace to the tables. It needs valgrind and binutils, as
//! `scripts/coherence` does.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::fs;
use std::path::Path;
use std::process::Command;

/// Runs a few operations of one workload on 2 and 3 cores, and returns the tables.
fn tables(workload: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("coherence-{workload}"));
    let output = Command::new(env!("CARGO_BIN_EXE_coherence"))
        .args(["--cores=2,3", "--rounds=4", "--operations=12", "--warm-up=10"])
        .arg(format!("--workload={workload}"))
        .arg(format!("--out={}", folder.display()))
        .output()
        .expect("the program was built");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let chart = fs::read_to_string(folder.join("coherence.svg")).expect("a chart was drawn");
    assert!(chart.contains("<svg") && chart.contains("tokio"), "the chart is empty");
    fs::read_to_string(folder.join("coherence-tables.md")).expect("tables were written")
}

/// Throughput and transfers in the column of that name, for each number of cores.
fn column(tables: &str, name: &str) -> Vec<(f64, f64)> {
    let cells = |line: &str| line.split('|').map(|it| it.trim().to_owned()).collect::<Vec<_>>();
    let mut lines = tables.lines().skip_while(|line| !line.starts_with("| cores |"));
    let head = cells(lines.next().expect("there is a table"));
    let index = head.iter().position(|cell| cell == name).expect("there is such a column");
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        // For example `9.70 (1.9)`.
        let cell = &cells(row)[index];
        let (throughput, transfers) = cell.split_once(" (").expect("two numbers");
        let number = |text: &str| text.parse().expect("a number");
        (number(throughput), number(transfers.trim_end_matches(')')))
    })
    .collect()
}

/// How many locks an operation takes, as the line with the semaphore's name says.
fn locks(tables: &str, name: &str) -> f64 {
    let line = tables.lines().find(|line| line.starts_with(&format!("**{name}**")));
    let (_, rest) =
        line.and_then(|line| line.split_once("locks taken ")).expect("they are counted");
    rest.split(';').next().and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn an_acquire_has_the_transfers_that_its_code_says() {
    let tables = tables("acquire");
    // A subtraction and an addition of one word, and a look at the word beside it: each core fetches
    // their line for each, at most.
    for (throughput, transfers) in column(&tables, "semafair") {
        assert!(throughput > 0.0 && (0.5..=3.0).contains(&transfers), "{tables}");
    }
    assert_eq!(column(&tables, "semafair").len(), 2);
    // tokio's permit is given back under a lock, and ours is not. A thread's first acquire may take
    // another lock, of the C library, for a thread-local variable of tokio's.
    assert!((1.0..=1.3).contains(&locks(&tables, "tokio")), "{tables}");
    assert!(locks(&tables, "semafair").abs() < 0.01, "{tables}");
}

#[test]
fn a_hand_off_goes_round() {
    let tables = tables("hand-off");
    for name in ["semafair", "tokio", "futures-intrusive"] {
        let figures = column(&tables, name);
        assert_eq!(figures.len(), 2, "{tables}");
        assert!(figures.iter().all(|(_, transfers)| *transfers >= 1.0), "{tables}");
    }
    assert!(locks(&tables, "semafair").abs() < 0.01, "{tables}");
}
