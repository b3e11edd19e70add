//! Changes of the limit: how the limit, the balance and the debt change together.
//!
//! Three words cannot change in one step. The order of the steps keeps it safe: permits that are to
//! vanish leave the balance *before* the limit falls, and new permits come into it *after* the limit
//! has risen. So at no moment can more permits be taken than the limit allows, whichever thread is
//! stopped where. In between, the permits are in the hands of the thread, and count as outstanding.

use core::hint;

use super::Core;
use super::balance::{MAX_PERMITS, Snapshot, signed_sum};
use super::counts::count;
use super::limit::LimitWord;
use crate::line::Line;
use crate::wakes::{Wakes, waking};

/// More permits would exist than [`MAX_PERMITS`]. Nothing has changed.
#[derive(Debug)]
pub(crate) struct Overflow;

impl Overflow {
    /// Panics, after `n` permits could not be added.
    #[cold]
    #[track_caller]
    pub(crate) fn panic(self, n: usize) -> ! {
        panic!("number of added permits ({n}) would overflow MAX_PERMITS ({MAX_PERMITS})")
    }
}

/// What a thread that lowers the limit has taken out of the balance.
#[derive(Debug, Default)]
struct Taken {
    /// Free permits, and units that count as debt.
    permits: u64,
    /// Units that it found in the line, and must deliver.
    in_hand: u64,
}

impl Core {
    /// Adds `n` new permits, and wakes the waiters that are served by them.
    pub(crate) fn add(&self, n: usize) -> Result<(), Overflow> {
        let grown = |limit: u64| {
            let sum = limit.checked_add(n as u64)?;
            (sum <= MAX_PERMITS as u64).then_some(sum)
        };
        let before = self.update_limit(grown).ok_or(Overflow)?;
        if before.is_closed() {
            waking(|wakes| self.help_close(wakes));
        } else {
            self.release(n);
        }
        Ok(())
    }

    /// Makes the limit what `next` makes of it, unless that is `None`. Says what its word was before.
    ///
    /// If the limit is closed, the balance is closed first: the closer may be stopped between the
    /// two, and what it has read of the limit must stay true until then.
    fn update_limit(&self, next: impl Fn(u64) -> Option<u64>) -> Option<LimitWord> {
        let mut seen = self.limit.load();
        loop {
            let to = next(seen.limit())?;
            if seen.is_closed() {
                self.close_balance();
            }
            match self.limit.change(seen, to) {
                Ok(()) => return Some(seen),
                Err(now) => seen = now,
            }
        }
    }

    /// Takes up to `n` free permits out of circulation, and says how many.
    pub(crate) fn forget_free(&self, n: usize) -> usize {
        let taken = match self.balance.take_free(n as u64) {
            Ok(0) => return 0,
            Ok(taken) => count(taken),
            Err(seen) => return self.forget_free_of_closed(seen, n as u64),
        };
        // If others have lowered the limit meanwhile, it may not fall as far.
        self.forget_held(taken)
    }

    #[cold]
    fn forget_free_of_closed(&self, mut seen: Snapshot, n: u64) -> usize {
        let mut word = self.limit.load();
        loop {
            let outstanding = seen.outstanding().unwrap_or(0);
            let taken = n.min(word.limit().saturating_sub(outstanding));
            match self.limit.change(word, word.limit() - taken) {
                Ok(()) => return count(taken),
                Err(now) => word = now,
            }
            seen = self.balance.load();
        }
    }

    /// Takes `n` permits out of circulation that the caller has, and does not give back. The limit
    /// falls by as many, which it returns. But it does not fall below 0: the rest pays debt.
    pub(crate) fn forget_held(&self, n: usize) -> usize {
        let fall = |limit: u64| limit.min(n as u64);
        let Some(before) = self.update_limit(|limit| Some(limit - fall(limit))) else {
            unreachable!("it falls, or stays")
        };
        let fallen = count(fall(before.limit()));
        // Once closed, the balance counts them as outstanding, which they are no more.
        let back = if before.is_closed() { n } else { n - fallen };
        if back > 0 {
            self.release(back);
        }
        fallen
    }

    /// Makes the limit what `next` makes of it, which is at most [`MAX_PERMITS`], and says what it
    /// was. It is one step of the limit's word that decides which of two changes is the later.
    ///
    /// 1. If the limit falls, take the difference out of the balance. What is not free there is
    ///    owed from now on, as if a waiter had asked for it. It stands in front of the line: add it
    ///    to the debt, and take back the units that were left for it in the line meanwhile.
    /// 2. Change the limit. If another thread has changed it first, go to 1 for the difference, or
    ///    keep what was taken too much until step 3.
    /// 3. Give the new permits to the balance, and back to it what was taken too much.
    pub(crate) fn change_limit(&self, next: impl Fn(u64) -> u64) -> usize {
        waking(|wakes| {
            let mut taken = Taken::default();
            let mut word = self.limit.load();
            let to = loop {
                let to = next(word.limit());
                let fall = word.limit().saturating_sub(to);
                if word.is_closed() {
                    self.close_balance();
                } else if !self.take_off(fall, &mut taken, wakes) {
                    word = self.limit.load();
                    continue;
                }
                match self.limit.change(word, to) {
                    Ok(()) => break to,
                    Err(now) => word = now,
                }
            };
            let mut back = signed_sum(taken.permits);
            if !word.is_closed() {
                back += signed_sum(to) - signed_sum(word.limit());
            }
            if taken.in_hand > 0 {
                self.deliver(taken.in_hand, wakes);
                wakes.make_room();
            }
            match back {
                ..0 => unreachable!("what vanishes was taken before"),
                0 => {}
                1.. => self.release_beside(count(back.unsigned_abs()), wakes),
            }
            if word.is_closed() {
                self.help_close(wakes);
            }
            count(word.limit())
        })
    }

    /// Takes as many permits out of the balance as are missing from `fall`. `false` if it must be
    /// tried again, as the limit was closed meanwhile, or as other threads have taken too much at
    /// this instant.
    fn take_off(&self, fall: u64, taken: &mut Taken, wakes: &mut Wakes) -> bool {
        let missing = fall.saturating_sub(taken.permits);
        if missing == 0 {
            return true;
        }
        let seen = match self.balance.take_off(missing) {
            Ok(seen) => seen,
            Err(seen) if seen.is_closed() => return false,
            Err(_) => {
                // They must not wait for ours, as we wait for theirs.
                if taken.permits > 0 {
                    self.release_beside(count(taken.permits), wakes);
                    wakes.make_room();
                    taken.permits = 0;
                }
                hint::spin_loop();
                return false;
            }
        };
        let free = seen.free().min(missing);
        taken.permits += free;
        let rest = missing - free;
        if rest > 0 {
            // If the debt is closed, closing the balance removes this demand with all others.
            let Some(found) = self.line.get_or_init(Line::with_seed).owe(rest) else {
                return false;
            };
            taken.in_hand += found;
            taken.permits += rest;
        }
        true
    }
}
