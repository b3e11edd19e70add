//! The usual delivery, of one attempt, beside a walk of another thread. It gives up where its hazard slot is
//! taken, so each of the two begins at a slot of its own. A model for loom.

use core::task::Waker;
use std::sync::Arc;
use std::vec::Vec;

use crate::core::tests::models::{check, thread};
use crate::line::{Joined, Line, Place, Verdict};
use crate::sync::probe::slots;
use crate::wakes::waking;

/// A line of so many who wait, with hazard slots for two threads.
fn waiting(n: usize) -> (Arc<Line>, Vec<Place>) {
    let line = Arc::new(Line::new());
    let join = || match line.join(None, 1, Some(Waker::noop().clone())) {
        (Joined::Waiting(place), 0) => place,
        other => panic!("{other:?}"),
    };
    let places = (0..n).map(|_| join()).collect();
    // For the second guard a block of slots is made.
    drop([line.list.first(), line.list.first()]);
    (line, places)
}

/// Those in front are served, and nobody behind; says how many. All leave.
fn served(line: &Line, places: Vec<Place>) -> usize {
    let granted: Vec<bool> = places.iter().map(Place::is_granted).collect();
    assert!(
        granted.is_sorted_by(|front, behind| front >= behind),
        "somebody overtook: {granted:?}"
    );
    for place in places {
        match place.check() {
            Verdict::Waiting(seen) => assert_eq!(line.vacate(place, seen, 0).owed, 0),
            Verdict::Granted | Verdict::Closed { .. } => line.complete(place.finish()),
        }
    }
    granted.into_iter().filter(|granted| *granted).count()
}

/// Nobody is served behind one who was refused.
#[test]
fn the_usual_delivery_against_close() {
    check(|| {
        let (line, places) = waiting(3);
        let deliverer = line.clone();
        let t = thread::spawn(move || {
            slots::begin_at(1);
            usize::from(deliverer.serve_first(1).is_some())
        });
        waking(|wakes| {
            while !line.close(wakes).1 {
                wakes.wake()
            }
        });
        let woken = t.join().unwrap();
        assert_eq!(served(&line, places), woken);
    });
}
