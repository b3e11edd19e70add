//! The layer, and its settings.

use core::fmt;
use core::marker::PhantomData;
use std::sync::Arc;

use tower_layer::Layer;

use super::hold::{UntilBodyEnds, UntilResponse};
use super::service::{ConcurrencyLimit, Limit};
use super::weight::{OnePermit, Weight};
use crate::semaphore::Semaphore;

/// Limits how many calls of a service run at a time.
///
/// All services that it makes, and all their clones, share one [`Semaphore`]. The [module](super) has the contract.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # #[derive(Clone)]
/// # struct Echo;
/// # impl tower_service::Service<Vec<u8>> for Echo {
/// #     type Response = Vec<u8>;
/// #     type Error = std::convert::Infallible;
/// #     type Future = std::future::Ready<Result<Vec<u8>, Self::Error>>;
/// #     fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
/// #         std::task::Poll::Ready(Ok(()))
/// #     }
/// #     fn call(&mut self, request: Vec<u8>) -> Self::Future {
/// #         std::future::ready(Ok(request))
/// #     }
/// # }
/// use semafair::tower::ConcurrencyLimitLayer;
/// use tower_layer::Layer;
/// use tower_service::Service;
///
/// // No more than 1000 bytes at a time, and nobody waits.
/// let layer = ConcurrencyLimitLayer::new(1000)
///     .weight(|request: &Vec<u8>| u32::try_from(request.len()).unwrap_or(u32::MAX))
///     .fail_fast();
/// let mut service = layer.layer(Echo);
///
/// let call = service.call(vec![0; 600]);
/// assert_eq!(layer.semaphore().available_permits(), 400);
/// assert!(service.call(vec![0; 600]).await.unwrap_err().is_refused());
/// assert!(call.await.is_ok());
/// # }
/// ```
#[must_use = "a layer does nothing unless it is applied to a service"]
pub struct ConcurrencyLimitLayer<W = OnePermit, H = UntilResponse> {
    limit: Limit<W, H>,
}

impl ConcurrencyLimitLayer {
    /// Makes a layer with a semaphore of its own, for `max` calls at a time.
    ///
    /// # Panics
    ///
    /// If `max` exceeds [`Semaphore::MAX_PERMITS`].
    #[track_caller]
    pub fn new(max: usize) -> Self {
        Self::with_semaphore(Arc::new(Semaphore::new(max)))
    }

    /// Makes a layer with this semaphore, which others may use, too.
    ///
    /// # Examples
    ///
    /// Calls of a service and other work under one limit:
    ///
    /// ```
    /// use std::sync::Arc;
    /// use semafair::Semaphore;
    /// use semafair::tower::ConcurrencyLimitLayer;
    ///
    /// let semaphore = Arc::new(Semaphore::builder(16).queue_limit(1000).name("backend").build());
    /// let layer = ConcurrencyLimitLayer::with_semaphore(semaphore.clone());
    /// let _permit = semaphore.try_acquire();
    /// # drop(layer);
    /// ```
    pub const fn with_semaphore(semaphore: Arc<Semaphore>) -> Self {
        Self { limit: Limit::new(semaphore) }
    }
}

impl<W, H> ConcurrencyLimitLayer<W, H> {
    /// Returns the semaphore that all services of this layer share.
    #[must_use]
    pub const fn semaphore(&self) -> &Arc<Semaphore> {
        &self.limit.semaphore
    }

    /// Refuses a call at once if its permits are not free, or somebody waits.
    ///
    /// `call` decides it. The error is [`Error::Refused`](super::Error::Refused), and
    /// [`is_queue_full`](crate::AcquireError::is_queue_full) holds for it: there is no line to wait in. If the
    /// semaphore was told to refuse requests that exceed its limit,
    /// [`is_oversized`](crate::AcquireError::is_oversized) holds for those. A refused call neither clones nor calls the service
    /// inside.
    ///
    /// To let a bounded number wait, do not use this, but a semaphore with a
    /// [bounded line](crate::Builder::queue_limit).
    pub fn fail_fast(mut self) -> Self {
        self.limit.fail_fast = true;
        self
    }

