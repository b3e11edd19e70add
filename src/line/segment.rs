//! A run of cells, and the tagged pointers that name a place in one.
//!
//! A segment ends twice over: it is FINISHED when all its cells are gone, and UNLINKED when no
//! pointer of the line leads to it. Whoever sets the second of the two retires it (I3).
//!
//! Nobody counts finished cells: that would be one locked instruction more for each.
//! Instead one unfinished cell carries the WATCH mark, at first the last. Whoever finishes that
//! cell hands the mark on to another that is unfinished, or finds none, and has finished the
//! segment. It looks from the far end: those who leave in order, or in the opposite one, hand it on
//! once at most.

#![expect(unsafe_code, reason = "follows the segment pointer of an unfinished place")]

use core::ptr::{self, NonNull};

use super::cell::Cell;
use super::outcome::Finish;
use crate::sync::{AcqRel, Acquire, AtomicPtr, AtomicU32, Relaxed, Release, SeqCst};

/// Cells of a segment. 31 of 24 bytes and three words make 768 bytes, twelve cache lines; places
/// given out (0 to 31) and the SHUT bit are what the six low bits of its address hold.
#[cfg(not(test))]
pub(super) const CELLS: usize = 31;
/// The white-box tests cross the border between segments all the time.
#[cfg(test)]
pub(crate) const CELLS: usize = if option_env!("SEMAFAIR_ONE_CELL").is_some() {
    1
} else if cfg!(any(semafair_loom, semafair_shuttle)) {
    2
} else {
    3
};

const ALIGN: usize = 64;
const INDEX: usize = 0b1_1111;
const SHUT: usize = 0b10_0000;
/// In `next`: this segment is on its way out, and `next` changes no more.
const FROZEN: usize = 1;

const FINISHED: u32 = 1;
const UNLINKED: u32 = 2;
#[cfg(test)]
const POISON: u32 = u32::MAX;

// Places given out, and SHUT, fit below the address of a segment.
const _: () = assert!(CELLS <= INDEX && INDEX & SHUT == 0 && INDEX | SHUT == ALIGN - 1);
const _: () = assert!(align_of::<Segment>() == ALIGN);

/// A segment, and how many of its places are given out: what the tail of the line says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Position(*mut Segment);

impl Position {
    pub(super) fn new(segment: *mut Segment, given_out: usize) -> Self {
        debug_assert!(given_out <= CELLS);
        Self(segment.map_addr(|addr| addr | given_out))
    }

    /// The next place of the same segment.
    #[inline]
    pub(super) fn next(self) -> Self {
        debug_assert!(!self.is_full() && !self.is_shut());
        Self(self.0.map_addr(|addr| addr + 1))
    }

    #[inline]
    pub(super) fn segment(self) -> *mut Segment {
        self.0.map_addr(|addr| addr & !(ALIGN - 1))
    }

    #[inline]
    pub(super) fn given_out(self) -> usize {
        self.0.addr() & INDEX
    }

    /// Whether no more places are given out, here or anywhere.
    pub(super) fn is_shut(self) -> bool {
        self.0.addr() & SHUT != 0
    }

    pub(super) fn shut(self) -> Self {
        Self(self.0.map_addr(|addr| addr | SHUT))
    }

    pub(super) fn is_full(self) -> bool {
        self.given_out() == CELLS
    }

    /// Whether the next place is one of the same segment: neither shut nor full.
    #[inline]
    pub(super) fn has_next(self) -> bool {
        self.0.addr() & (INDEX | SHUT) < CELLS
    }

    /// Whether the cell of that number in `segment`, from which this tail was reached, has been
    /// given out.
    #[inline]
    pub(super) fn is_past(self, segment: &Segment, cell: usize) -> bool {
        !ptr::eq(self.segment(), segment) || self.given_out() > cell
    }
}

/// Where the line ends, in one word: see [`Position`].
#[derive(Debug)]
pub(super) struct Tail(AtomicPtr<Segment>);

impl Tail {
    pub(super) fn new(first: NonNull<Segment>) -> Self {
        Self(AtomicPtr::new(first.as_ptr()))
    }

    #[inline]
    pub(super) fn load(&self) -> Position {
        // ORDERING: SeqCst. Acquire pairs with `change`: a segment seen here is seen initialised.
        // The total order is for D1: "leave units in an OPEN cell, then read the tail".
        Position(self.0.load(SeqCst))
    }

    /// Transition: more places, the next segment, or SHUT; otherwise somebody else moved it.
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

/// A place in the line that its owner has not finished, and that keeps its segment alive (I2).
///
/// There is one for each cell, made when the cell is given out: it is neither copied nor cloned.
#[derive(Debug)]
pub(crate) struct Place(NonNull<Segment>);

// SAFETY: it is the right to use one cell, whose words are atomics, and the right may move to
// another thread as the waiter does.
unsafe impl Send for Place {}
// SAFETY: all that `&Place` gives access to is atomics.
unsafe impl Sync for Place {}

impl Place {
    /// The place that a change of the tail from `before` has just given out.
    #[inline]
    pub(super) fn new(before: Position) -> Self {
        debug_assert!(!before.is_full() && !before.is_shut());
        Self(NonNull::new(before.0).expect("the tail is never null"))
    }

