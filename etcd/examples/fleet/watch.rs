//! What etcd saw, as it happens: all changes of all keys, in the order of its revisions.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use etcd_client::{Event, EventType, WatchOptions};
use tokio::time;

use crate::day::{Day, Job};
use crate::node::Node;
use crate::worker::{HANGS, HOLDS, JOBS, LANES, NAMES, Workers};
use crate::{Failure, VICTIM, WORKERS};

/// A day that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

const LINE: &str = "semafair/jobs/line/";

/// Watches the day until all workers have ended and no key is left in the line. Kills one of them.
pub(crate) async fn watch(node: &Node, workers: &mut Workers) -> Result<Day, Failure> {
    let mut log = Log::default();
    let all = WatchOptions::new().with_all_keys().with_start_revision(1);
    let mut stream = node.client().await.watch("", Some(all)).await?;
    let events = async {
        while let Some(message) = stream.message().await? {
            for event in message.events() {
                log.take(event)?;
            }
            if log.killed.is_none() && log.is_time_to_kill() {
                workers.kill(VICTIM).await?;
                log.kill()?;
            }
            if log.killed.is_some() && log.is_over() {
                break;
            }
        }
        Ok::<_, Failure>(())
    };
    match time::timeout(PATIENCE, events).await {
        Ok(result) => result?,
        Err(_) => return Err("the day does not end".to_owned().into()),
    }
    workers.end().await.map_err(|error| error.to_string())?;
    Ok(Day { killed: log.killed, jobs: log.jobs })
}

#[derive(Default)]
struct Log {
    /// When the first request came.
    began: Option<Instant>,
    /// By session.
    names: HashMap<String, usize>,
    /// In the order in which they asked.
    jobs: Vec<Job>,
    /// Keys that are in the line, and the numbers of their jobs.
    line: HashMap<String, usize>,
    killed: Option<Duration>,
}

impl Log {
    fn now(&mut self) -> Duration {
        self.began.get_or_insert_with(Instant::now).elapsed()
    }

    /// Whether the victim hangs with a permit, and waits for another.
    fn is_time_to_kill(&self) -> bool {
        let mut jobs = self.line.values().map(|&job| &self.jobs[job]);
        let is_stuck = |job: &Job| job.worker == VICTIM && job.hangs;
        let waits = |job: &Job| job.worker == VICTIM && job.granted.is_none();
        jobs.clone().any(is_stuck) && jobs.any(waits)
    }

    /// Whether all jobs of the others are done, and nobody is in the line.
    fn is_over(&self) -> bool {
        let others = self.jobs.iter().filter(|job| job.worker != VICTIM).count() as u64;
        self.line.is_empty() && others == (WORKERS as u64 - 1) * LANES * JOBS
    }

    fn take(&mut self, event: &Event) -> Result<(), Failure> {
        let Some(pair) = event.kv() else { return Ok(()) };
        let (key, value, revision) = (pair.key_str()?, pair.value_str()?, pair.mod_revision());
        let is_put = event.event_type() == EventType::Put;
        if let Some(session) = key.strip_prefix(NAMES) {
            self.names.insert(session.to_owned(), number(value)?);
        } else if let Some(fence) = key.strip_prefix(HOLDS) {
            self.granted(revision, number(fence)?, value == HANGS)?;
        } else if let Some(place) = key.strip_prefix(LINE) {
            if is_put { self.asked(revision, place)? } else { self.gone(revision, place)? }
        }
        Ok(())
    }

    fn asked(&mut self, revision: i64, place: &str) -> Result<(), Failure> {
        let session = place.split_once('/').map_or(place, |(session, _)| session);
        let worker = *self.names.get(session).ok_or("an unknown worker asks".to_owned())?;
        let number = 1 + self.jobs.iter().filter(|job| job.worker == worker).count();
        let asked = self.now();
        self.line.insert(place.to_owned(), self.jobs.len());
        let job =
            Job { worker, number, fence: revision, asked, granted: None, hangs: false, gone: None };
        say(revision, &job, "asks for a permit")?;
        self.jobs.push(job);
        Ok(())
    }

    fn granted(&mut self, revision: i64, fence: i64, hangs: bool) -> Result<(), Failure> {
        let now = self.now();
        let job = self.jobs.iter_mut().find(|job| job.fence == fence);
        let job = job.ok_or("a worker holds what it did not ask for".to_owned())?;
        (job.granted, job.hangs) = (Some(now), hangs);
        Ok(say(revision, job, &format!("has a permit, with fence {fence}"))?)
    }

    fn gone(&mut self, revision: i64, place: &str) -> Result<(), Failure> {
        let now = self.now();
        let job = self.line.remove(place).ok_or("a key ends twice".to_owned())?;
        let job = &mut self.jobs[job];
        job.gone = Some(now);
        // Whatever a killed worker had goes when its lease does.
        let is_killed = self.killed.is_some() && job.worker == VICTIM;
        let what = match (is_killed, job.granted) {
            (false, _) => "gives its permit back",
            (true, Some(_)) => "is dead, and its lease has ended: its permit is back",
            (true, None) => "is dead, and its lease has ended: it has left the line",
        };
        Ok(say(revision, job, what)?)
    }

    fn kill(&mut self) -> io::Result<()> {
        let now = self.now();
        self.killed = Some(now);
        // What it had released, etcd may still be about to tell.
        writeln!(anstream::stdout(), "{:>6}  worker {VICTIM} is killed, with SIGKILL", "")
    }
}

fn say(revision: i64, job: &Job, what: &str) -> io::Result<()> {
    let (worker, number) = (job.worker, job.number);
    writeln!(anstream::stdout(), "{revision:>6}  worker {worker}, job {number} {what}")
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, Failure> {
    text.parse().map_err(|_| Failure::Text(format!("{text:?} is no number")))
}
