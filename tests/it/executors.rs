//! Waiting, cancelling and draining on other executors than tokio's.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::executor::ThreadPool;
use futures::future::{BoxFuture, join_all, select};
use semafair::Semaphore;

use crate::support::watchdog::watch;

/// Runs a future as a task.
type Spawn<'a> = &'a dyn Fn(BoxFuture<'static, ()>) -> BoxFuture<'static, ()>;

/// Suspends the task once, so that others run.
async fn yield_now() {
    let mut yielded = false;
    futures::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

/// No more than `tellers` at a time. If it is one, in the order in which they asked.
async fn waiting(spawn: Spawn<'_>, tellers: u32) {
    let semaphore = Arc::new(Semaphore::new(tellers as usize));
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let all = semaphore.clone().acquire_many_owned(tellers).await.unwrap();
    let served = Arc::new(Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..20)
        .map(|customer| {
            let mut teller = semaphore.clone().acquire_owned();
            teller.enqueue();
            assert!(teller.is_queued());
            let (inside, most, served) = (inside.clone(), most.clone(), served.clone());
            spawn(
                async move {
                    let teller = teller.await.unwrap();
                    most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    served.lock().unwrap().push(customer);
                    yield_now().await;
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(teller);
                }
                .boxed(),
            )
        })
        .collect();
    drop(all);
    join_all(tasks).await;
    assert!(most.load(Ordering::SeqCst) <= tellers as usize);
    if tellers == 1 {
        assert!(served.lock().unwrap().is_sorted());
    }
    assert_eq!(semaphore.available_permits(), tellers as usize);
}

/// Those who give up hand on what they had; nothing is lost.
async fn cancelling(spawn: Spawn<'_>) {
    let semaphore = Arc::new(Semaphore::new(1));
    let held = semaphore.clone().acquire_owned().await.unwrap();
    let (give_up, gave_up) = oneshot::channel::<()>();
    let (first, second) = (semaphore.clone().acquire_owned(), semaphore.clone());
    let leaver = spawn(async move { drop(select(first, gave_up).await) }.boxed());
    let behind = spawn(
        async move {
            let _two = second.acquire_many(1).await.unwrap();
        }
        .boxed(),
    );
    give_up.send(()).unwrap();
    leaver.await;
    drop(held);
    behind.await;
    assert_eq!(semaphore.available_permits(), 1);
}

/// The end is reached when the last permit is back, and no earlier.
async fn draining(spawn: Spawn<'_>) {
    let semaphore = Arc::new(Semaphore::new(3));
    let done = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for _ in 0..3 {
        let permit = semaphore.clone().acquire_owned().await.unwrap();
        let done = done.clone();
        tasks.push(spawn(
            async move {
                yield_now().await;
                done.fetch_add(1, Ordering::SeqCst);
                drop(permit);
            }
            .boxed(),
        ));
    }
    semaphore.close();
    semaphore.drained().await;
    assert_eq!(done.load(Ordering::SeqCst), 3);
    assert!(semaphore.acquire().await.unwrap_err().is_closed());
    join_all(tasks).await;
}

async fn everything(spawn: Spawn<'_>) {
    waiting(spawn, 1).await;
    waiting(spawn, 2).await;
    cancelling(spawn).await;
    draining(spawn).await;
}

#[test]
fn on_smol() {
    watch();
    smol::block_on(everything(&|task| smol::spawn(task).boxed()));
}

#[test]
fn on_the_pool_of_futures() {
    watch();
    let pool = ThreadPool::new().unwrap();
    let spawn = |task: BoxFuture<'static, ()>| {
        let (done, ended) = oneshot::channel();
        pool.spawn_ok(task.map(|()| done.send(()).unwrap_or_default()));
        ended.map(Result::unwrap).boxed()
    };
    futures::executor::block_on(everything(&spawn));
}

/// A thread for each task, and nothing that knows of tasks.
#[test]
fn on_threads() {
    watch();
    let spawn = |task: BoxFuture<'static, ()>| {
        let (done, ended) = oneshot::channel();
        thread::spawn(move || {
            pollster::block_on(task);
            done.send(()).unwrap_or_default();
        });
        ended.map(Result::unwrap).boxed()
    };
    pollster::block_on(everything(&spawn));
}
