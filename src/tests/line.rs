//! The line by itself: a child of `line/mod.rs`, to reach into it.

#[cfg(any(semafair_loom, semafair_shuttle))]
#[path = "cell.rs"]
mod cell;

#[cfg(semafair_loom)]
mod models {
    use std::sync::Arc;

    use super::super::list::List;
    use super::super::reclaim::{Guard, Source};
    use super::super::segment::{CELLS, Retired};
    use super::super::{Joined, Line, Look, Place};
    use crate::tests::model::{Note, check, check_at_least, thread};
    use crate::wakes::Wakes;

    /// D1: a deliverer leaves a unit in a place whose owner is stopped, and reads the tail; somebody
    /// reserves the place behind, and looks in front. One of the two sees the other; and what was
    /// done before the unit was delivered is seen by whoever takes it along.
    fn a_unit_left_for_stopped_threads(stopped: usize) {
        check(move || {
            let line = Arc::new(Line::new());
            let stopped: Vec<Place> =
                (0..stopped).map(|_| line.list.reserve().expect("open")).collect();
            let note = Note::default();
            let deliverer = (line.clone(), note.clone());
            let t = thread::spawn(move || {
                deliverer.1.write();
                deliverer.0.deliver(1, &mut Wakes::default())
            });
            let (joined, over) = line.join(None, 1, None);
            // With nothing in hand nobody delivers, or that would find what lies about.
            if over > 0 {
                note.read();
                assert_eq!(line.deliver(over, &mut Wakes::default()), 0);
            }
            assert_eq!(t.join().unwrap(), 0);
            if let Joined::Waiting(place) = joined {
                assert_eq!(place.look(), Look::Granted, "a unit is stranded");
                line.finish(place);
            }
            stopped.into_iter().for_each(|place| line.finish(place));
        });
    }

    #[test]
    fn a_unit_left_for_a_stopped_thread_is_taken_along() {
        a_unit_left_for_stopped_threads(1);
    }

    /// The second of them before it looked in front itself.
    #[test]
    fn a_unit_left_for_two_stopped_threads_is_taken_along() {
        a_unit_left_for_stopped_threads(2);
    }

    /// One who is late comes while a unit is left in front, in the place of another who is stopped: it
    /// is told to look, or is found to wait. And so it is with two who come.
    fn late_ones_come_as_a_unit_is_left_in_front(n: usize) {
        check(move || {
            let line = Arc::new(Line::new());
            let mut places: Vec<Place> =
                (0..=n).map(|_| line.list.reserve().expect("open")).collect();
            let note = Note::default();
            let deliverer = (line.clone(), note.clone());
            let mut threads = Vec::from([thread::spawn(move || {
                deliverer.1.write();
                assert_eq!(deliverer.0.deliver(1, &mut Wakes::default()), 0);
                None
            })]);
            let come = |line: &Line, place, note: &Note| {
                let (joined, over) = line.join(Some(place), 1, None);
                if over > 0 {
                    note.read();
                    assert_eq!(line.deliver(over, &mut Wakes::default()), 0);
                }
                match joined {
                    Joined::Waiting(place) => Some(place),
                    Joined::Granted => None,
                    Joined::Shut => panic!("it is open"),
                }
            };
            let stopped = places.remove(0);
            let here = places.remove(0);
            threads.extend(places.into_iter().map(|place| {
                let (line, note) = (line.clone(), note.clone());
                thread::spawn(move || come(&line, place, &note))
            }));
            let mut waiting: Vec<Place> = come(&line, here, &note).into_iter().collect();
            waiting.extend(threads.into_iter().filter_map(|thread| thread.join().unwrap()));
            let granted = waiting.iter().filter(|place| place.is_granted()).count();
            assert_eq!(granted + n - waiting.len(), 1, "a unit is stranded");
            for place in waiting {
                let _ = left(&line, place, 0);
            }
            line.finish(stopped);
        });
    }

    #[test]
    fn a_late_one_comes_as_a_unit_is_left_in_front() {
        late_ones_come_as_a_unit_is_left_in_front(1);
    }

    #[test]
    fn two_late_ones_come_as_a_unit_is_left_in_front() {
        late_ones_come_as_a_unit_is_left_in_front(2);
    }

