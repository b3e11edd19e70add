//! What is visible: a step that tells that it came later sees what was done before the earlier one.

use core::future::Future;
use core::pin::Pin;
use core::task::{self, Context};

use loom::thread::JoinHandle;

use super::models::{self, Bank, Note, Waiter, check, race, thread};
use crate::Semaphore;
use crate::core::balance::Balance;
use crate::core::limit::Limit;

fn closed() -> Balance {
    let balance = Balance::new(0);
    close(&balance);
    balance
}

fn close(balance: &Balance) {
    let mut seen = balance.load();
    while let Err(now) = balance.close(seen, 0) {
        seen = now;
    }
}

fn closed_with_one_out() -> Balance {
    let balance = closed();
    assert!(balance.take(1).is_err());
    balance
}

// Each change as the earlier step.

#[test]
fn give_then_try_take() {
    race(|| Balance::new(0), |b| b.give(1), |b| b.try_take(1).is_ok());
}

#[test]
fn withdraw_then_try_take() {
    let nothing_is_owed = |b: &Balance| b.take(1).is_err_and(|seen| seen.owed() == 0);
    race(|| Balance::owing(2), |b| b.withdraw(2), nothing_is_owed);
}

#[test]
fn take_then_try_take_in_vain() {
    race(|| Balance::new(1), |b| b.take(1), |b| b.try_take(1).is_err());
}

#[test]
fn try_take_then_try_take_in_vain() {
    race(|| Balance::new(1), |b| b.try_take(1), |b| b.try_take(1).is_err());
}

#[test]
fn try_take_between_then_try_take_in_vain() {
    race(|| Balance::new(2), |b| b.try_take_between(1, 2), |b| b.try_take(1).is_err());
}

#[test]
fn give_then_try_take_between() {
    race(|| Balance::new(1), |b| b.give(1), |b| b.try_take_between(1, 2).is_ok_and(|n| n == 2));
}

#[test]
fn take_then_try_take_between_in_vain() {
    race(|| Balance::new(1), |b| b.take(1), |b| b.try_take_between(1, 2).is_err());
}

#[test]
fn forget_then_try_take_in_vain() {
    race(|| Balance::new(1), |b| b.take_free(1), |b| b.try_take(1).is_err());
}

#[test]
fn close_then_try_take_in_vain() {
    race(|| Balance::new(1), close, |b| b.try_take(1).is_err());
}

#[test]
fn give_closed_then_load() {
    race(closed_with_one_out, |b| b.give_closed(1), |b| b.load().is_drained());
}

#[test]
fn give_closed_then_load_as_change() {
    race(closed_with_one_out, |b| b.give_closed(1), |b| b.load_as_change().is_drained());
}

#[test]
fn take_off_then_try_take_in_vain() {
    race(|| Balance::new(1), |b| b.take_off(1), |b| b.try_take(1).is_err());
}

#[test]
fn take_if_then_try_take_in_vain() {
    race(|| Balance::new(1), |b| b.take_if(1, |_| false), |b| b.try_take(1).is_err());
}

// Each change, and each look, as the later step.

#[test]
fn give_then_load() {
    race(|| Balance::new(0), |b| b.give(1), |b| b.load().free() == 1);
}

#[test]
fn give_then_take() {
    race(|| Balance::new(0), |b| b.give(1), |b| b.take(1).is_ok());
}

#[test]
fn take_then_give() {
    race(|| Balance::new(0), |b| b.take(1), |b| b.give(1).is_err());
}

#[test]
fn give_then_take_off() {
    let free = |b: &Balance| b.take_off(1).is_ok_and(|seen| seen.free() == 1);
    race(|| Balance::new(0), |b| b.give(1), free);
}

#[test]
fn give_then_take_if() {
    race(|| Balance::new(0), |b| b.give(1), |b| b.take_if(1, |_| false).is_ok());
}

#[test]
fn give_then_forget() {
    race(|| Balance::new(0), |b| b.give(1), |b| b.take_free(1) == Ok(1));
}

#[test]
fn take_then_forget_in_vain() {
    race(|| Balance::new(1), |b| b.take(1), |b| b.take_free(1) == Ok(0));
}

#[test]
fn give_then_withdraw() {
    race(|| Balance::owing(1), |b| b.give(1), |b| b.withdraw(1) == 1);
}

#[test]
fn give_then_close_in_vain() {
    let in_vain = |b: &Balance| {
        let before = Balance::new(0).load();
        b.close(before, 0).is_err_and(|now| now.free() == 1)
    };
    race(|| Balance::new(0), |b| b.give(1), in_vain);
}

#[test]
fn close_then_withdraw() {
    race(|| Balance::owing(1), close, |b| b.withdraw(1) == 1);
}

/// Two who exclude each other by a permit, whichever way they take it.
fn exclusive(take: fn(&Balance) -> bool) {
    let (other, give) = (|b: &Balance| b.try_take(1).is_ok(), |b: &Balance| b.give(1).unwrap());
    models::exclusive(|| Balance::new(1), take, other, give);
}

#[test]
fn try_take_excludes() {
    exclusive(|b| b.try_take(1).is_ok());
}

