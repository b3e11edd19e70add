//! What the semaphores are made to do.

mod cancel;
mod hand_off;
mod tasks;
mod uncontended;

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

pub use cancel::EnqueueCancel;
pub use hand_off::HandOff;
pub use tasks::{BareTasks, TokioTasks};
pub use uncontended::{Acquire, AcquireMany, TryAcquire, TwoThreads};

use crate::Semaphore;

/// Something done over and over to any semaphore.
pub trait Workload: Copy + 'static {
    /// The name in the tables.
    fn name(&self) -> String;

    /// How many operations one round stands for; times and counts are given per operation.
    fn operations(&self) -> u32 {
        1
    }

    /// Does it `rounds` times, and tells how long that took without what sets it up.
    fn run<S: Semaphore>(&self, rounds: u64) -> Duration;
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Polls once, with a waker that costs nothing.
#[inline]
fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// What a future gives that does not wait.
#[inline]
fn ready<T, E: std::fmt::Debug>(future: impl Future<Output = Result<T, E>>) -> T {
    match poll(pin!(future)) {
        Poll::Ready(Ok(value)) => value,
        Poll::Ready(Err(error)) => panic!("the workload closes nothing, but found {error:?}"),
        Poll::Pending => panic!("the workload left enough permits, and yet somebody waits"),
    }
}
