//! A thread that is stopped for ever, at whatever step, delays nobody else.
//!
//! Each operation is stopped before its first step, its second, and so on to its last; and while
//! it is, others ask, look, cancel, release, try and close. They must come to the end of what they
//! do, and get every permit but those that the stopped thread carries, or that go to its own place
//! in the line; and in order. Then it goes on, and everything must be back.
//!
//! A step is a use of an atomic, and a call of a waker: one may never return. The same matrix must
//! be red on a semaphore that holds a lock.

mod mutex;
mod subject;
mod victim;
mod world;

use core::mem;
use core::task::Poll;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::vec::Vec;

use fastrand::Rng;

use self::mutex::Locked;
use self::subject::Subject;
use self::victim::{Victim, unhindered};
use self::world::{End, Left, Op, Scene, Takes, Waiter, World};
use super::seed::seed;
use super::watchdog::{times, watch};
use crate::Semaphore;
use crate::sync::probe::memory;

const SCENES: [Scene; 6] =
    [Scene::Fresh, Scene::Idle, Scene::Queue, Scene::Indebted, Scene::Closed, Scene::Sparse];

/// What the others do while somebody is stopped.
#[derive(Clone, Copy, Debug)]
enum Others {
    /// They come and go, until everybody has what it asked for.
    Serve,
    /// The same, and they close in the middle.
    Close,
}

/// One whom nobody has stopped.
struct Free<S: Subject> {
    waiter: Waiter<S>,
    answer: Poll<Option<S::Permit>>,
}

impl<S: Subject> Free<S> {
    fn new(waiter: Waiter<S>) -> Self {
        Self { waiter, answer: Poll::Pending }
    }

    fn is_served(&self) -> bool {
        self.answer.is_ready() || self.waiter.is_woken()
    }

    fn is_granted(&self) -> bool {
        matches!(self.answer, Poll::Ready(Some(_)))
    }

    fn look(&mut self) {
        if self.answer.is_pending() {
            self.answer = self.waiter.poll();
        }
    }
}

/// Stops each of `ops` before the step beside it, and lets the others do what they do. Says which
/// were stopped, and did not end before; `None` if they cannot be done together.
fn stop<S: Subject>(scene: Scene, ops: &[(Op, usize)], others: Others) -> Option<Vec<bool>> {
    memory::checked(|| stop_and_go::<S>(scene, ops, others))
}

fn stop_and_go<S: Subject>(scene: Scene, ops: &[(Op, usize)], others: Others) -> Option<Vec<bool>> {
    let mut world = World::<S>::new(scene);
    let mut takes = Takes::default();
    let mut end = End::new(&world.semaphore);
    let mut came = end.has_come();
    // Below the world: dropped before it, and so let go before others are where they were.
    let mut victims = Vec::new();
    for &(op, step) in ops {
        let (more, operation) = world.prepare(op)?;
        takes += more;
        victims.push(Victim::stopped_before(step, operation));
    }
    let stopped: Vec<bool> = victims.iter().map(Victim::is_stopped).collect();

    let line = unhindered(|| meanwhile(&mut world, others, &takes));
    let closing = ops.iter().any(|(op, _)| *op == Op::Close);
    let closed = closing || scene == Scene::Closed || matches!(others, Others::Close);
    // Of those who waited, first those who were served, then those whose units are in hand.
    let served = line.iter().take_while(|free| free.is_granted()).count();
    let rest = &line[served..];
    assert!(!rest.iter().any(Free::is_granted), "somebody was overtaken");
    let waiting = rest.iter().filter(|free| free.answer.is_pending()).count();
    assert!(waiting <= if closed && !closing { 0 } else { takes.hand }, "{waiting} wait for ever");
    assert!(closed || waiting == rest.len(), "somebody was refused");
    unhindered(|| drop(line));
    let (there, total) = (world.semaphore.available_permits(), world.total);
    assert!(there + takes.hand + takes.place >= total, "of {total} permits only {there} are there");
    assert!(there <= total + takes.hand, "of {total} permits {there} are there");

    // Who stops with nothing in its hands does not delay the end.
    if closed && !closing && takes.hand + takes.place == 0 {
        came = unhindered(|| end.has_come());
        assert!(came, "the end does not come");
    }

    let left: Vec<_> = victims.into_iter().rev().map(Victim::resume).collect();
    let semaphore = world.semaphore.clone();
    settle(world, left);
    semaphore.close();
    assert!(came || end.is_woken(), "who waits for the end sleeps for ever");
    assert!(end.has_come(), "the end does not come");
    Some(stopped)
}

