//! The line of waiters: an infinite array of cells, one for each waiter whatever its weight.
//!
//! The line knows of units and places, and nothing of how many permits there are. `README.md`
//! beside this file tells the protocols and why they are right.

mod cell;
mod list;
mod outcome;
mod reclaim;
mod segment;
mod slot;
mod state;
mod walk;

#[cfg(test)]
#[path = "../tests/line.rs"]
mod tests;

use core::task::Waker;

use self::list::List;
use self::outcome::Published;
use self::walk::{Closing, Delivery, End, PickUp, walk};
use crate::sync::{Acquire, AtomicBool, Release};
use crate::wakes::Wakes;

pub(crate) use self::outcome::{Look, Waiting};
pub(crate) use self::reclaim::LazyBox;
#[cfg(test)]
pub(crate) use self::segment::CELLS;
pub(crate) use self::segment::{Ended, Place};

/// What came of [`Line::join`].
#[derive(Debug)]
pub(crate) enum Joined {
    /// The waiter has a place, and waits there.
    Waiting(Place),
    /// Enough units lay ready for whoever came.
    Granted,
    /// The line is shut.
    Shut,
}

/// What came of [`Line::vacate`].
#[derive(Debug)]
pub(crate) struct Vacated {
    /// Units that came beyond those to be swallowed, now in the caller's hands. Negative: so many
    /// were to be swallowed that will not come, since the line is closed.
    pub(crate) over: i64,
    /// The waiter's waker, to be dropped when nothing is held.
    pub(crate) waker: Option<Waker>,
}

/// The line.
#[derive(Debug)]
pub(crate) struct Line {
    list: List,
    /// The line is shut, and every claim in it is void.
    closed: AtomicBool,
}

impl Line {
    pub(crate) fn new() -> Self {
        Self { list: List::new(), closed: AtomicBool::new(false) }
    }

    /// Takes the next place and asks for `units` there, as a waiter that is running, or with a
    /// waker, which is the line's if this returns [`Joined::Waiting`]. Also says how many units the
    /// caller has in hand afterwards, which must be delivered.
    ///
    /// 1. Reserve a place.
    /// 2. Look at the cell in front: units may lie there, or further in front, for threads that
    ///    reserved those places and are late. Take them along. This comes before publishing, so
    ///    that a published cell says that its owner has looked (I5).
    /// 3. Publish. Where units were left in front since, look again. Where the line went on without
    ///    this place, start again.
    ///
    /// A place that [`Line::join_at_once`] has `reserved` is taken instead of the next.
    pub(crate) fn join(
        &self,
        reserved: Option<Place>,
        units: u32,
        waker: Option<&Waker>,
    ) -> (Joined, u64) {
        let mut in_hand = 0;
        let mut reserved = reserved.or_else(|| self.list.reserve());
        while let Some(place) = reserved {
            if place.may_follow_late_ones() {
                in_hand += self.pick_up(&place);
            }
            reserved = match place.cell().publish(units, waker) {
                Published::Waiting => return (Joined::Waiting(place), in_hand),
                Published::Granted { over, finish } => {
                    self.list.ended(place.end(finish));
                    return (Joined::Granted, in_hand + over);
                }
                Published::Look => Some(place),
                Published::Skipped => {
                    self.finish(place);
                    self.list.reserve()
                }
            };
        }
        (Joined::Shut, in_hand)
    }

    /// [`Line::join`] in the usual case: the next place is in the segment of the one before, whose
    /// owner is not late, and nothing has happened there. Otherwise what it has reserved, if anything.
    #[inline]
    pub(crate) fn join_at_once(&self, units: u32, waker: &Waker) -> Result<Place, Option<Place>> {
        let place = self.list.reserve_at_once().ok_or(None)?;
        if place.may_follow_late_ones() || !place.publish_at_once(units, waker) {
            return Err(Some(place));
        }
        Ok(place)
    }

