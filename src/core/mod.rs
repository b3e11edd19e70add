//! What is below the public type: the balance and the line, and how permits go between them.

pub(crate) mod balance;
mod bound;
pub(crate) mod budget;
pub(crate) mod counts;
pub(crate) mod drain;
mod limit;
pub(crate) mod request;
mod resize;
pub(crate) mod settings;

#[cfg(test)]
pub(crate) mod tests;

use core::task::Waker;

use self::balance::{Balance, Snapshot};
use self::limit::Limit;
use self::settings::{Name, Settings};
use crate::line::{Completed, Delivered, Joined, Line, Place};
use crate::sync::const_fn;
use crate::sync::lazy_box::LazyBox;
use crate::wakes::{Wakes, run_one, waking};

/// A semaphore without its public face.
pub(crate) struct Core {
    pub(crate) balance: Balance,
    /// How many permits exist.
    pub(crate) limit: Limit,
    /// Made when a request first has to wait, or at the close. Until then the [`Settings`] stand in
    /// its place.
    pub(crate) line: LazyBox<Line>,
    name: Name,
}

impl Core {
    const_fn! {
        /// With the given number of permits, which the caller has checked.
        pub(crate) const fn new(permits: usize) -> Self {
            Self {
                balance: Balance::new(permits),
                limit: Limit::new(permits, false, false),
                line: LazyBox::new(Settings::DEFAULT.word()),
                name: Name::NONE,
            }
        }
    }

    const_fn! {
        /// With `permits` of which `acquired` are taken, which the caller has checked.
        pub(crate) const fn build(
            permits: usize,
            acquired: usize,
            queue_limit: Option<usize>,
            fail_oversized: bool,
            name: Option<&'static str>,
        ) -> Self {
            let settings = Settings::new(queue_limit, name);
            Self {
                balance: Balance::new(permits - acquired),
                limit: Limit::new(permits, settings.is_bounded(), fail_oversized),
                line: LazyBox::new(settings.word()),
                name: Name::new(name),
            }
        }
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.balance.load().is_closed()
    }

    /// What was settled when the semaphore was made.
    fn settings(&self) -> Settings {
        Settings::of(self.line.get_or_seed().map_or_else(|seed| seed, Line::seed))
    }

    pub(crate) fn name(&self) -> Option<&'static str> {
        self.name.get(self.settings())
    }

    /// How many units vanish before a waiter gets one.
    pub(crate) fn debt(&self) -> u64 {
        self.line.get().map_or(0, Line::debt)
    }

    /// Gives back `n` permits, and wakes the waiters that are served by them.
    #[inline]
    pub(crate) fn release(&self, n: usize) {
        if let Err(seen) = self.balance.give(n) {
            self.release_slow(seen, n);
        }
    }

    /// The rest of a release of `n` permits that found the balance as `seen`: every hand-off comes
    /// here. (`request.rs` says why it is `#[cold]` all the same.)
    #[cold]
    fn release_slow(&self, seen: Snapshot, n: usize) {
        let units = seen.owed().min(n as u64);
        let line = if units > 0 { self.line.get() } else { None };
        match line.and_then(|line| line.serve_first(units)) {
            Some(waker) => run_one(|| waker.wake()),
            None => self.release_to_many(seen, n),
        }
    }

    /// The rest of a release that does more than serve one waiter: it serves several or none, pays
    /// a debt, or goes on with a close. It is out of line, as it has a batch of wakers on its stack.
    #[cold]
    #[inline(never)]
    fn release_to_many(&self, seen: Snapshot, n: usize) {
        waking(|wakes| self.settle(seen, n, wakes));
    }

    /// Delivers units that are owed and gives back `permits`. The last waiters served are woken
    /// later, by `wakes`.
    fn pass_on(&self, owed: u64, permits: u32, wakes: &mut Wakes) {
        if owed > 0 {
            self.deliver(owed, wakes);
            wakes.make_room();
        }
        if permits > 0 {
            self.release_beside(permits as usize, wakes);
        }
    }

    /// Gives back `n` permits. The last waiters served are woken later, by `wakes`.
    fn release_beside(&self, n: usize, wakes: &mut Wakes) {
        if let Err(seen) = self.balance.give(n) {
            self.settle(seen, n, wakes);
        }
    }

    /// Does what an addition of `n` permits owes, if it found the balance as `seen`: deliver, or
    /// help with a close.
    fn settle(&self, seen: Snapshot, n: usize, wakes: &mut Wakes) {
        let units = seen.owed().min(n as u64);
        if units > 0 {
            self.deliver(units, wakes);
        } else if seen.is_closed() {
            self.help_close(wakes);
        }
    }

    /// Delivers units that are owed. Those that come to waiters that have left, or to the end of a
    /// line that is shut, are given back to the balance; if units are owed then, they are delivered
    /// in turn. `wakes` must have room for one waker.
    pub(crate) fn deliver(&self, mut units: u64, wakes: &mut Wakes) {
        let line = self.line.get_or_init(Line::with_seed);
        loop {
            let Delivered { returned, left } = line.deliver(units, wakes);
            // First, as nobody knows when the wakers return.
            units = left + self.give_back(returned, wakes);
            if units == 0 {
                return;
            }
            wakes.make_room();
        }
    }

    /// Gives back units that nobody got. Says how many of them are owed to others, and must be
    /// delivered.
    fn give_back(&self, units: u64, wakes: &mut Wakes) -> u64 {
        if units == 0 {
            return 0;
        }
        // A debt that is closed takes no units, but the balance may be open still. It would count
        // them as free, and those whom they were for as waiting.
        if self.limit.load().is_closed() {
            self.close_balance();
        }
        match self.balance.give_back(units) {
            Ok(()) => 0,
            Err(seen) => {
                if seen.is_closed() {
                    self.help_close(wakes);
                }
                seen.owed().min(units)
            }
        }
    }

    /// Asks for `units` in the line, at a place that [`Line::try_join`] has `reserved`, or at the
    /// next. The balance was `seen` before. Also says how many units the caller must deliver; some
    /// of them may be for this very place.
    ///
    /// What was free goes to the head of the line, too. If two waiters each kept a part of what
    /// they need, neither would ever have all.
    fn join(
        &self,
        seen: Snapshot,
        reserved: Option<Place>,
        units: u32,
        waker: Option<Waker>,
    ) -> (Joined, u64) {
        let line = self.line.get_or_init(Line::with_seed);
        let (joined, over) = line.join(reserved, units, waker);
        (joined, seen.free() + over)
    }

    /// If no cell of the segment is unfinished any more: retires that, or sweeps if that pays.
    #[inline]
    fn complete(&self, completed: Completed) {
        if !matches!(completed, Completed::No) {
            self.line().complete(completed);
        }
    }

    /// The line, for the caller that has a place in it.
    fn line(&self) -> &Line {
        match self.line.get() {
            Some(line) => line,
            None => unreachable!("a place outside of the line"),
        }
    }
}
