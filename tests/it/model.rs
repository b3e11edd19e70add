//! Random programs of one thread, step by step beside a model that fits on a page.
//!
//! With one thread nothing is left to chance: what every call returns, who is woken and how often,
//! and how many permits are free is known after each step.

use std::sync::Arc;
use std::task::Poll;

use fastrand::Rng;
use semafair::{Acquire, Semaphore, SemaphorePermit, TryAcquireError};

use crate::support::{Wakes, seed};
use crate::watchdog::times;

/// What the semaphore must be like.
#[derive(Debug, Default)]
struct Model {
    free: usize,
    closed: bool,
    /// Who had a part at the close, and how much: it is free when that one is polled or dropped.
    part: Option<(usize, usize)>,
    /// In the order of arrival: a name, how much it wants, how much of that it has.
    line: Vec<(usize, usize, usize)>,
    /// Granted, and not yet polled.
    granted: Vec<usize>,
}

#[derive(Debug, PartialEq)]
enum Answer {
    Granted,
    Waits,
    Closed,
}

impl Model {
    fn add(&mut self, n: usize) {
        self.free += n;
        while self.free > 0 && !self.line.is_empty() {
            let (name, wants, has) = &mut self.line[0];
            let part = (*wants - *has).min(self.free);
            *has += part;
            self.free -= part;
            if has == wants {
                self.granted.push(*name);
                self.line.remove(0);
            }
        }
    }

    fn first_poll(&mut self, name: usize, wants: usize) -> Answer {
        if self.closed {
            Answer::Closed
        } else if wants <= self.free {
            self.free -= wants;
            Answer::Granted
        } else {
            self.line.push((name, wants, 0));
            self.add(0);
            Answer::Waits
        }
    }

    fn poll(&mut self, name: usize) -> Answer {
        if let Some(i) = self.granted.iter().position(|granted| *granted == name) {
            self.granted.remove(i);
            Answer::Granted
        } else if self.closed {
            if let Some((_, part)) = self.part.take_if(|(owner, _)| *owner == name) {
                self.free += part;
            }
            Answer::Closed
        } else {
            Answer::Waits
        }
    }

    fn leave(&mut self, name: usize, wants: usize) {
        if self.poll(name) == Answer::Granted {
            self.add(wants);
        } else if let Some(i) = self.line.iter().position(|waiter| waiter.0 == name) {
            let (_, _, has) = self.line.remove(i);
            self.add(has);
        }
    }

    fn close(&mut self) {
        self.closed = true;
        // Only the first in line can have a part.
        self.part = self.line.drain(..).next().map(|(name, _, has)| (name, has));
    }

    /// Whether who has this name was woken since it was last polled.
    fn woken(&self, name: usize) -> bool {
        self.line.iter().all(|waiter| waiter.0 != name)
    }
}

/// One who waits.
struct Waiter<'a> {
    name: usize,
    wants: usize,
    future: Acquire<'a>,
    wakes: Arc<Wakes>,
}

struct Run<'a> {
    sem: &'a Semaphore,
    model: Model,
    waiters: Vec<Waiter<'a>>,
    permits: Vec<SemaphorePermit<'a>>,
    names: usize,
    rng: Rng,
}

impl<'a> Run<'a> {
    /// A number below `max`, small ones more often.
    fn small(&mut self, max: usize) -> usize {
        let bound = self.rng.usize(1..=max);
        self.rng.usize(..bound)
    }

    fn asks(&mut self) {
        let wants = self.small(6);
        let name = self.names;
        self.names += 1;
        let future = self.sem.acquire_many(u32::try_from(wants).unwrap());
        let mut waiter = Waiter { name, wants, future, wakes: Wakes::new() };
        let answer = waiter.wakes.poll(&mut waiter.future);
        let expected = self.model.first_poll(name, wants);
        if let Some(waiter) = self.answered(waiter, answer, expected) {
            self.waiters.push(waiter);
        }
    }

    fn polls(&mut self, i: usize) {
        let mut waiter = self.waiters.swap_remove(i);
        let old = waiter.wakes;
        let was_woken = old.count();
        waiter.wakes = if self.rng.bool() { Wakes::new() } else { Arc::clone(&old) };
        let answer = waiter.wakes.poll(&mut waiter.future);
        let expected = self.model.poll(waiter.name);
        if let Some(waiter) = self.answered(waiter, answer, expected) {
            assert_eq!(old.count(), was_woken, "a poll wakes nobody");
            if !Arc::ptr_eq(&old, &waiter.wakes) {
                assert_eq!(Arc::strong_count(&old), 1, "the replaced waker is dropped");
            }
            self.waiters.push(waiter);
        }
    }

