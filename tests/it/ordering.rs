//! What was done before one operation is seen after every later one, whichever way the permits go.
//!
//! A test that runs sees little of this: the processor and the compiler have to be unlucky. What
//! sees it is ThreadSanitizer (`scripts/sanitize thread`), which reports every access that nothing
//! puts in order. So nothing here does, but the semaphore: what is written and read is not atomic,
//! threads take turns by what is `Relaxed`, and nobody is woken, for a wake is an order too.

use std::cell::UnsafeCell;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;

use semafair::{Semaphore, SemaphorePermit, TryAcquireError};

use crate::support::watchdog::times;
use crate::support::{poll, watch};

/// A number that is not atomic.
#[derive(Default)]
pub(crate) struct Plain {
    number: UnsafeCell<usize>,
    busy: AtomicBool,
}

#[expect(unsafe_code, reason = "only what is not atomic shows that an order is missing")]
// SAFETY: `change` is the only access, and lets in one thread at a time. That they come in an order
// as well is the semaphore's promise, and what the tests are for.
unsafe impl Sync for Plain {}

impl Plain {
    /// Changes the number, and returns what it was.
    #[expect(unsafe_code, reason = "see above")]
    pub(crate) fn change(&self, to: impl FnOnce(usize) -> usize) -> usize {
        assert!(!self.busy.swap(true, Ordering::Relaxed), "two at once");
        let number = self.number.get();
        // SAFETY: nobody else is here, by `busy`.
        let old = unsafe { number.read() };
        let new = to(old);
        // SAFETY: as above.
        unsafe { number.write(new) };
        self.busy.store(false, Ordering::Relaxed);
        old
    }

    pub(crate) fn add_one(&self) {
        self.change(|old| old + 1);
    }

    /// Finds that so many have added one.
    #[track_caller]
    fn sees(&self, n: usize) {
        assert_eq!(self.change(|old| old), n, "somebody's work is not seen");
    }

    pub(crate) fn into_inner(self) -> usize {
        self.number.into_inner()
    }
}

/// What the threads of a test share.
struct Stage {
    sem: Semaphore,
    work: Plain,
    /// Of somebody who works at the same time as another.
    other_work: Plain,
    turn: AtomicUsize,
}

impl Stage {
    /// Whose turn it is; gives no order to anything else.
    fn until(&self, turn: usize) {
        while self.turn.load(Ordering::Relaxed) < turn {
            thread::yield_now();
        }
    }

    fn next(&self) {
        self.turn.fetch_add(1, Ordering::Relaxed);
    }

    /// All permits there are.
    fn all(&self) -> SemaphorePermit<'_> {
        self.sem.try_acquire_many(2).unwrap()
    }

    /// Joins the line, says so, and looks again when it is the `turn`.
    fn wait(&self, n: u32, turn: usize) -> Option<SemaphorePermit<'_>> {
        let mut future = self.sem.acquire_many(n);
        assert!(poll(&mut future, Waker::noop()).is_pending());
        self.next();
        self.until(turn);
        spin(future).ok()
    }
}

/// Polls without end: a waker would bring an order of its own.
fn spin<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::yield_now(),
        }
    }
}

type Actor<'a> = &'a (dyn Fn(&Stage) + Sync);

/// Runs the actors at once, many times, each time on another stage. There are two permits.
fn play(actors: &[Actor<'_>]) {
    watch();
    for _ in 0..20 * times() {
        let stage = Stage {
            sem: Semaphore::new(2),
            work: Plain::default(),
            other_work: Plain::default(),
            turn: AtomicUsize::new(0),
        };
        thread::scope(|scope| {
            for actor in actors {
                scope.spawn(|| actor(&stage));
            }
        });
    }
}

/// Takes all permits at once, works when it is its turn, and gives them back.
fn gives_all(turn: usize) -> impl Fn(&Stage) {
    move |stage| {
        let permits = stage.all();
        stage.next();
        stage.until(turn);
        stage.work.add_one();
        drop(permits);
        stage.next();
    }
}

/// Does the other work when it is its turn, and adds a permit.
fn adds_one(turn: usize) -> impl Fn(&Stage) {
    move |stage| {
        stage.until(turn);
        stage.other_work.add_one();
        stage.sem.add_permits(1);
        stage.next();
    }
}

/// The ways to give two permits back.
const GIVES: [fn(&Semaphore, SemaphorePermit<'_>); 4] = [
    |_, permits| drop(permits),
    |sem, permits| {
        permits.forget();
        sem.add_permits(2);
    },
    |_, mut permits| {
        drop(permits.split(1));
        drop(permits);
    },
    |_, mut permits| {
        let mut one = permits.split(1).unwrap();
        one.merge(permits);
        drop(one);
    },
];

type Take = for<'a> fn(&'a Semaphore) -> Option<SemaphorePermit<'a>>;

/// The ways to take two that are free, or soon will be. What is taken is looked at before it goes
/// back, for that is an order too.
const TAKES: [Take; 5] = [
    |sem| spin(sem.acquire_many(2)).ok(),
    |sem| sem.blocking_acquire_many(2).ok(),
    |sem| Some(until_some(|| sem.try_acquire_many(2).ok())),
    |sem| {
        let mut one = until_some(|| sem.try_acquire().ok());
        one.merge(spin(sem.acquire()).unwrap());
        Some(one)
    },
    |sem| {
        for _ in 0..2 {
            until_some(|| (sem.forget_permits(1) == 1).then_some(()));
        }
        None
    },
];

fn until_some<T>(f: impl Fn() -> Option<T>) -> T {
    loop {
        if let Some(it) = f() {
            return it;
        }
        thread::yield_now();
    }
}

#[test]
fn who_takes_what_is_free_sees_who_gave_it() {
    for give in GIVES {
        for take in TAKES {
            let gives = |stage: &Stage| {
                let permits = stage.all();
                stage.work.add_one();
                give(&stage.sem, permits);
                stage.next();
            };
            let takes = |stage: &Stage| {
                stage.until(1);
                let permits = take(&stage.sem);
                stage.work.sees(1);
                drop(permits);
            };
            play(&[&gives, &takes]);
        }
    }
}

#[test]
fn who_is_handed_permits_sees_who_gave_them() {
    for give in GIVES {
        let gives = |stage: &Stage| {
            let permits = stage.all();
            stage.next();
            stage.until(2);
            stage.work.add_one();
            give(&stage.sem, permits);
            stage.next();
        };
        let waits = |stage: &Stage| {
            stage.until(1);
            let permits = stage.wait(2, 3).unwrap();
            stage.work.sees(1);
            drop(permits);
        };
        play(&[&gives, &waits]);
    }
}

#[test]
fn who_is_handed_permits_by_two_sees_both() {
    let gives_both = |stage: &Stage| {
        let mut permits = stage.all();
        let one = permits.split(1);
        stage.next();
        stage.until(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                stage.other_work.add_one();
                drop(one);
                stage.next();
            });
            stage.work.add_one();
            drop(permits);
            stage.next();
        });
    };
    let waits = |stage: &Stage| {
        stage.until(1);
        let permits = stage.wait(2, 4).unwrap();
        stage.work.sees(1);
        stage.other_work.sees(1);
        drop(permits);
    };
    play(&[&gives_both, &waits]);
}

