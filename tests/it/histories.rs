//! What threads see of one semaphore can be explained by one order of all that they did: random
//! programs on several threads, and a checker of linearizability. `histories/spec.rs` says what
//! counts as one event.

mod client;
mod spec;

use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use fastrand::Rng;
use semafair::{
    AcquireBetweenOwned, AcquireOwned, OwnedSemaphorePermit, Semaphore, TryAcquireError,
};

use self::client::{Side, Step, race};
use crate::support::seed;
use crate::support::watchdog::times;

/// Lets all of them go on at the same instant, each time.
fn meeting(threads: usize) -> impl Fn() + Clone + Send + 'static {
    let arrived = Arc::new(AtomicUsize::new(0));
    move || {
        let earlier_meetings = arrived.fetch_add(1, Ordering::SeqCst) / threads;
        let all = (earlier_meetings + 1) * threads;
        let mut turns = 0_u32;
        while arrived.load(Ordering::SeqCst) < all {
            turns += 1;
            if turns % 500 == 0 {
                thread::yield_now();
            }
            hint::spin_loop();
        }
    }
}

/// Random histories of so many threads with so many steps each.
fn histories(rounds: usize, threads: usize, steps: usize) {
    let mut rng = Rng::with_seed(seed());
    for _ in 0..rounds * times() {
        let permits = rng.u32(0..4);
        let mut some = |n: usize| (0..n).map(|_| Step::random(|n| rng.u32(0..n))).collect();
        let sides: Vec<_> =
            (0..threads).map(|_| Side { before: some(2), race: some(steps) }).collect();
        let bound = (rng.u32(0..4) == 0).then(|| rng.u32(0..4));
        race(permits, bound, &sides, meeting(threads));
    }
}

#[test]
fn of_two_threads() {
    histories(1000, 2, 12);
}

#[test]
fn of_three_threads() {
    histories(800, 3, 8);
}

#[test]
fn long_ones() {
    histories(20, 2, 300);
}

/// The checker itself: what it must take, and what it must find.
mod checker {
    use crate::histories::client::{Record, are_explained};
    use crate::histories::spec::Answer::{Closed, Full, Got, Granted, Waits};
    use crate::histories::spec::Event::{
        self, Adds, Answered, Asks, AsksBetween, Available, Bound, Closes, Ends, Forgets, Forgot,
        Gives, Leaves, Limit, PolledAgain, Quiet, Reduced, Reduces, Sets, Tried, TriedBetween,
        Vanishes, WasSet,
    };

    /// Calls: from, to, thread, events.
    fn explained(calls: &[(usize, usize, usize, &[Event])]) -> bool {
        let record = |&(from, to, thread, events): &(_, _, _, &[Event])| Record {
            thread,
            from,
            to,
            events: events.to_vec(),
        };
        are_explained(&calls.iter().map(record).collect::<Vec<_>>())
    }

    /// The same, one after the other.
    fn explained_in_turn(calls: &[&[Event]]) -> bool {
        let calls: Vec<_> =
            calls.iter().enumerate().map(|(i, events)| (2 * i, 2 * i + 1, 0, *events)).collect();
        explained(&calls)
    }

    #[test]
    fn a_permit_is_granted_once() {
        let granted = |name| [Asks(name, 1), Answered(name, Granted)];
        assert!(explained_in_turn(&[&[Adds(2), Ends], &granted(1), &granted(2)]));
        assert!(!explained_in_turn(&[&[Adds(1), Ends], &granted(1), &granted(2)]));
        assert!(!explained_in_turn(&[&[Adds(1), Ends], &granted(1), &[Tried(1, Granted)]]));
        assert!(!explained_in_turn(&[&[Adds(1), Ends], &granted(1), &[Quiet(1)]]));
        // Nor is it lost.
        assert!(!explained_in_turn(&[&[Adds(1), Ends], &[Tried(1, Waits)]]));
        assert!(!explained_in_turn(&[&[Adds(1), Ends], &[Asks(1, 1), Answered(1, Waits)]]));
    }

    #[test]
    fn nobody_overtakes() {
        let waits: [&[Event]; 2] =
            [&[Asks(1, 2), Answered(1, Waits)], &[Asks(2, 1), Answered(2, Waits)]];
        let then = |events| explained_in_turn(&[waits[0], waits[1], &[Adds(1), Ends], events]);
        assert!(then(&[PolledAgain(2, Waits)]));
        assert!(!then(&[PolledAgain(2, Granted)]));
        assert!(!then(&[Tried(1, Granted)]));
        assert!(!then(&[Available(1)]));
        let both = |second| {
            let calls = [waits[0], waits[1], &[Adds(2), Ends], &[PolledAgain(1, Granted)], second];
            explained_in_turn(&calls)
        };
        assert!(both(&[PolledAgain(2, Waits)]));
        assert!(!both(&[PolledAgain(2, Granted)]));
    }

