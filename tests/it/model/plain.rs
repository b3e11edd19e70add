//! What a semaphore must be like: a queue and a few numbers. Nothing here is concurrent or clever.

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) free: usize,
    pub(crate) closed: bool,
    /// In the order of arrival.
    line: Vec<Claim>,
    /// Granted, and not polled since.
    granted: Vec<usize>,
    /// Who had a part at the close: it is free when that one is polled or dropped.
    part: Option<Claim>,
}

/// Somebody's place in the line.
#[derive(Debug)]
struct Claim {
    name: usize,
    wants: usize,
    has: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Granted,
    Waits,
    Closed,
}

impl Model {
    pub(crate) fn new(free: usize) -> Self {
        Self { free, ..Self::default() }
    }

    /// `n` permits come back, or are new.
    pub(crate) fn add(&mut self, n: usize) {
        self.free += n;
        while self.free > 0 && !self.line.is_empty() {
            let head = &mut self.line[0];
            let part = (head.wants - head.has).min(self.free);
            head.has += part;
            self.free -= part;
            if head.has == head.wants {
                self.granted.push(head.name);
                self.line.remove(0);
            }
        }
    }

    /// Up to `n` free permits vanish: how many?
    pub(crate) fn forget(&mut self, n: usize) -> usize {
        let gone = n.min(self.free);
        self.free -= gone;
        gone
    }

    /// Somebody wants `least` now or never, and takes up to `most`. Also says how many it gets.
    pub(crate) fn attempt(&mut self, least: usize, most: usize) -> (Answer, usize) {
        if self.closed {
            (Answer::Closed, 0)
        } else if least <= self.free {
            (Answer::Granted, self.forget(most))
        } else {
            (Answer::Waits, 0)
        }
    }

    /// Somebody new asks.
    pub(crate) fn ask(&mut self, name: usize, least: usize, most: usize) -> (Answer, usize) {
        let answer = self.attempt(least, most);
        if answer.0 == Answer::Waits {
            self.line.push(Claim { name, wants: least, has: 0 });
            self.add(0);
        }
        answer
    }

    /// What was granted to somebody who asked is kept for its next poll.
    pub(crate) fn keep(&mut self, name: usize) {
        self.granted.push(name);
    }

    /// Somebody who was granted its least takes up to `n` more: how many?
    pub(crate) fn take_more(&mut self, n: usize) -> usize {
        if self.closed { 0 } else { self.forget(n) }
    }

    /// Somebody who waited is polled again.
    pub(crate) fn poll(&mut self, name: usize) -> Answer {
        if let Some(i) = self.granted.iter().position(|granted| *granted == name) {
            self.granted.remove(i);
            Answer::Granted
        } else if self.closed {
            if let Some(claim) = self.part.take_if(|claim| claim.name == name) {
                self.free += claim.has;
            }
            Answer::Closed
        } else {
            Answer::Waits
        }
    }

    /// Somebody who waited leaves, and takes nothing along.
    pub(crate) fn leave(&mut self, name: usize, wants: usize) {
        match self.poll(name) {
            Answer::Granted => self.add(wants),
            Answer::Closed => {}
            Answer::Waits => {
                let i = self.line.iter().position(|claim| claim.name == name);
                let claim = self.line.remove(i.expect("who waits is in line"));
                self.add(claim.has);
            }
        }
    }

    pub(crate) fn close(&mut self) {
        self.closed = true;
        // Only the head has a part.
        if let Some(head) = self.line.drain(..).next() {
            self.part = Some(head);
        }
    }

    /// Whether somebody who waited has an answer, and so was woken since it was last polled.
    pub(crate) fn woken(&self, name: usize) -> bool {
        self.line.iter().all(|claim| claim.name != name)
    }
}
