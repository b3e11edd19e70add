//! What another thread does while one is between two steps, for each step in turn.

use core::cell::{Cell, RefCell};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::Wake;
use std::thread::{self, ThreadId};
use std::vec::Vec;

use super::watchdog::watch;
use crate::line::Line;
use crate::sync::probe::count::Count;
use crate::sync::probe::memory;
use crate::sync::probe::steps::before_step;
use crate::sync::sizes::CELLS;
use crate::{AcquireOwned, OwnedSemaphorePermit, Semaphore};

/// Runs it to its end on another thread, whose steps are not counted.
pub(super) fn elsewhere<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    let yard = memory::yard();
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            memory::enter(yard);
            run()
        });
        other.join().expect("it does not panic")
    })
}

/// Polls, and keeps what comes of it from being given back; says whether it was granted.
fn poll(future: &mut AcquireOwned, waker: &Waker) -> Poll<bool> {
    let answer = Pin::new(future).poll(&mut Context::from_waker(waker));
    answer.map(|answer| answer.map(OwnedSemaphorePermit::forget).is_ok())
}

fn is_granted(future: &mut AcquireOwned) -> bool {
    poll(future, Waker::noop()) == Poll::Ready(true)
}

/// So many who wait.
fn line(semaphore: &Arc<Semaphore>, n: usize) -> Vec<AcquireOwned> {
    let mut line: Vec<_> = (0..n).map(|_| semaphore.clone().acquire_owned()).collect();
    line.iter_mut().for_each(|future| assert!(poll(future, Waker::noop()).is_pending()));
    line
}

/// A waker that does not return on any thread but its own, until it may.
struct Stuck {
    home: ThreadId,
    is_in: Sender<()>,
    may_return: Mutex<Receiver<()>>,
}

impl Wake for Stuck {
    fn wake(self: Arc<Self>) {
        if thread::current().id() != self.home {
            self.is_in.send(()).expect("the test looks");
            let may_return = self.may_return.lock().expect("nobody panics here");
            let _over = may_return.recv();
        }
    }
}

/// A close begins while a release is at any step, and its thread stands in a waker of its first batch:
/// nobody behind that batch is served if somebody in it was refused.
#[test]
fn nobody_is_served_behind_a_batch_that_was_refused() {
    watch();
    for step in 1.. {
        let semaphore = Arc::new(Semaphore::new(0));
        let (is_in, in_waker) = channel();
        let (over, may_return) = channel();
        let may_return = Mutex::new(may_return);
        let home = thread::current().id();
        let stuck = Waker::from(Arc::new(Stuck { home, is_in: is_in.clone(), may_return }));
        let mut first = semaphore.clone().acquire_owned();
        assert!(poll(&mut first, &stuck).is_pending());
        let mut behind = line(&semaphore, 2);
        let closer = Rc::new(RefCell::new(None));
        let between = {
            let (semaphore, closer) = (semaphore.clone(), closer.clone());
            move || {
                let (semaphore, is_in) = (semaphore.clone(), is_in.clone());
                *closer.borrow_mut() = Some(thread::spawn(move || {
                    semaphore.close();
                    let _nobody_looks = is_in.send(());
                }));
                in_waker.recv().expect("it is in the waker, or has closed");
            }
        };
        let came = before_step(step, between, || semaphore.add_permits(1));
        let granted = behind.iter_mut().any(is_granted);
        assert!(!granted || is_granted(&mut first), "served behind one who was refused, at {step}");
        drop(over);
        if let Some(closer) = closer.take() {
            closer.join().expect("it closes");
        }
        if !came {
            return;
        }
    }
}

/// Two segments in the middle are left, and swept, while a delivery is at any step; it may have frozen the
/// first, and not unlinked it.
#[test]
fn a_sweep_passes_a_first_segment_that_is_on_its_way_out() {
    watch();
    for step in 1.. {
        let semaphore = Arc::new(Semaphore::new(0));
        let mut all = line(&semaphore, 4 * CELLS);
        let middle = Rc::new(Cell::new(Some(all.drain(CELLS..3 * CELLS).collect::<Vec<_>>())));
        let leaves = middle.clone();
        let between = move || {
            let middle = leaves.take();
            elsewhere(move || drop(middle));
        };
        let came = before_step(step, between, || semaphore.add_permits(CELLS + 1));
        drop(middle.take());
        let served = all.iter_mut().map(is_granted).take_while(|granted| *granted).count();
        assert!(served >= CELLS, "{served} of {} were served, at {step}", CELLS + 1);
        if !came {
            return;
        }
    }
}

