//! Shares workers among tenants: a crowd of one tenant does not keep the others waiting.
//!
//! ```sh
//! cargo run --features keyed --example tenants
//! ```
//!
//! There are two workers. A tenant sends sixty jobs at once; then two others send three each, one of whom pays for a weight of
//! two. With a plain semaphore, the others would wait until the sixty are done. In a pool with turns, they are done after a few.

use std::time::Duration;

use semafair::{AcquireError, PartitionedSemaphore};
use tokio::task::JoinSet;
use tokio::time::sleep;

// On one thread, so that the output is the same in every run.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), AcquireError> {
    let workers = PartitionedSemaphore::builder(2)
        .weight(|tenant: &&str| if *tenant == "payer" { 2 } else { 1 })
        .build();

    let mut jobs = JoinSet::new();
    for (tenant, count) in [("crowd", 60), ("small", 3), ("payer", 3)] {
        for job in 1..=count {
            let workers = workers.clone();
            jobs.spawn(async move {
                let _worker = workers.acquire(tenant).await?;
                sleep(Duration::from_millis(5)).await;
                Ok((tenant, job))
            });
        }
    }
    // All have asked.
    sleep(Duration::from_millis(1)).await;
    workers.for_each(|tenant, status| println!("{tenant}: {status}"));

    let mut done = Vec::new();
    while let Some(job) = jobs.join_next().await {
        let (tenant, job) = job.expect("jobs do not panic")?;
        done.push(tenant);
        if tenant != "crowd" {
            println!("{tenant}'s job {job} was done as number {}.", done.len());
        }
    }
    let last = done.iter().rposition(|tenant| *tenant != "crowd");
    assert!(last < Some(14), "the others did not wait for the crowd");
    assert!(workers.is_empty());
    println!("All {} were done, and no tenant has an entry any more.", done.len());
    Ok(())
}
