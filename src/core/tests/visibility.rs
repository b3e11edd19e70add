//! What is visible: a step that tells that it came later sees what was done before the earlier one.

use std::rc::Rc;

use loom::thread::JoinHandle;

use super::models::{Bank, Note, Waiter, check, thread};
use crate::Semaphore;
use crate::core::balance::Balance;

/// Of two steps that race, the second returns whether it came later.
fn balance<T: 'static>(
    new: fn() -> Balance,
    first: fn(&Balance) -> T,
    second: fn(&Balance) -> bool,
) {
    check(move || {
        let (balance, note) = (Rc::new(new()), Note::default());
        let other = (balance.clone(), note.clone());
        // Loom misses some of the orders in which a thread that was spawned comes first.
        let t = loom::thread::spawn(move || {
            if second(&other.0) {
                other.1.read();
            }
        });
        note.write();
        first(&balance);
        t.join().unwrap();
    });
}

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

// Each change as the earlier step.

#[test]
fn give_then_try_take() {
    balance(|| Balance::new(0), |b| b.give(1), |b| b.try_take(1).is_ok());
}

#[test]
fn withdraw_then_try_take() {
    let nothing_is_owed = |b: &Balance| b.take(1).is_err_and(|seen| seen.owed() == 0);
    balance(|| Balance::owing(2), |b| b.withdraw(2), nothing_is_owed);
}

#[test]
fn take_then_try_take_in_vain() {
    balance(|| Balance::new(1), |b| b.take(1), |b| b.try_take(1).is_err());
}

#[test]
fn try_take_then_try_take_in_vain() {
    balance(|| Balance::new(1), |b| b.try_take(1), |b| b.try_take(1).is_err());
}

#[test]
fn try_take_between_then_try_take_in_vain() {
    balance(|| Balance::new(2), |b| b.try_take_between(1, 2), |b| b.try_take(1).is_err());
}

#[test]
fn give_then_try_take_between() {
    balance(|| Balance::new(1), |b| b.give(1), |b| b.try_take_between(1, 2).is_ok_and(|n| n == 2));
}

#[test]
fn take_then_try_take_between_in_vain() {
    balance(|| Balance::new(1), |b| b.take(1), |b| b.try_take_between(1, 2).is_err());
}

#[test]
fn forget_then_try_take_in_vain() {
    balance(|| Balance::new(1), |b| b.take_free(1), |b| b.try_take(1).is_err());
}

#[test]
fn close_then_try_take_in_vain() {
    balance(|| Balance::new(1), close, |b| b.try_take(1).is_err());
}

#[test]
fn give_closed_then_load() {
    let closed = || {
        let balance = closed();
        assert!(balance.take(1).is_err());
        balance
    };
    balance(closed, |b| b.give_closed(1), |b| b.load().is_drained());
}

#[test]
fn take_off_then_try_take_in_vain() {
    balance(|| Balance::new(1), |b| b.take_off(1), |b| b.try_take(1).is_err());
}

#[test]
fn take_if_then_try_take_in_vain() {
    balance(|| Balance::new(1), |b| b.take_if(1, |_| false), |b| b.try_take(1).is_err());
}

// Each change, and each look, as the later step.

#[test]
fn give_then_load() {
    balance(|| Balance::new(0), |b| b.give(1), |b| b.load().free() == 1);
}

#[test]
fn give_then_take() {
    balance(|| Balance::new(0), |b| b.give(1), |b| b.take(1).is_ok());
}

#[test]
fn take_then_give() {
    balance(|| Balance::new(0), |b| b.take(1), |b| b.give(1).is_err());
}

#[test]
fn give_then_take_off() {
    let free = |b: &Balance| b.take_off(1).is_ok_and(|seen| seen.free() == 1);
    balance(|| Balance::new(0), |b| b.give(1), free);
}

#[test]
fn give_then_take_if() {
    balance(|| Balance::new(0), |b| b.give(1), |b| b.take_if(1, |_| false).is_ok());
}

#[test]
fn give_then_forget() {
    balance(|| Balance::new(0), |b| b.give(1), |b| b.take_free(1) == Ok(1));
}

#[test]
fn take_then_forget_in_vain() {
    balance(|| Balance::new(1), |b| b.take(1), |b| b.take_free(1) == Ok(0));
}

#[test]
fn give_then_withdraw() {
    balance(|| Balance::owing(1), |b| b.give(1), |b| b.withdraw(1) == 1);
}

#[test]
fn close_then_withdraw() {
    balance(|| Balance::owing(1), close, |b| b.withdraw(1) == 1);
}

/// Two who exclude each other by a permit, whichever way they take it.
fn exclusive(take: fn(&Balance) -> bool) {
    check(move || {
        let (balance, note) = (Rc::new(Balance::new(1)), Note::default());
        let other = (balance.clone(), note.clone());
        let t = loom::thread::spawn(move || {
            if other.0.try_take(1).is_ok() {
                other.1.write();
                other.0.give(1).unwrap();
            }
        });
        if take(&balance) {
            note.write();
        }
        t.join().unwrap();
    });
}

#[test]
fn try_take_excludes() {
    exclusive(|b| b.try_take(1).is_ok());
}

#[test]
fn forget_excludes() {
    exclusive(|b| b.take_free(1) == Ok(1));
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

/// Who sees a limit has seen what was done before it was set.
#[test]
fn set_limit_then_limit() {
    check(|| {
        let bank = Bank::new(1);
        let (t, note) = spawn(&bank, |semaphore| {
            semaphore.set_limit(3);
        });
        if bank.semaphore.limit() == 3 {
            note.read();
        }
        t.join().unwrap();
    });
}

/// Who finds that it is the later of two has seen what was done before the earlier.
#[test]
fn set_limit_then_set_limit() {
    check(|| {
        let bank = Bank::new(1);
        let (t, note) = spawn(&bank, |semaphore| {
            semaphore.set_limit(3);
        });
        if bank.semaphore.set_limit(1) == 3 {
            note.read();
        }
        t.join().unwrap();
    });
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
