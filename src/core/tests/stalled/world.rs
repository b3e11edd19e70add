//! Where an operation takes place, the operations, and what others do meanwhile.

use core::future::Future;
use core::ops::AddAssign;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::boxed::Box;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;
use std::vec::Vec;

use super::subject::Subject;
use crate::sync::probe::steps::step;
use crate::sync::sizes::{BATCH, CELLS};

/// A waker that remembers. Being woken is a step: it may never return.
#[derive(Debug, Default)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        step();
        // ORDERING: SeqCst. The test's own note; nothing hangs on its order.
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Somebody who wants permits.
pub(super) struct Waiter<S: Subject> {
    pub(super) wants: u32,
    future: S::Acquire,
    bell: Arc<Bell>,
}

impl<S: Subject> Waiter<S> {
    fn new(semaphore: &Arc<S>, wants: u32) -> Self {
        Self { wants, future: semaphore.acquire(wants), bell: Arc::default() }
    }

    /// One who takes up to `most`.
    fn between(semaphore: &Arc<S>, wants: u32, most: u32) -> Self {
        let future = semaphore.acquire_between(wants, most);
        Self { wants, future, bell: Arc::default() }
    }

    pub(super) fn poll(&mut self) -> Poll<Option<S::Permit>> {
        let waker = Waker::from(self.bell.clone());
        Pin::new(&mut self.future).poll(&mut Context::from_waker(&waker))
    }

    pub(super) fn is_woken(&self) -> bool {
        // ORDERING: SeqCst. The test's own note; nothing hangs on its order.
        self.bell.0.load(Ordering::SeqCst)
    }

    /// Before a poll with another waker.
    pub(super) fn change_waker(&mut self) {
        self.bell = Arc::default();
    }
}

/// Somebody who waits until the semaphore is closed and all permits are back.
pub(super) struct End<S: Subject> {
    future: S::Drained,
    bell: Arc<Bell>,
}

impl<S: Subject> End<S> {
    pub(super) fn new(semaphore: &Arc<S>) -> Self {
        Self { future: semaphore.drained(), bell: Arc::default() }
    }

    pub(super) fn has_come(&mut self) -> bool {
        let waker = Waker::from(self.bell.clone());
        Pin::new(&mut self.future).poll(&mut Context::from_waker(&waker)).is_ready()
    }

    pub(super) fn is_woken(&self) -> bool {
        // ORDERING: SeqCst. The test's own note; nothing hangs on its order.
        self.bell.0.load(Ordering::SeqCst)
    }
}

/// How things stand when an operation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scene {
    /// Two permits, and nobody ever waited.
    Fresh,
    /// The same, and somebody has waited.
    Idle,
    /// No permit is free. `Granted` has one and has not looked; `Partly` has one of two; behind it
    /// stand `Second` (1), `Third` (2) and `Last` (1), beyond the end of the first segment.
    Queue,
    /// The same, with a debt of two.
    Indebted,
    /// As `Queue`, closed.
    Closed,
    /// Behind `Partly`, who has one of two, are four segments with one waiter each: `Second`,
    /// `Third`, `Fourth` and `Last`; between them are four of which all are gone. One more, and
    /// somebody sweeps.
    Sparse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    Granted,
    Partly,
    Second,
    Third,
    Fourth,
    Last,
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Try(u32),
    /// The first poll.
    Ask(u32),
    /// The same of one who takes as many as are free, in a range.
    AskBetween(u32, u32),
    /// A later poll of such a one, which was granted the least and may take the rest.
    LookBetween(u32, u32),
    /// Asks, and then polls; it has to wait.
    Enqueue(u32),
    /// A later poll, with the same waker.
    Look(Who),
    /// The same with another waker.
    LookAnew(Who),
    Cancel(Who),
    /// Drops the guard over so many permits.
    Release(u32),
    Add(usize),
    Forget(usize),
    /// Lowers the limit.
    Reduce(usize),
    Close,
    /// Waits for the drain, and gives up.
    Drain,
}

/// What a stopped thread may take along.
#[derive(Debug, Default)]
pub(super) struct Takes {
    /// Permits on their way to others: so many units are missed at the end of the line.
    pub(super) hand: usize,
    /// Permits that are its own, or come to its own place in the line.
    pub(super) place: usize,
    /// Others whom it was about to wake.
    pub(super) wakers: usize,
}

impl Takes {
    fn in_hand(n: usize) -> Self {
        Self { hand: n, place: 0, wakers: n }
    }
}

impl AddAssign for Takes {
    fn add_assign(&mut self, other: Self) {
        self.hand += other.hand;
        self.place += other.place;
        self.wakers += other.wakers;
    }
}

