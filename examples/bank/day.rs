//! What happened: the customers' visits, and the numbers that sum them up.

use std::time::Duration;

/// A customer's visit. Times are counted from the opening of the bank.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) customer: u32,
    pub(crate) came: Duration,
    /// When the waiting ended: called to a teller, or sent away.
    pub(crate) called: Duration,
    pub(crate) gone: Duration,
    /// How long the service was to take; nothing for a customer who left unserved.
    pub(crate) service: Option<Duration>,
}

impl Visit {
    pub(crate) fn waited(&self) -> Duration {
        self.called - self.came
    }
}

/// A day at the bank.
#[derive(Debug)]
pub(crate) struct Day {
    pub(crate) tellers: u16,
    pub(crate) seed: u64,
    pub(crate) closed_early: bool,
    /// By number of the customer.
    pub(crate) visits: Vec<Visit>,
}

impl Day {
    /// From the opening until the last customer has gone.
    pub(crate) fn length(&self) -> Duration {
        self.visits.iter().map(|visit| visit.gone).max().unwrap_or_default()
    }

    /// How many customers were served, and how many left unserved.
    pub(crate) fn served_and_left(&self) -> (usize, usize) {
        let served = self.served().count();
        (served, self.visits.len() - served)
    }

    /// How many customers were served at the same time, at most.
    pub(crate) fn most_at_once(&self) -> i32 {
        // Ends sort before beginnings at the same time, since the one makes room for the other.
        let mut changes: Vec<_> =
            self.served().flat_map(|visit| [(visit.called, 1), (visit.gone, -1)]).collect();
        changes.sort_unstable();
        let at_once = changes.iter().scan(0, |at_once, (_, change)| {
            *at_once += change;
            Some(*at_once)
        });
        at_once.max().unwrap_or_default()
    }

    /// The mean and the longest wait, of those who left unserved as well; none without customers.
    pub(crate) fn waits(&self) -> Option<(Duration, Duration)> {
        let longest = self.visits.iter().map(Visit::waited).max()?;
        let sum: Duration = self.visits.iter().map(Visit::waited).sum();
        let count = u32::try_from(self.visits.len()).expect("customers are counted in u32");
        Some((sum / count, longest))
    }

    /// At most `limit` visits, evenly spread, the first and the last among them.
    pub(crate) fn excerpt(&self, limit: usize) -> Vec<&Visit> {
        let count = self.visits.len();
        if count <= limit {
            return self.visits.iter().collect();
        }
        (0..limit).map(|row| &self.visits[row * (count - 1) / (limit - 1)]).collect()
    }

    /// The numbers, in lines.
    pub(crate) fn summary(&self) -> String {
        let mut text = format!(
            "Served at once:  {} at most (tellers: {})\n",
            self.most_at_once(),
            self.tellers
        );
        if let Some((mean, longest)) = self.waits() {
            text += &format!("Waited:          {mean:.2?} on average, {longest:.2?} at most\n");
        }
        text + &format!("Seed:            {0} (again: --seed {0})\n", self.seed)
    }

    fn served(&self) -> impl Iterator<Item = &Visit> {
        self.visits.iter().filter(|visit| visit.service.is_some())
    }
}
