//! Limits and moments that cannot be reached from outside.

use core::cell::{Cell, RefCell};
use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use crate::core::balance::{Balance, signed_sum};
use crate::line::{Joined, Line};
use crate::sync::probe::count::Count;
use crate::sync::probe::memory;
use crate::sync::probe::steps::{at_steps, before_step};
use crate::sync::sizes::{BATCH, CELLS};
use crate::wakes::{Wakes, waking};
use crate::{Acquire, AcquireOwned, Semaphore, SemaphorePermit};

/// Units and permits that are handed on together serve more than a batch of wakers holds.
#[test]
fn what_is_handed_on_wakes_more_than_a_batch() {
    let semaphore = Semaphore::new(0);
    let counts: [Arc<Count>; BATCH + 1] = Default::default();
    let wakers = counts.each_ref().map(|count| Waker::from(count.clone()));
    let mut line = wakers.each_ref().map(|_| Box::pin(semaphore.acquire()));
    for (future, waker) in line.iter_mut().zip(&wakers) {
        assert!(future.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    }
    // As whoever leaves does with units that came beyond those that were on their way.
    assert!(semaphore.core.balance.give(BATCH).is_err(), "they are owed");
    waking(|wakes| semaphore.core.pass_on(BATCH as u64, 1, wakes));
    assert_eq!(counts.each_ref().map(|count| count.get()), [1; BATCH + 1]);
}

/// Nobody can drive the balance so low that it looks closed.
#[test]
fn too_much_demand_is_refused() {
    assert!(Balance::owing(21 << 57).load().is_open_to_waiters());
    let owed = (21 << 57) + 1;
    let semaphore = Semaphore::new(0);
    semaphore.core.balance.owe(owed);
    assert!(!semaphore.is_closed());
    let mut future = pin!(semaphore.acquire());
    let mut cx = Context::from_waker(Waker::noop());
    let panic = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx).is_ready()));
    let message = *panic.expect_err("it was refused").downcast::<&str>().expect("a sentence");
    assert_eq!(message, "more than 2^59 permits are being waited for");
    assert_eq!(semaphore.core.balance.load().owed(), owed.unsigned_abs(), "it asks all the same");
    assert!(!semaphore.is_closed());
}

/// It is the debt that is large, and not what is waited for: one more may wait.
#[test]
fn a_large_debt_refuses_nobody() {
    const ALL: usize = Semaphore::MAX_PERMITS;
    let semaphore = Semaphore::builder(ALL).acquired(ALL).build();
    let guard = semaphore.adopt(ALL);
    assert_eq!(semaphore.set_limit(0), Semaphore::MAX_PERMITS);
    let mut waiter = semaphore.acquire_many(u32::MAX);
    assert!(poll(&mut waiter, Waker::noop()).is_pending());
    assert_eq!(semaphore.status().queued, u32::MAX as usize);
    assert_eq!(semaphore.set_limit(Semaphore::MAX_PERMITS), 0);
    assert_eq!(semaphore.available_permits(), 0);
    drop(guard);
    assert!(matches!(poll(&mut waiter, Waker::noop()), Poll::Ready(Ok(_))));
    drop(waiter);
}

/// Several threads lower the limit at the same instant, and each has taken as much out of the balance as
/// there can be. The next must try again, as it could not be told from closed.
#[test]
fn nobody_takes_the_balance_below_its_floor() {
    let balance = Balance::owing((17 << 57) - 1);
    assert!(balance.take_off(2).is_err());
    assert!(balance.take_off(1).is_ok());
    assert!(!balance.load().is_closed());
    assert!(balance.load().is_open_to_waiters());
}

