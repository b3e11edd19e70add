//! The future of a call.

use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::error::Error;
use super::hold::Hold;
use crate::acquire::AcquireOwned;
use crate::error::AcquireError;
use crate::permit::OwnedSemaphorePermit;

pin_project! {
    /// The future of a call through a [`ConcurrencyLimit`](super::ConcurrencyLimit).
    ///
    /// It has its place in the line from the start. When it has its permit, it calls the service, and polls
    /// the future of that.
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives up its place in the line; the service was not called then. Or it drops the future of the
    /// service, and then gives back the permit.
    ///
    /// # Panics
    ///
    /// A poll after it returned [`Poll::Ready`] panics, and so does a poll after the service has panicked. A panic
    /// of the service gives back the permit at once.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, R, H>
    where
        S: Service<R>,
    {
        // The fields are dropped in this order.
        // `Some` while the service runs.
        #[pin]
        future: Option<S::Future>,
        // The service, ready, and the request; `None` once they were put together.
        call: Option<(S, R)>,
        admission: Admission,
        hold: PhantomData<fn() -> H>,
    }
}

/// How far a call has come with the semaphore.
#[derive(Debug)]
pub(super) enum Admission {
    Waiting(AcquireOwned),
    Granted(OwnedSemaphorePermit),
    Refused(AcquireError),
    /// The call has ended.
    Over,
}

impl<S: Service<R>, R, H> ResponseFuture<S, R, H> {
    /// Calls `call.0` with `call.1` when the semaphore admits it. `None` is for a call that is refused already.
    pub(super) fn new(admission: Admission, call: Option<(S, R)>) -> Self {
        Self { future: None, call, admission, hold: PhantomData }
    }
}

/// Ends a call when it is dropped: drops the service and its future, and gives back the permit after that,
/// even if one of them panics as it is dropped.
struct End<'p, F, C> {
    future: Pin<&'p mut Option<F>>,
    call: &'p mut Option<C>,
    admission: &'p mut Admission,
}

impl<F, C> Drop for End<'_, F, C> {
    fn drop(&mut self) {
        let _given_back_last = mem::replace(self.admission, Admission::Over);
        let _dropped_second = self.call.take();
        self.future.set(None);
    }
}

impl<S, R, H> Future for ResponseFuture<S, R, H>
where
    S: Service<R>,
    H: Hold<S::Response>,
{
    type Output = Result<H::Response, Error<S::Error>>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        assert!(
            !matches!(this.admission, Admission::Over),
            "`ResponseFuture` polled after completion"
        );
        if let Admission::Waiting(acquire) = this.admission {
            *this.admission = match ready!(Pin::new(acquire).poll(cx)) {
                Ok(permit) => Admission::Granted(permit),
                Err(refused) => Admission::Refused(refused),
            };
        }
        // The caller may keep `self` after a panic, and the permit is not to wait for that.
        let mut end = End { future: this.future, call: this.call, admission: this.admission };
        if matches!(end.admission, Admission::Refused(_)) {
            let Admission::Refused(refused) = mem::replace(end.admission, Admission::Over) else {
                unreachable!("it was refused a moment ago")
            };
            drop(end);
            return Poll::Ready(Err(Error::Refused(refused)));
        }
        if let Some((mut service, request)) = end.call.take() {
            end.future.set(Some(service.call(request)));
        }
        let Some(future) = end.future.as_mut().as_pin_mut() else {
            unreachable!("the service was called")
        };
        match future.poll(cx) {
            Poll::Pending => {
                mem::forget(end);
                Poll::Pending
            }
            Poll::Ready(Err(inner)) => {
                drop(end);
                Poll::Ready(Err(Error::Inner(inner)))
            }
            Poll::Ready(Ok(response)) => {
                let Admission::Granted(permit) = mem::replace(end.admission, Admission::Over)
                else {
                    unreachable!("the service runs under a permit")
                };
                drop(end);
                Poll::Ready(Ok(H::hold(response, permit)))
            }
        }
    }
}

impl<S: Service<R>, R, H> fmt::Debug for ResponseFuture<S, R, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("admission", &self.admission).finish_non_exhaustive()
    }
}
