//! Wakers whose owners were served, to be woken when nothing is held.

use core::any::Any;
use core::task::Waker;
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use arrayvec::ArrayVec;

/// How many are collected before some are woken: bounds the stack that a release takes.
pub(crate) const BATCH: usize = if cfg!(test) { 2 } else { 32 };

/// Who is to be woken, which happens when it is dropped; made by [`waking`].
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
pub(crate) fn waking<T>(work: impl FnOnce(&mut Wakes) -> T) -> T {
    work(&mut Wakes::default())
}

impl Wakes {
    /// Adds a waker; there must be room.
    #[inline]
    pub(crate) fn push(&mut self, waker: Waker) {
        self.batch.push(waker);
    }

    /// Whether those collected must be woken before another is added.
    pub(crate) fn is_full(&self) -> bool {
        self.batch.is_full()
    }

    /// Sees to it that one can be added.
    pub(crate) fn make_room(&mut self) {
        if self.is_full() {
            self.wake();
        }
    }

    /// Wakes those collected so far, and keeps the first panic for later.
    pub(crate) fn wake(&mut self) {
        for waker in self.batch.drain(..) {
            if let Err(panic) = wake(waker) {
                // A payload's own drop may panic as well: a second one is never dropped here.
                match &self.panic {
                    None => self.panic = Some(panic),
                    Some(_) => core::mem::forget(panic),
                }
            }
        }
    }
}

/// Wakes the only one that there is to be woken.
#[inline]
pub(crate) fn wake_one(waker: Waker) {
    if let Err(panic) = wake(waker) {
        pass_on(panic);
    }
}

/// Wakes one; `Err` if it panics. What a waker leaves behind then is its own: nothing of ours was
/// lent to it.
#[inline]
fn wake(waker: Waker) -> std::thread::Result<()> {
    catch_unwind(AssertUnwindSafe(|| waker.wake()))
}

impl Drop for Wakes {
    fn drop(&mut self) {
        self.wake();
        if let Some(panic) = self.panic.take() {
            pass_on(panic);
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
