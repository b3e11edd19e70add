//! What a semaphore may answer: a sequential specification, for a checker of linearizability.
//!
//! A history is linearizable if all that happened in it can be put in one order, each event at a
//! point between the start and the end of its call, such that every answer is right in that order.
//!
//! # What is one event
//!
//! `try_acquire`, `try_acquire_between`, `forget_permits`, `available_permits` and all polls but the first;
//! a poll that grants a range takes what is free besides at that point. The others are two, as in between others can see that they are half done:
//!
//! - **First poll**: it asks, and it is answered. What was free is gone from the moment it asks; its
//!   place in the line it has at some point before the answer. One permit is free: A asks for two;
//!   C tries one, and fails; B asks for one, and overtakes A on the way to the line. So A asked
//!   before C, and C before B, but B stands before A. This is FIFO still: A and B overlap.
//!   (Who asks for a range may take all that is free at once, or its least if that came in between.)
//! - **Release** (the drop of a guard, `add_permits`): the permits are counted, and then they are
//!   handed to those who wait, one after the other, until it returns. Two who overlap may each hold
//!   up what the other has counted.
//! - **Cancel**: what it missed is asked for no more, but for what is on its way to it; then, before it
//!   returns, it gives back what it had, as in a release. What is on its way keeps its place in the line until it comes there. Then
//!   whoever brought it gives it back, as in a release.
//! - **Close**: from its point on nobody gets in, and what was counted but not handed out may or may
//!   not come in time. When it returns, everybody has been refused who was not served.
//!
//! # What is exact
//!
//! Permits that are counted and not handed out are *in flight*, and those that came to a place that
//! somebody has left are so until they are given back. While none of the calls of two
//! events is half done, nothing is in flight, and then every poll answers what a queue would. As
//! long as it is open, the counts are exact always. Once it is closed, they are while nothing
//! happens: what is in flight comes back one by one, and an acquire that is refused borrows for a
//! moment. So [`Event::Available`] and [`Event::Forget`] say little then, and [`Event::Quiet`] says all.
//!
//! Where an event has more than one outcome, all are followed: the state is a set of [`State`]s, and
//! an event that leaves none of them is not possible.

use std::collections::{BTreeMap, BTreeSet};

use todc_utils::Specification;

/// A thread, which has one call at a time.
pub(super) type Thread = usize;
/// A request.
pub(super) type Name = usize;
/// In place of one that has left, and to which something is on its way.
const LEFT: Name = usize::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Granted,
    /// Granted so many, of a range.
    Got(u32),
    Waits,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A first poll begins. [`Event::Answered`] is its end, [`Event::Ends`] that of the next three.
    Asks(Name, u32),
    /// The same of one who takes at least so many, and at most so many.
    AsksBetween(Name, u32, u32),
    Gives(u32),
    /// The request waits, or was granted and does not know.
    Leaves(Name),
    Closes,
    Answered(Name, Answer),
    Ends,
    PolledAgain(Name, Answer),
    /// `NoPermits` is [`Answer::Waits`] here.
    Tried(u32, Answer),
    TriedBetween(u32, u32, Answer),
    /// So many, of so many that were to be.
    Forgot(u32, u32),
    Available(u32),
    /// The same while nothing else happens.
    Quiet(u32),
}

/// A call that is half done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Half {
    Asking(Name),
    /// So many are yet to be given back.
    Giving(u32),
    Closing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Phase {
    Open,
    /// So many are in flight that those who wait may get yet.
    Closing(i64),
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Waiter {
    name: Name,
    wants: u32,
    missing: u32,
}

/// One of the states that a semaphore may be in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct State {
    /// What is free, or below zero, what is asked for and not on its way.
    balance: i64,
    phase: Phase,
    /// All of them miss something.
    line: Vec<Waiter>,
    /// Those who have all they want, and how much that is.
    granted: BTreeMap<Name, u32>,
    /// Those who take more than they have asked for, if that is free when they hear of it: how many in
    /// all.
    most: BTreeMap<Name, u32>,
    half: BTreeMap<Thread, Half>,
    /// What came to places that were left, and is not given back yet.
    returned: i64,
}

impl State {
    fn new() -> Self {
        Self {
            balance: 0,
            phase: Phase::Open,
            line: Vec::new(),
            granted: BTreeMap::new(),
            most: BTreeMap::new(),
            half: BTreeMap::new(),
            returned: 0,
        }
    }

    fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    fn free(&self) -> u32 {
        self.balance.max(0).try_into().expect("small numbers")
    }

    fn owed(&self) -> i64 {
        (-self.balance).max(0)
    }

