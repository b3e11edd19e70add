//! Whose request is next: deficit round robin (M. Shreedhar and G. Varghese, 1995) among the keys that wait.
//!
//! The keys that wait form a ring. When the turn comes to a key, its *deficit* grows by its weight. As long as the deficit
//! covers the first request in the key's line, that is next, and the deficit shrinks by its permits. Then the turn goes on,
//! and what is left of the deficit is kept, so that a request for more than the weight is covered some rounds later. A key
//! that leaves the ring loses its deficit.
//!
//! - A request that is next waits until all its permits are free, and nobody is served before it. So a large request cannot
//!   starve.
//! - A key that is at its ceiling is not in the ring, and keeps nobody waiting.
//! - What was saved for a request that is given up goes with it. Otherwise, a key could ask for much, give that up, and have the
//!   small requests behind it served in one turn.
//!
//! All this is plain data behind the lock of the pool: it runs no code of users.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::mem;
use core::task::Waker;

/// Names a key as long as it is in use.
pub(super) type Id = usize;

/// Names a request; those of one key are served in the order of their tickets.
pub(super) type Ticket = u64;

/// What was settled for a key when it came into use.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    pub(super) weight: u32,
    pub(super) ceiling: usize,
}

/// Permits that are held and waited for.
#[derive(Clone, Copy, Default)]
pub(super) struct Totals {
    pub(super) held: usize,
    /// More than a `usize` has on 32 bits, if many wait for all.
    pub(super) queued: u64,
}

/// The pool's permits, and who waits for them.
pub(super) struct Turns {
    free: usize,
    queued: u64,
    is_closed: bool,
    /// The keys that hold permits, or wait.
    accounts: BTreeMap<Id, Account>,
    /// By when they came to the ring, or had their last turn.
    ring: BTreeMap<u64, Id>,
    /// Requests that were granted, and do not know it yet.
    granted: BTreeSet<Ticket>,
    next: u64,
}

struct Account {
    terms: Terms,
    totals: Totals,
    line: BTreeMap<Ticket, Waiter>,
    deficit: u64,
    /// Where it is in the ring. It is not there if it does not wait, or is at its ceiling.
    place: Option<u64>,
    /// Whether its deficit has grown for this turn.
    has_turn: bool,
}

struct Waiter {
    permits: u32,
    waker: Waker,
}

/// What has become of a request.
pub(super) enum Outcome {
    Granted,
    Refused,
    Waits,
}

impl Account {
    fn new(terms: Terms) -> Self {
        let (totals, line) = (Totals::default(), BTreeMap::new());
        Self { terms, totals, line, deficit: 0, place: None, has_turn: false }
    }

    /// How many permits its first request needs.
    fn need(&self) -> Option<u32> {
        self.line.first_key_value().map(|(_, waiter)| waiter.permits)
    }

    fn is_below_ceiling_with(&self, permits: u32) -> bool {
        self.totals.held + permits as usize <= self.terms.ceiling
    }

    /// Another request may have become the first: lowers the deficit to what it could be if that had been the first before.
    fn save_for_first(&mut self) {
        let below = u64::from(self.need().unwrap_or(0)).saturating_sub(1);
        let turn = if self.has_turn { u64::from(self.terms.weight) } else { 0 };
        self.deficit = self.deficit.min(below + turn);
    }

    /// How many more rounds must pass before its first request is covered.
    fn rounds(&self) -> u64 {
        let missing = u64::from(self.need().unwrap_or(0)).saturating_sub(self.deficit);
        missing.div_ceil(u64::from(self.terms.weight))
    }
}

impl Turns {
    pub(super) const fn new(permits: usize) -> Self {
        Self {
            free: permits,
            queued: 0,
            is_closed: false,
            accounts: BTreeMap::new(),
            ring: BTreeMap::new(),
            granted: BTreeSet::new(),
            next: 0,
        }
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.is_closed
    }

    pub(super) const fn queued(&self) -> u64 {
        self.queued
    }

    /// What of the pool nobody waits for.
    pub(super) fn available(&self) -> usize {
        if self.ring.is_empty() { self.free } else { 0 }
    }

    pub(super) fn totals(&self, id: Id) -> Totals {
        self.accounts.get(&id).map(|account| account.totals).unwrap_or_default()
    }

    const fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Takes permits, if nobody waits who could use them and nobody of the same key waits.
    pub(super) fn try_take(&mut self, id: Id, terms: Terms, permits: u32) -> bool {
        let (held, waits) = self
            .accounts
            .get(&id)
            .map_or((0, false), |account| (account.totals.held, !account.line.is_empty()));
        let permits_fit = permits as usize <= self.available();
        let fits = permits_fit && held + permits as usize <= terms.ceiling;
        let takes = fits && !(waits && permits > 0);
        if takes && permits > 0 {
            self.free -= permits as usize;
            let account = self.accounts.entry(id).or_insert_with(|| Account::new(terms));
            account.totals.held += permits as usize;
        }
        takes
    }

    /// Adds a request to the end of its key's line.
    pub(super) fn join(&mut self, id: Id, terms: Terms, permits: u32, waker: Waker) -> Ticket {
        let ticket = self.number();
        let account = self.accounts.entry(id).or_insert_with(|| Account::new(terms));
        account.line.insert(ticket, Waiter { permits, waker });
        account.totals.queued += u64::from(permits);
        self.queued += u64::from(permits);
        self.enter(id);
        // Finds out whose turn it is. Nobody can be served by this: who is next waits for permits, and a request that need
        // not wait does not come here.
        let mut woken = Vec::new();
        self.serve(&mut woken);
        debug_assert!(woken.is_empty(), "a request that joins gives nothing to anybody");
        ticket
    }

