//! The layer for tower: readiness takes no permit, calls are served in their order, and a permit is kept for
//! as long as was said.

mod body;
mod ported;
mod starvation;

use std::cell::RefCell;
use std::convert::Infallible;
use std::error::Error as _;
use std::future::{Future, pending, ready};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use semafair::tower::{ConcurrencyLimit, ConcurrencyLimitLayer, Error, Hold, Weight};
use semafair::{OwnedSemaphorePermit, Semaphore};
use tokio::sync::oneshot;
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok};
use tower::{Layer, Service, ServiceBuilder, service_fn};

use crate::support::{panic_of, served, wait, waits, watch};

/// A request that is answered by hand.
struct Request {
    id: u32,
    answer: oneshot::Receiver<u32>,
}

type Answer = oneshot::Sender<u32>;

fn request(id: u32) -> (Answer, Request) {
    let (sender, answer) = oneshot::channel();
    (sender, Request { id, answer })
}

/// The requests that the service was called with, in order.
type Calls = Rc<RefCell<Vec<u32>>>;

/// A service whose calls are seen, and answered by hand. A request without an answer any more fails.
fn by_hand()
-> (Calls, impl Service<Request, Response = u32, Error = io::Error, Future = impl Future> + Clone) {
    let calls = Calls::default();
    let seen = Rc::clone(&calls);
    let service = service_fn(move |request: Request| {
        seen.borrow_mut().push(request.id);
        async move { request.answer.await.map_err(io::Error::other) }
    });
    (calls, service)
}

/// A request, and its call through `service`.
macro_rules! call {
    ($service:expr, $id:expr) => {{
        watch();
        let (answer, request) = request($id);
        (answer, spawn($service.call(request)))
    }};
}

#[test]
fn the_line_is_in_the_order_of_the_calls() {
    let (calls, inner) = by_hand();
    let mut service = ConcurrencyLimit::new(inner, 1);
    let mut clone = service.clone();
    let (a1, mut first) = call!(service, 1);
    let (_a2, mut second) = call!(clone, 2);
    let (_a3, mut third) = call!(service, 3);
    assert_eq!(service.semaphore().status().queued, 2);
    // Polled in another order, which does not matter.
    assert_pending!(third.poll());
    assert_pending!(second.poll());
    assert_pending!(first.poll());
    assert_eq!(*calls.borrow(), [1]);
    a1.send(10).unwrap();
    assert_eq!(served(&mut first).unwrap(), 10);
    waits(&mut third);
    assert!(second.is_woken());
    assert_pending!(second.poll());
    assert_eq!(*calls.borrow(), [1, 2]);
}

#[test]
fn a_call_has_its_permit_before_it_is_polled_and_gives_it_back_when_it_is_dropped() {
    let (calls, inner) = by_hand();
    let mut service = ConcurrencyLimit::new(inner, 1);
    let (_a1, first) = call!(service, 1);
    assert_eq!(service.semaphore().available_permits(), 0);
    let (_a2, mut second) = call!(service, 2);
    assert_pending!(second.poll());
    drop(first);
    assert!(second.is_woken());
    assert_pending!(second.poll());
    drop(second);
    assert_eq!(service.semaphore().available_permits(), 1);
    // The first never reached the service.
    assert_eq!(*calls.borrow(), [2]);
}

#[test]
fn dropped_while_it_waits_it_leaves_the_line() {
    let (calls, inner) = by_hand();
    let mut service = ConcurrencyLimit::new(inner, 1);
    let (a1, mut first) = call!(service, 1);
    assert_pending!(first.poll());
    let (_a2, mut second) = call!(service, 2);
    assert_pending!(second.poll());
    let (_a3, mut third) = call!(service, 3);
    assert_pending!(third.poll());
    drop(second);
    a1.send(0).unwrap();
    assert_ready_ok!(first.poll());
    assert!(third.is_woken());
    assert_pending!(third.poll());
    assert_eq!(*calls.borrow(), [1, 3]);
}

