//! The threads that are inside a close: each may hold a correction of the balance that it has not
//! applied yet.

use crate::sync::{AcqRel, AtomicU64};

/// How many they are.
///
/// All accesses are read-modify-writes, so they stand in one order, and each sees what was done
/// before those that precede it.
#[derive(Debug)]
pub(super) struct Inside(AtomicU64);

impl Inside {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// A thread enters: it may make a correction its own from now on.
    pub(super) fn enter(&self) {
        // ORDERING: AcqRel. Pairs with `leave` and `is_empty`.
        self.0.fetch_add(1, AcqRel);
    }

    /// A thread leaves, and has applied all its corrections. Says whether it was the last.
    pub(super) fn leave(&self) -> bool {
        // ORDERING: AcqRel. Release pairs with `is_empty`: who finds nobody inside sees the
        // corrections. Acquire: the last sees what was done before an `is_empty` that saw it inside.
        self.0.fetch_sub(1, AcqRel) == 1
    }

    /// Whether nobody is inside.
    pub(super) fn is_empty(&self) -> bool {
        // ORDERING: AcqRel. A read-modify-write, as it is one side of a Dekker pair (D4): whoever
        // leaves later sees what the caller did before.
        self.0.fetch_add(0, AcqRel) == 0
    }
}
