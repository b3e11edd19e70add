//! Many threads at once. The permits must add up at the end, never may more than there are be out,
//! and everyone who waits must come to an end; a hang ends the run by the watchdog.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use futures::executor::block_on;
use semafair::{Semaphore, SemaphorePermit};

use crate::ordering::Plain;
use crate::support::watchdog::times;
use crate::support::{Wakes, poll, seed, watch};

const THREADS: usize = 4;

/// Counts the permits that are out, and finds out when they are more than there are.
struct Out {
    now: AtomicUsize,
    most: usize,
}

impl Out {
    fn new(most: usize) -> Self {
        Self { now: AtomicUsize::new(0), most }
    }

    fn enter(&self, n: usize) {
        let before = self.now.fetch_add(n, Ordering::SeqCst);
        assert!(before + n <= self.most, "{before} and {n} more than {} are out", self.most);
    }

    fn leave(&self, n: usize) {
        self.now.fetch_sub(n, Ordering::SeqCst);
    }

    /// Holds `permit` for a moment.
    fn hold(&self, permit: &SemaphorePermit<'_>, rng: &mut Rng) {
        self.enter(permit.num_permits());
        for _ in 0..rng.u8(..50) {
            std::hint::spin_loop();
        }
        self.leave(permit.num_permits());
    }
}

/// Runs `f` on all threads at once, each with random numbers of its own.
fn on_threads(rng: &mut Rng, f: impl Fn(usize, Rng) + Sync) {
    let start = Barrier::new(THREADS);
    thread::scope(|scope| {
        for i in 0..THREADS {
            let rng = rng.fork();
            let (f, start) = (&f, &start);
            scope.spawn(move || {
                start.wait();
                f(i, rng);
            });
        }
    });
}

/// Polls a request a few times, each with a new waker, and then perhaps drops it.
fn impatient<'a>(sem: &'a Semaphore, n: u32, rng: &mut Rng) -> Option<SemaphorePermit<'a>> {
    let mut future = sem.acquire_many(n);
    for _ in 0..rng.u8(1..5) {
        if let Poll::Ready(permit) = Wakes::new().poll(&mut future) {
            return Some(permit.unwrap());
        }
        if rng.bool() {
            thread::yield_now();
        }
    }
    if rng.bool() { Some(block_on(future).unwrap()) } else { None }
}

#[test]
fn everything_at_once() {
    const PERMITS: usize = 5;
    let mut rng = Rng::with_seed(seed());
    let sem = Semaphore::new(PERMITS);
    let out = Out::new(PERMITS);
    on_threads(&mut rng, |_, mut rng| {
        for _ in 0..3000 * times() {
            let n = rng.u32(1..=4);
            let permit = match rng.u8(..8) {
                0..3 => Some(block_on(sem.acquire_many(n)).unwrap()),
                3..6 => impatient(&sem, n, &mut rng),
                6 => sem.try_acquire_many(n).ok(),
                _ => Some(sem.blocking_acquire_many(n).unwrap()),
            };
            let Some(mut permit) = permit else { continue };
            out.hold(&permit, &mut rng);
            match rng.u8(..8) {
                0 => {
                    // Gone, and made again.
                    let n = permit.num_permits();
                    permit.forget();
                    sem.add_permits(n);
                }
                1 => drop(permit.split(1)),
                2 => {
                    if let Ok(more) = sem.try_acquire() {
                        permit.merge(more);
                        out.hold(&permit, &mut rng);
                    }
                }
                3 => sem.add_permits(sem.forget_permits(2)),
                _ => {}
            }
        }
    });
    assert_eq!(sem.available_permits(), PERMITS);
}

#[test]
fn one_permit_guards_what_is_not_atomic() {
    const TURNS: usize = 3000;
    let mut rng = Rng::with_seed(seed());
    let sem = Semaphore::new(1);
    let plain = Plain::default();
    on_threads(&mut rng, |_, mut rng| {
        let mut turns = 0;
        while turns < TURNS * times() {
            let permit = if rng.bool() {
                Some(block_on(sem.acquire()).unwrap())
            } else {
                impatient(&sem, 1, &mut rng)
            };
            if let Some(permit) = permit {
                plain.add_one();
                turns += 1;
                drop(permit);
            }
        }
    });
    assert_eq!(plain.into_inner(), THREADS * TURNS * times());
    assert_eq!(sem.available_permits(), 1);
}

