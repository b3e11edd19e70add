//! Closing, and waiting until all permits are back.
//!
//! Once closed, the balance counts outstanding permits, and whoever brings it to the closed zero
//! wakes those who wait for that. But zero may be false as long as a thread holds a correction that
//! it has not applied: the closers, and a waiter that has withdrawn and not left. They are counted
//! as *inside* (see `line/inside.rs`). Zero counts only when nobody is inside. So either the thread
//! that makes it zero finds nobody inside, or the last one to leave finds zero (D4).

use core::task::{Context, Poll, Waker};

use super::Core;
use super::balance::signed_sum;
use crate::line::{Joined, Line, Place, Registered, Vacated, Verdict};
use crate::wakes::{Wakes, waking};

impl Core {
    /// Closes, and wakes all waiters.
    pub(crate) fn close(&self) {
        // Who looks whether all permits are back finds the count of the threads inside there.
        let line = self.line.get_or_init(Line::with_seed);
        line.enter_close();
        self.void_demand(line);
        let _checked_below = line.leave_close();
        waking(|wakes| {
            self.void_all(line, wakes);
            self.check_drain(wakes);
        });
    }

    /// Makes all demand void, and lets the balance count outstanding permits from now on.
    ///
    /// The limit and the debt are read before the balance is closed. If they change in between,
    /// what the balance says is corrected afterwards. A change of the limit that comes before
    /// [`Limit::close`](super::limit::Limit::close) makes the same change in the balance, as on an open semaphore.
    fn void_demand(&self, line: &Line) {
        if let Some(all) = self.close_balance() {
            let written_off = line.write_off();
            self.balance.adjust_closed(all - signed_sum(self.limit.close() + written_off));
        }
    }

    /// The first step of a close. Says how many permits it found, the debt included; `None` if it
    /// was closed before.
    pub(crate) fn close_balance(&self) -> Option<i64> {
        let mut seen = self.balance.load();
        while !seen.is_closed() {
            let all = signed_sum(self.limit.load().limit() + self.debt());
            match self.balance.close(seen, all) {
                Ok(()) => return Some(all),
                Err(now) => seen = now,
            }
        }
        None
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
            line.enter_close();
            let (units, all) = line.close(wakes);
            self.balance.adjust_closed(signed_sum(units));
            let _checked_below = line.leave_close();
            if all {
                return;
            }
            wakes.wake();
        }
    }

    /// Whether it is closed, and no permit is outstanding. If not, the thread that makes it so sees
    /// what was done before this call.
    fn is_drained(&self) -> bool {
        self.is_at_closed_zero()
            && self.line.get().is_some_and(Line::is_settled)
            && self.is_at_closed_zero()
    }

    fn is_at_closed_zero(&self) -> bool {
        self.balance.load().outstanding() == Some(0)
    }

    /// Wakes those who wait for the last permit, if that is back.
    fn check_drain(&self, wakes: &mut Wakes) {
        if self.is_drained() {
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
            None => self.join(core, cx.waker().clone()),
            Some(place) => {
                let Registered { unused, wake_now, .. } = place.register(cx.waker());
                waking(|wakes| {
                    for unused in unused {
                        wakes.run(|| drop(unused));
                    }
                    if wake_now {
                        wakes.run(|| cx.waker().wake_by_ref());
                    }
                });
            }
        }
        // Whoever looked before the waker was there does not wake it.
        if self.is_done(core) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Looks whether the wait is over, and helps those who wait as well.
    fn is_done(&mut self, core: &Core) -> bool {
        // D4: whoever comes to `inside` later sees that the place was taken. Who came earlier has
        // changed the balance before, which is read below.
        if let Some(line) = core.line.get() {
            let _seen_again_below = line.is_settled();
        }
        if !core.is_closed() {
            return false;
        }
        waking(|wakes| core.help_close(wakes));
        let done = core.is_drained();
        if done {
            self.cancel(core);
        }
        done
    }

    fn join(&mut self, core: &Core, waker: Waker) {
        let drain = core.line.get_or_init(Line::with_seed).drain();
        let (joined, _no_units) = drain.join(None, 1, Some(waker));
        match joined {
            Joined::Waiting(place) => self.place = Some(place),
            Joined::Granted(unused) | Joined::Shut(unused) => {
                waking(|wakes| wakes.run(|| drop(unused)))
            }
        }
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
