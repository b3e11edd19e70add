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
mod raw;
mod table;
mod takeover;
mod workloads;

use std::error::Error;
use std::process::ExitCode;

use metrics::Metrics;
use node::Node;
use raw::Raw;
use semafair_etcd::{DistributedSemaphore, Options, Permit, Session};
use table::{quantiles, row};
use workloads::{HAND_OFFS, ROUNDS, SPAN, Semaphore, TASKS, WAITERS, hand_offs, latencies, rate};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

impl Semaphore for DistributedSemaphore {
    type Permit = Permit;

    async fn acquire(&self) -> Result<Permit> {
        Ok(DistributedSemaphore::acquire(self).await?)
    }

    async fn release(permit: Permit) -> Result<()> {
        Ok(permit.release().await?)
    }
}

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

async fn run() -> Result<()> {
    let node = Node::start().await?;
    eprintln!("etcd runs, as process {}.", node.id());
    let etcd = table::output("etcd", "--version");
    let etcd = etcd.lines().next().unwrap_or_default().replace("Version: ", "").replace(':', "");
    table::head(&etcd);
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
    let times = latencies(ROUNDS, async || semaphore.pair().await).await?;
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
            async move { semaphore.pair().await }
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
        let (passed, rate) = hand_offs(waiters.collect(), HAND_OFFS, HAND_OFFS).await?;
        let sent = Metrics::read(node).await?.since(before);
        let count = passed.count() as f64;
        let name = format!("{WAITERS} waiters for one permit, sessions: {sessions}");
        row(&format!("{name}; hand-off p50, p99"), &quantiles(&passed.times()));
        row(&format!("{name}; hand-offs a second"), &format!("{rate:.0}"));
        row(
            &format!("{name}; hand-offs to the task that had just released"),
            &format!("{} of {}", passed.to_itself, passed.count()),
        );
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
