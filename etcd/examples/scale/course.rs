//! A course of events that is the same for all designs, and what it costs.

use std::collections::VecDeque;

use crate::store::{Process, Sent};
use crate::world::{Design, World};

/// What the processes do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    pub(crate) name: &'static str,
    pub(crate) limit: u64,
    /// Requests are for 1, 2, … as many permits, in turns.
    pub(crate) heaviest: u64,
    /// Before so many hand-offs in a hundred, a waiter from the middle of the line gives up and asks anew.
    pub(crate) cancels: usize,
}

pub(crate) const COURSES: [Course; 4] = [
    Course { name: "one permit", limit: 1, heaviest: 1, cancels: 0 },
    Course { name: "ten permits", limit: 10, heaviest: 1, cancels: 0 },
    Course { name: "ten permits, requests for 1 to 3", limit: 10, heaviest: 3, cancels: 0 },
    Course { name: "the same, half as many cancels", limit: 10, heaviest: 3, cancels: 50 },
];

/// What it costs while each process asks again as soon as it has released.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) hand_offs: u64,
    pub(crate) sent: Sent,
}

impl Cost {
    pub(crate) fn each(&self, count: u64) -> f64 {
        count as f64 / self.hand_offs as f64
    }
}

impl Course {
    /// Runs until at least so many were granted after all had asked for the first time.
    pub(crate) fn run(&self, design: Design, processes: usize, hand_offs: usize) -> Cost {
        let mut random = fastrand::Rng::with_seed(14);
        let mut weights = (1..=self.heaviest).cycle();
        let mut weight = || weights.next().unwrap_or(1);
        // Each process that waits or holds, in the order in which they asked.
        let mut line: VecDeque<Process> = (0..processes).collect();
        let first: Vec<_> = line.iter().map(|_| weight()).collect();
        let mut world = World::crowd(design, self.limit, &first);
        let (before, granted) = (world.sent(), world.grants.len());
        let mut owed = 0;
        while world.grants.len() - granted < hand_offs {
            owed += self.cancels;
            if owed >= 100 {
                owed -= 100;
                let place = random.usize(..line.len());
                if world.is_waiting(line[place]) {
                    let process = line.remove(place).expect("it is in the line");
                    world.leave(process);
                    world.settle();
                    world.ask(process, weight());
                    line.push_back(process);
                }
            }
            // The first of the line always holds.
            let process = line.pop_front().expect("there are processes");
            world.leave(process);
            world.settle();
            world.ask(process, weight());
            world.settle();
            line.push_back(process);
        }
        let after = world.sent();
        let sent = Sent {
            writes: after.writes - before.writes,
            reads: after.reads - before.reads,
            events: after.events - before.events,
            bytes: after.bytes - before.bytes,
        };
        Cost { hand_offs: (world.grants.len() - granted) as u64, sent }
    }
}
