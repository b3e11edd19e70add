//! Which hazard slot a thread of a model begins to look at.

use std::cell::Cell;

loom::thread_local! {
    static HINT: Cell<usize> = Cell::default();
}

pub(super) fn hint() -> usize {
    HINT.with(Cell::get)
}

/// From now on, this thread begins at the slot of that number, among the first slots.
pub(crate) fn begin_at(slot: usize) {
    HINT.with(|hint| hint.set(slot));
}