/// An operation, to be run on another thread.
pub(super) type Operation<S> = Box<dyn FnOnce() -> Left<S> + Send>;

/// What an operation leaves behind, besides what it did to the semaphore.
pub(super) struct Left<S: Subject> {
    pub(super) waiter: Option<Waiter<S>>,
    pub(super) permits: Option<S::Permit>,
    /// Of permits there are so many more, or fewer.
    pub(super) change: isize,
}

impl<S: Subject> Default for Left<S> {
    fn default() -> Self {
        Self { waiter: None, permits: None, change: 0 }
    }
}

impl<S: Subject> Left<S> {
    /// Of a waiter that was polled.
    fn of(poll: Poll<Option<S::Permit>>, waiter: Waiter<S>) -> Self {
        match poll {
            Poll::Pending => Self { waiter: Some(waiter), ..Self::default() },
            Poll::Ready(permits) => Self { permits, ..Self::default() },
        }
    }
}

/// A semaphore, and all that is to do with it.
pub(super) struct World<S: Subject> {
    pub(super) semaphore: Arc<S>,
    /// Who waits, in the order of arrival.
    pub(super) waiters: BTreeMap<Who, Waiter<S>>,
    /// By how many they are.
    pub(super) permits: BTreeMap<u32, S::Permit>,
    /// How many permits there are, free and held.
    pub(super) total: usize,
}

impl<S: Subject> World<S> {
    pub(super) fn new(scene: Scene) -> Self {
        let semaphore = Arc::new(S::new(2));
        let mut world =
            Self { semaphore, waiters: BTreeMap::new(), permits: BTreeMap::new(), total: 2 };
        match scene {
            Scene::Fresh => {}
            Scene::Idle => drop(world.asks(3)),
            Scene::Queue | Scene::Indebted | Scene::Closed => {
                world.semaphore.add_permits(1);
                world.holds(1);
                world.holds(2);
                for who in [Who::Granted, Who::Partly, Who::Second, Who::Third, Who::Last] {
                    let wants = if matches!(who, Who::Partly | Who::Third) { 2 } else { 1 };
                    world.waits(who, wants);
                }
                world.semaphore.add_permits(2);
                world.total += 3;
                match scene {
                    Scene::Indebted => world.total -= world.semaphore.reduce_permits(2),
                    Scene::Closed => world.semaphore.close(),
                    _ => {}
                }
            }
            Scene::Sparse => {
                world.holds(2);
                world.waits(Who::Partly, 2);
                let mut gone: Vec<_> = (1..2 * CELLS).map(|_| world.asks(1)).collect();
                for who in [Who::Second, Who::Third, Who::Fourth, Who::Last] {
                    gone.extend((1..CELLS).map(|_| world.asks(1)));
                    world.waits(who, 1);
                    if who != Who::Last {
                        gone.extend((0..CELLS).map(|_| world.asks(1)));
                    }
                }
                drop(gone);
                world.semaphore.add_permits(1);
                world.total += 1;
            }
        }
        world
    }

    /// The operations that can be done in a scene.
    pub(super) fn operations(scene: Scene) -> Vec<Op> {
        use self::{Op::*, Who::*};
        match scene {
            Scene::Fresh => vec![
                Try(1),
                Ask(1),
                Ask(3),
                AskBetween(1, 5),
                AskBetween(3, 5),
                Enqueue(3),
                Add(1),
                Forget(1),
                Reduce(1),
                Reduce(3),
                Close,
                Drain,
            ],
            Scene::Idle => vec![
                Try(1),
                Try(3),
                Ask(1),
                Ask(3),
                AskBetween(1, 5),
                AskBetween(3, 5),
                LookBetween(3, 5),
                Enqueue(3),
                Add(2),
                Forget(3),
                Reduce(1),
                Reduce(3),
                Close,
                Drain,
            ],
            Scene::Queue | Scene::Indebted => vec![
                Try(1),
                Ask(1),
                Ask(2),
                AskBetween(1, 3),
                Enqueue(1),
                Look(Granted),
                Look(Partly),
                LookAnew(Partly),
                LookAnew(Second),
                LookAnew(Last),
                Cancel(Granted),
                Cancel(Partly),
                Cancel(Second),
                Cancel(Third),
                Cancel(Last),
                Release(1),
                Release(2),
                Add(1),
                Add(9),
                Forget(1),
                Reduce(1),
                Reduce(4),
                Close,
                Drain,
            ],
            Scene::Closed => vec![
                Try(1),
                Ask(1),
                AskBetween(1, 3),
                Look(Granted),
                Look(Partly),
                Look(Second),
                Cancel(Granted),
                Cancel(Partly),
                Cancel(Third),
                Release(1),
                Add(1),
                Forget(1),
                Reduce(2),
                Close,
                Drain,
            ],
            Scene::Sparse => vec![
                Ask(1),
                LookAnew(Fourth),
                Cancel(Partly),
                Cancel(Second),
                Cancel(Third),
                Cancel(Fourth),
                Cancel(Last),
                Release(2),
                Add(1),
                Add(9),
                Reduce(1),
                Close,
            ],
        }
    }

