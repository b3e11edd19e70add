//! What happens, as it happens: the customers' visits, and the numbers that sum them up.
//!
//! The story tells of each [`Event`] once. The log is a line for each; a [`Day`] is what they add up to, at any
//! moment: the live screen draws it while it lasts, the chart and the SVG file when it is over.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// What can happen. Customers come in by number, from 1.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Came { customer: u32 },
    Called { customer: u32, service: Duration },
    Done { customer: u32 },
    Left { customer: u32 },
    Closes,
    Tellers { count: usize },
}

/// The log's words for it.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Came { customer } => write!(f, "Customer {customer} is waiting for a teller."),
            Self::Called { customer, .. } => {
                write!(f, "Customer {customer} is being served by a teller.")
            }
            Self::Done { customer } => write!(f, "Customer {customer} is done being served."),
            Self::Left { customer } => {
                write!(f, "Customer {customer} leaves: the bank has closed.")
            }
            Self::Closes => f.write_str("The bank closes. Ctrl-C again ends the program at once."),
            Self::Tellers { count } => write!(f, "The tellers are {count} now."),
        }
    }
}

/// A customer's visit. Times are counted from the opening of the bank.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) customer: u32,
    pub(crate) came: Duration,
    pub(crate) state: State,
}

/// How far a visit has got.
#[derive(Debug)]
pub(crate) enum State {
    Waiting,
    Served {
        called: Duration,
        service: Duration,
        desk: usize,
    },
    Done {
        called: Duration,
        service: Duration,
        gone: Duration,
    },
    /// Unserved: sent away while waiting, or while being served, if the day was broken off.
    Left {
        called: Option<Duration>,
        gone: Duration,
    },
}

impl Visit {
    fn called(&self) -> Option<Duration> {
        match self.state {
            State::Waiting => None,
            State::Served { called, .. } | State::Done { called, .. } => Some(called),
            State::Left { called, .. } => called,
        }
    }

    /// When the waiting ended: called to a teller, or sent away. Until then, it is `now`.
    pub(crate) fn waited_until(&self, now: Duration) -> Duration {
        self.called().unwrap_or(self.gone(now))
    }

    /// When the customer went; until then, it is `now`.
    pub(crate) fn gone(&self, now: Duration) -> Duration {
        match self.state {
            State::Waiting | State::Served { .. } => now,
            State::Done { gone, .. } | State::Left { gone, .. } => gone,
        }
    }

    pub(crate) fn waited(&self, now: Duration) -> Duration {
        self.waited_until(now).saturating_sub(self.came)
    }

    /// How long the service was to take; nothing for a customer who left unserved, or waits.
    pub(crate) fn service(&self) -> Option<Duration> {
        match self.state {
            State::Served { service, .. } | State::Done { service, .. } => Some(service),
            State::Waiting | State::Left { .. } => None,
        }
    }
}

/// A day at the bank, until now.
#[derive(Debug)]
pub(crate) struct Day {
    /// How many customers come, if the bank does not close before.
    pub(crate) expected: u32,
    pub(crate) seed: u64,
    pub(crate) closed: bool,
    /// By number of the customer.
    pub(crate) visits: Vec<Visit>,
    /// The customers who wait, in the order of the line.
    pub(crate) waiting: BTreeSet<u32>,
    /// The desks at which a teller serves, and whom.
    pub(crate) desks: BTreeMap<usize, u32>,
    /// Desks of lower numbers than the highest that was ever in use, at which nobody is served.
    idle: BTreeSet<usize>,
    pub(crate) done: usize,
    pub(crate) left: usize,
    /// The longest wait that has ended.
    longest: Duration,
    /// How many tellers there were, at least and at most.
    tellers: (usize, usize),
    pub(crate) now: Duration,
}

impl Day {
    pub(crate) fn new(tellers: usize, expected: u32, seed: u64) -> Self {
        Self {
            expected,
            seed,
            closed: false,
            visits: Vec::new(),
            waiting: BTreeSet::new(),
            desks: BTreeMap::new(),
            idle: BTreeSet::new(),
            done: 0,
            left: 0,
            longest: Duration::ZERO,
            tellers: (tellers, tellers),
            now: Duration::ZERO,
        }
    }

