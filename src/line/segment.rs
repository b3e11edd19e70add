//! A run of cells.
//!
//! A segment is FINISHED when all its cells are GONE, and UNLINKED when no pointer of the line
//! leads to it. The thread that sets the second of the two retires it (I3).
//!
//! GONE cells are not counted, which would take one more locked instruction for each. Instead, one
//! unfinished cell carries the WATCH mark; at first it is the last cell. The thread that finishes
//! the marked cell passes the mark on to another unfinished cell. If there is none, the segment is
//! FINISHED. The cells are read from the far end, so that waiters that leave in order, or in the
//! opposite order, pass the mark on once at most.

#![expect(
    unsafe_code,
    reason = "follows pointers: to a segment that may be freed, and to its cells"
)]

use core::ptr::{self, NonNull};

use super::cell::{Cell, Finish};
use crate::sync::probe::alive;
pub(crate) use crate::sync::sizes::{CELLS, FIRST_PLACES};
use crate::sync::{AcqRel, Acquire, AtomicPtr, AtomicU32, Relaxed, Release, SeqCst};

/// In `next`: this segment is being unlinked, and its `next` does not change any more.
const FROZEN: usize = 1;

const FINISHED: u32 = 1;
const UNLINKED: u32 = 2;

/// A segment that is FINISHED and UNLINKED. There is one for each segment: it is the right to free
/// it.
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

/// The number of the first place in the segment behind one whose first is number `first`. The
/// segments of a line grow: each has four times as many cells as the one before, and `CELLS` at
/// most.
pub(super) const fn behind(first: usize) -> usize {
    (CELLS + 1).saturating_sub(4 * (CELLS - lowest(first)))
}

/// Whether no cell of the segment is unfinished any more, now that one was finished.
#[derive(Debug)]
#[must_use]
pub(crate) enum Completed {
    /// Others are unfinished.
    No,
    /// None is, and the segment is still linked.
    Linked,
    /// None is, and the segment was unlinked before.
    Unlinked(Retired),
}

/// A run of cells.
///
/// The cells lie in front of these fields, in the same block. The last cell of each segment is
/// number `CELLS - 1`. The first segments of a line have few cells, so their first numbers are
/// higher. So the address of the segment and a number say where a cell is, and whether there is
/// another behind it. In front of the first place of a small segment lies a sentinel, a cell that
/// stays OPEN for ever: the owner of that place looks in front of itself as all others do, and finds
/// that it must walk.
#[derive(Debug)]
pub(super) struct Segment {
    next: AtomicPtr<Segment>,
    /// All cells below this number are satisfied. It may go backwards, and others may be satisfied,
    /// too.
    hint: AtomicU32,
    /// FINISHED, UNLINKED.
    ends: AtomicU32,
    /// The number of the first place.
    first: u32,
    /// How many bytes it is behind the beginning of its block.
    offset: u32,
}

impl Segment {
    /// The fields behind the cells of a segment whose first place is number `first`.
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

    /// The number of the first place.
    pub(super) fn first(&self) -> usize {
        self.first as usize
    }

    pub(super) fn offset(&self) -> usize {
        self.offset as usize
    }

    /// The address of the cell of that number, which is in this segment.
    #[inline]
    fn locate(&self, number: usize) -> *mut Cell {
        debug_assert!((lowest(self.first())..CELLS).contains(&number));
        let end = ptr::with_exposed_provenance_mut::<Cell>(ptr::from_ref(self).addr());
        end.wrapping_sub(CELLS).wrapping_add(number)
    }

    /// The cell of that number, which is in this segment.
    #[inline]
    pub(super) fn cell(&self, number: usize) -> &Cell {
        // SAFETY: `allocate` has made the cells there, in the block of this segment. It has exposed
        // the provenance of the block. The cells live as long as the segment.
        unsafe { &*self.locate(number) }
    }

    /// The cells of all its places.
    pub(super) fn cells(&self) -> &[Cell] {
        let first = self.locate(self.first());
        // SAFETY: as in `cell`, for the first cell and all behind it.
        unsafe { core::slice::from_raw_parts(first, CELLS - self.first()) }
    }

    /// The number from which to look for an unsatisfied cell.
    #[inline]
    pub(super) fn hint(&self) -> usize {
        // ORDERING: Acquire. Pairs with `set_hint`: serving a cell comes after passing the cells
        // before it.
        alive(self.hint.load(Acquire)) as usize
    }

