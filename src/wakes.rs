//! User code that an operation owes: wakers to wake or to drop, when nothing is held.

use core::task::Waker;

use arrayvec::ArrayVec;

use crate::panic::{Panic, catch};
use crate::sync::sizes::BATCH;

/// Wakers to wake, which are woken when this is dropped. [`waking`] makes it.
///
/// If user code that it runs panics, the first panic comes out of the drop, after everything else
/// was done. It is swallowed if the thread is panicking already.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    batch: ArrayVec<Waker, BATCH>,
    panic: Option<Panic>,
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
fn keep_first(first: &mut Option<Panic>, user_code: impl FnOnce()) {
    if let Err(panic) = catch(user_code) {
        match first {
            None => *first = Some(panic),
            Some(_) => panic.swallow(),
        }
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        self.wake();
        if let Some(panic) = self.panic.take() {
            panic.pass_on();
        }
    }
}

/// Runs the only user code that an operation owes, such as the wake of one waiter.
#[inline]
pub(crate) fn run_one(user_code: impl FnOnce()) {
    if let Err(panic) = catch(user_code) {
        panic.pass_on();
    }
}
