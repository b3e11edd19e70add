//! What is visible of the debt: who sees it, or finds it paid or closed, sees what was done before. Models
//! for loom.

use crate::core::tests::models::{exclusive, race};
use crate::line::debt::{Added, Debt};

fn owing_one() -> Debt {
    let debt = Debt::new();
    assert_eq!(debt.add(1), Added::Yes);
    debt
}

#[test]
fn add_then_is_due() {
    race(Debt::new, |debt| debt.add(1), Debt::is_due);
}

#[test]
fn add_then_load() {
    race(Debt::new, |debt| debt.add(1), |debt| debt.load() == 1);
}

/// A debt is paid by who sees what was done before it was made.
#[test]
fn add_then_pay() {
    race(owing_one, |debt| debt.add(1), |debt| debt.pay(2) == Some(2));
}

#[test]
fn add_then_close() {
    race(Debt::new, |debt| debt.add(1), |debt| debt.close() == 1);
}

#[test]
fn credit_then_close() {
    race(Debt::new, |debt| debt.credit(1), |debt| debt.close() == -1);
}

#[test]
fn pay_then_load() {
    race(owing_one, |debt| debt.pay(1), |debt| debt.load() == 0);
}

#[test]
fn close_then_add() {
    race(Debt::new, Debt::close, |debt| debt.add(1) == Added::Closed);
}

/// Two who pay the same debt, that is paid and made again.
#[test]
fn payments_exclude() {
    let pay = |debt: &Debt| debt.pay(1) == Some(1);
    exclusive(owing_one, pay, pay, |debt| assert_eq!(debt.add(1), Added::Yes));
}