#[test]
fn forget_excludes() {
    exclusive(|b| b.take_free(1) == Ok(1));
}

/// A closer that finds the permit free.
#[test]
fn close_excludes() {
    exclusive(|b| {
        let seen = b.load();
        seen.free() == 1 && b.close(seen, 1).is_ok()
    });
}

// The limit.

fn limit_of_one() -> Limit {
    Limit::new(1, false, false)
}

/// Changes it if it is `from`.
fn change(limit: &Limit, from: u64, to: u64) -> bool {
    let seen = limit.load();
    seen.limit() == from && limit.change(seen, to).is_ok()
}

#[test]
fn change_then_load() {
    race(limit_of_one, |l| change(l, 1, 3), |l| l.load().limit() == 3);
}

#[test]
fn change_then_change_in_vain() {
    let in_vain = |l: &Limit| {
        let before = limit_of_one().load();
        l.change(before, 0).is_err_and(|now| now.limit() == 3)
    };
    race(limit_of_one, |l| change(l, 1, 3), in_vain);
}

#[test]
fn change_then_close_the_limit() {
    race(limit_of_one, |l| change(l, 1, 3), |l| l.close() == 3);
}

#[test]
fn close_the_limit_then_load() {
    race(limit_of_one, Limit::close, |l| l.load().is_closed());
}

/// Of two that change it from the same to another, the later sees what was done before it was changed
/// back.
#[test]
fn changes_of_the_limit_exclude() {
    let take = |l: &Limit| change(l, 1, 0);
    let give = |l: &Limit| assert!(change(l, 0, 1), "nobody else changes a limit of 0");
    models::exclusive(limit_of_one, take, take, give);
}

// Through the line.

/// Somebody who writes before a step.
fn spawn(bank: &Bank, step: impl FnOnce(&Semaphore) + 'static) -> (JoinHandle<()>, Note) {
    let note = Note::default();
    let other = note.clone();
    let semaphore = bank.semaphore.clone();
    // Not `bank.spawn`: a note is not `Send`.
    let t = thread::spawn(move || {
        other.write();
        step(&semaphore);
    });
    (t, note)
}

/// Somebody who sets the limit to 3, and another who looks whether that has come before.
fn set_limit_then(later: fn(&Semaphore) -> bool) {
    let set = |bank: &Bank| bank.semaphore.set_limit(3);
    race(|| Bank::new(1), set, move |bank| later(&bank.semaphore));
}

/// Who sees a limit has seen what was done before it was set.
#[test]
fn set_limit_then_limit() {
    set_limit_then(|semaphore| semaphore.limit() == 3);
}

/// Who finds that it is the later of two has seen what was done before the earlier.
#[test]
fn set_limit_then_set_limit() {
    set_limit_then(|semaphore| semaphore.set_limit(1) == 3);
}

/// A waiter that finds its answer has seen what was done before the steps that led to it.
fn answer(mut waiter: Waiter, steps: Vec<(JoinHandle<()>, Note)>) {
    if waiter.poll().is_ready() {
        steps.iter().for_each(|(_, note)| note.read());
    }
    for (t, _) in steps {
        t.join().unwrap();
    }
}

#[test]
fn release_then_grant() {
    check(|| {
        let bank = Bank::new(0);
        let step = spawn(&bank, |semaphore| semaphore.add_permits(1));
        answer(bank.waiter(1), vec![step]);
    });
}

/// One unit each of two, and each the last as it may be.
#[test]
fn two_releases_then_grant() {
    check(|| {
        let bank = Bank::new(0);
        let waiter = bank.waiting(2);
        let step = || spawn(&bank, |semaphore| semaphore.add_permits(1));
        answer(waiter, vec![step(), step()]);
    });
}

/// The unit comes by way of another who came at the same time, and leaves.
#[test]
fn release_then_cancel_then_grant() {
    check(|| {
        let bank = Bank::new(0);
        let head = bank.waiting(2);
        let next = bank.waiting(1);
        let release = spawn(&bank, |semaphore| semaphore.add_permits(1));
        let cancel = spawn(&bank, |_| head.cancel());
        answer(next, vec![release, cancel]);
    });
}

/// Who has waited for the drain has seen what was done under the last permit.
#[test]
fn release_then_drained() {
    check(|| {
        let bank = Bank::new(1);
        let permit = bank.semaphore.clone().try_acquire_owned().unwrap();
        bank.semaphore.close();
        let (t, note) = spawn(&bank, |_| drop(permit));
        let mut drained = bank.semaphore.drained();
        let mut cx = Context::from_waker(task::Waker::noop());
        if Pin::new(&mut drained).poll(&mut cx).is_ready() {
            note.read();
        }
        t.join().unwrap();
    });
}

#[test]
fn close_then_refusal() {
    check(|| {
        let bank = Bank::new(0);
        let step = spawn(&bank, Semaphore::close);
        answer(bank.waiter(1), vec![step]);
    });
}

/// There is no line, and will be none.
#[test]
fn close_then_refusal_without_line() {
    check(|| {
        let bank = Bank::without_line(0);
        let step = spawn(&bank, Semaphore::close);
        answer(bank.waiter(1), vec![step]);
    });
}
