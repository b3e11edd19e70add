//! Where in the line: tagged pointers that name a segment and a cell in it.

#![expect(unsafe_code, reason = "follows the segment pointer of an unfinished place")]

use core::ptr::{self, NonNull};
use core::task::Waker;

use super::cell::{Cell, Finish, Registered, Seen, Verdict};
use super::segment::{CELLS, Completed, FIRST_PLACES, Segment};
use crate::sync::{AtomicPtr, SeqCst};

const INDEX: usize = 0b11_1111;
const SHUT: usize = 0b100_0000;

/// The alignment of segments: the number of a cell, and SHUT, fit into the low bits of an address.
pub(super) const ALIGN: usize = 128;
const _: () = assert!(CELLS <= INDEX && INDEX & SHUT == 0 && INDEX | SHUT == ALIGN - 1);

/// A segment, and the number of a cell: the place that is reserved next, if it is the tail's.
///
/// The number stands in the low bits of the pointer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Position(*mut Segment);

impl Position {
    pub(super) fn new(segment: *mut Segment, next: usize) -> Self {
        debug_assert!(next <= CELLS);
        // ABA: a joiner may store a pointer that it read before that segment was freed and another
        // was made at the same address. The address is right then, and the provenance is not. So it
        // is exposed here, and `segment` goes by the address alone.
        segment.expose_provenance();
        Self(segment.map_addr(|addr| addr | next))
    }

    /// With one more place reserved in the same segment.
    #[inline]
    pub(super) fn next(self) -> Self {
        debug_assert!(!self.is_full() && !self.is_shut());
        Self(self.0.map_addr(|addr| addr + 1))
    }

    #[inline]
    pub(super) fn segment(self) -> *mut Segment {
        ptr::with_exposed_provenance_mut(self.0.addr() & !(ALIGN - 1))
    }

    #[inline]
    fn index(self) -> usize {
        self.0.addr() & INDEX
    }

    /// Whether no more places are reserved, in any segment.
    #[inline]
    pub(super) fn is_shut(self) -> bool {
        self.0.addr() & SHUT != 0
    }

    pub(super) fn shut(self) -> Self {
        Self(self.0.map_addr(|addr| addr | SHUT))
    }

    pub(super) fn is_full(self) -> bool {
        self.index() == CELLS
    }

    /// Whether there is a next place, in the same segment: the tail is neither shut nor full.
    #[inline]
    pub(super) fn has_next(self) -> bool {
        self.0.addr() & (INDEX | SHUT) < CELLS
    }

    /// Whether the cell of that number in `segment`, which is the tail's or one before it, is
    /// reserved.
    #[inline]
    pub(super) fn has_reserved(self, segment: &Segment, cell: usize) -> bool {
        !ptr::eq(self.segment(), segment) || self.index() > cell
    }
}

/// Where the line ends, in one word: see [`Position`].
#[derive(Debug)]
pub(super) struct Tail(AtomicPtr<Segment>);

impl Tail {
    /// At the first place of a line, in its `first` segment.
    pub(super) fn new(first: NonNull<Segment>) -> Self {
        Self(AtomicPtr::new(Position::new(first.as_ptr(), CELLS - FIRST_PLACES).0))
    }

    #[inline]
    pub(super) fn load(&self) -> Position {
        // ORDERING: SeqCst. Acquire pairs with `change`: a segment seen here is seen initialised.
        // The total order is for D1: "leave units in an OPEN cell, then read the tail".
        Position(self.0.load(SeqCst))
    }

    /// Transition: one more place, the next segment, or SHUT (joiner, deliverer, closer); otherwise
    /// another thread moved it.
    #[inline]
    pub(super) fn change(&self, from: Position, to: Position) -> Result<(), Position> {
        // ORDERING: SeqCst. AcqRel pairs with `load`. The total order is for D1: "reserve, or
        // shut, then read the cells". Failure: SeqCst, as `load`.
        match self.0.compare_exchange(from.0, to.0, SeqCst, SeqCst) {
            Ok(_) => Ok(()),
            Err(now) => Err(Position(now)),
        }
    }
}

