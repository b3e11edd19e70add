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

#![expect(
    unsafe_code,
    reason = "follows pointers: to a segment that may be freed, and to its cells"
)]

use core::ptr::{self, NonNull};

use super::cell::{Cell, Finish};
use crate::sync::probe::alive;
pub(crate) use crate::sync::probe::{CELLS, FIRST_CELLS};
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

/// The lowest number of a cell in a segment whose first place is number `first`.
pub(super) const fn lowest(first: usize) -> usize {
    first.saturating_sub(1)
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
///
/// The cells lie in front of these fields, in the same block, and the last is number `CELLS - 1` in each
/// segment. The first segment of a line has few cells, and its first number is higher. So a number
/// and the address of the segment are all it takes to find a cell, or to know that there is no other.
/// Below such a first cell lies one that stays OPEN for ever: its neighbour looks in front of itself
/// like all others, and so learns to look further.
#[derive(Debug)]
pub(super) struct Segment {
    next: AtomicPtr<Segment>,
    /// The cells below this number are satisfied. May go backwards: the cells tell the truth.
    hint: AtomicU32,
    /// Which of its two ends have come: FINISHED, UNLINKED.
    ends: AtomicU32,
    /// The number of its first place.
    first: u32,
    /// How far it is from the beginning of the block in which it lies.
    offset: u32,
}

impl Segment {
    /// What stands behind the cells of the places from number `first` on.
    #[expect(clippy::cast_possible_truncation, reason = "less than the size of a block")]
    pub(super) fn new(first: usize, offset: usize) -> Self {
        Self {
            next: AtomicPtr::new(ptr::null_mut()),
            hint: AtomicU32::new(first as u32),
            ends: AtomicU32::new(0),
            first: first as u32,
            offset: offset as u32,
        }
    }

    /// Makes a large segment as it was made, but for what is left in slots, which nobody reads.
    pub(super) fn renew(&mut self) {
        if let Ok(cells) = <&[Cell; CELLS]>::try_from(self.cells()) {
            for (number, cell) in cells.iter().enumerate() {
                cell.renew(number == CELLS - 1);
            }
        }
        // ORDERING: Relaxed. `&mut self`: nobody else is there.
        self.next.store(ptr::null_mut(), Relaxed);
        // ORDERING: Relaxed, as above.
        self.hint.store(self.first, Relaxed);
        // ORDERING: Relaxed, as above.
        self.ends.store(0, Relaxed);
    }

    /// The number of its first place.
    pub(super) fn first(&self) -> usize {
        self.first as usize
    }

    pub(super) fn offset(&self) -> usize {
        self.offset as usize
    }

    /// Where the cell of that number is, which is in this segment.
    #[inline]
    fn locate(&self, number: usize) -> *mut Cell {
        debug_assert!((lowest(self.first())..CELLS).contains(&number));
        let end = ptr::with_exposed_provenance_mut::<Cell>(ptr::from_ref(self).addr());
        end.wrapping_sub(CELLS).wrapping_add(number)
    }

    /// The cell of that number, which is in this segment.
    #[inline]
    pub(super) fn cell(&self, number: usize) -> &Cell {
        // SAFETY: `allocate` has made the cells there, in the block of this segment, whose provenance it
        // has exposed; and they live as long as this.
        unsafe { &*self.locate(number) }
    }

    /// The cells of all its places.
    pub(super) fn cells(&self) -> &[Cell] {
        let first = self.locate(self.first());
        // SAFETY: as in `cell`, of the first and all behind it.
        unsafe { core::slice::from_raw_parts(first, CELLS - self.first()) }
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
            let mut cells = segment.cells().iter();
            let keeps = |cell: &Cell| !cell.is_gone() && cell.watch();
            let is_near = cell < usize::midpoint(segment.first(), CELLS);
            let kept = if is_near { cells.rev().any(keeps) } else { cells.any(keeps) };
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
        let first = self.locate(self.first());
        // SAFETY: as in `cells`; and nobody looks at them any more.
        let cells = unsafe { core::slice::from_raw_parts_mut(first, CELLS - self.first()) };
        cells.iter_mut().for_each(Cell::poison);
        poison!(self.ends);
        poison!(self.hint);
        poison!(self.next);
    }
}
