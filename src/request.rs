//! One request for permits, from its first poll to its end: the protocol between balance and line.

use core::task::{Context, Poll, Waker};

use crate::balance::{Snapshot, Withdrawn};
use crate::error::AcquireError;
use crate::line::{Joined, Line, Look, Place, Vacated};
use crate::semaphore::Semaphore;
use crate::wakes::Wakes;

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        if seen.is_closed() {
            self.stage = Stage::Over;
            semaphore.balance.settle(i64::from(self.permits));
            semaphore.help_close(&mut Wakes::new());
            return Poll::Ready(Err(AcquireError::closed()));
        }
        if self.permits == 0 {
            self.stage = Stage::Over;
            return Poll::Ready(Ok(()));
        }
        // The units are asked for, and must not stay so if what follows panics.
        let asking = Asking { semaphore, request: self, seen };
        assert!(!seen.is_overdrawn(), "more than 2^59 permits are being waited for");
        let waker = cx.waker().clone();
        core::mem::forget(asking);

        let delivered = self.join(semaphore, seen, Some(waker));
        match self.stage {
            Stage::Over => Poll::Ready(Err(AcquireError::closed())),
            Stage::Waiting if !delivered && !semaphore.is_closed() => Poll::Pending,
            _ => self.outcome(semaphore, |place| place.look()),
        }
    }

    /// Takes a place for the units that are asked for, and delivers those in hand, if any: that may
    /// have been to this very place.
    #[inline(always)]
    fn join(&mut self, semaphore: &Semaphore, seen: Snapshot, waker: Option<Waker>) -> bool {
        let (joined, over) = match semaphore.line.get_or_init(Line::new) {
            Some(line) => line.join(self.permits, waker.as_ref()),
            None => (Joined::Shut, 0),
        };
        self.stage = match joined {
            Joined::Waiting(place) => {
                core::mem::forget(waker);
                self.place = Some(place);
                Stage::Waiting
            }
            Joined::Granted => Stage::Granted,
            Joined::Shut => Stage::Over,
        };
        // What was free goes to the head of the line: of two who each kept a part of what they
        // need, neither would ever have all.
        let in_hand = seen.free() + over;
        if in_hand > 0 {
            semaphore.hand_on(in_hand, 0);
        }
        in_hand > 0
    }

    #[cold]
    #[track_caller]
    fn poll_again(
        &mut self,
        semaphore: &Semaphore,
        cx: &Context<'_>,
    ) -> Poll<Result<(), AcquireError>> {
        assert!(self.stage != Stage::Over, "`Acquire` polled after completion");
        self.outcome(semaphore, |place| match place.look() {
            Look::Waiting { .. } => place.register(cx.waker()),
            look => look,
        })
    }

    /// Looks at what has become of the place by `look`.
    #[inline]
    fn outcome(
        &mut self,
        semaphore: &Semaphore,
        look: impl FnOnce(&mut Place) -> Look,
    ) -> Poll<Result<(), AcquireError>> {
        let result = match self.place.as_mut().map_or(Look::Granted, look) {
            Look::Waiting { .. } => {
                // Whoever closes wakes us: see to it that somebody does.
                if semaphore.is_closed() {
                    semaphore.help_close(&mut Wakes::new());
                }
                return Poll::Pending;
            }
            Look::Granted => Ok(()),
            Look::Closed { missing } => {
                semaphore.balance.settle(i64::from(self.permits - missing));
                Err(AcquireError::closed())
            }
        };
        self.stage = Stage::Over;
        if let Some(place) = self.place.take() {
            semaphore.line().finish(place);
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
        let (line, look) = (semaphore.line(), place.look());
        let Look::Waiting { missing } = look else {
            line.finish(place);
            return match look {
                Look::Closed { missing } => {
                    semaphore.balance.settle(i64::from(self.permits - missing));
                }
                _ => semaphore.release(self.permits as usize),
            };
        };
        let had = self.permits - missing;
        match semaphore.balance.withdraw(missing) {
            Withdrawn::Open { swallow } => {
                // Dropped last, user code: it was our waker.
                let Vacated { over, waker: _waker } = line.vacate(place, missing, swallow);
                match u64::try_from(over) {
                    Ok(0) if had == 0 => {}
                    Ok(over) => semaphore.hand_on(over, had),
                    Err(_) => semaphore.balance.settle(i64::from(had) + over),
                }
            }
            Withdrawn::Closed => {
                let Vacated { over, waker: _waker } = line.vacate(place, missing, 0);
                semaphore.balance.settle(i64::from(had) + over);
                semaphore.help_close(&mut Wakes::new());
            }
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
        self.request.join(self.semaphore, self.seen, None);
        self.request.cancel(self.semaphore);
        // Nothing has been said, and nothing is asked for: it may be polled again.
        self.request.stage = Stage::Fresh;
    }
}