    /// Lets each request take as many permits as `weight` says. Without it, each takes one.
    ///
    /// The argument of a closure needs its type: `|request: &Request| …`. With a weight of 0 a request does not
    /// wait, even behind others. If a weight exceeds the permits that there will ever be, the request waits
    /// for ever, and so do all behind it: cut it to the limit, or use
    /// [`Builder::fail_oversized`](crate::Builder::fail_oversized).
    pub fn weight<R, F: Fn(&R) -> u32>(self, weight: F) -> ConcurrencyLimitLayer<F, H> {
        self.weight_by::<R, F>(weight)
    }

    /// Lets each request take as many permits as a [`Weight`] says, which may be a type of your own.
    ///
    /// [`weight`](Self::weight) is for functions, and says more.
    pub fn weight_by<R, V: Weight<R>>(self, weight: V) -> ConcurrencyLimitLayer<V, H> {
        let Limit { semaphore, fail_fast, weight: _, hold } = self.limit;
        ConcurrencyLimitLayer { limit: Limit { semaphore, fail_fast, weight, hold } }
    }

    /// Lets each call keep its permit until the body of the response has ended or is dropped.
    ///
    /// Without it, the permit goes back when the service has answered, and the body may still be on its way then. The
    /// service has to return an `http::Response`, whose body becomes a [`PermitBody`](super::PermitBody).
    /// An empty body keeps no permit. A body that nobody reads keeps its permit until it is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # #[derive(Clone)]
    /// # struct Greet;
    /// # impl tower_service::Service<http::Request<()>> for Greet {
    /// #     type Response = http::Response<String>;
    /// #     type Error = std::convert::Infallible;
    /// #     type Future = std::future::Ready<Result<Self::Response, Self::Error>>;
    /// #     fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
    /// #         std::task::Poll::Ready(Ok(()))
    /// #     }
    /// #     fn call(&mut self, _: http::Request<()>) -> Self::Future {
    /// #         std::future::ready(Ok(http::Response::new("hello".to_owned())))
    /// #     }
    /// # }
    /// use semafair::tower::ConcurrencyLimitLayer;
    /// use tower_layer::Layer;
    /// use tower_service::Service;
    ///
    /// let layer = ConcurrencyLimitLayer::new(1).until_body_ends();
    /// let mut service = layer.layer(Greet);
    /// let response = service.call(http::Request::new(())).await.unwrap();
    /// assert_eq!(layer.semaphore().available_permits(), 0);
    /// drop(response);
    /// assert_eq!(layer.semaphore().available_permits(), 1);
    /// # }
    /// ```
    pub fn until_body_ends(self) -> ConcurrencyLimitLayer<W, UntilBodyEnds> {
        self.hold()
    }

    /// Lets each call keep its permit for as long as a [`Hold`](super::Hold) says, which may be a type of your own.
    ///
    /// It is given as a type: `layer.hold::<UntilResponse>()`.
    pub fn hold<H2>(self) -> ConcurrencyLimitLayer<W, H2> {
        let Limit { semaphore, fail_fast, weight, hold: _ } = self.limit;
        ConcurrencyLimitLayer { limit: Limit { semaphore, fail_fast, weight, hold: PhantomData } }
    }
}

impl<S, W: Clone, H> Layer<S> for ConcurrencyLimitLayer<W, H> {
    type Service = ConcurrencyLimit<S, W, H>;

    fn layer(&self, inner: S) -> Self::Service {
        ConcurrencyLimit::with_limit(inner, self.limit.clone())
    }
}

impl<W: Clone, H> Clone for ConcurrencyLimitLayer<W, H> {
    fn clone(&self) -> Self {
        Self { limit: self.limit.clone() }
    }
}

impl<W, H> fmt::Debug for ConcurrencyLimitLayer<W, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyLimitLayer")
            .field("semaphore", &self.limit.semaphore)
            .field("fail_fast", &self.limit.fail_fast)
            .finish_non_exhaustive()
    }
}
