//! One request for permits, from its first poll to its end: the protocol between balance and line.
//!
//! `#[cold]`, here and elsewhere, is not said of what is rare, but of what is not to be inlined into the
//! way of those who need not wait.

use core::task::{Context, Poll, Waker};

use crate::balance::{Snapshot, Withdrawn};
use crate::error::AcquireError;
use crate::line::{Joined, Line, Look, Place, Vacated, Waiting};
use crate::semaphore::Semaphore;

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)] // as wide as what stands beside it: both are set by one store
enum Stage {
    /// Not polled yet: it has asked for nothing.
    Fresh,
    /// It has a place.
    Waiting,
    /// It has its permits, but has not said so.
    Granted,
    /// It has said how it ended.
    Over,
}

/// One request for permits. Whoever drops it calls [`Request::cancel`] first.
#[derive(Debug)]
pub(crate) struct Request {
    /// `Some` in [`Stage::Waiting`].
    place: Option<Place>,
    permits: u32,
    stage: Stage,
}

impl Request {
    pub(crate) const fn new(permits: u32) -> Self {
        Self { place: None, permits, stage: Stage::Fresh }
    }

    /// How many permits it asks for.
    pub(crate) const fn permits(&self) -> u32 {
        self.permits
    }

    /// Asks when polled first, and looks later on. Of `Ready(Ok)` the caller makes a guard.
    #[inline]
    #[track_caller]
    pub(crate) fn poll(
        &mut self,
        semaphore: &Semaphore,
        cx: &Context<'_>,
    ) -> Poll<Result<(), AcquireError>> {
        if self.stage != Stage::Fresh {
            return self.poll_again(semaphore, cx);
        }
        Semaphore::check_request(self.permits);
        match semaphore.balance.take(self.permits) {
            Ok(()) => {
                self.stage = Stage::Over;
                Poll::Ready(Ok(()))
            }
            Err(seen) => self.wait(semaphore, seen, cx),
        }
    }

    /// After a `take` that found the balance as `seen`, and too little in it.
    #[cold]
    #[track_caller]
    fn wait(
        &mut self,
        semaphore: &Semaphore,
        seen: Snapshot,
        cx: &Context<'_>,
    ) -> Poll<Result<(), AcquireError>> {
        if self.permits == 0 || !seen.is_open_to_waiters() {
            return self.wait_for_nothing(semaphore, seen);
        }
        // The units are asked for, and must not stay so if what follows panics.
        let asking = Asking { semaphore, request: self, seen };
        let waker = cx.waker().clone();
        core::mem::forget(asking);

        let reserved = match semaphore.line.get() {
            // Nothing was free that would have to be handed on.
            Some(line) if seen.free() == 0 => match line.join_at_once(self.permits, &waker) {
                Ok(place) => {
                    // It is the line's now.
                    core::mem::forget(waker);
                    self.note(Joined::Waiting(place));
                    if semaphore.is_closed() {
                        return self.joined(semaphore, 0, None);
                    }
                    return Poll::Pending;
                }
                Err(reserved) => reserved,
            },
            _ => None,
        };
        self.wait_in_any_state(semaphore, seen, waker, reserved)
    }

    /// Goes on to wait, perhaps at a place that is `reserved`.
    #[cold]
    fn wait_in_any_state(
        &mut self,
        semaphore: &Semaphore,
        seen: Snapshot,
        waker: Waker,
        reserved: Option<Place>,
    ) -> Poll<Result<(), AcquireError>> {
        let (joined, in_hand) = self.join(semaphore, seen, reserved, Some(&waker));
        let mut waker = Some(waker);
        if matches!(joined, Joined::Waiting(_)) {
            // It is the line's now.
            core::mem::forget(waker.take());
        }
        self.note(joined);
        self.joined(semaphore, in_hand, waker)
    }

    /// Of a request that asks for nothing, or that is refused.
    #[cold]
    #[track_caller]
    fn wait_for_nothing(
        &mut self,
        semaphore: &Semaphore,
        seen: Snapshot,
    ) -> Poll<Result<(), AcquireError>> {
        if seen.is_closed() {
            self.stage = Stage::Over;
            semaphore.balance.settle(i64::from(self.permits));
            semaphore.help_close();
            return Poll::Ready(Err(AcquireError::closed()));
        }
        if self.permits > 0 {
            let _asking = Asking { semaphore, request: self, seen };
            panic!("more than 2^59 permits are being waited for");
        }
        self.stage = Stage::Over;
        Poll::Ready(Ok(()))
    }

    /// Takes a place for the units that are asked for. Also says how many units are to be delivered
    /// then; that may be to this very place.
    ///
    /// What was free goes to the head of the line, too: of two who each kept a part of what they
    /// need, neither would ever have all.
    fn join(
        &self,
        semaphore: &Semaphore,
        seen: Snapshot,
        reserved: Option<Place>,
        waker: Option<&Waker>,
    ) -> (Joined, u64) {
        let (joined, over) = match semaphore.line.get_or_init(Line::new) {
            Some(line) => line.join(reserved, self.permits, waker),
            None => (Joined::Shut, 0),
        };
        (joined, seen.free() + over)
    }

    /// Notes what came of joining.
    #[inline]
    fn note(&mut self, joined: Joined) {
        self.stage = match joined {
            Joined::Waiting(place) => {
                self.place = Some(place);
                Stage::Waiting
            }
            Joined::Granted => Stage::Granted,
            Joined::Shut => Stage::Over,
        };
    }

