//! Permits that exist no more, but are still out: units that come back pay for them first.
//!
//! The debt stands in front of the line, as a sink that takes all units until it is paid. Its units
//! count as asked for in the balance, as those of waiters do (I1), before they are added here.

use crate::sync::{AtomicU64, SeqCst};

/// The line is shut: what was owed is written off, and no debt is made any more.
const CLOSED: u64 = 1 << 63;

/// How many units are still to be paid.
#[derive(Debug)]
pub(super) struct Debt(AtomicU64);

impl Debt {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// How much is owed.
    #[inline]
    pub(super) fn load(&self) -> u64 {
        // ORDERING: SeqCst. Acquire pairs with `update`. The total order is for pair D3 in the
        // README: "leave units in an OPEN cell, then read the debt".
        self.0.load(SeqCst) & !CLOSED
    }

    /// Adds to the debt. `false` if it was closed: then nothing was done.
    ///
    /// Transition: `d -> d + units` (who lowers the limit); otherwise CLOSED.
    pub(super) fn add(&self, units: u64) -> bool {
        self.update(|debt| debt + units).is_some()
    }

    /// Pays with up to `units`, and says with how many.
    ///
    /// Transition: `d -> d - min(d, units)` (deliverer).
    #[inline]
    pub(super) fn pay(&self, units: u64) -> u64 {
        if self.load() == 0 {
            return 0;
        }
        self.update(|debt| debt - debt.min(units)).map_or(0, |debt| debt.min(units))
    }

    /// Closes it, and says how much was owed.
    ///
    /// Transition: `d -> CLOSED` (closer).
    pub(super) fn close(&self) -> u64 {
        // ORDERING: SeqCst, as in `update`.
        self.0.swap(CLOSED, SeqCst) & !CLOSED
    }

    /// Changes it to what `next` makes of it. `None` if it is closed; otherwise the debt before.
    fn update(&self, next: impl Fn(u64) -> u64) -> Option<u64> {
        // ORDERING: SeqCst, as `load`.
        let mut seen = self.0.load(SeqCst);
        loop {
            if seen == CLOSED {
                return None;
            }
            // ORDERING: SeqCst. AcqRel pairs with `load` and every other change: what was done
            // before the debt was made comes before its payment. The total order is for D3: "add
            // to the debt, then read the cells". Failure: SeqCst, as `load`.
            match self.0.compare_exchange(seen, next(seen), SeqCst, SeqCst) {
                Ok(_) => return Some(seen),
                Err(now) => seen = now,
            }
        }
    }
}