/// Whoever comes to a semaphore whose closer was stopped at once closes it to the end.
#[test]
fn anybody_closes_for_one_who_is_stopped() {
    type Other = fn(&Semaphore, &mut Option<Acquire<'_>>, &mut Option<SemaphorePermit<'_>>);
    let others: [Other; 7] = [
        |semaphore, _, _| assert!(semaphore.try_acquire().is_err()),
        |semaphore, _, _| assert!(poll(&mut semaphore.acquire(), Waker::noop()).is_ready()),
        |_, waiting, _| assert!(poll(waiting.as_mut().unwrap(), Waker::noop()).is_pending()),
        |_, waiting, _| *waiting = None,
        |_, _, permit| *permit = None,
        |semaphore, _, _| semaphore.add_permits(1),
        |semaphore, _, _| assert_eq!(semaphore.set_limit(0), 1),
    ];
    for other in others {
        let semaphore = Semaphore::new(1);
        let mut permit = Some(semaphore.try_acquire().unwrap());
        let count = Arc::new(Count::default());
        let mut sleeps = semaphore.acquire();
        assert!(poll(&mut sleeps, &Waker::from(count.clone())).is_pending());
        let mut waiting = Some(semaphore.acquire());
        assert!(poll(waiting.as_mut().unwrap(), Waker::noop()).is_pending());
        semaphore.core.close_balance();
        other(&semaphore, &mut waiting, &mut permit);
        assert_eq!(count.get(), 1, "it sleeps for ever");
        assert!(matches!(poll(&mut sleeps, Waker::noop()), Poll::Ready(Err(_))));
    }
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Of what a waiter misses, so much is on its way as the balance does not owe.
#[test]
fn what_is_on_its_way_is_not_withdrawn() {
    for (owed, on_its_way, then) in [(5, 0, 2), (3, 0, 0), (1, 2, 0), (0, 3, 0), (-7, 3, -7)] {
        let balance = Balance::owing(owed);
        assert_eq!(balance.withdraw(3), on_its_way, "{owed} owed, 3 missing");
        let now = balance.load();
        assert_eq!(signed_sum(now.owed()) - signed_sum(now.free()), then, "{owed} owed");
    }
}

/// Polls, and keeps what comes of it from being given back.
fn is_granted(future: &mut AcquireOwned) -> bool {
    match poll(future, Waker::noop()) {
        Poll::Ready(Ok(permit)) => {
            permit.forget();
            true
        }
        _ => false,
    }
}

/// A permit and a close come in between when a waiter leaves. The permit is for who stays if the
/// other has withdrawn its demand before; otherwise nobody is served after the close.
#[test]
fn nobody_is_served_after_a_close_that_finds_one_leaving() {
    for step in 1.. {
        let semaphore = Arc::new(Semaphore::new(0));
        let mut leaves = semaphore.clone().acquire_owned();
        let mut stays = semaphore.clone().acquire_owned();
        assert!(!is_granted(&mut leaves) && !is_granted(&mut stays));

        let for_who_stays = Rc::new(Cell::new(false));
        let between = {
            let (semaphore, for_who_stays) = (semaphore.clone(), for_who_stays.clone());
            move || {
                for_who_stays.set(semaphore.core.balance.load().owed() == 1);
                semaphore.add_permits(1);
                // Whoever closes is stopped before it goes through the line.
                semaphore.core.close_balance();
            }
        };
        let came = before_step(step, between, || drop(leaves));
        if !came {
            return;
        }
        let granted = is_granted(&mut stays);
        assert_eq!(granted, for_who_stays.get(), "at step {step}");
        assert_eq!(semaphore.available_permits() + usize::from(granted), 1, "at step {step}");
    }
}

/// Somebody joins while a unit is left for one in front who is stopped.
#[test]
fn one_who_comes_as_a_unit_is_left_in_front_is_served() {
    for step in 1.. {
        let line = Rc::new(Line::new());
        // It has a place, and has not published there.
        let Err((Some(stopped), _)) = line.try_join(1, Waker::noop().clone()) else {
            panic!("it has a place")
        };
        let came_to = Rc::new(RefCell::new(None));
        let between = {
            let (line, came_to) = (line.clone(), came_to.clone());
            move || *came_to.borrow_mut() = Some(line.join(None, 1, None))
        };
        let came = before_step(step, between, || {
            assert_eq!(line.deliver(1, &mut Wakes::default()).returned, 0);
        });
        let Some((joined, in_hand)) = came_to.take() else {
            line.complete(stopped.finish());
            assert!(!came);
            return;
        };
        if in_hand > 0 {
            assert_eq!(line.deliver(in_hand, &mut Wakes::default()).returned, 0);
        }
        if let Joined::Waiting(place) = joined {
            assert!(place.is_granted(), "at step {step}");
            line.complete(place.finish());
        }
        line.complete(stopped.finish());
    }
}

/// Somebody joins while a unit goes from the end of one segment to the next.
#[test]
fn one_who_comes_as_the_tail_moves_on_is_served() {
    for step in 1.. {
        let semaphore = Arc::new(Semaphore::new(0));
        let mut line: Vec<_> = (0..CELLS).map(|_| semaphore.clone().acquire_owned()).collect();
        line.iter_mut().for_each(|future| assert!(poll(future, Waker::noop()).is_pending()));
        // One who asked, and was stopped before it took a place.
        assert!(semaphore.core.balance.take(1).is_err());

        let comes = Rc::new(RefCell::new(semaphore.clone().acquire_owned()));
        let at_once = Rc::new(Cell::new(false));
        let between = {
            let (comes, at_once) = (comes.clone(), at_once.clone());
            move || at_once.set(is_granted(&mut comes.borrow_mut()))
        };
        let came = before_step(step, between, || semaphore.add_permits(CELLS + 1));
        if !came {
            return;
        }
        assert!(line.iter_mut().all(is_granted), "at step {step}");
        assert!(at_once.get() || is_granted(&mut comes.borrow_mut()), "at step {step}");
        assert_eq!(semaphore.core.balance.load().owed(), 1, "at step {step}");
    }
}

/// Somebody who joins is stopped twice. First the segment in which it saw the tail is used up, and
/// goes; then it comes back, at the same address, at the end of the line.
#[test]
fn one_who_joins_as_the_last_segment_comes_back_has_a_place_of_its_own() {
    memory::set_reuses(true);
    let pairs = (1..).map(|first| {
        let comes_back = |&second: &usize| comes_back_while_one_joins(first, second);
        (first + 1..).take_while(comes_back).count()
    });
    assert!(pairs.take_while(|&seconds| seconds > 0).count() > 5, "so many steps it takes");
    memory::set_reuses(false);
}

/// The two stops are before these steps; `false` if there is no second.
fn comes_back_while_one_joins(first: usize, second: usize) -> bool {
    let semaphore = Arc::new(Semaphore::new(0));
    let line = Rc::new(RefCell::new(Vec::new()));
    let join = {
        let (semaphore, line) = (semaphore.clone(), line.clone());
        move |n: usize| {
            let mut waiters: Vec<_> = (0..n).map(|_| semaphore.clone().acquire_owned()).collect();
            waiters.iter_mut().for_each(|waiter| assert!(!is_granted(waiter)));
            line.borrow_mut().extend(waiters);
        }
    };
    let serve = {
        let (semaphore, line) = (semaphore.clone(), line.clone());
        move |n: usize| {
            semaphore.add_permits(n);
            line.borrow_mut().retain_mut(|waiter| !is_granted(waiter));
        }
    };
    join(CELLS);
    let on_step = {
        let serve = serve.clone();
        move |step| {
            if step == first {
                // All are served, and so is one in the next segment: this one goes.
                join(1);
                serve(CELLS + 1);
            } else if step == second {
                // The next is filled, and the one behind it is that one again.
                join(2 * CELLS - 1);
            }
        }
    };
    let mut joins = semaphore.clone().acquire_owned();
    let mut served = false;
    let taken = at_steps(on_step, || served = is_granted(&mut joins));
    // Those who were served while it was stopped may be this one, and not the last of them.
    if !served && !is_granted(&mut joins) {
        line.borrow_mut().push(joins);
    }
    let waiting = line.borrow().len();
    serve(waiting);
    assert!(line.borrow().is_empty(), "somebody is not served: before {first} and {second}");
    assert_eq!(semaphore.available_permits(), 0, "before {first} and {second}");
    taken >= second
}

/// A closed semaphore stays closed, however many permits are added to it, and come back.
#[test]
fn closed_stays_closed() {
    let semaphore = Semaphore::new(0);
    let mut waiter = Box::pin(semaphore.acquire_many(2));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(waiter.as_mut().poll(&mut cx).is_pending());
    semaphore.add_permits(1);
    semaphore.close();
    semaphore.add_permits(Semaphore::MAX_PERMITS - 1);
    assert_eq!(semaphore.available_permits(), Semaphore::MAX_PERMITS - 1);
    drop(waiter); // what had been put aside for it comes back
    assert!(semaphore.is_closed());
    assert_eq!(semaphore.available_permits(), Semaphore::MAX_PERMITS);
}

/// A request that is to be refused has not put back yet what it asked for, so it seems to be out. Who comes
/// then to wait for the drain, which has ended, does not wait for ever.
#[test]
fn a_drain_that_has_ended_has_ended_for_all() {
    let semaphore = Semaphore::new(1);
    let permit = semaphore.try_acquire().unwrap();
    semaphore.close();
    let mut first = semaphore.drained();
    assert!(poll(&mut first, Waker::noop()).is_pending());
    drop(permit);
    assert!(semaphore.core.balance.take(1).is_err(), "it is closed");
    assert_eq!(semaphore.outstanding(), 1);
    assert!(poll(&mut semaphore.drained(), Waker::noop()).is_ready());
    semaphore.core.balance.give_closed(1);
    assert!(poll(&mut first, Waker::noop()).is_ready());
}

/// The same where nobody has waited before: the request that puts it back ends the drain.
#[test]
fn who_is_refused_ends_the_drain_that_it_has_held_up() {
    for step in 1.. {
        let semaphore = Arc::new(Semaphore::new(0));
        semaphore.close();
        let drained = Rc::new(RefCell::new(semaphore.clone().drained_owned()));
        let count = Arc::new(Count::default());
        let ready = Rc::new(Cell::new(false));
        let between = {
            let (drained, ready) = (drained.clone(), ready.clone());
            let waker = Waker::from(count.clone());
            move || ready.set(poll(&mut *drained.borrow_mut(), &waker).is_ready())
        };
        let came = before_step(step, between, || {
            assert!(poll(&mut semaphore.acquire(), Waker::noop()).is_ready());
        });
        if !came {
            return;
        }
        assert!(ready.get() || count.get() == 1, "it sleeps for ever, at step {step}");
    }
}
