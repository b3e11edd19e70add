//! Cores with a cache each, and the lines that go between them.
//!
//! A line is in one core's cache alone, which may then write to it, or in the caches of several, which
//! may then read it. It has no other states: this is MESI without the difference between *modified* and
//! *exclusive*, which costs nothing here. `benches/results/COHERENCE.md` states the model for its
//! readers.
//!
//! The cores take the steps of their traced operations in the order of simulated time; at equal times
//! the core that was ready first is first. So a result follows from the trace alone.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

/// What an access to memory does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
    /// A locked instruction that cannot fail.
    Change,
    /// Is done again if another core has changed the word since this operation accessed it.
    CompareAndSwap,
    /// A compare-and-swap that takes a lock. If another core has it, this core waits.
    Lock,
    /// A locked instruction that gives a lock back.
    Unlock,
}

/// An access to a line that several cores use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access {
    /// How many instructions come before it.
    pub(crate) after: u32,
    pub(crate) line: u64,
    /// The address in the line.
    pub(crate) word: u64,
    pub(crate) kind: Kind,
    /// The number of the function that it is in.
    pub(crate) name: usize,
}

/// An operation, or a part of one.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) core: usize,
    pub(crate) accesses: Vec<Access>,
    /// How many instructions follow the last access.
    pub(crate) rest: u32,
}

/// What things cost, in nanoseconds.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Costs {
    /// Nanoseconds until a line has come from another core's cache
    #[arg(long, default_value_t = 60.0)]
    pub(crate) transfer: f64,
    /// Nanoseconds of a locked instruction on a line that the core has
    #[arg(long, default_value_t = 5.0)]
    pub(crate) locked: f64,
    /// Nanoseconds of any instruction
    #[arg(long, default_value_t = 0.1)]
    pub(crate) instruction: f64,
}

/// What came of a simulation. Counts and times are sums over all parts that ran.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// How long the middle of the run took in which [`Outcome::parts`] were completed: neither the
    /// first quarter, whose lines are where nobody had them, nor the end, when some cores are done.
    pub(crate) nanoseconds: f64,
    pub(crate) parts: usize,
    /// How many parts ran in all.
    pub(crate) all_parts: usize,
    /// By the function whose access needed them.
    pub(crate) by_name: Vec<Traffic>,
    /// How often a compare-and-swap was done again.
    pub(crate) retries: u64,
    /// How often a lock was taken, and how often a core found it taken.
    pub(crate) locks: u64,
    pub(crate) waits_for_locks: u64,
    /// Time that cores waited for a lock.
    pub(crate) waited_for_locks: f64,
}

/// Lines that one function waited for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) transfers: u64,
    /// The time from asking for a line to having it, beyond one transfer: others were in front.
    pub(crate) queued: f64,
}

impl Outcome {
    pub(crate) fn transfers(&self) -> u64 {
        self.by_name.iter().map(|traffic| traffic.transfers).sum()
    }
}

#[derive(Default)]
struct Line {
    /// One bit for each core that has it.
    holders: u128,
    /// Whether the one holder has written to it, or was alone when it read it.
    exclusive: bool,
    /// When the last transfer of it ends.
    free_at: f64,
}

#[derive(Default)]
struct Lock {
    taken: bool,
    waiters: VecDeque<usize>,
}

struct Core {
    time: f64,
    /// Its parts, of which the first is being run, and the number of the next access in it.
    parts: VecDeque<usize>,
    next: usize,
    /// Since when it waits for a lock.
    waits_since: Option<f64>,
    /// The versions of the words that this part has accessed.
    known: HashMap<u64, u64>,
}

/// A run of the parts. `before` says which parts must be completed before another begins.
pub(crate) struct Simulation<'a> {
    parts: &'a [Part],
    before: &'a dyn Fn(usize) -> Vec<usize>,
    costs: Costs,
    cores: Vec<Core>,
    lines: HashMap<u64, Line>,
    versions: HashMap<u64, u64>,
    locks: HashMap<u64, Lock>,
    /// When each part was completed.
    ends: Vec<Option<f64>>,
    /// Cores that wait until this part is completed.
    blocked: HashMap<usize, Vec<usize>>,
    /// When a core takes its next step, how many were ready before it, and which it is.
    ready: BinaryHeap<Reverse<(Time, u64, usize)>>,
    were_ready: u64,
    outcome: Outcome,
}

/// A time that can be compared: it is never a NaN.
#[derive(Clone, Copy, PartialEq)]
struct Time(f64);

impl Eq for Time {}

