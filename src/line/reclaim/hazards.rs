//! The head of the list, and which threads may be looking at a segment, so that it is not freed.
//!
//! A thread writes into a *hazard slot* which segment it looks at. A thread that retires a segment
//! reads all slots. If it finds the segment in one, it hands the segment over to that slot, and the
//! slot's owner frees it when it leaves. So there are no lists of retired segments. A stopped
//! thread withholds at most two segments for each slot that it has. A slot that nobody has keeps at
//! most the segment that was handed over as its owner was leaving. (Michael, *Hazard Pointers*,
//! 2004; the handing over is that of Correia, Ramalhete and Felber, *OrcGC*, 2021.)
//!
//! Slots belong to the line, and not to threads: a slot is claimed by a compare-and-swap, and left
//! by a store. The line has one. When a thread finds all taken, a block of more is made.

#![expect(unsafe_code, reason = "follows protected pointers, and frees")]
#![expect(clippy::disallowed_methods, reason = "takes back the blocks of slots that it made")]

use alloc::boxed::Box;
use core::ptr::{self, NonNull};

use super::pool::{allocate, free};
use crate::line::position::Tail;
use crate::line::segment::{CELLS, FIRST_PLACES, Retired, Segment, behind};
use crate::sync::probe;
use crate::sync::sizes::{FIRST_HAZARDS, MORE_HAZARDS};
use crate::sync::{AcqRel, AtomicPtr, Relaxed, Release, SeqCst, const_fn, dekker, seeded};
use crate::wakes::waking;

#[derive(Debug)]
struct HazardSlot {
    /// The segment that the owner looks at; null if the slot has no owner.
    hazard: AtomicPtr<Segment>,
    /// A retired segment, which the owner frees when it leaves the slot.
    handed_over: AtomicPtr<Segment>,
}

impl HazardSlot {
    const_fn! {
        const fn new() -> Self {
            Self {
                hazard: AtomicPtr::new(ptr::null_mut()),
                handed_over: AtomicPtr::new(ptr::null_mut()),
            }
        }
    }

    /// Claims the slot, and writes `segment` as the hazard, which does not protect before it is
    /// validated. `false` if the slot is taken.
    #[inline]
    fn claim(&self, segment: NonNull<Segment>) -> bool {
        // ORDERING: SeqCst. Acquire pairs with `leave`. The total order is for
        // D2: "protect, then read the source again". Failure: Relaxed, nothing is read.
        self.hazard.compare_exchange(ptr::null_mut(), segment.as_ptr(), SeqCst, Relaxed).is_ok()
    }
}

impl Drop for HazardSlot {
    fn drop(&mut self) {
        // ORDERING: Relaxed. `&mut self`: nobody else is there.
        if let Some(segment) = NonNull::new(self.handed_over.load(Relaxed)) {
            // SAFETY: I3: it was retired, and by `&mut self` no thread looks at a segment any more.
            unsafe { free(segment) };
        }
    }
}

/// Slots for several threads at a time.
#[derive(Debug)]
struct Block {
    slots: [HazardSlot; MORE_HAZARDS],
    more: More,
}

/// A block that is made when all slots before it are taken, and stays until the line is dropped.
#[derive(Debug)]
struct More(AtomicPtr<Block>);

impl More {
    const_fn! {
        const fn none() -> Self {
            Self(AtomicPtr::new(ptr::null_mut()))
        }
    }

    #[inline]
    fn get(&self) -> Option<&Block> {
        // ORDERING: SeqCst. Acquire pairs with `get_or_append`: the block is seen initialised. The
        // total order is for D2: a thread that protects in a block that a retirer did not see reads
        // the source after the unlinking.
        let more = NonNull::new(self.0.load(SeqCst))?;
        // SAFETY: the block was made by `get_or_append`, and only the drop of this frees it.
        Some(unsafe { more.as_ref() })
    }

