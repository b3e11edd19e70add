//! What threads see of one semaphore can be explained by one order of all that they did, whatever
//! the interleaving; `tests/it/histories.rs` leaves that to real threads.

#[path = "../../../tests/it/histories/client.rs"]
mod client;
#[path = "../../../tests/it/histories/spec.rs"]
mod spec;

use std::sync::atomic::Ordering;

#[cfg(semafair_loom)]
use loom::sync::atomic::AtomicUsize;
#[cfg(semafair_shuttle)]
use shuttle::sync::atomic::AtomicUsize;

use self::client::Step::{
    Add, Ask, AskBetween, Available, Close, Forget, Leave, Limit, Poll, Reduce, Release, SetLimit,
    Try, TryBetween, Vanish,
};
use self::client::{Side, Step, race};
use super::models::{check, thread};
use crate::{AcquireBetweenOwned, AcquireOwned, OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// Checks the histories of so many permits, and threads that each do some steps before they race,
/// and some in the race.
fn histories<const N: usize>(permits: u32, sides: [(&[Step], &[Step]); N]) {
    bounded_histories(permits, None, sides);
}

/// The same where the line may have a bound.
fn bounded_histories<const N: usize>(
    permits: u32,
    bound: Option<u32>,
    sides: [(&[Step], &[Step]); N],
) {
    let sides = sides.map(|(before, race)| Side { before: before.to_vec(), race: race.to_vec() });
    check(move || race(permits, bound, &sides, || ()));
}

/// A first poll is two events: who asked first and was late is overtaken on the way to the line.
#[test]
fn ask_against_try_and_ask() {
    histories(1, [(&[], &[Ask(2)]), (&[], &[Try(1), Ask(1)])]);
}

#[test]
fn ask_and_leave_against_add_and_try() {
    histories(0, [(&[], &[Ask(1), Leave(0)]), (&[], &[Add(1), Try(1)])]);
}

/// What a cancel makes free can be taken before the units come.
#[test]
fn leave_against_add_and_try() {
    histories(0, [(&[Ask(2)], &[Leave(0), Available]), (&[], &[Add(2), Try(1)])]);
}

/// A granted permit is dropped, and another asks behind.
#[test]
fn leave_against_add_and_ask() {
    histories(0, [(&[Ask(1)], &[Leave(0)]), (&[], &[Add(1), Ask(1)])]);
}

#[test]
fn poll_and_leave_against_add_and_close() {
    histories(0, [(&[Ask(2)], &[Poll(0), Leave(0)]), (&[], &[Add(1), Close])]);
}

#[test]
fn ask_against_release_and_close() {
    histories(1, [(&[], &[Ask(2), Poll(0)]), (&[Try(1)], &[Release, Close])]);
}

#[test]
fn forget_against_release() {
    histories(1, [(&[Try(1)], &[Release, Try(1)]), (&[], &[Forget(1), Available])]);
}

#[test]
fn ask_and_poll_against_add() {
    histories(0, [(&[], &[Ask(1)]), (&[Ask(2)], &[Poll(0)]), (&[], &[Add(2)])]);
}

/// Nobody is served behind somebody who was refused.
#[test]
fn add_against_close() {
    histories(0, [(&[Ask(1), Ask(1)], &[Add(1)]), (&[], &[Close])]);
}

#[test]
fn ask_poll_and_leave_against_release_and_ask() {
    histories(1, [(&[], &[Ask(2), Poll(0), Leave(0)]), (&[Try(1)], &[Release, Ask(1), Available])]);
}

#[test]
fn leave_and_ask_against_add_poll_and_try() {
    histories(0, [(&[Ask(1)], &[Leave(0), Ask(1)]), (&[Ask(1)], &[Add(1), Poll(0), Try(1)])]);
}

#[test]
fn leave_and_try_against_add_and_close() {
    histories(0, [(&[Ask(2)], &[Leave(0), Try(1)]), (&[Ask(1)], &[Add(2), Close, Poll(0)])]);
}

#[test]
fn leave_against_add_behind() {
    histories(0, [(&[Ask(2)], &[Leave(0)]), (&[Ask(1)], &[Poll(0)]), (&[], &[Add(1)])]);
}

#[test]
fn leave_against_add_and_close() {
    histories(0, [(&[Ask(1)], &[Leave(0)]), (&[Ask(1)], &[Add(1)]), (&[], &[Close])]);
}

#[test]
fn ask_between_against_release_and_try() {
    histories(
        2,
        [(&[], &[AskBetween(1, 3), Available]), (&[Try(1)], &[Release, TryBetween(1, 2)])],
    );
}

/// What it may take besides when it hears that it was granted its least.
#[test]
fn poll_between_against_add_and_ask() {
    histories(0, [(&[AskBetween(1, 3)], &[Poll(0)]), (&[], &[Add(2), Ask(1)])]);
}

#[test]
fn set_limit_against_release() {
    histories(1, [(&[], &[SetLimit(0), Limit]), (&[Try(1)], &[Release, Available])]);
}

#[test]
fn set_limit_against_release_to_one_who_waits() {
    histories(1, [(&[], &[SetLimit(0)]), (&[Try(1), Ask(1)], &[Release, Poll(0)])]);
}

#[test]
fn set_limit_against_set_limit() {
    histories(1, [(&[Try(1)], &[SetLimit(0)]), (&[], &[SetLimit(2), Available])]);
}

#[test]
fn reduce_against_reduce_and_try() {
    histories(2, [(&[], &[Reduce(1), Limit]), (&[], &[Reduce(2), Try(1)])]);
}

#[test]
fn set_limit_against_ask() {
    histories(1, [(&[], &[SetLimit(0)]), (&[], &[Ask(1), Leave(0)])]);
}

#[test]
fn set_limit_against_close() {
    histories(1, [(&[Try(1)], &[SetLimit(0)]), (&[], &[Close, Available])]);
}

#[test]
fn vanish_against_set_limit() {
    histories(1, [(&[Try(1)], &[Vanish, Limit]), (&[], &[SetLimit(0), Available])]);
}

#[test]
fn forget_against_set_limit() {
    histories(2, [(&[], &[Forget(2)]), (&[], &[SetLimit(1), Available])]);
}

/// Two who ask, where one of them may wait.
#[test]
fn a_bounded_line_against_ask_and_ask() {
    bounded_histories(0, Some(1), [(&[], &[Ask(1)]), (&[], &[Ask(1)])]);
}

#[test]
fn a_bounded_line_against_leave_and_release() {
    let sides = [(&[Ask(1)] as &[_], &[Leave(0)] as &[_]), (&[], &[Add(1), Ask(2)])];
    bounded_histories(0, Some(1), sides);
}

/// Random programs.
#[cfg(semafair_shuttle)]
fn random_histories(threads: usize, steps: u32) {
    use shuttle::rand::{Rng, thread_rng};

    check(move || {
        let below = |n| thread_rng().gen_range(0..n);
        let some = |n| (0..below(n + 1)).map(|_| Step::random(below)).collect();
        let sides: Vec<_> =
            (0..threads).map(|_| Side { before: some(2), race: some(steps) }).collect();
        let bound = (below(4) == 0).then(|| below(4));
        race(below(4), bound, &sides, || ());
    });
}

#[cfg(semafair_shuttle)]
#[test]
fn of_two_threads() {
    random_histories(2, 10);
}

#[cfg(semafair_shuttle)]
#[test]
fn of_three_threads() {
    random_histories(3, 6);
}
