//! One place in the line: a state word, and the waker that it guards.
//!
//! ```text
//!          join: PARKED(n - c)          deliver: PARKED(r - d)
//!   OPEN(c) -----------------> PARKED(r) ------------------.      deliver: the last unit
//!    | | |  c units left here   | |  ^                     |----------------------> DONE
//!    | | |  by deliver  re-poll | |  | re-registered       |       (deliverer wakes)
//!    | | |  (waiter)            v |  |                     |
//!    | | '-----------------> AWAKE(r) ---------------------'       close
//!    | |  join, no waker       |  | '-------------------------------------------> VOID(r)
//!    | | join: c >= n          |  '-- leave, nothing on its way -----> GONE    (closer wakes)
//!    | '--------> GONE         |
//!    | deliver, close          '-- leave: SINK(s) -- deliver: s units vanish; close --> GONE
//!    v
//!  SKIPPED                      DONE, VOID, SKIPPED -- finish (owner of the place) ----> GONE
//! ```
//!
//! PARKED goes wherever AWAKE goes; `OPEN(c)` may lose its units to a closer or deliverer, and
//! get a mark by which a deliverer tells its owner to look in front before it joins. DONE, VOID and
//! SKIPPED are final for the line, and wait for their owner to look; GONE for all (I2).

#![expect(unsafe_code, reason = "turns the two words in the slot back into the waker they were")]

use core::task::Waker;

use super::outcome::{Finish, Look, Published, Vacated, Visited, Waiting};
use super::slot::{RawParts, Slot};
use super::state::{LAST_VERSION, MOST_LEFT, Tag, Word};
use crate::sync::{AcqRel, Acquire, AtomicU64, Relaxed, SeqCst, const_fn};

/// One place in the line.
#[derive(Debug)]
pub(super) struct Cell {
    state: AtomicU64,
    slot: Slot,
}

impl Cell {
    const_fn! {
        /// `OPEN(0)`.
        pub(super) const fn new(watched: bool) -> Self {
            Self { state: AtomicU64::new(Word::fresh(watched).0), slot: Slot::new() }
        }
    }

    /// `OPEN(0)` again, in a segment that nobody else has.
    pub(super) fn renew(&self, watched: bool) {
        // ORDERING: Relaxed. Nobody else is there.
        self.state.store(Word::fresh(watched).0, Relaxed);
    }

    #[inline]
    fn load(&self) -> Word {
        // ORDERING: SeqCst. Acquire pairs with `change`: its maker's writes are seen, among them
        // the waker's words under PARKED. The total order is for pair D1 in the README: "reserve,
        // or shut, then read the cells".
        Word(self.state.load(SeqCst))
    }

    /// Changes the state from the very word seen.
    #[inline]
    fn change(&self, from: Word, to: Word) -> Result<(), Word> {
        // ORDERING: SeqCst. AcqRel pairs with `load` and every other change: what was done under
        // units that come together here happens before their grant. The total order is for D1:
        // "leave units in an OPEN cell, then read the tail". Failure: SeqCst, as `load`.
        match self.state.compare_exchange(from.0, to.0, SeqCst, SeqCst) {
            Ok(_) => Ok(()),
            Err(now) => Err(Word(now)),
        }
    }

    /// Changes the state, and takes the waker if there was one.
    #[inline]
    fn claim(&self, from: Word, to: Word) -> Result<Option<Waker>, Word> {
        if from.tag() == Tag::Parked {
            self.claim_waker(from, to).map(Some)
        } else {
            self.change(from, to).map(|()| None)
        }
    }

    /// Changes the state from PARKED, and takes the waker.
    #[inline]
    fn claim_waker(&self, parked: Word, to: Word) -> Result<Waker, Word> {
        debug_assert_eq!(parked.tag(), Tag::Parked);
        // Read before the change: after it the cell may be finished and freed.
        let parts = self.slot.read();
        self.change(parked, to)?;
        // SAFETY: I4: the parts are those that were published under this very word and forgotten,
        // and only one change leaves it.
        Ok(unsafe { parts.into_waker() })
    }

    /// Whether nobody has published here.
    pub(super) fn is_open(&self) -> bool {
        self.units_left().is_some()
    }

    /// Whether the line has nothing to do here any more.
    pub(super) fn is_satisfied(&self) -> bool {
        self.load().is_satisfied()
    }

