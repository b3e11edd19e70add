//! How requests end, and counting it.

#[cfg(feature = "metrics")]
use core::time::Duration;

#[cfg(feature = "metrics")]
use metrics::{Counter, Histogram, SharedString, Unit};
#[cfg(feature = "metrics")]
use metrics::{counter, describe_counter, describe_histogram, histogram};

use crate::error::{AcquireError, TryAcquireError};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Granted,
    Closed,
    QueueFull,
    Oversized,
    NoPermits,
    /// It was dropped before it returned.
    Cancelled,
}

impl From<&AcquireError> for End {
    fn from(refused: &AcquireError) -> Self {
        match refused {
            _ if refused.is_queue_full() => Self::QueueFull,
            _ if refused.is_oversized() => Self::Oversized,
            _ => Self::Closed,
        }
    }
}

impl From<&TryAcquireError> for End {
    fn from(refused: &TryAcquireError) -> Self {
        match refused {
            TryAcquireError::Closed => Self::Closed,
            TryAcquireError::NoPermits => Self::NoPermits,
        }
    }
}

/// Where the ends of the requests are counted.
#[cfg(feature = "metrics")]
pub(super) struct Counters {
    granted: Counter,
    closed: Counter,
    queue_full: Counter,
    oversized: Counter,
    no_permits: Counter,
    cancelled: Counter,
    wait_granted: Histogram,
    wait_refused: Histogram,
    wait_cancelled: Histogram,
}

#[cfg(feature = "metrics")]
impl Counters {
    /// Those of the recorder that is installed. All start at zero, so that a rate is right from the first event on.
    pub(super) fn new(semaphore: &SharedString) -> Self {
        describe_counter!("semafair_granted_total", Unit::Count, "Requests that got permits.");
        describe_counter!("semafair_refused_total", Unit::Count, "Requests that were refused.");
        describe_counter!(
            "semafair_cancelled_total",
            Unit::Count,
            "Requests that were dropped before they returned."
        );
        describe_histogram!(
            "semafair_wait_seconds",
            Unit::Seconds,
            "From a request until it returned, or was dropped."
        );
        let refused = |reason: &'static str| counter!("semafair_refused_total", "semaphore" => semaphore.clone(), "reason" => reason);
        let wait = |outcome: &'static str| histogram!("semafair_wait_seconds", "semaphore" => semaphore.clone(), "outcome" => outcome);
        Self {
            granted: counter!("semafair_granted_total", "semaphore" => semaphore.clone()),
            closed: refused("closed"),
            queue_full: refused("queue_full"),
            oversized: refused("oversized"),
            no_permits: refused("no_permits"),
            cancelled: counter!("semafair_cancelled_total", "semaphore" => semaphore.clone()),
            wait_granted: wait("granted"),
            wait_refused: wait("refused"),
            wait_cancelled: wait("cancelled"),
        }
    }

    /// Counts the end of a request that may have `waited`. An attempt does not wait.
    pub(super) fn count(&self, end: End, waited: Option<Duration>) {
        let (counter, wait) = match end {
            End::Granted => (&self.granted, &self.wait_granted),
            End::Closed => (&self.closed, &self.wait_refused),
            End::QueueFull => (&self.queue_full, &self.wait_refused),
            End::Oversized => (&self.oversized, &self.wait_refused),
            End::NoPermits => (&self.no_permits, &self.wait_refused),
            End::Cancelled => (&self.cancelled, &self.wait_cancelled),
        };
        counter.increment(1);
        if let Some(waited) = waited {
            wait.record(waited);
        }
    }
}
