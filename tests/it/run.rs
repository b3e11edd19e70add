//! `run` has its permits while the future inside is there, and no longer.

use std::cell::{Cell, RefCell};
use std::future::{Future, IntoFuture, Ready, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use semafair::{Run, Semaphore};
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok};

use crate::support::{panic_of, served, wait, waits, watch};

/// A future, and how many permits were free when it was dropped.
struct Inside<'a, F> {
    sem: &'a Semaphore,
    free_at_drop: &'a Cell<Option<usize>>,
    polls: &'a Cell<usize>,
    future: F,
}

impl<F: Future + Unpin> Future for Inside<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.polls.set(self.polls.get() + 1);
        Pin::new(&mut self.future).poll(cx)
    }
}

impl<F> Drop for Inside<'_, F> {
    fn drop(&mut self) {
        let dropped_before = self.free_at_drop.replace(Some(self.sem.available_permits()));
        assert_eq!(dropped_before, None);
    }
}

/// What can be seen of a future inside.
#[derive(Default)]
struct Seen {
    free_at_drop: Cell<Option<usize>>,
    polls: Cell<usize>,
}

impl Seen {
    fn inside<'a, F>(&'a self, sem: &'a Semaphore, future: F) -> Inside<'a, F> {
        Inside { sem, free_at_drop: &self.free_at_drop, polls: &self.polls, future }
    }
}

#[test]
fn the_future_has_its_permits() {
    let sem = Semaphore::new(5);
    let mut one = spawn(sem.run(poll_fn(|_| Poll::Ready(sem.available_permits()))));
    assert_eq!(assert_ready_ok!(one.poll()), 4);
    let mut many = spawn(sem.run_many(3, poll_fn(|_| Poll::Ready(sem.available_permits()))));
    assert_eq!(assert_ready_ok!(many.poll()), 2);
    // Though both are still there.
    assert_eq!(sem.available_permits(), 5);
}

#[test]
fn it_asks_when_it_is_polled_and_runs_when_it_has_all() {
    let sem = Semaphore::new(1);
    let seen = Seen::default();
    let run = sem.run_many(2, seen.inside(&sem, ready(7)));
    let first = sem.try_acquire().unwrap();
    let mut run = wait(run);
    let mut behind = wait(sem.acquire());
    drop(first);
    waits(&mut run);
    assert_eq!(seen.polls.get(), 0);
    sem.add_permits(1);
    assert_eq!(served(&mut run).unwrap(), 7);
    assert_eq!(seen.polls.get(), 1);
    assert_eq!(served(&mut behind).unwrap().num_permits(), 1);
}

#[test]
fn the_future_is_dropped_before_the_permits_go_back_when_it_ends() {
    let sem = Semaphore::new(3);
    let seen = Seen::default();
    let mut run = spawn(sem.run_many(2, seen.inside(&sem, ready(()))));
    assert_ready_ok!(run.poll());
    assert_eq!(seen.free_at_drop.get(), Some(1));
    assert_eq!(sem.available_permits(), 3);
}

#[test]
fn and_when_it_is_dropped() {
    let sem = Semaphore::new(3);
    let seen = Seen::default();
    let mut run = spawn(sem.run_many(2, seen.inside(&sem, pending::<()>())));
    for _ in 0..3 {
        assert_pending!(run.poll());
    }
    assert_eq!(seen.polls.get(), 3);
    assert_eq!(sem.available_permits(), 1);
    drop(run);
    assert_eq!(seen.free_at_drop.get(), Some(1));
    assert_eq!(sem.available_permits(), 3);
}

#[test]
fn and_when_it_panics_though_the_run_is_kept() {
    let sem = Semaphore::new(3);
    let seen = Seen::default();
    let mut run =
        spawn(sem.run_many(2, seen.inside(&sem, poll_fn(|_| -> Poll<()> { panic!("mine") }))));
    assert_eq!(panic_of(|| drop(run.poll())), "mine");
    assert_eq!(seen.free_at_drop.get(), Some(1));
    assert_eq!(sem.available_permits(), 3);
    assert!(panic_of(|| drop(run.poll())).contains("`Run` polled after completion"));
}

/// Its drop panics, and the permits go back nevertheless, after it.
#[test]
fn and_when_its_drop_panics() {
    struct Bad<'a>(&'a Semaphore);

    impl Future for Bad<'_> {
        type Output = ();

        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            if cx.waker().will_wake(Waker::noop()) { Poll::Pending } else { Poll::Ready(()) }
        }
    }

    impl Drop for Bad<'_> {
        fn drop(&mut self) {
            assert_eq!(self.0.available_permits(), 0);
            panic!("mine");
        }
    }

    watch();
    let sem = Semaphore::new(1);
    let mut ended = spawn(sem.run(Bad(&sem)));
    assert_eq!(panic_of(|| drop(ended.poll())), "mine");
    assert_eq!(sem.available_permits(), 1);
    drop(ended);
    assert_eq!(sem.available_permits(), 1);

    let mut dropped = Box::pin(sem.run(Bad(&sem)));
    assert!(dropped.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(dropped))).is_err());
    assert_eq!(sem.available_permits(), 1);
}

#[test]
fn dropped_while_it_waits_it_leaves_the_line() {
    let sem = Semaphore::new(1);
    let seen = Seen::default();
    let run = wait(sem.run_many(2, seen.inside(&sem, ready(()))));
    let mut behind = wait(sem.acquire());
    drop(run);
    assert_eq!((seen.polls.get(), seen.free_at_drop.get()), (0, Some(0)));
    assert_eq!(served(&mut behind).unwrap().num_permits(), 1);
}

