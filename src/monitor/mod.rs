//! A semaphore that knows who holds its permits, who waits, and who was given some that nobody collects.
//!
//! A fair semaphore gives a permit to the future at the head of the line. If nobody polls that future any more, the
//! permit is neither used nor given back, and everything stands still: a *futurelock*. It happens where one task
//! has several futures and awaits only one of them, as in a `select!` by reference, or behind a stream that is consumed
//! slowly. Nothing crashes, nothing uses the processor, and no log says why.
//!
//! [`Monitored`] wraps a [`Semaphore`] under a name. It notes for each request where the call is, since when, and for how
//! many permits; and the moment at which it was granted. So [`Monitored::report`] says:
//!
//! ```text
//! database: limit 2, available 0, outstanding 2, debt 0, queued 1
//!   2 permits were granted 31.0s ago to src/a.rs:14, and nobody has polled that future since
//!          for   permits  waited for by
//!        30.2s         1  src/b.rs:40 (nightly report)
//! ```
//!
//! and [`Monitored::watch`] says so by itself, once for each case.
//!
//! # The trap, and its cures
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use semafair::Semaphore;
//! use semafair::monitor::{CaseKind, Monitored};
//! use tokio::time::sleep;
//!
//! let database = Monitored::new("database", Semaphore::new(1));
//! let held = database.acquire().await?;
//! let mut first = Box::pin(database.acquire());
//! tokio::select! {
//!     _ = &mut first => unreachable!("the permit is held"),
//!     () = sleep(Duration::from_millis(1)) => {} // lost, and `first` is still in the line
//! }
//! drop(held); // goes to `first`, which nobody polls
//! // database.acquire().await would never return now.
//! let report = database.report();
//! assert_eq!(report.uncollected.len(), 1);
//! println!("{report}");
//!
//! drop(first); // a cure: drop the loser before you acquire again
//! database.acquire().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Other cures are to spawn the futures as tasks of their own, so that each is polled whatever the others do; and to poll
//! them all until they end, by `join!` or by the same `select!` in a loop. The example `futurelock` shows all three.
//!
//! # In tokio-console
//!
//! With the feature `tracing`, a [`Monitored`] shows in [tokio-console](https://docs.rs/tokio-console) as tokio's own
//! semaphores do. This is the program `tests/console/program.rs`, which a futurelock has stopped; `scripts/console --run`
//! runs it:
//!
//! ```text
#![doc = include_str!("console.txt")]
//! ```
//!
//! - The semaphore is a *resource*, at the call of [`Monitored::new`]: its name, how many permits exist (`limit`) and are
//!   free (`permits`), and for how many somebody waits (`queued`).
//! - A request is an *async op*, from when it asks until its future has returned or is dropped: the method, how many permits
//!   it wants (`permits_requested`: the least, if it wants as many as there are) and was granted (`permits_obtained`), the
//!   place of the call, and the label. One that has obtained what it requested, and does not end, is a
//!   grant that nobody collects: above, that of the report. A grant counts among the polls.
//! - Who holds permits is not shown: the [report](Monitored::report) says that.
//!
//! The semaphore needs no `tokio_unstable`. But tokio-console leaves out async ops that no task has polled, and tokio tells of
//! its tasks, and of their wakes, with that only. What is acquired from the [`semaphore`](Monitored::semaphore) directly
//! shows when something else happens here.
//!
//! These are spans and events of the crate `tracing`, at its level `TRACE`, with the names and fields that console-subscriber
//! looks for. A subscriber that comes after the semaphore was made is told nothing of it; and console-subscriber 0.5 may miss
//! what two threads show first at the same moment. Subscribers run in the calls of this module, with no lock held; if one
//! panics, the panic comes out of the call, and what that did is done. No permit is lost, and nobody is left asleep.
//!
//! # What it costs
//!
//! The semaphore itself is the same, and a program that does not use this module pays nothing. Here, each request
//! allocates its note, and takes a lock for a moment when it asks, when it is granted, and when it ends. No user code runs
//! under the lock. But a thread that the system stops while it has the lock delays others, which the semaphore by itself
//! never does. All that takes some tenths of a microsecond for each request, where the semaphore itself takes some
//! hundredths (`cargo run --release -p semafair-benches --bin monitored`). With the feature `tracing`, a semaphore to
//! which no subscriber listens checks that a few times in the life of a request.
//!
//! Only what goes through [`Monitored`] is seen. Permits that are taken from its [`semaphore`](Monitored::semaphore)
//! directly count as outstanding, and have no holder in the report.

