//! A run of cells.
//!
//! A segment ends in two ways: it is FINISHED when all its cells are gone, and UNLINKED when no
//! pointer of the line leads to it. Whoever sets the second of the two retires it (I3).
//!
//! Nobody counts finished cells: that would be one more locked instruction for each.
//! Instead one unfinished cell carries the WATCH mark, at first the last. Whoever finishes that
//! cell passes the mark on to another that is unfinished, or finds none, and has finished the
//! segment. It looks from the far end: those who leave in order, or in the opposite one, pass it on
//! once at most.

#![expect(unsafe_code, reason = "follows the pointer to a segment that may be freed meanwhile")]

use core::ptr::{self, NonNull};

use super::cell::{Cell, Finish};
pub(crate) use crate::sync::probe::CELLS;
use crate::sync::probe::alive;
use crate::sync::{AcqRel, Acquire, AtomicPtr, AtomicU32, Relaxed, Release, SeqCst};

/// In `next`: this segment is on its way out, and `next` changes no more.
const FROZEN: usize = 1;

const FINISHED: u32 = 1;
const UNLINKED: u32 = 2;

/// A segment that nobody can reach or will finish any more: the right, once only, to free it.
#[derive(Debug)]
#[must_use]
pub(crate) struct Retired(NonNull<Segment>);

impl Retired {
    pub(super) fn into_inner(self) -> NonNull<Segment> {
        self.0
    }
}

/// Whether the cell that was just finished was the last of its segment.
#[derive(Debug)]
#[must_use]
pub(crate) enum Completed {
    /// It was not: others are unfinished.
    No,
    /// It was, and the segment is still linked.
    Linked,
    /// It was, and the segment was unlinked before.
    Unlinked(Retired),
}

/// A run of cells.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Segment {
    pub(super) cells: [Cell; CELLS],
    next: AtomicPtr<Segment>,
    /// The cells below this number are satisfied. May go backwards: the cells tell the truth.
    hint: AtomicU32,
    /// Which of its two ends have come: FINISHED, UNLINKED.
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
        alive(self.hint.load(Acquire)) as usize
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
        let next = alive(self.next.load(SeqCst));
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
        let mut next = alive(self.next.load(SeqCst));
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
        // ORDERING: Acquire. Pairs with `set_end`.
        self.ends.load(Acquire) & FINISHED != 0
    }

    /// Passes on the mark that a cell of `this` carried, which was just finished.
    ///
    /// Until that is done, the segment stays: it is not FINISHED but by the mark. Afterwards it may
    /// be freed at any moment, so no reference to it may outlive the call; hence the pointer.
    #[inline]
    pub(super) fn pass_mark(this: NonNull<Self>, cell: usize, finish: Finish) -> Completed {
        match finish {
            Finish::Plain => Completed::No,
            Finish::Watched => Self::pass_mark_slow(this, cell),
        }
    }

    #[cold]
    fn pass_mark_slow(this: NonNull<Self>, cell: usize) -> Completed {
        {
            // SAFETY: we carry the mark, so it is not FINISHED, and not freed.
            let segment = unsafe { this.as_ref() };
            let mut cells = segment.cells.iter();
            let keeps = |cell: &Cell| !cell.is_gone() && cell.watch();
            let kept = if cell < CELLS / 2 { cells.rev().any(keeps) } else { cells.any(keeps) };
            if kept {
                return Completed::No;
            }
        }
        Self::set_end(this, FINISHED).map_or(Completed::Linked, Completed::Unlinked)
    }

    /// No pointer of the line leads to `this` any more; the caller protects it.
    pub(super) fn unlinked(this: NonNull<Self>) -> Option<Retired> {
        Self::set_end(this, UNLINKED)
    }

    fn set_end(this: NonNull<Self>, end: u32) -> Option<Retired> {
        // SAFETY: this end is not set yet, so nobody has retired it (I3).
        let ends = unsafe { &this.as_ref().ends };
        // ORDERING: AcqRel. Pairs with itself: who sets the second sees all that came before the
        // first, and frees.
        let before = alive(ends.fetch_or(end, AcqRel));
        debug_assert_eq!(before & end, 0, "a segment ended twice");
        (before != 0).then_some(Retired(this))
    }

    /// Poisons it: the tests' way to free.
    #[cfg(test)]
    pub(super) fn poison(&mut self) {
        use crate::sync::poison;
        self.cells.iter_mut().for_each(Cell::poison);
        poison!(self.ends);
        poison!(self.hint);
        poison!(self.next);
    }
}
