//! A semaphore to be polled by hand, for those who write futures and services themselves.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::sync::Arc;

use crate::acquire::AcquireOwned;
use crate::permit::OwnedSemaphorePermit;
use crate::semaphore::Semaphore;

/// A [`Semaphore`] with a `poll_acquire` method, and with the one request that it polls inside.
///
/// It has the interface of `tokio_util::sync::PollSemaphore`, and allocates nothing: the request
/// is a field. With the feature `stream` it is a `Stream` of permits.
///
/// # Cancel safety
///
/// Dropping it, or taking the semaphore out of it, gives up the place of a pending request and
/// hands on what it had, as dropping [`AcquireOwned`] does.
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

    /// Closes the semaphore, as [`Semaphore::close`] does.
    ///
    /// # Panics
    ///
    /// Where that does.
    pub fn close(&self) {
        self.semaphore.close();
    }

    /// Returns the semaphore, for others to use.
    #[must_use]
    pub fn clone_inner(&self) -> Arc<Semaphore> {
        self.semaphore.clone()
    }

    /// Returns the semaphore, and gives up the place of a pending request.
    #[must_use]
    pub fn into_inner(self) -> Arc<Semaphore> {
        self.semaphore
    }

    /// Polls for a permit. It is [`poll_acquire_many`](Self::poll_acquire_many) of one.
    ///
    /// # Cancel safety
    ///
    /// As [`poll_acquire_many`](Self::poll_acquire_many).
    ///
    /// # Panics
    ///
    /// Where [`poll_acquire_many`](Self::poll_acquire_many) does.
    #[track_caller]
    pub fn poll_acquire(&mut self, cx: &mut Context<'_>) -> Poll<Option<OwnedSemaphorePermit>> {
        self.poll_acquire_many(cx, 1)
    }

    /// Polls for `permits` permits.
    ///
    /// - `Pending`: not yet. The waker of the latest call is woken when they are there, or when the
    ///   semaphore is closed. The request keeps its place in the line until then.
    /// - `Ready(Some(_))`: here they are. The next call is a new request.
    /// - `Ready(None)`: the semaphore is closed.
    ///
    /// # Cancel safety
    ///
    /// The request stays pending between calls: whoever stops to poll keeps its place, until this is
    /// dropped or called with another number. Then that request is given up with its place, and a
    /// new one is made at the end of the line.
    ///
    /// # Panics
    ///
    /// Where [`Semaphore::acquire_many`] does.
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
        // A request is over, and still there, where user code panicked as it ended.
        if self
            .pending
            .as_ref()
            .is_some_and(|(asked, request)| *asked != permits || request.is_over())
        {
            self.pending = None;
        }
        let (_, request) = self
            .pending
            .get_or_insert_with(|| (permits, self.semaphore.clone().acquire_many_owned(permits)));
        let result = ready!(Pin::new(request).poll(cx));
        self.pending = None;
        Poll::Ready(result.ok())
    }

    /// Returns the number of free permits, as [`Semaphore::available_permits`] does.
    #[must_use]
    pub fn available_permits(&self) -> usize {
        self.semaphore.available_permits()
    }

    /// Adds permits, as [`Semaphore::add_permits`] does.
    ///
    /// # Panics
    ///
    /// Where that does.
    #[track_caller]
    pub fn add_permits(&self, n: usize) {
        self.semaphore.add_permits(n);
    }
}

#[cfg(feature = "stream")]
impl futures_core::Stream for PollSemaphore {
    type Item = OwnedSemaphorePermit;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_acquire(cx)
    }
}

/// The clone is of the semaphore alone; it has no pending request.
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
