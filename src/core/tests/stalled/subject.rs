//! What the matrix is about: this crate's semaphore, or another.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::Arc;

use crate::{AcquireBetweenOwned, AcquireOwned, DrainedOwned, OwnedSemaphorePermit, Semaphore};

/// A semaphore whose every step goes through `steps`.
pub(super) trait Subject: Send + Sync + 'static {
    /// A request; `None` if it is refused. Dropped, it is cancelled.
    type Acquire: Future<Output = Option<Self::Permit>> + Send + Unpin;
    /// Permits; dropped, they are released.
    type Permit: Send;
    /// Waits until it is closed and all permits are back.
    type Drained: Future<Output = ()> + Send + Unpin;

    fn new(permits: usize) -> Self;
    fn acquire(self: &Arc<Self>, n: u32) -> Self::Acquire;
    fn acquire_between(self: &Arc<Self>, min: u32, max: u32) -> Self::Acquire;
    /// Asks before the first poll.
    fn enqueue(acquire: &mut Self::Acquire);
    fn try_acquire(self: &Arc<Self>, n: u32) -> Option<Self::Permit>;
    fn add_permits(&self, n: usize);
    fn forget_permits(&self, n: usize) -> usize;
    fn reduce_permits(&self, n: usize) -> usize;
    fn available_permits(&self) -> usize;
    fn close(&self);
    fn drained(self: &Arc<Self>) -> Self::Drained;
}

/// A request without the reason of a refusal.
pub(super) enum Request {
    Many(AcquireOwned),
    Between(AcquireBetweenOwned),
}

impl Future for Request {
    type Output = Option<OwnedSemaphorePermit>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Many(future) => Pin::new(future).poll(cx).map(Result::ok),
            Self::Between(future) => Pin::new(future).poll(cx).map(Result::ok),
        }
    }
}

impl Subject for Semaphore {
    type Acquire = Request;
    type Permit = OwnedSemaphorePermit;
    type Drained = DrainedOwned;

    fn new(permits: usize) -> Self {
        Self::new(permits)
    }

    fn acquire(self: &Arc<Self>, n: u32) -> Self::Acquire {
        Request::Many(self.clone().acquire_many_owned(n))
    }

    fn acquire_between(self: &Arc<Self>, min: u32, max: u32) -> Self::Acquire {
        Request::Between(self.clone().acquire_between_owned(min..=max))
    }

    fn enqueue(acquire: &mut Self::Acquire) {
        match acquire {
            Request::Many(future) => future.enqueue(),
            Request::Between(future) => future.enqueue(),
        }
    }

    fn try_acquire(self: &Arc<Self>, n: u32) -> Option<Self::Permit> {
        self.clone().try_acquire_many_owned(n).ok()
    }

    fn add_permits(&self, n: usize) {
        self.add_permits(n);
    }

    fn forget_permits(&self, n: usize) -> usize {
        self.forget_permits(n)
    }

    fn reduce_permits(&self, n: usize) -> usize {
        self.reduce_permits(n)
    }

    fn available_permits(&self) -> usize {
        self.available_permits()
    }

    fn close(&self) {
        self.close();
    }

    fn drained(self: &Arc<Self>) -> Self::Drained {
        self.clone().drained_owned()
    }
}
