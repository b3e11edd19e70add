//! The figures of a semaphore, for Prometheus.
//!
//! ```sh
//! cargo run --features metrics --example metrics              # on http://127.0.0.1:9100
//! cargo run --features metrics --example metrics 127.0.0.1:0  # on a free port, which it prints
//!
//! curl http://127.0.0.1:9100/metrics
//! ```
//!
//! A database takes two queries at a time. Queries come in bursts of six, and their callers wait for at most 25 ms.

use std::env;
use std::error::Error;
use std::future::ready;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use semafair::Semaphore;
use semafair::monitor::Monitored;
use tokio::net::TcpListener;
use tokio::time::{interval, sleep, timeout};

const PATIENCE: Duration = Duration::from_millis(25);
const QUERY: Duration = Duration::from_millis(10);
const BURST: usize = 6;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9100".to_owned());
    let listener =
        TcpListener::bind(&address).await.map_err(|error| format!("{address}: {error}"))?;
    println!("Listening on http://{}", listener.local_addr()?);

    // The recorder is installed before the semaphore asks for it. Without buckets, waits would be a summary.
    let waits = Matcher::Full("semafair_wait_seconds".to_owned());
    let exporter = PrometheusBuilder::new()
        .set_buckets_for_metric(waits, &[0.001, 0.01, 0.025, 0.1, 1.0])?
        .install_recorder()?;
    let database = Monitored::new("database", Semaphore::new(2));
    let metrics = database.metrics();
    tokio::spawn(bursts(database));

    let scrape = move || {
        metrics.sample();
        ready(exporter.render())
    };
    axum::serve(listener, Router::new().route("/metrics", get(scrape))).await?;
    Ok(())
}

/// Callers that come, wait, and are served or leave.
async fn bursts(database: Monitored) {
    let mut often = interval(10 * QUERY);
    loop {
        often.tick().await;
        for _ in 0..BURST {
            let query = database.acquire();
            tokio::spawn(async move {
                match timeout(PATIENCE, query).await {
                    Ok(Ok(_permit)) => sleep(QUERY).await,
                    Ok(Err(refused)) => eprintln!("{refused}"),
                    Err(_) => {} // The caller leaves, and is counted as cancelled.
                }
            });
        }
    }
}