    fn in_flight(&self) -> i64 {
        match self.phase {
            Phase::Open => {
                let missing: i64 = self.line.iter().map(|waiter| i64::from(waiter.missing)).sum();
                missing - self.owed()
            }
            Phase::Closing(in_flight) => in_flight,
            Phase::Closed => 0,
        }
    }

    /// One that is in flight comes to the head of the line.
    fn deliver(mut self) -> Option<Self> {
        if self.in_flight() == 0 || self.line.is_empty() {
            return None;
        }
        let head = &mut self.line[0];
        match (&mut self.phase, head.name == LEFT) {
            // It counts as free already.
            (Phase::Closing(in_flight), true) => *in_flight -= 1,
            (Phase::Closing(in_flight), false) => {
                *in_flight -= 1;
                self.balance -= 1;
            }
            (_, true) => self.returned += 1,
            (_, false) => {}
        }
        head.missing -= 1;
        if head.missing == 0 {
            let Waiter { name, wants, .. } = self.line.remove(0);
            if name != LEFT {
                self.granted.insert(name, wants);
            }
        }
        Some(self)
    }

    /// One who leaves gives back what it had.
    fn gives(&self) -> Vec<Self> {
        let given = self.half.iter().filter_map(|(thread, half)| match half {
            Half::Giving(rest) if *rest > 0 => {
                let mut next = self.clone();
                next.half.insert(*thread, Half::Giving(0));
                next.balance += i64::from(*rest);
                Some(next)
            }
            _ => None,
        });
        given.collect()
    }

    /// One is given back that came to a place that was left.
    fn give_back(mut self) -> Option<Self> {
        if self.returned == 0 {
            return None;
        }
        self.returned -= 1;
        self.balance += 1;
        Some(self)
    }

    fn is_possible(&self) -> bool {
        !self.half.is_empty() || (self.in_flight() == 0 && self.returned == 0)
    }

    fn begins(mut self, thread: Thread, half: Half) -> Self {
        assert_eq!(self.half.insert(thread, half), None, "one call at a time");
        self
    }

    fn asks(mut self, name: Name, wants: u32) -> Vec<Self> {
        if !self.is_open() {
            return vec![self];
        }
        if wants <= self.free() {
            self.balance -= i64::from(wants);
            self.granted.insert(name, wants);
            return vec![self];
        }
        self.balance -= i64::from(wants);
        // Behind all who were told that they wait; it may overtake others on the way.
        let told =
            |waiter: &Waiter| !self.half.values().any(|half| *half == Half::Asking(waiter.name));
        let first = self.line.iter().rposition(told).map_or(0, |last| last + 1);
        (first..=self.line.len())
            .map(|i| {
                let mut next = self.clone();
                next.line.insert(i, Waiter { name, wants, missing: wants });
                next
            })
            .collect()
    }

    fn asks_between(mut self, name: Name, least: u32, most: u32) -> Vec<Self> {
        let mut all = Vec::new();
        if self.is_open() && least <= self.free() {
            let mut at_once = self.clone();
            let taken = at_once.free().min(most);
            at_once.balance -= i64::from(taken);
            at_once.granted.insert(name, taken);
            all.push(at_once);
        }
        self.most.insert(name, most);
        all.extend(self.asks(name, least));
        all
    }

    /// What one takes who has so many of a range.
    fn takes_more(&mut self, name: Name, has: u32) -> u32 {
        let most = self.most.remove(&name).unwrap_or(has);
        let more = if self.is_open() { self.free().min(most - has) } else { 0 };
        self.balance -= i64::from(more);
        more
    }

    fn leaves(mut self, thread: Thread, name: Name) -> Vec<Self> {
        self.most.remove(&name);
        let had = if let Some(wants) = self.granted.remove(&name) {
            wants
        } else if let Some(i) = self.line.iter().position(|waiter| waiter.name == name) {
            let Waiter { missing, wants, .. } = self.line.remove(i);
            if self.is_open() {
                let withdrawn = missing.min(self.owed().try_into().expect("small numbers"));
                self.balance += i64::from(withdrawn);
                let missing = missing - withdrawn;
                if missing > 0 {
                    self.line.insert(i, Waiter { name: LEFT, wants: missing, missing });
                }
            }
            wants - missing
        } else {
            return Vec::new();
        };
        vec![self.begins(thread, Half::Giving(had))]
    }

