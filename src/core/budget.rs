//! tokio's cooperative budget: a task that never has to wait yields all the same.
//!
//! Without it, `loop { semaphore.acquire().await?; }` would never let go of its thread, where permits
//! are free. With the feature `tokio`, a task that has used up its budget yields before its next
//! permit; outside of tokio's runtimes there is no budget, and nothing ever yields.

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

    /// Whether an acquire that need not wait is to [`poll`] the budget (of whatever task it is, and though
    /// that may be exempt from it): every 32nd of a thread, so
    /// that the others cost three instructions.
    #[inline(always)]
    pub(crate) fn is_due() -> bool {
        COUNTER.with(|counter| {
            let (next, overflows) = counter.get().overflowing_add(STEP);
            counter.set(next);
            overflows
        })
    }

    /// Takes one from the budget of the task. `Pending` if there is none left: then the task was woken,
    /// and is to yield.
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