#[test]
fn the_caller_keeps_the_semaphore() {
    let semaphore = Arc::new(Semaphore::new(1));
    let layer = ConcurrencyLimitLayer::with_semaphore(Arc::clone(&semaphore));
    assert!(Arc::ptr_eq(layer.semaphore(), &semaphore));
    let (_, inner) = by_hand();
    // Two services of one layer share it.
    let (mut one, mut other) = (layer.layer(inner.clone()), layer.clone().layer(inner));
    assert!(Arc::ptr_eq(one.semaphore(), &semaphore));
    let (a1, mut first) = call!(one, 1);
    assert_pending!(first.poll());
    let (a2, mut second) = call!(other, 2);
    assert_pending!(second.poll());
    // Resized under way.
    semaphore.set_limit(2);
    assert!(second.is_woken());
    assert_pending!(second.poll());
    // And drained: what runs goes on, and nothing new comes.
    semaphore.close();
    let (_a3, mut third) = call!(one, 3);
    let Error::Refused(refused) = assert_ready_err!(third.poll()) else { panic!("not refused") };
    assert!(refused.is_closed());
    a1.send(1).unwrap();
    a2.send(2).unwrap();
    assert_eq!(assert_ready_ok!(first.poll()), 1);
    assert_eq!(assert_ready_ok!(second.poll()), 2);
    assert_eq!(semaphore.outstanding(), 0);
}

#[test]
fn closed_while_it_waits_it_is_refused() {
    let (calls, inner) = by_hand();
    let mut service = ConcurrencyLimit::new(inner, 0);
    let (answer, mut call) = call!(service, 1);
    assert_pending!(call.poll());
    service.semaphore().close();
    let error = served(&mut call).unwrap_err();
    assert!(error.is_refused());
    assert_eq!(error.to_string(), "semaphore closed");
    assert!(calls.borrow().is_empty());
    // The request is gone, though the future is still there.
    assert!(answer.is_closed());
    assert!(panic_of(|| drop(call.poll())).contains("`ResponseFuture` polled after completion"));
}

#[test]
fn a_full_line_is_an_error_at_once() {
    let semaphore = Arc::new(Semaphore::builder(1).queue_limit(1).build());
    let (_, inner) = by_hand();
    let mut service = ConcurrencyLimit::with_semaphore(inner, semaphore);
    let (_a1, mut runs) = call!(service, 1);
    assert_pending!(runs.poll());
    let (_a2, mut queued) = call!(service, 2);
    assert_pending!(queued.poll());
    let (_a3, mut refused) = call!(service, 3);
    let Error::Refused(error) = assert_ready_err!(refused.poll()) else { panic!("not refused") };
    assert!(error.is_queue_full());
}

#[test]
fn fail_fast_does_not_wait_and_overtakes_nobody() {
    let semaphore = Arc::new(Semaphore::builder(2).fail_oversized().build());
    let layer = ConcurrencyLimitLayer::with_semaphore(Arc::clone(&semaphore))
        .fail_fast()
        .weight(|request: &Request| request.id);
    let (calls, inner) = by_hand();
    let mut service = layer.layer(inner);
    let refused = |result: Poll<Result<u32, Error<io::Error>>>| match assert_ready_err!(result) {
        Error::Refused(error) => error,
        Error::Inner(_) => panic!("not refused"),
    };

    let (a1, mut runs) = call!(service, 1);
    assert_pending!(runs.poll());
    let (answer, mut too_many) = call!(service, 2);
    assert!(answer.is_closed(), "the request is dropped at once");
    assert!(refused(too_many.poll()).is_queue_full());
    assert!(refused(call!(service, 3).1.poll()).is_oversized());
    // A permit is free, and somebody else waits.
    let waiter = wait(semaphore.acquire_many(2));
    assert!(refused(call!(service, 1).1.poll()).is_queue_full());
    drop(waiter);
    assert_pending!(call!(service, 1).1.poll());
    a1.send(0).unwrap();
    assert_ready_ok!(runs.poll());
    semaphore.close();
    assert!(refused(call!(service, 1).1.poll()).is_closed());
    assert!(refused(call!(service, 3).1.poll()).is_closed());
    assert_eq!(*calls.borrow(), [1, 1]);
    assert_eq!(semaphore.available_permits(), 2);
}

#[test]
fn weights_are_of_the_request() {
    /// As a type with a name.
    #[derive(Clone)]
    struct Id;

    impl Weight<Request> for Id {
        fn permits(&self, request: &Request) -> u32 {
            request.id
        }
    }

    let (calls, inner) = by_hand();
    let layer = ConcurrencyLimitLayer::new(3).weight_by(Id);
    let mut service = layer.layer(inner);
    let (_a2, mut two) = call!(service, 2);
    assert_pending!(two.poll());
    assert_eq!(layer.semaphore().available_permits(), 1);
    let (_a3, mut three) = call!(service, 3);
    assert_pending!(three.poll());
    // It does not overtake; and nothing is no wait.
    let (_a1, mut one) = call!(service, 1);
    assert_pending!(one.poll());
    let (_a0, mut none) = call!(service, 0);
    assert_pending!(none.poll());
    assert_eq!(*calls.borrow(), [2, 0]);
    drop(two);
    assert!(three.is_woken());
    assert_pending!(three.poll());
    waits(&mut one);
    assert_eq!(*calls.borrow(), [2, 0, 3]);
}

