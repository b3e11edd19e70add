//! What happened: the jobs of all workers, by etcd's order, and the numbers that sum them up.

use std::time::Duration;

/// A job, from its request for a permit to the end of its key. Times are counted from the first request.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) worker: usize,
    pub(crate) number: usize,
    pub(crate) fence: i64,
    pub(crate) asked: Duration,
    /// When its worker said that it holds a permit.
    pub(crate) granted: Option<Duration>,
    /// Whether it will never end by itself.
    pub(crate) hangs: bool,
    /// When its key was deleted.
    pub(crate) gone: Option<Duration>,
}

/// A day of the fleet.
#[derive(Debug)]
pub(crate) struct Day {
    /// When a worker was killed.
    pub(crate) killed: Option<Duration>,
    /// In the order in which they asked.
    pub(crate) jobs: Vec<Job>,
}

impl Day {
    pub(crate) fn length(&self) -> Duration {
        self.jobs.iter().filter_map(|job| job.gone).max().unwrap_or_default()
    }

    /// How many held a permit at the same time, at most.
    fn most_at_once(&self) -> i32 {
        // Ends come first at the same time, since the one makes room for the other.
        let held = self.jobs.iter().filter_map(|job| job.granted.zip(job.gone));
        let mut changes: Vec<_> = held.flat_map(|(from, to)| [(from, 1), (to, -1)]).collect();
        changes.sort_unstable();
        let at_once = changes.iter().scan(0, |at_once, (_, change)| {
            *at_once += change;
            Some(*at_once)
        });
        at_once.max().unwrap_or_default()
    }

    /// Whether this is of the worker that was killed, and was in the line then.
    pub(crate) fn is_orphan(&self, job: &Job) -> bool {
        self.killed.is_some_and(|killed| {
            job.worker == crate::VICTIM && job.gone.is_some_and(|gone| gone > killed)
        })
    }

    /// The numbers, in lines.
    pub(crate) fn summary(&self) -> String {
        let orphans = self.jobs.iter().filter(|job| self.is_orphan(job));
        let back = orphans.filter_map(|job| job.gone.zip(self.killed));
        let back = back.map(|(gone, killed)| gone - killed).max().unwrap_or_default();
        format!(
            "Held at once:    {} at most (permits: {})\nAfter the kill:  the permit came back after {back:.1?} (lease: {:?})\n",
            self.most_at_once(),
            crate::PERMITS,
            crate::worker::LEASE,
        )
    }
}
