//! Wakers whose owners were served, to be woken when nothing is held.

use core::any::Any;
use core::task::Waker;
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use arrayvec::ArrayVec;

/// How many are collected before some are woken: bounds the stack that a release takes.
pub(crate) const BATCH: usize = if cfg!(test) { 2 } else { 32 };

/// Wakes everybody in it when dropped; a panic of one keeps none of the others asleep.
///
/// Whoever fills one drops it last of all, when the state is consistent: a waker is user code, and
/// may re-enter, panic, or never return. The first panic goes on to the caller after everybody was
/// woken, unless the thread is panicking already.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    batch: ArrayVec<Waker, BATCH>,
    panic: Option<Box<dyn Any + Send>>,
}

impl Wakes {
    #[inline]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a waker; there must be room.
    pub(crate) fn push(&mut self, waker: Waker) {
        self.batch.push(waker);
    }

    /// Whether the batch must be woken before anything is added.
    pub(crate) fn is_full(&self) -> bool {
        self.batch.is_full()
    }

    fn finish(&mut self) {
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
    #[inline]
    fn drop(&mut self) {
        if !self.batch.is_empty() || self.panic.is_some() {
            self.finish();
        }
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
