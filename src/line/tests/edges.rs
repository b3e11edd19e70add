//! What cannot be reached from outside the line, on one thread.

use core::task::Waker;
use std::boxed::Box;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::vec::Vec;

use super::deliver;
use crate::Semaphore;
use crate::line::cell;
use crate::line::cell::{Finish, Published, Visited};
use crate::line::debt::{Added, Debt};
use crate::line::list::List;
use crate::line::reclaim::Guard;
use crate::line::reclaim::Source;
use crate::line::segment::{CELLS, Completed};
use crate::line::{Joined, Line, Place, Registered, Verdict};
use crate::sync::probe::count::Count;
use crate::sync::probe::memory;
use crate::sync::probe::steps::{at_steps, watched};
use crate::sync::sizes::BATCH;

/// Who looks in front so late that the line has gone on without it takes nothing from behind its
/// place: a unit that lies in a place that was not given out is for whoever takes that.
#[test]
fn a_late_look_in_front_takes_nothing_from_behind() {
    let line = Line::new();
    let late = line.list.reserve().expect("open");
    let (Joined::Waiting(next), 0) = line.join(None, 1, None) else { panic!("nothing is here") };
    assert_eq!(deliver(&line, 1), 0);
    assert_eq!(next.check(), Verdict::Granted);
    assert_eq!(deliver(&line, 1), 0);
    assert_eq!(line.pick_up(late.cell()), 0);
    let (Joined::Granted(_), 0) = line.join(None, 1, None) else { panic!("the unit is gone") };
    line.complete(late.finish());
    line.complete(next.finish());
}

/// A segment that somebody looks at is given back when that one leaves it.
#[test]
fn who_leaves_last_gives_a_segment_back() {
    memory::checked(|| {
        let list = List::new();
        let mut places: Vec<_> = (0..6 * CELLS).filter_map(|_| list.reserve()).collect();
        let mut retire_the_first = || {
            places.drain(..CELLS).for_each(|place| list.complete(place.finish()));
            let guard = list.first();
            let retired = list.unlink(None, &guard).flatten().expect("finished, and first");
            list.hazards().retire(retired);
            let alive = memory::alive();
            drop(guard);
            (alive, memory::alive())
        };
        assert_eq!(retire_the_first(), (6, 5));
        assert_eq!(retire_the_first(), (5, 4));
        places.into_iter().for_each(|place| list.complete(place.finish()));
    });
}

/// A segment that was handed over to a slot is given back when its owner moves on to another, before it
/// leaves the slot.
#[test]
fn who_moves_on_gives_a_segment_back() {
    memory::checked(|| {
        let list = List::new();
        let mut places: Vec<_> = (0..6 * CELLS).filter_map(|_| list.reserve()).collect();
        let mut retire_the_first = || {
            places.drain(..CELLS).for_each(|place| list.complete(place.finish()));
            let guard = list.first();
            let next = list.behind(guard.segment()).expect("there are six");
            let retired = list.unlink(None, &guard).flatten().expect("finished, and first");
            list.hazards().retire(retired);
            let alive = memory::alive();
            let moved = guard.move_to(Source::Next(next.segment())).expect("there is another");
            let after = memory::alive();
            drop(moved);
            (alive, after)
        };
        assert_eq!(retire_the_first(), (6, 5));
        assert_eq!(retire_the_first(), (5, 4));
        places.into_iter().for_each(|place| list.complete(place.finish()));
    });
}

/// A unit that lies in front, in the place of one who is late, is taken along by who joins, also
/// where a hint leads to cells that are satisfied.
#[test]
fn a_unit_in_front_is_taken_along() {
    let line = Line::new();
    let (Joined::Waiting(served), 0) = line.join(None, 1, None) else { panic!("no unit yet") };
    let late = line.list.reserve().expect("open");
    assert_eq!(deliver(&line, 2), 0);
    assert!(served.is_granted());
    assert_eq!(late.cell().units_left(), Some(1));

    served.segment().set_hint(0); // as a thread does that is late with it
    let (Joined::Waiting(next), 1) = line.join(None, 1, None) else { panic!("it is stranded") };
    assert_eq!(deliver(&line, 1), 0);
    assert!(next.is_granted());
    [served, late, next].into_iter().for_each(|place| line.complete(place.finish()));
}

