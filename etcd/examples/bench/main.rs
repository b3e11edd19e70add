//! What an operation costs on this machine, beside what etcd itself costs.
//!
//! ```sh
//! cargo run --release -p semafair-etcd --example bench
//! ```
//!
//! It starts one node of etcd, whose data are in memory, and takes about a minute. All processes share the machine. The table
//! is what stands in `../../README.md`.

mod metrics;
#[path = "../node/mod.rs"]
mod node;
mod takeover;
mod workloads;

use std::error::Error;
use std::fs;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use metrics::Metrics;
use node::Node;
use semafair_etcd::{DistributedSemaphore, Options, Session};
use workloads::{Raw, Times, hand_offs, latencies, rate};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const ROUNDS: usize = 1500;
const HAND_OFFS: usize = 1500;
/// How long a rate is measured.
const SPAN: Duration = Duration::from_secs(2);
const TASKS: [usize; 4] = [1, 4, 16, 64];
const WAITERS: usize = 100;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let result = match &arguments[..] {
        [] => run().await,
        [word, endpoint] if word == takeover::WORD => takeover::hold(endpoint).await,
        _ => Err("there are no options".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn row(what: &str, result: &str) {
    println!("| {what} | {result} |");
}

fn quantiles(times: &Times) -> String {
    format!("{} µs, {} µs", times.quantile(50), times.quantile(99))
}

async fn run() -> Result<()> {
    let node = Node::start().await?;
    eprintln!("etcd runs, as process {}.", node.id());
    println!("{}\n", machine());
    println!("| | |\n|---|--:|");
    alone(&node).await?;
    many(&node).await?;
    crowd(&node).await?;
    let [least, most] = takeover::takeovers(&node, 3).await?;
    row(
        "takeover after a holder was killed, in leases of 2 s, of three",
        &format!("{least:.2} to {most:.2}"),
    );
    Ok(())
}

/// One task.
async fn alone(node: &Node) -> Result<()> {
    let raw = Raw::new(node.client().await);
    let times = latencies(ROUNDS, async || raw.pair().await).await?;
    row("put + delete by the client alone, p50, p99", &quantiles(&times));
    let times = latencies(ROUNDS, async || raw.checked_pair().await).await?;
    row("the same, but a transaction checks that there is no key, p50, p99", &quantiles(&times));
    let (_session, semaphore) = open(node, "alone", 1).await?;
    let times = latencies(ROUNDS, async || pair(&semaphore).await).await?;
    row("acquire + release, nobody waits, p50, p99", &quantiles(&times));
    Ok(())
}

/// Many tasks, with permits for all.
async fn many(node: &Node) -> Result<()> {
    let (_session, semaphore) = open(node, "many", 1000).await?;
    let raw = Raw::new(node.client().await);
    for tasks in TASKS {
        let (raw, checked) = (raw.clone(), raw.clone());
        let limit = rate(tasks, SPAN, move || {
            let raw = raw.clone();
            async move { raw.pair().await }
        });
        let limit = limit.await?;
        let checked = rate(tasks, SPAN, move || {
            let checked = checked.clone();
            async move { checked.checked_pair().await }
        });
        let checked = checked.await?;
        let semaphore = semaphore.clone();
        let ours = rate(tasks, SPAN, move || {
            let semaphore = semaphore.clone();
            async move { pair(&semaphore).await }
        });
        let ours = ours.await?;
        row(
            &format!(
                "pairs a second, tasks: {tasks}; put + delete, the same with a check, acquire + release"
            ),
            &format!("{limit:.0}, {checked:.0}, {ours:.0}"),
        );
    }
    Ok(())
}

/// Many waiters for one permit.
async fn crowd(node: &Node) -> Result<()> {
    for sessions in [1, WAITERS] {
        let mut semaphores = Vec::new();
        for _ in 0..sessions {
            semaphores.push(open(node, "crowd", 1).await?);
        }
        let waiters = (0..WAITERS).map(|waiter| semaphores[waiter % sessions].1.clone());
        let before = Metrics::read(node).await?;
        let (times, rate) = hand_offs(waiters.collect(), HAND_OFFS).await?;
        let sent = Metrics::read(node).await?.since(before);
        let count = times.len() as f64;
        let name = format!("{WAITERS} waiters for one permit, sessions: {sessions}");
        row(&format!("{name}; hand-off p50, p99"), &quantiles(&times));
        row(&format!("{name}; hand-offs a second"), &format!("{rate:.0}"));
        row(
            &format!("{name}; events, bytes that etcd sent for each"),
            &format!("{:.1}, {:.0}", sent.events / count, sent.bytes / count),
        );
        for (session, _) in semaphores {
            session.close().await?;
        }
    }
    Ok(())
}

async fn open(node: &Node, name: &str, permits: u32) -> Result<(Session, DistributedSemaphore)> {
    let session = Session::connect(Options::new([node.endpoint()])).await?;
    let semaphore = DistributedSemaphore::open(&session, name, permits).await?;
    Ok((session, semaphore))
}

async fn pair(semaphore: &DistributedSemaphore) -> Result<()> {
    Ok(semaphore.acquire().await?.release().await?)
}

/// What the numbers are of.
fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model.trim());
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("?");
    let text = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output();
        output
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default()
    };
    let etcd = text("etcd", "--version");
    let etcd = etcd.lines().next().unwrap_or_default().replace("Version: ", "").replace(':', "");
    let date = text("date", "+%Y-%m-%d");
    format!("{model}, {cores} cores; {etcd}; {}; load before: {load}", date.trim())
}
