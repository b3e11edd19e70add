//! Wakers whose owners were served, to be woken when nothing is held.

use core::any::Any;
use core::task::Waker;
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use arrayvec::ArrayVec;

/// How many are collected before some are woken: bounds the stack that a release takes.
pub(crate) const BATCH: usize = if cfg!(test) { 2 } else { 32 };

/// Who is to be woken; made by [`waking`].
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    batch: ArrayVec<Waker, BATCH>,
    panic: Option<Box<dyn Any + Send>>,
}

/// Does `work`, and then wakes everybody whom that has collected; a panic of one keeps none of the
/// others asleep.
///
/// When `work` returns, the state is consistent: a waker is user code, and may re-enter, panic, or
/// never return. The first panic goes on to the caller after everybody was woken, unless the thread
/// is panicking already.
#[inline]
pub(crate) fn waking<T>(work: impl FnOnce(&mut Wakes) -> T) -> T {
    let mut wakes = Wakes::default();
    let result = work(&mut wakes);
    wakes.finish();
    // Empty: nothing is left for its drop, which is there for a `work` that panics.
    core::mem::forget(wakes);
    result
}

impl Wakes {
    /// Adds a waker; there must be room.
    pub(crate) fn push(&mut self, waker: Waker) {
        self.batch.push(waker);
    }

    /// Whether the batch must be woken before anything is added.
    pub(crate) fn is_full(&self) -> bool {
        self.batch.is_full()
    }

    /// Sees to it that something can be added.
    pub(crate) fn make_room(&mut self) {
        if self.is_full() {
            self.wake();
        }
    }

    #[inline]
    fn finish(&mut self) {
        // Mostly it is one. Where nobody is to be woken after it, its panic may go its own way.
        if self.batch.len() == 1 && self.panic.is_none() && !std::thread::panicking() {
            if let Some(waker) = self.batch.pop() {
                return waker.wake();
            }
        }
        self.finish_many();
    }

    #[cold]
    fn finish_many(&mut self) {
        self.wake();
        if let Some(panic) = self.panic.take() {
            pass_on(panic);
        }
    }

    /// Wakes those collected so far, and keeps the first panic for later.
    pub(crate) fn wake(&mut self) {
        for waker in self.batch.drain(..) {
            // What a waker leaves behind when it panics is its own; nothing here was lent to it.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
                // A payload's own drop may panic as well: a second one is never dropped here.
                match &self.panic {
                    None => self.panic = Some(panic),
                    Some(_) => core::mem::forget(panic),
                }
            }
        }
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        self.finish_many();
    }
}

#[cold]
fn pass_on(panic: Box<dyn Any + Send>) {
    if std::thread::panicking() {
        // A second panic would abort; the hook has reported this one.
        core::mem::forget(panic);
    } else {
        resume_unwind(panic);
    }
}