    /// `OPEN -> AWAKE`, and `AWAKE -> DONE`, `SINK` or `GONE`: a waiter without a waker leaves while
    /// its unit comes, which is to vanish.
    #[test]
    fn one_who_is_awake_leaves_a_sink() {
        check(|| {
            let line = Arc::new(Line::new());
            let deliverer = line.clone();
            let t = thread::spawn(move || deliverer.deliver(1, &mut Wakes::default()));
            match line.join(None, 1, None) {
                (Joined::Waiting(place), 0) => assert_eq!(left(&line, place, 1), 0),
                (Joined::Granted, 0) => {}
                other => panic!("{other:?}"),
            }
            assert_eq!(t.join().unwrap(), 0);
            let (Joined::Waiting(next), 0) = line.join(None, 1, None) else {
                panic!("a unit is left")
            };
            assert_eq!(left(&line, next, 0), 0);
        });
    }

    /// Leaves a place at which it asked for a unit, which may be there already; says what is over.
    fn left(line: &Line, place: Place, swallow: u32) -> i64 {
        match place.look() {
            Look::Waiting(seen) => line.vacate(place, seen, swallow).over,
            Look::Granted => {
                line.finish(place);
                1 - i64::from(swallow)
            }
            closed => panic!("{closed:?}"),
        }
    }

    /// A line whose first `n` segments are finished, and a place behind them.
    fn finished(n: usize) -> (Arc<List>, Place) {
        let list = Arc::new(List::new());
        for _ in 0..n * CELLS {
            drop(list.reserve().expect("open").finish());
        }
        let behind = list.reserve().expect("open");
        (list, behind)
    }

    /// Unlinks and retires the first segment, which is finished, and which nobody else unlinks.
    fn retire_the_first(list: &List, guard: Guard<'_>) {
        let unlinked = list.unlink(None, &guard).flatten();
        drop(guard);
        list.hazards().retire(unlinked.expect("finished, and nobody else"));
    }

    /// D2: somebody looks at the first segment while it is unlinked, retired and freed, and so on.
    fn a_look_against_unlinking(n: usize) {
        check_at_least(n + 1, move || {
            let (list, behind) = finished(n);
            let reader = list.clone();
            let t = thread::spawn(move || {
                let guard = reader.first();
                let _ = guard.segment().next();
                let _ = guard.segment().hint();
            });
            thread::yield_now();
            for _ in 0..n {
                retire_the_first(&list, list.first());
            }
            t.join().unwrap();
            list.ended(behind.finish());
        });
    }

    #[test]
    fn a_look_against_unlinking_one() {
        a_look_against_unlinking(1);
    }

    #[test]
    fn a_look_against_unlinking_two() {
        a_look_against_unlinking(2);
    }

    /// D2 again, where the retirer has not seen the reader's slot before: nothing but the fences keeps
    /// it from missing the hazard.
    fn a_look_against_retiring(guard: fn(&List) -> Guard<'_>) {
        check(move || {
            let (list, behind) = finished(1);
            let guard = guard(&list);
            let reader = list.clone();
            let t = thread::spawn(move || {
                let guard = reader.first();
                let _ = guard.segment().hint();
            });
            thread::yield_now();
            retire_the_first(&list, guard);
            t.join().unwrap();
            list.ended(behind.finish());
        });
    }

    /// The reader finds the slot of its first choice free.
    #[test]
    fn a_look_at_once_against_retiring() {
        a_look_against_retiring(|list| {
            let _first_choice = list.first();
            list.first()
        });
    }

    /// The reader finds the slot of its first choice taken.
    #[test]
    fn a_look_elsewhere_against_retiring() {
        a_look_against_retiring(List::first);
    }

    /// Somebody looks at a segment that another has just appended, and made the first.
    #[test]
    fn a_look_at_a_new_first() {
        check(|| {
            let (list, behind) = finished(1);
            let behind: Vec<Place> =
                (1..CELLS).map(|_| list.reserve().expect("open")).chain([behind]).collect();
            let new = list.clone();
            let t = thread::spawn(move || {
                let place = new.reserve().expect("open");
                let guard = new.first();
                let one = new.unlink(None, &guard).flatten();
                let guard = guard.move_to(new.head()).expect("never null");
                let two = new.unlink(None, &guard).flatten();
                (place, one, two)
            });
            thread::yield_now();
            let _ = list.first().segment().hint();
            let (place, one, two) = t.join().unwrap();
            one.into_iter().chain(two).for_each(|retired| list.hazards().retire(retired));
            behind.into_iter().chain([place]).for_each(|place| list.ended(place.finish()));
        });
    }

