//! What the other modules share: seeds, and a few short hands.

pub(crate) mod hooks;
mod seed;
pub(crate) mod wakes;
pub(crate) mod watchdog;

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio_test::task::{self, Spawn};

pub(crate) use self::wakes::Wakes;
pub(crate) use self::watchdog::watch;

/// The seed of this test, which is watched from now on.
pub(crate) fn seed() -> u64 {
    watch();
    seed::seed()
}

/// Polls `future` for the first time, and finds it waiting.
#[track_caller]
pub(crate) fn wait<F: Future>(future: F) -> Spawn<F> {
    watch();
    let mut task = task::spawn(future);
    assert!(task.poll().is_pending(), "it should wait");
    task
}

/// Finds out that a waiting future was woken, and gives what its poll gives then.
#[track_caller]
pub(crate) fn served<F: Future>(task: &mut Spawn<F>) -> F::Output {
    assert!(task.is_woken(), "it should have been woken");
    match task.poll() {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it should have been served"),
    }
}

/// Finds out that a waiting future was not woken, and still waits.
#[track_caller]
pub(crate) fn waits<F: Future>(task: &mut Spawn<F>) {
    assert!(!task.is_woken(), "it should not have been woken");
    assert!(task.poll().is_pending(), "it should still wait");
}

impl Wakes {
    /// Polls `future` with a waker of this counter.
    pub(crate) fn poll<F: Future + Unpin>(self: &Arc<Self>, future: &mut F) -> Poll<F::Output> {
        poll(future, &self.waker())
    }
}

pub(crate) fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    watch();
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// The message of the panic that `f` must end in.
#[track_caller]
pub(crate) fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    watch();
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => panic!("it should have panicked"),
        Err(payload) => message(payload.as_ref()),
    }
}

fn message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a payload that is no text".to_owned()
    }
}
