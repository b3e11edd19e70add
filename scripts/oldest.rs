//! Uses of the library that reach each of its dependencies; `scripts/oldest` runs them.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;

use futures_core::Stream;
use semafair::monitor::Monitored;
use semafair::tower::ConcurrencyLimitLayer;
use semafair::{KeyedSemaphore, LimitedStreamExt, PollSemaphore, Semaphore};
use tower_layer::Layer;
use tower_service::Service;

/// Polls a future once, with a waker that does nothing.
fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn papaya_holds_the_keys() {
    let keys = KeyedSemaphore::new(1);
    let permits: Vec<_> = (0..1000).map(|key| keys.try_acquire(key).unwrap()).collect();
    assert!(keys.try_acquire(500).is_err());
    assert_eq!(keys.iter().count(), 1000);
    drop(permits);
    assert_eq!(keys.iter().count(), 0);
}

/// One release wakes more waiters than one batch of wakers holds.
#[test]
fn arrayvec_holds_the_wakers() {
    let semaphore = Semaphore::new(0);
    let mut waiters: Vec<_> = (0..100).map(|_| Box::pin(semaphore.acquire())).collect();
    for waiter in &mut waiters {
        assert!(poll(waiter.as_mut()).is_pending());
    }
    semaphore.add_permits(100);
    for waiter in &mut waiters {
        assert!(matches!(poll(waiter.as_mut()), Poll::Ready(Ok(_))));
    }
}

#[test]
fn tokio_runs_tasks_that_wait() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let semaphore = Arc::new(Semaphore::new(1));
    runtime.block_on(async {
        let permit = semaphore.acquire().await.unwrap();
        let task = tokio::spawn(Arc::clone(&semaphore).acquire_many_owned(1));
        tokio::task::yield_now().await;
        drop(permit);
        assert!(task.await.unwrap().is_ok());
    });
    assert_eq!(semaphore.available_permits(), 1);
}

#[test]
fn tokio_says_where_not_to_block() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let semaphore = Arc::new(Semaphore::new(1));
    let blocking = Arc::clone(&semaphore);
    assert!(thread::spawn(move || blocking.blocking_acquire().is_ok()).join().unwrap());
    let blocking = thread::spawn(move || {
        runtime.block_on(async { drop(semaphore.blocking_acquire()) });
    });
    assert!(blocking.join().is_err());
}

#[test]
fn futures_core_polls_the_stream() {
    let semaphore = Arc::new(Semaphore::new(1));
    let mut stream = pin!(PollSemaphore::new(Arc::clone(&semaphore)));
    let mut context = Context::from_waker(Waker::noop());
    assert!(matches!(stream.as_mut().poll_next(&mut context), Poll::Ready(Some(_))));
    semaphore.close();
    assert!(matches!(stream.as_mut().poll_next(&mut context), Poll::Ready(None)));
}

#[test]
fn futures_util_polls_the_items() {
    let semaphore = Semaphore::new(2);
    let items = futures_util::stream::iter([3, 7]);
    let mut mapped = pin!(items.map_limited(&semaphore, ready));
    let mut context = Context::from_waker(Waker::noop());
    for item in [3, 7] {
        let output = mapped.as_mut().poll_next(&mut context);
        assert!(matches!(output, Poll::Ready(Some(Ok(n))) if n == item));
    }
    assert!(matches!(mapped.as_mut().poll_next(&mut context), Poll::Ready(None)));
}

/// Counts the spans.
struct Spans(Arc<AtomicU64>);

impl tracing::Subscriber for Spans {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::Id {
        tracing::Id::from_u64(self.0.fetch_add(1, Ordering::SeqCst) + 1)
    }

    fn record(&self, _: &tracing::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::Id, _: &tracing::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &tracing::Id) {}
    fn exit(&self, _: &tracing::Id) {}
}

#[test]
fn tracing_tells_the_subscriber() {
    let spans = Arc::new(AtomicU64::new(0));
    tracing::subscriber::set_global_default(Spans(spans.clone())).unwrap();
    let database = Monitored::new("database", Semaphore::new(1));
    drop(poll(pin!(database.acquire())));
    // The semaphore, the request and its polls.
    assert_eq!(spans.load(Ordering::SeqCst), 3);
}

/// Answers with a text.
#[derive(Clone)]
struct Greet;

impl Service<()> for Greet {
    type Response = http::Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        ready(Ok(http::Response::new("hello".to_owned())))
    }
}

#[test]
fn tower_and_http_limit_a_service() {
    let layer = ConcurrencyLimitLayer::new(1).until_body_ends();
    let Poll::Ready(Ok(response)) = poll(pin!(layer.layer(Greet).call(()))) else {
        panic!("not answered")
    };
    assert_eq!(layer.semaphore().available_permits(), 0);
    let mut body = pin!(response.into_body());
    let frame = http_body::Body::poll_frame(body.as_mut(), &mut Context::from_waker(Waker::noop()));
    assert!(matches!(frame, Poll::Ready(Some(Ok(_)))));
    assert_eq!(layer.semaphore().available_permits(), 1);
}