/// One was free, and was taken along into the line; the other was handed over.
#[test]
fn who_is_handed_the_rest_sees_who_gave_each() {
    let gives_first = adds_one(1);
    let gives_the_rest = gives_all(3);
    let waits = |stage: &Stage| {
        stage.until(2);
        let permits = stage.wait(3, 4).unwrap();
        stage.other_work.sees(1);
        stage.work.sees(1);
        drop(permits);
    };
    play(&[&gives_first, &gives_the_rest, &waits]);
}

/// What one gave went to the head of the line, and yet it came before what the other gave.
#[test]
fn who_stands_behind_sees_those_who_gave_before() {
    let gives_to_the_head = adds_one(3);
    let gives = gives_all(4);
    let heads = |stage: &Stage| {
        stage.until(1);
        stage.wait(1, 4).unwrap().forget();
    };
    let waits = |stage: &Stage| {
        stage.until(2);
        let permits = stage.wait(2, 5).unwrap();
        stage.other_work.sees(1);
        stage.work.sees(1);
        drop(permits);
    };
    play(&[&gives_to_the_head, &gives, &heads, &waits]);
}

#[test]
fn who_leaves_hands_on_what_was_done_before() {
    // Granted, or only partly filled.
    for wants in [2, 3] {
        let gives = gives_all(3);
        let leaves = |stage: &Stage| {
            stage.until(1);
            let mut future = stage.sem.acquire_many(wants);
            assert!(poll(&mut future, Waker::noop()).is_pending());
            stage.next();
            stage.until(4);
            stage.other_work.add_one();
            drop(future);
            stage.next();
        };
        let waits = |stage: &Stage| {
            stage.until(2);
            let permits = stage.wait(2, 5).unwrap();
            stage.work.sees(1);
            stage.other_work.sees(1);
            drop(permits);
        };
        play(&[&gives, &leaves, &waits]);
    }
}

/// Those who waited, and those who come after: even in the middle of the close.
#[test]
fn who_is_refused_sees_who_closed() {
    const REFUSED: [fn(&Stage); 3] = [
        |stage| {
            stage.all().forget();
            assert!(stage.wait(1, 2).is_none());
        },
        |stage| {
            stage.next();
            until_some(|| spin(stage.sem.acquire()).err());
        },
        |stage| {
            stage.next();
            until_some(|| stage.sem.try_acquire().err());
        },
    ];
    for refused in REFUSED {
        let closes = |stage: &Stage| {
            stage.until(1);
            stage.work.add_one();
            stage.sem.close();
            stage.next();
        };
        let is_refused = |stage: &Stage| {
            refused(stage);
            stage.work.sees(1);
        };
        play(&[&closes, &is_refused]);
    }
}

#[test]
fn who_tries_in_vain_sees_who_took() {
    for take in TAKES {
        let takes = |stage: &Stage| {
            stage.work.add_one();
            let permits = take(&stage.sem);
            stage.next();
            stage.until(2);
            drop(permits);
        };
        let tries = |stage: &Stage| {
            stage.until(1);
            let error = until_some(|| stage.sem.try_acquire().err());
            assert_eq!(error, TryAcquireError::NoPermits);
            stage.work.sees(1);
            stage.next();
        };
        play(&[&takes, &tries]);
    }
}