    /// The owner of the place asks for `units`, as a waiter that is running, or with a waker, which
    /// is the slot's if this returns [`Published::Waiting`].
    ///
    /// Transition: `OPEN(c) -> PARKED(units - c)`, `AWAKE(units - c)` or `GONE` (waiter), but
    /// `OPEN(c), LOOK -> OPEN(c)`; otherwise the cell was SKIPPED meanwhile (deliverer, closer).
    pub(super) fn publish(&self, units: u32, waker: Option<&Waker>) -> Published {
        let tag = match waker {
            Some(waker) => {
                self.slot.fill(RawParts::of(waker));
                Tag::Parked
            }
            None => Tag::Awake,
        };
        let mut word = self.load();
        while word.tag() == Tag::Open {
            let left = word.units_left();
            let changed = match u32::try_from(left) {
                _ if word.is_to_look() => {
                    self.change(word, word.with_look(false)).map(|()| Published::Look)
                }
                Ok(left) if left < units => {
                    self.change(word, word.to(tag, units - left)).map(|()| Published::Waiting)
                }
                _ => self.change(word, word.to(Tag::Gone, 0)).map(|()| Published::Granted {
                    over: left - u64::from(units),
                    finish: Finish::of(word),
                }),
            };
            match changed {
                Ok(published) => return published,
                Err(now) => word = now,
            }
        }
        debug_assert_eq!(word.tag(), Tag::Skipped, "somebody else published here");
        Published::Skipped
    }

    /// [`Cell::publish`] in a cell that is as it was made by [`Cell::new`]; otherwise `false`.
    ///
    /// Transition: `OPEN(0) -> PARKED(units)` (waiter).
    #[inline]
    pub(super) fn publish_afresh(&self, watched: bool, units: u32, waker: &Waker) -> bool {
        self.slot.fill(RawParts::of(waker));
        let fresh = Word::fresh(watched);
        self.change(fresh, fresh.to(Tag::Parked, units)).is_ok()
    }

    /// Hands up to `units` to whoever stands here.
    ///
    /// Transition: `PARKED(r), AWAKE(r) -> DONE` (deliverer, whose the waker then is) or the same
    /// with `r - units`; `SINK(s) -> GONE` or `SINK(s - units)`. Otherwise somebody else changed
    /// the cell, and it looks again.
    #[inline]
    pub(super) fn deliver(&self, units: u64) -> Visited {
        let word = self.load();
        // Mostly the one at the head sleeps, and has all by this.
        if word.tag() == Tag::Parked && units >= word.units().into() {
            if let Ok(waker) = self.claim_waker(word, word.to(Tag::Done, 0)) {
                return Visited::Ended { took: word.units(), waker: Some(waker) };
            }
        }
        self.deliver_in_any_state(units)
    }

    #[cold]
    fn deliver_in_any_state(&self, units: u64) -> Visited {
        let mut word = self.load();
        loop {
            let missing = word.units();
            let changed = match word.tag() {
                Tag::Parked | Tag::Awake if units >= missing.into() => self
                    .claim(word, word.to(Tag::Done, 0))
                    .map(|waker| Visited::Ended { took: missing, waker }),
                Tag::Sink if units >= missing.into() => self.fill(word),
                Tag::Parked | Tag::Awake | Tag::Sink => self.fill_up(word, units),
                Tag::Open => return Visited::Open,
                Tag::Done | Tag::Skipped | Tag::Void | Tag::Gone => return Visited::Satisfied,
            };
            match changed {
                Ok(visited) => return visited,
                Err(now) => word = now,
            }
        }
    }

    /// [`Cell::deliver`] where whoever stands here sleeps, and misses just so many; otherwise `None`.
    ///
    /// Transition: `PARKED(units) -> DONE` (deliverer, whose the waker then is).
    #[inline]
    pub(super) fn deliver_at_once(&self, units: u64) -> Option<Waker> {
        let word = self.load();
        if word.tag() != Tag::Parked || u64::from(word.units()) != units {
            return None;
        }
        self.claim_waker(word, word.to(Tag::Done, 0)).ok()
    }

    /// Fewer units than are missing, for [`Cell::deliver`].
    fn fill_up(&self, from: Word, units: u64) -> Result<Visited, Word> {
        if units > 0 {
            #[expect(clippy::cast_possible_truncation, reason = "fewer than a `u32`")]
            self.change(from, from.with_units(from.units() - units as u32))?;
        }
        Ok(Visited::Short)
    }

    /// `SINK(s) -> GONE`, for [`Cell::deliver`] and [`Cell::void`].
    fn fill(&self, sink: Word) -> Result<Visited, Word> {
        self.change(sink, sink.to(Tag::Gone, 0))?;
        Ok(Visited::Filled { took: sink.units(), finish: Finish::of(sink) })
    }

