//! A task that never has to wait yields all the same: acquiring takes part in tokio's budget.
//!
//! Others are served meanwhile, and what was taken before the task yields is kept for it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use semafair::{PollSemaphore, Semaphore};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::{coop, spawn, yield_now};
use tokio::time::timeout;

use crate::support::{wait, watch};

/// More acquires than any budget allows at a time.
const MANY: usize = 100_000;

fn on_one_thread<F: Future>(future: F) -> F::Output {
    watch();
    Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Acquires until `over` says so; says how often.
async fn acquires(semaphore: &Semaphore, over: impl Fn() -> bool) -> usize {
    for n in 0..MANY {
        if over() {
            return n;
        }
        drop(semaphore.acquire().await.unwrap());
    }
    MANY
}

/// Runs `always_ready` beside a neighbour on the same thread, and finds that the neighbour had its turn.
#[track_caller]
fn lets_a_neighbour_in<F: Future>(always_ready: impl Fn(Arc<Semaphore>) -> F) {
    on_one_thread(async {
        let turn = Arc::new(AtomicBool::new(false));
        let semaphore = Arc::new(Semaphore::new(1));
        let neighbour = turn.clone();
        spawn(async move { neighbour.store(true, Ordering::SeqCst) });
        for _ in 0..MANY {
            always_ready(semaphore.clone()).await;
            if turn.load(Ordering::SeqCst) {
                return;
            }
        }
        panic!("the neighbour starves");
    });
}

#[test]
fn neighbours_have_their_turn() {
    lets_a_neighbour_in(|semaphore| async move { drop(semaphore.acquire().await.unwrap()) });
    lets_a_neighbour_in(|semaphore| async move { drop(semaphore.acquire_many(0).await.unwrap()) });
    lets_a_neighbour_in(|semaphore| async move { drop(semaphore.acquire_owned().await.unwrap()) });
    lets_a_neighbour_in(|semaphore| async move {
        let mut semaphore = PollSemaphore::new(semaphore);
        drop(poll_fn(|cx| semaphore.poll_acquire(cx)).await.unwrap());
    });
}

#[test]
fn neighbours_of_one_who_takes_from_several_have_their_turn() {
    lets_a_neighbour_in(|semaphore| async move {
        drop(Semaphore::acquire_all([(&*semaphore, 1)]).await.unwrap());
    });
}

/// Meanwhile it would hold what the others could use.
#[test]
fn who_takes_from_several_does_not_yield_with_a_grant() {
    on_one_thread(async {
        // The budget is asked at some of a thread's acquires only.
        for _ in 0..100 {
            let semaphore = Semaphore::new(0);
            let mut all = Semaphore::acquire_all([(&semaphore, 1)]);
            let first = poll_fn(|cx| Poll::Ready(Pin::new(&mut all).poll(cx).is_ready()));
            assert!(!first.await, "nothing is free");
            semaphore.add_permits(1);
            poll_fn(|cx| {
                // From here on, this task has no budget.
                while let Poll::Ready(proceed) = coop::poll_proceed(cx) {
                    proceed.made_progress();
                }
                assert!(Pin::new(&mut all).poll(cx).is_ready(), "it keeps what it was granted");
                Poll::Ready(())
            })
            .await;
            yield_now().await;
        }
    });
}

/// To be refused takes no time either.
#[test]
fn neighbours_of_one_who_is_refused_have_their_turn() {
    lets_a_neighbour_in(|semaphore| async move {
        semaphore.close();
        semaphore.acquire().await.unwrap_err();
    });
}

/// To ask for nothing behind somebody who waits is granted at once.
#[test]
fn neighbours_of_one_who_asks_for_nothing_have_their_turn() {
    lets_a_neighbour_in(|semaphore| async move {
        let _waits = wait(semaphore.acquire_many(2));
        drop(semaphore.acquire_many(0).await.unwrap());
    });
}

#[test]
fn a_timeout_ends_it() {
    on_one_thread(async {
        let semaphore = Semaphore::new(1);
        let endless = async { while acquires(&semaphore, || false).await == MANY {} };
        timeout(Duration::from_millis(1), endless).await.unwrap_err();
    });
}

#[test]
fn an_abort_ends_it() {
    on_one_thread(async {
        let semaphore = Arc::new(Semaphore::new(1));
        let acquires = semaphore.clone();
        let task = spawn(async move {
            loop {
                drop(acquires.acquire().await.unwrap());
            }
        });
        yield_now().await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(semaphore.available_permits(), 1);
    });
}

#[test]
fn a_signal_beside_it_is_seen() {
    on_one_thread(async {
        let semaphore = Semaphore::new(1);
        let (shutdown, signal) = oneshot::channel();
        spawn(async move { shutdown.send(()).unwrap() });
        tokio::select! {
            biased;
            signal = signal => signal.unwrap(),
            n = acquires(&semaphore, || false) => panic!("no signal after {n} acquires"),
        }
    });
}

#[test]
fn a_runtime_can_be_dropped() {
    watch();
    let runtime = Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let (started, start) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        let semaphore = Semaphore::new(1);
        loop {
            drop(semaphore.acquire().await.unwrap());
            let _nobody_looks_any_more = started.send(());
        }
    });
    start.recv().unwrap();
    drop(runtime); // waits for the tasks to yield
}

