//! Three operations that change the limit, or meet one that does: each stopped at a step drawn at
//! random while the next one runs.

use std::sync::{Arc, Mutex};
use std::thread;

use fastrand::Rng;

use super::limit_world::{Op, World};
use super::watchdog::watch;
use crate::sync::probe::memory;
use crate::sync::probe::steps::before_step;

const OPS: [Op; 18] = [
    Op::Set(0),
    Op::Set(1),
    Op::Set(3),
    Op::Set(7),
    Op::Reduce(1),
    Op::Reduce(9),
    Op::Add(1),
    Op::Add(3),
    Op::ForgetFree(1),
    Op::ForgetFree(5),
    Op::ForgetGuard,
    Op::Drop(0),
    Op::Drop(1),
    Op::Cancel(0),
    Op::Cancel(1),
    Op::Ask(2),
    Op::Try,
    Op::Close,
];

/// Where three operations begin: how many permits are free, what two ask for, and a limit that was set.
type Start = (usize, [u32; 2], Option<usize>);

fn triple(rng: &mut Rng) {
    let ops = core::array::from_fn(|_| *rng.choice(&OPS[..]).unwrap());
    let (free, wants) =
        *rng.choice(&[(0, [2, 1]), (1, [2, 1]), (2, [0, 0]), (0, [0, 0]), (0, [1, 1])]).unwrap();
    let first = rng.bool().then(|| rng.usize(0..4));
    run_triple(ops, [rng.usize(1..40), rng.usize(1..40)], (free, wants, first));
}

/// Stops the first at step `k` while the second runs, and that at step `j` while the third does. Says
/// whether each has come to its step.
fn run_triple([a, b, c]: [Op; 3], [k, j]: [usize; 2], start: Start) -> [bool; 2] {
    let (free, wants, first) = start;
    let story = std::format!(
        "{a:?} at {k}, {b:?} at {j}, {c:?}; {free} free, {wants:?} wait, first {first:?}"
    );
    let came = Arc::new(Mutex::new([true; 2]));
    let notes = came.clone();
    let ran = std::panic::catch_unwind(move || {
        memory::checked(|| {
            let world = Arc::new(World::new(free, wants));
            let mut limit = 3 + free;
            if let Some(first) = first {
                world.semaphore.set_limit(first);
                limit = first;
            }
            let (inner, seen) = (world.clone(), notes.clone());
            let between = move || {
                let yard = memory::yard();
                let (world, seen) = (inner.clone(), seen.clone());
                let other = thread::spawn(move || {
                    memory::enter(yard);
                    let last = world.clone();
                    if !before_step(j, move || last.run(c), || world.run(b)) {
                        seen.lock().unwrap()[1] = false;
                        world.run(c);
                    }
                });
                other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            };
            if !before_step(k, between.clone(), || world.run(a)) {
                notes.lock().unwrap()[0] = false;
                between();
            }
            drop(between);
            Arc::into_inner(world).expect("nobody has it").settle(Some(limit));
        });
    });
    if let Err(panic) = ran {
        std::eprintln!("{story}");
        std::panic::resume_unwind(panic);
    }
    *came.lock().unwrap()
}

#[test]
fn three_operations_in_one_another_keep_the_books() {
    watch();
    let mut rng = Rng::with_seed(super::seed::seed());
    for _ in 0..4000 * super::watchdog::times() {
        triple(&mut rng);
    }
}

/// One leaves, one releases, and one lowers the limit: each order, and each two steps.
#[test]
fn leave_and_release_and_shrink_keep_the_books() {
    watch();
    let ops = [Op::Cancel(1), Op::Drop(1), Op::Set(0)];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let ops = order.map(|i| ops[i]);
        for k in 1.. {
            let mut outer = true;
            for j in 1.. {
                let [first, second] = run_triple(ops, [k, j], (0, [1, 1], None));
                outer = first;
                if !second {
                    break;
                }
            }
            if !outer {
                break;
            }
        }
    }
}
