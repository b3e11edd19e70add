//! What the white-box tests do instead of freeing segments: they count and bury them.

use std::any::Any;
use std::boxed::Box;
use std::cell::{Cell, RefCell};
use std::sync::{Arc, Mutex};
use std::vec::Vec;

/// The segments of one run of a test.
#[derive(Debug, Default)]
pub(crate) struct Yard(Mutex<Books>);

#[derive(Debug, Default)]
struct Books {
    alive: usize,
    buried: Vec<Box<dyn Any + Send>>,
}

std::thread_local! {
    // Loom and shuttle run all threads of a model on the thread that called them.
    static YARD: RefCell<Arc<Yard>> = RefCell::default();
    static REUSES: Cell<bool> = const { Cell::new(false) };
    static KEPT: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// From now on, what this thread frees comes back at the same address; or it is buried, so that a
/// use that comes too late is found.
#[cfg(not(any(semafair_loom, semafair_shuttle)))]
pub(crate) fn set_reuses(reuses: bool) {
    REUSES.set(reuses);
    KEPT.take();
}

/// Keeps the memory of a segment for the next one, if this thread reuses memory.
pub(crate) fn keep(block: impl Any) {
    if REUSES.get() {
        KEPT.with_borrow_mut(|kept| kept.push(Box::new(block)));
    }
}

/// The memory that was kept last.
pub(crate) fn kept<T: Any>() -> Option<T> {
    let block = KEPT.with_borrow_mut(Vec::pop)?;
    block.downcast().ok().map(|block| *block)
}

fn in_yard<T>(f: impl FnOnce(&mut Books) -> T) -> T {
    let yard = YARD.with_borrow(Clone::clone);
    f(&mut yard.0.lock().expect("nobody panics here"))
}

/// A segment was made.
pub(crate) fn allocated() {
    in_yard(|books| books.alive += 1);
}

/// A segment was freed, and poisoned. The drop of `segment` gives its memory back.
pub(crate) fn freed(segment: impl Any + Send) {
    in_yard(|books| {
        books.alive -= 1;
        if !REUSES.get() {
            books.buried.push(Box::new(segment));
        }
    });
}

/// How many segments there are.
pub(crate) fn alive() -> usize {
    in_yard(|books| books.alive)
}

#[cfg(not(any(semafair_loom, semafair_shuttle)))]
/// Where this thread buries, for another thread of the same run to [`enter`].
pub(crate) fn yard() -> Arc<Yard> {
    YARD.with_borrow(Clone::clone)
}

/// From now on, this thread buries there.
pub(crate) fn enter(yard: Arc<Yard>) {
    // What was buried before is freed here.
    drop(YARD.replace(yard));
}

/// Runs a model once, and asserts that it freed what it made.
pub(crate) fn checked<T>(model: impl FnOnce() -> T) -> T {
    enter(Arc::default());
    let result = model();
    assert_eq!(alive(), 0, "segments were leaked");
    result
}