#[test]
fn the_service_is_not_called_before_it_is_its_turn_and_by_the_instance_that_was_ready() {
    /// Panics if it is called without having been ready, as services may.
    struct Strict {
        ready: bool,
    }

    impl Clone for Strict {
        fn clone(&self) -> Self {
            Self { ready: false }
        }
    }

    impl Service<()> for Strict {
        type Response = ();
        type Error = Infallible;
        type Future = std::future::Ready<Result<(), Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            self.ready = true;
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, (): ()) -> Self::Future {
            assert!(self.ready, "called before it was ready");
            ready(Ok(()))
        }
    }

    let mut service = ConcurrencyLimit::new(Strict { ready: false }, 0);
    let cx = &mut Context::from_waker(Waker::noop());
    assert_ready_ok!(service.poll_ready(cx));
    let mut call = wait(service.call(()));
    assert!(!service.get_ref().ready, "what stays is a clone");
    service.semaphore().add_permits(1);
    served(&mut call).unwrap();

    // Refused, it is not called, and stays ready.
    assert_ready_ok!(service.poll_ready(cx));
    service.semaphore().close();
    let layer = ConcurrencyLimitLayer::with_semaphore(Arc::clone(service.semaphore())).fail_fast();
    let mut service = layer.layer(service.into_inner());
    assert!(assert_ready_err!(spawn(service.call(())).poll()).is_refused());
    assert!(service.get_mut().ready);
}

#[test]
fn readiness_and_its_errors_are_those_of_the_service() {
    #[derive(Clone, Debug)]
    struct Readiness(Poll<()>);

    impl Service<()> for Readiness {
        type Response = ();
        type Error = io::Error;
        type Future = std::future::Ready<Result<(), io::Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
            self.0.map(|()| Err(io::Error::other("broken")))
        }

        fn call(&mut self, (): ()) -> Self::Future {
            ready(Ok(()))
        }
    }

    let cx = &mut Context::from_waker(Waker::noop());
    let mut service = ConcurrencyLimit::new(Readiness(Poll::Pending), 1);
    assert_pending!(service.poll_ready(cx));
    let mut service = ConcurrencyLimit::new(Readiness(Poll::Ready(())), 1);
    let Error::Inner(error) = assert_ready_err!(service.poll_ready(cx)) else { panic!("refused") };
    assert_eq!(error.to_string(), "broken");
    assert!(format!("{service:?}").starts_with("ConcurrencyLimit { inner: Readiness(Ready(()))"));
}

/// What the permits are when the future of a service is dropped.
struct Inside {
    semaphore: Arc<Semaphore>,
    free_at_drop: Rc<RefCell<Vec<usize>>>,
    end: fn() -> Poll<Result<(), io::Error>>,
}

impl Future for Inside {
    type Output = Result<(), io::Error>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        (self.end)()
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.free_at_drop.borrow_mut().push(self.semaphore.available_permits());
    }
}

#[test]
fn the_future_of_the_service_is_dropped_before_the_permit_goes_back() {
    watch();
    let semaphore = Arc::new(Semaphore::new(1));
    let free_at_drop = Rc::default();
    let mut service = ConcurrencyLimit::with_semaphore(
        service_fn(|end| Inside {
            semaphore: Arc::clone(&semaphore),
            free_at_drop: Rc::clone(&free_at_drop),
            end,
        }),
        Arc::clone(&semaphore),
    );
    let mut call = |end: fn() -> Poll<Result<(), io::Error>>| spawn(service.call(end));

    // The futures are kept meanwhile: the permit does not wait until they are dropped.
    let mut ok = call(|| Poll::Ready(Ok(())));
    assert_ready_ok!(ok.poll());
    assert_eq!(semaphore.available_permits(), 1);
    let mut failed = call(|| Poll::Ready(Err(io::Error::other("no"))));
    assert!(!assert_ready_err!(failed.poll()).is_refused());
    assert_eq!(semaphore.available_permits(), 1);
    let mut panics = call(|| panic!("mine"));
    assert_eq!(panic_of(|| drop(panics.poll())), "mine");
    assert_eq!(semaphore.available_permits(), 1);
    assert!(panic_of(|| drop(panics.poll())).contains("polled after completion"));
    let mut dropped = call(|| Poll::Pending);
    assert_pending!(dropped.poll());
    drop(dropped);
    assert_eq!(semaphore.available_permits(), 1);
    assert_eq!(*free_at_drop.borrow(), [0; 4]);
}