    /// Who serves the second in line by the hint that another left has seen what that one did.
    #[test]
    fn a_hint_is_left_for_another() {
        check_at_least(3, || {
            let line = Arc::new(Line::new());
            let (places, note) = ([(); 2].map(|()| line.join(None, 1, None)), Note::default());
            let places = places.map(|(joined, _)| match joined {
                Joined::Waiting(place) => place,
                other => panic!("{other:?}"),
            });
            let other = (line.clone(), note.clone());
            let t = thread::spawn(move || {
                other.1.write();
                other.0.deliver(1, &mut Wakes::default())
            });
            assert_eq!(line.deliver(1, &mut Wakes::default()), 0);
            if places[1].look() == Look::Granted {
                note.read();
            }
            assert_eq!(t.join().unwrap(), 0);
            places.into_iter().for_each(|place| line.finish(place));
        });
    }

    /// Who finds `next` frozen by another goes on to a segment that it has not known before.
    #[test]
    fn a_look_behind_what_another_froze() {
        check(|| {
            let list = Arc::new(List::new());
            for _ in 0..2 * CELLS {
                drop(list.reserve().expect("open").finish());
            }
            let guard = list.first();
            let other = list.clone();
            let t = thread::spawn(move || {
                let behind = other.reserve().expect("open");
                let one = other.first();
                let two = next(&other, &one).and_then(|two| unlink(&other, &one, &two));
                let one = other.unlink(None, &one).flatten();
                (behind, one, two)
            });
            thread::yield_now();
            let own = list.unlink(None, &guard).flatten();
            let guard = guard.move_to(list.head()).expect("never null");
            let _ = guard.segment().hint();
            drop(guard);
            let (behind, one, two) = t.join().unwrap();
            let retired = own.into_iter().chain(one).chain(two);
            retired.for_each(|retired| list.hazards().retire(retired));
            list.ended(behind.finish());
        });
    }

    fn next<'a>(list: &'a List, guard: &Guard<'_>) -> Option<Guard<'a>> {
        list.hazards().protect(Source::Next(guard.segment()))
    }

    /// The last segment is not unlinked.
    fn unlink(list: &List, before: &Guard<'_>, segment: &Guard<'_>) -> Option<Retired> {
        let last = segment.segment().next().0.is_null();
        if last { None } else { list.unlink(Some(before), segment).flatten() }
    }

    /// Two unlink neighbours, the second of which was followed by a new one.
    fn two_unlink(both: bool) {
        check_at_least(3, move || {
            let list = Arc::new(List::new());
            let first: Vec<Place> = (0..CELLS).map(|_| list.reserve().expect("open")).collect();
            for _ in 0..2 * CELLS {
                drop(list.reserve().expect("open").finish());
            }
            let other = list.clone();
            let t = thread::spawn(move || {
                let new = other.reserve().expect("open");
                let one = other.first();
                let mut retired = Vec::new();
                if let Some(two) = next(&other, &one) {
                    if let Some(three) = next(&other, &two) {
                        retired.extend(unlink(&other, &two, &three));
                    }
                    if both {
                        retired.extend(unlink(&other, &one, &two));
                    }
                }
                (new, retired)
            });
            let one = list.first();
            let mut retired = Vec::new();
            if let Some(two) = next(&list, &one) {
                retired.extend(unlink(&list, &one, &two));
            }
            if let Some(behind) = next(&list, &one) {
                let _ = behind.segment().hint();
            }
            drop(one);
            let (new, others) = t.join().unwrap();
            retired.into_iter().chain(others).for_each(|retired| list.hazards().retire(retired));
            first.into_iter().chain([new]).for_each(|place| list.ended(place.finish()));
        });
    }

    #[test]
    fn two_unlink_neighbours() {
        two_unlink(false);
    }

    #[test]
    fn two_unlink_the_same() {
        two_unlink(true);
    }

