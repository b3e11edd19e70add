//! What the models do in place of freeing: they count, and bury.

use std::any::Any;
use std::boxed::Box;
use std::cell::{Cell, RefCell};
use std::vec::Vec;

std::thread_local! {
    // Loom runs all threads of a model on the thread that called it.
    static ALIVE: Cell<usize> = const { Cell::new(0) };
    static BURIED: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// A segment was made.
pub(crate) fn allocated() {
    ALIVE.set(ALIVE.get() + 1);
}

/// A segment was freed, and poisoned.
pub(crate) fn freed(segment: Box<dyn Any>) {
    ALIVE.set(ALIVE.get() - 1);
    BURIED.with_borrow_mut(|buried| buried.push(segment));
}

/// How many segments there are.
pub(crate) fn alive() -> usize {
    ALIVE.get()
}

/// Runs a model once, and asserts that it freed what it made.
pub(crate) fn checked(model: impl Fn()) {
    BURIED.with_borrow_mut(Vec::clear);
    ALIVE.set(0);
    model();
    assert_eq!(alive(), 0, "segments were leaked");
}