#[test]
fn the_number_of_permits_changes() {
    let mut rng = Rng::with_seed(seed());
    let sem = Semaphore::new(3);
    let added = AtomicUsize::new(3);
    let gone = AtomicUsize::new(0);
    on_threads(&mut rng, |i, mut rng| {
        for _ in 0..3000 * times() {
            if i == 0 {
                let n = rng.usize(..3);
                added.fetch_add(n, Ordering::SeqCst);
                sem.add_permits(n);
                let taken = sem.forget_permits(rng.usize(..4));
                gone.fetch_add(taken, Ordering::SeqCst);
            } else if let Some(permit) = impatient_or_none(&sem, &mut rng) {
                if rng.u8(..4) == 0 {
                    gone.fetch_add(permit.num_permits(), Ordering::SeqCst);
                    permit.forget();
                }
            }
        }
    });
    assert_eq!(sem.available_permits(), added.into_inner() - gone.into_inner());
}

/// Polls a request a few times, and gives up: there may be no permits any more.
fn impatient_or_none<'a>(sem: &'a Semaphore, rng: &mut Rng) -> Option<SemaphorePermit<'a>> {
    let mut future = sem.acquire_many(rng.u32(1..4));
    for _ in 0..rng.u8(1..20) {
        if let Poll::Ready(permit) = poll(&mut future, Waker::noop()) {
            return Some(permit.unwrap());
        }
    }
    None
}

#[test]
fn close_ends_everyone() {
    let mut rng = Rng::with_seed(seed());
    for _ in 0..200 * times() {
        let sem = Semaphore::new(2);
        let turns = AtomicUsize::new(0);
        on_threads(&mut rng, |i, mut rng| {
            while let Ok(permit) = block_on(sem.acquire_many(rng.u32(1..=2))) {
                let turn = turns.fetch_add(1, Ordering::SeqCst);
                if i == 0 && turn > 20 {
                    sem.close();
                }
                drop(permit);
            }
            assert!(sem.is_closed());
        });
        assert_eq!(sem.available_permits(), 2);
    }
}

#[test]
fn a_release_a_cancel_and_a_close_meet() {
    let mut rng = Rng::with_seed(seed());
    for _ in 0..1500 * times() {
        let sem = Semaphore::new(2);
        let mut first = sem.acquire_many(3);
        let (second_wakes, third_wakes) = (Wakes::new(), Wakes::new());
        let mut second = sem.acquire_many(2);
        let mut third = sem.acquire();
        assert!(poll(&mut first, Waker::noop()).is_pending());
        assert!(second_wakes.poll(&mut second).is_pending());
        assert!(third_wakes.poll(&mut third).is_pending());
        let close = rng.bool();
        thread::scope(|scope| {
            scope.spawn(|| drop(first));
            scope.spawn(|| sem.add_permits(1));
            if close {
                sem.close();
            }
        });
        // Three are there: enough for the second and the third, if they came before the close.
        assert_eq!((second_wakes.count(), third_wakes.count()), (1, 1));
        let Poll::Ready(second) = second_wakes.poll(&mut second) else { panic!("woken for it") };
        let Poll::Ready(third) = third_wakes.poll(&mut third) else { panic!("woken for it") };
        assert!(close || (second.is_ok() && third.is_ok()));
        assert!(second.is_ok() || third.is_err(), "the third overtook the second");
        drop((second, third));
        assert_eq!(sem.available_permits(), 3);
    }
}

#[test]
fn a_grant_meets_the_change_of_a_waker() {
    let mut rng = Rng::with_seed(seed());
    for _ in 0..1500 * times() {
        let sem = Semaphore::new(0);
        let mut future = sem.acquire();
        let mut last = Wakes::new();
        let mut answer = last.poll(&mut future);
        thread::scope(|scope| {
            scope.spawn(|| sem.add_permits(1));
            for _ in 0..rng.u8(1..20) {
                if answer.is_pending() {
                    last = Wakes::new();
                    answer = last.poll(&mut future);
                }
            }
        });
        if answer.is_pending() {
            assert_eq!(last.count(), 1, "the latest waker is the one to wake");
            answer = last.poll(&mut future);
        }
        assert!(matches!(answer, Poll::Ready(Ok(_))));
        drop(answer);
        assert_eq!(sem.available_permits(), 1);
    }
}

