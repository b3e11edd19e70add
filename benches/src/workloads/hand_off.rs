//! A permit goes from its holder to a waiter, and nothing else happens.

use std::pin::pin;
use std::task::Poll;

use super::{Places, Workload, acquired, lines, no_task, poll, several, tenth};
use crate::time::timed;
use crate::{Operation, Semaphore, Time};

/// Two take turns with one permit. A round is one hand-off: one of them waits, the other drops the
/// permit, and the first finds that it has it.
#[derive(Clone, Copy, Debug)]
pub struct HandOff;

impl Workload for HandOff {
    fn name(&self) -> String {
        "hand-off to one waiter, no-op waker".into()
    }

    fn needs(&self) -> &'static [Operation] {
        &[Operation::Wait]
    }

    fn run<S: Semaphore>(&self, rounds: u64) -> Time {
        let semaphore = S::with_permits(1);
        let mut held = acquired(&mut no_task(), &semaphore);
        // A permit outlives the future that brought it, so both waiters use one place in turn.
        let mut waiter = pin!(semaphore.acquire());
        timed(|| {
            for _ in 0..rounds {
                waiter.set(semaphore.acquire());
                assert!(poll(waiter.as_mut()).is_pending(), "the permit is held");
                drop(held);
                let Poll::Ready(granted) = poll(waiter.as_mut()) else {
                    panic!("the permit was dropped, and nobody got it");
                };
                held = semaphore.permit(granted, 1);
            }
        })
    }
}

/// So many waiters queue up behind a held permit, which is not timed, and the permit goes from each
/// to the next.
///
/// Timed, per waiter: the drop of the permit before it, the poll that is ready, and the drop of the
/// future. The waker does nothing.
#[derive(Clone, Copy, Debug)]
pub struct HandOffDownTheLine(pub u32);

impl Workload for HandOffDownTheLine {
    fn name(&self) -> String {
        format!("hand-off down a line of {}", self.0)
    }

    fn family(&self) -> String {
        "hand-off down a line".into()
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
        match lines(self.0) {
            1 => &[Operation::Wait],
            _ => &[Operation::Wait, Operation::Several],
        }
    }

    fn run<S: Semaphore>(&self, rounds: u64) -> Time {
        let semaphores = several::<S>(lines(self.0), 1);
        let line = |semaphore| (semaphore, Places::new(self.0), None);
        let mut lines: Vec<_> = semaphores.iter().map(line).collect();
        let round = |_| {
            for (semaphore, places, held) in &mut lines {
                *held = Some(acquired(&mut no_task(), *semaphore));
                places.fill(|| semaphore.acquire());
            }
            let time = timed(|| {
                for (semaphore, places, first) in &mut lines {
                    let mut held = first.take().expect("the permit is held");
                    for index in 0..places.count() {
                        drop(held);
                        held = semaphore.permit(places.take(index), 1);
                    }
                    *first = Some(held);
                }
            });
            lines.iter_mut().for_each(|(_, _, held)| *held = None);
            time
        };
        (0..rounds).map(round).sum()
    }
}
