//! What a semaphore may answer: a sequential specification, for a checker of linearizability.
//!
//! A history is linearizable if all that happened in it can be put in one order, each event at a
//! point between the start and the end of its call, such that every answer is right in that order.
//!
//! # What is one event
//!
//! `try_acquire`, `try_acquire_between`, `available_permits`, `limit` and all polls but the first;
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
//! - **Cancel**: what it missed, and was not on its way, is asked for no more. Then it gives back what it
//!   had. What was on its way is given back when it comes.
//! - **`add_permits`** and a rise of the limit: first there are more, and then they are released.
//! - **A fall of the limit**: first what vanishes is asked for. What is not free becomes debt later: so
//!   somebody who asks meanwhile may stand in front of the debt, as two may who overlap on the way to the
//!   line. Debt takes what comes before those who wait get any, but for what was in flight when it was made.
//!   Then there are fewer. If the limit was changed meanwhile, what was asked for too much is released.
//! - **`forget_permits`**: free permits are taken, and then there are fewer. **`forget`** of a guard: there
//!   are fewer, or if there are too few for that, the rest is released.
//! - **Close**: from its point on nobody gets in, and what was counted but not handed out may or may
//!   not come in time. When it returns, everybody has been refused who was not served.
//!
//! # What is exact
//!
//! A bound for the line is exact while nobody changes the limit.
//!
//! Permits that are counted and not handed out are *in flight*. While none of the calls of two
//! events is half done, nothing is in flight, and then every poll answers what a queue would. As
//! long as it is open, the counts are exact always. Once it is closed, they are while nothing
//! happens: what is in flight comes back one by one, and an acquire that is refused borrows for a
//! moment. So [`Event::Available`] and [`Event::Forgot`] say little then, and [`Event::Quiet`] says all.
//!
//! Where an event has more than one outcome, all are followed: the state is a set of [`State`]s, and
//! an event that leaves none of them is not possible.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use todc_utils::Specification;

/// A thread, which has one call at a time.
pub(super) type Thread = usize;
/// A request.
pub(super) type Name = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Granted,
    /// Granted so many, of a range.
    Got(u32),
    Waits,
    Closed,
    /// The line is full.
    Full,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// It was made so, before all else: how many may be waited for.
    Bound(u32),
    /// A first poll begins. [`Event::Answered`] is its end.
    Asks(Name, u32),
    /// The same of one who takes at least so many, and at most so many.
    AsksBetween(Name, u32, u32),
    /// `set_limit` begins. [`Event::WasSet`] is its end.
    Sets(u32),
    /// `reduce_permits` begins. [`Event::Reduced`] is its end.
    Reduces(u32),
    /// `forget_permits` begins. [`Event::Forgot`] is its end.
    Forgets(u32),
    /// A guard is dropped. [`Event::Ends`] is its end, and that of the next four.
    Gives(u32),
    /// New permits are added.
    Adds(u32),
    /// A guard of so many is forgotten.
    Vanishes(u32),
    /// The request waits, or was granted and does not know.
    Leaves(Name),
    Closes,
    Answered(Name, Answer),
    Ends,
    PolledAgain(Name, Answer),
    /// `NoPermits` is [`Answer::Waits`] here.
    Tried(u32, Answer),
    TriedBetween(u32, u32, Answer),
    /// The limit was so much before.
    WasSet(u32),
    /// By so many.
    Reduced(u32),
    /// So many.
    Forgot(u32),
    Limit(u32),
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
    /// There are to be so many more.
    Adding(u32),
    /// So many that a guard had are to be no more.
    Vanishing(u32),
    /// So many are to be free no more, and so many were taken for that. Once there are fewer: by how
    /// many.
    Forgetting {
        most: u32,
        taken: u32,
        fallen: Option<u32>,
    },
    /// So many were taken, of which so many are not free, and not debt yet.
    Setting {
        to: To,
        taken: u32,
        owing: u32,
    },
    /// The limit has changed, from what to what; so many are yet to be given back, or are new.
    HasSet {
        before: u32,
        now: u32,
        rest: u32,
    },
    Closing,
}

/// To what a limit changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum To {
    This(u32),
    LessBy(u32),
}

