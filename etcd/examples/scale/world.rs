//! Processes that share a semaphore, in three designs. Each decides only by what it has read and was sent; the world
//! checks each grant against the line itself.

use std::collections::BTreeMap;

use crate::store::{Event, Process, Revision, Sent, Store, Watch, What};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Design {
    /// Each process watches the whole line, as the crate does.
    All,
    /// Each watches only the ends of keys, and reads what stands in front of a new request.
    Ends,
    /// A waiter watches the key in front of it. The first waiter, whom only holders are in front of, watches the
    /// ends of all keys. Where there are several permits, whoever is granted marks its key, so that the next learns
    /// that it is the first.
    Baton,
}

impl Design {
    pub(crate) const ALL: [Self; 3] = [Self::All, Self::Ends, Self::Baton];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::All => "all watch all",
            Self::Ends => "all watch ends",
            Self::Baton => "baton",
        }
    }

    /// What a process watches that wants nothing.
    fn idle(self) -> Watch {
        match self {
            Self::All => Watch::Line,
            Self::Ends => Watch::Ends,
            Self::Baton => Watch::Nothing,
        }
    }
}

#[derive(Clone, Debug)]
enum View {
    /// The permits of all requests in front, once they are known.
    Sum(Option<u64>),
    /// It waits for the one in front.
    Behind,
    /// It is the first waiter: the holders, and their permits.
    First(BTreeMap<Revision, u64>),
    Granted,
}

#[derive(Clone, Debug)]
struct Request {
    created: Revision,
    weight: u64,
    view: View,
}

#[derive(Clone, Debug, Default)]
struct State {
    request: Option<Request>,
    /// What a process that watches the line knows of it: the permits of all requests before that revision.
    known: u64,
    horizon: Revision,
}

pub(crate) struct World {
    design: Design,
    limit: u64,
    store: Store,
    states: Vec<State>,
    /// Who was granted, in this order.
    pub(crate) grants: Vec<Process>,
}

impl World {
    /// Processes that have a semaphore open and want nothing yet.
    pub(crate) fn new(design: Design, processes: usize, limit: u64) -> Self {
        let mut store = Store::new(processes);
        for process in 0..processes {
            store.watch(process, design.idle());
        }
        let states = vec![State::default(); processes];
        Self { design, limit, store, states, grants: Vec::new() }
    }

    /// Processes that open a semaphore after each has asked for so many permits.
    pub(crate) fn crowd(design: Design, limit: u64, weights: &[u64]) -> Self {
        let mut world = Self::new(design, weights.len(), limit);
        let (mut sum, mut end) = (0, 0);
        for process in 0..weights.len() {
            world.store.watch(process, Watch::Nothing);
        }
        for (state, &weight) in world.states.iter_mut().zip(weights) {
            let created = world.store.join(weight);
            let view = if design == Design::Baton { View::Behind } else { View::Sum(Some(sum)) };
            state.request = Some(Request { created, weight, view });
            sum += weight;
            end = created + 1;
            (state.known, state.horizon) = (sum, end);
        }
        for process in 0..weights.len() {
            if design == Design::Baton {
                world.look(process);
            } else {
                if design == Design::All {
                    // It saw those behind it ask, too.
                    (world.states[process].known, world.states[process].horizon) = (sum, end);
                }
                world.store.watch(process, design.idle());
                world.decide(process);
            }
        }
        world.settle();
        world
    }

    pub(crate) fn sent(&self) -> Sent {
        self.store.sent
    }

    pub(crate) fn is_idle(&self, process: Process) -> bool {
        self.states[process].request.is_none()
    }

    pub(crate) fn is_holding(&self, process: Process) -> bool {
        matches!(&self.states[process].request, Some(request) if matches!(request.view, View::Granted))
    }

    pub(crate) fn is_waiting(&self, process: Process) -> bool {
        !self.is_idle(process) && !self.is_holding(process)
    }

    #[cfg(test)]
    pub(crate) fn has_mail(&self, process: Process) -> bool {
        self.store.has_mail(process)
    }

