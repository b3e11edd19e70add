//! Corners of the moving limit that no other test on one thread comes to.

use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use std::boxed::Box;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::vec::Vec;

use super::interruptions::elsewhere;
use super::watchdog::watch;
use crate::sync::probe::steps::at_steps;
use crate::{AcquireOwned, Semaphore};

const ALL: usize = Semaphore::MAX_PERMITS;

/// So much fits sixteen times into the largest limit, and seventeen times into the balance.
const PART: i64 = 1 << 57;

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A shrinker takes back what was left in the line for its debt. Before it pays, somebody comes who
/// waits, and another permit pays: what the shrinker has in hand is for the waiter.
#[test]
fn what_a_shrink_has_taken_back_too_much_is_for_who_waits() {
    watch();
    let mut sleeps = Vec::new();
    for first in 1.. {
        let mut steps = first + 1;
        let mut second = first;
        while second <= steps {
            let semaphore = Arc::new(Semaphore::new(2));
            let [one, other] = [(); 2].map(|()| semaphore.clone().try_acquire_owned().unwrap());
            let guards = Arc::new(Mutex::new([Some(one), Some(other)]));
            let waiter = Arc::new(Mutex::new(None::<Pin<Box<AcquireOwned>>>));
            let (comes, waits, held) = (semaphore.clone(), waiter.clone(), guards.clone());
            let between = move |step| {
                if step == first {
                    elsewhere(|| drop(held.lock().unwrap()[0].take()));
                }
                if step == second {
                    elsewhere(|| {
                        let mut future = Box::pin(comes.clone().acquire_owned());
                        if poll(future.as_mut()).is_pending() {
                            *waits.lock().unwrap() = Some(future);
                        }
                        drop(held.lock().unwrap()[1].take());
                    });
                }
            };
            steps = at_steps(between, || assert_eq!(semaphore.set_limit(1), 2));
            drop(guards);
            if let Some(mut future) = waiter.lock().unwrap().take() {
                if poll(future.as_mut()).is_pending() {
                    sleeps.push((first, second));
                }
            }
            second += 1;
        }
        if first > steps {
            break;
        }
    }
    assert!(sleeps.is_empty(), "it sleeps for ever, at steps {sleeps:?}");
}

/// Who finds no room in the balance for what it takes off holds nothing while it tries again: others
/// who are in the same case would wait for it, as it for them.
#[test]
fn who_has_no_room_holds_nothing() {
    watch();
    let semaphore = Arc::new(Semaphore::builder(ALL / 2).acquired(ALL / 2).build());
    let half = ALL as u64 / 2;
    let demand = 10 * PART;
    let held_nothing = Rc::new(Cell::new(false));
    let (other, sees) = (semaphore.clone(), held_nothing.clone());
    let began = Cell::new(None);
    let on_step = move |step| {
        let core = &other.core;
        let owed = core.balance.load().owed();
        match began.get() {
            // It has taken off, and is about to change the limit: that rises, in a thread that is
            // stopped before it gives, and others ask for much.
            None if owed >= half && core.debt() >= half => {
                assert_eq!(core.limit.change(core.limit.load(), ALL as u64), Ok(()));
                core.balance.owe(demand);
                began.set(Some(step));
            }
            // The others go when they have seen it, or in the end.
            Some(at) if owed == demand.unsigned_abs() || step == at + 1000 => {
                sees.set(owed == demand.unsigned_abs());
                core.balance.owe(-demand);
                began.set(Some(usize::MAX - 1000));
            }
            _ => {}
        }
    };
    at_steps(on_step, || assert_eq!(semaphore.set_limit(0), ALL));
    assert!(held_nothing.get(), "it waited with what it had taken");
}

/// Neither a line is made nor anything allocated.
#[test]
fn a_shrink_of_free_permits_makes_no_line() {
    let semaphore = Semaphore::new(3);
    assert_eq!(semaphore.set_limit(1), 3);
    assert_eq!(semaphore.forget_permits(1), 1);
    assert!(semaphore.core.line.get().is_none());
}

/// Nobody keeps the waker of one who has given up the wait for the drain.
#[test]
fn who_gives_up_the_drain_is_forgotten() {
    let semaphore = Arc::new(Semaphore::new(1));
    let bell = Arc::new(crate::sync::probe::count::Count::default());
    let waker = Waker::from(bell.clone());
    let known = Arc::strong_count(&bell);
    {
        let mut context = Context::from_waker(&waker);
        let mut drained = pin!(semaphore.drained());
        assert!(drained.as_mut().poll(&mut context).is_pending());
        let mut owned = pin!(semaphore.clone().drained_owned());
        assert!(owned.as_mut().poll(&mut context).is_pending());
        assert_eq!(Arc::strong_count(&bell), known + 2);
    }
    assert_eq!(Arc::strong_count(&bell), known);
}
