//! How long a call keeps its permit.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::permit::OwnedSemaphorePermit;

/// How long a call keeps its permit, as a type: [`UntilResponse`] or [`UntilBodyEnds`].
///
/// A type of your own can keep the permit in a response that is not one of HTTP.
///
/// # Examples
///
/// ```
/// use semafair::OwnedSemaphorePermit;
/// use semafair::tower::Hold;
///
/// /// Until the caller has dropped the response.
/// struct UntilDropped;
///
/// impl<T> Hold<T> for UntilDropped {
///     type Response = (T, OwnedSemaphorePermit);
///
///     fn hold(response: T, permit: OwnedSemaphorePermit) -> Self::Response {
///         (response, permit)
///     }
/// }
/// # let semaphore = std::sync::Arc::new(semafair::Semaphore::new(1));
/// # let permit = semaphore.clone().try_acquire_owned().unwrap();
/// # let held = UntilDropped::hold(7, permit);
/// # assert_eq!(semaphore.available_permits(), 0);
/// # drop(held);
/// # assert_eq!(semaphore.available_permits(), 1);
/// ```
pub trait Hold<T> {
    /// What the caller gets for a response of the type `T`.
    type Response;

    /// Is called when the service has answered, with its response and the permit of the call.
    ///
    /// The future of the service was dropped before.
    fn hold(response: T, permit: OwnedSemaphorePermit) -> Self::Response;
}

/// A call keeps its permit until the service has answered.
#[derive(Clone, Copy, Debug, Default)]
pub struct UntilResponse;

impl<T> Hold<T> for UntilResponse {
    type Response = T;

    fn hold(response: T, permit: OwnedSemaphorePermit) -> T {
        drop(permit);
        response
    }
}

/// A call keeps its permit until the body of the response ends or is dropped.
#[derive(Clone, Copy, Debug, Default)]
pub struct UntilBodyEnds;

impl<B: Body> Hold<Response<B>> for UntilBodyEnds {
    type Response = Response<PermitBody<B>>;

    fn hold(response: Response<B>, permit: OwnedSemaphorePermit) -> Self::Response {
        response.map(|body| PermitBody::new(body, permit))
    }
}

pin_project! {
    /// The body of a response, with the permit of its call.
    ///
    /// The permit goes back when
    ///
    /// - the body has returned its end, which is `None`;
    /// - or says that it has ended ([`Body::is_end_stream`]), after a frame or, if it is empty, at once;
    /// - or is dropped, and then after the body inside is dropped.
    ///
    /// An error is no end: whoever has seen it drops the body. A client that reads slowly keeps the permit for
    /// as long as it reads, so set a time-out.
    ///
    /// # Examples
    ///
    /// See [`ConcurrencyLimitLayer::until_body_ends`](super::ConcurrencyLimitLayer::until_body_ends).
    pub struct PermitBody<B> {
        // The fields are dropped in this order.
        #[pin]
        body: B,
        // `None` once the body has ended.
        permit: Option<OwnedSemaphorePermit>,
    }
}

impl<B: Body> PermitBody<B> {
    /// Lets `body` keep `permit`.
    #[must_use]
    pub fn new(body: B, permit: OwnedSemaphorePermit) -> Self {
        let permit = if body.is_end_stream() { None } else { Some(permit) };
        Self { body, permit }
    }
}

impl<B: Body> Body for PermitBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        if frame.is_none() || this.body.is_end_stream() {
            drop(this.permit.take());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> fmt::Debug for PermitBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PermitBody").field("permit", &self.permit).finish_non_exhaustive()
    }
}
