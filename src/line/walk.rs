//! What happens at the head of the line: units are delivered or taken along there, and waiters
//! refused.

use super::cell::{Cell, Finish, Visited};
use super::debt::Debt;
use super::list::List;
use super::reclaim::Guard;
use super::segment::{CELLS, Segment};
use crate::sync::{dekker, seeded};
use crate::wakes::Wakes;

/// Why a walk stopped.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// There is nothing more to do.
    Done,
    /// The collected wakers must be woken before it goes on.
    BatchFull,
    /// The line ends here and is shut, or a close has begun.
    Shut,
}

/// What to do after a visit to a cell.
#[derive(Debug)]
pub(super) enum Visit {
    /// Another thread changed the cell meanwhile: visit it again.
    Again,
    /// The cell is satisfied.
    Passed,
    /// The cell was a RETURN, and is GONE now.
    Finished(Finish),
    /// The cell is not satisfied: stop here.
    Stop(Stop),
}

/// What a walk does at each cell.
pub(super) trait Visitor {
    fn visit(&mut self, list: &List, segment: &Segment, index: usize) -> Visit;

    /// Why to stop after the cell just passed; `None` to go on.
    fn stop_after(&self) -> Option<Stop>;
}

/// Walks from the first unsatisfied cell as far as `visitor` goes, and moves the head along.
///
/// The walk holds a guard on the segment, and nothing else. No user code runs.
pub(super) fn walk(list: &List, visitor: &mut impl Visitor) -> Stop {
    let mut guard = list.first();
    loop {
        if let Some(end) = walk_segment(list, &guard, visitor) {
            return end;
        }
        let Some(next) = list.advance(guard) else { return Stop::Shut };
        guard = next;
    }
}

/// `None` if `visitor` goes on behind the segment.
fn walk_segment(list: &List, guard: &Guard<'_>, visitor: &mut impl Visitor) -> Option<Stop> {
    let segment = guard.segment();
    let mut index = segment.hint();
    let end = loop {
        if index >= CELLS {
            break None;
        }
        match visitor.visit(list, segment, index) {
            Visit::Again => continue,
            Visit::Passed => {}
            Visit::Finished(finish) => {
                list.complete(Segment::pass_mark(guard.pointer(), index, finish));
            }
            Visit::Stop(end) => break Some(end),
        }
        index += 1;
        if let Some(end) = visitor.stop_after() {
            break Some(end);
        }
    };
    segment.set_hint(index);
    end
}

/// Delivers units; see [`Line::deliver`](super::Line::deliver).
#[derive(Debug)]
pub(super) struct Delivery<'a> {
    units: u64,
    returned: u64,
    debt: &'a Debt,
    wakes: &'a mut Wakes,
}

impl<'a> Delivery<'a> {
    pub(super) fn new(units: u64, debt: &'a Debt, wakes: &'a mut Wakes) -> Self {
        Self { units, returned: 0, debt, wakes }
    }

    /// The units still in hand.
    pub(super) fn units(&self) -> u64 {
        self.units
    }

    /// The units that came to a RETURN.
    pub(super) fn returned(&self) -> u64 {
        self.returned
    }

    /// At a cell where nobody has published.
    ///
    /// Leaves the units here, for the owner that has asked for them and will publish. If a waiter
    /// stands behind, takes them up again and skips this place, as its owner may be stopped for
    /// ever (D1).
    #[cold]
    fn at_open(&mut self, list: &List, segment: &Segment, index: usize) -> Visit {
        let cell = segment.cell(index);
        let Some(left) = cell.leave_units(self.units) else {
            return Visit::Again;
        };
        self.units -= left;
        if seeded::LOST_WAKE_UP {
            return Visit::Stop(Stop::Done);
        }
        dekker();
        if self.debt.is_due() {
            // These units may be for the debt, which was not there when this delivery began (D3).
            self.units += cell.take_units(false).unwrap_or(0);
            let Some(paid) = self.debt.pay(self.units) else {
                return Visit::Stop(Stop::Shut);
            };
            self.units -= paid;
            return if self.units == 0 { Visit::Stop(Stop::Done) } else { Visit::Again };
        }
        let shut = list.tail().is_shut();
        if !shut && no_one_published_behind(list, segment, index) {
            // Owners that have not published yet ask for less than a cell has room for. So units
            // that have none are for a debt, whose thread is about to add it.
            if self.units == 0 || self.debt.credit(self.units) {
                self.units = 0;
                return Visit::Stop(Stop::Done);
            }
            self.units += cell.take_units(false).unwrap_or(0);
            return Visit::Stop(Stop::Shut);
        }
        let reserved = list.tail().has_reserved(segment, index);
        debug_assert!(reserved || shut, "nobody stands behind a place that nobody has");
        let Some(left) = cell.take_units(reserved) else {
            return Visit::Again;
        };
        self.units += left;
        if reserved { Visit::Passed } else { Visit::Stop(Stop::Shut) }
    }
}

/// Whether nobody has published behind a cell. The owners of reserved places there are told, by the
/// LOOK mark, to look in front once more before they publish.
///
/// Otherwise their places would have to be skipped, and they would reserve others. If they did not
/// publish there in time either, and so on, neither they nor the deliverer would ever complete.
fn no_one_published_behind(list: &List, segment: &Segment, index: usize) -> bool {
    let mut further: Option<Guard<'_>> = None;
    let mut index = index + 1;
    loop {
        let segment = further.as_ref().map_or(segment, Guard::segment);
        for cell in index..CELLS {
            if !list.tail().has_reserved(segment, cell) {
                return true;
            }
            if !segment.cell(cell).tell_to_look() {
                return false;
            }
        }
        if core::ptr::eq(list.tail().segment(), segment) {
            return true;
        }
        match list.behind(segment) {
            Some(next) => {
                index = next.segment().first();
                further = Some(next);
            }
            // The segment is being unlinked, so all its cells are satisfied.
            None => return false,
        }
    }
}