    /// The number of the cell in its segment.
    #[inline]
    pub(super) fn index(&self) -> usize {
        self.0.as_ptr().addr() & INDEX
    }

    /// Whether it is the last of its segment.
    #[inline]
    pub(super) fn is_last(&self) -> bool {
        self.index() == CELLS - 1
    }

    fn pointer(&self) -> NonNull<Segment> {
        let segment = Position(self.0.as_ptr()).segment();
        NonNull::new(segment).expect("a place is in a segment")
    }

    #[inline]
    pub(super) fn segment(&self) -> &Segment {
        // SAFETY: I2: this cell is not finished, so the segment is neither FINISHED nor freed; and
        // until it is, all use it by shared reference.
        unsafe { &*Position(self.0.as_ptr()).segment() }
    }

    #[inline]
    pub(super) fn cell(&self) -> &Cell {
        &self.segment().cells[self.index()]
    }

    /// Whether somebody is late at a place in front, as far as the cell next to this one tells.
    #[inline]
    pub(super) fn may_follow_late_ones(&self) -> bool {
        match self.index().checked_sub(1) {
            Some(front) => self.segment().cells[front].is_open(),
            // That is in another segment.
            None => true,
        }
    }

    /// The owner has seen what became of it, and comes back no more.
    #[inline]
    pub(crate) fn finish(self) -> Ended {
        let finish = self.cell().finish();
        self.end(finish)
    }

    /// The place's cell was finished.
    #[inline]
    pub(super) fn end(self, finish: Finish) -> Ended {
        match finish {
            // The segment may be freed by now.
            Finish::Plain => Ended::No,
            Finish::Watched => Segment::hand_on(self.pointer(), self.index(), finish),
        }
    }
}

/// A segment that nobody can reach or will finish any more: the right, once only, to free it.
#[derive(Debug)]
#[must_use]
pub(crate) struct Retired(NonNull<Segment>);

impl Retired {
    pub(super) fn into_inner(self) -> NonNull<Segment> {
        self.0
    }
}

/// What the finish of a cell meant for its segment.
#[derive(Debug)]
#[must_use]
pub(crate) enum Ended {
    /// Nothing: others are unfinished.
    No,
    /// It was the last; the segment is still linked.
    Finished,
    /// It was the last, and the segment was unlinked before.
    Retired(Retired),
}

/// A run of cells.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Segment {
    pub(super) cells: [Cell; CELLS],
    next: AtomicPtr<Segment>,
    /// The cells below this number are satisfied. May go backwards: the cells tell the truth.
    hint: AtomicU32,
    ends: AtomicU32,
    /// How far it is from the beginning of the block in which it lies.
    offset: usize,
}

impl Segment {
    /// With all cells fresh, so far from the beginning of a block.
    pub(super) fn new(offset: usize) -> Self {
        Self {
            cells: core::array::from_fn(|i| Cell::new(i == CELLS - 1)),
            next: AtomicPtr::new(ptr::null_mut()),
            hint: AtomicU32::new(0),
            ends: AtomicU32::new(0),
            offset,
        }
    }

    /// Makes it as it was made, but for what is left in slots, which nobody reads.
    pub(super) fn renew(&mut self) {
        for (i, cell) in self.cells.iter().enumerate() {
            cell.renew(i == CELLS - 1);
        }
        // ORDERING: Relaxed. `&mut self`: nobody else is there.
        self.next.store(ptr::null_mut(), Relaxed);
        // ORDERING: Relaxed, as above.
        self.hint.store(0, Relaxed);
        // ORDERING: Relaxed, as above.
        self.ends.store(0, Relaxed);
    }

    #[inline]
    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// Where to begin to look for an unsatisfied cell.
    #[inline]
    pub(super) fn hint(&self) -> usize {
        // ORDERING: Acquire. Pairs with `set_hint`: who serves a cell comes after all who passed
        // over those before it.
        let hint = self.hint.load(Acquire);
        #[cfg(test)]
        assert_ne!(hint, POISON, "a segment was walked after it was freed");
        hint as usize
    }

    /// Says that all cells below `cell` are satisfied.
    #[inline]
    pub(super) fn set_hint(&self, cell: usize) {
        #[expect(clippy::cast_possible_truncation, reason = "at most CELLS")]
        // ORDERING: Release. Pairs with `hint`.
        self.hint.store(cell as u32, Release);
    }

    /// The segment behind, null at the end of the line, and whether this one is on its way out.
    pub(super) fn next(&self) -> (*mut Segment, bool) {
        // ORDERING: SeqCst. Acquire pairs with `append` and `replace_next`: the segment is seen
        // initialised. The total order is for D2: "protect, then read the source again".
        let next = self.next.load(SeqCst);
        #[cfg(test)]
        assert_ne!(next.addr(), usize::MAX, "a segment was used after it was freed");
        (next.map_addr(|addr| addr & !FROZEN), next.addr() & FROZEN != 0)
    }