impl To {
    fn of(self, limit: u32) -> u32 {
        match self {
            Self::This(limit) => limit,
            Self::LessBy(n) => limit.saturating_sub(n),
        }
    }
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
    /// `None`: it has left, and what was on its way to it is given back when it comes.
    name: Option<Name>,
    wants: u32,
    missing: u32,
}

/// One of the states that a semaphore may be in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct State {
    limit: u32,
    /// What is free, or below zero, what is asked for and not on its way. Once closed, what of the
    /// limit is not outstanding, or is about to come back.
    balance: i64,
    /// What vanishes before anyone in the line gets any, unless it was in flight when the debt was
    /// made.
    debt: u32,
    /// The debt was made while something was in flight.
    debt_is_late: bool,
    /// What came to who had left, and is not given back yet.
    returning: u32,
    bound: Option<u32>,
    phase: Phase,
    /// All of them miss something.
    line: Vec<Waiter>,
    /// Those who have all they want, and how much that is.
    granted: BTreeMap<Name, u32>,
    /// Those who take more than they have asked for, if that is free when they hear of it: how many in
    /// all.
    most: BTreeMap<Name, u32>,
    /// Those for whom the line was full.
    refused: BTreeSet<Name>,
    half: BTreeMap<Thread, Half>,
}

impl State {
    fn new() -> Self {
        Self {
            limit: 0,
            balance: 0,
            debt: 0,
            debt_is_late: false,
            returning: 0,
            bound: None,
            phase: Phase::Open,
            line: Vec::new(),
            granted: BTreeMap::new(),
            most: BTreeMap::new(),
            refused: BTreeSet::new(),
            half: BTreeMap::new(),
        }
    }

    fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    fn free(&self) -> u32 {
        self.balance.max(0).try_into().expect("small numbers")
    }

    fn in_flight(&self) -> i64 {
        match self.phase {
            Phase::Open => {
                let missing: i64 = self.line.iter().map(|waiter| i64::from(waiter.missing)).sum();
                missing + i64::from(self.debt + self.owing()) - (-self.balance).max(0)
            }
            Phase::Closing(in_flight) => in_flight,
            Phase::Closed => 0,
        }
    }

    /// What is asked for, to vanish, and not debt yet.
    fn owing(&self) -> u32 {
        let owing = |half: &Half| match half {
            Half::Setting { owing, .. } => *owing,
            _ => 0,
        };
        self.half.values().map(owing).sum()
    }

    /// One that is in flight comes to the head of the line.
    fn deliver(mut self) -> Option<Self> {
        if self.in_flight() <= 0 || self.line.is_empty() {
            return None;
        }
        if let Phase::Closing(in_flight) = &mut self.phase {
            *in_flight -= 1;
            self.balance -= 1;
        }
        let head = &mut self.line[0];
        head.missing -= 1;
        match head.name {
            None => self.returning += 1,
            Some(name) if head.missing == 0 => _ = self.granted.insert(name, head.wants),
            Some(_) => {}
        }
        if self.line[0].missing == 0 {
            self.line.remove(0);
        }
        Some(self)
    }

    /// One that is in flight pays the debt.
    fn pay(mut self) -> Option<Self> {
        if !self.is_open() || self.debt == 0 || self.in_flight() <= 0 {
            return None;
        }
        self.debt -= 1;
        Some(self)
    }

    /// One that came to somebody who has left is given back.
    fn give_returned(mut self) -> Option<Self> {
        self.returning = self.returning.checked_sub(1)?;
        self.balance += 1;
        Some(self)
    }