    fn answered(
        &mut self,
        waiter: Waiter<'a>,
        answer: Poll<Result<SemaphorePermit<'a>, semafair::AcquireError>>,
        expected: Answer,
    ) -> Option<Waiter<'a>> {
        match answer {
            Poll::Pending => {
                assert_eq!(expected, Answer::Waits, "number {}", waiter.name);
                Some(waiter)
            }
            Poll::Ready(Ok(permit)) => {
                assert_eq!(expected, Answer::Granted, "number {}", waiter.name);
                assert_eq!(permit.num_permits(), waiter.wants);
                self.permits.push(permit);
                None
            }
            Poll::Ready(Err(_)) => {
                assert_eq!(expected, Answer::Closed, "number {}", waiter.name);
                None
            }
        }
    }

    fn tries(&mut self) {
        let n = self.small(5);
        match self.sem.try_acquire_many(u32::try_from(n).unwrap()) {
            Ok(permit) => {
                assert!(!self.model.closed && n <= self.model.free);
                self.model.free -= n;
                self.permits.push(permit);
            }
            Err(TryAcquireError::NoPermits) => {
                assert!(!self.model.closed && n > self.model.free);
            }
            Err(TryAcquireError::Closed) => assert!(self.model.closed),
        }
    }

    fn handles_a_permit(&mut self, i: usize) {
        let mut permit = self.permits.swap_remove(i);
        let n = permit.num_permits();
        match self.rng.u8(..8) {
            0 => {
                permit.forget();
            }
            1 => {
                let part = self.rng.usize(..=n + 1);
                let split = permit.split(part);
                assert_eq!(split.is_some(), part <= n);
                self.permits.extend(split);
                self.permits.push(permit);
            }
            2 if !self.permits.is_empty() => {
                let other = self.permits.swap_remove(0);
                let both = n + other.num_permits();
                permit.merge(other);
                assert_eq!(permit.num_permits(), both);
                self.permits.push(permit);
            }
            _ => {
                drop(permit);
                self.model.add(n);
            }
        }
    }

    fn step(&mut self, may_close: bool) {
        match self.rng.u8(..20) {
            0..6 => self.asks(),
            6..9 if !self.waiters.is_empty() => {
                let i = self.rng.usize(..self.waiters.len());
                self.polls(i);
            }
            9..12 if !self.waiters.is_empty() => {
                let i = self.rng.usize(..self.waiters.len());
                let waiter = self.waiters.swap_remove(i);
                drop(waiter.future);
                self.model.leave(waiter.name, waiter.wants);
                assert_eq!(Arc::strong_count(&waiter.wakes), 1);
            }
            12..15 if !self.permits.is_empty() => {
                let i = self.rng.usize(..self.permits.len());
                self.handles_a_permit(i);
            }
            15..17 => self.tries(),
            17 => {
                let n = self.small(5);
                self.sem.add_permits(n);
                self.model.add(n);
            }
            18 => {
                let n = self.small(4);
                let gone = n.min(self.model.free);
                assert_eq!(self.sem.forget_permits(n), gone);
                self.model.free -= gone;
            }
            19 if may_close && self.rng.u8(..10) == 0 => {
                self.sem.close();
                if !self.model.closed {
                    self.model.close();
                }
            }
            _ => {}
        }
    }

    /// Everything that can be seen from outside.
    fn check(&self, step: usize) {
        assert_eq!(self.sem.available_permits(), self.model.free, "after step {step}");
        assert_eq!(self.sem.is_closed(), self.model.closed, "after step {step}");
        for waiter in &self.waiters {
            let woken = self.model.woken(waiter.name);
            let what = format!("number {} after step {step}", waiter.name);
            assert_eq!(waiter.wakes.count(), usize::from(woken), "{what}");
            let kept = Arc::strong_count(&waiter.wakes) - 1;
            assert_eq!(kept, usize::from(!woken), "{what}");
        }
    }
}

fn runs(rounds: usize, steps: usize, may_close: bool) {
    let mut rng = Rng::with_seed(seed());
    for _ in 0..rounds * times() {
        let permits = rng.usize(..8);
        let sem = Semaphore::new(permits);
        let mut run = Run {
            sem: &sem,
            model: Model { free: permits, ..Model::default() },
            waiters: Vec::new(),
            permits: Vec::new(),
            names: 0,
            rng: rng.fork(),
        };
        for step in 0..steps {
            run.step(may_close);
            run.check(step);
        }
        // Whoever is left leaves, last first, and everything is back.
        while let Some(waiter) = run.waiters.pop() {
            drop(waiter.future);
            run.model.leave(waiter.name, waiter.wants);
            run.check(steps);
        }
        let held: usize = run.permits.iter().map(SemaphorePermit::num_permits).sum();
        run.permits.clear();
        assert_eq!(sem.available_permits(), run.model.free + held);
    }
}

#[test]
fn short_programs() {
    runs(3000, 30, true);
}

#[test]
fn long_programs() {
    runs(20, 3000, false);
}