mod acquire;
mod blocking;
mod ends;
mod forward;
#[cfg(feature = "metrics")]
mod metrics;
mod permit;
mod report;
mod roster;
#[cfg(feature = "tracing")]
mod trace;
#[cfg(not(feature = "tracing"))]
#[path = "untraced.rs"]
mod trace;
mod watch;

use alloc::borrow::Cow;
use alloc::sync::Arc;
use core::fmt;
use core::future::{Future, IntoFuture};
use core::ops::RangeInclusive;
use core::panic::Location;
use core::time::Duration;

use self::acquire::Inner;
pub use self::acquire::MonitoredAcquire;
use self::ends::End;
#[cfg(feature = "metrics")]
pub use self::metrics::Metrics;
pub use self::permit::MonitoredPermit;
pub use self::report::{Case, CaseKind, Claim, Report};
use self::roster::{Phase, Roster};
use self::trace::Op;
pub use self::watch::{Watch, WatchThread};
use crate::core::balance::check_permits;
use crate::error::{AcquireError, TryAcquireError};
use crate::permit::OwnedSemaphorePermit;
use crate::semaphore::Semaphore;
#[cfg(all(doc, feature = "metrics"))]
use crate::status::Status;

/// A semaphore under a name, which knows its holders, waiters and uncollected grants.
///
/// It has the methods of [`Semaphore`], with a future and a guard of its own. All futures and guards keep the semaphore
/// alive, and so does each clone of this handle. See the [module](self) for what it is for, and what it costs.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), semafair::AcquireError> {
/// use semafair::Semaphore;
/// use semafair::monitor::Monitored;
///
/// let database = Monitored::new("database", Semaphore::new(2));
/// let connection = database.acquire().label("import").await?;
/// let report = database.report();
/// assert_eq!(report.holders[0].label.as_deref(), Some("import"));
/// assert_eq!(report.holders[0].line, connection.site().line());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Monitored {
    roster: Arc<Roster>,
}

impl Monitored {
    /// Monitors a semaphore, which may be shared already.
    #[track_caller]
    pub fn new(name: impl Into<Cow<'static, str>>, semaphore: impl Into<Arc<Semaphore>>) -> Self {
        let site = Location::caller();
        Self { roster: Arc::new(Roster::new(name.into(), semaphore.into(), site)) }
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.roster.name()
    }

    /// Returns the semaphore itself. What is acquired from it directly is not monitored.
    #[must_use]
    pub fn semaphore(&self) -> &Arc<Semaphore> {
        self.roster.semaphore()
    }

    /// Returns who holds permits, who waits, and who was granted some and has not been polled since.
    ///
    /// It takes the lock of the roster while it lists the requests, and that of each request for a moment. So it
    /// does not show one instant if others go on meanwhile; each request in it is as it was at some instant of the call.
    ///
    /// If the semaphore is closed after a grant and before the wake that tells of it, as by another waker of the same
    /// release, that grant looks like a refusal, and is not in the report.
    #[must_use]
    pub fn report(&self) -> Report {
        Report::of(&self.roster)
    }

    /// Watches for grants that nobody collects, for holders and for waiters that are older than `threshold`.
    #[must_use]
    pub fn watch(&self, threshold: Duration) -> Watch {
        Watch::new(&self.roster, threshold)
    }

