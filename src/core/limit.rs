//! The word that says how many permits exist, and what was decided when the semaphore was made.
//!
//! ```text
//!   63       62       61          60 ... 0
//!  | GUARD  | CLOSED | OVERSIZED |  limit |
//! ```
//!
//! GUARD: a request that would have to wait may be refused, so acquiring takes the guarded way.
//! OVERSIZED: a request for more than the limit is refused. Both never change.
//!
//! CLOSED is the first step of a close. A change of the limit that finds it unset must make the same
//! change in the balance. One that finds it set must not: the balance counts outstanding permits
//! then, which do not depend on the limit, or is about to. See [`Core::close_balance`].
//!
//! [`Core::close_balance`]: super::Core::close_balance

use super::balance::MAX_PERMITS;
use crate::sync::{AcqRel, Acquire, AtomicU64, Relaxed, const_fn};

const GUARD: u64 = 1 << 63;
const CLOSED: u64 = 1 << 62;
const OVERSIZED: u64 = 1 << 61;
const LIMIT: u64 = OVERSIZED - 1;
const _: () = assert!(MAX_PERMITS as u64 <= LIMIT);

/// What the word said at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LimitWord(u64);

impl LimitWord {
    pub(crate) const fn limit(self) -> u64 {
        self.0 & LIMIT
    }

    /// Whether the balance counts outstanding permits, or is about to.
    pub(crate) const fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }

    pub(crate) const fn fails_oversized(self) -> bool {
        self.0 & OVERSIZED != 0
    }
}

/// The word.
///
/// Changes are `AcqRel` and loads `Acquire`, as those of the balance: the order of the limits is a
/// part of the total order of the semaphore.
pub(crate) struct Limit(AtomicU64);

impl Limit {
    const_fn! {
        /// The caller has checked the limit. `guard`: acquiring takes the guarded way.
        pub(crate) const fn new(limit: usize, guard: bool, fail_oversized: bool) -> Self {
            let guard = if guard || fail_oversized { GUARD } else { 0 };
            let oversized = if fail_oversized { OVERSIZED } else { 0 };
            Self(AtomicU64::new(limit as u64 | guard | oversized))
        }
    }

    /// Whether acquiring must take the guarded way.
    #[inline]
    pub(crate) fn is_guarded(&self) -> bool {
        // ORDERING: Relaxed. The bit never changes.
        self.0.load(Relaxed) & GUARD != 0
    }

    pub(crate) fn load(&self) -> LimitWord {
        // ORDERING: Acquire. Pairs with `change` and `close`: the caller sees what those threads
        // saw.
        LimitWord(self.0.load(Acquire))
    }

    /// Makes the limit `to` if the word is still as it was `seen`; otherwise says what it is now.
    pub(crate) fn change(&self, seen: LimitWord, to: u64) -> Result<(), LimitWord> {
        debug_assert!(to <= LIMIT, "a limit above MAX_PERMITS");
        // ORDERING: AcqRel. Pairs with `load` and every other change: the later of two changes
        // sees what the earlier one saw. Failure: Acquire, as `load`.
        match self.0.compare_exchange(seen.0, seen.0 & !LIMIT | to, AcqRel, Acquire) {
            Ok(_) => Ok(()),
            Err(now) => Err(LimitWord(now)),
        }
    }

    /// From now on, no change of the limit changes the balance. Says what the limit is.
    pub(crate) fn close(&self) -> u64 {
        // ORDERING: AcqRel, as in `change`.
        LimitWord(self.0.fetch_or(CLOSED, AcqRel)).limit()
    }
}
