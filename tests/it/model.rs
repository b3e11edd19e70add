//! Random programs of one thread, step by step beside a model that fits on a page.
//!
//! With one thread nothing is left to chance: what every call returns, who is woken and how often,
//! which wakers are kept, and how many permits are free is known after each step. A program that
//! fails is made as short as it can be, and printed as the call of `run` that repeats it.

mod driver;
mod plain;

use std::cell::Cell;
use std::panic;
use std::sync::Once;

use fastrand::Rng;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use crate::support::seed;
use crate::support::watchdog::times;
use driver::{Op, run};
use plain::Setup;

/// Any step.
fn step() -> impl Strategy<Value = Op> {
    any::<[u8; 2]>().prop_map(Op::from)
}

/// Any step that does not close.
fn open_step() -> impl Strategy<Value = Op> {
    (0..Op::CLOSE, any::<u8>()).prop_map(|(which, n)| Op::from([which, n]))
}

/// Runs so many of `programs`.
fn check(cases: usize, programs: impl Strategy<Value = Vec<Op>>) {
    let config = Config {
        cases: u32::try_from(cases * times()).expect("SEMAFAIR_TIMES is not that big"),
        // The seed says as much as a file of failures would.
        failure_persistence: None,
        max_shrink_iters: u32::MAX - 1,
        // Before the watchdog barks.
        max_shrink_time: 20_000,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    Rng::with_seed(seed()).fill(&mut bytes);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let result = quietly(|| {
        runner.run(&(any::<u8>().prop_map(Setup::from), programs), |(setup, program)| {
            run(setup, &program);
            Ok(())
        })
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, (setup, program))) => {
            println!("This fails: {{ use Op::*; run({setup:?}, &{program:?}) }}");
            run(setup, &program);
            panic!("it failed before: {reason}");
        }
        Err(error) => panic!("{error}"),
    }
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Does `f`, and shows none of the panics in it: a search for the shortest meets hundreds.
fn quietly<R>(f: impl FnOnce() -> R) -> R {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let shown = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                shown(info);
            }
        }));
    });
    QUIET.set(true);
    let result = f();
    QUIET.set(false);
    result
}

#[test]
fn short_programs() {
    check(10_000, vec(step(), 0..40));
}

#[test]
fn long_programs() {
    check(100, vec(open_step(), 0..1000));
}

#[test]
fn long_programs_that_close() {
    let program = (vec(open_step(), 0..300), vec(step(), 0..50));
    check(200, program.prop_map(|(open, closed)| [open, vec![Op::Close], closed].concat()));
}
