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
use semafair::{AcquireOwned, OwnedSemaphorePermit, Semaphore, TryAcquireError};

use self::client::{Side, Step, race};
use crate::support::seed;
use crate::watchdog::times;

/// Lets all of them start at the same instant.
fn start_line(threads: usize) -> impl Fn() + Clone + Send + 'static {
    let arrived = Arc::new(AtomicUsize::new(0));
    move || {
        arrived.fetch_add(1, Ordering::SeqCst);
        let mut turns = 0_u32;
        while arrived.load(Ordering::SeqCst) < threads {
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
        race(permits, &sides, start_line(threads));
    }
}

#[test]
fn of_two_threads() {
    histories(2000, 2, 12);
}

#[test]
fn of_three_threads() {
    histories(1000, 3, 8);
}

#[test]
fn long_ones() {
    histories(50, 2, 300);
}