    /// The next step of a call that is half done.
    fn step(mut self, thread: Thread) -> Option<Self> {
        let half = match *self.half.get(&thread)? {
            Half::Giving(rest) if rest > 0 => {
                self.balance += i64::from(rest);
                Half::Giving(0)
            }
            Half::Adding(n) => {
                self.limit += n;
                Half::Giving(n)
            }
            Half::Vanishing(n) => {
                let fallen = n.min(self.limit);
                self.limit -= fallen;
                Half::Giving(n - fallen)
            }
            Half::Forgetting { most, taken, fallen: None } if self.is_open() => {
                let fallen = taken.min(self.limit);
                self.limit -= fallen;
                self.balance += i64::from(taken - fallen);
                Half::Forgetting { most, taken, fallen: Some(fallen) }
            }
            Half::Setting { to, taken, owing } if owing > 0 => {
                self.debt_is_late |= self.half.len() > 1;
                self.debt += owing;
                Half::Setting { to, taken, owing: 0 }
            }
            Half::Setting { to, taken, .. } => {
                let (before, now) = (self.limit, to.of(self.limit));
                if self.is_open() && taken < before.saturating_sub(now) {
                    let missing = before - now - taken;
                    let owing = missing - missing.min(self.free());
                    self.balance -= i64::from(missing);
                    Half::Setting { to, taken: taken + missing, owing }
                } else if self.is_open() {
                    self.limit = now;
                    Half::HasSet { before, now, rest: taken + now - before }
                } else {
                    // It was closed meanwhile, or before.
                    self.limit = now;
                    self.balance += i64::from(taken) + i64::from(now) - i64::from(before);
                    Half::HasSet { before, now, rest: 0 }
                }
            }
            Half::HasSet { before, now, rest } if rest > 0 => {
                self.balance += i64::from(rest);
                Half::HasSet { before, now, rest: 0 }
            }
            _ => return None,
        };
        self.half.insert(thread, half);
        Some(self)
    }

    /// The states that may follow without an event.
    fn steps(&self) -> Vec<Self> {
        let mut next: Vec<Self> =
            self.half.keys().filter_map(|thread| self.clone().step(*thread)).collect();
        next.extend(self.clone().give_returned());
        next.extend(self.clone().pay());
        if self.debt == 0 || self.debt_is_late {
            next.extend(self.clone().deliver());
        }
        next
    }

    /// While nothing is half done, nothing is on its way.
    fn is_possible(&self) -> bool {
        !self.half.is_empty() || self.in_flight() == 0 && self.returning == 0
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
        if let Some(bound) = self.bound {
            let owed = u32::try_from((-self.balance).max(0)).expect("small numbers");
            let is_full = owed.saturating_sub(self.debt) + wants - self.free() > bound;
            let mut refused = self.clone();
            refused.refused.insert(name);
            if self.changes_the_limit() {
                // What is debt, and what is waited for, is not read at the same moment.
                return [vec![refused], self.joins(name, wants)].concat();
            }
            if is_full {
                return vec![refused];
            }
        }
        self.joins(name, wants)
    }

    /// Whether some of what is owed is debt, or about to be, and not all of it at rest.
    fn changes_the_limit(&self) -> bool {
        let sets = |half: &Half| matches!(half, Half::Setting { .. } | Half::HasSet { .. });
        self.half.values().any(sets) || self.debt > 0 && !self.half.is_empty()
    }

