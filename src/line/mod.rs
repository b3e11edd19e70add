//! The line of waiters: an infinite array of cells, one for each waiter whatever its weight.
//!
//! The line deals in units and places, and does not know how many permits there are. `README.md`
//! beside this file has the protocols, and says why they are right.

mod cell;
mod debt;
mod list;
mod position;
mod reclaim;
mod segment;
mod walk;

#[cfg(test)]
mod tests;

use core::hint::spin_loop;
use core::task::Waker;

use self::cell::{Cell, Published};
pub(crate) use self::cell::{Registered, Seen, Vacated, Verdict};
use self::debt::{Added, Debt};
use self::list::List;
pub(crate) use self::position::Place;
use self::segment::CELLS;
pub(crate) use self::segment::Completed;
use self::walk::{Closing, Delivery, PickUp, Stop, TakeBack, walk};
use crate::sync::lazy_box::LazyBox;
use crate::sync::{Acquire, AtomicBool, Release};
use crate::wakes::Wakes;

/// The result of [`Line::join`]. A waker that the line did not take comes back.
#[derive(Debug)]
pub(crate) enum Joined {
    /// The waiter has a place, and waits there.
    Waiting(Place),
    /// Enough units lay in the cell.
    Granted(Option<Waker>),
    /// The line is shut.
    Shut(Option<Waker>),
}

/// What came of the units of [`Line::deliver`] that nobody got.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// They were on their way to waiters that have left, or the semaphore is being closed: the
    /// caller must give them back to the balance.
    pub(crate) returned: u64,
    /// The batch of wakers is full: the caller must wake them, and deliver these.
    pub(crate) left: u64,
}

/// The line of waiters.
#[derive(Debug)]
pub(crate) struct Line {
    list: List,
    /// Stands in front of all waiters.
    debt: Debt,
    /// The number that stood in the place of the line before it was made.
    seed: u64,
    /// The line is shut, and no waiter in it will be served.
    all_void: AtomicBool,
    /// The line of those who wait until all permits are back. No unit ever comes there: they wait
    /// until it is closed.
    drain: LazyBox<Line>,
}

impl Line {
    /// Without a seed.
    #[cfg(all(test, not(semafair_shuttle)))]
    pub(crate) fn new() -> Self {
        Self::with_seed(0)
    }

    pub(crate) fn with_seed(seed: u64) -> Self {
        Self {
            list: List::new(),
            debt: Debt::new(),
            seed,
            all_void: AtomicBool::new(false),
            drain: LazyBox::new(0),
        }
    }

    /// The number that it was made with.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// How many units vanish before a waiter gets one.
    pub(crate) fn debt(&self) -> u64 {
        self.debt.load()
    }

    /// Adds to the debt `units` that count as asked for in the balance already. Returns the units
    /// that it took out of the line and that the debt does not need: the caller has them in hand
    /// and must deliver them. `None` if the debt is closed: then nothing was done.
    ///
    /// A deliverer that did not see the debt may have left units for it at the head of the line, in
    /// a place that is not reserved or whose owner has not published yet (D3).
    ///
    /// If several threads add so much at the same instant that the debt has no room, it waits for
    /// those that carry units, and pay.
    pub(crate) fn owe(&self, units: u64) -> Option<u64> {
        loop {
            match self.debt.add(units) {
                Added::Yes => break,
                Added::Full => spin_loop(),
                Added::Closed => return None,
            }
        }
        // D3 needs no fence here: a walk that reads the cells begins with one (D2).
        let mut errand = TakeBack::new(&self.debt);
        walk(&self.list, &mut errand);
        let found = errand.units();
        Some(found - self.debt.pay(found).unwrap_or(0))
    }

    /// Closes the debt, as the balance is about to be closed, and says how much it is. It does not
    /// change any more.
    pub(crate) fn close_debt(&self) -> i64 {
        self.debt.close()
    }

    /// Asks for `units` at the next place, with a waker, or as a waiter that is running. Also says
    /// how many units the caller has in hand afterwards and must deliver.
    ///
    /// 1. Reserve a place, unless [`Line::try_join`] has `reserved` one.
    /// 2. Look at the cell in front. Units may lie there, or further in front, for owners that have
    ///    not published yet. Take them along. This comes before publishing, so that the owner of a
    ///    published cell has looked (I5).
    /// 3. Publish. If units were left in front meanwhile, go to 2. If the line has skipped this
    ///    place, go to 1.
    pub(crate) fn join(
        &self,
        reserved: Option<Place>,
        units: u32,
        mut waker: Option<Waker>,
    ) -> (Joined, u64) {
        let mut in_hand = 0;
        let mut reserved = reserved.or_else(|| self.list.reserve());
        while let Some(place) = reserved {
            if place.may_follow_unpublished() {
                in_hand += self.pick_up(place.cell());
            }
            match place.cell().publish(units, waker) {
                Published::Waiting => return (Joined::Waiting(place), in_hand),
                Published::Granted { over, finish, waker } => {
                    self.complete(place.completed(finish));
                    return (Joined::Granted(waker), in_hand + over);
                }
                Published::Told(unused) => {
                    waker = unused;
                    reserved = Some(place);
                }
                Published::Skipped(unused) => {
                    waker = unused;
                    self.complete(place.finish());
                    reserved = self.list.reserve();
                }
            }
        }
        (Joined::Shut(waker), in_hand)
    }