#[test]
fn dropped_before_it_was_polled_it_has_done_nothing() {
    let sem = Semaphore::new(1);
    let seen = Seen::default();
    drop(sem.run(seen.inside(&sem, ready(()))));
    assert_eq!((seen.polls.get(), seen.free_at_drop.get()), (0, Some(1)));
}

#[test]
fn refused_it_drops_the_future_at_once() {
    let sem = Semaphore::new(0);
    let seen = Seen::default();
    let mut run = wait(sem.run(seen.inside(&sem, ready(()))));
    sem.close();
    assert!(served(&mut run).is_err());
    assert_eq!((seen.polls.get(), seen.free_at_drop.get()), (0, Some(0)));
    assert!(panic_of(|| drop(run.poll())).contains("`Run` polled after completion"));
    assert_ready_err!(spawn(sem.run_many(0, pending::<()>())).poll());
}

#[test]
fn closed_while_it_runs_it_goes_on() {
    let sem = Semaphore::new(1);
    let done = Cell::new(false);
    let mut run =
        spawn(sem.run(poll_fn(|_| if done.get() { Poll::Ready(1) } else { Poll::Pending })));
    assert_pending!(run.poll());
    sem.close();
    assert_pending!(run.poll());
    done.set(true);
    assert_eq!(assert_ready_ok!(run.poll()), 1);
    assert_eq!(sem.available_permits(), 1);
}

#[test]
fn no_permits_is_no_wait() {
    let sem = Semaphore::new(0);
    let _waits = wait(sem.acquire());
    assert_eq!(assert_ready_ok!(spawn(sem.run_many(0, ready(5))).poll()), 5);
}

#[test]
fn polled_after_it_returned_it_panics() {
    let sem = Semaphore::new(1);
    let mut run = spawn(sem.run(ready(())));
    assert_ready_ok!(run.poll());
    assert!(panic_of(|| drop(run.poll())).contains("`Run` polled after completion"));
    assert_eq!(sem.available_permits(), 1);
}

#[test]
fn one_at_a_time_in_order() {
    watch();
    let sem = Semaphore::new(1);
    let inside = Cell::new(false);
    let order = RefCell::new(Vec::new());
    let turn = |i| {
        let (inside, order) = (&inside, &order);
        async move {
            assert!(!inside.replace(true), "only one has the permit");
            order.borrow_mut().push(i);
            tokio::task::yield_now().await;
            inside.set(false);
        }
    };
    let mut runs: Vec<_> = (0..4).map(|i| spawn(sem.run(turn(i)))).collect();
    for _ in 0..9 {
        runs.retain_mut(|run| run.poll().is_pending());
    }
    assert!(runs.is_empty());
    assert_eq!(*order.borrow(), [0, 1, 2, 3]);
}

#[test]
fn takes_whatever_becomes_a_future() {
    struct Request;

    impl IntoFuture for Request {
        type Output = u8;
        type IntoFuture = Ready<u8>;

        fn into_future(self) -> Ready<u8> {
            ready(9)
        }
    }

    let sem = Semaphore::new(1);
    let run: Run<'_, Ready<u8>> = sem.run(Request);
    assert_eq!(assert_ready_ok!(spawn(run).poll()), 9);
}

#[test]
fn enqueued_it_has_its_place_before_it_is_polled() {
    watch();
    let sem = Semaphore::new(0);
    let seen = Seen::default();
    let mut run = pin!(sem.run(seen.inside(&sem, ready(()))));
    assert!(!run.is_queued());
    run.as_mut().enqueue();
    assert!(run.is_queued());
    let mut behind = wait(sem.acquire());
    sem.add_permits(1);
    assert!(!run.is_queued());
    waits(&mut behind);
    assert_eq!(seen.polls.get(), 0);
    let run = run.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(assert_ready!(run).is_ok());
    drop(served(&mut behind).unwrap());
}

#[tokio::test]
async fn on_a_runtime_no_more_than_so_many_run() {
    watch();
    let sem = Arc::new(Semaphore::new(2));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let sem = Arc::clone(&sem);
        tasks.spawn(async move {
            let free = sem.run(async {
                tokio::task::yield_now().await;
                sem.available_permits()
            });
            assert!(free.await.unwrap() < 2);
        });
    }
    while let Some(end) = tasks.join_next().await {
        end.unwrap();
    }
    assert_eq!(sem.available_permits(), 2);
}

#[test]
fn debug_says_how_far_it_has_come() {
    let sem = Semaphore::new(1);
    let mut run = spawn(sem.run(pending::<()>()));
    let text = |run: &Run<'_, _>| format!("{run:?}");
    assert_eq!(
        text(&run),
        "Run { acquire: Acquire { permits: 1, state: New, .. }, runs: false, .. }"
    );
    assert_pending!(run.poll());
    assert_eq!(
        text(&run),
        "Run { acquire: Acquire { permits: 1, state: Over, .. }, runs: true, .. }"
    );
}

/// It can be sent, and moved, if the future inside can.
#[test]
fn it_is_what_the_future_is() {
    fn is_send<T: Send + Sync>(_: &T) {}
    fn is_unpin<T: Unpin>(_: &T) {}

    let sem = Semaphore::new(1);
    let run = sem.run(ready(()));
    is_send(&run);
    is_unpin(&run);
    drop(run);
    // And it need not be.
    let local = Rc::new(3);
    assert_eq!(assert_ready_ok!(spawn(sem.run(async { *local })).poll()), 3);
}