    #[test]
    fn a_range_is_as_many_as_are_free() {
        let asks = |name, n| [AsksBetween(name, 1, 3), Answered(name, Got(n))];
        assert!(explained_in_turn(&[&[Adds(2), Ends], &asks(1, 2), &[Quiet(0)]]));
        assert!(explained_in_turn(&[&[Adds(5), Ends], &asks(1, 3), &[Quiet(2)]]));
        assert!(!explained_in_turn(&[&[Adds(2), Ends], &asks(1, 1)]));
        assert!(!explained_in_turn(&[&[Adds(5), Ends], &asks(1, 4)]));
        let tries = |n| explained_in_turn(&[&[Adds(2), Ends], &[TriedBetween(1, 3, Got(n))]]);
        assert!(tries(2));
        assert!(!tries(1) && !tries(3));
        // In the line.
        let waits: &[Event] = &[AsksBetween(1, 1, 3), Answered(1, Waits)];
        let behind: &[Event] = &[Asks(2, 1), Answered(2, Waits)];
        let then = |n| explained_in_turn(&[waits, &[Adds(2), Ends], &[PolledAgain(1, Got(n))]]);
        assert!(then(2));
        assert!(!then(1) && !then(3));
        let then =
            |n| explained_in_turn(&[waits, behind, &[Adds(2), Ends], &[PolledAgain(1, Got(n))]]);
        assert!(then(1));
        assert!(!then(2), "it took what another waits for");
    }

    /// The interleaving that is told in `spec.rs`, and the same when the first was there in time.
    #[test]
    fn two_who_overlap_stand_either_way() {
        let overtaken = |end| {
            explained(&[
                (0, 1, 0, &[Adds(1), Ends]),
                (2, end, 1, &[Asks(1, 2), Answered(1, Waits)]),
                (4, 5, 2, &[Tried(1, Waits)]),
                (6, 7, 2, &[Asks(2, 1), Answered(2, Waits)]),
                (10, 11, 2, &[PolledAgain(2, Granted)]),
            ])
        };
        assert!(overtaken(9));
        assert!(!overtaken(3));
    }

    /// Until a release returns, its permits may be on their way.
    #[test]
    fn who_was_served_is_told() {
        let told = |end| {
            explained(&[
                (0, 1, 0, &[Asks(1, 1), Answered(1, Waits)]),
                (2, end, 1, &[Adds(1), Ends]),
                (4, 5, 0, &[PolledAgain(1, Waits)]),
            ])
        };
        assert!(told(6));
        assert!(!told(3));
    }

    #[test]
    fn what_a_canceled_one_had_comes_back() {
        let waits: &[Event] = &[Asks(1, 2), Answered(1, Waits)];
        let then =
            |k| explained_in_turn(&[waits, &[Adds(1), Ends], &[Leaves(1), Ends], &[Available(k)]]);
        assert_eq!([0, 1, 2].map(then), [false, true, false]);
    }

    /// What was on its way to one that left is free when the release that brings it returns, at last.
    #[test]
    fn what_was_on_its_way_to_one_who_left_comes_back() {
        let then = |end, k| {
            explained(&[
                (0, 1, 0, &[Asks(1, 1), Answered(1, Waits)]),
                (2, end, 1, &[Gives(1), Ends]),
                (4, 5, 0, &[PolledAgain(1, Waits)]),
                (6, 7, 0, &[Leaves(1), Ends]),
                (8, 9, 0, &[Available(k)]),
            ])
        };
        assert!(then(10, 0) && then(10, 1));
        let overlapping = |k| {
            explained(&[
                (0, 1, 0, &[Asks(1, 1), Answered(1, Waits)]),
                (2, 7, 1, &[Gives(1), Ends]),
                (4, 6, 0, &[Leaves(1), Ends]),
                (8, 9, 0, &[Available(k)]),
            ])
        };
        assert_eq!([0, 1, 2].map(overlapping), [false, true, false]);
    }

    #[test]
    fn a_close_refuses_all_who_were_not_served() {
        let waits: [&[Event]; 2] =
            [&[Asks(1, 1), Answered(1, Waits)], &[Asks(2, 1), Answered(2, Waits)]];
        let then = |answers: [_; 2]| {
            let [one, two] = [[PolledAgain(1, answers[0])], [PolledAgain(2, answers[1])]];
            let [give, close]: [&[Event]; 2] = [&[Adds(1), Ends], &[Closes, Ends]];
            explained_in_turn(&[waits[0], waits[1], give, close, &one, &two])
        };
        assert!(then([Granted, Closed]));
        for wrong in [[Closed, Closed], [Granted, Granted], [Granted, Waits], [Closed, Granted]] {
            assert!(!then(wrong), "{wrong:?}");
        }
        // Who comes during the close may be served or not, but in the line's order.
        let overlapping = |answers: [_; 2]| {
            explained(&[
                (0, 1, 0, waits[0]),
                (2, 3, 0, waits[1]),
                (4, 9, 1, &[Adds(1), Ends]),
                (5, 8, 2, &[Closes, Ends]),
                (10, 11, 0, &[PolledAgain(1, answers[0])]),
                (12, 13, 0, &[PolledAgain(2, answers[1])]),
            ])
        };
        assert!(overlapping([Granted, Closed]) && overlapping([Closed, Closed]));
        assert!(!overlapping([Closed, Granted]));
    }

