//! A semaphore to be polled by hand, for those who write futures and services themselves.

use alloc::sync::Arc;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use crate::acquire::AcquireOwned;
use crate::permit::OwnedSemaphorePermit;
use crate::semaphore::Semaphore;

/// A [`Semaphore`] with a `poll_acquire` method, and with the one request that it polls inside.
///
/// It has the interface of `tokio_util::sync::PollSemaphore`. It allocates nothing itself, since the
/// request is a field. With the feature `stream` it is a `Stream` of permits, which ends when the semaphore is
/// closed.
///
/// # Cancel safety
///
/// Dropping it, or taking the semaphore out of it, gives up the place of a pending request in the
/// line. Permits that the request had already go to others.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use std::future::poll_fn;
/// use std::sync::Arc;
/// use semafair::{PollSemaphore, Semaphore};
///
/// let mut semaphore = PollSemaphore::new(Arc::new(Semaphore::new(1)));
/// let permit = poll_fn(|cx| semaphore.poll_acquire(cx)).await;
/// assert!(permit.is_some());
/// semaphore.close();
/// assert!(poll_fn(|cx| semaphore.poll_acquire(cx)).await.is_none());
/// # }
/// ```
pub struct PollSemaphore {
    semaphore: Arc<Semaphore>,
    /// The pending request, and how many permits it asks for.
    pending: Option<(u32, AcquireOwned)>,
}

impl PollSemaphore {
    /// Wraps a semaphore.
    #[must_use]
    pub const fn new(semaphore: Arc<Semaphore>) -> Self {
        Self { semaphore, pending: None }
    }

    /// Closes the semaphore: it grants no more permits, and all waiters are woken and get an error.
    ///
    /// # Panics
    ///
    /// If a waker panics. The semaphore is closed then, and all other waiters were woken.
    pub fn close(&self) {
        self.semaphore.close();
    }

    /// Returns another reference to the semaphore. A pending request goes on.
    #[must_use]
    pub fn clone_inner(&self) -> Arc<Semaphore> {
        self.semaphore.clone()
    }

    /// Returns the semaphore, and gives up a pending request with its place in the line.
    #[must_use]
    pub fn into_inner(self) -> Arc<Semaphore> {
        self.semaphore
    }

    /// Polls for a permit.
    ///
    /// - `Pending`: there is none yet. The waker of the latest call is woken when the permit is granted or
    ///   the semaphore is closed.
    /// - `Ready(Some(_))`: the permit. The next call is a new request.
    /// - `Ready(None)`: the semaphore is closed.
    ///
    /// # Cancel safety
    ///
    /// The request stays pending between calls, and keeps its place in the line. It is given up if `self` is
    /// dropped, or if it is polled for another number of permits.
    ///
    /// # Panics
    ///
    /// Possibly if more than 2<sup>59</sup> permits are waited for.
    ///
    /// # Examples
    ///
    /// A service that takes a permit before it is ready, as `tower`'s `poll_ready` has to:
    ///
    /// ```
    /// use std::task::{Context, Poll, ready};
    /// use semafair::{OwnedSemaphorePermit, PollSemaphore};
    ///
    /// struct Service {
    ///     semaphore: PollSemaphore,
    ///     permit: Option<OwnedSemaphorePermit>,
    /// }
    ///
    /// impl Service {
    ///     fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
    ///         if self.permit.is_none() {
    ///             self.permit = ready!(self.semaphore.poll_acquire(cx));
    ///         }
    ///         Poll::Ready(())
    ///     }
    /// }
    /// # use std::sync::Arc;
    /// # let semaphore = PollSemaphore::new(Arc::new(semafair::Semaphore::new(1)));
    /// # let mut service = Service { semaphore, permit: None };
    /// # let mut cx = Context::from_waker(std::task::Waker::noop());
    /// # assert!(service.poll_ready(&mut cx).is_ready());
    /// # assert!(service.permit.is_some());
    /// ```
    #[track_caller]
    pub fn poll_acquire(&mut self, cx: &mut Context<'_>) -> Poll<Option<OwnedSemaphorePermit>> {
        self.poll_acquire_many(cx, 1)
    }

    /// Polls for the given number of permits.
    ///
    /// - `Pending`: they are not there yet. The waker of the latest call is woken when they are granted or
    ///   the semaphore is closed.
    /// - `Ready(Some(_))`: the permits, in one guard. The next call is a new request.
    /// - `Ready(None)`: the semaphore is closed.
    ///
    /// # Cancel safety
    ///
    /// The request stays pending between calls, and keeps its place in the line. It is given up if `self` is
    /// dropped, or if this is called with another number. Then a new request starts at the end of the line.
    ///
    /// # Panics
    ///
    /// If `permits` exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit machines only, and
    /// possibly if more than 2<sup>59</sup> permits are waited for.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use std::future::poll_fn;
    /// use std::sync::Arc;
    /// use semafair::{PollSemaphore, Semaphore};
    ///
    /// let mut semaphore = PollSemaphore::new(Arc::new(Semaphore::new(3)));
    /// let permits = poll_fn(|cx| semaphore.poll_acquire_many(cx, 2)).await.unwrap();
    /// assert_eq!(permits.num_permits(), 2);
    /// # }
    /// ```
    #[track_caller]
    pub fn poll_acquire_many(
        &mut self,
        cx: &mut Context<'_>,
        permits: u32,
    ) -> Poll<Option<OwnedSemaphorePermit>> {
        if self.pending.as_ref().is_some_and(|(asked, _)| *asked != permits) {
            self.pending = None;
        }
        let (_, request) = self
            .pending
            .get_or_insert_with(|| (permits, self.semaphore.clone().acquire_many_owned(permits)));
        // If a waker panics in it, the request is not over: the next call polls it again.
        let result = ready!(Pin::new(request).poll(cx));
        self.pending = None;
        Poll::Ready(result.ok())
    }

    /// Returns the number of free permits. It is zero while somebody waits.
    #[must_use]
    pub fn available_permits(&self) -> usize {
        self.semaphore.available_permits()
    }

    /// Adds `n` new permits, and wakes the waiters that have all they asked for by that.
    ///
    /// # Panics
    ///
    /// - If more than [`Semaphore::MAX_PERMITS`] permits would be free. Nothing has changed then.
    /// - If a waker panics. All permits were added then, and all other waiters were woken.
    #[track_caller]
    pub fn add_permits(&self, n: usize) {
        self.semaphore.add_permits(n);
    }
}

#[cfg(feature = "stream")]
impl futures_core::Stream for PollSemaphore {
    type Item = OwnedSemaphorePermit;

    #[track_caller]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_acquire(cx)
    }
}

/// The clone polls the same semaphore. It has no pending request.
impl Clone for PollSemaphore {
    fn clone(&self) -> Self {
        Self::new(self.clone_inner())
    }
}

impl fmt::Debug for PollSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollSemaphore").field("semaphore", &self.semaphore).finish_non_exhaustive()
    }
}

impl AsRef<Semaphore> for PollSemaphore {
    fn as_ref(&self) -> &Semaphore {
        &self.semaphore
    }
}