    /// A process that wants nothing asks for permits.
    pub(crate) fn ask(&mut self, process: Process, weight: u64) {
        assert!(self.is_idle(process) && (1..=self.limit).contains(&weight));
        if self.design == Design::Ends {
            while self.deliver(process) {}
        }
        let created = self.store.join(weight);
        let mut view = View::Behind;
        match self.design {
            // Its own key, when that comes, tells what is in front of it.
            Design::All => view = View::Sum(None),
            Design::Ends => {
                let state = &mut self.states[process];
                let news = self.store.in_front(state.horizon, created);
                let in_front = state.known + news.iter().map(|&(_, weight)| weight).sum::<u64>();
                (state.known, state.horizon) = (in_front + weight, created + 1);
                view = View::Sum(Some(in_front));
            }
            Design::Baton => {}
        }
        self.states[process].request = Some(Request { created, weight, view });
        match self.design {
            Design::All => {}
            Design::Ends => self.decide(process),
            Design::Baton => self.look(process),
        }
    }

    /// A holder releases, a waiter gives up, or a process has crashed and its lease has ended.
    pub(crate) fn leave(&mut self, process: Process) {
        let request = self.states[process].request.take().expect("it holds or waits");
        if self.design == Design::Baton {
            self.store.watch(process, Watch::Nothing);
        }
        self.store.leave(request.created);
    }

    /// Lets a process look at the next event; returns whether there was one.
    pub(crate) fn deliver(&mut self, process: Process) -> bool {
        let Some(event) = self.store.inbox(process) else { return false };
        match self.design {
            Design::All | Design::Ends => self.count(process, event),
            Design::Baton => self.take_baton(process, event),
        }
        true
    }

    /// Lets all look at everything.
    pub(crate) fn settle(&mut self) {
        let mut is_quiet = false;
        while !is_quiet {
            is_quiet = true;
            for process in 0..self.states.len() {
                while self.deliver(process) {
                    is_quiet = false;
                }
            }
        }
    }

    fn count(&mut self, process: Process, event: Event) {
        let State { request, known, horizon } = &mut self.states[process];
        match event.what {
            What::Join => {
                if let Some(request) = request.as_mut().filter(|own| own.created == event.created) {
                    request.view = View::Sum(Some(*known));
                }
                *known += event.weight;
                *horizon = event.created + 1;
            }
            What::Mark => unreachable!("only a baton has marks"),
            What::Leave if event.created < *horizon => {
                *known -= event.weight;
                if let Some(Request { created, view: View::Sum(Some(in_front)), .. }) = request {
                    if event.created < *created {
                        *in_front -= event.weight;
                    }
                }
            }
            What::Leave => {}
        }
        self.decide(process);
    }

    fn take_baton(&mut self, process: Process, event: Event) {
        let request = self.states[process].request.as_mut().expect("only waiters watch");
        match &mut request.view {
            View::First(holders) => {
                holders.remove(&event.created);
                self.decide(process);
            }
            View::Behind if event.what == What::Mark => self.become_first(process),
            View::Behind => self.look(process),
            View::Sum(_) | View::Granted => unreachable!("it watches nothing"),
        }
    }

    /// Looks for the one in front, and waits for that.
    fn look(&mut self, process: Process) {
        let created = self.created(process);
        match self.store.predecessor(created) {
            None => self.grant(process),
            Some((_, entry)) if entry.marked => self.become_first(process),
            Some((front, _)) => self.store.watch(process, Watch::Key(front)),
        }
    }

    fn become_first(&mut self, process: Process) {
        let created = self.created(process);
        let holders = self.store.in_front(0, created).into_iter().collect();
        self.store.watch(process, Watch::Ends);
        self.request(process).view = View::First(holders);
        self.decide(process);
    }

    /// Whether it fits together with all in front.
    fn decide(&mut self, process: Process) {
        let Some(request) = &self.states[process].request else { return };
        let in_front: u64 = match &request.view {
            View::Sum(Some(in_front)) => *in_front,
            View::First(holders) => holders.values().sum(),
            View::Sum(None) | View::Behind | View::Granted => return,
        };
        if in_front + request.weight <= self.limit {
            self.grant(process);
        }
    }

    fn grant(&mut self, process: Process) {
        let created = self.created(process);
        // The judge: by the line as it is, not as the process sees it.
        let front: u64 = self.store.line().range(..=created).map(|(_, entry)| entry.weight).sum();
        assert!(front <= self.limit, "{process} was granted too early: {front} of {}", self.limit);
        self.request(process).view = View::Granted;
        self.grants.push(process);
        if self.design == Design::Baton {
            self.store.watch(process, Watch::Nothing);
            // With one permit, the end of the key says all.
            if self.limit > 1 {
                self.store.mark(created);
            }
        }
    }

    fn request(&mut self, process: Process) -> &mut Request {
        self.states[process].request.as_mut().expect("it has a request")
    }

    fn created(&mut self, process: Process) -> Revision {
        self.request(process).created
    }
}