    fn get_or_append(&self) -> &Block {
        if let Some(more) = self.get() {
            return more;
        }
        let slots = core::array::from_fn(|_| HazardSlot::new());
        let new = NonNull::from(Box::leak(Box::new(Block { slots, more: Self::none() })));
        // ORDERING: SeqCst, as in `get`. Failure: Relaxed: it is read again below.
        if self.0.compare_exchange(ptr::null_mut(), new.as_ptr(), SeqCst, Relaxed).is_err() {
            // SAFETY: it was made above, and no other thread has seen it.
            drop(unsafe { Box::from_raw(new.as_ptr()) });
        }
        self.get().expect("a block was appended")
    }
}

impl Drop for More {
    fn drop(&mut self) {
        // ORDERING: Relaxed. `&mut self`: nobody else is there.
        let more = self.0.load(Relaxed);
        if !more.is_null() {
            // SAFETY: it was made by `get_or_append`, and this is its only owner.
            drop(unsafe { Box::from_raw(more) });
        }
    }
}

/// All hazard slots of a line.
///
/// The first slot is enough while one thread at a time looks at one segment.
#[derive(Debug)]
pub(in crate::line) struct Hazards {
    first: [HazardSlot; FIRST_HAZARDS],
    more: More,
}

impl Hazards {
    pub(in crate::line) fn new() -> Self {
        let first = core::array::from_fn(|_| HazardSlot::new());
        Self { first, more: More::none() }
    }

    /// All slots, in the order in which they were made. The pointer to a block is read after the
    /// slots before it, and not earlier: see D2 and *Handing over* in the README.
    fn slots(&self) -> impl Iterator<Item = &HazardSlot> {
        let mut more = &self.more;
        let blocks = core::iter::from_fn(move || {
            let block = more.get()?;
            more = &block.more;
            Some(block)
        });
        self.first.iter().chain(blocks.flat_map(|block| &block.slots))
    }

