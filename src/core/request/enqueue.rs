//! Asking before the first poll.

use core::task::{Context, Poll, Waker};

use super::{Request, Stage};
use crate::core::Core;
use crate::core::balance::check_permits;
use crate::line::Verdict;

impl Request {
    /// Asks for the permits, as the first poll does. Does nothing if that was done before.
    ///
    /// There is no task to wake yet. So it waits with a waker that does nothing, and the next poll
    /// registers its own, as it does instead of any other. What the request is granted meanwhile is
    /// kept in its cell, or as its stage, until that poll or [`Request::cancel`].
    #[track_caller]
    pub(crate) fn enqueue(&mut self, core: &Core) {
        if self.stage != Stage::New {
            return;
        }
        check_permits(self.permits as usize);
        let answer = match core.balance.take(self.permits) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(seen) => self.wait(core, seen, &mut Context::from_waker(Waker::noop())),
        };
        match answer {
            Poll::Ready(Ok(())) => self.stage = Stage::Granted,
            Poll::Ready(Err(_)) => self.stage = Stage::Refused,
            // It has its place. Or tokio's budget is used up; then the answer is kept already.
            Poll::Pending => {}
        }
    }

    /// Whether it waits in the line, and was neither granted nor refused yet.
    pub(crate) fn is_queued(&self, core: &Core) -> bool {
        match &self.place {
            // The closer may not have come to this place yet.
            Some(place) => matches!(place.check(), Verdict::Waiting(_)) && !core.is_closed(),
            None => false,
        }
    }
}
