//! How segments are allocated and freed.

#![expect(unsafe_code, reason = "allocates and frees")]
#![expect(clippy::disallowed_methods, reason = "frees the blocks that it allocated")]

use alloc::alloc::{alloc, dealloc, handle_alloc_error};
use core::alloc::Layout;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::NonNull;

use crate::line::cell::Cell;
use crate::line::position::ALIGN;
use crate::line::segment::{CELLS, FIRST_PLACES, Segment, behind, lowest};
#[cfg(test)]
use crate::sync::probe::memory;

/// The alignment that allocators serve fastest. They are slow with others.
const COMMON: usize = align_of::<u128>();

/// The bytes of the cells in front of a segment whose first place is number `first`.
const fn cells(first: usize) -> usize {
    (CELLS - lowest(first)) * size_of::<Cell>()
}

/// The block of such a segment, which lies in it behind its cells.
///
/// A long line makes many large segments, so their blocks have the common alignment, and enough
/// room to align the segment inside. A line makes each small one once. Their blocks are aligned by
/// the allocator, and so take less memory.
const fn block(first: usize) -> Layout {
    let (spare, align) = if first == 0 { (ALIGN - COMMON, COMMON) } else { (0, ALIGN) };
    let size = cells(first).next_multiple_of(align) + spare + size_of::<Segment>();
    match Layout::from_size_align(size, align) {
        Ok(layout) => layout,
        Err(_) => panic!("no such layout"),
    }
}

/// How far from the beginning of its block, at address `start`, such a segment lies.
const fn offset(first: usize, start: usize) -> usize {
    (start + cells(first)).next_multiple_of(ALIGN) - start
}

// Wherever a block begins, the segment is inside. The same for all segments that grow from it.
const _: () = {
    const fn fits(first: usize) -> bool {
        let mut start = block(first).align();
        while start <= ALIGN {
            if offset(first, start) + size_of::<Segment>() > block(first).size() {
                return false;
            }
            start += block(first).align();
        }
        first == 0 || fits(behind(first))
    }
    assert!(fits(0) && fits(CELLS - FIRST_PLACES));
};

/// Makes a segment whose first place is number `first`. The caller must see that it is [`free`]d.
pub(super) fn allocate(first: usize) -> NonNull<Segment> {
    #[cfg(test)]
    memory::allocated();
    let start = Block::new(block(first)).leak();
    // `Segment::locate` takes what is exposed here.
    let offset = offset(first, start.as_ptr().expose_provenance());
    // SAFETY: it is inside the block, by `fits`.
    let segment = unsafe { start.add(offset) }.cast::<Segment>();
    let number = CELLS - lowest(first);
    // SAFETY: the cells end where the segment begins, which is not before their size.
    let lowest = unsafe { segment.cast::<MaybeUninit<Cell>>().sub(number) };
    // SAFETY: they are in the block, and no other thread has seen them.
    let cells = unsafe { core::slice::from_raw_parts_mut(lowest.as_ptr(), number) };
    cells.fill_with(|| MaybeUninit::new(Cell::new(false)));
    // The last cell carries the WATCH mark.
    cells[number - 1].write(Cell::new(true));
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
        let block = Block { start, layout: block(first) };
        #[cfg(not(test))]
        drop(block);
        #[cfg(test)]
        memory::keep(block);
    }
}

/// Memory without a value in it. Its drop gives it back to the allocator.
struct Block {
    start: NonNull<u8>,
    layout: Layout,
}

impl Block {
    fn new(layout: Layout) -> Self {
        #[cfg(test)]
        if let Some(kept) = memory::kept::<Self>().filter(|kept| kept.layout == layout) {
            return kept;
        }
        // SAFETY: its size is not zero: there is a segment in it.
        let Some(start) = NonNull::new(unsafe { alloc(layout) }) else {
            handle_alloc_error(layout)
        };
        Self { start, layout }
    }

    /// The caller must make another `Block` of it.
    fn leak(self) -> NonNull<u8> {
        ManuallyDrop::new(self).start
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: `alloc` has returned it for this layout, and this is its only owner.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}