    /// One attempt at [`Line::join`]. It succeeds if the next place is in the same segment as the
    /// one before, whose owner has published, and no other thread has changed the cell. Otherwise
    /// the waker comes back, with the place if one was reserved.
    #[inline(always)]
    pub(crate) fn try_join(
        &self,
        units: u32,
        waker: Waker,
    ) -> Result<Place, (Option<Place>, Waker)> {
        match self.list.try_reserve() {
            None => Err((None, waker)),
            Some(place) if place.may_follow_unpublished() => Err((Some(place), waker)),
            Some(place) => match place.try_publish(units, waker) {
                Ok(()) => Ok(place),
                Err(waker) => Err((Some(place), waker)),
            },
        }
    }

    /// Takes along the units that lie at the head of the line, in front of the cell `own`.
    fn pick_up(&self, own: &Cell) -> u64 {
        let mut errand = PickUp::new(own);
        walk(&self.list, &mut errand);
        errand.units()
    }

    /// Delivers units: to the debt, and then to the head of the line, to one waiter after the
    /// other, until the batch of `wakes` is full. It must have room for one waker. The wakers of the
    /// waiters that were served are in it then.
    pub(crate) fn deliver(&self, units: u64, wakes: &mut Wakes) -> Delivered {
        let Some(paid) = self.debt.pay(units) else {
            return Delivered { returned: units, left: 0 };
        };
        let units = units - paid;
        if units == 0 {
            return Delivered::default();
        }
        let mut delivery = Delivery::new(units, &self.debt, wakes);
        let stop = walk(&self.list, &mut delivery);
        let (left, returned) = (delivery.units(), delivery.returned());
        if stop == Stop::BatchFull {
            Delivered { returned, left }
        } else {
            Delivered { returned: returned + left, left: 0 }
        }
    }

    /// Delivers to the head of the line if there is no debt, and the waiter there sleeps and needs
    /// exactly `units`. The caller must wake it. Otherwise nothing was done.
    #[inline]
    pub(crate) fn serve_first(&self, units: u64) -> Option<Waker> {
        if self.debt.is_due() {
            return None;
        }
        let guard = self.list.try_first()?;
        let segment = guard.segment();
        let mut index = segment.hint();
        // The waiter at the hint may have left.
        while index < CELLS && segment.cell(index).is_satisfied() {
            index += 1;
        }
        // As in `Delivery::visit`: nobody behind a voided waiter may be served.
        if index >= CELLS || self.list.tail().is_shut() {
            return None;
        }
        let waker = segment.cell(index).deliver_all(units)?;
        segment.set_hint(index + 1);
        Some(waker)
    }

    /// Gives up the place of a waiter that was `seen` to wait. Its demand was withdrawn from the
    /// balance, but for the units that are `on_its_way`.
    pub(crate) fn vacate(&self, place: Place, seen: Seen, on_its_way: u32) -> Vacated {
        let vacated = place.cell().vacate(seen, on_its_way);
        if let Some(finish) = vacated.finish {
            self.complete(place.completed(finish));
        }
        vacated
    }

    /// If no cell of the segment is unfinished any more: retires that, or sweeps if that pays.
    pub(crate) fn complete(&self, completed: Completed) {
        self.list.complete(completed);
    }

    /// Lets nobody else in, and refuses the waiters from the head on until the batch of `wakes` is
    /// full. Says how many units it found that nobody wants any more, and whether the close is
    /// complete.
    pub(crate) fn close(&self, wakes: &mut Wakes) -> (u64, bool) {
        self.list.shut();
        let mut closing = Closing::new(wakes);
        let stop = walk(&self.list, &mut closing);
        let units = closing.units();
        let all = stop != Stop::BatchFull;
        if all {
            // ORDERING: Release. Pairs with `is_all_void`: a thread that need not help sees what
            // was done.
            self.all_void.store(true, Release);
        }
        (units, all)
    }

    /// The line of those who wait for the drain.
    pub(crate) fn drain(&self) -> &Self {
        self.drain.get_or_init(Self::with_seed)
    }

    /// The same, if anybody has waited there.
    pub(crate) fn drain_if_made(&self) -> Option<&Self> {
        self.drain.get()
    }

    /// Whether a `close` is complete.
    pub(crate) fn is_all_void(&self) -> bool {
        // ORDERING: Acquire. Pairs with `close`.
        self.all_void.load(Acquire)
    }
}
