//! tokio's cooperative budget: a task yields from time to time, although it need not wait.
//!
//! Without it, `loop { semaphore.acquire().await?; }` would never let other tasks run while permits
//! are free. With the feature `tokio`, a task that has used up its budget yields before it gets its
//! next permit. The permit, or the refusal, is kept in the request meanwhile. Outside of tokio's
//! runtimes there is no budget, and nothing yields.

#[cfg(feature = "tokio")]
pub(crate) use self::tokio::{is_due, poll};

#[cfg(feature = "tokio")]
mod tokio {
    use core::cell::Cell;
    use core::task::{Context, Poll, ready};

    use ::tokio::task::coop::poll_proceed;

    /// Added to a thread's counter for each acquire, so that it overflows at every 32nd.
    const STEP: u8 = 1 << 3;

    std::thread_local! {
        // One for all semaphores, so that a loop over several is no exception.
        static COUNTER: Cell<u8> = const { Cell::new(0) };
    }

    /// Whether an acquire that need not wait must [`poll`] the budget. Only every 32nd of a thread
    /// does, so that the others pay three instructions. They are counted for all tasks of the
    /// thread together, also for a task that has no budget.
    #[inline(always)]
    pub(crate) fn is_due() -> bool {
        COUNTER.with(|counter| {
            let (next, overflows) = counter.get().overflowing_add(STEP);
            counter.set(next);
            overflows
        })
    }

    /// Takes one from the budget of the task. `Pending` if none is left: then tokio has woken the
    /// task, and it must yield.
    pub(crate) fn poll(cx: &mut Context<'_>) -> Poll<()> {
        ready!(poll_proceed(cx)).made_progress();
        Poll::Ready(())
    }
}

#[cfg(not(feature = "tokio"))]
#[inline(always)]
pub(crate) fn is_due() -> bool {
    false
}

#[cfg(not(feature = "tokio"))]
pub(crate) fn poll(_cx: &mut core::task::Context<'_>) -> core::task::Poll<()> {
    core::task::Poll::Ready(())
}
