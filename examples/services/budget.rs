//! A budget of memory: buffers of all tasks together stay within a number of bytes.
//!
//! ```sh
//! cargo run --example budget
//! ```
//!
//! A permit is a kibibyte. A copy works with whatever buffer it can get: it asks for at least 64 KiB,
//! and takes up to 1 MiB if that much is free when its turn comes. So one that is alone is fast, and
//! many beside each other get on with little. A file that must be in memory as a whole asks for its
//! size, and stands in the same line: small ones do not overtake it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use semafair::Semaphore;
use tokio::io::{AsyncReadExt, AsyncWriteExt, repeat, sink};
use tokio::task::JoinSet;

/// Kibibytes.
const BUDGET: usize = 4 * 1024;
const LEAST: u32 = 64;
const MOST: u32 = 1024;
const KIB: usize = 1024;

/// How much memory is in use, as the buffers themselves count it.
#[derive(Default)]
struct InUse {
    now: AtomicUsize,
    most: AtomicUsize,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let budget = Arc::new(Semaphore::builder(BUDGET).fail_oversized().name("memory").build());
    let in_use = Arc::new(InUse::default());

    let mut copies = JoinSet::new();
    for copy in 1..=24 {
        let (budget, in_use) = (budget.clone(), in_use.clone());
        copies.spawn(async move { (copy, copy_file(8 * KIB * KIB, &budget, &in_use).await) });
    }
    while let Some(copy) = copies.join_next().await {
        let (copy, buffer) = copy?;
        println!("Copy {copy:>2} had a buffer of {:>4} KiB.", buffer? / KIB);
    }

    let whole = budget.acquire_many(3 * 1024).await.map_err(io::Error::other)?;
    println!("A file of {} KiB was read as a whole.", whole.num_permits());
    drop(whole);
    let refused = budget.acquire_many(64 * 1024).await.expect_err("more than there is");
    println!("A file of 64 MiB was refused: {refused}.");

    let most = in_use.most.load(Ordering::Relaxed) / KIB;
    println!("At most {most} KiB of {BUDGET} were in use.");
    assert!(most <= BUDGET, "the budget did not hold");
    Ok(())
}

/// Copies a file of that size, and returns the size of the buffer it had.
async fn copy_file(size: usize, budget: &Semaphore, in_use: &InUse) -> io::Result<usize> {
    let permit = budget.acquire_between(LEAST..=MOST).await.map_err(io::Error::other)?;
    let mut buffer = vec![0; permit.num_permits() * KIB];
    // ORDERING: Relaxed, here and below. Each counter is exact by itself and guards nothing.
    let now = in_use.now.fetch_add(buffer.len(), Ordering::Relaxed) + buffer.len();
    in_use.most.fetch_max(now, Ordering::Relaxed);

    let (mut from, mut to) = (repeat(7).take(size as u64), sink());
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        to.write_all(&buffer[..read]).await?;
        tokio::task::yield_now().await;
    }
    in_use.now.fetch_sub(buffer.len(), Ordering::Relaxed);
    Ok(buffer.len())
}