    /// Takes what an operation needs out of the world; `None` if it is not there.
    pub(super) fn prepare(&mut self, op: Op) -> Option<(Takes, Operation<S>)> {
        let semaphore = self.semaphore.clone();
        let mut waiter = match op {
            Op::Look(who) | Op::LookAnew(who) | Op::Cancel(who) => Some(self.waiters.remove(&who)?),
            Op::Ask(n) | Op::Enqueue(n) => Some(Waiter::new(&semaphore, n)),
            Op::AskBetween(n, most) => Some(Waiter::between(&semaphore, n, most)),
            Op::LookBetween(n, most) => {
                let mut waiter = Waiter::between(&semaphore, n, most);
                if waiter.poll().is_ready() {
                    return None;
                }
                // What it needs, and one more that is free.
                semaphore.add_permits(2);
                self.total += 2;
                Some(waiter)
            }
            _ => None,
        };
        let permits = match op {
            Op::Release(n) => Some(self.permits.remove(&n)?),
            _ => None,
        };
        let wants = waiter.as_ref().map_or(0, |waiter| waiter.wants as usize);
        let takes = match op {
            Op::Ask(_) | Op::Enqueue(_) => Takes { hand: wants, place: wants, wakers: wants },
            Op::AskBetween(_, most) => Takes { hand: wants, place: most as usize, wakers: wants },
            Op::LookBetween(_, most) => Takes { place: most as usize, ..Takes::default() },
            Op::Look(_) | Op::LookAnew(_) => Takes { place: wants, ..Takes::default() },
            Op::Cancel(_) => Takes { hand: wants, place: 0, wakers: wants },
            Op::Try(n) | Op::Release(n) => Takes::in_hand(n as usize),
            Op::Add(n) => Takes::in_hand(n),
            Op::Forget(n) => Takes { place: n, ..Takes::default() },
            // What vanishes, and the units that it may find in the line and must hand on.
            Op::Reduce(n) => Takes { hand: n, place: n, wakers: n },
            Op::Close => Takes { wakers: BATCH, ..Takes::default() },
            Op::Drain => Takes::default(),
        };
        let operation = move || match (op, waiter.take()) {
            (
                Op::Ask(_) | Op::AskBetween(..) | Op::Look(_) | Op::LookBetween(..),
                Some(mut waiter),
            ) => Left::of(waiter.poll(), waiter),
            (Op::Enqueue(_), Some(mut waiter)) => {
                S::enqueue(&mut waiter.future);
                Left::of(waiter.poll(), waiter)
            }
            (Op::LookAnew(_), Some(mut waiter)) => {
                waiter.change_waker();
                Left::of(waiter.poll(), waiter)
            }
            (Op::Try(n), _) => Left { permits: semaphore.try_acquire(n), ..Left::default() },
            (Op::Add(n), _) => {
                semaphore.add_permits(n);
                Left { change: n.cast_signed(), ..Left::default() }
            }
            (Op::Forget(n), _) => {
                let change = -semaphore.forget_permits(n).cast_signed();
                Left { change, ..Left::default() }
            }
            (Op::Reduce(n), _) => {
                let change = -semaphore.reduce_permits(n).cast_signed();
                Left { change, ..Left::default() }
            }
            (Op::Close, _) => {
                semaphore.close();
                Left::default()
            }
            (Op::Drain, _) => {
                let mut end = End::new(&semaphore);
                end.has_come();
                // Again, and then not any more.
                end.has_come();
                Left::default()
            }
            (Op::Cancel(_) | Op::Release(_), gone) => {
                drop((gone, permits));
                Left::default()
            }
            _ => unreachable!("it was prepared above"),
        };
        Some((takes, Box::new(operation)))
    }

    /// Somebody who has asked.
    pub(super) fn asks(&self, wants: u32) -> (Waiter<S>, Poll<Option<S::Permit>>) {
        let mut waiter = Waiter::new(&self.semaphore, wants);
        let poll = waiter.poll();
        (waiter, poll)
    }

    fn waits(&mut self, who: Who, wants: u32) {
        let (waiter, poll) = self.asks(wants);
        assert!(poll.is_pending());
        self.waiters.insert(who, waiter);
    }

    fn holds(&mut self, n: u32) {
        self.permits.insert(n, self.semaphore.try_acquire(n).expect("so many are free"));
    }
}
