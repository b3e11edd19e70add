//! Figures for the `metrics` crate.

use alloc::sync::{Arc, Weak};
use core::fmt;
use core::future::Future;
use core::time::Duration;

use metrics::{Gauge, SharedString, Unit, describe_gauge, gauge};

use super::report::Report;
use super::roster::Roster;
use crate::status::Status;

/// The gauges of a semaphore; made by [`Monitored::metrics`](super::Monitored::metrics), which lists all figures.
///
/// The counters and the histogram go on by themselves. The gauges show what was there at the last
/// [`sample`](Metrics::sample), which [`run`](Metrics::run) takes again and again.
#[derive(Clone)]
pub struct Metrics {
    /// Weak: it ends when the semaphore does.
    roster: Weak<Roster>,
    /// In the order of [`GAUGES`].
    gauges: [Gauge; 6],
}

/// Their names, and what they mean.
const GAUGES: [(&str, &str); 6] = [
    ("semafair_limit", "Permits that exist."),
    ("semafair_available", "Permits that are free."),
    ("semafair_outstanding", "Permits that have guards, or are on their way to a waiter."),
    ("semafair_debt", "Permits that vanish when they come back."),
    ("semafair_queued", "Permits that are waited for, and not on their way."),
    ("semafair_uncollected", "Permits that were granted to futures that were not polled since."),
];

impl Metrics {
    pub(super) fn new(roster: &Arc<Roster>) -> Self {
        let semaphore = SharedString::from(roster.name().clone());
        roster.count_ends(&semaphore);
        let gauges = GAUGES.map(|(name, text)| {
            describe_gauge!(name, Unit::Count, text);
            gauge!(name, "semaphore" => semaphore.clone())
        });
        Self { roster: Arc::downgrade(roster), gauges }
    }

    /// Sets the gauges to what is there now. Returns `false` if the semaphore is gone; then they are set to 0.
    ///
    /// It makes a [report](super::Monitored::report), and takes the locks that this takes. Call it before each
    /// scrape, say.
    #[allow(clippy::must_use_candidate, reason = "it is called for what it does")]
    pub fn sample(&self) -> bool {
        let report = self.roster.upgrade().map(|roster| Report::of(&roster));
        let figures = report.as_ref().map_or([0; 6], |report| {
            let Status { limit, available, outstanding, debt, queued, .. } = report.status;
            let uncollected = report.uncollected.iter().map(|claim| claim.permits).sum();
            [limit, available, outstanding, debt, queued, uncollected]
        });
        for (gauge, figure) in self.gauges.iter().zip(figures) {
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, exact up to 2^53")]
            gauge.set(figure as f64);
        }
        report.is_some()
    }

    /// Samples the gauges again and again. It ends when all handles, futures and guards of the semaphore are gone.
    ///
    /// `sleep` is the timer of the executor, such as `tokio::time::sleep`; it is asked for a sleep of `interval`
    /// after each sample.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use std::time::Duration;
    /// use semafair::Semaphore;
    /// use semafair::monitor::Monitored;
    ///
    /// let database = Monitored::new("database", Semaphore::new(2));
    /// let gauges = database.metrics().run(Duration::from_secs(5), tokio::time::sleep);
    /// let task = tokio::spawn(gauges);
    /// # drop(task);
    /// # }
    /// ```
    pub async fn run<S: Future>(self, interval: Duration, mut sleep: impl FnMut(Duration) -> S) {
        while self.sample() {
            sleep(interval).await;
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