    /// Takes away the claim of whoever stands here: the line is closed.
    ///
    /// Transition: `PARKED(r), AWAKE(r) -> VOID(r)` (closer, whose the waker then is);
    /// `SINK(s) -> GONE`, where `took` says how many units are not to be waited for.
    pub(super) fn void(&self) -> Visited {
        let mut word = self.load();
        loop {
            let changed = match word.tag() {
                Tag::Parked | Tag::Awake => self
                    .claim(word, word.to(Tag::Void, word.units()))
                    .map(|waker| Visited::Ended { took: 0, waker }),
                Tag::Sink => self.fill(word),
                Tag::Open => return Visited::Open,
                Tag::Done | Tag::Skipped | Tag::Void | Tag::Gone => return Visited::Satisfied,
            };
            match changed {
                Ok(visited) => return visited,
                Err(now) => word = now,
            }
        }
    }

    /// Leaves `units` for whoever will publish here, or as many as there is room for, and says how many;
    /// `None` if the cell is not OPEN any more.
    ///
    /// Transition: `OPEN(c) -> OPEN(c + units)` (deliverer).
    pub(super) fn leave_units(&self, units: u64) -> Option<u64> {
        let fit = |left: u64| units.min(MOST_LEFT - left);
        let to = |word: Word| word.with_units_left(word.units_left() + fit(word.units_left()));
        self.change_open(to).map(fit)
    }

    /// Takes the units that were left here, and the place with them if it was given out: its owner
    /// will take another. `None` if the cell is not OPEN any more.
    ///
    /// Transition: `OPEN(c) -> SKIPPED`, or `OPEN(0)` if not given out (deliverer, closer).
    pub(super) fn take_units(&self, given_out: bool) -> Option<u64> {
        let taken = |word: Word| {
            if given_out { word.to(Tag::Skipped, 0) } else { word.with_units_left(0) }
        };
        self.change_open(taken)
    }

    /// Tells whoever reserved the place to look in front before it publishes: something was left there
    /// just now. `false` if the cell is not OPEN any more.
    ///
    /// Transition: `OPEN(c) -> OPEN(c), LOOK` (deliverer).
    pub(super) fn tell_to_look(&self) -> bool {
        self.change_open(|word| word.with_look(true)).is_some()
    }

    /// The units that lie here unclaimed; `None` if the cell is not OPEN.
    pub(super) fn units_left(&self) -> Option<u64> {
        let word = self.load();
        (word.tag() == Tag::Open).then(|| word.units_left())
    }

    fn change_open(&self, to: impl Fn(Word) -> Word) -> Option<u64> {
        let mut word = self.load();
        while word.tag() == Tag::Open {
            match self.change(word, to(word)) {
                Ok(()) => return Some(word.units_left()),
                Err(now) => word = now,
            }
        }
        None
    }

    /// The waiter looks whether it has all.
    #[inline]
    pub(super) fn is_granted(&self) -> bool {
        self.load().tag() == Tag::Done
    }

    /// The waiter looks.
    #[inline]
    pub(super) fn look(&self) -> Look {
        let word = self.load();
        if word.is_waiting() {
            Look::Waiting(Waiting(word))
        } else if word.tag() == Tag::Done {
            Look::Granted
        } else {
            debug_assert_eq!(word.tag(), Tag::Void, "it is not a waiter that looks");
            Look::Closed { missing: word.units() }
        }
    }

    /// The waiter looks, and if there is nothing yet, `waker` is whom to wake.
    ///
    /// Transition: `PARKED(r) -> AWAKE(r) -> PARKED(r)` with the next version (waiter), unless the
    /// same waker is there already; otherwise somebody delivered or closed, and it looks again.
    ///
    /// Versions must not repeat. A slot that was refilled 2^28 - 1 times is not refilled again:
    /// the waiter stays AWAKE, and is woken at once to come and look.
    pub(super) fn register(&self, waker: &Waker) -> Look {
        let mut word = self.load();
        if word.tag() == Tag::Awake {
            waker.wake_by_ref();
        }
        if word.tag() != Tag::Parked || self.slot.read() == RawParts::of(waker) {
            return self.look();
        }
        // User code, in a consistent state: what it did is seen by the changes below. From here on
        // `new` and `_old` are dropped, user code again, by returning.
        let new = waker.clone();
        let version = word.version();
        let _old = loop {
            if word.tag() != Tag::Parked {
                return self.look();
            }
            match self.claim(word, word.to(Tag::Awake, word.units())) {
                Ok(old) => break old,
                Err(now) => word = now,
            }
        };
        if version == LAST_VERSION {
            waker.wake_by_ref();
            return self.look();
        }
        self.slot.fill(RawParts::of(&new));
        word = self.load();
        while word.tag() == Tag::Awake {
            let parked = word.to(Tag::Parked, word.units()).with_version(version + 1);
            match self.change(word, parked) {
                Ok(()) => {
                    // The slot owns it now.
                    core::mem::forget(new);
                    return Look::Waiting(Waiting(parked));
                }
                Err(now) => word = now,
            }
        }
        self.look()
    }