/// Polls futures of `make` until one is ready no more, and gives that one.
fn until_pending<F: Future + Unpin>(cx: &mut Context<'_>, make: impl Fn() -> F) -> F {
    for _ in 0..MANY {
        let mut future = make();
        if Pin::new(&mut future).poll(cx).is_pending() {
            return future;
        }
    }
    panic!("it never yields");
}

/// Runs `step` in a task.
fn in_a_task<T: Unpin>(mut step: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    on_one_thread(poll_fn(|cx| step(cx)))
}

#[test]
fn a_permit_is_taken_before_the_task_yields() {
    let semaphore = Semaphore::new(1);
    let mut yielded = None;
    in_a_task(|cx| match &mut yielded {
        None => {
            yielded = Some(until_pending(cx, || semaphore.acquire()));
            assert_eq!(semaphore.available_permits(), 0, "it is kept for the task");
            assert!(semaphore.try_acquire().is_err(), "nobody overtakes it");
            Poll::Pending
        }
        Some(future) => {
            let Poll::Ready(Ok(permit)) = Pin::new(future).poll(cx) else { panic!("granted") };
            assert_eq!(permit.num_permits(), 1);
            Poll::Ready(())
        }
    });
    assert_eq!(semaphore.available_permits(), 1);
}

/// tokio's own yields first, and so is overtaken (tokio#8365).
#[test]
fn who_yields_is_served_before_who_comes_later() {
    let semaphore = Semaphore::new(1);
    let mut yielded = None;
    in_a_task(|cx| match &mut yielded {
        None => {
            let first = until_pending(cx, || semaphore.acquire());
            let later = wait(semaphore.acquire());
            yielded = Some((first, later));
            Poll::Pending
        }
        Some((first, later)) => {
            assert!(!later.is_woken(), "it was overtaken");
            let Poll::Ready(Ok(permit)) = Pin::new(first).poll(cx) else { panic!("granted") };
            drop(permit);
            assert!(later.is_woken());
            Poll::Ready(())
        }
    });
}

#[test]
fn a_permit_goes_back_if_who_yielded_is_dropped() {
    let semaphore = Semaphore::new(2);
    let mut future = None;
    in_a_task(|cx| {
        if future.is_some() {
            return Poll::Ready(());
        }
        future = Some(until_pending(cx, || semaphore.acquire_many(2)));
        Poll::Pending
    });
    assert_eq!(semaphore.available_permits(), 0);
    let mut later = wait(semaphore.acquire());
    drop(future);
    assert!(later.is_woken());
    assert!(matches!(later.poll(), Poll::Ready(Ok(_))));
    drop(later);
    assert_eq!(semaphore.available_permits(), 2);
}

/// What was granted before a close is granted, and what was refused stays so.
#[test]
fn who_yields_keeps_its_answer() {
    for closes_first in [false, true] {
        let semaphore = Semaphore::new(1);
        let mut yielded = None;
        in_a_task(|cx| match &mut yielded {
            None => {
                if closes_first {
                    semaphore.close();
                }
                yielded = Some(until_pending(cx, || semaphore.acquire()));
                semaphore.close();
                Poll::Pending
            }
            Some(future) => {
                let Poll::Ready(answer) = Pin::new(future).poll(cx) else { panic!("it is over") };
                assert_eq!(answer.is_err(), closes_first);
                Poll::Ready(())
            }
        });
        assert_eq!(semaphore.available_permits(), 1);
    }
}

/// Without a budget there is nothing to use up.
#[test]
fn a_free_permit_is_there_at_the_first_poll() {
    fn all_ready(semaphore: &Semaphore, cx: &mut Context<'_>) {
        for _ in 0..MANY {
            assert!(Pin::new(&mut semaphore.acquire()).poll(cx).is_ready());
        }
    }

    let semaphore = Semaphore::new(1);
    watch();
    all_ready(&semaphore, &mut Context::from_waker(std::task::Waker::noop()));
    on_one_thread(coop::unconstrained(poll_fn(|cx| {
        all_ready(&semaphore, cx);
        Poll::Ready(())
    })));
    // On a thread of a runtime, and in no task.
    let runtime = Runtime::new().unwrap();
    let _entered = runtime.enter();
    all_ready(&semaphore, &mut Context::from_waker(std::task::Waker::noop()));
}
