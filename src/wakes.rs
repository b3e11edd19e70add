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
    /// Mostly it is one.
    first: Option<Waker>,
    others: ArrayVec<Waker, { BATCH - 1 }>,
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
    #[inline]
    pub(crate) fn push(&mut self, waker: Waker) {
        if self.first.is_none() {
            self.first = Some(waker);
        } else {
            self.others.push(waker);
        }
    }

    /// Whether those collected must be woken before another is added.
    pub(crate) fn is_full(&self) -> bool {
        self.others.is_full()
    }

    /// Sees to it that one can be added.
    pub(crate) fn make_room(&mut self) {
        if self.is_full() {
            self.wake();
        }
    }

    /// Wakes those collected so far, and keeps the first panic for later.
    pub(crate) fn wake(&mut self) {
        if let Some(Err(panic)) = self.first.take().map(wake) {
            Self::keep(&mut self.panic, panic);
        }
        for waker in self.others.drain(..) {
            if let Err(panic) = wake(waker) {
                Self::keep(&mut self.panic, panic);
            }
        }
    }

    /// Keeps the first panic. A payload's own drop may panic as well: a second is never dropped.
    #[cold]
    fn keep(first: &mut Option<Box<dyn Any + Send>>, panic: Box<dyn Any + Send>) {
        match first {
            None => *first = Some(panic),
            Some(_) => core::mem::forget(panic),
        }
    }

    #[inline]
    fn finish(&mut self) {
        if self.others.is_empty() && self.panic.is_none() {
            if let Some(Err(panic)) = self.first.take().map(wake) {
                pass_on(panic);
            }
        } else {
            self.finish_many();
        }
    }

    #[cold]
    fn finish_many(&mut self) {
        self.wake();
        if let Some(panic) = self.panic.take() {
            pass_on(panic);
        }
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
