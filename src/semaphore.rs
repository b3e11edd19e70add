//! The semaphore: its contract, its counts, and how permits go back.

use core::fmt;

use crate::balance::{self, Balance, Overflow, Snapshot};
use crate::line::{LazyBox, Line};
use crate::sync::const_fn;
use crate::wakes::Wakes;

/// A counting semaphore for async code: lock-free, strictly fair, weighted.
pub struct Semaphore {
    pub(crate) balance: Balance,
    /// Made when somebody first has to wait.
    pub(crate) line: LazyBox<Line>,
}

impl Semaphore {
    /// The most permits a semaphore can have: `usize::MAX >> 3`.
    pub const MAX_PERMITS: usize = balance::MAX_PERMITS;

    const_fn! {
        /// Creates a semaphore.
        #[must_use]
        #[track_caller]
        pub const fn new(permits: usize) -> Self {
            assert!(permits <= Self::MAX_PERMITS, "a semaphore may not have more than MAX_PERMITS permits");
            Self { balance: Balance::new(permits), line: LazyBox::new() }
        }
    }

    const_fn! {
        /// Creates a semaphore.
        #[must_use]
        #[track_caller]
        pub const fn const_new(permits: usize) -> Self {
            Self::new(permits)
        }
    }

    /// Returns the number of free permits.
    #[must_use]
    pub fn available_permits(&self) -> usize {
        usize::try_from(self.balance.load().free()).unwrap_or(usize::MAX)
    }

    /// Adds permits.
    #[track_caller]
    pub fn add_permits(&self, n: usize) {
        match self.balance.add(n) {
            Ok(seen) => self.after_give(seen, n, &mut Wakes::new()),
            Err(Overflow) => Self::overflow(n),
        }
    }

    /// Forgets permits.
    pub fn forget_permits(&self, n: usize) -> usize {
        self.balance.forget(n)
    }

    /// Closes the semaphore.
    pub fn close(&self) {
        let mut wakes = Wakes::new();
        self.balance.close();
        if let Some(line) = self.line.shut() {
            self.close_line(line, &mut wakes);
        }
    }

    /// Returns whether the semaphore is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.balance.load().is_closed()
    }

    /// Refuses requests that no semaphore could ever grant; there are some on 32 bits only.
    #[inline]
    #[track_caller]
    pub(crate) fn check_request(permits: u32) {
        if usize::try_from(permits).is_ok_and(|permits| permits > Self::MAX_PERMITS) {
            Self::too_many();
        }
    }

    /// Gives back `n` permits, and wakes whoever has all it asked for by that.
    #[inline]
    #[track_caller]
    pub(crate) fn release(&self, n: usize) {
        if let Err(seen) = self.balance.give(n) {
            self.after_give(seen, n, &mut Wakes::new());
        }
    }

    /// Delivers units that are owed, and gives back permits, before anybody is woken.
    #[cold]
    pub(crate) fn hand_on(&self, owed: u64, permits: u32) {
        let mut wakes = Wakes::new();
        if owed > 0 {
            self.deliver(owed, &mut wakes);
        }
        if permits > 0 {
            if let Err(seen) = self.balance.give(permits as usize) {
                self.after_give(seen, permits as usize, &mut wakes);
            }
        }
    }

    /// The rest of a release of `n` that found the balance as `seen`.
    #[cold]
    #[track_caller]
    fn after_give(&self, seen: Snapshot, n: usize, wakes: &mut Wakes) {
        if Balance::overflows(seen, n) {
            self.balance.undo(n);
            Self::overflow(n);
        }
        if seen.is_closed() {
            self.help_close(wakes);
            return;
        }
        let owed = seen.owed().min(n as u64);
        if owed > 0 {
            self.deliver(owed, wakes);
        }
    }

    /// Hands out units that are owed; what nobody in a shut line wants any more is free.
    #[inline]
    pub(crate) fn deliver(&self, units: u64, wakes: &mut Wakes) {
        let back = match self.line.get_or_init(Line::new) {
            Some(line) => line.deliver(units, wakes),
            None => units,
        };
        self.balance.settle(i64::try_from(back).unwrap_or(i64::MAX));
    }

    /// Brings a close to its end whose thread may have been stopped.
    pub(crate) fn help_close(&self, wakes: &mut Wakes) {
        if let Some(line) = self.line.get() {
            if !line.is_closed() {
                self.close_line(line, wakes);
            }
        }
    }

    fn close_line(&self, line: &Line, wakes: &mut Wakes) {
        loop {
            let (correction, all) = line.close(wakes);
            self.balance.settle(correction);
            if all {
                return;
            }
            wakes.wake();
        }
    }

    /// The line in which somebody has a place.
    pub(crate) fn line(&self) -> &Line {
        match self.line.get() {
            Some(line) => line,
            None => unreachable!("a place outside of the line"),
        }
    }

    #[cold]
    #[track_caller]
    fn too_many() -> ! {
        panic!("a semaphore may not have more than MAX_PERMITS permits ({})", Self::MAX_PERMITS)
    }

    #[cold]
    #[track_caller]
    fn overflow(n: usize) -> ! {
        panic!("number of added permits ({n}) would overflow MAX_PERMITS ({})", Self::MAX_PERMITS)
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available_permits", &self.available_permits())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