    /// Takes down what happens `now`.
    pub(crate) fn note(&mut self, now: Duration, event: Event) {
        self.now = now;
        match event {
            Event::Came { customer } => {
                self.visits.push(Visit { customer, came: now, state: State::Waiting });
                assert_eq!(self.visits.len(), customer as usize, "customers come in by number");
                self.waiting.insert(customer);
            }
            Event::Called { customer, service } => {
                let desk = self.idle.pop_first().unwrap_or(self.desks.len() + 1);
                self.desks.insert(desk, customer);
                self.go_on(customer, State::Served { called: now, service, desk });
            }
            Event::Done { customer } => {
                let State::Served { called, service, desk } = self.visit(customer).state else {
                    panic!("customer {customer} is done before being served");
                };
                self.desks.remove(&desk);
                self.idle.insert(desk);
                self.done += 1;
                self.go_on(customer, State::Done { called, service, gone: now });
            }
            Event::Left { customer } => {
                let called = self.visit(customer).called();
                self.left += 1;
                self.go_on(customer, State::Left { called, gone: now });
            }
            Event::Closes => self.closed = true,
            Event::Tellers { count } => {
                self.tellers = (self.tellers.0.min(count), self.tellers.1.max(count));
            }
        }
    }

    /// Ends the day although there are customers, who leave as they are.
    pub(crate) fn break_off(&mut self, now: Duration) {
        self.closed = true;
        let served = std::mem::take(&mut self.desks);
        for customer in served.into_values().chain(self.waiting.clone()) {
            self.note(now, Event::Left { customer });
        }
    }

    fn go_on(&mut self, customer: u32, state: State) {
        let now = self.now;
        self.waiting.remove(&customer);
        let visit = &mut self.visits[customer as usize - 1];
        visit.state = state;
        self.longest = self.longest.max(visit.waited(now));
    }

    pub(crate) fn visit(&self, customer: u32) -> &Visit {
        &self.visits[customer as usize - 1]
    }

    /// The longest wait, of those who left unserved and of those who still wait as well.
    ///
    /// Of those who wait, that is the head of the line: they came in this order.
    pub(crate) fn longest_wait(&self) -> Duration {
        let head = self.waiting.first().map(|&customer| self.visit(customer).waited(self.now));
        self.longest.max(head.unwrap_or_default())
    }

    /// How many customers are still to come.
    pub(crate) fn to_come(&self) -> usize {
        if self.closed { 0 } else { self.expected as usize - self.visits.len() }
    }

    /// How many customers were served at the same time, at most.
    pub(crate) fn most_at_once(&self) -> i32 {
        // Ends sort before beginnings at the same time, since the one makes room for the other.
        let called = self.visits.iter().filter_map(|visit| Some((visit.called()?, visit)));
        let mut changes: Vec<_> =
            called.flat_map(|(called, visit)| [(called, 1), (visit.gone(self.now), -1)]).collect();
        changes.sort_unstable();
        let at_once = changes.iter().scan(0, |at_once, (_, change)| {
            *at_once += change;
            Some(*at_once)
        });
        at_once.max().unwrap_or_default()
    }

    /// The mean wait, of those who left unserved as well; none without customers.
    pub(crate) fn mean_wait(&self) -> Option<Duration> {
        let count = u32::try_from(self.visits.len()).expect("customers are counted in u32");
        let sum: Duration = self.visits.iter().map(|visit| visit.waited(self.now)).sum();
        sum.checked_div(count)
    }

    /// At most `limit` visits, evenly spread, the first and the last among them.
    pub(crate) fn excerpt(&self, limit: usize) -> Vec<&Visit> {
        let count = self.visits.len();
        if count <= limit {
            return self.visits.iter().collect();
        }
        (0..limit).map(|row| &self.visits[row * (count - 1) / (limit - 1)]).collect()
    }

    /// How many tellers there were.
    pub(crate) fn tellers(&self) -> String {
        match self.tellers {
            (least, most) if least == most => most.to_string(),
            (least, most) => format!("{least} to {most}"),
        }
    }

    /// The last sentence of the story.
    pub(crate) fn ending(&self) -> String {
        let Self { done, left, .. } = self;
        if self.closed {
            format!("The bank has closed: {done} served, {left} left unserved.")
        } else {
            "All customers have been served.".to_owned()
        }
    }

    /// The numbers, in lines.
    pub(crate) fn summary(&self) -> String {
        let (at_once, tellers) = (self.most_at_once(), self.tellers());
        let mut text = format!("Served at once:  {at_once} at most (tellers: {tellers})\n");
        if let Some(mean) = self.mean_wait() {
            let longest = self.longest_wait();
            text += &format!("Waited:          {mean:.2?} on average, {longest:.2?} at most\n");
        }
        text + &format!("Seed:            {0} (again: --seed {0})\n", self.seed)
    }
}
