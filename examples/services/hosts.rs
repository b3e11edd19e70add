//! A crawler: at most two requests to a host at a time, and at most five in all.
//!
//! ```sh
//! cargo run --features keyed --example hosts
//! ```
//!
//! Each request takes a permit of its host and one of all, and holds neither while it waits for the other: a crowd for one
//! slow host does not use up the five. When the crawl is over, nothing remains of the hosts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use semafair::{AcquireError, KeyedSemaphore, Semaphore};
use tokio::task::JoinSet;
use tokio::time::sleep;

const PER_HOST: usize = 2;
const IN_ALL: usize = 5;

/// How many requests are under way, as they count themselves.
#[derive(Default)]
struct UnderWay {
    in_all: AtomicUsize,
    by_host: Mutex<HashMap<String, usize>>,
}

impl UnderWay {
    fn begin(&self, host: &str) {
        // ORDERING: Relaxed, here and below. The counter is exact by itself and guards nothing.
        assert!(self.in_all.fetch_add(1, Ordering::Relaxed) < IN_ALL, "too many in all");
        let mut by_host = self.by_host.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = by_host.entry(host.to_owned()).or_default();
        *requests += 1;
        assert!(*requests <= PER_HOST, "too many to {host}");
    }

    fn end(&self, host: &str) {
        self.in_all.fetch_sub(1, Ordering::Relaxed);
        let mut by_host = self.by_host.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(requests) = by_host.get_mut(host) {
            *requests -= 1;
        }
    }
}

// On one thread, so that all have asked when the status is printed.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), AcquireError> {
    let per_host = KeyedSemaphore::new(PER_HOST);
    let in_all = Arc::new(Semaphore::new(IN_ALL));
    let under_way = Arc::new(UnderWay::default());

    let mut requests = JoinSet::new();
    for page in 0..60 {
        // One host has half of the pages.
        let host =
            if page % 2 == 0 { "slow.example".to_owned() } else { format!("{page}.example") };
        let (per_host, in_all, under_way) = (per_host.clone(), in_all.clone(), under_way.clone());
        requests.spawn(async move {
            let limit = per_host.handle(host);
            let _both = Semaphore::acquire_all([(limit.semaphore(), 1), (&in_all, 1)]).await?;
            under_way.begin(limit.key());
            sleep(Duration::from_millis(if page % 2 == 0 { 10 } else { 2 })).await;
            under_way.end(limit.key());
            Ok(())
        });
    }
    // All have asked.
    sleep(Duration::from_millis(1)).await;
    println!("{} hosts are in use.", per_host.len());
    if let Some(status) = per_host.status("slow.example") {
        println!("slow.example: {status}");
    }
    let mut done = 0;
    while let Some(request) = requests.join_next().await {
        request.expect("requests do not panic")?;
        done += 1;
    }
    println!("{done} pages were fetched, and {} hosts remain.", per_host.len());
    assert!(per_host.is_empty());
    Ok(())
}
