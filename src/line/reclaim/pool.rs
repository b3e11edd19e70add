//! How segments are allocated, kept and freed.

#![expect(unsafe_code, reason = "allocates and frees")]
#![expect(clippy::disallowed_methods, reason = "frees the blocks that it allocated")]

use core::alloc::Layout;
use core::ptr::{self, NonNull};
use std::alloc::{alloc, dealloc, handle_alloc_error};

use crate::line::cell::Cell;
use crate::line::position::ALIGN;
use crate::line::segment::{CELLS, FIRST_CELLS, Segment, lowest};
use crate::sync::probe::KEEPS_SPARE;
#[cfg(test)]
use crate::sync::probe::memory;
use crate::sync::{Acquire, AtomicPtr, Relaxed, Release};

/// A large segment that nobody looks at any more, kept for the next that is needed. So a line of
/// steady length does not allocate.
#[derive(Debug)]
pub(super) struct Spare(AtomicPtr<Segment>);

impl Spare {
    pub(super) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Keeps a segment. Frees it if one is kept already, or if it is the first of a line, which is
    /// small.
    ///
    /// # Safety
    ///
    /// As for [`free`].
    pub(super) unsafe fn put(&self, segment: NonNull<Segment>) {
        // SAFETY: the caller's obligation: it is not freed yet.
        let is_large = unsafe { segment.as_ref() }.first() == 0;
        #[cfg(test)]
        // SAFETY: the caller's obligation: nobody looks at it.
        unsafe { &mut *segment.as_ptr() }.poison();
        // ORDERING: Release. Pairs with `take`: the next use comes after all uses before.
        // Failure: Relaxed, nothing is read.
        let kept = KEEPS_SPARE
            && is_large
            && self.0.compare_exchange(ptr::null_mut(), segment.as_ptr(), Release, Relaxed).is_ok();
        if !kept {
            // SAFETY: the caller's obligation.
            unsafe { free(segment) };
        }
    }

    /// The segment that is kept, made as new, or a new one.
    pub(super) fn take(&self) -> NonNull<Segment> {
        // ORDERING: Relaxed. Pairs with nothing: the swap decides.
        if self.0.load(Relaxed).is_null() {
            return allocate(0);
        }
        // ORDERING: Acquire. Pairs with `put`.
        match NonNull::new(self.0.swap(ptr::null_mut(), Acquire)) {
            // SAFETY: it was put there by a caller that might have freed it, and is ours now.
            Some(segment) => unsafe { renew(segment) },
            None => allocate(0),
        }
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        // ORDERING: Relaxed. `&mut self`: nobody else is there.
        if let Some(segment) = NonNull::new(self.0.load(Relaxed)) {
            // SAFETY: it was put there by a caller that might have freed it.
            unsafe { free(segment) };
        }
    }
}

/// The alignment of blocks. Allocators are fast with the common one, and slow with others.
const COMMON: usize = align_of::<u128>();

/// The bytes of the cells in front of a segment whose first place is number `first`.
const fn cells(first: usize) -> usize {
    (CELLS - lowest(first)) * size_of::<Cell>()
}

/// The block of such a segment. It is large enough to align the segment in it, behind the cells.
const fn block(first: usize) -> Layout {
    let size = cells(first).next_multiple_of(COMMON) + ALIGN - COMMON + size_of::<Segment>();
    match Layout::from_size_align(size, COMMON) {
        Ok(layout) => layout,
        Err(_) => panic!("no such layout"),
    }
}

/// How far from the beginning of its block, at address `start`, such a segment lies.
const fn offset(first: usize, start: usize) -> usize {
    (start + cells(first)).next_multiple_of(ALIGN) - start
}

/// Wherever a block begins, the segment is inside.
const fn fits(first: usize) -> bool {
    let mut start = COMMON;
    while start <= ALIGN {
        if offset(first, start) + size_of::<Segment>() > block(first).size() {
            return false;
        }
        start += COMMON;
    }
    true
}
const _: () = assert!(fits(0) && fits(CELLS - FIRST_CELLS));

/// Makes a segment whose first place is number `first`. The caller must see that it is [`free`]d.
pub(super) fn allocate(first: usize) -> NonNull<Segment> {
    #[cfg(test)]
    memory::allocated();
    let layout = block(first);
    // SAFETY: its size is not zero.
    let Some(block) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
    // `Segment::locate` takes what is exposed here.
    let offset = offset(first, block.as_ptr().expose_provenance());
    // SAFETY: it is inside the block, by `fits`.
    let segment = unsafe { block.add(offset) }.cast::<Segment>();
    for number in lowest(first)..CELLS {
        // SAFETY: the cells end where the segment begins, which is not before their size.
        let cell = unsafe { segment.cast::<Cell>().sub(CELLS - number) };
        // SAFETY: it is in the block, and no other thread has seen it.
        unsafe { cell.write(Cell::new(number == CELLS - 1)) };
    }
    // SAFETY: it is aligned, in the block, and no other thread has seen it.
    unsafe { segment.write(Segment::new(first, offset)) };
    segment
}

/// Frees a segment.
///
/// # Safety
///
/// It was made by [`allocate`], and no other thread looks at it, or will.
pub(super) unsafe fn free(segment: NonNull<Segment>) {
    let owned = OwnedSegment(segment);
    #[cfg(not(test))]
    drop(owned);
    // The models keep it, poisoned, so that a thread that looks at it all the same panics.
    #[cfg(test)]
    {
        // SAFETY: the obligation: nobody looks at it.
        unsafe { &mut *segment.as_ptr() }.poison();
        memory::freed(owned);
    }
}

/// Makes a used segment as new.
///
/// # Safety
///
/// As for [`free`].
unsafe fn renew(segment: NonNull<Segment>) -> NonNull<Segment> {
    // The models take another, so that a thread that looks at this one too late finds the poison.
    #[cfg(test)]
    let segment = if memory::reuses() {
        segment
    } else {
        // SAFETY: the obligation.
        unsafe { free(segment) };
        allocate(0)
    };
    // SAFETY: the obligation: nobody looks at it.
    unsafe { &mut *segment.as_ptr() }.renew();
    segment
}

/// A segment that nobody else can reach. Its drop frees it.
struct OwnedSegment(NonNull<Segment>);

// SAFETY: a segment has atomics, and fields that do not change.
#[cfg(test)]
unsafe impl Send for OwnedSegment {}

impl Drop for OwnedSegment {
    fn drop(&mut self) {
        let Self(segment) = *self;
        let (first, offset) = {
            // SAFETY: by `free`, nobody else looks at it.
            let segment = unsafe { segment.as_ref() };
            (segment.first(), segment.offset())
        };
        let cells = CELLS - lowest(first);
        // SAFETY: `allocate` has put that many cells there.
        let lowest = unsafe { segment.cast::<Cell>().sub(cells) };
        // SAFETY: as above.
        unsafe { NonNull::slice_from_raw_parts(lowest, cells).drop_in_place() };
        // SAFETY: as above.
        unsafe { segment.drop_in_place() };
        // SAFETY: `allocate` has added that offset.
        let start = unsafe { segment.cast::<u8>().sub(offset) };
        // SAFETY: it is the block that `alloc` returned for this layout.
        unsafe { dealloc(start.as_ptr(), block(first)) };
    }
}