    /// What somebody looked at is freed when the look is over, by whoever then can: the one who
    /// retires it, or the one to whom it was handed over.
    fn a_look_ends_against_retiring(end: fn(&List, Guard<'_>)) {
        check(move || {
            let (list, behind) = finished(1);
            let look = list.first();
            let retirer = list.clone();
            let t = thread::spawn(move || {
                retire_the_first(&retirer, retirer.first());
            });
            let _ = look.segment().hint();
            // Loom starts with the other: it misses some orders if it finds them the long way round.
            thread::yield_now();
            end(&list, look);
            t.join().unwrap();
            list.ended(behind.finish());
        });
    }

    #[test]
    fn a_guard_is_dropped_against_retiring() {
        a_look_ends_against_retiring(|_, guard| drop(guard));
    }

    #[test]
    fn a_guard_moves_on_against_retiring() {
        a_look_ends_against_retiring(|list, guard| drop(guard.move_to(list.head())));
    }

    /// All slots of the first block are taken: two append the next at once.
    #[test]
    fn two_need_more_slots() {
        check(|| {
            let list = Arc::new(List::new());
            let taken = (list.first(), list.first());
            let other = list.clone();
            let t = thread::spawn(move || drop(other.first()));
            drop(list.first());
            t.join().unwrap();
            drop(taken);
        });
    }

    /// A segment handed over late must not drive out the one that the slot's owner looks at now.
    #[test]
    fn a_late_hand_over() {
        check(|| {
            let list = Arc::new(List::new());
            let last = list.reserve().expect("open");
            for _ in 1..2 * CELLS {
                drop(list.reserve().expect("open").finish());
            }
            let behind = list.reserve().expect("open");
            let guard = list.first();
            assert!(list.unlink(None, &guard).flatten().is_none(), "one place is not finished");
            let retirer = list.clone();
            let t = thread::spawn(move || retirer.ended(last.finish()));
            let guard = guard.move_to(list.head()).expect("never null");
            let second = list.unlink(None, &guard).flatten().expect("finished");
            list.hazards().retire(second);
            t.join().unwrap();
            let _ = guard.segment().next();
            drop(guard);
            list.ended(behind.finish());
        });
    }
}

#[cfg(not(any(semafair_loom, semafair_shuttle)))]
mod units {
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    use super::super::cell;
    use super::super::list::List;
    use super::super::outcome::{Finish, Published, Visited};
    use super::super::segment::{CELLS, Ended};
    use super::super::{Joined, Line, Look, Place};
    use crate::Semaphore;
    use crate::tests::memory;
    use crate::tests::steps::watched;
    use crate::wakes::Wakes;

    /// Who looks in front so late that the line has gone on without it takes nothing from behind its
    /// place: a unit that lies in a place that was not given out is for whoever takes that.
    #[test]
    fn a_late_look_in_front_takes_nothing_from_behind() {
        let line = Line::new();
        let late = line.list.reserve().expect("open");
        let (Joined::Waiting(next), 0) = line.join(None, 1, None) else {
            panic!("nothing is here")
        };
        assert_eq!(line.deliver(1, &mut Wakes::default()), 0);
        assert_eq!(next.look(), Look::Granted);
        assert_eq!(line.deliver(1, &mut Wakes::default()), 0);
        assert_eq!(line.pick_up(&late), 0);
        let (Joined::Granted, 0) = line.join(None, 1, None) else { panic!("the unit is gone") };
        line.finish(late);
        line.finish(next);
    }

    /// A segment that somebody looks at is given back when that one leaves it: the first becomes the
    /// spare, the next is freed.
    #[test]
    fn who_leaves_last_gives_a_segment_back() {
        memory::checked(|| {
            let list = List::new();
            let mut places: Vec<_> = (0..6 * CELLS).filter_map(|_| list.reserve()).collect();
            let mut retire_the_first = || {
                places.drain(..CELLS).for_each(|place| list.ended(place.finish()));
                let guard = list.first();
                let retired = list.unlink(None, &guard).flatten().expect("finished, and first");
                list.hazards().retire(retired);
                let alive = memory::alive();
                drop(guard);
                (alive, memory::alive())
            };
            assert_eq!(retire_the_first(), (6, 6));
            assert_eq!(retire_the_first(), (6, 5));
            places.into_iter().for_each(|place| list.ended(place.finish()));
        });
    }