    /// Protects the segment to which `source` leads; `None` if that is null.
    pub(in crate::line) fn protect(&self, source: Source<'_>) -> Option<Guard<'_>> {
        match self.try_protect(source) {
            None => self.protect_slow(source),
            guard => guard,
        }
    }

    #[cold]
    fn protect_slow(&self, source: Source<'_>) -> Option<Guard<'_>> {
        let segment = source.read()?;
        let slot = self.slots().find(|slot| slot.claim(segment));
        let slot = slot.unwrap_or_else(|| {
            let mut more = &self.more;
            loop {
                let block = more.get_or_append();
                match block.slots.iter().find(|slot| slot.claim(segment)) {
                    Some(slot) => break slot,
                    None => more = &block.more,
                }
            }
        });
        Guard { hazards: self, slot, segment }.validate(source)
    }

    /// One attempt at [`Hazards::protect`], if the slot of first choice is free, and the source
    /// does not change; otherwise nothing was done.
    #[inline]
    pub(in crate::line) fn try_protect(&self, source: Source<'_>) -> Option<Guard<'_>> {
        let segment = source.read()?;
        let slot = match self.more.get() {
            None => first_choice(&self.first),
            Some(block) => first_choice(&block.slots),
        };
        if !slot.claim(segment) {
            return None;
        }
        dekker();
        match source.read() {
            // ABA: the address is the same, but it may be another segment than before.
            Some(now) if now == segment => Some(Guard { hazards: self, slot, segment: now }),
            _ => {
                self.leave(slot);
                None
            }
        }
    }

    /// Frees the segment, or hands it over to a thread that looks at it.
    pub(in crate::line) fn retire(&self, retired: Retired) {
        self.hand_over(retired.into_inner());
    }

    /// A segment that comes out of a slot may be the one at which the slot's owner looks now:
    /// another thread may have put it there after we read the slot. So the same slot is read again.
    fn hand_over(&self, mut segment: NonNull<Segment>) {
        dekker();
        for slot in self.slots() {
            // ORDERING: SeqCst. The total order is for D2: "unlink, then read the hazards".
            // Acquire pairs with `leave` and `set`: the owner's looks came before.
            while !seeded::USE_AFTER_FREE && slot.hazard.load(SeqCst) == segment.as_ptr() {
                // ORDERING: AcqRel. Pairs with itself and `collect_slow`: the thread that takes the
                // segment out comes after its end, and after what was read in the slots.
                // Go on with the segment that was here before. No earlier slot protects it, or
                // will: it was unlinked before they were read.
                let before = slot.handed_over.swap(segment.as_ptr(), AcqRel);
                let Some(before) = NonNull::new(before) else { return };
                segment = before;
            }
        }
        // SAFETY: I3: it came as `Retired`, so it is unlinked, all its cells are GONE, and nobody
        // else has the right to free it; and by D2 no hazard protects it.
        unsafe { free(segment) };
    }

    /// Leaves the slot: its owner looks at nothing any more.
    #[inline]
    fn leave(&self, slot: &HazardSlot) {
        // ORDERING: Release. Pairs with `hand_over` and `claim`: our looks at the segment
        // came before.
        slot.hazard.store(ptr::null_mut(), Release);
        self.collect(slot);
    }

    /// Takes the segment that was handed over to our slot, if any.
    #[inline]
    fn collect(&self, slot: &HazardSlot) {
        // ORDERING: Relaxed. Pairs with nothing. A segment that is handed over at this very moment
        // may be missed; the next owner of the slot finds it.
        if !slot.handed_over.load(Relaxed).is_null() {
            self.collect_slow(slot);
        }
    }

    #[cold]
    fn collect_slow(&self, slot: &HazardSlot) {
        // ORDERING: AcqRel. Pairs with `hand_over`, for the reasons given there.
        let segment = slot.handed_over.swap(ptr::null_mut(), AcqRel);
        if let Some(segment) = NonNull::new(segment) {
            self.hand_over(segment);
        }
    }
}

/// Appends a fresh segment behind `segment`; `false` if another thread was first.
pub(in crate::line) fn append(segment: &Segment) -> bool {
    let new = allocate(behind(segment.first()));
    let appended = segment.append(new);
    if !appended {
        // SAFETY: it is fresh, and no other thread has seen it.
        unsafe { free(new) };
    }
    appended
}

/// The slot at which this thread begins to look for a free one.
#[inline]
fn first_choice<const N: usize>(slots: &[HazardSlot; N]) -> &HazardSlot {
    &slots[slot_hint() % N]
}

/// A number that is often different for different threads, and mostly the same for one thread.
#[inline]
fn slot_hint() -> usize {
    if let Some(slot) = probe::slot_hint() {
        return slot;
    }
    let here = 0_u8;
    // The stacks of threads are some pages apart. A multiplication by 2^32 / phi mixes the higher
    // bits.
    #[expect(clippy::cast_possible_truncation, reason = "low bits are as good")]
    let page = (ptr::from_ref(&here).addr() >> 14) as u32;
    (page.wrapping_mul(0x9E37_79B9) >> 16) as usize
}

/// Protects one segment from being freed.
#[derive(Debug)]
pub(in crate::line) struct Guard<'a> {
    hazards: &'a Hazards,
    slot: &'a HazardSlot,
    segment: NonNull<Segment>,
}

impl Guard<'_> {
    /// The protected segment.
    #[inline]
    pub(in crate::line) fn segment(&self) -> &Segment {
        // SAFETY: `validate` or `try_protect` has seen that the source led here after the hazard
        // was set. So a thread that retires this segment reads the hazard, and does not free it
        // (D2).
        unsafe { self.segment.as_ref() }
    }

    /// The protected segment as a pointer, which may outlive it: see [`Segment::pass_mark`].
    pub(in crate::line) fn pointer(&self) -> NonNull<Segment> {
        self.segment
    }

    /// Protects the segment to which `source` leads now, instead; `None` if that is null.
    pub(in crate::line) fn move_to(mut self, source: Source<'_>) -> Option<Self> {
        let segment = source.read()?;
        self.set(segment);
        self.hazards.collect(self.slot);
        self.validate(source)
    }

    /// Follows the source until it leads to the segment that the hazard names.
    fn validate(mut self, source: Source<'_>) -> Option<Self> {
        loop {
            dekker();
            let segment = source.read()?;
            if segment == self.segment {
                // ABA: the address is the same, but it may be another segment than before.
                self.segment = segment;
                return Some(self);
            }
            self.set(segment);
        }
    }

    fn set(&mut self, segment: NonNull<Segment>) {
        self.segment = segment;
        // ORDERING: SeqCst. Release pairs with `hand_over`: our looks at the segment that was
        // protected came before. The total order is for D2: "protect, then read the source again".
        self.slot.hazard.swap(segment.as_ptr(), SeqCst);
    }
}

impl Drop for Guard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.hazards.leave(self.slot);
    }
}