/// A close begins and ends while a delivery is at any step, which has a unit for somebody who asked and was
/// stopped before it had a place. The unit is free then: nobody goes on with this close.
fn a_unit_that_nobody_wants_any_more_is_free(served: usize) {
    watch();
    for step in 1.. {
        let came = memory::checked(|| {
            let semaphore = Arc::new(Semaphore::new(0));
            let _line = semaphore.core.line.get_or_init(Line::with_seed);
            let mut all = line(&semaphore, served);
            semaphore.add_permits(served);
            assert!(all.iter_mut().all(is_granted));
            assert!(semaphore.core.balance.take(1).is_err());
            let closes = semaphore.clone();
            let between = move || elsewhere(|| closes.close());
            let came = before_step(step, between, || semaphore.add_permits(1));
            if !came {
                semaphore.close();
            }
            assert_eq!(semaphore.available_permits(), 1, "at step {step}");
            came
        });
        if !came {
            return;
        }
    }
}

/// It would be left in a place that nobody takes.
#[test]
fn a_delivery_that_finds_the_tail_shut_takes_its_unit_back() {
    a_unit_that_nobody_wants_any_more_is_free(0);
}

/// The delivery is about to move the tail off a full segment.
#[test]
fn a_delivery_that_finds_the_tail_shut_leaves_it() {
    a_unit_that_nobody_wants_any_more_is_free(CELLS);
}

/// A sweep goes on where a delivery has unlinked what it came from, or stands in: of five segments two are
/// finished, and the delivery unlinks the first and serves one waiter of the third.
#[test]
fn a_sweep_goes_on_where_the_line_has_moved_under_it() {
    watch();
    for step in 1.. {
        let came = memory::checked(|| {
            let semaphore = Arc::new(Semaphore::new(0));
            let mut all = line(&semaphore, 5 * CELLS);
            let last_to_leave = all.remove(4 * CELLS - 1);
            drop(all.drain(3 * CELLS..4 * CELLS - 1));
            drop(all.drain(CELLS..2 * CELLS));
            let releases = semaphore.clone();
            let between = move || elsewhere(|| releases.add_permits(CELLS + 1));
            let came = before_step(step, between, || drop(last_to_leave));
            // Those with somebody in them.
            assert_eq!(memory::alive(), 3, "at step {step}");
            came
        });
        if !came {
            return;
        }
    }
}

/// A thread that closes is stopped after its first step, while somebody is about to wait.
#[test]
fn nobody_who_comes_sleeps_beside_a_closer_that_is_stopped() {
    watch();
    for step in 1.. {
        let semaphore = Arc::new(Semaphore::new(0));
        let _before = line(&semaphore, 1);
        let mut comes = semaphore.clone().acquire_owned();
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let closes = semaphore.clone();
        let between = move || elsewhere(|| assert!(closes.core.close_balance()));
        let mut answer = Poll::Pending;
        let came = before_step(step, between, || answer = poll(&mut comes, &waker));
        if !came {
            return;
        }
        assert!(answer.is_ready() || count.get() == 1, "it sleeps for ever, at step {step}");
    }
}

/// What a panic leaves behind may panic as well.
#[test]
fn what_a_second_panic_leaves_is_not_dropped() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a payload was dropped");
        }
    }
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            resume_unwind(Box::new(Bomb));
        }
    }

    let semaphore = Arc::new(Semaphore::new(0));
    let mut all: Vec<_> = (0..4).map(|_| semaphore.clone().acquire_owned()).collect();
    let count = Arc::new(Count::default());
    for (i, future) in all.iter_mut().enumerate() {
        let waker = if i < 3 { Waker::from(Arc::new(Panics)) } else { Waker::from(count.clone()) };
        assert!(poll(future, &waker).is_pending());
    }
    let panic = catch_unwind(AssertUnwindSafe(|| semaphore.add_permits(4)));
    core::mem::forget(panic.expect_err("the first comes out"));
    assert_eq!(count.get(), 1, "the last was left asleep");
}
