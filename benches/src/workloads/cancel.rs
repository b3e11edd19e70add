//! Waiters that come, and waiters that give up.

use std::fmt::{self, Display, Formatter};
use std::pin::pin;

use super::{Places, Workload, acquired, lines, no_task, poll, several, tenth};
use crate::time::timed;
use crate::{Operation, Semaphore, Time};

/// In which order waiters leave.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// Who came first leaves first.
    Fifo,
    /// Who came last leaves first.
    Lifo,
    /// Shuffled, the same way on every run.
    Random,
}

impl Order {
    fn of(self, count: u32) -> Vec<usize> {
        let mut order: Vec<_> = (0..count as usize).collect();
        match self {
            Self::Fifo => {}
            Self::Lifo => order.reverse(),
            Self::Random => fastrand::Rng::with_seed(1).shuffle(&mut order),
        }
        order
    }
}

impl Display for Order {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fifo => "FIFO",
            Self::Lifo => "LIFO",
            Self::Random => "random order",
        })
    }
}

/// So many waiters queue up, one after the other, behind one that stays, and then all leave.
///
/// Timed, per waiter: making the future, its first poll, which is pending, and its drop. There is no
/// permit. No time is spent on finding the next who leaves, beyond reading its index.
#[derive(Clone, Copy, Debug)]
pub struct EnqueueCancel {
    /// How many come and leave.
    pub waiters: u32,
    /// How they leave.
    pub order: Order,
}

impl Workload for EnqueueCancel {
    fn name(&self) -> String {
        match self.waiters {
            1 => "enqueue + cancel behind a waiter".into(),
            n => format!("enqueue + cancel of {n} behind a waiter, {}", self.order),
        }
    }

    fn family(&self) -> String {
        match self.waiters {
            1 => self.name(),
            _ => format!("enqueue + cancel, {}", self.order),
        }
    }

    fn operations(&self) -> u32 {
        self.waiters
    }

    fn size(&self) -> Option<u32> {
        Some(self.waiters)
    }

    fn tenth(&self) -> Option<Self> {
        tenth(self.waiters).map(|waiters| Self { waiters, ..*self })
    }

    fn needs(&self) -> &'static [Operation] {
        &[Operation::Wait, Operation::Leave]
    }

    fn run<S: Semaphore>(&self, rounds: u64) -> Time {
        let semaphore = S::with_permits(0);
        let mut stays = pin!(semaphore.acquire());
        assert!(poll(stays.as_mut()).is_pending(), "there is no permit");
        let mut places = Places::new(self.waiters);
        let order = self.order.of(self.waiters);
        timed(|| {
            for _ in 0..rounds {
                places.fill(|| semaphore.acquire());
                for &index in &order {
                    places.cancel(index);
                }
            }
        })
    }
}

/// So many waiters queue up. Timed, per waiter: making the future, and its first poll. That they
/// leave again, newest first, is not timed.
#[derive(Clone, Copy, Debug)]
pub struct Enqueue(pub u32);

impl Workload for Enqueue {
    fn name(&self) -> String {
        format!("enqueue of {}", self.0)
    }

    fn family(&self) -> String {
        "enqueue".into()
    }

    fn operations(&self) -> u32 {
        self.0 * lines(self.0)
    }

    fn size(&self) -> Option<u32> {
        Some(self.0)
    }

    fn tenth(&self) -> Option<Self> {
        tenth(self.0).map(Self)
    }

    fn needs(&self) -> &'static [Operation] {
        &[Operation::Wait, Operation::Leave]
    }

    fn run<S: Semaphore>(&self, rounds: u64) -> Time {
        let semaphores = several::<S>(lines(self.0), 0);
        let line = |semaphore| (semaphore, Places::new(self.0));
        let mut lines: Vec<_> = semaphores.iter().map(line).collect();
        let round = |_| {
            let time = timed(|| {
                for (semaphore, places) in &mut lines {
                    places.fill(|| semaphore.acquire());
                }
            });
            for (_, places) in &mut lines {
                (0..places.count()).rev().for_each(|index| places.cancel(index));
            }
            time
        };
        (0..rounds).map(round).sum()
    }
}

/// So many waiters queue up, which is not timed, and all leave. Timed, per waiter: its drop.
#[derive(Clone, Copy, Debug)]
pub struct Cancel {
    /// How many leave.
    pub waiters: u32,
    /// How they leave.
    pub order: Order,
}

impl Workload for Cancel {
    fn name(&self) -> String {
        format!("cancel of {}, {}", self.waiters, self.order)
    }

    fn family(&self) -> String {
        format!("cancel, {}", self.order)
    }

    fn operations(&self) -> u32 {
        self.waiters * lines(self.waiters)
    }

    fn size(&self) -> Option<u32> {
        Some(self.waiters)
    }

    fn tenth(&self) -> Option<Self> {
        tenth(self.waiters).map(|waiters| Self { waiters, ..*self })
    }

    fn needs(&self) -> &'static [Operation] {
        &[Operation::Wait, Operation::Leave]
    }

    fn run<S: Semaphore>(&self, rounds: u64) -> Time {
        let semaphores = several::<S>(lines(self.waiters), 0);
        let line = |semaphore| (semaphore, Places::new(self.waiters));
        let mut lines: Vec<_> = semaphores.iter().map(line).collect();
        let order = self.order.of(self.waiters);
        let round = |_| {
            for (semaphore, places) in &mut lines {
                places.fill(|| semaphore.acquire());
            }
            timed(|| {
                for (_, places) in &mut lines {
                    order.iter().for_each(|&index| places.cancel(index));
                }
            })
        };
        (0..rounds).map(round).sum()
    }
}

/// So many waiters queue up behind a held permit; then, from the first pair of them to the last, the
/// second leaves, the permit is dropped, and the first gets it.
///
/// Timed, per waiter: all of that.
#[derive(Clone, Copy, Debug)]
pub struct HalfCancelled(pub u32);

impl Workload for HalfCancelled {
    fn name(&self) -> String {
        format!("{} waiters, every other cancelled while a permit goes round", self.0)
    }

    fn operations(&self) -> u32 {
        self.0
    }

    fn size(&self) -> Option<u32> {
        Some(self.0)
    }

    fn tenth(&self) -> Option<Self> {
        tenth(self.0).map(Self)
    }

    fn needs(&self) -> &'static [Operation] {
        &[Operation::Wait, Operation::Leave]
    }

    fn run<S: Semaphore>(&self, rounds: u64) -> Time {
        let semaphore = S::with_permits(1);
        let mut held = acquired(&mut no_task(), &semaphore);
        let mut places = Places::new(self.0);
        timed(|| {
            for _ in 0..rounds {
                places.fill(|| semaphore.acquire());
                for first in (0..places.count()).step_by(2) {
                    places.cancel(first + 1);
                    drop(held);
                    held = semaphore.permit(places.take(first), 1);
                }
            }
        })
    }
}