    /// Transition: `null -> next` (whoever needs room); otherwise somebody else appended.
    pub(super) fn append(&self, next: NonNull<Segment>) -> bool {
        // ORDERING: AcqRel. Release pairs with `next`: the segment is seen initialised. Failure:
        // Relaxed: the caller looks again by `next`.
        self.next.compare_exchange(ptr::null_mut(), next.as_ptr(), AcqRel, Relaxed).is_ok()
    }

    /// Fixes what is behind this segment, which is about to be unlinked, and says what it is.
    ///
    /// Without it, somebody could unlink the segment behind by changing our `next` after we read
    /// it, and the line would lead to what was freed.
    ///
    /// Transition: `next -> next, FROZEN` (whoever unlinks). It cannot fail.
    pub(super) fn freeze_next(&self) -> *mut Segment {
        // ORDERING: SeqCst, as `next`.
        let mut next = self.next.load(SeqCst);
        while next.addr() & FROZEN == 0 {
            debug_assert!(!next.is_null(), "the last segment is not unlinked");
            let frozen = next.map_addr(|addr| addr | FROZEN);
            // ORDERING: SeqCst. AcqRel pairs with `next`. The total order is for D2: who found
            // `next` not frozen read it before this, and so before what follows. Failure: SeqCst.
            match self.next.compare_exchange(next, frozen, SeqCst, SeqCst) {
                Ok(_) => return next,
                Err(now) => next = now,
            }
        }
        #[cfg(test)]
        assert_ne!(next.addr(), usize::MAX, "a segment was unlinked after it was freed");
        next.map_addr(|addr| addr & !FROZEN)
    }

    /// Transition: `gone -> next` (whoever unlinks `gone`); otherwise `gone` is not what follows,
    /// or this segment is on its way out itself.
    pub(super) fn replace_next(&self, gone: *mut Segment, next: *mut Segment) -> bool {
        // ORDERING: SeqCst. Release pairs with `next`. The total order is for D2: "unlink, then
        // read the hazards". Failure: Relaxed, the caller starts again.
        self.next.compare_exchange(gone, next, SeqCst, Relaxed).is_ok()
    }

    /// Whether all cells are gone.
    pub(super) fn is_finished(&self) -> bool {
        // ORDERING: Acquire. Pairs with `end`.
        self.ends.load(Acquire) & FINISHED != 0
    }

    /// Hands on the mark that a cell of `this` carried, which was just finished.
    ///
    /// Until that is done, the segment stays: it is not FINISHED but by the mark. Afterwards it may
    /// be freed at any moment, so no reference to it may outlive the call; hence the pointer.
    #[inline]
    pub(super) fn hand_on(this: NonNull<Self>, cell: usize, finish: Finish) -> Ended {
        match finish {
            Finish::Plain => Ended::No,
            Finish::Watched => Self::hand_on_mark(this, cell),
        }
    }

    #[cold]
    fn hand_on_mark(this: NonNull<Self>, cell: usize) -> Ended {
        {
            // SAFETY: we carry the mark, so it is not FINISHED, and not freed.
            let segment = unsafe { this.as_ref() };
            let mut cells = segment.cells.iter();
            let keeps = |cell: &Cell| !cell.is_gone() && cell.watch();
            let kept = if cell < CELLS / 2 { cells.rev().any(keeps) } else { cells.any(keeps) };
            if kept {
                return Ended::No;
            }
        }
        Self::end(this, FINISHED).map_or(Ended::Finished, Ended::Retired)
    }

    /// No pointer of the line leads to `this` any more; the caller protects it.
    pub(super) fn unlinked(this: NonNull<Self>) -> Option<Retired> {
        Self::end(this, UNLINKED)
    }

    fn end(this: NonNull<Self>, end: u32) -> Option<Retired> {
        // SAFETY: this end is not set yet, so nobody has retired it (I3).
        let ends = unsafe { &this.as_ref().ends };
        // ORDERING: AcqRel. Pairs with itself: who sets the second sees all that came before the
        // first, and frees.
        let before = ends.fetch_or(end, AcqRel);
        #[cfg(test)]
        assert_ne!(before, POISON, "a segment ended after it was freed");
        debug_assert_eq!(before & end, 0, "a segment ended twice");
        (before != 0).then_some(Retired(this))
    }

    /// The models' way to free: every later use of this segment panics.
    #[cfg(test)]
    pub(super) fn poison(&mut self) {
        use crate::tests::memory::overwrite;
        self.cells.iter_mut().for_each(Cell::poison);
        overwrite!(self.ends, POISON);
        overwrite!(self.hint, POISON);
        overwrite!(self.next, ptr::without_provenance_mut(usize::MAX));
    }
}