    /// Says that all cells below `cell` are satisfied.
    #[inline]
    pub(super) fn set_hint(&self, cell: usize) {
        #[expect(clippy::cast_possible_truncation, reason = "at most CELLS")]
        // ORDERING: Release. Pairs with `hint`.
        self.hint.store(cell as u32, Release);
    }

    /// The segment behind, null at the end of the line; and whether this one is being unlinked.
    pub(super) fn next(&self) -> (*mut Segment, bool) {
        // ORDERING: SeqCst. Acquire pairs with `append` and `replace_next`: the segment is seen
        // initialised. The total order is for D2: "protect, then read the source again".
        let next = alive(self.next.load(SeqCst));
        (next.map_addr(|addr| addr & !FROZEN), next.addr() & FROZEN != 0)
    }

    /// Transition: `null -> next` (joiner, deliverer); otherwise another thread has appended.
    pub(super) fn append(&self, next: NonNull<Segment>) -> bool {
        // ORDERING: AcqRel. Release pairs with `next`: the segment is seen initialised. Failure:
        // Relaxed: the caller looks again by `next`.
        self.next.compare_exchange(ptr::null_mut(), next.as_ptr(), AcqRel, Relaxed).is_ok()
    }

    /// Fixes what is behind this segment, which is about to be unlinked, and says what it is.
    ///
    /// Otherwise another thread could unlink the segment behind by changing our `next` after we
    /// read it, and the line would lead to a freed segment.
    ///
    /// Transition: `next -> next, FROZEN` (the thread that unlinks). It cannot fail.
    pub(super) fn freeze_next(&self) -> *mut Segment {
        // ORDERING: SeqCst, as `next`.
        let mut next = alive(self.next.load(SeqCst));
        while next.addr() & FROZEN == 0 {
            debug_assert!(!next.is_null(), "the last segment is not unlinked");
            let frozen = next.map_addr(|addr| addr | FROZEN);
            // ORDERING: SeqCst. AcqRel pairs with `next`. The total order is for D2: a thread that
            // found `next` not frozen read it before this, and so before the unlinking. Failure:
            // SeqCst.
            match self.next.compare_exchange(next, frozen, SeqCst, SeqCst) {
                Ok(_) => return next,
                Err(now) => next = now,
            }
        }
        next.map_addr(|addr| addr & !FROZEN)
    }

    /// Transition: `gone -> next` (the thread that unlinks `gone`); otherwise `gone` does not
    /// follow any more, or this segment is being unlinked itself.
    pub(super) fn replace_next(&self, gone: *mut Segment, next: *mut Segment) -> bool {
        // ORDERING: SeqCst. Release pairs with `next`. The total order is for D2: "unlink, then
        // read the hazards". Failure: Relaxed, the caller starts again.
        self.next.compare_exchange(gone, next, SeqCst, Relaxed).is_ok()
    }

    /// Whether all cells are GONE.
    pub(super) fn is_finished(&self) -> bool {
        // ORDERING: Acquire. Pairs with `set_end`.
        self.ends.load(Acquire) & FINISHED != 0
    }

    /// Passes on the mark of a cell of `this` that was just finished.
    ///
    /// Only the carrier of the mark makes the segment FINISHED, so it is not freed before.
    /// Afterwards it may be freed at any moment, also within this call. So `this` is a pointer, and
    /// not a reference.
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

    /// Notes that no pointer of the line leads to `this` any more. The caller protects it.
    pub(super) fn unlinked(this: NonNull<Self>) -> Option<Retired> {
        Self::set_end(this, UNLINKED)
    }

    fn set_end(this: NonNull<Self>, end: u32) -> Option<Retired> {
        // SAFETY: this end is not set yet, so nobody has retired it (I3).
        let ends = unsafe { &this.as_ref().ends };
        // ORDERING: AcqRel. Pairs with itself: the thread that sets the second end sees all that
        // came before the first, and retires.
        let before = alive(ends.fetch_or(end, AcqRel));
        debug_assert_eq!(before & end, 0, "a segment ended twice");
        (before != 0).then_some(Retired(this))
    }

    /// Poisons it: the tests' way to free.
    #[cfg(test)]
    pub(super) fn poison(&mut self) {
        use crate::sync::poison;
        let first = self.locate(self.first());
        // SAFETY: as in `cells`; and no other thread looks at them any more.
        let cells = unsafe { core::slice::from_raw_parts_mut(first, CELLS - self.first()) };
        cells.iter_mut().for_each(Cell::poison);
        poison!(self.ends);
        poison!(self.hint);
        poison!(self.next);
    }
}
