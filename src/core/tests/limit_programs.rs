//! Programs of some operations that change the limit, close, or meet one that does: each may be stopped at any of
//! its steps while others run, one after the other or one in another.

#[cfg(not(semafair_shuttle))]
use core::future::Future;
#[cfg(not(semafair_shuttle))]
use core::task::{Context, Waker};
#[cfg(not(semafair_shuttle))]
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
#[cfg(not(semafair_shuttle))]
use std::sync::{Mutex, Weak};
#[cfg(not(semafair_shuttle))]
use std::task::Wake;
#[cfg(not(semafair_shuttle))]
use std::thread;
use std::vec::Vec;

use fastrand::Rng;

use super::limit_world::{Op, World};
#[cfg(semafair_shuttle)]
use super::models::{check, thread};
#[cfg(not(semafair_shuttle))]
use super::watchdog::watch;
#[cfg(not(semafair_shuttle))]
use crate::sync::probe::memory;
#[cfg(not(semafair_shuttle))]
use crate::sync::probe::steps::at_steps;

const OPS: [Op; 28] = [
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
    Op::Close,
    Op::Close,
    Op::Drained,
    Op::Drained,
    Op::CancelLate,
    Op::Between,
    Op::DropMore,
    Op::Ask(1),
    Op::Ask(3),
    Op::Set(2),
];

/// The waker of one who waits: it re-enters the semaphore, and may panic.
#[cfg(not(semafair_shuttle))]
struct Reenters {
    world: Weak<World>,
    op: Op,
    panics: bool,
}

#[cfg(not(semafair_shuttle))]
impl Wake for Reenters {
    fn wake(self: Arc<Self>) {
        if let Some(world) = self.world.upgrade() {
            world.run(self.op);
            drop(world);
            assert!(!self.panics, "as it should");
        }
    }
}

/// Those who wait re-enter the semaphore when they are woken.
#[cfg(not(semafair_shuttle))]
fn let_wakers_reenter(world: &Arc<World>, rng: &mut Rng, panics: bool) {
    for waiter in world.waiters.lock().unwrap().iter_mut().flatten() {
        let op = *rng.choice(&OPS[..]).unwrap();
        let waker = Waker::from(Arc::new(Reenters { world: Arc::downgrade(world), op, panics }));
        assert!(waiter.1.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
}

/// How a program begins: how many are free, and what the two who wait ask for.
const STARTS: [(usize, [u32; 2]); 6] =
    [(0, [2, 1]), (1, [2, 1]), (2, [0, 0]), (0, [0, 0]), (0, [1, 1]), (0, [3, 2])];

/// What is still to run, and how it is drawn.
#[cfg(not(semafair_shuttle))]
struct Plan {
    rng: Rng,
    rest: Vec<Op>,
    story: Vec<(Op, usize)>,
}

/// Runs the next operation, and others before some of its steps.
#[cfg(not(semafair_shuttle))]
fn run_next(world: &Arc<World>, plan: &Arc<Mutex<Plan>>, depth: usize) -> bool {
    let (op, mut at) = {
        let mut plan = plan.lock().unwrap();
        let Some(op) = plan.rest.pop() else { return false };
        plan.story.push((op, depth));
        (op, Vec::from([plan.rng.usize(1..40), plan.rng.usize(1..60), plan.rng.usize(1..20)]))
    };
    at.dedup();
    let (inner, next) = (world.clone(), plan.clone());
    let on_step = move |step| {
        if at.contains(&step) {
            next.lock().unwrap().story.push((op, 1000 + step));
            let yard = memory::yard();
            let (world, plan) = (inner.clone(), next.clone());
            let other = thread::spawn(move || {
                memory::enter(yard);
                run_next(&world, &plan, depth + 1);
            });
            other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    };
    at_steps(on_step, || {
        // It panics if a waker did.
        let _answer = std::panic::catch_unwind(AssertUnwindSafe(|| world.run(op)));
    });
    true
}

#[cfg(not(semafair_shuttle))]
fn program(rng: &mut Rng) {
    let rest = (0..rng.usize(3..7)).map(|_| *rng.choice(&OPS[..]).unwrap()).collect();
    let start = STARTS[rng.usize(..STARTS.len())];
    let first = rng.bool().then(|| rng.usize(0..4));
    let (free, wants) = start;
    let reenter = *rng.choice(&[None, Some(false), Some(true)]).unwrap();
    let plan = Arc::new(Mutex::new(Plan { rng: rng.fork(), rest, story: Vec::new() }));
    let notes = plan.clone();
    let ran = std::panic::catch_unwind(move || {
        memory::checked(|| {
            let world = Arc::new(World::new(free, wants));
            let mut limit = 3 + free;
            if let Some(first) = first {
                world.semaphore.set_limit(first);
                limit = first;
            }
            if let Some(panics) = reenter {
                let_wakers_reenter(&world, &mut plan.lock().unwrap().rng.fork(), panics);
            }
            while run_next(&world, &plan, 0) {}
            Arc::into_inner(world)
                .expect("nobody has it")
                .settle((reenter != Some(true)).then_some(limit));
        });
    });
    if let Err(panic) = ran {
        let story = &notes.lock().unwrap_or_else(|poison| poison.into_inner()).story;
        std::eprintln!(
            "{free} free, {wants:?} wait, first {first:?}, reenter {reenter:?}: {story:?}"
        );
        std::panic::resume_unwind(panic);
    }
}

#[cfg(not(semafair_shuttle))]
#[test]
fn programs_of_operations_in_one_another_keep_the_books() {
    watch();
    let mut rng = Rng::with_seed(super::seed::seed());
    for _ in 0..2000 * super::watchdog::times() {
        program(&mut rng);
    }
}

/// The same on three or four threads, of one or two operations each.
#[cfg(semafair_shuttle)]
#[test]
fn programs_of_operations_on_threads_keep_the_books() {
    let programs = std::env::var("SEMAFAIR_TIMES").map_or(1, |times| times.parse().unwrap());
    for _ in 0..programs {
        let seed = std::env::var("SEMAFAIR_SEED")
            .map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
        let mut rng = Rng::with_seed(seed);
        let (free, wants) = STARTS[rng.usize(..STARTS.len())];
        let first = rng.bool().then(|| rng.usize(0..4));
        let threads: Vec<Vec<Op>> = (0..rng.usize(3..5))
            .map(|_| (0..rng.usize(1..3)).map(|_| *rng.choice(&OPS[..]).unwrap()).collect())
            .collect();
        std::eprintln!(
            "SEMAFAIR_SEED={seed} {free} free, {wants:?} wait, first {first:?}: {threads:?}"
        );
        check(move || {
            let world = Arc::new(World::new(free, wants));
            let limit = first.unwrap_or(3 + free);
            world.semaphore.set_limit(limit);
            let run = |ops: &Vec<Op>| {
                let (world, ops) = (world.clone(), ops.clone());
                thread::spawn(move || ops.into_iter().for_each(|op| world.run(op)))
            };
            let threads: Vec<_> = threads.iter().map(run).collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            Arc::into_inner(world).expect("nobody has it").settle(Some(limit));
        });
    }
}
