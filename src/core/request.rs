//! One request for permits, from its first poll to its end: the protocol between balance and line.
//!
//! `#[cold]`, here and elsewhere, does not say that a call is rare. It keeps the function from
//! being inlined into the path of a request that need not wait.

pub(crate) mod between;
mod enqueue;

use core::fmt;
use core::mem;
use core::task::{Context, Poll, Waker, ready};

use super::Core;
use super::balance::{Snapshot, TakeError, check_permits};
use super::budget;
use crate::error::Reason;
use crate::line::{Joined, Place, Registered, Seen, Vacated, Verdict};
use crate::wakes::{run_one, waking};

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)] // as wide as what stands beside it: both are set by one store
enum Stage {
    /// Not polled yet, so nothing was asked for.
    New,
    /// It has a place in the line.
    Waiting,
    /// It has its permits, but has not returned them yet.
    Granted,
    /// It was refused, as the semaphore is closed, but has not said so yet.
    Refused,
    /// It was refused, as the line is full, but has not said so yet.
    QueueFull,
    /// It was refused, as it asks for more than the limit, but has not said so yet.
    Oversized,
    /// It has returned `Ready`, or was cancelled.
    Over,
}

/// One request for permits. Its owner must call [`Request::cancel`] before dropping it.
pub(crate) struct Request {
    /// `Some` in [`Stage::Waiting`].
    place: Option<Place>,
    permits: u32,
    stage: Stage,
}

impl Request {
    pub(crate) const fn new(permits: u32) -> Self {
        Self { place: None, permits, stage: Stage::New }
    }

    /// How many permits it asks for.
    pub(crate) const fn permits(&self) -> u32 {
        self.permits
    }

    /// Whether it has all its permits, and has not returned them yet.
    #[cfg(feature = "monitor")]
    pub(crate) fn is_granted(&self) -> bool {
        match &self.place {
            Some(place) => place.is_granted(),
            None => self.stage == Stage::Granted,
        }
    }

    /// Prints it as the future called `name`.
    pub(crate) fn fmt_as(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("permits", &self.permits)
            .field("state", &self.stage)
            .finish_non_exhaustive()
    }

    /// The first poll asks for the permits, and later polls check the place. On `Ready(Ok)`, the
    /// caller has the permits and makes a guard of them.
    #[inline]
    #[track_caller]
    pub(crate) fn poll(&mut self, core: &Core, cx: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        if self.stage != Stage::New {
            return self.poll_again(core, cx);
        }
        check_permits(self.permits as usize);
        if core.limit.is_guarded() {
            return self.poll_guarded(core, cx);
        }
        match core.balance.take(self.permits) {
            Ok(()) if budget::is_due() => self.end(Stage::Granted, cx),
            Ok(()) => {
                self.stage = Stage::Over;
                Poll::Ready(Ok(()))
            }
            Err(seen) => self.wait(core, seen, cx),
        }
    }

    /// The first poll on a semaphore that may refuse a request.
    #[cold]
    #[inline(never)]
    #[track_caller]
    fn poll_guarded(&mut self, core: &Core, cx: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        if core.is_oversized(self.permits) {
            return self.end(Stage::Oversized, cx);
        }
        match core.take_bounded(self.permits) {
            Ok(()) => self.end(Stage::Granted, cx),
            Err(TakeError::MustWait(seen)) => self.wait(core, seen, cx),
            Err(TakeError::Refused(seen)) if seen.is_closed() => {
                self.stage = Stage::Refused;
                waking(|wakes| core.help_close(wakes));
                self.end(Stage::Refused, cx)
            }
            Err(TakeError::Refused(_)) => self.end(Stage::QueueFull, cx),
        }
    }

    /// Ends without a wait, as granted or refused. If the task must yield first, this is kept for
    /// the next poll.
    #[cold]
    #[inline(never)]
    fn end(&mut self, end: Stage, cx: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        // Before the budget is asked: if it is used up, it wakes the task, which is user code.
        self.stage = end;
        ready!(budget::poll(cx));
        self.say(end)
    }

    /// Returns how it ended.
    fn say(&mut self, end: Stage) -> Poll<Result<(), Reason>> {
        self.stage = Stage::Over;
        Poll::Ready(match end {
            Stage::Granted => Ok(()),
            Stage::QueueFull => Err(Reason::QueueFull),
            Stage::Oversized => Err(Reason::Oversized),
            _ => Err(Reason::Closed),
        })
    }

