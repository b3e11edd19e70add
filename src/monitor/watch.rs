//! Reporting what goes on for too long.

use alloc::string::ToString;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::time::Duration;
use std::collections::HashSet;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};

use super::report::{Case, CaseKind, Claim, Report};
use super::roster::Roster;

/// How often it looks, at most and at least.
const OFTEN: Duration = Duration::from_millis(10);
const SELDOM: Duration = Duration::from_millis(250);

/// Reports once for each grant that nobody collects, each holder and each waiter that is older than a threshold;
/// made by [`Monitored::watch`](super::Monitored::watch).
///
/// It does nothing by itself. Let it run [as a task](Watch::run) or [on a thread](Watch::spawn), or
/// [look](Watch::check) yourself, now and then.
pub struct Watch {
    /// Weak: it ends when the semaphore does.
    roster: Weak<Roster>,
    threshold: Duration,
    /// What was reported and still goes on.
    reported: HashSet<(u64, CaseKind)>,
}

/// A thread that watches; it ends when this is dropped, or when the semaphore is gone.
#[derive(Debug)]
#[must_use = "the watch ends if this is dropped"]
pub struct WatchThread {
    /// `None` once it is dropped.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(super) fn new(roster: &Arc<Roster>, threshold: Duration) -> Self {
        Self { roster: Arc::downgrade(roster), threshold, reported: HashSet::new() }
    }

    /// Looks now, and returns what is older than the threshold and was not returned before. `None` if the semaphore
    /// is gone.
    pub fn check(&mut self) -> Option<Vec<Case>> {
        let report = Report::of(&*self.roster.upgrade()?);
        let is_old = |claim: &Claim| claim.age >= self.threshold;
        let mut new = Vec::new();
        let mut going_on = HashSet::new();
        for (kind, claim) in report.cases().filter(|(_, claim)| is_old(claim)) {
            let key = (claim.id, kind);
            if !self.reported.contains(&key) {
                new.push(Case { name: report.name.clone(), kind, claim: claim.clone() });
            }
            going_on.insert(key);
        }
        self.reported = going_on;
        Some(new)
    }

    /// How long to wait between two looks, so that nothing is reported much later than the threshold: a quarter of it,
    /// and from 10 ms to 250 ms.
    #[must_use]
    pub fn interval(&self) -> Duration {
        (self.threshold / 4).clamp(OFTEN, SELDOM)
    }

    /// Looks again and again, and hands each new case to `on_case`. It ends when all handles, futures and
    /// guards of the semaphore are gone.
    ///
    /// `sleep` is the timer of the executor, such as `tokio::time::sleep`. Run it as a task of its own: where one task
    /// does everything, a future that blocks it blocks the watch, too. Then use [`spawn`](Watch::spawn).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), semafair::AcquireError> {
    /// use std::time::Duration;
    /// use semafair::Semaphore;
    /// use semafair::monitor::Monitored;
    ///
    /// let database = Monitored::new("database", Semaphore::new(1));
    /// let (send, mut cases) = tokio::sync::mpsc::unbounded_channel();
    /// let watch = database.watch(Duration::from_millis(20));
    /// tokio::spawn(watch.run(tokio::time::sleep, move |case| drop(send.send(case))));
    ///
    /// let slow = database.acquire().label("nightly report").await?;
    /// let case = cases.recv().await.unwrap();
    /// assert!(case.to_string().contains("(nightly report) has held 1 permit for"));
    /// # drop(slow);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run<S: Future>(
        mut self,
        mut sleep: impl FnMut(Duration) -> S,
        mut on_case: impl FnMut(Case),
    ) {
        while let Some(cases) = self.check() {
            cases.into_iter().for_each(&mut on_case);
            sleep(self.interval()).await;
        }
    }

    /// Does the same on a thread of its own, which sees also what blocks all threads of an executor.
    ///
    /// # Panics
    ///
    /// If the operating system has no thread left.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use semafair::Semaphore;
    /// use semafair::monitor::Monitored;
    ///
    /// let database = Monitored::new("database", Semaphore::new(1));
    /// let watch = database.watch(Duration::from_secs(30)).spawn(|case| eprintln!("{case}"));
    /// // ...
    /// drop(watch);
    /// ```
    pub fn spawn(mut self, mut on_case: impl FnMut(Case) + Send + 'static) -> WatchThread {
        let (stop, stopped) = channel();
        let interval = self.interval();
        let thread = thread::Builder::new()
            .name("semafair-watch".to_string())
            .spawn(move || {
                while let Some(cases) = self.check() {
                    cases.into_iter().for_each(&mut on_case);
                    if stopped.recv_timeout(interval) != Err(RecvTimeoutError::Timeout) {
                        break;
                    }
                }
            })
            .expect("a thread can be spawned");
        WatchThread { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for WatchThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        let Some(thread) = self.thread.take() else { return };
        // Its panic has been reported. It may be what drops this.
        if thread.thread().id() != thread::current().id() {
            drop(thread.join());
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("threshold", &self.threshold).finish_non_exhaustive()
    }
}
