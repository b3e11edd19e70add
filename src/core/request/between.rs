//! A request for at least some permits, and for more if they are free.

use core::fmt;
use core::task::{Context, Poll, ready};

use super::{Request, Stage};
use crate::core::balance::check_permits;
use crate::core::{Core, budget};
use crate::error::Reason;

/// A request for `min..=max` permits. Its owner must call [`Between::cancel`] before dropping it.
///
/// If at least `min` permits are free and nobody waits, its first step takes them, up to `max`: one
/// change of the balance. Otherwise it is a request for `min`. When that is granted, the poll that
/// says so takes what is free at that moment, up to `max`, by one more change of the balance. Permits
/// are free only while nobody waits for them (I1), so it overtakes nobody.
pub(crate) struct Between {
    /// For `min` until it is granted.
    request: Request,
    /// How many more it takes when it has these.
    more: u32,
}

impl Between {
    /// For a range that is not empty.
    pub(crate) const fn new(min: u32, max: u32) -> Self {
        Self { request: Request::new(min), more: max - min }
    }

    /// On `Ready(Ok(n))`, the caller has `n` permits and makes a guard of them.
    #[track_caller]
    pub(crate) fn poll(&mut self, core: &Core, cx: &mut Context<'_>) -> Poll<Result<u32, Reason>> {
        assert!(self.request.stage != Stage::Over, "`AcquireBetween` polled after completion");
        let granted = if !self.takes_what_is_free(core) {
            self.request.poll(core, cx)
        } else if budget::is_due() {
            self.request.end(Stage::Granted, cx)
        } else {
            self.request.stage = Stage::Over;
            Poll::Ready(Ok(()))
        };
        Poll::Ready(match ready!(granted) {
            Ok(()) => Ok(self.request.permits + self.takes_more(core)),
            Err(refused) => Err(refused),
        })
    }

    /// Before it has asked: takes `min..=max` if that many are free, and says whether it did.
    #[track_caller]
    fn takes_what_is_free(&mut self, core: &Core) -> bool {
        if self.request.stage != Stage::New {
            return false;
        }
        let min = self.request.permits;
        check_permits(min as usize);
        let Ok(taken) = core.balance.try_take_between(min, min + self.more) else {
            return false;
        };
        self.request.permits = taken;
        self.more = 0;
        true
    }

    /// When it has its `min`: takes what is free beyond, and says how many that is.
    fn takes_more(&self, core: &Core) -> u32 {
        match self.more {
            0 => 0,
            more => core.balance.try_take_between(1, more).unwrap_or(0),
        }
    }

    /// As [`Request::enqueue`].
    #[track_caller]
    pub(crate) fn enqueue(&mut self, core: &Core) {
        if self.takes_what_is_free(core) {
            self.request.stage = Stage::Granted;
        } else {
            self.request.enqueue(core);
        }
    }

    /// As [`Request::is_granted`].
    #[cfg(feature = "monitor")]
    pub(crate) fn is_granted(&self) -> bool {
        self.request.is_granted()
    }

    /// As [`Request::is_queued`].
    pub(crate) fn is_queued(&self, core: &Core) -> bool {
        self.request.is_queued(core)
    }

    /// As [`Request::cancel`].
    pub(crate) fn cancel(&mut self, core: &Core) {
        self.request.cancel(core);
    }

    /// As [`Request::fmt_as`].
    pub(crate) fn fmt_as(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("permits", &self.request.permits)
            .field("more", &self.more)
            .field("state", &self.request.stage)
            .finish_non_exhaustive()
    }
}