impl PartialOrd for Time {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Time {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl<'a> Simulation<'a> {
    pub(crate) fn new(
        parts: &'a [Part],
        names: usize,
        before: &'a dyn Fn(usize) -> Vec<usize>,
        costs: Costs,
    ) -> Self {
        let count = parts.iter().map(|part| part.core + 1).max().unwrap_or(0);
        assert!(count <= 128, "a line has 128 bits for its holders");
        let own = |core| (0..parts.len()).filter(|&part| parts[part].core == core).collect();
        let core = |core| Core {
            time: 0.0,
            parts: own(core),
            next: 0,
            waits_since: None,
            known: HashMap::new(),
        };
        Self {
            parts,
            before,
            costs,
            cores: (0..count).map(core).collect(),
            lines: HashMap::new(),
            versions: HashMap::new(),
            locks: HashMap::new(),
            ends: vec![None; parts.len()],
            blocked: HashMap::new(),
            ready: BinaryHeap::new(),
            were_ready: 0,
            outcome: Outcome { by_name: vec![Traffic::default(); names], ..Outcome::default() },
        }
    }

    /// Runs all parts.
    pub(crate) fn run(mut self) -> Outcome {
        for core in 0..self.cores.len() {
            self.begin(core);
        }
        while let Some(Reverse((.., core))) = self.ready.pop() {
            self.step(core);
        }
        let mut ends: Vec<f64> =
            self.ends.iter().map(|end| end.expect("every part is completed")).collect();
        ends.sort_by(f64::total_cmp);
        let (from, to) = (ends.len() / 4, ends.len() * 9 / 10);
        Outcome {
            nanoseconds: ends[to] - ends[from],
            parts: to - from,
            all_parts: ends.len(),
            ..self.outcome
        }
    }

    fn ready_at(&mut self, time: f64, core: usize) {
        self.ready.push(Reverse((Time(time), self.were_ready, core)));
        self.were_ready += 1;
    }

    /// Makes the core ready for the first access of its next part, unless that must wait for another.
    fn begin(&mut self, core: usize) {
        let Some(&part) = self.cores[core].parts.front() else { return };
        for before in (self.before)(part) {
            match self.ends[before] {
                Some(end) => self.cores[core].time = self.cores[core].time.max(end),
                None => return self.blocked.entry(before).or_default().push(core),
            }
        }
        self.cores[core].next = 0;
        self.cores[core].known.clear();
        self.proceed(core);
    }

    /// Runs the instructions before the next access, or those after the last.
    fn proceed(&mut self, core: usize) {
        let this = &mut self.cores[core];
        let number = this.parts[0];
        let part = &self.parts[number];
        let instructions = part.accesses.get(this.next).map_or(part.rest, |access| access.after);
        this.time += f64::from(instructions) * self.costs.instruction;
        let time = this.time;
        if this.next < part.accesses.len() {
            return self.ready_at(time, core);
        }
        this.parts.pop_front();
        self.ends[number] = Some(time);
        self.begin(core);
        for waiting in self.blocked.remove(&number).unwrap_or_default() {
            self.begin(waiting);
        }
    }

    /// Does the next access of the core.
    fn step(&mut self, core: usize) {
        let access = self.parts[self.cores[core].parts[0]].accesses[self.cores[core].next];
        let end = self.fetch(core, &access);
        let this = &mut self.cores[core];
        this.time = end;
        let version = self.versions.entry(access.word).or_default();
        let lock = self.locks.entry(access.word).or_default();
        match access.kind {
            Kind::Read => {}
            Kind::Write | Kind::Change => *version += 1,
            Kind::CompareAndSwap => {
                if this.known.get(&access.word).is_some_and(|known| known != version) {
                    // It has the line and the new value now, and tries again at once.
                    this.known.insert(access.word, *version);
                    self.outcome.retries += 1;
                    return self.ready_at(end, core);
                }
                *version += 1;
            }
            Kind::Lock if lock.taken => {
                // One that was woken, and finds that another was faster, keeps its place.
                if this.waits_since.is_some() {
                    lock.waiters.push_front(core);
                } else {
                    this.waits_since = Some(end);
                    self.outcome.waits_for_locks += 1;
                    lock.waiters.push_back(core);
                }
                return;
            }
            Kind::Lock => {
                lock.taken = true;
                self.outcome.locks += 1;
                if let Some(since) = this.waits_since.take() {
                    self.outcome.waited_for_locks += end - since;
                }
            }
            Kind::Unlock => {
                lock.taken = false;
                if let Some(first) = lock.waiters.pop_front() {
                    let time = self.cores[first].time.max(end);
                    self.cores[first].time = time;
                    self.ready_at(time, first);
                }
            }
        }
        let this = &mut self.cores[core];
        this.known.insert(access.word, self.versions[&access.word]);
        this.next += 1;
        self.proceed(core);
    }

