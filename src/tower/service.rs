//! The service that waits for permits.

use core::fmt;
use core::marker::PhantomData;
use core::mem;
use core::task::{Context, Poll};
use std::sync::Arc;

use tower_service::Service;

use super::error::Error;
use super::future::{Admission, ResponseFuture};
use super::hold::{Hold, UntilResponse};
use super::weight::{OnePermit, Weight};
use crate::acquire::refused;
use crate::error::{Reason, TryAcquireError};
use crate::semaphore::Semaphore;

/// A service of which no more calls run at a time than a [`Semaphore`] allows.
///
/// It is made by [`ConcurrencyLimitLayer`](super::ConcurrencyLimitLayer), which has settings, or by [`new`](Self::new) and
/// [`with_semaphore`](Self::with_semaphore). All clones share the semaphore. The [module](super) has the contract.
///
/// `S` has to be `Clone`: each call takes the instance that was polled ready along, and leaves a clone.
///
/// # Errors
///
/// A call fails with [`Error::Refused`] if the semaphore is closed before the permit is granted, or refuses the
/// request for another reason ([`AcquireError`](crate::AcquireError)), and with [`Error::Inner`] if the service
/// fails. `poll_ready` fails with [`Error::Inner`] only.
///
/// # Panics
///
/// `call` panics if the [weight](Weight) exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit
/// machines only, and may panic if more than 2<sup>59</sup> permits are waited for. The service is not called then.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # #[derive(Clone)]
/// # struct Double;
/// # impl tower_service::Service<u32> for Double {
/// #     type Response = u32;
/// #     type Error = std::convert::Infallible;
/// #     type Future = std::future::Ready<Result<u32, Self::Error>>;
/// #     fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
/// #         std::task::Poll::Ready(Ok(()))
/// #     }
/// #     fn call(&mut self, n: u32) -> Self::Future {
/// #         std::future::ready(Ok(2 * n))
/// #     }
/// # }
/// use semafair::tower::ConcurrencyLimit;
/// use tower_service::Service;
///
/// let mut service = ConcurrencyLimit::new(Double, 1);
/// let mut clone = service.clone();
///
/// let first = service.call(1);
/// let second = clone.call(2); // waits in the line from now on
/// assert_eq!(first.await.unwrap(), 2);
/// assert_eq!(second.await.unwrap(), 4);
/// # }
/// ```
pub struct ConcurrencyLimit<S, W = OnePermit, H = UntilResponse> {
    inner: S,
    limit: Limit<W, H>,
}

/// What a layer and its services have in common.
pub(super) struct Limit<W, H> {
    pub(super) semaphore: Arc<Semaphore>,
    pub(super) fail_fast: bool,
    pub(super) weight: W,
    pub(super) hold: PhantomData<fn() -> H>,
}

impl Limit<OnePermit, UntilResponse> {
    pub(super) const fn new(semaphore: Arc<Semaphore>) -> Self {
        Self { semaphore, fail_fast: false, weight: OnePermit, hold: PhantomData }
    }
}

impl<W, H> Limit<W, H> {
    /// Asks the semaphore for `n` permits.
    #[track_caller]
    fn ask(&self, n: u32) -> Admission {
        let semaphore = Arc::clone(&self.semaphore);
        if !self.fail_fast {
            let mut acquire = semaphore.acquire_many_owned(n);
            acquire.enqueue();
            return Admission::Waiting(acquire);
        }
        let reason = match semaphore.try_acquire_many_owned(n) {
            Ok(permit) => return Admission::Granted(permit),
            Err(TryAcquireError::Closed) => Reason::Closed,
            Err(TryAcquireError::NoPermits) if self.semaphore.core.is_oversized(n) => {
                Reason::Oversized
            }
            Err(TryAcquireError::NoPermits) => Reason::QueueFull,
        };
        Admission::Refused(refused(&self.semaphore, reason))
    }
}

impl<S> ConcurrencyLimit<S> {
    /// Limits `inner` to `max` calls at a time.
    ///
    /// # Panics
    ///
    /// If `max` exceeds [`Semaphore::MAX_PERMITS`].
    #[must_use]
    #[track_caller]
    pub fn new(inner: S, max: usize) -> Self {
        Self::with_semaphore(inner, Arc::new(Semaphore::new(max)))
    }

    /// Lets each call of `inner` take a permit of `semaphore`, which others may use, too.
    #[must_use]
    pub const fn with_semaphore(inner: S, semaphore: Arc<Semaphore>) -> Self {
        Self { inner, limit: Limit::new(semaphore) }
    }
}

impl<S, W, H> ConcurrencyLimit<S, W, H> {
    pub(super) const fn with_limit(inner: S, limit: Limit<W, H>) -> Self {
        Self { inner, limit }
    }

    /// Returns the semaphore that all clones share.
    #[must_use]
    pub const fn semaphore(&self) -> &Arc<Semaphore> {
        &self.limit.semaphore
    }

    /// Returns a reference to the service inside.
    #[must_use]
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the service inside.
    #[must_use]
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the service inside.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, R, W, H> Service<R> for ConcurrencyLimit<S, W, H>
where
    S: Service<R> + Clone,
    W: Weight<R>,
    H: Hold<S::Response>,
{
    type Response = H::Response;
    type Error = Error<S::Error>;
    type Future = ResponseFuture<S, R, H>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Error::Inner)
    }

    #[track_caller]
    fn call(&mut self, request: R) -> Self::Future {
        let admission = self.limit.ask(self.limit.weight.permits(&request));
        let call = match admission {
            Admission::Refused(_) => None,
            _ => {
                let clone = self.inner.clone();
                // The instance that is ready, since its clone need not be.
                let ready = mem::replace(&mut self.inner, clone);
                Some((ready, request))
            }
        };
        ResponseFuture::new(admission, call)
    }
}

impl<S: Clone, W: Clone, H> Clone for ConcurrencyLimit<S, W, H> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), limit: self.limit.clone() }
    }
}

impl<S: fmt::Debug, W, H> fmt::Debug for ConcurrencyLimit<S, W, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyLimit")
            .field("inner", &self.inner)
            .field("semaphore", &self.limit.semaphore)
            .field("fail_fast", &self.limit.fail_fast)
            .finish_non_exhaustive()
    }
}

impl<W: Clone, H> Clone for Limit<W, H> {
    fn clone(&self) -> Self {
        Self {
            semaphore: Arc::clone(&self.semaphore),
            fail_fast: self.fail_fast,
            weight: self.weight.clone(),
            hold: PhantomData,
        }
    }
}