    /// Hands on what is in hand, drops the waker that nobody needs, and looks: something may have come
    /// meanwhile.
    #[cold]
    fn joined(
        &mut self,
        semaphore: &Semaphore,
        in_hand: u64,
        unused: Option<Waker>,
    ) -> Poll<Result<(), AcquireError>> {
        if in_hand > 0 {
            semaphore.hand_on(in_hand, 0);
        }
        // User code: were it to panic after the request is over, what that has would be lost.
        drop(unused);
        match self.stage {
            Stage::Over => Poll::Ready(Err(AcquireError::closed())),
            _ => self.outcome(semaphore, |place| place.look()),
        }
    }

    #[cold]
    #[track_caller]
    fn poll_again(
        &mut self,
        semaphore: &Semaphore,
        cx: &Context<'_>,
    ) -> Poll<Result<(), AcquireError>> {
        if let Some(place) = self.place.take() {
            if place.is_granted() {
                self.stage = Stage::Over;
                semaphore.ended(place.finish());
                return Poll::Ready(Ok(()));
            }
            self.place = Some(place);
        }
        self.poll_on(semaphore, cx)
    }

    /// [`Request::poll_again`] where it is not as usual.
    #[cold]
    #[track_caller]
    fn poll_on(
        &mut self,
        semaphore: &Semaphore,
        cx: &Context<'_>,
    ) -> Poll<Result<(), AcquireError>> {
        assert!(self.stage != Stage::Over, "`Acquire` polled after completion");
        self.outcome(semaphore, |place| match place.look() {
            Look::Waiting(_) => place.register(cx.waker()),
            over => over,
        })
    }

    /// Looks at what has become of the place by `look`.
    #[inline]
    fn outcome(
        &mut self,
        semaphore: &Semaphore,
        look: impl FnOnce(&mut Place) -> Look,
    ) -> Poll<Result<(), AcquireError>> {
        let Some(place) = &mut self.place else {
            self.stage = Stage::Over;
            return Poll::Ready(Ok(()));
        };
        let result = match look(place) {
            Look::Granted => Ok(()),
            Look::Closed { missing } => {
                semaphore.balance.settle(i64::from(self.permits - missing));
                Err(AcquireError::closed())
            }
            Look::Waiting(_) => {
                // Whoever closes wakes us: see to it that somebody does.
                if semaphore.is_closed() {
                    semaphore.help_close();
                }
                return Poll::Pending;
            }
        };
        self.stage = Stage::Over;
        if let Some(place) = self.place.take() {
            semaphore.ended(place.finish());
        }
        Poll::Ready(result)
    }

    /// Gives up what it asked for, and hands on what it has. Does nothing before the first poll
    /// and after the last.
    #[inline]
    pub(crate) fn cancel(&mut self, semaphore: &Semaphore) {
        if matches!(self.stage, Stage::Waiting | Stage::Granted) {
            self.leave(semaphore);
        }
    }

    /// Leaves the line.
    ///
    /// 1. Read what is missing. If nothing is, release all; if the line was closed, what it had.
    /// 2. Take what is missing off the books. Of it, `swallow` units are on their way already.
    /// 3. Leave the place, and a sink in it for those. Where they came before the sink, they are
    ///    too many: hand on what came beyond them.
    /// 4. Release what it had.
    ///
    /// It stands on conservation alone (I1): no step waits for another thread.
    #[cold]
    fn leave(&mut self, semaphore: &Semaphore) {
        self.stage = Stage::Over;
        let Some(place) = self.place.take() else {
            return semaphore.release(self.permits as usize);
        };
        let seen = match place.look() {
            Look::Waiting(seen) => seen,
            over => return self.leave_late(semaphore, place, &over),
        };
        let missing = seen.missing();
        let had = self.permits - missing;
        let withdrawn = semaphore.balance.withdraw(missing);
        if had > 0 || withdrawn != (Withdrawn::Open { swallow: 0 }) {
            return Self::leave_otherwise(semaphore, place, seen, had, withdrawn);
        }
        match place.vacate_at_once(seen) {
            // Dropped last, user code: it was our waker.
            Ok((ended, _waker)) => semaphore.ended(ended),
            Err(place) => Self::leave_otherwise(semaphore, place, seen, had, withdrawn),
        }
    }

    /// Steps 3 and 4 in full, for who had a part of its units, or to whom some are on their way.
    #[cold]
    fn leave_otherwise(
        semaphore: &Semaphore,
        place: Place,
        seen: Waiting,
        had: u32,
        withdrawn: Withdrawn,
    ) {
        let swallow = match withdrawn {
            Withdrawn::Open { swallow } => swallow,
            Withdrawn::Closed => 0,
        };
        // Dropped last, user code: it was our waker.
        let Vacated { over, waker: _waker } = semaphore.line().vacate(place, seen, swallow);
        match u64::try_from(over) {
            Ok(over) if withdrawn != Withdrawn::Closed => semaphore.hand_on(over, had),
            _ => semaphore.balance.settle(i64::from(had) + over),
        }
        if withdrawn == Withdrawn::Closed {
            semaphore.help_close();
        }
    }

    /// Leaves a place at which the wait was over.
    #[cold]
    fn leave_late(&self, semaphore: &Semaphore, place: Place, look: &Look) {
        semaphore.ended(place.finish());
        match *look {
            Look::Closed { missing } => {
                semaphore.balance.settle(i64::from(self.permits - missing));
            }
            _ => semaphore.release(self.permits as usize),
        }
    }
}

/// A demand that is in the balance and not in the line. Dropped, it goes the whole way.
struct Asking<'a> {
    semaphore: &'a Semaphore,
    request: &'a mut Request,
    seen: Snapshot,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let (joined, in_hand) = self.request.join(self.semaphore, self.seen, None, None);
        self.request.note(joined);
        if in_hand > 0 {
            self.semaphore.hand_on(in_hand, 0);
        }
        self.request.cancel(self.semaphore);
        // Nothing has been said, and nothing is asked for: it may be polled again.
        self.request.stage = Stage::Fresh;
    }
}
