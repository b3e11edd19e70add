//! The line by itself: a child of `line/mod.rs`, to reach into it.

#[cfg(any(semafair_loom, semafair_shuttle))]
#[path = "cell.rs"]
mod cell;

#[cfg(any(semafair_loom, semafair_shuttle))]
mod models {
    use std::sync::Arc;

    use super::super::list::List;
    use super::super::segment::CELLS;
    use super::super::{Joined, Line, Look, Place};
    use crate::tests::model::{check, thread};
    use crate::wakes::Wakes;

    /// D1: a deliverer leaves a unit in a place whose owner is stopped, and reads the tail; somebody
    /// reserves the place behind, and looks in front. One of the two sees the other.
    fn a_unit_left_for_stopped_threads(stopped: usize) {
        check(move || {
            let line = Arc::new(Line::new());
            let stopped: Vec<Place> =
                (0..stopped).map(|_| line.list.reserve().expect("open")).collect();
            let deliverer = line.clone();
            let t = thread::spawn(move || deliverer.deliver(1, &mut Wakes::new()));
            let (joined, over) = line.join(1, None);
            // With nothing in hand nobody delivers, or that would find what lies about.
            if over > 0 {
                assert_eq!(line.deliver(over, &mut Wakes::new()), 0);
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

    /// `OPEN -> AWAKE`, and `AWAKE -> DONE`, `SINK` or `GONE`: a waiter without a waker leaves while
    /// its unit comes, which is to vanish.
    #[test]
    fn one_who_is_awake_leaves_a_sink() {
        check(|| {
            let line = Arc::new(Line::new());
            let deliverer = line.clone();
            let t = thread::spawn(move || deliverer.deliver(1, &mut Wakes::new()));
            match line.join(1, None) {
                (Joined::Waiting(place), 0) => assert_eq!(line.vacate(place, 1, 1).over, 0),
                (Joined::Granted, 0) => {}
                other => panic!("{other:?}"),
            }
            assert_eq!(t.join().unwrap(), 0);
            let (Joined::Waiting(next), 0) = line.join(1, None) else { panic!("a unit is left") };
            assert_eq!(next.look(), Look::Waiting { missing: 1 });
            assert_eq!(line.vacate(next, 1, 0).over, 0);
        });
    }

    /// D2: somebody looks at the first segment while it is unlinked, retired and freed.
    #[test]
    fn a_look_against_unlinking() {
        check(|| {
            let list = Arc::new(List::new());
            let first: Vec<Place> = (0..CELLS).map(|_| list.reserve().expect("open")).collect();
            let behind = list.reserve().expect("open");
            first.into_iter().for_each(|place| drop(place.finish()));
            let reader = list.clone();
            let t = thread::spawn(move || {
                let guard = reader.first();
                let _ = guard.segment().next();
                let _ = guard.segment().hint();
            });
            let guard = list.first();
            let unlinked = list.unlink(None, &guard);
            drop(guard);
            list.hazards().retire(unlinked.flatten().expect("finished, and nobody else is here"));
            t.join().unwrap();
            list.ended(behind.finish());
        });
    }

    /// A segment handed over late must not drive out the one that the slot's owner looks at now.
    /// Shuttle wants `Send` of what goes to a thread, and a retired segment has no need of it.
    #[cfg(semafair_loom)]
    #[test]
    fn a_late_hand_over() {
        check(|| {
            let list = Arc::new(List::new());
            for _ in 0..2 * CELLS {
                drop(list.reserve().expect("open").finish());
            }
            let behind = list.reserve().expect("open");
            let guard = list.first();
            let first = list.unlink(None, &guard).flatten().expect("finished");
            let retirer = list.clone();
            let t = thread::spawn(move || retirer.hazards().retire(first));
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
    use super::super::list::List;
    use super::super::segment::{CELLS, Ended};
    use super::super::{Joined, Line, Look};
    use crate::wakes::Wakes;

    /// Who looks in front so late that the line has gone on without it takes nothing from behind its
    /// place: a unit that lies in a place that was not given out is for whoever takes that.
    #[test]
    fn a_late_look_in_front_takes_nothing_from_behind() {
        let line = Line::new();
        let late = line.list.reserve().expect("open");
        let (Joined::Waiting(next), 0) = line.join(1, None) else { panic!("nothing is here") };
        assert_eq!(line.deliver(1, &mut Wakes::new()), 0);
        assert_eq!(next.look(), Look::Granted);
        assert_eq!(line.deliver(1, &mut Wakes::new()), 0);
        assert_eq!(line.pick_up(&late), 0);
        let (Joined::Granted, 0) = line.join(1, None) else { panic!("the unit is gone") };
        line.finish(late);
        line.finish(next);
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
