//! The steps that the owner of a place takes at its cell.

use core::mem;
use core::task::Waker;

use super::Cell;
use super::outcome::{Finish, Published, Registered, Seen, Vacated, Verdict};
use super::slot::RawParts;
use super::state::{LAST_VERSION, Tag, Word};
use crate::sync::AcqRel;
use crate::sync::probe::alive;

impl Cell {
    /// The owner of the place asks for `units`, with a waker, or as a waiter that is running.
    ///
    /// Transition: `OPEN(c) -> PARKED(units - c)`, `AWAKE(units - c)` or `GONE` (waiter), but
    /// `OPEN(c), LOOK -> OPEN(c)`; otherwise the cell was SKIPPED meanwhile (deliverer,
    /// closer, joiner behind).
    pub(in crate::line) fn publish(&self, units: u32, waker: Option<Waker>) -> Published {
        let tag = match &waker {
            Some(waker) => {
                self.slot.fill(RawParts::of(waker));
                Tag::Parked
            }
            None => Tag::Awake,
        };
        let published = self.update(|word| match word.tag() {
            Tag::Open if word.is_to_look() => Some(word.with_look(false)),
            Tag::Open if word.units_left() < units.into() =>
            {
                #[expect(clippy::cast_possible_truncation, reason = "fewer than a `u32`")]
                Some(word.to(tag, units - word.units_left() as u32))
            }
            Tag::Open => Some(word.to(Tag::Gone, 0)),
            _ => None,
        });
        match published {
            Ok((from, _)) if from.is_to_look() => Published::Told(waker),
            Ok((from, _)) if from.units_left() < units.into() => {
                // The slot owns it now.
                mem::forget(waker);
                Published::Waiting
            }
            Ok((from, _)) => Published::Granted {
                over: from.units_left() - u64::from(units),
                finish: Finish::of(from),
                waker,
            },
            Err(word) => {
                debug_assert_eq!(word.tag(), Tag::Skipped, "somebody else published here");
                Published::Skipped(waker)
            }
        }
    }

    /// One attempt at [`Cell::publish`], in a cell that no other thread has changed; otherwise the
    /// waker comes back.
    ///
    /// Transition: `OPEN(0) -> PARKED(units)` (waiter).
    #[inline(always)]
    pub(in crate::line) fn try_publish(
        &self,
        watched: bool,
        units: u32,
        waker: Waker,
    ) -> Result<(), Waker> {
        self.slot.fill(RawParts::of(&waker));
        let fresh = Word::fresh(watched);
        match self.change(fresh, fresh.to(Tag::Parked, units)) {
            Ok(_) => {
                // The slot owns it now.
                mem::forget(waker);
                Ok(())
            }
            Err(_) => Err(waker),
        }
    }

    /// Whether the waiter has all its units.
    #[inline]
    pub(in crate::line) fn is_granted(&self) -> bool {
        self.load().tag() == Tag::Done
    }

    /// Whether the waiter waits on, is granted, or was refused.
    #[inline]
    pub(in crate::line) fn check(&self) -> Verdict {
        let word = self.load();
        if word.is_waiting() {
            Verdict::Waiting(Seen(word))
        } else if word.tag() == Tag::Done {
            Verdict::Granted
        } else {
            debug_assert_eq!(word.tag(), Tag::Void, "it is not a waiter that looks");
            Verdict::Closed { missing: word.units() }
        }
    }