    /// A request has this answer; `told` if it was told before that it waits.
    fn answer(mut self, name: Name, answer: Answer, told: bool) -> Option<Self> {
        let place = self.line.iter().position(|waiter| waiter.name == name);
        match (answer, place) {
            (Answer::Granted, _) => self.granted.remove(&name).map(|_| self),
            (Answer::Got(n), _) => {
                let has = self.granted.remove(&name)?;
                (n == has + self.takes_more(name, has)).then_some(self)
            }
            (Answer::Waits, place) => {
                (place.is_some() && self.phase != Phase::Closed).then_some(self)
            }
            (Answer::Closed, _) if self.is_open() => None,
            (Answer::Closed, Some(i)) => {
                let Waiter { wants, missing, .. } = self.line.remove(i);
                self.balance += i64::from(wants - missing);
                // Nobody is served behind one who was refused in the line.
                if let (Phase::Closing(in_flight), true) = (&mut self.phase, told) {
                    *in_flight = 0;
                }
                Some(self)
            }
            (Answer::Closed, None) => (!told && !self.granted.contains_key(&name)).then_some(self),
        }
    }

    fn after(mut self, thread: Thread, event: Event) -> Vec<Self> {
        let one = |next: Self| vec![next];
        let if_so = |so: bool, next: Self| if so { vec![next] } else { Vec::new() };
        match event {
            Event::Asks(name, wants) => {
                let asked = self.asks(name, wants).into_iter();
                asked.map(|next| next.begins(thread, Half::Asking(name))).collect()
            }
            Event::AsksBetween(name, least, most) => {
                let asked = self.asks_between(name, least, most).into_iter();
                asked.map(|next| next.begins(thread, Half::Asking(name))).collect()
            }
            Event::Gives(n) => {
                self.balance += i64::from(n);
                one(self.begins(thread, Half::Giving(0)))
            }
            Event::Leaves(name) => self.leaves(thread, name),
            Event::Closes => {
                if self.is_open() {
                    let in_flight = self.in_flight();
                    self.balance = self.balance.max(0) + in_flight + self.returned;
                    self.returned = 0;
                    self.phase = Phase::Closing(in_flight);
                }
                one(self.begins(thread, Half::Closing))
            }
            Event::Answered(name, answer) => match self.half.remove(&thread) {
                None => Vec::new(),
                Some(half) => {
                    assert_eq!(half, Half::Asking(name), "one call at a time");
                    self.answer(name, answer, false).into_iter().collect()
                }
            },
            Event::Ends => match self.half.remove(&thread) {
                None => Vec::new(),
                Some(Half::Asking(_)) => unreachable!("one call at a time"),
                Some(Half::Giving(rest)) => {
                    self.balance += i64::from(rest);
                    one(self)
                }
                Some(Half::Closing) => {
                    self.phase = Phase::Closed;
                    one(self)
                }
            },
            Event::PolledAgain(name, answer) => {
                self.answer(name, answer, true).into_iter().collect()
            }
            Event::Tried(n, answer) => {
                let enough = n <= self.free();
                let right = match answer {
                    Answer::Granted => self.is_open() && enough,
                    Answer::Got(_) => false,
                    Answer::Waits => self.is_open() && !enough,
                    Answer::Closed => !self.is_open(),
                };
                if answer == Answer::Granted {
                    self.balance -= i64::from(n);
                }
                if_so(right, self)
            }
            Event::TriedBetween(least, most, answer) => {
                let enough = least <= self.free();
                let right = match answer {
                    Answer::Granted => false,
                    Answer::Got(n) => self.is_open() && enough && n == self.free().min(most),
                    Answer::Waits => self.is_open() && !enough,
                    Answer::Closed => !self.is_open(),
                };
                if let Answer::Got(n) = answer {
                    self.balance -= i64::from(n);
                }
                if_so(right, self)
            }
            Event::Forgot(k, n) => {
                let right = if self.is_open() { k == n.min(self.free()) } else { k <= n };
                self.balance -= i64::from(k);
                if_so(right, self)
            }
            Event::Available(k) => if_so(!self.is_open() || k == self.free(), self),
            Event::Quiet(k) => if_so(i64::from(k) == self.balance.max(0), self),
        }
    }
}

pub(super) struct Spec;

impl Specification for Spec {
    type State = BTreeSet<State>;
    type Operation = (Thread, Event);

    fn init() -> Self::State {
        BTreeSet::from([State::new()])
    }

    fn apply(&(thread, event): &Self::Operation, states: &Self::State) -> (bool, Self::State) {
        let mut after = BTreeSet::new();
        for state in states {
            for next in state.clone().after(thread, event) {
                // With all that may come of what is in flight.
                let mut next = vec![next];
                while let Some(state) = next.pop() {
                    if !after.contains(&state) {
                        next.extend(state.clone().deliver());
                        next.extend(state.clone().give_back());
                        next.extend(state.gives());
                        after.insert(state);
                    }
                }
            }
        }
        after.retain(State::is_possible);
        (!after.is_empty(), after)
    }
}
