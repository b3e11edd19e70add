//! Where segments come from, and where they go.

#![expect(unsafe_code, reason = "allocates and frees")]
#![expect(clippy::disallowed_methods, reason = "frees the blocks that it allocated")]

use core::alloc::Layout;
use core::ptr::{self, NonNull};
use std::alloc::{alloc, dealloc, handle_alloc_error};

use crate::line::segment::Segment;
use crate::sync::probe::KEEPS_SPARE;
#[cfg(test)]
use crate::sync::probe::memory;
use crate::sync::{Acquire, AtomicPtr, Relaxed, Release};

/// A segment that nobody looks at any more, kept for whoever needs the next: a line in which some
/// come as others go then allocates nothing.
#[derive(Debug)]
pub(super) struct Spare(AtomicPtr<Segment>);

impl Spare {
    pub(super) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Keeps a segment, or frees it where one is kept already.
    ///
    /// # Safety
    ///
    /// As for [`free`].
    pub(super) unsafe fn put(&self, segment: NonNull<Segment>) {
        #[cfg(test)]
        // SAFETY: the caller's obligation: nobody looks at it.
        unsafe { &mut *segment.as_ptr() }.poison();
        // ORDERING: Release. Pairs with `take`: the next to use it comes after all who did.
        // Failure: Relaxed, nothing is read.
        let kept = KEEPS_SPARE
            && self.0.compare_exchange(ptr::null_mut(), segment.as_ptr(), Release, Relaxed).is_ok();
        if !kept {
            // SAFETY: the caller's obligation.
            unsafe { free(segment) };
        }
    }

    /// The segment that is kept, or another, as if it had just been made.
    pub(super) fn take(&self) -> NonNull<Segment> {
        // ORDERING: Relaxed. Only a look.
        if self.0.load(Relaxed).is_null() {
            return allocate();
        }
        // ORDERING: Acquire. Pairs with `put`.
        match NonNull::new(self.0.swap(ptr::null_mut(), Acquire)) {
            // SAFETY: it was put there by somebody who might have freed it, and is ours now.
            Some(segment) => unsafe { renew(segment) },
            None => allocate(),
        }
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        // ORDERING: Relaxed. `&mut self`: nobody else is there.
        if let Some(segment) = NonNull::new(self.0.load(Relaxed)) {
            // SAFETY: it was put there by somebody who might have freed it.
            unsafe { free(segment) };
        }
    }
}

/// A segment lies in a block that is as much larger as it takes to find the segment's alignment in
/// it: allocators are quick with blocks of the common alignment, and slow with others.
const BLOCK: Layout = {
    const ALIGN: usize = align_of::<u128>();
    match Layout::from_size_align(size_of::<Segment>() + align_of::<Segment>() - ALIGN, ALIGN) {
        Ok(layout) => layout,
        Err(_) => panic!("no such layout"),
    }
};

/// Makes a segment, which somebody is to [`free`].
pub(super) fn allocate() -> NonNull<Segment> {
    #[cfg(test)]
    memory::allocated();
    // SAFETY: its size is not zero.
    let Some(block) = NonNull::new(unsafe { alloc(BLOCK) }) else { handle_alloc_error(BLOCK) };
    let offset = block.align_offset(align_of::<Segment>());
    // SAFETY: the block is larger than a segment by the most that it takes to align one.
    let segment = unsafe { block.add(offset) }.cast::<Segment>();
    // SAFETY: it is aligned, in the block, and nobody has seen it.
    unsafe { segment.write(Segment::new(offset)) };
    segment
}

/// Frees a segment.
///
/// # Safety
///
/// It was made by [`allocate`], and nobody looks at it any more, or will.
pub(super) unsafe fn free(segment: NonNull<Segment>) {
    let owned = OwnedSegment(segment);
    #[cfg(not(test))]
    drop(owned);
    // The models keep it, poisoned: whoever looks at it all the same is found out.
    #[cfg(test)]
    {
        // SAFETY: the obligation: nobody looks at it.
        unsafe { &mut *segment.as_ptr() }.poison();
        memory::freed(owned);
    }
}

/// Makes a segment as [`allocate`] does of one that was used.
///
/// # Safety
///
/// As for [`free`].
unsafe fn renew(segment: NonNull<Segment>) -> NonNull<Segment> {
    // The models take another, lest somebody who is late look at this.
    #[cfg(test)]
    let segment = if memory::reuses() {
        segment
    } else {
        // SAFETY: the obligation.
        unsafe { free(segment) };
        allocate()
    };
    // SAFETY: the obligation: nobody looks at it.
    unsafe { &mut *segment.as_ptr() }.renew();
    segment
}

/// A segment that nobody else can reach; dropped, it is freed.
struct OwnedSegment(NonNull<Segment>);

// SAFETY: a segment is atomics, and what else it has does not change.
#[cfg(test)]
unsafe impl Send for OwnedSegment {}

impl Drop for OwnedSegment {
    fn drop(&mut self) {
        // SAFETY: by `free`, nobody else looks at it.
        let offset = unsafe { self.0.as_ref() }.offset();
        // SAFETY: as above.
        unsafe { self.0.drop_in_place() };
        // SAFETY: `allocate` has added as much.
        let block = unsafe { self.0.cast::<u8>().sub(offset) };
        // SAFETY: it is the block that `alloc` returned for this layout.
        unsafe { dealloc(block.as_ptr(), BLOCK) };
    }
}