    /// Counts from now on what happens, for the recorder of the `metrics` crate that is installed. Install it first.
    ///
    /// | figure | unit | what it is |
    /// |---|---|---|
    /// | `semafair_limit`, `semafair_available`, `semafair_outstanding`, `semafair_debt`, `semafair_queued` | permits | gauges: the fields of [`Status`] |
    /// | `semafair_uncollected` | permits | gauge: what was granted to futures that were not polled since |
    /// | `semafair_granted_total` | requests | counter: those that got permits |
    /// | `semafair_refused_total` | requests | counter: those that were refused, by `reason`: `closed`, `queue_full`, `oversized`; and attempts that found too few permits, `no_permits` |
    /// | `semafair_cancelled_total` | requests | counter: futures that were dropped after they had asked and before they returned, granted or not |
    /// | `semafair_wait_seconds` | seconds | histogram: from a request until it returned or was dropped, by `outcome`: `granted`, `refused`, `cancelled`. Attempts do not wait, and are not in it |
    ///
    /// Each has the label `semaphore`, the name. The counters and the histogram are kept by each request. A request that has
    /// begun ends in exactly one of granted, refused and cancelled. The gauges are set by the returned
    /// [`Metrics`]. Without this call, nothing is counted. Another call returns the gauges again, and the counters stay
    /// those of the first.
    ///
    /// The recorder may panic, or use the semaphore: nothing is held or lost, and a panic comes out of the call that recorded.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::Semaphore;
    /// use semafair::monitor::Monitored;
    ///
    /// // A recorder is installed before, such as `metrics-exporter-prometheus`.
    /// let database = Monitored::new("database", Semaphore::new(2));
    /// let metrics = database.metrics();
    /// // Before each scrape, or by `metrics.run`:
    /// metrics.sample();
    /// ```
    #[cfg(feature = "metrics")]
    #[allow(clippy::must_use_candidate, reason = "it is called for what it does, too")]
    pub fn metrics(&self) -> Metrics {
        Metrics::new(&self.roster)
    }

    /// Notes what an attempt got.
    #[track_caller]
    fn note(
        &self,
        answer: Result<OwnedSemaphorePermit, TryAcquireError>,
    ) -> Result<MonitoredPermit, TryAcquireError> {
        let site = Location::caller();
        self.roster.ends(answer.as_ref().map_or_else(End::from, |_| End::Granted), None);
        let permit = answer.map(|permit| {
            let permits = permit.num_permits();
            let registered = self.roster.add(site, None, permits, Phase::Holds, &Op::none());
            MonitoredPermit::new(registered, permit)
        })?;
        self.roster.resource().show();
        Ok(permit)
    }

    /// What `source`, a method of this type, asks for.
    #[track_caller]
    fn request(&self, n: u32, source: &'static str) -> MonitoredAcquire {
        check_permits(n as usize);
        let inner = Inner::Many(self.semaphore().clone().acquire_many_owned(n));
        MonitoredAcquire::new(self.roster.clone(), inner, n, source, Location::caller())
    }

    /// Waits for a permit. As [`Semaphore::acquire`]; the call site is where this call is.
    #[track_caller]
    pub fn acquire(&self) -> MonitoredAcquire {
        self.request(1, "Monitored::acquire")
    }

    /// Waits for `n` permits. As [`Semaphore::acquire_many`]; the call site is where this call is.
    ///
    /// # Panics
    ///
    /// This call, not the first poll, if `n` exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit machines only.
    #[track_caller]
    pub fn acquire_many(&self, n: u32) -> MonitoredAcquire {
        self.request(n, "Monitored::acquire_many")
    }

    /// Waits for as many permits as there are, in a range. As [`Semaphore::acquire_between`]; the call site is where
    /// this call is. While it waits, the report shows its least.
    ///
    /// # Panics
    ///
    /// If the range is empty, or if its least exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit machines only.
    #[track_caller]
    pub fn acquire_between(&self, range: RangeInclusive<u32>) -> MonitoredAcquire {
        let least = *range.start();
        check_permits(least as usize);
        let inner = Inner::Between(self.semaphore().clone().acquire_between_owned(range));
        let source = "Monitored::acquire_between";
        MonitoredAcquire::new(self.roster.clone(), inner, least, source, Location::caller())
    }

    /// The same as [`acquire`](Self::acquire), which keeps the semaphore alive as well.
    #[track_caller]
    pub fn acquire_owned(self: Arc<Self>) -> MonitoredAcquire {
        self.acquire()
    }

    /// The same as [`acquire_many`](Self::acquire_many), which keeps the semaphore alive as well.
    #[track_caller]
    pub fn acquire_many_owned(self: Arc<Self>, n: u32) -> MonitoredAcquire {
        self.acquire_many(n)
    }

    /// The same as [`acquire_between`](Self::acquire_between), which keeps the semaphore alive as well.
    ///
    /// # Panics
    ///
    /// As [`acquire_between`](Self::acquire_between).
    #[track_caller]
    pub fn acquire_between_owned(self: Arc<Self>, range: RangeInclusive<u32>) -> MonitoredAcquire {
        self.acquire_between(range)
    }

