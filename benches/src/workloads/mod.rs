//! What the semaphores are made to do.

mod add;
mod cancel;
mod hand_off;
mod places;
mod tasks;
mod threads;
mod uncontended;

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

pub use add::{AddPermits, AddPermitsCall};
pub use cancel::{Cancel, Enqueue, EnqueueCancel, HalfCancelled, Order};
pub use hand_off::{HandOff, HandOffDownTheLine};
pub use places::Places;
pub use tasks::{BareTasks, Runtime, TokioTasks};
pub use threads::{Call, Threads};
pub use uncontended::{Acquire, AcquireMany, TryAcquire};

use crate::{Operation, Semaphore, Time};

/// Something done over and over to any semaphore.
pub trait Workload: Copy + 'static {
    /// The name in the tables.
    fn name(&self) -> String;

    /// The name without the size: the same for all that differ in nothing else.
    fn family(&self) -> String {
        self.name()
    }

    /// How many operations one round stands for; times and counts are given per operation.
    fn operations(&self) -> u32 {
        1
    }

    /// How many waiters, tasks or threads take part, if that is what its name differs in.
    fn size(&self) -> Option<u32> {
        None
    }

    /// The same with a tenth of them, if that can be much cheaper.
    fn tenth(&self) -> Option<Self> {
        None
    }

    /// What a semaphore must not lack.
    fn needs(&self) -> &'static [Operation] {
        &[]
    }

    /// The semaphore lacks nothing that this needs.
    fn suits<S: Semaphore>(&self) -> bool {
        self.needs().iter().all(|need| !S::LACKS.contains(need))
    }

    /// Does it `rounds` times, and tells how long that took without what sets it up.
    fn run<S: Semaphore>(&self, rounds: u64) -> Time;
}

/// A tenth of so many, if there are enough for a difference.
fn tenth(of: u32) -> Option<u32> {
    (of >= 100).then_some(of / 10)
}

/// How many waiters are timed together at least, where a part of each round is not timed: less would
/// be too little beside what it takes to read the clocks.
const TIMED_TOGETHER: u32 = 100;

/// How many lines of so many waiters, each with its semaphore, one round has.
fn lines(waiters: u32) -> u32 {
    TIMED_TOGETHER.div_ceil(waiters)
}

/// So many semaphores with so many permits each.
fn several<S: Semaphore>(count: u32, permits: usize) -> Vec<S> {
    (0..count).map(|_| S::with_permits(permits)).collect()
}

/// Polls once, with a waker that costs nothing.
#[inline]
fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut no_task())
}

/// What a future for `n` permits gives that does not wait.
///
/// The context comes from the caller, as it does from an executor: it is made once for a task's
/// turn, however many futures that polls.
#[inline]
fn ready<'a, S: Semaphore>(
    cx: &mut Context<'_>,
    semaphore: &'a S,
    future: impl Future<Output = S::Granted<'a>>,
    n: u32,
) -> S::Permit<'a> {
    match pin!(future).poll(cx) {
        // At once: a result that goes from hand to hand costs instructions.
        Poll::Ready(granted) => semaphore.permit(granted, n),
        Poll::Pending => panic!("the workload left enough permits, and yet somebody waits"),
    }
}

/// A permit that is free.
#[inline]
fn acquired<'a, S: Semaphore>(cx: &mut Context<'_>, semaphore: &'a S) -> S::Permit<'a> {
    ready(cx, semaphore, semaphore.acquire(), 1)
}

/// The context of a task that need not be woken.
fn no_task() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::sync::SemaphorePermit;

    use super::*;

    thread_local! {
        static CALLS: Cell<u64> = const { Cell::new(0) };
    }

    /// Counts who acquires.
    struct Counting(tokio::sync::Semaphore);

    impl Semaphore for Counting {
        const NAME: &'static str = "counting";
        const LACKS: &'static [Operation] = &[Operation::Several];
        type Granted<'a> = Self::Permit<'a>;
        type Permit<'a> = SemaphorePermit<'a>;

        fn with_permits(permits: usize) -> Self {
            Self(tokio::sync::Semaphore::new(permits))
        }

        fn acquire(&self) -> impl Future<Output = Self::Granted<'_>> + Send {
            CALLS.set(CALLS.get() + 1);
            async { self.0.acquire().await.expect("nobody closes it") }
        }

        fn permit<'a>(&'a self, granted: Self::Granted<'a>, _n: u32) -> Self::Permit<'a> {
            granted
        }

        fn try_acquire(&self) -> Option<Self::Permit<'_>> {
            self.0.try_acquire().ok()
        }

        fn add_permits(&self, n: usize) {
            self.0.add_permits(n);
        }
    }

    /// The operations that three rounds claim, and how often they acquired.
    fn claimed_and_called(workload: impl Workload) -> (u64, u64) {
        CALLS.set(0);
        let _time = workload.run::<Counting>(3);
        (3 * u64::from(workload.operations()), CALLS.get())
    }

    #[test]
    fn an_operation_is_a_waiter_however_many_lines_a_round_has() {
        // From ten lines to one.
        for waiters in [10, 30, 100, 200] {
            let order = Order::Random;
            let all = [
                claimed_and_called(Enqueue(waiters)),
                claimed_and_called(Cancel { waiters, order }),
                claimed_and_called(EnqueueCancel { waiters, order }),
                claimed_and_called(AddPermits(waiters)),
                claimed_and_called(AddPermitsCall(waiters)),
            ];
            for (i, (claimed, called)) in all.into_iter().enumerate() {
                // Of the third, one more stays in line.
                assert_eq!(called, claimed + u64::from(i == 2), "{waiters} waiters, the {i}th");
            }
            // In each line, one more has the permit first.
            let (claimed, called) = claimed_and_called(HandOffDownTheLine(waiters));
            assert_eq!(called, claimed + 3 * u64::from(lines(waiters)), "{waiters} waiters");
        }
        assert_eq!([lines(10), lines(30), lines(100)], [10, 4, 1]);
    }

    #[test]
    fn who_cannot_be_one_of_several_has_long_lines_alone() {
        assert!(!HandOffDownTheLine(10).suits::<Counting>());
        assert!(HandOffDownTheLine(100).suits::<Counting>());
    }
}
