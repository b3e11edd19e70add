//! Shuts down gracefully: nothing new starts, what runs may finish, and a deadline ends the rest.
//!
//! ```sh
//! cargo run --example shutdown
//! ```
//!
//! Each running job holds a permit, and `close` turns away those that wait for one. Then the
//! program waits until all permits are back, which `drained` does: a job gives its permit back when
//! it ends, in whichever way that is.

use std::sync::Arc;
use std::time::Duration;

use semafair::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const JOBS: u32 = 9;
const AT_ONCE: usize = 3;
/// How long the running jobs may take to finish, once the shutdown has begun.
const GRACE: Duration = Duration::from_millis(500);

// On one thread, so that jobs start in order, and the output is the same in every run.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut jobs = JoinSet::new();
    for job in 1..=JOBS {
        jobs.spawn(run(job, permits.clone()));
    }
    // A service would wait for `tokio::signal::ctrl_c()` here.
    sleep(Duration::from_millis(300)).await;

    println!("Shutting down: nothing new is started.");
    permits.close();
    if timeout(GRACE, permits.drained()).await.is_err() {
        println!("Time is up: stopping what still runs ({}).", permits.outstanding());
        // Stops each job at its `await`, drops what it holds, and waits until that is done.
        jobs.shutdown().await;
    }
    assert_eq!(permits.available_permits(), AT_ONCE, "a job has kept its permit");
    println!("All {AT_ONCE} permits are back.");
}

async fn run(job: u32, permits: Arc<Semaphore>) {
    let Ok(_permit) = permits.acquire().await else {
        println!("Job {job} is not started.");
        return;
    };
    println!("Job {job} starts.");
    // Job 5 hangs, and would keep the program from ever ending.
    let time = if job == 5 { Duration::MAX } else { Duration::from_millis(200) };
    sleep(time).await;
    println!("Job {job} is done.");
}
