//! What acquire and release of a semaphore on Redis cost, in rows as those of semafair-etcd's benchmark.
//!
//! ```sh
//! cargo run --release --manifest-path etcd/redis/Cargo.toml
//! ```
//!
//! It starts a Redis whose data are in memory, and takes about half a minute. The semaphore is that of
//! `distributed-lock-redis`. All processes share the machine. The table is what stands in `../README.md`.

mod server;
#[path = "../../examples/bench/table.rs"]
mod table;
#[path = "../../examples/bench/workloads.rs"]
mod workloads;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use distributed_lock_core::traits::{DistributedSemaphore, LockHandle, SemaphoreProvider};
use distributed_lock_redis::{RedisDistributedSemaphore, RedisLockProvider, RedisSemaphoreHandle};
use server::Server;
use table::{output, quantiles, row};
use workloads::{HAND_OFFS, ROUNDS, SPAN, Semaphore, TASKS, WAITERS, hand_offs, latencies, rate};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Clone)]
struct OnRedis(Arc<RedisDistributedSemaphore>);

impl Semaphore for OnRedis {
    type Permit = RedisSemaphoreHandle;

    async fn acquire(&self) -> Result<RedisSemaphoreHandle> {
        Ok(self.0.acquire(None).await?)
    }

    async fn release(permit: RedisSemaphoreHandle) -> Result<()> {
        Ok(permit.release().await?)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let server = Server::start()?;
    let provider = RedisLockProvider::new(server.url()).await?;
    let open = |name, permits| OnRedis(Arc::new(provider.create_semaphore(name, permits)));
    // "Redis server v=7.0.15 sha=…"
    let version = output("redis-server", "--version");
    let version = version.split_once("v=").map_or("", |(_, rest)| rest);
    let version = version.split(' ').next().unwrap_or_default();
    table::head(&format!("Redis {version}, distributed-lock-redis 0.2"));
    alone(open("alone", 1)).await?;
    many(open("many", 1000)).await?;
    crowd(open("crowd", 1)).await?;
    crowd_once(open("once", 1)).await
}

/// One task.
async fn alone(semaphore: OnRedis) -> Result<()> {
    let times = latencies(ROUNDS, async || semaphore.pair().await).await?;
    row("acquire + release, nobody waits, p50, p99", &quantiles(&times));
    Ok(())
}

/// Many tasks, with permits for all.
async fn many(semaphore: OnRedis) -> Result<()> {
    for tasks in TASKS {
        let semaphore = semaphore.clone();
        let rate = rate(tasks, SPAN, move || {
            let semaphore = semaphore.clone();
            async move { semaphore.pair().await }
        });
        row(&format!("pairs a second, tasks: {tasks}"), &format!("{:.0}", rate.await?));
    }
    Ok(())
}

/// Many waiters for one permit, each of which asks again when it has released.
async fn crowd(semaphore: OnRedis) -> Result<()> {
    let waiters = vec![semaphore; WAITERS];
    let (passed, rate) = hand_offs(waiters, HAND_OFFS, HAND_OFFS).await?;
    let name = format!("{WAITERS} waiters for one permit");
    row(&format!("{name}; hand-off p50, p99"), &quantiles(&passed.times()));
    row(&format!("{name}; hand-offs a second"), &format!("{rate:.0}"));
    row(
        &format!("{name}; hand-offs to the task that had just released"),
        &format!("{} of {}", passed.to_itself, passed.count()),
    );
    Ok(())
}

/// Many waiters for one permit, each of which asks once.
async fn crowd_once(semaphore: OnRedis) -> Result<()> {
    let first = semaphore.acquire().await?;
    let all = tokio::spawn(hand_offs(vec![semaphore; WAITERS], 1, WAITERS));
    // Longer than it takes until each has asked and makes its longest pauses.
    tokio::time::sleep(Duration::from_secs(2)).await;
    OnRedis::release(first).await?;
    let (passed, _) = all.await??;
    row(
        &format!("{WAITERS} waiters for one permit, each of which asks once; hand-off p50, p99"),
        &quantiles(&passed.times()),
    );
    Ok(())
}