    /// Goes on after a `take` that found too few permits: the balance was `seen`.
    #[cold]
    #[track_caller]
    fn wait(
        &mut self,
        core: &Core,
        seen: Snapshot,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Reason>> {
        if self.permits == 0 || !seen.is_open_to_waiters() {
            return self.wait_for_nothing(core, seen, cx);
        }
        // If cloning the waker panics, the drop of this joins the line without a waker, and leaves.
        let demand = DemandGuard { core, request: self, seen };
        let waker = cx.waker().clone();
        mem::forget(demand);

        let (reserved, waker) = match core.line.get() {
            // Only if none was free: those would have to be delivered.
            Some(line) if seen.free() == 0 => match line.try_join(self.permits, waker) {
                Ok(place) => {
                    self.place = Some(place);
                    self.stage = Stage::Waiting;
                    if core.is_closed() {
                        return self.after_joining(core, 0, None, cx);
                    }
                    return Poll::Pending;
                }
                Err(not_joined) => not_joined,
            },
            _ => (None, waker),
        };
        self.wait_slow(core, seen, reserved, waker, cx)
    }

    /// Joins the line, at a place that is `reserved` already, or at the next.
    #[cold]
    #[inline(never)]
    fn wait_slow(
        &mut self,
        core: &Core,
        seen: Snapshot,
        reserved: Option<Place>,
        waker: Waker,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Reason>> {
        let (joined, in_hand) = core.join(seen, reserved, self.permits, Some(waker));
        let unused = self.note(joined);
        self.after_joining(core, in_hand, unused, cx)
    }

    /// Ends a request that takes no place: it asks for no permits, is refused, or panics, as too
    /// many permits are waited for.
    #[cold]
    #[inline(never)]
    #[track_caller]
    fn wait_for_nothing(
        &mut self,
        core: &Core,
        seen: Snapshot,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Reason>> {
        if seen.is_closed() {
            self.stage = Stage::Refused;
            core.balance.give_closed(self.permits.into());
            waking(|wakes| core.help_close(wakes));
            return self.end(Stage::Refused, cx);
        }
        if self.permits > 0 {
            let _demand = DemandGuard { core, request: self, seen };
            panic!("more than 2^59 permits are being waited for");
        }
        self.end(Stage::Granted, cx)
    }

    /// Notes the result of joining, and returns the waker if the line did not take it.
    fn note(&mut self, joined: Joined) -> Option<Waker> {
        let (stage, unused) = match joined {
            Joined::Waiting(place) => {
                self.place = Some(place);
                (Stage::Waiting, None)
            }
            Joined::Granted(unused) => (Stage::Granted, unused),
            Joined::Shut(unused) => (Stage::Refused, unused),
        };
        self.stage = stage;
        unused
    }

    /// Delivers what is in hand, and checks the place, as the units may have gone there.
    #[cold]
    #[inline(never)]
    fn after_joining(
        &mut self,
        core: &Core,
        in_hand: u64,
        unused: Option<Waker>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Reason>> {
        waking(|wakes| {
            if in_hand > 0 {
                core.deliver(in_hand, wakes);
            }
            if self.stage == Stage::Refused {
                core.help_close(wakes);
            }
            wakes.run(|| drop(unused));
        });
        match &self.place {
            Some(place) => {
                let verdict = place.check();
                self.outcome(core, verdict)
            }
            None => self.end(self.stage, cx),
        }
    }

    #[cold]
    #[track_caller]
    fn poll_again(&mut self, core: &Core, cx: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        if let Some(place) = self.place.take() {
            if place.is_granted() {
                self.stage = Stage::Over;
                core.complete(place.finish());
                return Poll::Ready(Ok(()));
            }
            self.place = Some(place);
        }
        self.poll_again_slow(core, cx)
    }

    /// Registers the waker of this poll, and checks the place.
    #[cold]
    #[inline(never)]
    #[track_caller]
    fn poll_again_slow(&mut self, core: &Core, cx: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        assert!(self.stage != Stage::Over, "`Acquire` polled after completion");
        let Some(place) = &mut self.place else {
            // The answer came before this poll, and perhaps from `enqueue`, which does not ask the budget.
            return if budget::is_due() { self.end(self.stage, cx) } else { self.say(self.stage) };
        };
        let Registered { verdict, unused, wake_now } = place.register(cx.waker());
        waking(|wakes| {
            for unused in unused {
                wakes.run(|| drop(unused));
            }
            if wake_now {
                wakes.run(|| cx.waker().wake_by_ref());
            }
        });
        self.outcome(core, verdict)
    }

    /// Acts on what the place says.
    fn outcome(&mut self, core: &Core, verdict: Verdict) -> Poll<Result<(), Reason>> {
        let end = match verdict {
            Verdict::Waiting(_) => {
                // The closer would wake us, but may be stopped.
                if core.is_closed() {
                    waking(|wakes| core.help_close(wakes));
                }
                return Poll::Pending;
            }
            Verdict::Granted => Stage::Granted,
            Verdict::Closed { missing } => {
                core.balance.give_closed((self.permits - missing).into());
                Stage::Refused
            }
        };
        self.stage = end;
        if let Some(place) = self.place.take() {
            core.complete(place.finish());
        }
        if end == Stage::Refused {
            // The closer may be stopped in a waker that it took before ours.
            waking(|wakes| core.help_close(wakes));
        }
        self.say(end)
    }

    /// Gives up what it asked for, and releases what it has. Does nothing before the first poll
    /// and after the last.
    #[inline]
    pub(crate) fn cancel(&mut self, core: &Core) {
        if matches!(self.stage, Stage::Waiting | Stage::Granted) {
            self.leave(core);
        }
    }

    /// Leaves the line: *Leave* in `line/README.md`, which has the same steps. If no unit is missing,
    /// it releases all permits instead; if the line was closed, those that the waiter had.
    ///
    /// 1. Withdraw the missing units from the balance, but for those that are on their way already.
    /// 2. Change the cell: to RETURN if units are still to come, otherwise to GONE.
    /// 3. Deliver units that came beyond those on their way.
    /// 4. Release what the waiter had before, and what was on its way and has come.
    ///
    /// No step waits for another thread; I1 is all that is needed.
    #[cold]
    fn leave(&mut self, core: &Core) {
        self.stage = Stage::Over;
        let Some(place) = self.place.take() else {
            return core.release(self.permits as usize);
        };
        let seen = match place.check() {
            Verdict::Waiting(seen) => seen,
            over => return self.leave_over(core, place, &over),
        };
        let missing = seen.missing();
        let had = self.permits - missing;
        if had > 0 || !core.balance.try_withdraw(missing) {
            return Self::leave_slow(core, place, seen, had);
        }
        match place.try_vacate(seen) {
            Ok((completed, waker)) => {
                core.complete(completed);
                // User code, last: it was our waker.
                run_one(|| drop(waker));
            }
            Err(place) => Self::vacate(core, place, seen, 0, 0),
        }
    }

    /// All four steps: the waiter had some of its units, or some are on their way, or the semaphore
    /// is closed.
    #[cold]
    #[inline(never)]
    fn leave_slow(core: &Core, place: Place, seen: Seen, had: u32) {
        let on_its_way = core.balance.withdraw(seen.missing());
        Self::vacate(core, place, seen, had, on_its_way);
    }

    /// Steps 2 to 4.
    #[cold]
    #[inline(never)]
    fn vacate(core: &Core, place: Place, seen: Seen, had: u32, on_its_way: u32) {
        let Vacated { returned, owed, waker, .. } = core.line().vacate(place, seen, on_its_way);
        waking(|wakes| {
            core.pass_on(owed.into(), had + returned, wakes);
            // The closer may be stopped.
            if core.is_closed() {
                core.help_close(wakes);
            }
            wakes.run(|| drop(waker));
        });
    }

    /// Leaves a place at which the wait was over.
    #[cold]
    #[inline(never)]
    fn leave_over(&self, core: &Core, place: Place, verdict: &Verdict) {
        core.complete(place.finish());
        match *verdict {
            Verdict::Closed { missing } => {
                core.balance.give_closed((self.permits - missing).into());
                waking(|wakes| core.help_close(wakes));
            }
            _ => core.release(self.permits as usize),
        }
    }
}

/// A demand that is in the balance and not in the line yet. Its drop queues the demand and cancels
/// it at once.
struct DemandGuard<'a> {
    core: &'a Core,
    request: &'a mut Request,
    seen: Snapshot,
}

impl Drop for DemandGuard<'_> {
    fn drop(&mut self) {
        let (joined, in_hand) = self.core.join(self.seen, None, self.request.permits, None);
        self.request.note(joined);
        if in_hand > 0 {
            waking(|wakes| self.core.deliver(in_hand, wakes));
        }
        self.request.cancel(self.core);
        // It has returned nothing, and asks for nothing any more, so it may be polled again.
        self.request.stage = Stage::New;
    }
}
