//! Threads that meet in the list: reserving, appending, unlinking, freeing. Models for loom.

use std::sync::Arc;

use super::deliver;
use crate::core::tests::models::{Note, check, check_at_least, thread};
use crate::line::list::List;
use crate::line::reclaim::{Guard, Source};
use crate::line::segment::{CELLS, Retired};
use crate::line::{Joined, Line, Place, Verdict};

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
            deliver(&deliverer.0, 1)
        });
        let (joined, over) = line.join(None, 1, None);
        // With nothing in hand nobody delivers, or that would find what lies about.
        if over > 0 {
            note.read();
            assert_eq!(deliver(&line, over), 0);
        }
        assert_eq!(t.join().unwrap(), 0);
        if let Joined::Waiting(place) = joined {
            assert_eq!(place.check(), Verdict::Granted, "a unit is stranded");
            line.complete(place.finish());
        }
        stopped.into_iter().for_each(|place| line.complete(place.finish()));
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
        let mut places: Vec<Place> = (0..=n).map(|_| line.list.reserve().expect("open")).collect();
        let note = Note::default();
        let deliverer = (line.clone(), note.clone());
        let mut threads = Vec::from([thread::spawn(move || {
            deliverer.1.write();
            assert_eq!(deliver(&deliverer.0, 1), 0);
            None
        })]);
        let come = |line: &Line, place, note: &Note| {
            let (joined, over) = line.join(Some(place), 1, None);
            if over > 0 {
                note.read();
                assert_eq!(deliver(line, over), 0);
            }
            match joined {
                Joined::Waiting(place) => Some(place),
                Joined::Granted(_) => None,
                Joined::Shut(_) => panic!("it is open"),
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
        line.complete(stopped.finish());
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

/// `OPEN -> AWAKE`, and `AWAKE -> DONE`, `RETURN` or `GONE`: a waiter without a waker leaves while
/// its unit comes, which is to be given back.
#[test]
fn one_who_is_awake_leaves_a_return() {
    check(|| {
        let line = Arc::new(Line::new());
        let deliverer = line.clone();
        let t = thread::spawn(move || deliver(&deliverer, 1));
        let came = match line.join(None, 1, None) {
            (Joined::Waiting(place), 0) => left(&line, place, 1),
            (Joined::Granted(_), 0) => 1,
            other => panic!("{other:?}"),
        };
        assert_eq!(t.join().unwrap() + came, 1, "the unit was lost, or came twice");
        let (Joined::Waiting(next), 0) = line.join(None, 1, None) else { panic!("a unit is left") };
        assert_eq!(left(&line, next, 0), 0);
    });
}

/// Leaves a place at which it asked for a unit, and says how many came.
fn left(line: &Line, place: Place, on_its_way: u32) -> u64 {
    match place.check() {
        Verdict::Waiting(seen) => {
            let vacated = line.vacate(place, seen, on_its_way);
            u64::from(vacated.returned + vacated.owed)
        }
        Verdict::Granted => {
            line.complete(place.finish());
            1
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
        list.complete(behind.finish());
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
        list.complete(behind.finish());
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
        behind.into_iter().chain([place]).for_each(|place| list.complete(place.finish()));
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
            deliver(&other.0, 1)
        });
        assert_eq!(deliver(&line, 1), 0);
        if places[1].check() == Verdict::Granted {
            note.read();
        }
        assert_eq!(t.join().unwrap(), 0);
        places.into_iter().for_each(|place| line.complete(place.finish()));
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
        list.complete(behind.finish());
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
        first.into_iter().chain([new]).for_each(|place| list.complete(place.finish()));
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
        list.complete(behind.finish());
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
        let t = thread::spawn(move || retirer.complete(last.finish()));
        let guard = guard.move_to(list.head()).expect("never null");
        let second = list.unlink(None, &guard).flatten().expect("finished");
        list.hazards().retire(second);
        t.join().unwrap();
        let _ = guard.segment().next();
        drop(guard);
        list.complete(behind.finish());
    });
}