    /// Three permits, of which `held` are in guards.
    fn with_held(held: u32, then: &[&[Event]]) -> bool {
        let taken = [Tried(held, Granted)];
        explained_in_turn(&[&[&[Adds(3), Ends] as &[Event], &taken], then].concat())
    }

    #[test]
    fn a_limit_that_falls_takes_what_is_free_and_then_what_comes_back() {
        let sets = |n, before| [Sets(n), WasSet(before)];
        assert!(with_held(1, &[&sets(2, 3), &[Available(1)], &[Limit(2)]]));
        assert!(!with_held(1, &[&sets(2, 3), &[Available(2)]]));
        assert!(!with_held(1, &[&sets(2, 2)]));
        assert!(!with_held(1, &[&sets(2, 3), &[Limit(3)]]));
        let back = |k| with_held(3, &[&sets(1, 3), &[Gives(3), Ends], &[Available(k)]]);
        assert_eq!([0, 1, 2, 3].map(back), [false, true, false, false]);
        // The debt stands in front of those who wait.
        let waits = [Asks(1, 1), Answered(1, Waits)];
        let served = |given, answer| {
            let polled = [PolledAgain(1, answer)];
            with_held(3, &[&waits, &sets(1, 3), &[Gives(given), Ends], &polled])
        };
        assert!(served(2, Waits) && served(3, Granted));
        assert!(!served(2, Granted) && !served(3, Waits));
        // A limit that rises serves.
        let polled = [PolledAgain(1, Granted)];
        assert!(with_held(3, &[&waits, &sets(4, 3), &polled, &[Quiet(0)]]));
        assert!(!with_held(3, &[&waits, &sets(3, 3), &polled]));
        // The same relative to what it is.
        assert!(with_held(1, &[&[Reduces(2), Reduced(2)], &[Limit(1)], &[Available(0)]]));
        assert!(with_held(1, &[&[Reduces(9), Reduced(3)], &[Limit(0)]]));
        assert!(!with_held(1, &[&[Reduces(2), Reduced(1)]]));
        // Closed, it is as exact.
        let closed = [Closes, Ends];
        assert!(with_held(2, &[&sets(1, 3), &closed, &[Gives(2), Ends], &[Quiet(1)]]));
        assert!(!with_held(2, &[&sets(1, 3), &closed, &[Gives(2), Ends], &[Quiet(2)]]));
        assert!(with_held(2, &[&closed, &sets(1, 3), &[Gives(2), Ends], &[Quiet(1)]]));
        assert!(with_held(2, &[&closed, &[Quiet(1)], &sets(1, 3), &[Quiet(0)]]));
    }

    #[test]
    fn what_is_forgotten_is_gone() {
        let forgot = |k| with_held(1, &[&[Forgets(5), Forgot(k)], &[Limit(3 - k)]]);
        assert_eq!([1, 2, 3].map(forgot), [false, true, false]);
        assert!(with_held(2, &[&[Vanishes(2), Ends], &[Limit(1)], &[Available(1)]]));
        // More than there are pay the debt.
        let none = [Sets(0), WasSet(3)];
        let again = [Sets(1), WasSet(0)];
        assert!(with_held(3, &[&none, &[Vanishes(3), Ends], &again, &[Available(1)]]));
        assert!(!with_held(3, &[&none, &[Vanishes(2), Ends], &again, &[Available(1)]]));
    }

    #[test]
    fn a_full_line_refuses() {
        let waits = |name| [Asks(name, 1), Answered(name, Waits)];
        let full = |name| [Asks(name, 1), Answered(name, Full)];
        let bound =
            |n, then: &[&[Event]]| explained_in_turn(&[&[&[Bound(n)] as &[Event]], then].concat());
        assert!(bound(1, &[&waits(1), &full(2)]));
        assert!(!bound(1, &[&waits(1), &waits(2)]));
        assert!(!bound(2, &[&waits(1), &full(2)]));
        // Free permits are given out whatever the bound.
        let granted = [Asks(1, 1), Answered(1, Granted)];
        assert!(bound(0, &[&[Adds(1), Ends], &granted, &full(2)]));
        // Debt is not waited for.
        let debt: [&[Event]; 3] = [&[Adds(1), Ends], &[Tried(1, Granted)], &[Sets(0), WasSet(1)]];
        assert!(bound(1, &[&debt as &[&[Event]], &[&waits(1)]].concat()));
    }
}