    /// A unit that lies in front, in the place of one who is late, is taken along by who joins, also
    /// where a hint leads to cells that are satisfied.
    #[test]
    fn a_unit_in_front_is_taken_along() {
        let line = Line::new();
        let (Joined::Waiting(served), 0) = line.join(None, 1, None) else { panic!("no unit yet") };
        let late = line.list.reserve().expect("open");
        assert_eq!(line.deliver(2, &mut Wakes::default()), 0);
        assert!(served.is_granted());
        assert_eq!(late.cell().units_left(), Some(1));

        served.segment().set_hint(0); // as a thread does that is late with it
        let (Joined::Waiting(next), 1) = line.join(None, 1, None) else { panic!("it is stranded") };
        assert_eq!(line.deliver(1, &mut Wakes::default()), 0);
        assert!(next.is_granted());
        [served, late, next].into_iter().for_each(|place| line.finish(place));
    }

    /// Units wait for those who are late, and go on without them when somebody waits behind.
    #[test]
    fn units_wait_for_late_ones_and_go_on_to_who_waits() {
        let line = Line::new();
        let late = [(); 3].map(|()| line.list.reserve().expect("open"));
        assert_eq!(line.deliver(2, &mut Wakes::default()), 0);
        assert_eq!(late[0].cell().units_left(), Some(2), "the first who comes takes them along");
        let (Joined::Waiting(waits), 2) = line.join(None, 1, None) else { panic!("stranded") };
        assert!(late[0].cell().is_satisfied());
        assert_eq!(line.deliver(2, &mut Wakes::default()), 0);
        assert!(waits.is_granted());
        let mut late_again = Vec::new();
        for place in late {
            // One is left at the end of the line, for whoever comes.
            match line.join(Some(place), 1, None) {
                (Joined::Granted, 0) => {}
                (Joined::Waiting(place), 0) => late_again.push(place),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(late_again.len(), 2, "one was granted at once");
        late_again.into_iter().chain([waits]).for_each(|place| line.finish(place));
    }

    /// Whoever is late at a place behind units that were left is told to look, in the next segment, too.
    #[test]
    fn late_ones_in_the_next_segment_are_told_to_look() {
        let line = Line::new();
        let mut late: Vec<Place> =
            (0..2 * CELLS).map(|_| line.list.reserve().expect("open")).collect();
        for _ in 0..2 {
            // The second finds them told already.
            assert_eq!(line.deliver(1, &mut Wakes::default()), 0);
        }
        let last = late.pop().expect("there are some");
        let Published::Look = last.cell().publish(1, None) else { panic!("it was not told") };
        let Published::Waiting = last.cell().publish(1, None) else { panic!("it was told twice") };
        // It waits now: the next unit takes along what lies in front.
        assert_eq!(line.deliver(1, &mut Wakes::default()), 0);
        assert!(last.is_granted());
        late.into_iter().chain([last]).for_each(|place| line.finish(place));
    }

    /// A place behind that was taken and left again is no reason for a unit to wait: whoever comes behind
    /// finds that its owner has looked, and does not look further.
    #[test]
    fn a_unit_goes_on_past_one_who_came_and_went() {
        let line = Line::new();
        let late = line.list.reserve().expect("open");
        let (Joined::Waiting(left), 0) = line.join(None, 1, None) else {
            panic!("nothing is here")
        };
        let Look::Waiting(seen) = left.look() else { panic!("it waits") };
        assert_eq!(line.vacate(left, seen, 0).over, 0);
        assert_eq!(line.deliver(1, &mut Wakes::default()), 0);
        let (Joined::Granted, 0) = line.join(None, 1, None) else { panic!("it is stranded") };
        line.finish(late);
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
                line.finish(late.remove(skipped));
                late.push(line.list.reserve().expect("open"));
            }
        };
        let units = watched(next_place, || line.deliver(1, &mut Wakes::default()));
        assert_eq!(units, 0);
        assert!(lateness.get() < 100, "it ends because they are late no more");
        // Whichever of them comes at last, takes the unit along.
        let place = late.borrow_mut().pop();
        let (Joined::Waiting(place), 1) = line.join(place, 1, None) else {
            panic!("it is stranded")
        };
        assert_eq!(line.deliver(1, &mut Wakes::default()), 0);
        assert!(place.is_granted());
        line.finish(place);
        late.take().into_iter().for_each(|place| line.finish(place));
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
        let Published::Granted { over, finish } = cell.publish(u32::MAX, None) else {
            panic!("there is enough")
        };
        assert_eq!((over, finish), (MOST - u64::from(u32::MAX), Finish::Watched));

        let cell = cell::Cell::new(false);
        assert_eq!(cell.leave_units(1), Some(1));
        let Published::Granted { over: 0, finish: Finish::Plain } = cell.publish(1, None) else {
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
            assert_eq!(line.deliver((1 << 59) - 1 + more, &mut Wakes::default()), 0);
            assert!(waiting.iter().all(Place::is_granted));
            let left = (1 << 59) - 1 + more - 2 * u64::from(u32::MAX);
            assert_eq!(later.cell().units_left(), Some(left));
            [late, later].into_iter().chain(waiting).for_each(|place| line.finish(place));
        }
    }

