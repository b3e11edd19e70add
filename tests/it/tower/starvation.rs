//! Clones that are ready, and are not called, keep nobody waiting. tower's own layer fails each of these, which shows
//! that the tests can fail.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll, Waker};

use semafair::tower::{ConcurrencyLimit, ConcurrencyLimitLayer};
use tokio_test::assert_pending;
use tokio_test::task::spawn;
use tower::load_shed::LoadShed;
use tower::load_shed::error::Overloaded;
use tower::{Layer, Service};

use super::{by_hand, request};
use crate::support::watch;

/// Answers at once.
#[derive(Clone)]
struct Echo;

impl Service<u32> for Echo {
    type Response = u32;
    type Error = Infallible;
    type Future = Ready<Result<u32, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, n: u32) -> Self::Future {
        ready(Ok(n))
    }
}

/// Whether `service` answers a request now.
fn answers<S: Service<u32, Response = u32>>(service: &mut S) -> bool {
    watch();
    let cx = &mut Context::from_waker(Waker::noop());
    service.poll_ready(cx).is_ready() && spawn(service.call(7)).poll().is_ready()
}

/// A server with idle connections has a clone for each of them, which it has polled ready. (vector#26457)
fn answers_beside_idle_clones<S: Service<u32, Response = u32> + Clone>(mut service: S) -> bool {
    let cx = &mut Context::from_waker(Waker::noop());
    let mut idle: Vec<_> = (0..10).map(|_| service.clone()).collect();
    for clone in &mut idle {
        drop(clone.poll_ready(cx));
    }
    answers(&mut service)
}

#[test]
fn idle_clones_keep_nobody_waiting() {
    assert!(answers_beside_idle_clones(ConcurrencyLimit::new(Echo, 1)));
    assert!(answers_beside_idle_clones(ConcurrencyLimitLayer::new(1).fail_fast().layer(Echo)));
    assert!(!answers_beside_idle_clones(tower::limit::ConcurrencyLimit::new(Echo, 1)));
}

/// A connection that is kept, and polled ready again after each answer.
fn answers_beside_one_that_was_served<S>(mut service: S) -> bool
where
    S: Service<u32, Response = u32> + Clone,
{
    let mut kept = service.clone();
    assert!(answers(&mut kept));
    drop(kept.poll_ready(&mut Context::from_waker(Waker::noop())));
    answers(&mut service)
}

#[test]
fn a_connection_that_is_kept_keeps_nobody_waiting() {
    assert!(answers_beside_one_that_was_served(ConcurrencyLimit::new(Echo, 1)));
    let tower = tower::limit::ConcurrencyLimit::new(Echo, 1);
    assert!(!answers_beside_one_that_was_served(tower));
}

/// `full` has its one permit out. A request through a clone of it comes, and its caller stays there. Then the permit
/// comes back, by `release`. Whether another clone is served then.
fn answers_after_one_was_shed<S>(full: &S, release: impl FnOnce()) -> bool
where
    S: Service<u32, Response = u32> + Clone,
    S::Error: Into<tower::BoxError>,
{
    let cx = &mut Context::from_waker(Waker::noop());
    let mut shed = LoadShed::new(full.clone());
    assert!(shed.poll_ready(cx).is_ready(), "`LoadShed` is always ready");
    let mut call = spawn(shed.call(1));
    assert!(call.poll().is_ready(), "it should be refused");
    release();
    // Another connection. `shed` is there still, idle.
    let answer = {
        let mut other = LoadShed::new(full.clone());
        assert!(other.poll_ready(cx).is_ready());
        matches!(spawn(other.call(2)).poll(), Poll::Ready(Ok(2)))
    };
    drop(shed);
    answer
}

#[test]
fn a_clone_that_was_shed_gets_no_permit() {
    watch();
    let ours = ConcurrencyLimitLayer::new(1).fail_fast().layer(Echo);
    let out = ours.semaphore().clone().try_acquire_owned().unwrap();
    assert!(answers_after_one_was_shed(&ours, || drop(out)));

    let tokio = std::sync::Arc::new(tokio::sync::Semaphore::new(1));
    let out = tokio.clone().try_acquire_owned().unwrap();
    let theirs = tower::limit::ConcurrencyLimit::with_semaphore(Echo, tokio);
    assert!(!answers_after_one_was_shed(&theirs, || drop(out)));
}

/// Without `fail_fast` nothing is shed because of the limit, and those that wait are served in order.
#[test]
fn behind_load_shed_calls_wait_in_line() {
    watch();
    let (calls, inner) = by_hand();
    let mut service = LoadShed::new(ConcurrencyLimit::new(inner, 1));
    let cx = &mut Context::from_waker(Waker::noop());
    let mut answers = Vec::new();
    let mut waiting: Vec<_> = (1..=3)
        .map(|id| {
            let (answer, request) = request(id);
            answers.push(answer);
            assert!(service.poll_ready(cx).is_ready());
            spawn(service.call(request))
        })
        .collect();
    for call in &mut waiting {
        assert_pending!(call.poll());
    }
    for (call, answer) in waiting.iter_mut().zip(answers) {
        assert_pending!(call.poll());
        answer.send(7).unwrap();
        match call.poll() {
            Poll::Ready(Ok(7)) => {}
            Poll::Ready(Err(error)) => panic!("shed: {}", error.is::<Overloaded>()),
            _ => panic!("not answered"),
        }
    }
    assert_eq!(*calls.borrow(), [1, 2, 3]);
}