    /// Brings the line to the core, unless it is there, and says when the access is complete.
    fn fetch(&mut self, core: usize, access: &Access) -> f64 {
        let time = self.cores[core].time;
        let line = self.lines.entry(access.line).or_default();
        let own = 1_u128 << core;
        let locked = match access.kind {
            Kind::Read | Kind::Write => 0.0,
            Kind::Change | Kind::CompareAndSwap | Kind::Lock | Kind::Unlock => self.costs.locked,
        };
        let has_it = match access.kind {
            Kind::Read => line.holders & own != 0,
            _ => line.holders == own && line.exclusive,
        };
        if has_it {
            return time + locked;
        }
        let begin = time.max(line.free_at);
        let end = begin + self.costs.transfer + locked;
        let traffic = &mut self.outcome.by_name[access.name];
        traffic.transfers += 1;
        traffic.queued += begin - time;
        if access.kind != Kind::Read {
            (line.holders, line.exclusive, line.free_at) = (own, true, end);
        } else if line.exclusive || line.holders == 0 {
            // Another core gives up its right to write; from then on, copies are made at the same time.
            line.exclusive = line.holders == 0;
            line.holders |= own;
            line.free_at = end;
        } else {
            line.holders |= own;
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSTS: Costs = Costs { transfer: 100.0, locked: 10.0, instruction: 1.0 };

    fn access(word: u64, kind: Kind) -> Access {
        Access { after: 0, line: word / 64, word, kind, name: 0 }
    }

    /// Each core does the same, so many times.
    fn run(cores: usize, rounds: usize, accesses: &[Access]) -> Outcome {
        let part = |core| Part { core, accesses: accesses.to_vec(), rest: 0 };
        let parts: Vec<_> = (0..rounds).flat_map(|_| (0..cores).map(part)).collect();
        Simulation::new(&parts, 1, &|_| Vec::new(), COSTS).run()
    }

    #[test]
    fn one_core_fetches_a_line_once() {
        let outcome = run(1, 100, &[access(0, Kind::Change)]);
        assert_eq!(outcome.transfers(), 1);
        let each = outcome.nanoseconds / outcome.parts as f64;
        assert!((each - 10.0).abs() < 1e-9, "a locked instruction each, not {each}");
    }

    #[test]
    fn a_word_that_all_change_goes_round() {
        for cores in [2, 8, 128] {
            let outcome = run(cores, 20, &[access(0, Kind::Change)]);
            assert_eq!(outcome.transfers(), 20 * cores as u64);
            let each = outcome.nanoseconds / outcome.parts as f64;
            assert!((each - 110.0).abs() < 1e-9, "a transfer each, not {each}");
        }
    }

    #[test]
    fn words_in_one_line_meet_and_apart_they_do_not() {
        let parts = |distance| -> Vec<Part> {
            let change = |core: usize| access(core as u64 * distance, Kind::Change);
            let part = |core| Part { core, accesses: vec![change(core)], rest: 0 };
            (0..100).map(|turn| part(turn % 2)).collect()
        };
        let transfers = |distance| {
            Simulation::new(&parts(distance), 1, &|_| Vec::new(), COSTS).run().transfers()
        };
        assert_eq!(transfers(8), 100);
        assert_eq!(transfers(64), 2);
    }

    #[test]
    fn readers_share_until_somebody_writes() {
        assert_eq!(run(4, 50, &[access(0, Kind::Read)]).transfers(), 4);
        // A read brings a copy, and the write after it the right to write.
        let both = run(4, 50, &[access(0, Kind::Read), access(0, Kind::Change)]);
        assert!(both.transfers() > 300, "{}", both.transfers());
    }

    #[test]
    fn a_swap_fails_if_another_core_was_faster() {
        let swap = [access(0, Kind::Read), access(0, Kind::CompareAndSwap)];
        assert_eq!(run(1, 50, &swap).retries, 0);
        assert!(run(4, 50, &swap).retries > 0);
        // What has no expectation of the word but a constant does not fail.
        assert_eq!(run(4, 50, &swap[1..]).retries, 0);
    }

    #[test]
    fn who_finds_a_lock_taken_waits() {
        let inside = Access { after: 1000, ..access(0, Kind::Unlock) };
        let outcome = run(3, 30, &[access(0, Kind::Lock), inside]);
        assert_eq!(outcome.locks, 90);
        assert!(outcome.waits_for_locks > 50, "{}", outcome.waits_for_locks);
        let each = outcome.nanoseconds / outcome.parts as f64;
        assert!(each > 1000.0, "two were inside at once: {each}");
    }

    #[test]
    fn a_part_waits_for_those_before_it() {
        let part = |turn: usize| Part { core: turn % 4, accesses: Vec::new(), rest: 50 };
        let parts: Vec<_> = (0..40).map(part).collect();
        let one_after_the_other = |part: usize| part.checked_sub(1).into_iter().collect();
        let outcome = Simulation::new(&parts, 1, &one_after_the_other, COSTS).run();
        let each = outcome.nanoseconds / outcome.parts as f64;
        assert!((each - 50.0).abs() < 1e-9, "{each}");
    }

    #[test]
    fn a_run_is_repeated_exactly() {
        let swap = [access(0, Kind::Read), access(0, Kind::CompareAndSwap), access(8, Kind::Lock)];
        let all = [swap[0], swap[1], swap[2], access(8, Kind::Unlock)];
        let [a, b] = [(); 2].map(|()| run(16, 30, &all));
        assert_eq!(a.nanoseconds.to_bits(), b.nanoseconds.to_bits());
        assert_eq!((a.retries, a.transfers()), (b.retries, b.transfers()));
    }
}