/// A reserved place that its owner has not finished. It keeps its segment alive (I2).
///
/// There is one for each cell, made when the cell is reserved. It cannot be copied or cloned. The pointer is
/// tagged, as that of a [`Position`].
#[derive(Debug)]
pub(crate) struct Place(NonNull<Segment>);

// SAFETY: it is the right to use one cell, whose words are atomics; any thread may have that right.
unsafe impl Send for Place {}
// SAFETY: `&Place` gives access to atomics only.
unsafe impl Sync for Place {}

impl Place {
    /// The place at this position, which was just reserved.
    #[inline]
    pub(super) fn new(before: Position) -> Self {
        debug_assert!(!before.is_full() && !before.is_shut());
        // SAFETY: the tail always points to a segment.
        Self(unsafe { NonNull::new_unchecked(before.0) })
    }

    /// The number of the cell in its segment.
    #[inline]
    pub(super) fn index(&self) -> usize {
        Position(self.0.as_ptr()).index()
    }

    #[inline]
    pub(super) fn segment(&self) -> &Segment {
        // SAFETY: I2: this cell is not finished, so the segment is neither FINISHED nor freed; and
        // until it is, all use it by shared reference.
        unsafe { &*Position(self.0.as_ptr()).segment() }
    }

    #[inline]
    pub(super) fn cell(&self) -> &Cell {
        self.segment().cell(self.index())
    }

    /// Whether the owner of the place in front may not have published yet: the cell in front is
    /// OPEN, or in another segment.
    #[inline]
    pub(super) fn may_follow_unpublished(&self) -> bool {
        match self.index().checked_sub(1) {
            Some(front) => self.segment().cell(front).is_open(),
            None => true,
        }
    }

    /// One attempt to ask for units here; see [`Cell::try_publish`]. Otherwise the waker comes
    /// back.
    #[inline(always)]
    pub(super) fn try_publish(&self, units: u32, waker: Waker) -> Result<(), Waker> {
        self.cell().try_publish(self.index() == CELLS - 1, units, waker)
    }

    /// Whether the waiter here has all its units.
    #[inline]
    pub(crate) fn is_granted(&self) -> bool {
        self.cell().is_granted()
    }

    /// Whether the waiter here waits on, is granted, or was refused.
    #[inline]
    pub(crate) fn check(&self) -> Verdict {
        self.cell().check()
    }

    /// The same as [`Place::check`]; and if it waits on, `waker` will be woken when that changes.
    pub(crate) fn register(&mut self, waker: &Waker) -> Registered {
        self.cell().register(waker)
    }

    /// Gives up the place of a waiter, if no unit is on its way to it, and none has come since it
    /// was `seen`. Otherwise the place comes back.
    #[inline]
    pub(crate) fn try_vacate(self, seen: Seen) -> Result<(Completed, Option<Waker>), Self> {
        match self.cell().try_vacate(seen) {
            Some((finish, waker)) => Ok((self.completed(finish), waker)),
            None => Err(self),
        }
    }

    /// Finishes the cell: its owner has seen how the wait ended, and never comes back.
    #[inline]
    pub(crate) fn finish(self) -> Completed {
        let finish = self.cell().finish();
        self.completed(finish)
    }

    /// Consumes the place after its cell was finished, and passes on the mark.
    #[inline]
    pub(super) fn completed(self, finish: Finish) -> Completed {
        match finish {
            // The segment may be freed by now.
            Finish::Plain => Completed::No,
            Finish::Watched => {
                let segment = Position(self.0.as_ptr()).segment();
                let segment = NonNull::new(segment).expect("a place is in a segment");
                Segment::pass_mark(segment, self.index(), finish)
            }
        }
    }
}
