//! How much heap a line holds at most, whatever one thread has done with it.
//!
//! Held are
//! - each block of memory with somebody in it whose future has not said how it ended;
//! - empty blocks that are linked still. Whenever somebody is the last to leave a linked block, and a third of all
//!   that are linked are empty then, all of these are freed but the last block. So at that moment there are fewer than half
//!   as many empty ones as others. Later the others may become fewer without that, where permits
//!   are handed out and the line goes on from their blocks. So that moment counts, and not this;
//! - the last block, in which nobody may be yet. Whoever makes it has all empty blocks freed at the head of the line.

use std::task::Poll;

use fastrand::Rng;
use semafair::{Acquire, Semaphore};

use super::seed::seed;
use super::{Since, poll, waits};

/// So many waiters have room in the first two blocks of a line, which are small, and in each other.
const FIRST: usize = 3;
const SMALL: usize = FIRST + 15;
const OTHERS: usize = 63;

/// What is made when a thread first looks at two blocks at a time, and stays.
const SLOTS: usize = 40;

/// Only the bytes of the line are to be counted: whatever the test needs is made before.
const MOST_WAITING: usize = 4000;
const MOST_BLOCKS: usize = 2000;

type Waiter<'a> = (usize, Acquire<'a>);

/// A line, and who is in which of its blocks.
struct Line<'a> {
    sem: &'a Semaphore,
    waiters: Vec<Option<Waiter<'a>>>,
    /// How many have come.
    came: usize,
    /// How many are in each block.
    blocks: Vec<usize>,
    /// How many blocks have somebody in them.
    occupied: usize,
    /// How many had at the moment of which the head of this file speaks; or more, where it cannot be known
    /// whether a block was linked still.
    occupied_then: usize,
}

impl<'a> Line<'a> {
    fn new(sem: &'a Semaphore) -> Self {
        Self {
            sem,
            waiters: Vec::with_capacity(MOST_WAITING),
            came: 0,
            blocks: vec![0; MOST_BLOCKS],
            occupied: 0,
            occupied_then: 0,
        }
    }

    /// The block of the next who waits.
    fn last_block(&self) -> usize {
        match self.came {
            ..FIRST => 0,
            FIRST..SMALL => 1,
            came => 2 + (came - SMALL) / OTHERS,
        }
    }

    fn join(&mut self, permits: u32) {
        let block = self.last_block();
        if self.waiters.len() == MOST_WAITING || block == MOST_BLOCKS {
            return;
        }
        let mut future = self.sem.acquire_many(permits);
        if poll(&mut future).is_pending() {
            self.occupied += usize::from(self.blocks[block] == 0);
            self.blocks[block] += 1;
            self.came += 1;
            self.waiters.push(Some((block, future)));
        }
    }

    /// Somebody has left this block, of whom it is known to have `waited`, or it is not.
    fn left(&mut self, block: usize, waited: bool) {
        self.blocks[block] -= 1;
        if self.blocks[block] == 0 {
            self.occupied -= 1;
            if block < self.last_block() {
                // The line does not go on from a block in which somebody waits.
                let before = if waited { 0 } else { self.occupied_then };
                self.occupied_then = self.occupied.max(before);
            }
        }
    }

