//! A worker: this program again, in a process of its own. And all of them, as their parent sees them.

use std::io::Read;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use etcd_client::Client;
use semafair_etcd::{DistributedSemaphore, Options, Session};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinSet;
use tokio::time;

use crate::{PERMITS, VICTIM};

/// Says that the program is to be a worker.
pub(crate) const WORD: &str = "worker";
/// How long etcd keeps the permits of a worker that is dead: its shortest.
pub(crate) const LEASE: Duration = Duration::from_secs(2);

/// Where a worker says what it is called: `fleet/worker/SESSION`.
pub(crate) const NAMES: &str = "fleet/worker/";
/// Where a worker says that it holds a permit: `fleet/holds/FENCE`.
pub(crate) const HOLDS: &str = "fleet/holds/";

/// What the key says then, if the job will never end.
pub(crate) const HANGS: &str = "hangs";

/// Jobs that a worker would run at a time, if there were permits enough.
pub(crate) const LANES: u64 = 2;
/// How many jobs it has for each of them.
pub(crate) const JOBS: u64 = 4;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

pub(crate) async fn run(number: usize, endpoint: &str) -> ExitCode {
    // The parent holds the other end, and writes nothing: this ends with it, however that ends.
    std::thread::spawn(|| {
        let _end = std::io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
    match work(number, endpoint).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: worker {number}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn work(number: usize, endpoint: &str) -> Result<()> {
    let session = Session::connect(Options::new([endpoint]).ttl(LEASE)).await?;
    let semaphore = DistributedSemaphore::open(&session, "jobs", PERMITS).await?;
    let mut client = Client::connect([endpoint], None).await?;
    let id = session.id().ok_or("the lease was lost")?;
    client.put(format!("{NAMES}{id}"), number.to_string(), None).await?;
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        lanes.spawn(jobs(number, lane, semaphore.clone(), client.clone()));
    }
    while let Some(lane) = lanes.join_next().await {
        lane??;
    }
    session.close().await?;
    Ok(())
}

async fn jobs(
    number: usize,
    lane: u64,
    semaphore: DistributedSemaphore,
    mut client: Client,
) -> Result<()> {
    for job in 0..JOBS {
        let permit = semaphore.acquire().await?;
        let work = async {
            let hangs = number == VICTIM && lane == 1;
            let what = if hangs { HANGS } else { "" };
            client.put(format!("{HOLDS}{}", permit.fence()), what, None).await?;
            if hangs {
                std::future::pending::<()>().await;
            }
            // Different for each, and the same each time.
            let length = 250 + 60 * (number as u64 + lane + job) % 240;
            time::sleep(Duration::from_millis(length)).await;
            Ok::<_, etcd_client::Error>(())
        };
        tokio::select! {
            () = permit.lost() => return Err("the lease was lost".into()),
            done = work => done?,
        }
        permit.release().await?;
    }
    Ok(())
}

/// The workers' processes. Those that still run are killed when this is dropped.
pub(crate) struct Workers {
    processes: Vec<Child>,
    /// What the workers read from: it is closed when this process ends. Left in a child, it would be closed by `wait`.
    _inputs: Vec<ChildStdin>,
}

impl Workers {
    pub(crate) fn start(count: usize, endpoint: &str) -> std::io::Result<Self> {
        let program = std::env::current_exe()?;
        let start = |number: usize| {
            Command::new(&program)
                .args([WORD, &number.to_string(), endpoint])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .kill_on_drop(true)
                .spawn()
        };
        let mut processes = (1..=count).map(start).collect::<std::io::Result<Vec<_>>>()?;
        let inputs = processes.iter_mut().filter_map(|process| process.stdin.take()).collect();
        Ok(Self { processes, _inputs: inputs })
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = (usize, u32)> {
        (1..).zip(self.processes.iter().filter_map(Child::id))
    }

    /// As `kill -9`. Returns when it is gone.
    pub(crate) async fn kill(&mut self, number: usize) -> std::io::Result<()> {
        self.processes[number - 1].kill().await
    }

    /// Waits until all have ended.
    pub(crate) async fn end(&mut self) -> Result<()> {
        for (number, process) in (1..).zip(&mut self.processes) {
            let status = process.wait().await?;
            if number != VICTIM && !status.success() {
                return Err(format!("worker {number} ended with {status}").into());
            }
        }
        Ok(())
    }
}
