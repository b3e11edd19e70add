//! What a semaphore must be like: a queue and a few numbers. Nothing here is concurrent or clever.

/// What is settled when it is made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Setup {
    pub(crate) permits: u8,
    /// How many permits may be waited for.
    pub(crate) bound: Option<u8>,
    /// A request for more than the limit is refused.
    pub(crate) fail_oversized: bool,
}

/// How both who make programs up write it.
impl From<u8> for Setup {
    fn from(byte: u8) -> Self {
        let (permits, rest) = (byte % 8, byte / 8);
        // Half of them have no bound.
        let bound = (rest % 16).checked_sub(8);
        Self { permits, bound, fail_oversized: rest / 16 == 1 }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    setup: Setup,
    pub(crate) limit: usize,
    /// Held by guards, by those who were granted and do not know, and by those who wait for more.
    pub(crate) outstanding: usize,
    pub(crate) closed: bool,
    /// In the order of arrival.
    line: Vec<Claim>,
    /// Those who have an answer, and were not polled since.
    answered: Vec<(usize, Answer)>,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Granted,
    Waits,
    Closed,
    QueueFull,
    Oversized,
}

impl Model {
    pub(crate) fn new(setup: Setup) -> Self {
        Self { setup, limit: setup.permits.into(), ..Self::default() }
    }

    pub(crate) fn free(&self) -> usize {
        self.limit.saturating_sub(self.outstanding)
    }

    /// Outstanding permits that will vanish.
    pub(crate) fn debt(&self) -> usize {
        self.outstanding.saturating_sub(self.limit)
    }

    /// How many permits are waited for.
    pub(crate) fn queued(&self) -> usize {
        self.line.iter().map(|claim| claim.wants - claim.has).sum()
    }

    /// What is free goes to those who wait.
    fn serve(&mut self) {
        while self.free() > 0 && !self.line.is_empty() {
            let part = (self.line[0].wants - self.line[0].has).min(self.free());
            self.outstanding += part;
            let head = &mut self.line[0];
            head.has += part;
            if head.has == head.wants {
                self.answered.push((head.name, Answer::Granted));
                self.line.remove(0);
            }
        }
    }

    /// `n` permits come back.
    pub(crate) fn give(&mut self, n: usize) {
        self.outstanding -= n;
        self.serve();
    }

    /// There are `n` now. How many were there?
    pub(crate) fn set_limit(&mut self, n: usize) -> usize {
        let before = self.limit;
        self.limit = n;
        self.serve();
        before
    }

    /// `n` that were held vanish.
    pub(crate) fn forget(&mut self, n: usize) {
        self.limit -= n.min(self.limit);
        self.give(n);
    }

    /// Up to `n` free permits vanish: how many?
    pub(crate) fn forget_free(&mut self, n: usize) -> usize {
        let gone = n.min(self.free());
        self.limit -= gone;
        gone
    }

    /// Up to `n` free permits are taken: how many?
    fn take(&mut self, n: usize) -> usize {
        let taken = n.min(self.free());
        self.outstanding += taken;
        taken
    }

    /// Somebody wants `least` now or never, and takes up to `most`. Also says how many it gets.
    pub(crate) fn attempt(&mut self, least: usize, most: usize) -> (Answer, usize) {
        if self.closed {
            (Answer::Closed, 0)
        } else if least <= self.free() {
            (Answer::Granted, self.take(most))
        } else {
            (Answer::Waits, 0)
        }
    }

    /// Somebody new asks.
    pub(crate) fn ask(&mut self, name: usize, least: usize, most: usize) -> (Answer, usize) {
        if !self.closed && self.setup.fail_oversized && least > self.limit {
            return (Answer::Oversized, 0);
        }
        let answer = self.attempt(least, most);
        if answer.0 == Answer::Waits {
            let queued = self.queued() + least - self.free();
            if self.setup.bound.is_some_and(|bound| queued > bound.into()) {
                return (Answer::QueueFull, 0);
            }
            self.line.push(Claim { name, wants: least, has: 0 });
            self.serve();
        }
        answer
    }

    /// The answer to somebody who asked is kept for its next poll.
    pub(crate) fn keep(&mut self, name: usize, answer: Answer) {
        self.answered.push((name, answer));
    }

    /// Somebody who was granted its least takes up to `n` more: how many?
    pub(crate) fn take_more(&mut self, n: usize) -> usize {
        if self.closed { 0 } else { self.take(n) }
    }

    /// Somebody who waited is polled again.
    pub(crate) fn poll(&mut self, name: usize) -> Answer {
        if let Some(i) = self.answered.iter().position(|(answered, _)| *answered == name) {
            self.answered.remove(i).1
        } else if self.closed {
            if let Some(claim) = self.part.take_if(|claim| claim.name == name) {
                self.outstanding -= claim.has;
            }
            Answer::Closed
        } else {
            Answer::Waits
        }
    }

    /// Somebody who waited leaves, and takes nothing along.
    pub(crate) fn leave(&mut self, name: usize, wants: usize) {
        match self.poll(name) {
            Answer::Granted => self.give(wants),
            Answer::Closed | Answer::QueueFull | Answer::Oversized => {}
            Answer::Waits => {
                let i = self.line.iter().position(|claim| claim.name == name);
                let claim = self.line.remove(i.expect("who waits is in line"));
                self.give(claim.has);
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
