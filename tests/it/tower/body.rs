//! A permit that is kept until the body of the response ends, or is dropped.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use http::Response;
use http_body::{Body, Frame, SizeHint};
use semafair::Semaphore;
use semafair::tower::{ConcurrencyLimitLayer, PermitBody};
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready_ok};
use tower::{Layer, Service, service_fn};

use crate::support::{served, wait, waits, watch};

/// What a body gives when it is polled: a frame, an error, its end or nothing yet.
#[derive(Clone, Copy)]
enum Step {
    Frame,
    Error,
    End,
    Pending,
}

/// Gives its steps, and then its end.
struct Steps {
    steps: Vec<Step>,
    /// Whether it says that it has ended when there are no more steps.
    says_so: bool,
    /// When it is dropped: how many permits were free.
    free_at_drop: Rc<Cell<Option<usize>>>,
    semaphore: Arc<Semaphore>,
}

impl Body for Steps {
    type Data = &'static [u8];
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<&'static [u8]>, &'static str>>> {
        if self.steps.is_empty() {
            return Poll::Ready(None);
        }
        match self.steps.remove(0) {
            Step::Frame => Poll::Ready(Some(Ok(Frame::data(b"frame")))),
            Step::Error => Poll::Ready(Some(Err("broken"))),
            Step::End => Poll::Ready(None),
            Step::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.says_so && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.steps.len() as u64)
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.free_at_drop.set(Some(self.semaphore.available_permits()));
    }
}

/// The head has come, and this is the body.
struct Answered {
    semaphore: Arc<Semaphore>,
    body: Pin<Box<PermitBody<Steps>>>,
    free_at_drop: Rc<Cell<Option<usize>>>,
}

impl Answered {
    fn with(steps: &[Step], says_so: bool) -> Self {
        watch();
        let semaphore = Arc::new(Semaphore::new(1));
        let layer = ConcurrencyLimitLayer::with_semaphore(Arc::clone(&semaphore)).until_body_ends();
        let free_at_drop = Rc::default();
        let mut service = layer.layer(service_fn(|steps: Vec<Step>| {
            ready(Ok::<_, Infallible>(Response::new(Steps {
                steps,
                says_so,
                free_at_drop: Rc::clone(&free_at_drop),
                semaphore: Arc::clone(&semaphore),
            })))
        }));
        let response = assert_ready_ok!(spawn(service.call(steps.to_vec())).poll());
        assert_eq!(response.status(), 200);
        let body = Box::pin(response.into_body());
        drop(service);
        Self { semaphore, body, free_at_drop }
    }

    fn free(&self) -> usize {
        self.semaphore.available_permits()
    }

    /// Polls the body, and says what came, as in `Step`.
    fn poll(&mut self) -> &'static str {
        match self.body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => "pending",
            Poll::Ready(None) => "end",
            Poll::Ready(Some(Ok(frame))) => {
                std::str::from_utf8(frame.into_data().unwrap()).unwrap()
            }
            Poll::Ready(Some(Err(error))) => error,
        }
    }
}

#[test]
fn the_permit_is_kept_until_the_body_has_ended() {
    let mut answered = Answered::with(&[Step::Frame, Step::Pending, Step::Frame], false);
    assert_eq!(answered.body.size_hint().exact(), Some(3));
    let mut behind = wait(Arc::clone(&answered.semaphore).acquire_owned());
    for step in ["frame", "pending", "frame"] {
        assert_eq!(answered.poll(), step);
        waits(&mut behind);
    }
    assert!(!answered.body.is_end_stream());
    assert_eq!(answered.poll(), "end");
    drop(served(&mut behind).unwrap());
    // Kept, and polled on: nothing more goes back.
    assert_eq!(answered.poll(), "end");
    assert_eq!(answered.free(), 1);
    assert_eq!(answered.free_at_drop.get(), None);
}

#[test]
fn or_until_it_says_that_it_has_ended() {
    let mut answered = Answered::with(&[Step::Frame, Step::Frame], true);
    assert_eq!((answered.poll(), answered.free()), ("frame", 0));
    assert_eq!((answered.poll(), answered.free()), ("frame", 1));
    assert!(answered.body.is_end_stream());
}

#[test]
fn an_empty_body_keeps_nothing() {
    let answered = Answered::with(&[], true);
    assert_eq!(answered.free(), 1);
    // But only if it says so.
    let answered = Answered::with(&[Step::End], false);
    assert_eq!(answered.free(), 0);
}

#[test]
fn dropped_it_gives_back_the_permit_after_the_body() {
    let mut answered = Answered::with(&[Step::Frame; 3], false);
    assert_eq!((answered.poll(), answered.free()), ("frame", 0));
    let Answered { semaphore, body, free_at_drop } = answered;
    drop(body);
    assert_eq!(free_at_drop.get(), Some(0));
    assert_eq!(semaphore.available_permits(), 1);
}

#[test]
fn an_error_is_no_end() {
    let mut answered = Answered::with(&[Step::Error, Step::Frame], false);
    assert_eq!((answered.poll(), answered.free()), ("broken", 0));
    assert_eq!((answered.poll(), answered.free()), ("frame", 0));
    assert_eq!((answered.poll(), answered.free()), ("end", 1));
}

/// A service whose error comes before any body.
#[test]
fn without_a_response_there_is_no_body_to_wait_for() {
    #[derive(Clone)]
    struct Fails;

    impl Service<()> for Fails {
        type Response = Response<String>;
        type Error = &'static str;
        type Future = Ready<Result<Response<String>, &'static str>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, (): ()) -> Self::Future {
            ready(Err("no"))
        }
    }

    let layer = ConcurrencyLimitLayer::new(1).until_body_ends();
    let mut call = spawn(layer.layer(Fails).call(()));
    assert!(call.poll().is_ready());
    assert_eq!(layer.semaphore().available_permits(), 1);
    let mut dropped = spawn(
        layer
            .layer(service_fn(|()| async {
                std::future::pending::<()>().await;
                Ok::<_, Infallible>(Response::new(String::new()))
            }))
            .call(()),
    );
    assert_pending!(dropped.poll());
    assert_eq!(layer.semaphore().available_permits(), 0);
    drop(dropped);
    assert_eq!(layer.semaphore().available_permits(), 1);
}
