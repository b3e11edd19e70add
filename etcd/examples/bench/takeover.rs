//! How long the permits of a killed process stay away.

use std::process::Stdio;
use std::time::{Duration, Instant};

use semafair_etcd::{DistributedSemaphore, Options, Session};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::Result;
use crate::node::Node;

/// Says that the program is to hold a permit until it is killed.
pub(crate) const WORD: &str = "hold";
const LEASE: Duration = Duration::from_secs(2);

async fn open(endpoint: &str) -> Result<DistributedSemaphore> {
    let session = Session::connect(Options::new([endpoint]).ttl(LEASE)).await?;
    Ok(DistributedSemaphore::open(&session, "takeover", 1).await?)
}

pub(crate) async fn hold(endpoint: &str) -> Result<()> {
    let permit = open(endpoint).await?.acquire().await?;
    println!("holds");
    permit.lost().await;
    Err("the lease was lost".into())
}

/// The shortest and the longest, in leases.
pub(crate) async fn takeovers(node: &Node, times: usize) -> Result<[f64; 2]> {
    let semaphore = open(&node.endpoint()).await?;
    let mut least = f64::INFINITY;
    let mut most = 0.0_f64;
    for _ in 0..times {
        let mut holder = Command::new(std::env::current_exe()?)
            .args([WORD, &node.endpoint()])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let said = holder.stdout.take().ok_or("it is not piped")?;
        BufReader::new(said).lines().next_line().await?.ok_or("the holder has ended")?;
        let waiter = semaphore.clone();
        let waiter = tokio::spawn(async move {
            let permit = waiter.acquire().await?;
            let granted = Instant::now();
            permit.release().await?;
            Ok::<_, semafair_etcd::Error>(granted)
        });
        while semaphore.status().waiters.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let killed = Instant::now();
        holder.kill().await?;
        let leases = waiter.await??.duration_since(killed).div_duration_f64(LEASE);
        (least, most) = (least.min(leases), most.max(leases));
    }
    Ok([least, most])
}
