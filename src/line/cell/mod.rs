//! One cell of the line: a state word, and the waker that it guards.
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
//!    | deliver, close,         '-- leave: RETURN(s) - deliver: s units go back; close -> GONE
//!    v  join behind
//!  SKIPPED                      DONE, VOID, SKIPPED -- finish (owner of the place) ----> GONE
//! ```
//!
//! Each arrow from AWAKE also starts at PARKED. `OPEN(c)` may lose its units to a closer, a
//! deliverer, a joiner behind, or one who lowers the limit. A deliverer may put the LOOK mark on it, which tells its owner to
//! look in front before it joins. DONE, VOID and SKIPPED are final for the line, and wait for their
//! owner to see them. GONE is final for all (I2).
//!
//! This file has the steps of deliverers, closers, joiners behind, those who lower the limit, and
//! carriers of the WATCH mark.
//! `waiter.rs` has those of the place's owner.

#![expect(unsafe_code, reason = "turns the two words in the slot back into the waker they were")]

mod outcome;
mod slot;
mod state;
mod waiter;

use core::task::Waker;

pub(super) use self::outcome::{Finish, Published, Visited};
pub(crate) use self::outcome::{Registered, Seen, Vacated, Verdict};
use self::slot::WakerSlot;
use self::state::{MOST_LEFT, Tag, Word};
use crate::sync::probe::alive;
use crate::sync::{AtomicU64, SeqCst, const_fn};

/// One place in the line.
#[derive(Debug)]
pub(super) struct Cell {
    state: AtomicU64,
    slot: WakerSlot,
}

impl Cell {
    const_fn! {
        /// `OPEN(0)`.
        pub(super) const fn new(watched: bool) -> Self {
            Self { state: AtomicU64::new(Word::fresh(watched).0), slot: WakerSlot::new() }
        }
    }

    #[inline]
    fn load(&self) -> Word {
        // ORDERING: SeqCst. Acquire pairs with `change`: the writes before it are seen, among them
        // the waker's words under PARKED. The total order is for pair D1 in the README: "reserve,
        // or shut, then read the cells".
        Word(alive(self.state.load(SeqCst)))
    }

    /// Changes the state if it is still `from`, and takes the waker out if that leaves PARKED (I4).
    #[inline(always)]
    fn change(&self, from: Word, to: Word) -> Result<Option<Waker>, Word> {
        let leaves = from.tag() == Tag::Parked && to.tag() != Tag::Parked;
        // Read before the change: after it the cell may be finished and freed.
        let parts = if leaves { Some(self.slot.read()) } else { None };
        // ORDERING: SeqCst. AcqRel pairs with `load` and every other change: what was done under
        // units that come together here happens before their grant; and the thread that finishes
        // the cell has seen all that carriers of its WATCH mark saw. The total order is for D1:
        // "leave units in an OPEN cell, then read the tail". Failure: SeqCst, as `load`.
        match self.state.compare_exchange(from.0, to.0, SeqCst, SeqCst) {
            // SAFETY: I4: the parts were published with the word `from`, and only one change takes
            // the cell from that word.
            Ok(_) => Ok(parts.map(|parts| unsafe { parts.into_waker() })),
            Err(now) => Err(Word(alive(now))),
        }
    }

    /// Changes the state to what `next` makes of it. If another thread was first, `next` is asked
    /// again. `Ok` has the state before, and the waker if that was PARKED and the new one is not.
    /// `Err` has the state for which `next` returned `None`.
    fn update(&self, next: impl Fn(Word) -> Option<Word>) -> Result<(Word, Option<Waker>), Word> {
        let mut from = self.load();
        loop {
            let Some(to) = next(from) else { return Err(from) };
            match self.change(from, to) {
                Ok(waker) => return Ok((from, waker)),
                Err(now) => from = now,
            }
        }
    }

