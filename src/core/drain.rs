//! Closing, and waiting until all permits are back.
//!
//! Once closed, the balance counts outstanding permits, and whoever brings it to the closed zero
//! wakes those who wait for that. The count may be too high for a moment, but never too low, so
//! zero is true, and stays: nothing is granted any more.

use core::task::{Context, Poll, Waker};

use super::Core;
use super::balance::signed_sum;
use crate::line::{Joined, Line, Place, Registered, Vacated, Verdict};
use crate::wakes::{Wakes, waking};

impl Core {
    /// Closes, and wakes all waiters.
    pub(crate) fn close(&self) {
        self.close_balance();
        waking(|wakes| self.help_close(wakes));
    }

    /// Makes all demand void, and lets the balance count outstanding permits from now on. Says
    /// whether it did; if not, it was closed before.
    ///
    /// 1. Mark the limit as closed. Whoever wants to change it, and finds the mark, calls this
    ///    first. So the limit stays as it is until the balance is closed.
    /// 2. Close the debt, so that it stays as it is. A deliverer that cannot pay calls this.
    /// 3. Close the balance: the limit and the debt together are all the permits that there are, and
    ///    those that are not free are outstanding.
    ///
    /// So nobody waits for a closer that is stopped in between, and each thread that takes step 3
    /// knows the same number.
    pub(crate) fn close_balance(&self) -> bool {
        let mut seen = self.balance.load();
        if seen.is_closed() {
            return false;
        }
        let line = self.line.get_or_init(Line::with_seed);
        let all = signed_sum(self.limit.close()) + line.close_debt();
        while !seen.is_closed() {
            match self.balance.close(seen, all) {
                Ok(()) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Goes on with a close until all waiters are refused, as the thread that began it may be
    /// stopped. Also wakes those who wait for the last permit, if that is back.
    ///
    /// Whoever has changed the balance of a closed semaphore calls this.
    #[cold]
    pub(crate) fn help_close(&self, wakes: &mut Wakes) {
        if let Some(line) = self.line.get() {
            if !line.is_all_void() {
                self.void_all(line, wakes);
            }
        }
        self.check_drain(wakes);
    }

    /// Refuses all waiters.
    fn void_all(&self, line: &Line, wakes: &mut Wakes) {
        loop {
            wakes.make_room();
            let (units, all) = line.close(wakes);
            self.balance.give_closed(units);
            if all {
                return;
            }
            wakes.wake();
        }
    }

    /// Wakes those who wait for the last permit, if that is back.
    fn check_drain(&self, wakes: &mut Wakes) {
        if self.balance.load().is_drained() {
            if let Some(drain) = self.line.get().and_then(Line::drain_if_made) {
                end_drain(drain, wakes);
            }
        }
    }
}

/// Wakes all who wait for the drain, and lets nobody else wait.
fn end_drain(drain: &Line, wakes: &mut Wakes) {
    while !drain.is_all_void() {
        wakes.make_room();
        if !drain.close(wakes).1 {
            wakes.wake();
        }
    }
}

/// One wait for the drain. Its owner must call [`Drain::cancel`] before dropping it.
#[derive(Debug)]
pub(crate) struct Drain {
    /// `Some` while it waits.
    place: Option<Place>,
}

impl Drain {
    pub(crate) const fn new() -> Self {
        Self { place: None }
    }

    /// Waits until the semaphore is closed and no permit is outstanding. It may be polled again
    /// afterwards.
    pub(crate) fn poll(&mut self, core: &Core, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_done(core) {
            return Poll::Ready(());
        }
        match &mut self.place {
            None => {
                if !self.join(core, cx.waker().clone()) {
                    return Poll::Ready(());
                }
            }
            Some(place) => {
                let Registered { verdict, unused, wake_now } = place.register(cx.waker());
                waking(|wakes| {
                    for unused in unused {
                        wakes.run(|| drop(unused));
                    }
                    if wake_now {
                        wakes.run(|| cx.waker().wake_by_ref());
                    }
                });
                // The drain has ended, though a request that is to be refused may hide it just now.
                // Nobody would wake us.
                if !matches!(verdict, Verdict::Waiting(_)) {
                    self.cancel(core);
                    return Poll::Ready(());
                }
            }
        }
        // Whoever brought the last permit back before the waker was there does not wake it.
        if self.is_done(core) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Looks whether the wait is over, and helps those who wait as well.
    fn is_done(&mut self, core: &Core) -> bool {
        if core.is_closed() {
            waking(|wakes| core.help_close(wakes));
        }
        // D4: whoever changes the balance later sees that the place was taken.
        let done = core.balance.load_as_change().is_drained();
        if done {
            self.cancel(core);
        }
        done
    }

    /// Takes a place. `false` if the wait is over, as others have seen.
    fn join(&mut self, core: &Core, waker: Waker) -> bool {
        let drain = core.line.get_or_init(Line::with_seed).drain();
        let (joined, _no_units) = drain.join(None, 1, Some(waker));
        match joined {
            Joined::Waiting(place) => self.place = Some(place),
            Joined::Granted(unused) | Joined::Shut(unused) => {
                waking(|wakes| wakes.run(|| drop(unused)))
            }
        }
        self.place.is_some()
    }

    /// Gives up the place.
    pub(crate) fn cancel(&mut self, core: &Core) {
        let Some(place) = self.place.take() else { return };
        let drain = core.line().drain();
        match place.check() {
            Verdict::Waiting(seen) => {
                let Vacated { waker, .. } = drain.vacate(place, seen, 0);
                waking(|wakes| wakes.run(|| drop(waker)));
            }
            Verdict::Granted | Verdict::Closed { .. } => drain.complete(place.finish()),
        }
    }
}