impl Visitor for Delivery<'_> {
    #[inline]
    fn visit(&mut self, list: &List, segment: &Segment, index: usize) -> Visit {
        // Once the tail is shut, stop: nobody behind a voided waiter may be served. A thread that
        // passed a VOID cell, or starts at a hint behind one, sees here that the tail was shut
        // before.
        if list.tail().is_shut() {
            return Visit::Stop(Stop::Shut);
        }
        match segment.cell(index).deliver(self.units) {
            Visited::Open => self.at_open(list, segment, index),
            Visited::Short => {
                self.units = 0;
                Visit::Stop(Stop::Done)
            }
            Visited::Satisfied => Visit::Passed,
            Visited::Served { took, waker } => {
                self.units -= u64::from(took);
                if let Some(waker) = waker {
                    self.wakes.push(waker);
                }
                Visit::Passed
            }
            Visited::Returned { units, finish } => {
                self.units -= units;
                self.returned += units;
                finish.map_or(Visit::Stop(Stop::Done), Visit::Finished)
            }
        }
    }

    #[inline]
    fn stop_after(&self) -> Option<Stop> {
        if self.units == 0 {
            return Some(Stop::Done);
        }
        self.wakes.is_full().then_some(Stop::BatchFull)
    }
}

/// Takes along the units that lie in front of a place; see [`Line::join`](super::Line::join).
#[derive(Debug)]
pub(super) struct PickUp<'a> {
    units: u64,
    own: &'a Cell,
}

impl<'a> PickUp<'a> {
    pub(super) fn new(own: &'a Cell) -> Self {
        Self { units: 0, own }
    }

    /// The units found.
    pub(super) fn units(&self) -> u64 {
        self.units
    }
}

impl Visitor for PickUp<'_> {
    fn visit(&mut self, list: &List, segment: &Segment, index: usize) -> Visit {
        let cell = segment.cell(index);
        if core::ptr::eq(cell, self.own) {
            return Visit::Stop(Stop::Done);
        }
        match cell.units_left() {
            None if cell.is_satisfied() => Visit::Passed,
            None | Some(0) => Visit::Stop(Stop::Done),
            // If the line has skipped our own place, the head is behind it. There, units may lie in
            // a place that is not reserved yet. They are for its owner to come.
            Some(_) if !list.tail().has_reserved(segment, index) => Visit::Stop(Stop::Done),
            Some(_) => match cell.take_units(true) {
                None => Visit::Again,
                Some(units) => {
                    self.units = units;
                    Visit::Stop(Stop::Done)
                }
            },
        }
    }

    fn stop_after(&self) -> Option<Stop> {
        None
    }
}

/// Takes units back that lie at the head of the line, as many as the debt needs: a thread that is
/// stopped with units in hand withholds them. See [`Line::owe`](super::Line::owe).
#[derive(Debug)]
pub(super) struct TakeBack<'a> {
    units: u64,
    debt: &'a Debt,
}

impl<'a> TakeBack<'a> {
    pub(super) fn new(debt: &'a Debt) -> Self {
        Self { units: 0, debt }
    }

    /// The units found.
    pub(super) fn units(&self) -> u64 {
        self.units
    }
}

impl Visitor for TakeBack<'_> {
    fn visit(&mut self, _list: &List, segment: &Segment, index: usize) -> Visit {
        let cell = segment.cell(index);
        match cell.units_left() {
            None if cell.is_satisfied() => Visit::Passed,
            None | Some(0) => Visit::Stop(Stop::Done),
            // The place stays as it is, as nobody goes past it.
            Some(_) => match cell.take_back(self.debt.load()) {
                None => Visit::Again,
                Some(units) => {
                    self.units = units;
                    Visit::Stop(Stop::Done)
                }
            },
        }
    }

    fn stop_after(&self) -> Option<Stop> {
        None
    }
}

/// Refuses the waiters; see [`Line::close`](super::Line::close). The tail is shut before.
#[derive(Debug)]
pub(super) struct Closing<'a> {
    units: u64,
    wakes: &'a mut Wakes,
}

impl<'a> Closing<'a> {
    pub(super) fn new(wakes: &'a mut Wakes) -> Self {
        Self { units: 0, wakes }
    }

    /// The units found in OPEN cells.
    pub(super) fn units(&self) -> u64 {
        self.units
    }

    /// At a cell where nobody has published: its owner, if it has one, will find it SKIPPED and the
    /// tail shut. The units that lie here are free.
    fn at_open(&mut self, list: &List, segment: &Segment, cell: &Cell, index: usize) -> Visit {
        let reserved = list.tail().has_reserved(segment, index);
        let Some(left) = cell.take_units(reserved) else {
            return Visit::Again;
        };
        self.units += left;
        if reserved { Visit::Passed } else { Visit::Stop(Stop::Shut) }
    }
}

impl Visitor for Closing<'_> {
    fn visit(&mut self, list: &List, segment: &Segment, index: usize) -> Visit {
        let cell = segment.cell(index);
        match cell.void() {
            Visited::Open => self.at_open(list, segment, cell, index),
            Visited::Short => unreachable!("a waiter is voided whole"),
            Visited::Satisfied => Visit::Passed,
            Visited::Returned { finish, .. } => finish.map_or(Visit::Passed, Visit::Finished),
            Visited::Served { waker, .. } => {
                if let Some(waker) = waker {
                    self.wakes.push(waker);
                }
                Visit::Passed
            }
        }
    }

    fn stop_after(&self) -> Option<Stop> {
        self.wakes.is_full().then_some(Stop::BatchFull)
    }
}