    /// Hands units to the head of the line, one waiter after the other, and says how many came
    /// back: none, unless the line is shut.
    ///
    /// Those who have all they asked for are in `wakes` then; of many, some are woken before the
    /// last are served.
    pub(crate) fn deliver(&self, mut units: u64, wakes: &mut Wakes) -> u64 {
        loop {
            let mut delivery = Delivery::new(units, wakes);
            let end = walk(&self.list, &mut delivery);
            units = delivery.units();
            if end != End::BatchFull {
                return units;
            }
            wakes.wake();
        }
    }

    /// [`Line::deliver`] in the usual case: whoever stands at the head of the line sleeps, and misses
    /// just so many units. It is to be woken. Otherwise nothing was done.
    #[inline]
    pub(crate) fn deliver_at_once(&self, units: u64) -> Option<Waker> {
        let guard = self.list.first_at_once()?;
        let segment = guard.segment();
        let mut index = segment.hint();
        // Who was to be served next may have left.
        while segment.cells.get(index)?.is_satisfied() {
            index += 1;
        }
        // As in `Delivery::visit`.
        if self.list.tail().is_shut() {
            return None;
        }
        let waker = segment.cells[index].deliver_at_once(units)?;
        segment.set_hint(index + 1);
        Some(waker)
    }

    /// Takes along the units that lie at the head of the line in front of `place`.
    #[cold]
    fn pick_up(&self, place: &Place) -> u64 {
        let mut errand = PickUp::new(place.cell());
        walk(&self.list, &mut errand);
        errand.units()
    }

    /// Gives up a place that was seen waiting. The units that were missing are off the books, and
    /// `swallow` of them come here all the same.
    pub(crate) fn vacate(&self, place: Place, seen: Waiting, swallow: u32) -> Vacated {
        let outcome::Vacated { over, finish, waker } = place.cell().vacate(seen, swallow);
        if let Some(finish) = finish {
            self.list.ended(place.end(finish));
        }
        Vacated { over, waker }
    }

    /// Gives up a place whose outcome was seen.
    #[inline]
    pub(crate) fn finish(&self, place: Place) {
        self.list.ended(place.finish());
    }

    /// Draws the consequence of a place's end.
    pub(crate) fn ended(&self, ended: Ended) {
        self.list.ended(ended);
    }

    /// Lets nobody else in, and voids claims from the head on until the batch of `wakes` is full.
    /// Says by how much the count of free permits is to be corrected, and whether that was all.
    pub(crate) fn close(&self, wakes: &mut Wakes) -> (i64, bool) {
        self.list.shut();
        let mut closing = Closing::new(wakes);
        let end = walk(&self.list, &mut closing);
        let correction = closing.correction();
        let all = end != End::BatchFull;
        if all {
            // ORDERING: Release. Pairs with `is_closed`: who need not help sees what was done.
            self.closed.store(true, Release);
        }
        (correction, all)
    }

    /// Whether a `close` has come to its end.
    pub(crate) fn is_closed(&self) -> bool {
        // ORDERING: Acquire. Pairs with `close`.
        self.closed.load(Acquire)
    }
}

impl Place {
    /// [`Line::vacate`] where nothing is on its way, and nothing has come since; otherwise the
    /// place is still there.
    #[inline]
    pub(crate) fn vacate_at_once(self, seen: Waiting) -> Result<(Ended, Option<Waker>), Self> {
        match self.cell().vacate_at_once(seen) {
            Some((finish, waker)) => Ok((self.end(finish), waker)),
            None => Err(self),
        }
    }

    #[inline]
    fn publish_at_once(&self, units: u32, waker: &Waker) -> bool {
        self.cell().publish_afresh(self.is_last(), units, waker)
    }

    /// Whether the waiter here has all.
    #[inline]
    pub(crate) fn is_granted(&self) -> bool {
        self.cell().is_granted()
    }

    /// What has become of the waiter here.
    #[inline]
    pub(crate) fn look(&self) -> Look {
        self.cell().look()
    }

    /// What has become of the waiter here, and `waker` is whom to wake when that changes.
    pub(crate) fn register(&mut self, waker: &Waker) -> Look {
        self.cell().register(waker)
    }

    /// As if it had been polled with another waker so often that it may be once more.
    #[cfg(all(test, not(any(semafair_loom, semafair_shuttle))))]
    pub(crate) fn wear_out(&self) {
        self.cell().wear_out();
    }
}
