//! The lock around the permits, and the wakers that are woken outside of it.

use alloc::vec::Vec;
use core::mem;
use core::task::Waker;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::core::counts::shown;
use crate::error::TryAcquireError;
use crate::partitioned::turns::{Id, Outcome, Terms, Ticket, Turns};
use crate::status::Status;
use crate::wakes::waking;

/// The permits that all keys share.
pub(crate) struct Pool {
    limit: usize,
    turns: Mutex<Turns>,
}

impl Pool {
    pub(super) const fn new(permits: usize) -> Self {
        Self { limit: permits, turns: Mutex::new(Turns::new(permits)) }
    }

    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        // Nothing of the users runs under it, so nobody panics there.
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed()
    }

    pub(super) fn try_take(
        &self,
        id: Id,
        terms: Terms,
        permits: u32,
    ) -> Result<(), TryAcquireError> {
        let mut turns = self.lock();
        if turns.is_closed() {
            Err(TryAcquireError::Closed)
        } else if turns.try_take(id, terms, permits) {
            Ok(())
        } else {
            Err(TryAcquireError::NoPermits)
        }
    }

    /// Asks for permits: takes them, or a place in the line of the key. There, `waker` is exchanged with one that does
    /// nothing.
    pub(super) fn ask(&self, id: Id, terms: Terms, permits: u32, waker: &mut Waker) -> Asked {
        let mut turns = self.lock();
        if turns.is_closed() {
            return Asked::Closed;
        }
        // No permits are always there.
        if permits == 0 || turns.try_take(id, terms, permits) {
            return Asked::Granted;
        }
        let waker = mem::replace(waker, Waker::noop().clone());
        Asked::Waits(turns.join(id, terms, permits, waker))
    }

    /// What has become of a request. If it waits, `waker` is exchanged with the one that is woken.
    pub(super) fn look(&self, id: Id, ticket: Ticket, waker: &mut Waker) -> Outcome {
        self.lock().look(id, ticket, waker)
    }

    /// Gives up a request that was not answered yet.
    pub(super) fn leave(&self, id: Id, ticket: Ticket, permits: u32) {
        let mut woken = Vec::new();
        let left = self.lock().leave(id, ticket, permits, &mut woken);
        waking(|wakes| {
            wakes.run(|| drop(left));
            for waker in woken {
                wakes.run(|| waker.wake());
            }
        });
    }

    pub(super) fn release(&self, id: Id, permits: usize) {
        if permits > 0 {
            let mut woken = Vec::new();
            self.lock().release(id, permits, &mut woken);
            wake(woken);
        }
    }

    pub(super) fn close(&self) {
        let woken = self.lock().close();
        wake(woken);
    }

    pub(super) fn status(&self) -> Status {
        let turns = self.lock();
        let available = turns.available();
        Status {
            name: None,
            limit: self.limit,
            available,
            outstanding: self.limit - available,
            debt: 0,
            queued: shown(turns.queued()),
            is_closed: turns.is_closed(),
        }
    }

    pub(super) fn status_of(&self, id: Id, terms: Terms) -> Status {
        let turns = self.lock();
        let totals = turns.totals(id);
        let limit = terms.ceiling.min(self.limit);
        let available =
            if totals.queued > 0 { 0 } else { turns.available().min(limit - totals.held) };
        Status {
            name: None,
            limit,
            available,
            outstanding: totals.held,
            debt: 0,
            queued: shown(totals.queued),
            is_closed: turns.is_closed(),
        }
    }
}

/// The answer to a request.
pub(super) enum Asked {
    Granted,
    Waits(Ticket),
    Closed,
}

fn wake(woken: Vec<Waker>) {
    waking(|wakes| {
        for waker in woken {
            wakes.run(|| waker.wake());
        }
    });
}