    /// The same as [`Cell::check`]; and if the waiter waits on, `waker` will be woken when that
    /// changes.
    ///
    /// Transition: `PARKED(r) -> AWAKE(r) -> PARKED(r)` with the next version (waiter), unless the
    /// same waker is there already; otherwise the wait is over (deliverer, closer).
    ///
    /// Versions must not repeat (I4). A slot that was refilled 2^28 - 1 times is not refilled
    /// again. The waiter then stays AWAKE, and must be woken at once, so that it polls again.
    pub(in crate::line) fn register(&self, waker: &Waker) -> Registered {
        let word = self.load();
        if word.tag() != Tag::Parked || self.slot.read() == RawParts::of(waker) {
            let wake_now = word.tag() == Tag::Awake;
            return Registered { verdict: self.check(), unused: [None, None], wake_now };
        }
        // User code, in a consistent state. It may change the cell: the changes below see that.
        let new = waker.clone();
        let version = word.version();
        let awake = |word: Word| {
            if word.tag() == Tag::Parked { Some(word.to(Tag::Awake, word.units())) } else { None }
        };
        let Ok((_, old)) = self.update(awake) else {
            let unused = [Some(new), None];
            return Registered { verdict: self.check(), unused, wake_now: false };
        };
        if version == LAST_VERSION {
            let unused = [Some(new), old];
            return Registered { verdict: self.check(), unused, wake_now: true };
        }
        self.slot.fill(RawParts::of(&new));
        let parked = |word: Word| word.to(Tag::Parked, word.units()).with_version(version + 1);
        let park = |word: Word| if word.tag() == Tag::Awake { Some(parked(word)) } else { None };
        let (verdict, new) = match self.update(park) {
            Ok((awake, _)) => {
                // The slot owns it now.
                mem::forget(new);
                (Verdict::Waiting(Seen(parked(awake))), None)
            }
            Err(_) => (self.check(), Some(new)),
        };
        Registered { verdict, unused: [new, old], wake_now: false }
    }

    /// The waiter leaves. It has withdrawn the units that it saw missing from the balance, but for
    /// `on_its_way`, which come here and are to be given back.
    ///
    /// Transition: `PARKED(r), AWAKE(r) -> RETURN(s)` where `s` units are still to come, otherwise
    /// `-> GONE`; `DONE, VOID(r) -> GONE` (waiter).
    pub(in crate::line) fn vacate(&self, seen: Seen, on_its_way: u32) -> Vacated {
        // DONE needs no more units: `word.units()` is zero.
        let arrived = |word: Word| seen.missing() - word.units();
        let to_come = |word: Word| {
            if word.is_waiting() { on_its_way.saturating_sub(arrived(word)) } else { 0 }
        };
        let vacated = self.update(|word| {
            debug_assert!(word.is_waiting() || matches!(word.tag(), Tag::Done | Tag::Void));
            Some(match to_come(word) {
                0 => word.to(Tag::Gone, 0),
                units => word.to(Tag::Return, units),
            })
        });
        let Ok((from, waker)) = vacated else { unreachable!("each state has another") };
        Vacated {
            returned: arrived(from).min(on_its_way),
            owed: arrived(from).saturating_sub(on_its_way),
            finish: (to_come(from) == 0).then(|| Finish::of(from)),
            waker,
        }
    }

    /// One attempt at [`Cell::vacate`], if no unit is on its way, and none has come since the cell
    /// was `seen`; otherwise nothing was done.
    ///
    /// Transition: `PARKED(r), AWAKE(r) -> GONE` (waiter).
    #[inline]
    pub(in crate::line) fn try_vacate(&self, seen: Seen) -> Option<(Finish, Option<Waker>)> {
        let Seen(word) = seen;
        match self.change(word, word.to(Tag::Gone, 0)) {
            Ok(waker) => Some((Finish::of(word), waker)),
            Err(_) => None,
        }
    }

    /// The owner of the place has seen how the wait ended, and never comes back.
    ///
    /// Transition: `DONE, VOID(r), SKIPPED -> GONE` (owner). It cannot fail: these states are
    /// final for everybody else, but for the WATCH mark, which it takes along.
    #[inline]
    pub(in crate::line) fn finish(&self) -> Finish {
        let gone = Word::fresh(false).to(Tag::Gone, 0);
        // ORDERING: AcqRel. Release pairs with `load`: a thread that finds the cell GONE comes
        // after its owner's last look. Acquire pairs with `change`: the thread that takes the mark
        // along has seen all that its carriers saw, and may be the one that frees the segment.
        Finish::of(Word(alive(self.state.swap(gone.0, AcqRel))))
    }

    /// As if the slot had been refilled so often that it may be refilled only once more.
    #[cfg(test)]
    pub(in crate::line) fn exhaust_versions(&self) {
        let word = self.load();
        let parked = self.change(word, word.with_version(LAST_VERSION - 1));
        assert!(parked.is_ok(), "nobody else is there");
    }
}