    /// To deliver nothing changes nothing for those who are late.
    #[test]
    fn nobody_is_passed_over_for_nothing() {
        let semaphore = Semaphore::new(0);
        assert!(semaphore.balance.take(2).is_err());
        let line = semaphore.line.get_or_init(Line::new).expect("open");
        let late = line.list.reserve().expect("open");
        let (Joined::Waiting(waits), 0) = line.join(None, 1, None) else {
            panic!("nothing is here")
        };
        semaphore.add_permits(0);
        assert!(late.cell().is_open());
        [late, waits].into_iter().for_each(|place| line.finish(place));
    }

    /// The biggest request, all but filled, and filled from more than fits.
    #[test]
    fn as_many_units_as_a_waiter_can_want() {
        let cell = cell::Cell::new(true);
        assert!(matches!(cell.publish(u32::MAX, None), Published::Waiting));
        assert!(matches!(cell.deliver(u64::from(u32::MAX) - 1), Visited::Short));
        assert!(matches!(cell.look(), Look::Waiting(seen) if seen.missing() == 1));
        let Visited::Ended { took: 1, .. } = cell.deliver(u64::MAX) else { panic!("it is full") };
        assert_eq!(cell.look(), Look::Granted);
        assert_eq!(cell.finish(), Finish::Watched, "the mark is no part of the units");
    }

    /// A segment that is used again is as one that was just made: the mark is on its last cell alone.
    #[test]
    fn the_spare_segment_is_as_new() {
        let list = List::new();
        let mut places: Vec<_> = (0..2 * CELLS).filter_map(|_| list.reserve()).collect();
        places.drain(..CELLS).for_each(|place| list.ended(place.finish()));
        let guard = list.first();
        let retired = list.unlink(None, &guard).flatten().expect("finished, and first");
        drop(guard);
        list.hazards().retire(retired);

        let again: Vec<_> = (0..CELLS).filter_map(|_| list.reserve()).collect();
        let marked = |place: &Place| place.cell().finish() == Finish::Watched;
        let last = |place: &Place| place.index() == CELLS - 1;
        assert!(again.iter().all(|place| marked(place) == last(place)));
        places.into_iter().for_each(|place| list.ended(place.finish()));
    }

    /// Who leaves swallows what is on its way, less what has come since it looked; and where that is
    /// nothing, it leaves nothing behind.
    #[test]
    fn a_sink_for_what_is_still_to_come() {
        let waiting = || {
            let cell = cell::Cell::new(false);
            assert!(matches!(cell.publish(3, None), Published::Waiting));
            let Look::Waiting(seen) = cell.look() else { panic!("nothing has come") };
            (cell, seen)
        };
        let (cell, seen) = waiting();
        assert!(matches!(cell.deliver(1), Visited::Short));
        assert!(cell.vacate(seen, 2).finish.is_none());
        let Visited::Filled { took: 1, .. } = cell.deliver(5) else { panic!("one is to come") };

        let (cell, seen) = waiting();
        assert!(cell.vacate(seen, 2).finish.is_none());
        assert!(matches!(cell.deliver(1), Visited::Short));
        let Visited::Filled { took: 1, .. } = cell.deliver(1) else { panic!("one is to come") };

        for came in 0..3 {
            let (cell, seen) = waiting();
            assert!(matches!(cell.deliver(came), Visited::Short));
            let came = u32::try_from(came).expect("a few");
            let vacated = cell.vacate(seen, came);
            assert_eq!((vacated.over, vacated.finish), (0, Some(Finish::Plain)));
        }
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
                assert!(matches!(ended, Ended::No), "{cell} of {order:?}: {ended:?}");
            }
            let ended = places[*last].take().expect("given out").finish();
            assert!(matches!(ended, Ended::Finished), "{order:?}: {ended:?}");
        }
    }
}