    /// Runs `future` under a permit. As [`Semaphore::run`]; the call site is where this call is.
    ///
    /// # Cancel safety
    ///
    /// Dropping the returned future drops `future`, and then gives back the permit, or gives up the place in the line.
    ///
    /// # Errors
    ///
    /// Those of [`Semaphore::run`].
    ///
    /// # Panics
    ///
    /// Those of [`Semaphore::run`].
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), semafair::AcquireError> {
    /// use semafair::Semaphore;
    /// use semafair::monitor::Monitored;
    ///
    /// let database = Monitored::new("database", Semaphore::new(1));
    /// let holders = database.run(async { database.report().holders.len() }).await?;
    /// assert_eq!(holders, 1);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn run<F: IntoFuture>(
        &self,
        future: F,
    ) -> impl Future<Output = Result<F::Output, AcquireError>> + use<F> {
        self.run_many(1, future)
    }

    /// Runs `future` under `n` permits. As [`Semaphore::run_many`]; the call site is where this call is.
    ///
    /// # Cancel safety
    ///
    /// Dropping the returned future drops `future`, and then gives back the permits, or gives up the place in the line.
    ///
    /// # Errors
    ///
    /// Those of [`Semaphore::run_many`].
    ///
    /// # Panics
    ///
    /// As [`acquire_many`](Self::acquire_many); and the future, as that of [`Semaphore::run_many`].
    #[track_caller]
    pub fn run_many<F: IntoFuture>(
        &self,
        n: u32,
        future: F,
    ) -> impl Future<Output = Result<F::Output, AcquireError>> + use<F> {
        let acquire = self.request(n, "Monitored::run");
        let future = future.into_future();
        async move {
            // Dropped last: what `future` uses is free when the next in line runs.
            let _permit = acquire.await?;
            Ok(future.await)
        }
    }

    /// Takes a permit if one is free now. As [`Semaphore::try_acquire`].
    ///
    /// # Errors
    ///
    /// Those of [`Semaphore::try_acquire`].
    #[track_caller]
    pub fn try_acquire(&self) -> Result<MonitoredPermit, TryAcquireError> {
        self.note(self.semaphore().clone().try_acquire_owned())
    }

    /// Takes `n` permits if that many are free now. As [`Semaphore::try_acquire_many`].
    ///
    /// # Errors
    ///
    /// Those of [`Semaphore::try_acquire_many`].
    ///
    /// # Panics
    ///
    /// Those of [`Semaphore::try_acquire_many`].
    #[track_caller]
    pub fn try_acquire_many(&self, n: u32) -> Result<MonitoredPermit, TryAcquireError> {
        self.note(self.semaphore().clone().try_acquire_many_owned(n))
    }

    /// Takes as many permits as are free, in a range. As [`Semaphore::try_acquire_between`].
    ///
    /// # Errors
    ///
    /// Those of [`Semaphore::try_acquire_between`].
    ///
    /// # Panics
    ///
    /// If the range is empty.
    #[track_caller]
    pub fn try_acquire_between(
        &self,
        range: RangeInclusive<u32>,
    ) -> Result<MonitoredPermit, TryAcquireError> {
        self.note(self.semaphore().clone().try_acquire_between_owned(range))
    }

    /// The same as [`try_acquire`](Self::try_acquire), which keeps the semaphore alive as well.
    ///
    /// # Errors
    ///
    /// Those of [`Semaphore::try_acquire`].
    #[track_caller]
    pub fn try_acquire_owned(self: Arc<Self>) -> Result<MonitoredPermit, TryAcquireError> {
        self.try_acquire()
    }

    /// The same as [`try_acquire_many`](Self::try_acquire_many), which keeps the semaphore alive as well.
    ///
    /// # Errors
    ///
    /// Those of [`Semaphore::try_acquire_many`].
    ///
    /// # Panics
    ///
    /// Those of [`Semaphore::try_acquire_many`].
    #[track_caller]
    pub fn try_acquire_many_owned(
        self: Arc<Self>,
        n: u32,
    ) -> Result<MonitoredPermit, TryAcquireError> {
        self.try_acquire_many(n)
    }
}

impl fmt::Debug for Monitored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitored")
            .field("name", self.roster.name())
            .field("semaphore", self.roster.semaphore())
            .finish_non_exhaustive()
    }
}
