//! A process of the fleet, to be killed: this program again, with this one test.

use std::process::Stdio;
use std::time::Duration;

use semafair_etcd::{DistributedSemaphore, Options, Session};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time;

use crate::support::load::Log;

const VARIABLE: &str = "SEMAFAIR_ETCD_WORKER";

/// A process that opens the semaphore, acquires, and holds what it has until it is killed.
pub(crate) struct Worker {
    process: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    /// With a lease of so many seconds, and a request for so many permits, of three.
    pub(crate) fn start(endpoints: &[String], ttl: Duration, permits: u32) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this program has a path"))
            .args(["worker::worker", "--exact", "--ignored", "--nocapture"])
            .env(VARIABLE, format!("{} {permits} {}", ttl.as_secs(), endpoints.join(" ")))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("this program can be started");
        let said = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        Self { process, said }
    }

    /// Waits until it says this.
    pub(crate) async fn says(&mut self, word: &str) {
        while let Some(line) = self.said.next_line().await.expect("it can be read") {
            if line.contains(word) {
                return;
            }
        }
        panic!("the worker ended before it said {word:?}");
    }

    /// As `kill -9`.
    pub(crate) async fn kill(mut self) {
        self.process.kill().await.expect("it runs");
    }

    pub(crate) fn id(&self) -> rustix::process::Pid {
        let id = self.process.id().and_then(|id| i32::try_from(id).ok());
        id.and_then(rustix::process::Pid::from_raw).expect("it runs")
    }
}

#[test]
#[ignore = "is run by other tests, as a process of its own"]
fn worker() {
    let Ok(arguments) = std::env::var(VARIABLE) else { return };
    let mut words = arguments.split(' ').map(str::to_owned);
    let ttl = words.next().and_then(|n| n.parse().ok()).map(Duration::from_secs);
    let permits = words.next().and_then(|n| n.parse().ok());
    let (ttl, permits) = ttl.zip(permits).expect("they are numbers");
    let endpoints: Vec<_> = words.collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    runtime.block_on(async {
        let log = Log::new(&endpoints).await;
        let session =
            Session::connect(Options::new(endpoints).ttl(ttl)).await.expect("it is there");
        let semaphore = DistributedSemaphore::open(&session, "api", 3).await.expect("it is there");
        println!("open");
        let permit = semaphore.acquire_many(permits).await.expect("it is there");
        log.got(&permit).await;
        println!("granted");
        permit.lost().await;
        println!("lost");
        time::sleep(Duration::from_secs(600)).await;
    });
}