    /// The waiter goes, having taken the units off the books that it saw missing, of which
    /// `swallow` come here all the same.
    ///
    /// Transition: `PARKED(r), AWAKE(r) -> SINK(s)` where `s` units are still to come, otherwise
    /// `-> GONE`; `DONE, VOID(r) -> GONE` (waiter).
    pub(super) fn vacate(&self, seen: Waiting, swallow: u32) -> Vacated {
        let mut word = self.load();
        loop {
            debug_assert!(word.is_waiting() || matches!(word.tag(), Tag::Done | Tag::Void));
            // DONE misses nothing.
            let arrived = seen.missing() - word.units();
            let changed = if arrived < swallow && word.is_waiting() {
                self.claim(word, word.to(Tag::Sink, swallow - arrived)).map(|waker| Vacated {
                    over: 0,
                    finish: None,
                    waker,
                })
            } else {
                self.claim(word, word.to(Tag::Gone, 0)).map(|waker| Vacated {
                    over: i64::from(arrived) - i64::from(swallow),
                    finish: Some(Finish::of(word)),
                    waker,
                })
            };
            match changed {
                Ok(vacated) => return vacated,
                Err(now) => word = now,
            }
        }
    }

    /// [`Cell::vacate`] where nothing is on its way, and nothing has come since; otherwise `None`.
    ///
    /// Transition: `PARKED(r), AWAKE(r) -> GONE` (waiter).
    #[inline]
    pub(super) fn vacate_at_once(&self, seen: Waiting) -> Option<(Finish, Option<Waker>)> {
        let Waiting(word) = seen;
        let waker = self.claim(word, word.to(Tag::Gone, 0)).ok()?;
        Some((Finish::of(word), waker))
    }

    /// The owner of the place has seen its end, and comes back no more.
    ///
    /// Transition: `DONE, VOID(r), SKIPPED -> GONE` (owner). It cannot fail: these states are
    /// final for everybody else, but for the WATCH mark, which it takes along.
    #[inline]
    pub(super) fn finish(&self) -> Finish {
        let gone = Word::fresh(false).to(Tag::Gone, 0);
        // ORDERING: AcqRel. Release pairs with `watch`: who finds the cell gone comes after its
        // owner's last look. Acquire pairs with the same: who takes the mark along has seen all
        // that its carriers saw, and may be the one to free the segment.
        Finish::of(Word(self.state.swap(gone.0, AcqRel)))
    }

    /// Whether nobody comes back.
    #[inline]
    pub(super) fn is_gone(&self) -> bool {
        // ORDERING: Acquire. Pairs with `finish` and `change`: a cell found gone is done with.
        Word(self.state.load(Acquire)).tag() == Tag::Gone
    }

    /// Puts the WATCH mark on this cell; `false` if it is gone.
    ///
    /// Transition: any but `GONE` to the same, watched (carrier of the mark).
    pub(super) fn watch(&self) -> bool {
        // ORDERING: Acquire. Pairs with `finish` and `change`: a cell found gone is done with.
        let mut word = Word(self.state.load(Acquire));
        while word.tag() != Tag::Gone {
            // ORDERING: AcqRel. Pairs with `finish` and `change`: whoever finishes this cell takes
            // the mark over, with all that its carriers saw. Failure: Acquire, as the load above.
            match self.state.compare_exchange(word.0, word.watched().0, AcqRel, Acquire) {
                Ok(_) => return true,
                Err(now) => word = Word(now),
            }
        }
        false
    }

    /// Takes the waker that a forgotten future left here; the line is being dropped.
    pub(super) fn clear(&mut self) -> Option<Waker> {
        let word = self.load();
        self.claim(word, word.to(Tag::Gone, 0)).ok()?
    }

    /// As if the slot had been refilled so often that it may be refilled once more.
    #[cfg(test)]
    pub(super) fn wear_out(&self) {
        let word = self.load();
        self.change(word, word.with_version(LAST_VERSION - 1)).expect("nobody else is there");
    }

    /// The models' way to free: every later use of this cell panics.
    #[cfg(test)]
    pub(super) fn poison(&mut self) {
        crate::tests::memory::overwrite!(self.state, Word::POISON.0);
        self.slot.poison();
    }
}