#[test]
fn a_call_that_panics_gives_back_its_permit() {
    watch();
    let inner = service_fn(|n: u32| {
        assert_ne!(n, 7, "mine");
        ready(Ok::<_, Infallible>(n))
    });
    let mut service = ConcurrencyLimit::new(inner, 1);
    let mut call = spawn(service.call(7));
    assert!(panic_of(|| drop(call.poll())).contains("mine"));
    assert_eq!(service.semaphore().available_permits(), 1);
    assert_eq!(assert_ready_ok!(spawn(service.call(8)).poll()), 8);
}

#[test]
fn a_clone_that_panics_gives_back_its_place() {
    struct Bad;

    impl Clone for Bad {
        fn clone(&self) -> Self {
            panic!("mine")
        }
    }

    impl Service<()> for Bad {
        type Response = ();
        type Error = Infallible;
        type Future = std::future::Pending<Result<(), Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, (): ()) -> Self::Future {
            pending()
        }
    }

    let mut service = ConcurrencyLimit::new(Bad, 1);
    assert_eq!(panic_of(|| drop(service.call(()))), "mine");
    assert_eq!(service.semaphore().available_permits(), 1);
}

#[test]
fn a_permit_may_be_kept_in_any_response() {
    struct InPair;

    impl<T> Hold<T> for InPair {
        type Response = (T, OwnedSemaphorePermit);

        fn hold(response: T, permit: OwnedSemaphorePermit) -> Self::Response {
            (response, permit)
        }
    }

    watch();
    let layer = ConcurrencyLimitLayer::new(1).hold::<InPair>();
    let mut service = layer.layer(service_fn(|n: u32| ready(Ok::<_, Infallible>(n))));
    let (seven, permit) = assert_ready_ok!(spawn(service.call(7)).poll());
    assert_eq!((seven, layer.semaphore().available_permits()), (7, 0));
    drop(permit);
    assert_eq!(layer.semaphore().available_permits(), 1);
}

#[test]
fn errors_say_what_the_error_inside_says() {
    let inside = io::Error::new(io::ErrorKind::NotFound, io::Error::other("deep"));
    let source = inside.source().map(ToString::to_string);
    let error = Error::Inner(inside);
    assert_eq!(error.to_string(), "deep");
    assert_eq!(error.source().map(ToString::to_string), source);
    assert_eq!(error.into_boxed().downcast::<io::Error>().unwrap().kind(), io::ErrorKind::NotFound);

    // Services with boxed errors, as many of tower's are.
    let semaphore = Arc::new(Semaphore::new(0));
    semaphore.close();
    let mut service = ServiceBuilder::new()
        .map_err(Error::into_boxed)
        .layer(ConcurrencyLimitLayer::with_semaphore(semaphore))
        .service(service_fn(|()| ready(Err::<(), tower::BoxError>("no".into()))));
    let error: tower::BoxError = assert_ready_err!(spawn(service.call(())).poll());
    assert!(error.downcast::<semafair::AcquireError>().unwrap().is_closed());
}

/// The future of a call can be sent to another thread if its parts can.
#[test]
fn a_call_can_be_spawned() {
    fn is_send<T: Send + 'static>(_: &T) {}

    let mut service = ConcurrencyLimit::new(service_fn(|()| ready(Ok::<_, Infallible>(()))), 1);
    is_send(&service);
    let call = service.call(());
    is_send(&call);
    assert_ready!(spawn(call).poll()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_runtime_no_more_than_so_many_run() {
    watch();
    let semaphore = Arc::new(Semaphore::new(3));
    let running = Arc::new(AtomicU32::new(0));
    let inner = service_fn(move |weight: u32| {
        let running = Arc::clone(&running);
        async move {
            let before = running.fetch_add(weight, Ordering::SeqCst);
            assert!(before + weight <= 3, "too much runs at a time");
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            running.fetch_sub(weight, Ordering::SeqCst);
            Ok::<_, Infallible>(weight)
        }
    });
    let layer = ConcurrencyLimitLayer::with_semaphore(Arc::clone(&semaphore))
        .weight(|weight: &u32| *weight);
    let service = layer.layer(inner);
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..60 {
        let mut service = service.clone();
        tasks.spawn(async move {
            let call = service.call(i % 3 + 1);
            if i % 5 == 0 {
                drop(call);
            } else {
                assert_eq!(call.await.unwrap(), i % 3 + 1);
            }
        });
    }
    while let Some(end) = tasks.join_next().await {
        end.unwrap();
    }
    assert_eq!(semaphore.available_permits(), 3);
}