    /// What has become of a request. If it waits, `waker` is exchanged with the one that is woken.
    pub(super) fn look(&mut self, id: Id, ticket: Ticket, waker: &mut Waker) -> Outcome {
        if self.granted.remove(&ticket) {
            return Outcome::Granted;
        }
        let account = self.accounts.get_mut(&id);
        match account.and_then(|account| account.line.get_mut(&ticket)) {
            Some(waiter) => {
                mem::swap(&mut waiter.waker, waker);
                Outcome::Waits
            }
            // Closing has taken it out.
            None => Outcome::Refused,
        }
    }

    /// Takes a request out, which may have been granted. What is woken is in `woken`; the waker that was not needed is
    /// returned.
    pub(super) fn leave(
        &mut self,
        id: Id,
        ticket: Ticket,
        permits: u32,
        woken: &mut Vec<Waker>,
    ) -> Option<Waker> {
        if self.granted.remove(&ticket) {
            self.release(id, permits as usize, woken);
            return None;
        }
        let account = self.accounts.get_mut(&id)?;
        let waiter = account.line.remove(&ticket)?;
        account.totals.queued -= u64::from(permits);
        account.save_for_first();
        self.queued -= u64::from(permits);
        self.settle(id);
        self.serve(woken);
        Some(waiter.waker)
    }

    /// Takes permits back.
    pub(super) fn release(&mut self, id: Id, permits: usize, woken: &mut Vec<Waker>) {
        self.free += permits;
        if let Some(account) = self.accounts.get_mut(&id) {
            account.totals.held -= permits;
        }
        self.settle(id);
        self.serve(woken);
    }

    /// Refuses all who wait, and returns whom to wake.
    pub(super) fn close(&mut self) -> Vec<Waker> {
        self.is_closed = true;
        self.queued = 0;
        self.ring.clear();
        let mut woken = Vec::new();
        self.accounts.retain(|_, account| {
            woken.extend(mem::take(&mut account.line).into_values().map(|waiter| waiter.waker));
            account.totals.queued = 0;
            account.place = None;
            account.totals.held > 0
        });
        woken
    }

    /// Brings a key to the ring if it waits there from now on.
    fn enter(&mut self, id: Id) {
        let number = self.number();
        let Some(account) = self.accounts.get_mut(&id) else { return };
        let waits = account.need().is_some_and(|need| account.is_below_ceiling_with(need));
        if waits && account.place.is_none() {
            account.place = Some(number);
            self.ring.insert(number, id);
        }
    }

    /// Draws the consequences for a key of whose line or permits something is gone.
    fn settle(&mut self, id: Id) {
        let Some(account) = self.accounts.get_mut(&id) else { return };
        if account.line.is_empty() {
            self.exit(id);
        } else {
            self.enter(id);
        }
    }

    /// Takes a key out of the ring. Forgets it if it has nothing.
    fn exit(&mut self, id: Id) {
        let Some(account) = self.accounts.get_mut(&id) else { return };
        if let Some(place) = account.place.take() {
            self.ring.remove(&place);
        }
        (account.deficit, account.has_turn) = (0, false);
        if account.totals.held == 0 && account.line.is_empty() {
            self.accounts.remove(&id);
        }
    }

    /// Grants requests, as long as the one that is next can have its permits.
    fn serve(&mut self, woken: &mut Vec<Waker>) {
        // How many turns have gone by since something was granted.
        let mut passed = 0;
        while let Some((&place, &id)) = self.ring.first_key_value() {
            let number = self.number();
            let Some(account) = self.accounts.get_mut(&id) else { unreachable!("it waits") };
            let Some(need) = account.need() else { unreachable!("it waits") };
            if !account.is_below_ceiling_with(need) {
                self.exit(id);
                passed = 0;
                continue;
            }
            if !account.has_turn {
                account.has_turn = true;
                account.deficit += u64::from(account.terms.weight);
            }
            if account.deficit >= u64::from(need) {
                if self.free < need as usize {
                    return;
                }
                let Some((ticket, waiter)) = account.line.pop_first() else { unreachable!() };
                self.free -= need as usize;
                self.queued -= u64::from(need);
                account.deficit -= u64::from(need);
                account.totals.held += need as usize;
                account.totals.queued -= u64::from(need);
                self.granted.insert(ticket);
                woken.push(waiter.waker);
                self.settle(id);
                passed = 0;
                continue;
            }
            account.has_turn = false;
            account.place = Some(number);
            self.ring.remove(&place);
            self.ring.insert(number, id);
            passed += 1;
            if passed == self.ring.len() {
                // Nobody is covered after a whole round. Of the rounds to come, all but the last would be the same.
                self.skip_rounds();
                passed = 0;
            }
        }
    }

    /// Lets rounds pass at once, up to the one in which the first request is covered.
    fn skip_rounds(&mut self) {
        let in_ring = self.ring.values().filter_map(|id| self.accounts.get(id));
        let rounds = in_ring.map(Account::rounds).min().unwrap_or(0).saturating_sub(1);
        for id in self.ring.values() {
            if let Some(account) = self.accounts.get_mut(id) {
                account.deficit += rounds * u64::from(account.terms.weight);
            }
        }
    }
}