/// What the others do: they come and go, until everybody is served or refused who can be.
fn meanwhile<S: Subject>(world: &mut World<S>, others: Others, takes: &Takes) -> Vec<Free<S>> {
    let mut line: Vec<Free<S>> =
        mem::take(&mut world.waiters).into_values().map(Free::new).collect();
    if let Some(last) = line.last_mut() {
        last.waiter.change_waker();
        last.look();
    }
    for wants in [1, 2, 1] {
        let (waiter, poll) = world.asks(wants);
        // Who finds permits free overtakes nobody: all others have been given theirs.
        if poll.is_pending() {
            line.push(Free::new(waiter));
        }
    }
    // One gives up.
    drop(line.iter().len().checked_sub(2).map(|i| line.remove(i)));
    drop(world.semaphore.try_acquire(1));
    world.permits.clear();
    if matches!(others, Others::Close) {
        world.semaphore.close();
    }
    let wanted: usize = line.iter().map(|free| free.waiter.wants as usize).sum();
    for _ in 0..wanted + takes.place {
        world.semaphore.add_permits(1);
        world.total += 1;
        let last = line.iter().rposition(Free::is_served).unwrap_or(0);
        let overtaken = line[..last].iter().filter(|free| !free.is_served()).count();
        assert!(overtaken <= takes.wakers, "{overtaken} were overtaken");
    }
    let sleeping = line.iter().filter(|free| !free.is_served()).count();
    assert!(sleeping <= takes.wakers, "{sleeping} sleep for ever");
    line.iter_mut().for_each(Free::look);
    line
}

/// Everybody goes on: all that waits is served, and all permits are there.
fn settle<S: Subject>(mut world: World<S>, left: Vec<Left<S>>) {
    for left in left {
        drop(left.permits);
        world.total = world.total.strict_add_signed(left.change);
        let Some(mut waiter) = left.waiter else { continue };
        world.semaphore.add_permits(waiter.wants as usize);
        world.total += waiter.wants as usize;
        assert!(waiter.is_woken(), "one who was stopped sleeps for ever");
        assert!(waiter.poll().is_ready(), "one who was stopped waits for ever");
    }
    assert_eq!(world.semaphore.available_permits(), world.total, "permits were lost or invented");
}

/// Stops one operation before each of its steps, and says how many they are.
fn every_step<S: Subject>(scene: Scene, op: Op, others: Others) -> usize {
    (1..).take_while(|&step| stop::<S>(scene, &[(op, step)], others).expect("one op")[0]).count()
}

#[test]
fn one_at_every_step() {
    watch();
    for scene in SCENES {
        for op in World::<Semaphore>::operations(scene) {
            for others in [Others::Serve, Others::Close] {
                let steps = every_step::<Semaphore>(scene, op, others);
                println!("{scene:?}, {op:?}; {others:?}: green at all {steps} steps");
            }
        }
    }
}

/// Two, of which the second begins when the first was stopped; both drawn by chance.
#[test]
fn two_at_some_steps() {
    watch();
    let mut rng = Rng::with_seed(seed());
    for _ in 0..2000 * times() {
        let scene = SCENES[rng.usize(..SCENES.len())];
        let ops = World::<Semaphore>::operations(scene);
        let [one, two] = [0; 2].map(|_| {
            let far = rng.usize(2..50);
            (ops[rng.usize(..ops.len())], rng.usize(1..far))
        });
        let others = if rng.bool() { Others::Serve } else { Others::Close };
        println!("{scene:?}, {one:?}, {two:?}; {others:?}");
        stop::<Semaphore>(scene, &[one, two], others);
    }
}

/// With a lock, a thread that is stopped while it holds it stops all others.
#[test]
fn the_matrix_is_red_on_a_mutex() {
    watch();
    for scene in SCENES {
        for op in World::<Locked>::operations(scene) {
            let mut red = 0;
            let mut steps = 0..;
            for step in 1.. {
                let run = || stop::<Locked>(scene, &[(op, step)], Others::Serve);
                match catch_unwind(AssertUnwindSafe(run)) {
                    Ok(stopped) if !stopped.as_deref().expect("one op")[0] => break,
                    Ok(_) => {}
                    Err(_) => red += 1,
                }
                steps.next();
            }
            println!("{scene:?}, {op:?}: red at {red} of {} steps", steps.start);
            assert!(red > 0, "{scene:?}, {op:?}");
        }
    }
}