    /// Whether nobody has published here.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.load().tag() == Tag::Open
    }

    /// Whether nothing is delivered here any more.
    #[inline]
    pub(super) fn is_satisfied(&self) -> bool {
        self.load().is_satisfied()
    }

    /// Delivers up to `units` here.
    ///
    /// Transition: `PARKED(r), AWAKE(r) -> DONE` (deliverer, who then has the waker) or the same
    /// with `r - units`; `RETURN(s) -> GONE` or `RETURN(s - units)`.
    pub(super) fn deliver(&self, units: u64) -> Visited {
        let delivered = self.update(|word| match word.tag() {
            // All that is needed here.
            Tag::Parked | Tag::Awake if units >= word.units().into() => Some(word.to(Tag::Done, 0)),
            Tag::Return if units >= word.units().into() => Some(word.to(Tag::Gone, 0)),
            Tag::Parked | Tag::Awake | Tag::Return if units > 0 =>
            {
                #[expect(clippy::cast_possible_truncation, reason = "fewer than a `u32`")]
                Some(word.with_units(word.units() - units as u32))
            }
            _ => None,
        });
        match delivered {
            Ok((from, _)) if from.tag() == Tag::Return => {
                let expected = u64::from(from.units());
                let finish = (units >= expected).then(|| Finish::of(from));
                Visited::Returned { units: units.min(expected), finish }
            }
            Ok((from, _)) if units < from.units().into() => Visited::Short,
            Ok((from, waker)) => Visited::Served { took: from.units(), waker },
            Err(word) if word.tag() == Tag::Open => Visited::Open,
            Err(word) if word.is_satisfied() => Visited::Satisfied,
            Err(_) => Visited::Short,
        }
    }

    /// One attempt at [`Cell::deliver`], if a waiter sleeps here that needs exactly `units`;
    /// otherwise nothing was done.
    ///
    /// Transition: `PARKED(units) -> DONE` (deliverer, who then has the waker).
    #[inline]
    pub(super) fn deliver_all(&self, units: u64) -> Option<Waker> {
        let word = self.load();
        if word.tag() != Tag::Parked || u64::from(word.units()) != units {
            return None;
        }
        self.change(word, word.to(Tag::Done, 0)).unwrap_or_default()
    }

    /// Refuses the waiter here, as the line is closed, or ends a RETURN: its units will come to the
    /// end of the line, and are given back there.
    ///
    /// Transition: `PARKED(r), AWAKE(r) -> VOID(r)` (closer, who then has the waker);
    /// `RETURN(s) -> GONE`.
    pub(super) fn void(&self) -> Visited {
        let voided = self.update(|word| match word.tag() {
            Tag::Parked | Tag::Awake => Some(word.to(Tag::Void, word.units())),
            Tag::Return => Some(word.to(Tag::Gone, 0)),
            _ => None,
        });
        match voided {
            Ok((from, _)) if from.tag() == Tag::Return => {
                Visited::Returned { units: 0, finish: Some(Finish::of(from)) }
            }
            Ok((_, waker)) => Visited::Served { took: 0, waker },
            Err(word) if word.tag() == Tag::Open => Visited::Open,
            Err(_) => Visited::Satisfied,
        }
    }

    /// Leaves `units` for the owner of an OPEN cell, or as many as there is room for. Says how
    /// many, or `None` if the cell is not OPEN any more.
    ///
    /// Transition: `OPEN(c) -> OPEN(c + units)` (deliverer).
    pub(super) fn leave_units(&self, units: u64) -> Option<u64> {
        let fit = |left: u64| units.min(MOST_LEFT - left);
        let to = |word: Word| word.with_units_left(word.units_left() + fit(word.units_left()));
        self.update_open(to).map(fit)
    }

    /// Takes the units that were left in an OPEN cell. If it is reserved, skips it: its owner will
    /// reserve another. `None` if the cell is not OPEN any more.
    ///
    /// Transition: `OPEN(c) -> SKIPPED`, or `OPEN(0)` if not reserved (deliverer, closer, joiner
    /// behind).
    pub(super) fn take_units(&self, reserved: bool) -> Option<u64> {
        let taken = |word: Word| {
            if reserved { word.to(Tag::Skipped, 0) } else { word.with_units_left(0) }
        };
        self.update_open(taken)
    }

    /// Takes up to `units` of those that were left in an OPEN cell, and says how many. `None` if the
    /// cell is not OPEN any more.
    ///
    /// Transition: `OPEN(c) -> OPEN(c - units)` (who lowers the limit).
    pub(super) fn take_back(&self, units: u64) -> Option<u64> {
        let taken = |left: u64| units.min(left);
        let to = |word: Word| word.with_units_left(word.units_left() - taken(word.units_left()));
        self.update_open(to).map(taken)
    }

    /// Tells the owner of an OPEN cell to look in front before it publishes, as units were left
    /// there. `false` if the cell is not OPEN any more.
    ///
    /// Transition: `OPEN(c) -> OPEN(c), LOOK` (deliverer).
    pub(super) fn tell_to_look(&self) -> bool {
        self.update_open(|word| word.with_look(true)).is_some()
    }

    /// The units in an OPEN cell; `None` if it is not OPEN.
    pub(super) fn units_left(&self) -> Option<u64> {
        let word = self.load();
        if word.tag() == Tag::Open { Some(word.units_left()) } else { None }
    }

    /// Changes an OPEN cell, and says how many units lay there before; `None` if it is not OPEN.
    fn update_open(&self, to: impl Fn(Word) -> Word) -> Option<u64> {
        let open = |word: Word| if word.tag() == Tag::Open { Some(to(word)) } else { None };
        self.update(open).ok().map(|(from, _)| from.units_left())
    }

    #[inline]
    pub(super) fn is_gone(&self) -> bool {
        self.load().tag() == Tag::Gone
    }

    /// Puts the WATCH mark on this cell; `false` if it is GONE.
    ///
    /// Transition: any but `GONE` to the same, watched (carrier of the mark).
    pub(super) fn watch(&self) -> bool {
        let watched =
            |word: Word| if word.tag() == Tag::Gone { None } else { Some(word.watched()) };
        self.update(watched).is_ok()
    }

    /// Takes the waker that a forgotten future left here, when the line is dropped.
    pub(super) fn clear(&self) -> Option<Waker> {
        let word = self.load();
        self.change(word, word.to(Tag::Gone, 0)).ok()?
    }

    /// Poisons it: the tests' way to free.
    #[cfg(test)]
    pub(super) fn poison(&mut self) {
        crate::sync::poison!(self.state);
        self.slot.poison();
    }
}