#[test]
fn served_in_order_by_many_releasers() {
    const LINE: usize = 400;
    let mut rng = Rng::with_seed(seed());
    let sem = Semaphore::new(0);
    for _ in 0..20 {
        let mut line: Vec<_> = (0..LINE).map(|_| (sem.acquire(), Wakes::new())).collect();
        for (future, wakes) in &mut line {
            assert!(wakes.poll(future).is_pending());
        }
        let all = AtomicBool::new(false);
        on_threads(&mut rng, |i, mut rng| {
            if i > 0 {
                for _ in 0..LINE / 2 / (THREADS - 1) {
                    sem.add_permits(1);
                }
                all.store(true, Ordering::SeqCst);
            } else {
                // Whoever is seen awake was preceded by all before it: looked at from the end.
                while !all.load(Ordering::SeqCst) {
                    let i = rng.usize(1..LINE);
                    if line[i].1.count() == 1 {
                        let awake = |j: &usize| line[*j].1.count() == 1;
                        let asleep = (0..i).filter(|j| !awake(j)).count();
                        // A releaser serves first and wakes then, each at most one at a time.
                        assert!(asleep < THREADS, "{asleep} before {i} are asleep");
                    }
                }
            }
        });
        let given = LINE / 2 / (THREADS - 1) * (THREADS - 1);
        for (i, (future, wakes)) in line.iter_mut().enumerate() {
            assert_eq!(wakes.count(), usize::from(i < given), "number {i}");
            match poll(future, Waker::noop()) {
                Poll::Ready(permit) => permit.unwrap().forget(),
                Poll::Pending => assert!(i >= given),
            }
        }
        drop(line);
        assert_eq!(sem.available_permits(), 0);
    }
}

#[test]
fn a_big_request_comes_through_a_crowd() {
    const PERMITS: usize = 8;
    let mut rng = Rng::with_seed(seed());
    let sem = Semaphore::new(PERMITS);
    let over = AtomicBool::new(false);
    on_threads(&mut rng, |i, mut rng| {
        if i == 0 {
            for _ in 0..200 {
                let all = block_on(sem.acquire_many(8)).unwrap();
                assert_eq!(sem.available_permits(), 0);
                drop(all);
            }
            over.store(true, Ordering::SeqCst);
        } else {
            while !over.load(Ordering::SeqCst) {
                drop(impatient(&sem, rng.u32(1..=3), &mut rng));
            }
        }
    });
    assert_eq!(sem.available_permits(), PERMITS);
}

#[test]
fn tasks_on_a_runtime_with_timeouts() {
    const PERMITS: usize = 4;
    let mut rng = Rng::with_seed(seed());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_time()
        .build()
        .unwrap();
    let sem = Arc::new(Semaphore::new(PERMITS));
    let out = Arc::new(Out::new(PERMITS));
    runtime.block_on(async {
        let tasks: Vec<_> = (0..100)
            .map(|_| tokio::spawn(task(Arc::clone(&sem), Arc::clone(&out), rng.fork())))
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(sem.available_permits(), PERMITS);
    assert_eq!(Arc::strong_count(&sem), 1);
}

async fn task(sem: Arc<Semaphore>, out: Arc<Out>, mut rng: Rng) {
    for _ in 0..100 {
        let future = Arc::clone(&sem).acquire_many_owned(rng.u32(1..=3));
        let permit = if rng.bool() {
            future.await.unwrap()
        } else {
            let limit = Duration::from_micros(rng.u64(..2000));
            match tokio::time::timeout(limit, future).await {
                Ok(permit) => permit.unwrap(),
                Err(_) => continue,
            }
        };
        out.enter(permit.num_permits());
        if rng.bool() {
            tokio::task::yield_now().await;
        }
        out.leave(permit.num_permits());
    }
}

#[test]
fn tasks_that_are_aborted() {
    watch();
    let mut rng = Rng::with_seed(seed());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let sem = Arc::new(Semaphore::new(2));
    runtime.block_on(async {
        for _ in 0..50 {
            let tasks: Vec<_> = (0..20)
                .map(|_| {
                    let sem = Arc::clone(&sem);
                    let n = rng.u32(1..=2);
                    tokio::spawn(async move {
                        let permit = sem.acquire_many(n).await.unwrap();
                        tokio::task::yield_now().await;
                        drop(permit);
                    })
                })
                .collect();
            for task in &tasks {
                if rng.bool() {
                    task.abort();
                }
            }
            for task in tasks {
                match task.await {
                    Ok(()) => {}
                    Err(error) => assert!(error.is_cancelled()),
                }
            }
            assert_eq!(sem.available_permits(), 2);
        }
    });
}
