//! Waiting until all permits are back.

use alloc::sync::Arc;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::core::drain::Drain;
use crate::semaphore::Semaphore;

/// Waits until the semaphore is closed and no permit is outstanding; made by [`Semaphore::drained`].
///
/// # Cancel safety
///
/// Dropping it gives up the wait, and changes nothing else.
///
/// # Panics
///
/// A poll or a drop may run wakers of others who wait. If one panics, all others are woken
/// nevertheless, and then the panic comes out.
#[must_use = "futures do nothing unless polled"]
pub struct Drained<'a> {
    semaphore: &'a Semaphore,
    drain: Drain,
}

/// Waits until the semaphore is closed and no permit is outstanding, and keeps the semaphore alive;
/// made by [`Semaphore::drained_owned`].
///
/// # Cancel safety
///
/// Dropping it gives up the wait, and changes nothing else.
///
/// # Panics
///
/// A poll or a drop may run wakers of others who wait. If one panics, all others are woken
/// nevertheless, and then the panic comes out.
#[must_use = "futures do nothing unless polled"]
pub struct DrainedOwned {
    semaphore: Arc<Semaphore>,
    drain: Drain,
}

impl Future for Drained<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.drain.poll(&this.semaphore.core, cx)
    }
}

impl Future for DrainedOwned {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.drain.poll(&this.semaphore.core, cx)
    }
}

impl Drop for Drained<'_> {
    fn drop(&mut self) {
        self.drain.cancel(&self.semaphore.core);
    }
}

impl Drop for DrainedOwned {
    fn drop(&mut self) {
        self.drain.cancel(&self.semaphore.core);
    }
}

impl fmt::Debug for Drained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drained").finish_non_exhaustive()
    }
}

impl fmt::Debug for DrainedOwned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DrainedOwned").finish_non_exhaustive()
    }
}

impl Semaphore {
    /// Waits until the semaphore is closed and no permit is outstanding: at shutdown, until all work
    /// has ended.
    ///
    /// It does not close the semaphore: [`close`](Self::close) does. If both are so already, it is ready at its first
    /// poll. Any number of tasks may wait, before the close and after it.
    ///
    /// A permit is outstanding until its guard is dropped or [forgotten](crate::SemaphorePermit::forget). A guard
    /// that is lost by [`mem::forget`](core::mem::forget) is outstanding for ever. So are permits that a future was granted and has not
    /// returned, or that were kept for one that wanted more, until that future is polled or dropped.
    ///
    /// What the holders of permits did before they gave them back is visible to the task that has waited.
    ///
    /// A thread that is suspended inside a release, a change of the limit, the drop of a waiting future or
    /// an acquire that is to be refused may withhold the end of the drain until it goes on, as it may hold a
    /// part of the count. All other calls complete.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the wait, and changes nothing else.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use std::sync::Arc;
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Arc::new(Semaphore::new(2));
    /// let permit = semaphore.clone().acquire_owned().await.unwrap();
    /// tokio::spawn(async move {
    ///     tokio::task::yield_now().await; // the work
    ///     drop(permit);
    /// });
    /// semaphore.close();
    /// semaphore.drained().await;
    /// assert_eq!(semaphore.available_permits(), 2);
    /// # }
    /// ```
    pub const fn drained(&self) -> Drained<'_> {
        Drained { semaphore: self, drain: Drain::new() }
    }

    /// Waits as [`drained`](Self::drained) does, and keeps the semaphore alive meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the wait, and changes nothing else.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use std::sync::Arc;
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Arc::new(Semaphore::new(2));
    /// let all_done = tokio::spawn(semaphore.clone().drained_owned());
    /// semaphore.close();
    /// all_done.await.unwrap();
    /// # }
    /// ```
    pub const fn drained_owned(self: Arc<Self>) -> DrainedOwned {
        DrainedOwned { semaphore: self, drain: Drain::new() }
    }
}