    /// Leaves without a look.
    fn leave(&mut self, (block, future): Waiter<'a>) -> Option<Waiter<'a>> {
        drop(future);
        self.left(block, false);
        None
    }

    /// Looks, and leaves; what it was granted goes on to the next.
    fn look_and_leave(&mut self, (block, mut future): Waiter<'a>) -> Option<Waiter<'a>> {
        let answer = poll(&mut future);
        drop(future);
        self.left(block, answer.is_pending());
        None
    }

    /// Looks, and waits on if it was not answered.
    fn look(&mut self, (block, mut future): Waiter<'a>) -> Option<Waiter<'a>> {
        let Poll::Ready(answer) = poll(&mut future) else { return Some((block, future)) };
        if let Ok(permit) = answer {
            permit.forget();
        }
        self.left(block, false);
        None
    }

    /// Lets these do the same.
    fn each(
        &mut self,
        these: impl IntoIterator<Item = usize>,
        act: fn(&mut Self, Waiter<'a>) -> Option<Waiter<'a>>,
    ) {
        for at in these {
            let waiter = self.waiters[at].take().expect("each acts once");
            self.waiters[at] = act(self, waiter);
        }
        self.waiters.retain(Option::is_some);
    }

    /// Lets some of those in a row do the same: all or every so many, from one end or the other.
    fn some(&mut self, rng: &mut Rng, act: fn(&mut Self, Waiter<'a>) -> Option<Waiter<'a>>) {
        let all = self.waiters.len();
        let first = if rng.bool() { 0 } else { rng.usize(..=all) };
        let end = if rng.bool() { all } else { rng.usize(first..=all) };
        let every = if rng.bool() { 1 } else { rng.usize(1..70) };
        if rng.bool() {
            self.each((first..end).step_by(every), act);
        } else {
            self.each((first..end).rev().step_by(every), act);
        }
    }

    /// Lets up to `most` come, or does something else.
    fn step(&mut self, rng: &mut Rng, most: usize) {
        match rng.u8(..8) {
            0..=2 => (0..rng.usize(..=most)).for_each(|_| self.join(rng.u32(1..=3))),
            3 => self.some(rng, Self::leave),
            4 => self.some(rng, Self::look_and_leave),
            5 => self.some(rng, Self::look),
            6 => self.sem.add_permits(rng.usize(..=100)),
            _ => self.sem.add_permits(rng.usize(..=2 * self.waiters.len())),
        }
        // Somebody is to wait.
        self.sem.forget_permits(usize::MAX);
    }

    /// How many bytes it may hold now.
    fn most(&self, sizes: Sizes) -> usize {
        // The small blocks are counted with the line.
        let small = self.blocks[..2].iter().filter(|&&waiters| waiters > 0).count();
        let blocks = self.occupied - small + self.occupied_then / 2 + 1;
        sizes.line + SLOTS + blocks * sizes.block
    }
}

/// Bytes.
#[derive(Clone, Copy)]
struct Sizes {
    /// Of a line with its small blocks.
    line: usize,
    /// Of each further block.
    block: usize,
}

impl Sizes {
    fn measure() -> Self {
        let sem = Semaphore::new(0);
        let mut few = [const { None::<Acquire<'_>> }; SMALL + 1];
        let since = Since::new();
        few[..SMALL].fill_with(|| Some(waits(sem.acquire())));
        let line = since.held();
        few[SMALL] = Some(waits(sem.acquire()));
        Self { line, block: since.held() - line }
    }
}

#[test]
fn no_program_makes_a_line_hold_more() {
    let mut rng = Rng::with_seed(seed());
    let sizes = Sizes::measure();
    for program in 0..300 {
        let sem = Semaphore::new(0);
        let mut line = Line::new(&sem);
        let since = Since::new();
        for _ in 0..60 {
            line.step(&mut rng, [8, 40, 200, 800][program % 4]);
            let (held, most) = (since.held(), line.most(sizes));
            assert!(
                held <= most,
                "{held} bytes are held, and {most} may be: there is somebody in {} blocks, was in {}",
                line.occupied,
                line.occupied_then,
            );
        }
    }
}

/// The limit is no higher than it must be: the last block is empty, and stays.
#[test]
fn a_program_makes_a_line_hold_as_much() {
    let sizes = Sizes::measure();
    let sem = Semaphore::new(0);
    let mut line = Line::new(&sem);
    let since = Since::new();
    (0..SMALL + 3 * OTHERS).for_each(|_| line.join(1));
    sem.add_permits(SMALL + OTHERS + 1);
    line.each((0..SMALL).chain([SMALL + OTHERS]), Line::look);
    line.each(OTHERS..3 * OTHERS - 1, Line::look_and_leave);
    line.each(0..OTHERS, Line::look);
    assert_eq!((line.occupied, line.waiters.len()), (0, 0));
    let (held, most) = (since.held(), line.most(sizes));
    assert!(held <= most && most < held + sizes.block, "{held} bytes are held, {most} may be");
}
