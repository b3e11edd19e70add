//! Permits that exist no more, but are still out: units that come back pay for them first.
//!
//! The debt stands in front of the line, as a sink that takes all units until it is paid. Its units
//! count as asked for in the balance, as those of waiters do (I1), before they are added here.
//!
//! It is negative, which is a credit, if units came for a debt before that was added.
//!
//! ```text
//!   63 ........ 1     0
//!  |    debt    | CLOSED |
//! ```

use crate::sync::{AtomicI64, SeqCst};

/// The semaphore is being closed, and what is owed does not change any more.
const CLOSED: i64 = 1;
const SHIFT: u32 = 1;

/// There is no more debt than this, so that a closed balance does not overflow (`FLOOR` and those
/// beside it in `core/balance.rs`).
const MOST: i64 = 17 << 57;

/// Converts a number of units.
#[expect(clippy::cast_possible_wrap, reason = "far below 2^63")]
const fn signed(units: u64) -> i64 {
    units as i64
}

/// The result of [`Debt::add`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    Yes,
    /// Not before some of the debt is paid, for which units are on their way.
    Full,
    /// It is closed.
    Closed,
}

/// How many units are still to be paid.
#[derive(Debug)]
pub(super) struct Debt(AtomicI64);

impl Debt {
    pub(super) fn new() -> Self {
        Self(AtomicI64::new(0))
    }

    /// Whether units are to be paid.
    #[inline]
    pub(super) fn is_due(&self) -> bool {
        // ORDERING: SeqCst. Acquire pairs with `update`. The total order is for pair D3 in the
        // README: "leave units in an OPEN cell, then read the debt".
        self.0.load(SeqCst) > CLOSED
    }

    /// How much is owed.
    pub(super) fn load(&self) -> u64 {
        // ORDERING: SeqCst, as `is_due`.
        (self.0.load(SeqCst) >> SHIFT).max(0).unsigned_abs()
    }

    /// Adds to the debt, or does nothing.
    ///
    /// Transition: `d -> d + units` (who lowers the limit); otherwise CLOSED, or too much is owed.
    pub(super) fn add(&self, units: u64) -> Added {
        let sum = |debt: i64| debt + signed(units);
        let next = |debt| if sum(debt) > MOST { debt } else { sum(debt) };
        match self.update(next) {
            None => Added::Closed,
            Some(debt) if sum(debt) > MOST => Added::Full,
            Some(_) => Added::Yes,
        }
    }

    /// Takes `units` that can only be for a debt that is not added yet. `false` if it was closed:
    /// then nothing was done.
    ///
    /// Transition: `d -> d - units` (deliverer); otherwise CLOSED.
    pub(super) fn credit(&self, units: u64) -> bool {
        self.update(|debt| debt - signed(units)).is_some()
    }

    /// Pays with up to `units`, and says with how many. `None` if it cannot be paid any more, as it
    /// was closed.
    ///
    /// Transition: `d -> d - min(d, units)` (deliverer); otherwise CLOSED.
    #[inline]
    pub(super) fn pay(&self, units: u64) -> Option<u64> {
        if !self.is_due() {
            return Some(0);
        }
        let paid = |debt: i64| debt.max(0).unsigned_abs().min(units);
        self.update(|debt| debt - signed(paid(debt))).map(paid)
    }

    /// Closes it, and says how much is owed.
    ///
    /// Transition: `d -> d, CLOSED` (closer).
    pub(super) fn close(&self) -> i64 {
        // ORDERING: SeqCst, as in `update`.
        self.0.fetch_or(CLOSED, SeqCst) >> SHIFT
    }

    /// Changes it to what `next` makes of it. `None` if it is closed; otherwise the debt before.
    fn update(&self, next: impl Fn(i64) -> i64) -> Option<i64> {
        // ORDERING: SeqCst, as `is_due`.
        let mut seen = self.0.load(SeqCst);
        loop {
            if seen & CLOSED != 0 {
                return None;
            }
            let (debt, to) = (seen >> SHIFT, next(seen >> SHIFT) << SHIFT);
            // ORDERING: SeqCst. AcqRel pairs with `is_due` and every other change: what was done
            // before the debt was made comes before its payment. The total order is for D3: "add
            // to the debt, then read the cells". Failure: SeqCst, as `is_due`.
            match self.0.compare_exchange(seen, to, SeqCst, SeqCst) {
                Ok(_) => return Some(debt),
                Err(now) => seen = now,
            }
        }
    }
}