    fn joins(mut self, name: Name, wants: u32) -> Vec<Self> {
        self.balance -= i64::from(wants);
        // Behind all who were told that they wait; it may overtake others on the way.
        let asking = |name| self.half.values().any(|half| *half == Half::Asking(name));
        let told = |waiter: &Waiter| !waiter.name.is_some_and(asking);
        let first = self.line.iter().rposition(told).map_or(0, |last| last + 1);
        (first..=self.line.len())
            .map(|i| {
                let mut next = self.clone();
                next.line.insert(i, Waiter { name: Some(name), wants, missing: wants });
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

    fn leaves(mut self, thread: Thread, name: Name) -> Option<Self> {
        self.most.remove(&name);
        if let Some(wants) = self.granted.remove(&name) {
            return Some(self.begins(thread, Half::Giving(wants)));
        }
        let i = self.line.iter().position(|waiter| waiter.name == Some(name))?;
        let Waiter { missing, wants, .. } = self.line.remove(i);
        if self.is_open() {
            // What was not on its way is asked for no more.
            let on_its_way = (i64::from(missing) + self.balance.min(0)).max(0);
            self.balance += i64::from(missing) - on_its_way;
            if on_its_way > 0 {
                let missing = on_its_way.try_into().expect("small numbers");
                self.line.insert(i, Waiter { name: None, wants: missing, missing });
            }
        }
        Some(self.begins(thread, Half::Giving(wants - missing)))
    }

    /// A request has this answer; `told` if it was told before that it waits.
    fn answer(mut self, name: Name, answer: Answer, told: bool) -> Option<Self> {
        let place = self.line.iter().position(|waiter| waiter.name == Some(name));
        match (answer, place) {
            (Answer::Granted, _) => self.granted.remove(&name).map(|_| self),
            (Answer::Got(n), _) => {
                let has = self.granted.remove(&name)?;
                (n == has + self.takes_more(name, has)).then_some(self)
            }
            (Answer::Waits, place) => {
                (place.is_some() && self.phase != Phase::Closed).then_some(self)
            }
            (Answer::Full, _) => self.refused.remove(&name).then_some(self),
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
            Event::Bound(bound) => {
                self.bound = Some(bound);
                one(self)
            }
            Event::Gives(n) => {
                self.balance += i64::from(n);
                one(self.begins(thread, Half::Giving(0)))
            }
            Event::Adds(n) => one(self.begins(thread, Half::Adding(n))),
            Event::Vanishes(n) => one(self.begins(thread, Half::Vanishing(n))),
            Event::Sets(n) => {
                one(self.begins(thread, Half::Setting { to: To::This(n), taken: 0, owing: 0 }))
            }
            Event::Reduces(n) => {
                one(self.begins(thread, Half::Setting { to: To::LessBy(n), taken: 0, owing: 0 }))
            }
            Event::Forgets(most) => {
                let taken = if self.is_open() { most.min(self.free()) } else { 0 };
                self.balance -= i64::from(taken);
                one(self.begins(thread, Half::Forgetting { most, taken, fallen: None }))
            }
            Event::Leaves(name) => self.leaves(thread, name).into_iter().collect(),
            Event::Closes => {
                if self.is_open() {
                    let in_flight = self.in_flight();
                    let owed = i64::from(self.debt + self.owing());
                    self.balance = self.balance.max(0) + in_flight - owed;
                    self.balance += i64::from(mem::take(&mut self.returning));
                    self.debt = 0;
                    self.line.retain(|waiter| waiter.name.is_some());
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
                Some(Half::Giving(0)) => one(self),
                Some(Half::Closing) => {
                    self.phase = Phase::Closed;
                    one(self)
                }
                // It has more to do.
                _ => Vec::new(),
            },
            Event::WasSet(before) => match self.half.remove(&thread) {
                Some(Half::HasSet { before: was, rest: 0, .. }) => if_so(was == before, self),
                _ => Vec::new(),
            },
            Event::Reduced(by) => match self.half.remove(&thread) {
                Some(Half::HasSet { before, now, rest: 0 }) => if_so(before - now == by, self),
                _ => Vec::new(),
            },
            Event::PolledAgain(name, answer) => {
                self.answer(name, answer, true).into_iter().collect()
            }
            Event::Tried(n, answer) => {
                let enough = n <= self.free();
                let right = match answer {
                    Answer::Granted => self.is_open() && enough,
                    Answer::Got(_) | Answer::Full => false,
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
                    Answer::Granted | Answer::Full => false,
                    Answer::Got(n) => self.is_open() && enough && n == self.free().min(most),
                    Answer::Waits => self.is_open() && !enough,
                    Answer::Closed => !self.is_open(),
                };
                if let Answer::Got(n) = answer {
                    self.balance -= i64::from(n);
                }
                if_so(right, self)
            }
            Event::Forgot(k) => match self.half.remove(&thread) {
                Some(Half::Forgetting { fallen: Some(fallen), .. }) => if_so(k == fallen, self),
                Some(Half::Forgetting { most, taken, fallen: None }) if !self.is_open() => {
                    // How many there are is not exact while others do something.
                    let right = k <= most && k <= self.limit;
                    self.limit -= k.min(self.limit);
                    self.balance += i64::from(taken) - i64::from(k);
                    if_so(right, self)
                }
                _ => Vec::new(),
            },
            Event::Limit(k) => if_so(k == self.limit, self),
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
            let mut next = state.clone().after(thread, event);
            // With all that may come of what is half done.
            while let Some(state) = next.pop() {
                if !after.contains(&state) {
                    next.extend(state.steps());
                    after.insert(state);
                }
            }
        }
        after.retain(State::is_possible);
        let settled = |mut state: State| {
            state.debt_is_late &= !state.half.is_empty();
            state
        };
        after = after.into_iter().map(settled).collect();
        (!after.is_empty(), after)
    }
}