/// A pointer to a segment that can be protected.
///
/// Each leads only to segments that are not retired. Before a segment is retired, the tail is moved
/// off it, and then the head, or the `next` before it, is changed.
#[derive(Clone, Copy)]
pub(in crate::line) enum Source<'a> {
    /// The first segment of the line.
    Head(&'a Head),
    /// The segment behind another; null if that other is being unlinked.
    Next(&'a Segment),
    /// The segment in which places are reserved.
    Tail(&'a Tail),
}

impl Source<'_> {
    #[inline]
    fn read(self) -> Option<NonNull<Segment>> {
        match self {
            Self::Head(head) => Some(head.load()),
            Self::Next(segment) => match segment.next() {
                (next, false) => NonNull::new(next),
                (_, true) => None,
            },
            Self::Tail(tail) => NonNull::new(tail.load().segment()),
        }
    }
}

/// Where the line begins. It owns all linked segments.
#[derive(Debug)]
pub(in crate::line) struct Head(AtomicPtr<Segment>);

impl Head {
    /// A line of one segment, and its tail.
    pub(in crate::line) fn new() -> (Self, Tail) {
        let first = allocate(CELLS - FIRST_PLACES);
        (Self(AtomicPtr::new(first.as_ptr())), Tail::new(first))
    }

    #[inline]
    fn load(&self) -> NonNull<Segment> {
        // ORDERING: SeqCst. Acquire pairs with `unlink`: the segment is seen initialised. The total
        // order is for D2: "protect, then read the source again".
        let first = self.0.load(SeqCst);
        // SAFETY: it was made with a segment, and moves on only from a segment that the tail has
        // left, behind which there is another.
        unsafe { NonNull::new_unchecked(first) }
    }

    /// Transition: `gone -> next` (the thread that unlinks `gone`); otherwise another thread has
    /// unlinked it.
    pub(in crate::line) fn unlink(&self, gone: *mut Segment, next: *mut Segment) -> bool {
        // ORDERING: SeqCst. Release pairs with `load`. The total order is for D2: "unlink, then
        // read the hazards". Failure: Relaxed, nothing is read.
        self.0.compare_exchange(gone, next, SeqCst, Relaxed).is_ok()
    }
}

impl Drop for Head {
    fn drop(&mut self) {
        // ORDERING: Relaxed. `&mut self`: nobody else is there.
        let mut segment = self.0.load(Relaxed);
        waking(|wakes| {
            while let Some(this) = NonNull::new(segment) {
                {
                    // SAFETY: a linked segment is not retired, and `&mut self` owns it.
                    let this = unsafe { this.as_ref() };
                    segment = this.next().0;
                    for cell in this.cells() {
                        // A future that was forgotten has left its waker here.
                        let waker = cell.clear();
                        wakes.run(|| drop(waker));
                    }
                }
                // SAFETY: as above.
                unsafe { free(this) };
            }
        });
    }
}
