//! A layer for [tower](https://docs.rs/tower) that limits how many calls of a service run at a time.
//!
//! [`ConcurrencyLimitLayer`] makes a [`ConcurrencyLimit`] of a service. All its clones share one [`Semaphore`], which
//! the caller can keep: to change the limit, to look at it, or to close it and wait until all calls are over.
//!
//! # The contract
//!
//! - **Readiness takes no permit.** `poll_ready` asks the service inside, and nothing else. So a clone that was
//!   polled ready, and is never called, keeps nobody waiting.
//! - **Calls are served in order.** `call` takes the place in the line at once. Its future waits for the permit, and
//!   then calls the service inside, with the instance that was polled ready.
//! - **The permit is kept** until the service has answered, or until the [body of its answer
//!   ends](ConcurrencyLimitLayer::until_body_ends). The future of the service is dropped before the permit
//!   goes back.
//! - **Errors.** [`Error::Refused`] if the semaphore is closed, or refuses the request for another reason.
//!   [`Error::Inner`] has the error of the service.
//!
//! # Cancel safety
//!
//! Dropping the future of a call gives up its place in the line, or drops the future of the service and then
//! gives back the permit. If it still waited, the service was never called.
//!
//! # Differences from tower's own layer
//!
//! The layer of the same name in `tower::limit` takes the permit in `poll_ready`. It is kept by the clone until that
//! is called or dropped, and this has two traps:
//!
//! - **Idle clones.** A server may have a clone for each connection, and poll it ready before there is a
//!   request. As many idle connections as there are permits stop all others. Here they have no permit.
//! - **`LoadShed`.** It polls the service once for each request, and answers with an error if it is not ready. The clone
//!   stays in the line. The next free permit goes to that clone, although its request is gone. Here a clone is
//!   ready if the service inside is, so `LoadShed` sheds nothing because of the limit. Use
//!   [`fail_fast`](ConcurrencyLimitLayer::fail_fast), or a [bounded line](crate::Builder::queue_limit).
//!
//! What this costs: `poll_ready` no longer holds callers back while all permits are taken. Each call that waits
//! keeps its request in memory. Bound the line if there may be many. And the service has to be `Clone`.
//!
//! All services that one layer makes share one limit, as with tower's `GlobalConcurrencyLimitLayer`. For a limit of its
//! own, give each service a layer of its own.
//!
//! # Traps
//!
//! - **A future that nobody polls.** A permit goes straight to the next in line. A call whose future is kept, and not
//!   polled, keeps its permit. Poll it, or drop it.
//! - **A limit within itself.** A call that waits for another call of the same limit may wait for ever: it has the permit that
//!   the other needs. Use two semaphores.
//! - **Readiness of the service inside.** If that reserves something when it is ready (`tower::buffer` does), an idle
//!   clone keeps that. Put such a service outside this layer.
//!
//! # Examples
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use std::convert::Infallible;
//! use std::future::{Ready, ready};
//! use std::sync::Arc;
//! use std::task::{Context, Poll};
//! use semafair::Semaphore;
//! use semafair::tower::ConcurrencyLimitLayer;
//! use tower_layer::Layer;
//! use tower_service::Service;
//!
//! #[derive(Clone)]
//! struct Double;
//!
//! impl Service<u32> for Double {
//!     type Response = u32;
//!     type Error = Infallible;
//!     type Future = Ready<Result<u32, Infallible>>;
//!
//!     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
//!         Poll::Ready(Ok(()))
//!     }
//!
//!     fn call(&mut self, n: u32) -> Self::Future {
//!         ready(Ok(2 * n))
//!     }
//! }
//!
//! // With tower: `ServiceBuilder::new().layer(layer).service(Double)`.
//! let semaphore = Arc::new(Semaphore::builder(8).queue_limit(100).build());
//! let layer = ConcurrencyLimitLayer::with_semaphore(semaphore.clone());
//! let mut service = layer.layer(Double);
//!
//! let call = service.call(21);
//! assert_eq!(semaphore.available_permits(), 7);
//! assert_eq!(call.await.unwrap(), 42);
//! assert_eq!(semaphore.available_permits(), 8);
//!
//! semaphore.set_limit(4); // for all clones, at once
//!
//! semaphore.close(); // no more calls
//! assert!(service.call(1).await.unwrap_err().is_refused());
//! # }
//! ```
//!
//! [`Semaphore`]: crate::Semaphore

mod error;
mod future;
mod hold;
mod layer;
mod service;
mod weight;

pub use self::error::Error;
pub use self::future::ResponseFuture;
pub use self::hold::{Hold, PermitBody, UntilBodyEnds, UntilResponse};
pub use self::layer::ConcurrencyLimitLayer;
pub use self::service::ConcurrencyLimit;
pub use self::weight::{OnePermit, Weight};
