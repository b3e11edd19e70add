//! What can be counted.

use super::Core;
use super::balance::{MAX_PERMITS, Snapshot};

/// What the words said, one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    limit: u64,
    debt: u64,
    balance: Snapshot,
}

/// A number of permits, which is at most [`MAX_PERMITS`].
#[expect(clippy::cast_possible_truncation, reason = "it is not more than a `usize` was")]
pub(super) fn count(n: u64) -> usize {
    debug_assert!(n <= MAX_PERMITS as u64, "a count of permits above MAX_PERMITS");
    n as usize
}

/// A number for people to look at.
pub(crate) fn shown(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

impl Core {
    /// Reads all words.
    pub(crate) fn counts(&self) -> Counts {
        let limit = self.limit.load().limit();
        Counts { limit, debt: self.debt(), balance: self.balance.load() }
    }

    /// How many permits exist.
    pub(crate) fn limit(&self) -> usize {
        count(self.limit.load().limit())
    }

    /// How many permits are free.
    pub(crate) fn available(&self) -> usize {
        let balance = self.balance.load();
        let limit = if balance.is_closed() { self.limit.load().limit() } else { 0 };
        Counts { limit, debt: 0, balance }.available()
    }
}

impl Counts {
    pub(crate) fn is_closed(&self) -> bool {
        self.balance.is_closed()
    }

    pub(crate) fn limit(&self) -> usize {
        shown(self.limit)
    }

    /// Free permits.
    pub(crate) fn available(&self) -> usize {
        shown(match self.balance.outstanding() {
            None => self.balance.free(),
            Some(outstanding) => self.limit.saturating_sub(outstanding),
        })
    }

    /// Permits that have guards, or are on their way.
    pub(crate) fn outstanding(&self) -> usize {
        shown(match self.balance.outstanding() {
            None => (self.limit + self.debt).saturating_sub(self.balance.free()),
            Some(outstanding) => outstanding,
        })
    }

    /// Outstanding permits that will vanish when they come back.
    pub(crate) fn debt(&self) -> usize {
        shown(match self.balance.outstanding() {
            None => self.debt,
            Some(outstanding) => outstanding.saturating_sub(self.limit),
        })
    }

    /// Units that waiters have asked for, and that are not on their way yet.
    pub(crate) fn queued(&self) -> usize {
        shown(self.balance.owed().saturating_sub(self.debt))
    }
}