/// Units wait for those who are late, and go on without them when somebody waits behind.
#[test]
fn units_wait_for_late_ones_and_go_on_to_who_waits() {
    let line = Line::new();
    let late = [(); 3].map(|()| line.list.reserve().expect("open"));
    assert_eq!(deliver(&line, 2), 0);
    assert_eq!(late[0].cell().units_left(), Some(2), "the first who comes takes them along");
    let (Joined::Waiting(waits), 2) = line.join(None, 1, None) else { panic!("stranded") };
    assert!(late[0].cell().is_satisfied());
    assert_eq!(deliver(&line, 2), 0);
    assert!(waits.is_granted());
    let mut late_again = Vec::new();
    for place in late {
        // One is left at the end of the line, for whoever comes.
        match line.join(Some(place), 1, None) {
            (Joined::Granted(_), 0) => {}
            (Joined::Waiting(place), 0) => late_again.push(place),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(late_again.len(), 2, "one was granted at once");
    late_again.into_iter().chain([waits]).for_each(|place| line.complete(place.finish()));
}

/// Whoever is late at a place behind units that were left is told to look, in the next segment, too.
#[test]
fn late_ones_in_the_next_segment_are_told_to_look() {
    let line = Line::new();
    let mut late: Vec<Place> = (0..2 * CELLS).map(|_| line.list.reserve().expect("open")).collect();
    for _ in 0..2 {
        // The second finds them told already.
        assert_eq!(deliver(&line, 1), 0);
    }
    let last = late.pop().expect("there are some");
    let Published::Told(_) = last.cell().publish(1, None) else { panic!("it was not told") };
    let Published::Waiting = last.cell().publish(1, None) else { panic!("it was told twice") };
    // It waits now: the next unit takes along what lies in front.
    assert_eq!(deliver(&line, 1), 0);
    assert!(last.is_granted());
    late.into_iter().chain([last]).for_each(|place| line.complete(place.finish()));
}

/// A place behind that was taken and left again is no reason for a unit to wait: whoever comes behind
/// finds that its owner has looked, and does not look further.
#[test]
fn a_unit_goes_on_past_one_who_came_and_went() {
    let line = Line::new();
    let late = line.list.reserve().expect("open");
    let (Joined::Waiting(left), 0) = line.join(None, 1, None) else { panic!("nothing is here") };
    let Verdict::Waiting(seen) = left.check() else { panic!("it waits") };
    assert_eq!(line.vacate(left, seen, 0).owed, 0);
    assert_eq!(deliver(&line, 1), 0);
    let (Joined::Granted(_), 0) = line.join(None, 1, None) else { panic!("it is stranded") };
    line.complete(late.finish());
}

/// Those who are late are late again: whenever the line goes on without a place, its owner takes
/// another, and has not published there when the line comes to it. A delivery ends all the same.
#[test]
fn a_delivery_ends_although_others_are_late_for_ever() {
    let line = Rc::new(Line::new());
    let late: Vec<Place> = (0..2).map(|_| line.list.reserve().expect("open")).collect();
    let late = Rc::new(RefCell::new(late));
    let lateness = Rc::new(Cell::new(0));
    let next_place = {
        let (line, late, lateness) = (line.clone(), late.clone(), lateness.clone());
        move || {
            // What is done here takes steps, too.
            let Ok(mut late) = late.try_borrow_mut() else { return };
            let skipped = late.iter().position(|place| place.cell().is_satisfied());
            let Some(skipped) = skipped.filter(|_| lateness.get() < 100) else { return };
            lateness.set(lateness.get() + 1);
            line.complete(late.remove(skipped).finish());
            late.push(line.list.reserve().expect("open"));
        }
    };
    let units = watched(next_place, || deliver(&line, 1));
    assert_eq!(units, 0);
    assert!(lateness.get() < 100, "it ends because they are late no more");
    // Whichever of them comes at last, takes the unit along.
    let place = late.borrow_mut().pop();
    let (Joined::Waiting(place), 1) = line.join(place, 1, None) else { panic!("it is stranded") };
    assert_eq!(deliver(&line, 1), 0);
    assert!(place.is_granted());
    line.complete(place.finish());
    late.take().into_iter().for_each(|place| line.complete(place.finish()));
}

/// An OPEN cell holds what 2^27 threads ask for, each the most that one may, and no more; and more than
/// one asks for goes on.
#[test]
fn as_many_units_as_an_open_cell_can_hold() {
    const MOST: u64 = (1 << 59) - 1;
    let cell = cell::Cell::new(true);
    assert_eq!(cell.leave_units(MOST - 1), Some(MOST - 1));
    assert_eq!(cell.leave_units(3), Some(1));
    assert_eq!(cell.units_left(), Some(MOST));
    let Published::Granted { over, finish, .. } = cell.publish(u32::MAX, None) else {
        panic!("there is enough")
    };
    assert_eq!((over, finish), (MOST - u64::from(u32::MAX), Finish::Watched));

    let cell = cell::Cell::new(false);
    assert_eq!(cell.leave_units(1), Some(1));
    let Published::Granted { over: 0, finish: Finish::Plain, .. } = cell.publish(1, None) else {
        panic!("there is one, and no mark")
    };
}

/// More than an OPEN cell can hold is not for who is late there, and goes on.
#[test]
fn more_units_than_an_open_cell_can_hold_go_on() {
    for more in [0, 1, 1 << 32] {
        let line = Line::new();
        let late = line.list.reserve().expect("open");
        let waiting = [(); 2].map(|()| match line.join(None, u32::MAX, None) {
            (Joined::Waiting(place), 0) => place,
            other => panic!("{other:?}"),
        });
        let later = line.list.reserve().expect("open");
        assert_eq!(deliver(&line, (1 << 59) - 1 + more), 0);
        assert!(waiting.iter().all(Place::is_granted));
        let left = (1 << 59) - 1 + more - 2 * u64::from(u32::MAX);
        assert_eq!(later.cell().units_left(), Some(left));
        [late, later].into_iter().chain(waiting).for_each(|place| line.complete(place.finish()));
    }
}

/// If a close has begun, units that have no room in the last place are for nobody, and neither are those that have.
#[test]
fn what_has_no_room_beside_a_close_is_given_back() {
    let line = Line::new();
    assert_eq!(line.close_debt(), 0);
    let all = (1 << 59) + 4;
    assert_eq!(deliver(&line, all), all);
}

/// To deliver nothing changes nothing for those who are late.
#[test]
fn nobody_is_passed_over_for_nothing() {
    let semaphore = Semaphore::new(0);
    assert!(semaphore.core.balance.take(2).is_err());
    let line = semaphore.core.line.get_or_init(Line::with_seed);
    let late = line.list.reserve().expect("open");
    let (Joined::Waiting(waits), 0) = line.join(None, 1, None) else { panic!("nothing is here") };
    semaphore.add_permits(0);
    assert!(late.cell().is_open());
    [late, waits].into_iter().for_each(|place| line.complete(place.finish()));
}

/// Nor is anybody when the last unit makes the batch full.
#[test]
fn nobody_is_passed_over_after_the_last_unit() {
    let line = Line::new();
    let join = || match line.join(None, 1, Some(Waker::noop().clone())) {
        (Joined::Waiting(place), 0) => place,
        other => panic!("{other:?}"),
    };
    let served = [(); BATCH].map(|()| join());
    let late = line.list.reserve().expect("open");
    let waits = join();
    assert_eq!(deliver(&line, BATCH as u64), 0);
    assert!(served.iter().all(Place::is_granted));
    assert!(late.cell().is_open());
    served.into_iter().chain([late]).for_each(|place| line.complete(place.finish()));
    let Verdict::Waiting(seen) = waits.check() else { panic!("it waits") };
    assert_eq!(line.vacate(waits, seen, 0).owed, 0);
}

/// The biggest request, all but filled, and filled from more than fits.
#[test]
fn as_many_units_as_a_waiter_can_want() {
    let cell = cell::Cell::new(true);
    assert!(matches!(cell.publish(u32::MAX, None), Published::Waiting));
    assert!(matches!(cell.deliver(u64::from(u32::MAX) - 1), Visited::Short));
    assert!(matches!(cell.check(), Verdict::Waiting(seen) if seen.missing() == 1));
    let Visited::Served { took: 1, .. } = cell.deliver(u64::MAX) else { panic!("it is full") };
    assert_eq!(cell.check(), Verdict::Granted);
    assert_eq!(cell.finish(), Finish::Watched, "the mark is no part of the units");
}

/// Who leaves waits for what is on its way, less what has come since it looked; and where that is
/// nothing, it leaves nothing behind. What came beyond is for others.
#[test]
fn a_return_for_what_is_still_to_come() {
    let waiting = || {
        let cell = cell::Cell::new(false);
        assert!(matches!(cell.publish(3, None), Published::Waiting));
        let Verdict::Waiting(seen) = cell.check() else { panic!("nothing has come") };
        (cell, seen)
    };
    let (cell, seen) = waiting();
    assert!(matches!(cell.deliver(1), Visited::Short));
    let vacated = cell.vacate(seen, 2);
    assert_eq!((vacated.returned, vacated.owed, vacated.finish), (1, 0, None));
    let last = cell.deliver(5);
    assert!(
        matches!(last, Visited::Returned { units: 1, finish: Some(Finish::Plain) }),
        "{last:?}"
    );

    let (cell, seen) = waiting();
    assert!(cell.vacate(seen, 2).finish.is_none());
    let first = cell.deliver(1);
    assert!(matches!(first, Visited::Returned { units: 1, finish: None }), "{first:?}");
    let last = cell.deliver(1);
    assert!(matches!(last, Visited::Returned { units: 1, finish: Some(_) }), "{last:?}");

    for (came, on_its_way) in [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (3, 2)] {
        let (cell, seen) = waiting();
        cell.deliver(came.into());
        let vacated = cell.vacate(seen, on_its_way);
        let shares = (vacated.returned, vacated.owed, vacated.finish);
        assert_eq!(shares, (on_its_way, came - on_its_way, Some(Finish::Plain)));
    }
}

/// A RETURN ends when the line is closed: its units will come to the end of the line. The mark goes along.
#[test]
fn a_return_ends_as_the_line_is_closed() {
    let cell = cell::Cell::new(true);
    assert!(matches!(cell.publish(3, None), Published::Waiting));
    let Verdict::Waiting(seen) = cell.check() else { panic!("it waits") };
    assert_eq!(cell.vacate(seen, 2).finish, None);
    let ends = cell.void();
    assert!(
        matches!(ends, Visited::Returned { units: 0, finish: Some(Finish::Watched) }),
        "{ends:?}"
    );
    assert!(cell.is_gone());
}

/// A limit that is lowered takes back what it needs of the units in an OPEN cell, and no more.
#[test]
fn what_is_not_taken_back_stays() {
    let cell = cell::Cell::new(true);
    assert_eq!(cell.leave_units(5), Some(5));
    assert_eq!(cell.take_back(2), Some(2));
    assert_eq!(cell.units_left(), Some(3));
    assert_eq!(cell.take_back(4), Some(3));
    assert_eq!(cell.units_left(), Some(0));
}

/// The units that lay in a cell are part of what its owner asks for.
#[test]
fn who_publishes_has_what_lay_there() {
    let cell = cell::Cell::new(true);
    assert_eq!(cell.leave_units(2), Some(2));
    assert!(matches!(cell.publish(5, None), Published::Waiting));
    let Verdict::Waiting(seen) = cell.check() else { panic!("it waits") };
    assert_eq!(seen.missing(), 3);
}

/// Whoever has no units left has not satisfied a waiter.
#[test]
fn a_waiter_is_not_satisfied_by_nothing() {
    let cell = cell::Cell::new(true);
    assert!(matches!(cell.publish(1, None), Published::Waiting));
    assert!(matches!(cell.deliver(0), Visited::Short));
}

/// Units that are left in a place that nobody has published pay a debt that comes at any step of that.
#[test]
fn units_left_in_front_pay_a_debt_that_comes_meanwhile() {
    let mut step = 1;
    while debt_at_step(step) {
        step += 1;
    }
    assert!(step > 3, "so many steps it takes");
}

/// Two units are delivered to an owner that has not published, and one more is owed before the step. Says
/// whether there is such a step.
fn debt_at_step(at: usize) -> bool {
    let line = Rc::new(Line::new());
    let place = line.list.reserve().expect("open");
    let in_hand = Rc::new(RefCell::new(None));
    let owe = {
        let (line, in_hand) = (line.clone(), in_hand.clone());
        move |step| {
            if step == at {
                *in_hand.borrow_mut() = Some(line.owe(1).expect("open"));
            }
        }
    };
    at_steps(owe, || assert_eq!(deliver(&line, 2), 0));
    let Some(units) = in_hand.take() else {
        line.complete(place.finish());
        return false;
    };
    assert_eq!(deliver(&line, units), 0);
    assert_eq!(line.debt(), 0, "before step {at}");
    let (Joined::Waiting(place), over) = line.join(Some(place), 3, None) else {
        panic!("there is one unit")
    };
    assert_eq!(deliver(&line, over), 0);
    let Verdict::Waiting(seen) = place.check() else { panic!("there is one unit") };
    assert_eq!(seen.missing(), 2, "before step {at}");
    let vacated = line.vacate(place, seen, 0);
    assert_eq!((vacated.returned, vacated.owed), (0, 0));
    true
}

/// A debt is paid with units behind one who has all it needs, though the hint leads to that one: it may go
/// backwards.
#[test]
fn units_behind_a_satisfied_one_pay_a_debt() {
    let line = Line::new();
    let (Joined::Waiting(served), 0) = line.join(None, 1, None) else { panic!("nothing is here") };
    let late = line.list.reserve().expect("open");
    assert_eq!(deliver(&line, 3), 0);
    let guard = line.list.first();
    guard.segment().set_hint(guard.segment().first());
    drop(guard);
    assert_eq!(line.owe(1), Some(0));
    assert_eq!(line.debt(), 0);
    assert_eq!(late.cell().units_left(), Some(1));
    [served, late].into_iter().for_each(|place| line.complete(place.finish()));
}

/// Whoever joins has in hand what it took along in front, and what came to its place meanwhile.
#[test]
fn units_in_front_and_units_that_come_meanwhile_add_up() {
    let mut step = 1;
    while delivery_at_step(step) {
        step += 1;
    }
    assert!(step > 3, "so many steps it takes");
}

/// Two units lie in front of a waiter for one, and two more come before the step. Says whether there is such
/// a step.
fn delivery_at_step(at: usize) -> bool {
    let line = Rc::new(Line::new());
    let late = line.list.reserve().expect("open");
    assert_eq!(deliver(&line, 2), 0);
    let comes = {
        let line = line.clone();
        move |step| {
            if step == at {
                assert_eq!(deliver(&line, 2), 0);
            }
        }
    };
    let mut joined = None;
    let steps = at_steps(comes, || joined = Some(line.join(None, 1, None)));
    let (joined, in_hand) = joined.expect("it has joined");
    assert_eq!(deliver(&line, in_hand), 0);
    if let Joined::Waiting(place) = joined {
        assert!(place.is_granted(), "before step {at}");
        line.complete(place.finish());
    }
    // One more than there are now.
    let left = if steps < at { 1 } else { 3 };
    let (Joined::Waiting(place), in_hand) = line.join(None, left + 1, None) else {
        panic!("units were invented before step {at}")
    };
    assert_eq!(deliver(&line, in_hand), 0);
    let Verdict::Waiting(seen) = place.check() else { panic!("units were invented") };
    assert_eq!(seen.missing(), 1, "before step {at}");
    assert_eq!(line.vacate(place, seen, 0).owed, 0);
    line.complete(late.finish());
    steps >= at
}

/// A debt has room for so much, in front and behind zero, and for nothing when it is closed.
#[test]
fn a_debt_has_bounds_and_an_end() {
    const MOST: u64 = 17 << 57;
    let debt = Debt::new();
    assert!(!debt.is_due());
    assert_eq!(debt.pay(1), Some(0));
    assert!(debt.credit(5));
    assert!(!debt.is_due());
    assert_eq!((debt.load(), debt.pay(1)), (0, Some(0)), "a credit is no debt");
    assert_eq!(debt.add(MOST + 6), Added::Full);
    assert_eq!(debt.add(MOST + 5), Added::Yes);
    assert!(debt.is_due());
    assert_eq!((debt.load(), debt.add(1)), (MOST, Added::Full));
    assert_eq!(debt.pay(MOST - 1), Some(MOST - 1));
    assert_eq!(debt.pay(5), Some(1));
    assert_eq!((debt.add(3), debt.load()), (Added::Yes, 3));
    assert_eq!(debt.close(), 3);
    assert!(debt.is_due());
    assert_eq!((debt.load(), debt.pay(1), debt.add(1)), (3, None, Added::Closed));
    assert!(!debt.credit(1));
    assert_eq!(debt.close(), 3);

    let debt = Debt::new();
    assert!(debt.credit(2));
    assert_eq!(debt.close(), -2);
    assert_eq!((debt.load(), debt.pay(1)), (0, Some(0)), "there is nothing to pay");
}

/// Whatever the order in which its cells end, a segment ends with the last, and not before.
#[test]
fn a_segment_ends_with_its_last_cell() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut orders: Vec<Vec<usize>> = vec![(0..CELLS).collect(), (0..CELLS).rev().collect()];
    orders.push([CELLS - 1].into_iter().chain(0..CELLS - 1).collect());
    for _ in 0..1000 {
        let mut order: Vec<usize> = (0..CELLS).collect();
        random.shuffle(&mut order);
        orders.push(order);
    }
    for order in orders {
        let list = List::new();
        let mut places: Vec<_> = (0..CELLS).map(|_| list.reserve()).collect();
        let (last, others) = order.split_last().expect("there are some");
        for &cell in others {
            let ended = places[cell].take().expect("given out").finish();
            assert!(matches!(ended, Completed::No), "{cell} of {order:?}: {ended:?}");
        }
        let ended = places[*last].take().expect("given out").finish();
        assert!(matches!(ended, Completed::Linked), "{order:?}: {ended:?}");
    }
}

/// Registers a waker, and does what else is to be done for it.
fn register(place: &mut Place, waker: &Waker) -> Verdict {
    let Registered { verdict, unused: _, wake_now } = place.register(waker);
    if wake_now {
        waker.wake_by_ref();
    }
    verdict
}

fn missing(look: Verdict) -> u32 {
    match look {
        Verdict::Waiting(seen) => seen.missing(),
        over => panic!("{over:?}"),
    }
}

/// A slot that was refilled 2^28 - 1 times is not refilled again: the waiter is woken to look.
#[test]
fn a_worn_out_slot_wakes_at_once() {
    let line = Line::new();
    let counts: [Arc<Count>; 4] = Default::default();
    let wakers = counts.each_ref().map(|count| Waker::from(count.clone()));
    let (Joined::Waiting(mut place), 0) = line.join(None, 2, Some(wakers[0].clone())) else {
        panic!("no place")
    };
    place.cell().exhaust_versions();

    // The last version.
    assert_eq!(missing(register(&mut place, &wakers[1])), 2);
    assert_eq!(counts.each_ref().map(|count| count.get()), [0, 0, 0, 0]);
    // None is left: woken at once, and at every look after that.
    assert_eq!(missing(register(&mut place, &wakers[2])), 2);
    assert_eq!(missing(register(&mut place, &wakers[3])), 2);
    assert_eq!(counts.each_ref().map(|count| count.get()), [0, 0, 1, 1]);
    assert_eq!(Arc::strong_count(&counts[1]), 2, "the line kept a waker");

    assert_eq!(deliver(&line, 1), 0);
    assert_eq!(missing(register(&mut place, &wakers[3])), 1);
    assert_eq!(deliver(&line, 1), 0);
    assert_eq!(register(&mut place, &wakers[3]), Verdict::Granted);
    line.complete(place.finish());
}

/// A segment that comes out of a slot may have been unlinked after the retirer began. So a block of slots
/// that is appended meanwhile is read, too.
#[test]
fn a_block_of_slots_that_is_appended_meanwhile_is_read() {
    let stops = (1..8).flat_map(|first| (first + 1..10).map(move |second| (first, second)));
    let taken = stops.map(|(first, second)| appended_while_one_retires(first, second));
    assert!(taken.max().expect("there are some") > 3, "so many steps it takes");
}

/// Before the first of these steps another segment is retired, and looked at in a new block; before the
/// second, the slot to which it was handed over is left. Says how many steps there are.
fn appended_while_one_retires(first: usize, second: usize) -> usize {
    type Look = RefCell<Option<Guard<'static>>>;

    // Steps are watched by what lives for ever. It is kept where a leak is none.
    static LISTS: Mutex<Vec<&'static List>> = Mutex::new(Vec::new());
    let list: &'static List = Box::leak(Box::new(List::new()));
    LISTS.lock().expect("nobody panics here").push(list);

    // So many that nobody sweeps.
    let mut places: Vec<Place> = (0..5 * CELLS).filter_map(|_| list.reserve()).collect();
    places.drain(..CELLS).for_each(|place| list.complete(place.finish()));
    let y = list.first();
    // The other slot is taken, for a look at the last segment.
    let _last = list.last().expect("it has segments");
    let retired = list.unlink(None, &y).flatten().expect("finished, and first");

    let (y, x): (Rc<Look>, Rc<Look>) = (Rc::new(RefCell::new(Some(y))), Rc::default());
    let places = Rc::new(RefCell::new(places));
    let on_step = {
        let (y, x, places) = (y.clone(), x.clone(), places.clone());
        move |step| {
            if step == first {
                let moved = y.take().and_then(|y| y.move_to(list.head()));
                *y.borrow_mut() = moved;
                let unlinks = list.first();
                *x.borrow_mut() = Some(list.first());
                places.borrow_mut().drain(..CELLS).for_each(|place| list.complete(place.finish()));
                let retired = list.unlink(None, &unlinks).flatten().expect("finished, and first");
                drop(unlinks);
                list.hazards().retire(retired);
            } else if step == second {
                drop(y.take());
            }
        }
    };
    let taken = at_steps(on_step, || list.hazards().retire(retired));
    if let Some(x) = x.take() {
        let _ = x.segment().hint();
    }
    drop(y.take());
    places.take().into_iter().for_each(|place| list.complete(place.finish()));
    taken
}
