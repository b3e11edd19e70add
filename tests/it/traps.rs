//! Deadlocks that users can build with any fair semaphore, tokio's too, and the cure of each.
//!
//! The docs of `Semaphore` describe them under *Traps*, in this order. Each trap is shown to be one: nothing
//! wakes its task any more, or nothing but `close` ends its wait. Then its cure comes to its end.

use std::future::Future;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::task::Poll;
use std::thread;

use futures::StreamExt;
use futures::future::{Either, join, select};
use futures::stream;
use semafair::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::runtime::Builder;
use tokio::task::{JoinSet, block_in_place, spawn, spawn_blocking, yield_now};
use tokio_test::task;

use crate::support::{served, wait, waits, watch};

/// Polls as often as the future asks for it. `None` where it waits, and nothing is left that could wake
/// it: everything that takes part is inside this future.
fn run<F: Future>(future: F) -> Option<F::Output> {
    watch();
    let mut task = task::spawn(future);
    loop {
        match task.poll() {
            Poll::Ready(output) => return Some(output),
            Poll::Pending if task.is_woken() => {}
            Poll::Pending => return None,
        }
    }
}

/// Needs a permit, and another poll while it has the permit.
async fn job(semaphore: &Semaphore) {
    let _permit = semaphore.acquire().await.unwrap();
    yield_now().await;
}

mod a_future_that_is_not_polled_has_the_permit {
    use super::*;

    /// Runs five jobs, two at a time; the body of the loop wants a permit for each that is done.
    async fn consume(of_jobs: &Semaphore, of_body: &Semaphore) -> usize {
        let mut jobs = stream::iter(0..5).map(|_| job(of_jobs)).buffer_unordered(2);
        let mut done = 0;
        while let Some(()) = jobs.next().await {
            // Nobody polls the jobs here.
            let _permit = of_body.acquire().await.unwrap();
            done += 1;
        }
        done
    }

    #[test]
    fn trap_buffer_unordered_and_its_body() {
        let semaphore = Semaphore::new(1);
        assert_eq!(run(consume(&semaphore, &semaphore)), None);
        assert_eq!(semaphore.available_permits(), 1, "all is given back when the task is dropped");
    }

    #[test]
    fn cure_a_semaphore_for_each() {
        assert_eq!(run(consume(&Semaphore::new(1), &Semaphore::new(1))), Some(5));
    }

    #[test]
    fn cure_a_task_for_each_job() {
        watch();
        let runtime = Builder::new_current_thread().build().unwrap();
        let done = runtime.block_on(async {
            let semaphore = Arc::new(Semaphore::new(1));
            let mut jobs = JoinSet::new();
            for _ in 0..5 {
                let semaphore = semaphore.clone();
                jobs.spawn(async move { job(&semaphore).await });
            }
            let mut done = 0;
            while let Some(finished) = jobs.join_next().await {
                finished.unwrap();
                let _permit = semaphore.acquire().await.unwrap();
                done += 1;
            }
            done
        });
        assert_eq!(done, 5);
    }

    /// Waits until the job or an event comes first; here, the event. Then it wants a permit itself.
    async fn first_of(semaphore: &Semaphore, keeps_the_job: bool) {
        let others = semaphore.acquire().await.unwrap();
        let event = async { drop(others) };
        let Either::Right(((), unfinished)) =
            select(Box::pin(job(semaphore)), Box::pin(event)).await
        else {
            panic!("the job has no permit yet")
        };
        let kept = keeps_the_job.then_some(unfinished);
        let _permit = semaphore.acquire().await.unwrap();
        drop(kept);
    }

    #[test]
    fn trap_select_that_keeps_the_other_future() {
        assert_eq!(run(first_of(&Semaphore::new(1), true)), None);
    }

    #[test]
    fn cure_drop_the_other_future() {
        assert_eq!(run(first_of(&Semaphore::new(1), false)), Some(()));
    }
}

mod permits_taken_one_by_one {
    use super::*;

    async fn one_by_one(semaphore: &Semaphore) {
        let _first = semaphore.acquire().await.unwrap();
        yield_now().await;
        let _second = semaphore.acquire().await.unwrap();
    }

    async fn all_at_once(semaphore: &Semaphore) {
        let _both = semaphore.acquire_many(2).await.unwrap();
        yield_now().await;
    }

    #[test]
    fn trap() {
        let semaphore = Semaphore::new(2);
        assert_eq!(run(join(one_by_one(&semaphore), one_by_one(&semaphore))), None);
    }

    #[test]
    fn cure_acquire_many() {
        let semaphore = Semaphore::new(2);
        assert_eq!(run(join(all_at_once(&semaphore), all_at_once(&semaphore))), Some(((), ())));
    }
}

mod pool_threads_that_wait {
    use super::*;

    /// A runtime whose pool for blocking code has one thread.
    fn one_thread_for_blocking<F: Future>(future: F) -> F::Output {
        watch();
        let runtime = Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        runtime.block_on(future)
    }

