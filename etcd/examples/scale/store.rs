//! What etcd does here, as far as it can be counted: keys in the order of their creation, watches, and the events
//! that it sends for them.

use std::collections::{BTreeMap, VecDeque};

/// How long a key is: `semafair/api/line/694d8a2b3c4d5e6f/17`.
const KEY: u64 = 37;
/// What goes along with the events of one message: its header, the watch, the frames of gRPC and HTTP/2.
const MESSAGE: u64 = 48;
/// A put: two lengths, the key, three numbers, a value of one digit, the lease.
const PUT: u64 = MESSAGE + KEY + 30;
/// A deletion has the key and a revision.
const DELETE: u64 = MESSAGE + KEY + 12;
/// An entry of an answer to a read, and what goes along with the entries.
const ENTRY: u64 = KEY + 28;
const ANSWER: u64 = MESSAGE;

/// The number of a process.
pub(crate) type Process = usize;
/// A revision of etcd. A request is known by the one at which its key was created.
pub(crate) type Revision = u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) weight: u64,
    /// Whether its owner wrote that it was granted.
    pub(crate) marked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Join,
    Mark,
    Leave,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) what: What,
    pub(crate) created: Revision,
    pub(crate) weight: u64,
}

/// What a process watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    Nothing,
    /// All keys, and all that happens to them.
    Line,
    /// All keys, and only their ends.
    Ends,
    /// One key.
    Key(Revision),
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) writes: u64,
    pub(crate) reads: u64,
    pub(crate) events: u64,
    /// Of events and of answers to reads, not of answers to writes, which are the same for all.
    pub(crate) bytes: u64,
}

/// Each watch starts at the revision of the read or the write before it, as etcd's do; so nothing falls in between.
pub(crate) struct Store {
    revision: Revision,
    line: BTreeMap<Revision, Entry>,
    watches: Vec<Watch>,
    /// By process: what it was sent and has not looked at yet.
    inboxes: Vec<VecDeque<Event>>,
    pub(crate) sent: Sent,
}

impl Store {
    pub(crate) fn new(processes: usize) -> Self {
        Self {
            revision: 0,
            line: BTreeMap::new(),
            watches: vec![Watch::Nothing; processes],
            inboxes: vec![VecDeque::new(); processes],
            sent: Sent::default(),
        }
    }

    /// Watches something instead of what it has watched. Events of the old watch that are still on their way are
    /// thrown away.
    pub(crate) fn watch(&mut self, process: Process, watch: Watch) {
        self.watches[process] = watch;
        self.inboxes[process].clear();
    }

    pub(crate) fn inbox(&mut self, process: Process) -> Option<Event> {
        self.inboxes[process].pop_front()
    }

    #[cfg(test)]
    pub(crate) fn has_mail(&self, process: Process) -> bool {
        !self.inboxes[process].is_empty()
    }

    fn write(&mut self, what: What, created: Revision, weight: u64) {
        self.sent.writes += 1;
        let bytes = if what == What::Leave { DELETE } else { PUT };
        let event = Event { what, created, weight };
        for (watch, inbox) in self.watches.iter().zip(&mut self.inboxes) {
            let is_sent = match *watch {
                Watch::Nothing => false,
                Watch::Line => true,
                Watch::Ends => what == What::Leave,
                Watch::Key(key) => key == created,
            };
            if is_sent {
                inbox.push_back(event);
                self.sent.events += 1;
                self.sent.bytes += bytes;
            }
        }
    }

    pub(crate) fn join(&mut self, weight: u64) -> Revision {
        self.revision += 1;
        self.line.insert(self.revision, Entry { weight, marked: false });
        self.write(What::Join, self.revision, weight);
        self.revision
    }

    pub(crate) fn mark(&mut self, created: Revision) {
        self.revision += 1;
        let entry = self.line.get_mut(&created).expect("whoever holds permits has a key");
        entry.marked = true;
        let weight = entry.weight;
        self.write(What::Mark, created, weight);
    }

    pub(crate) fn leave(&mut self, created: Revision) {
        self.revision += 1;
        let entry = self.line.remove(&created).expect("nobody leaves twice");
        self.write(What::Leave, created, entry.weight);
    }

    fn answer(&mut self, entries: usize) {
        self.sent.reads += 1;
        self.sent.bytes += ANSWER + ENTRY * entries as u64;
    }

    /// Reads what stands in front of a request, from a revision on.
    pub(crate) fn in_front(&mut self, since: Revision, created: Revision) -> Vec<(Revision, u64)> {
        let range = self.line.range(since..created);
        let found: Vec<_> = range.map(|(&created, entry)| (created, entry.weight)).collect();
        self.answer(found.len());
        found
    }

    /// Reads the one in front of a request.
    pub(crate) fn predecessor(&mut self, created: Revision) -> Option<(Revision, Entry)> {
        let found = self.line.range(..created).next_back().map(|(&at, &entry)| (at, entry));
        self.answer(found.iter().len());
        found
    }

    /// What no process asks: the line as it is.
    pub(crate) fn line(&self) -> &BTreeMap<Revision, Entry> {
        &self.line
    }
}
