//! User code that an operation owes: wakers to wake or to drop, when nothing is held.

use core::any::Any;
use core::task::Waker;
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use arrayvec::ArrayVec;

use crate::sync::probe::BATCH;

/// Wakers to wake, which are woken when this is dropped. [`waking`] makes it.
///
/// If user code that it runs panics, the first panic comes out of the drop, after everything else
/// was done. It is swallowed if the thread is panicking already.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    batch: ArrayVec<Waker, BATCH>,
    panic: Option<Box<dyn Any + Send>>,
}

/// Does `work`, and then wakes all wakers that it has collected.
///
/// When `work` returns, the state is consistent: a waker is user code, and may re-enter, panic, or
/// never return.
pub(crate) fn waking<T>(work: impl FnOnce(&mut Wakes) -> T) -> T {
    work(&mut Wakes::default())
}

impl Wakes {
    /// Adds a waker to wake. There must be room.
    #[inline]
    pub(crate) fn push(&mut self, waker: Waker) {
        self.batch.push(waker);
    }

    /// Whether the collected wakers must be woken before another is added.
    pub(crate) fn is_full(&self) -> bool {
        self.batch.is_full()
    }

    /// Makes room for one more waker.
    pub(crate) fn make_room(&mut self) {
        if self.is_full() {
            self.wake();
        }
    }

    /// Wakes the wakers collected so far.
    pub(crate) fn wake(&mut self) {
        for waker in self.batch.drain(..) {
            keep_first(&mut self.panic, || waker.wake());
        }
    }

    /// Runs user code now.
    pub(crate) fn run(&mut self, user_code: impl FnOnce()) {
        keep_first(&mut self.panic, user_code);
    }
}

/// Runs user code, and keeps its panic if it is the first.
///
/// What user code leaves behind when it panics is its own: nothing of ours was lent to it.
fn keep_first(first: &mut Option<Box<dyn Any + Send>>, user_code: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(user_code)) {
        match first {
            None => *first = Some(panic),
            // Dropping the payload may panic as well, so it is leaked.
            Some(_) => core::mem::forget(panic),
        }
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        self.wake();
        if let Some(panic) = self.panic.take() {
            pass_on(panic);
        }
    }
}

/// Runs the only user code that an operation owes, such as the wake of one waiter.
#[inline]
pub(crate) fn run_one(user_code: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(user_code)) {
        pass_on(panic);
    }
}

#[cold]
fn pass_on(panic: Box<dyn Any + Send>) {
    if std::thread::panicking() {
        // A second panic would abort. The panic hook has reported this one.
        core::mem::forget(panic);
    } else {
        resume_unwind(panic);
    }
}