    #[test]
    fn trap_a_blocking_pool() {
        one_thread_for_blocking(async {
            let semaphore = Arc::new(Semaphore::new(1));
            let permit = semaphore.acquire().await.unwrap();

            let inner = semaphore.clone();
            let (blocks, blocked) = channel();
            let other = spawn_blocking(move || {
                blocks.send(()).unwrap();
                inner.blocking_acquire().map(drop)
            });
            blocked.recv().unwrap();
            let inner = semaphore.clone();
            let mut own = task::spawn(spawn_blocking(move || inner.is_closed()));
            // A second thread would have the time to run it.
            for _ in 0..1000 {
                assert!(own.poll().is_pending(), "the only thread waits for this task's permit");
                thread::yield_now();
            }

            // To await `own` here is the deadlock: only close ends the wait of the other.
            semaphore.close();
            assert!(other.await.unwrap().is_err());
            assert!(own.await.unwrap(), "it came after the close");
            drop(permit);
        });
    }

    #[test]
    fn cure_acquire_before_the_pool() {
        one_thread_for_blocking(async {
            let semaphore = Arc::new(Semaphore::new(1));
            let permit = semaphore.acquire().await.unwrap();

            let mut line = wait(semaphore.clone().acquire_owned());
            spawn_blocking(|| ()).await.unwrap();
            drop(permit);

            let permit: OwnedSemaphorePermit = served(&mut line).unwrap();
            spawn_blocking(move || drop(permit)).await.unwrap();
            assert_eq!(semaphore.available_permits(), 1);
        });
    }

    /// What a thread of a work-stealing pool does while it waits for a part of its own job: it runs
    /// another job, below it on the same stack.
    fn meanwhile<T>(other: impl FnOnce() -> T) -> T {
        other()
    }

    #[test]
    fn trap_a_pool_that_steals_work() {
        watch();
        let semaphore = Semaphore::new(1);
        let (blocks, blocked) = channel();
        let ended = thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let _permit = semaphore.blocking_acquire().unwrap();
                meanwhile(|| {
                    blocks.send(()).unwrap();
                    semaphore.blocking_acquire().map(drop)
                })
            });
            blocked.recv().unwrap();
            // Otherwise it waits for its own thread.
            semaphore.close();
            thread.join().unwrap()
        });
        assert!(ended.is_err());
    }

    #[test]
    fn cure_permits_stay_outside_of_the_pool() {
        watch();
        let semaphore = Semaphore::new(1);
        let permit = semaphore.blocking_acquire().unwrap();
        let mut line = wait(semaphore.acquire());
        // The jobs come with their permits.
        meanwhile(move || drop(permit));
        let permit = served(&mut line).unwrap();
        meanwhile(move || drop(permit));
        assert_eq!(semaphore.available_permits(), 1);
    }
}

mod block_in_place_beside_a_sibling {
    use super::*;

    fn on_a_worker<F>(future: F) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static,
    {
        watch();
        let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        runtime.block_on(async { spawn(future).await.unwrap() })
    }

    /// Lets go of `permit`, which goes to whoever waits, and blocks for another.
    fn block(
        semaphore: &Semaphore,
        permit: OwnedSemaphorePermit,
        before: impl FnOnce(),
    ) -> Result<(), AcquireError> {
        drop(permit);
        block_in_place(|| {
            before();
            semaphore.blocking_acquire().map(drop)
        })
    }

    #[test]
    fn trap() {
        let semaphore = Arc::new(Semaphore::new(1));
        let permit = semaphore.clone().try_acquire_owned().unwrap();
        let (blocks, blocked) = channel();
        let inner = semaphore.clone();
        let closer = thread::spawn(move || {
            blocked.recv().unwrap();
            inner.close();
        });
        let ended = on_a_worker(async move {
            let blocking = async { block(&semaphore, permit, || blocks.send(()).unwrap()) };
            // The job waits first; then it has the permit, and is not polled.
            join(job(&semaphore), blocking).await.1
        });
        closer.join().unwrap();
        assert!(ended.is_err(), "only close ends it");
    }

    #[test]
    fn cure_a_task_for_the_sibling() {
        let semaphore = Arc::new(Semaphore::new(1));
        let permit = semaphore.clone().try_acquire_owned().unwrap();
        let ended = on_a_worker(async move {
            let inner = semaphore.clone();
            let sibling = spawn(async move { job(&inner).await });
            yield_now().await;
            let ended = block(&semaphore, permit, || ());
            sibling.await.unwrap();
            ended
        });
        assert!(ended.is_ok());
    }
}

mod an_owner_that_is_gone {
    use super::*;

    /// Makes the permits, so that nobody else will.
    struct Owner {
        semaphore: Arc<Semaphore>,
        closes: bool,
    }

    impl Drop for Owner {
        fn drop(&mut self) {
            if self.closes {
                self.semaphore.close();
            }
        }
    }

    #[test]
    fn trap() {
        let owner = Owner { semaphore: Arc::new(Semaphore::new(0)), closes: false };
        let mut waiter = wait(owner.semaphore.clone().acquire_owned());
        let semaphore = Arc::downgrade(&owner.semaphore);
        drop(owner);
        waits(&mut waiter);
        assert_eq!(semaphore.strong_count(), 1, "the waiter itself keeps it alive");
    }

    #[test]
    fn cure_close() {
        let owner = Owner { semaphore: Arc::new(Semaphore::new(0)), closes: true };
        let mut waiter = wait(owner.semaphore.clone().acquire_owned());
        drop(owner);
        assert!(served(&mut waiter).is_err());
    }
}
