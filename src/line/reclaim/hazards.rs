//! Who may be looking at a segment, and the only place that frees.
//!
//! A *hazard* is a slot in which a thread says which segment it looks at. Whoever retires a segment
//! reads all slots, and where it finds the segment, hands it over to that slot: its owner frees it
//! when it leaves. So nothing waits in lists, a thread that is stopped withholds one segment a
//! slot, and a slot at rest keeps at most the one that was handed over as its owner was leaving.
//! (Michael, *Hazard Pointers*, 2004; the handing over is that of Correia, Ramalhete and Felber,
//! *OrcGC*, 2021.)
//!
//! Slots belong to the line, not to threads: one is claimed by a compare-and-swap, near where the
//! thread's stack is, and left by a store. When all are taken, there are more.

#![expect(unsafe_code, reason = "follows protected pointers, and frees")]
#![expect(clippy::disallowed_methods, reason = "takes back the blocks of slots that it made")]

use core::ptr::{self, NonNull};
use std::boxed::Box;

use super::pool::{Spare, allocate, free};
use crate::line::position::Tail;
use crate::line::segment::{CELLS, FIRST_CELLS, Retired, Segment};
use crate::sync::probe::{self, FIRST_HAZARDS, MORE_HAZARDS};
use crate::sync::{AcqRel, AtomicPtr, Relaxed, Release, SeqCst, const_fn, dekker, seeded};
use crate::wakes::waking;

#[derive(Debug)]
struct HazardSlot {
    /// The segment that the owner looks at; null: nobody's slot.
    hazard: AtomicPtr<Segment>,
    /// A retired segment, to be freed by whoever leaves the slot.
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

    /// Says that we look at `segment`, which proves nothing yet; `false` if the slot is taken.
    #[inline]
    fn claim(&self, segment: NonNull<Segment>) -> bool {
        // ORDERING: SeqCst. Acquire pairs with the store that left the slot. The total order is for
        // D2: "protect, then read the source again". Failure: Relaxed, nothing is read.
        self.hazard.compare_exchange(ptr::null_mut(), segment.as_ptr(), SeqCst, Relaxed).is_ok()
    }
}

impl Drop for HazardSlot {
    fn drop(&mut self) {
        // ORDERING: Relaxed. `&mut self`: nobody else is there.
        if let Some(segment) = NonNull::new(self.handed_over.load(Relaxed)) {
            // SAFETY: I3: it was handed over retired, and nobody looks at anything any more.
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
        // total order is for D2: whoever protects in a block that a retirer did not see, reads
        // the source after the unlinking.
        let more = NonNull::new(self.0.load(SeqCst))?;
        // SAFETY: a block was made by `get_or_append` and is freed by the drop of this alone.
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
            // SAFETY: made above, and nobody else has seen it.
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
            // SAFETY: made by `get_or_append`, and this is its only owner.
            drop(unsafe { Box::from_raw(more) });
        }
    }
}

/// All hazards of a line, and what becomes of its segments.
///
/// One thread at a time needs one slot. Where a second comes meanwhile, there are more.
#[derive(Debug)]
pub(in crate::line) struct Hazards {
    first: [HazardSlot; FIRST_HAZARDS],
    more: More,
    spare: Spare,
}

impl Hazards {
    pub(in crate::line) fn new() -> Self {
        let first = core::array::from_fn(|_| HazardSlot::new());
        Self { first, more: More::none(), spare: Spare::new() }
    }

    /// All slots, in the order in which they were made. A block is looked for when those before it
    /// have been seen, and not earlier: see D2 and *Handing over* in the README.
    fn slots(&self) -> impl Iterator<Item = &HazardSlot> {
        let mut more = &self.more;
        let blocks = core::iter::from_fn(move || {
            let block = more.get()?;
            more = &block.more;
            Some(block)
        });
        self.first.iter().chain(blocks.flat_map(|block| &block.slots))
    }

    /// Protects the segment that `source` leads to; `None` if that is null.
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

    /// [`Hazards::protect`] if the slot of first choice is free, and the source stays as it is; otherwise
    /// nothing is protected.
    #[inline]
    pub(in crate::line) fn try_protect(&self, source: Source<'_>) -> Option<Guard<'_>> {
        let segment = source.read()?;
        let slot = match self.more.get() {
            None => &self.first[slot_hint() % FIRST_HAZARDS],
            Some(block) => &block.slots[slot_hint() % MORE_HAZARDS],
        };
        if !slot.claim(segment) {
            return None;
        }
        dekker();
        match source.read() {
            // The same address may be another segment's than was read before.
            Some(now) if now == segment => Some(Guard { hazards: self, slot, segment: now }),
            _ => {
                self.leave(slot);
                None
            }
        }
    }

    /// Frees the segment, or hands it over to somebody who looks at it.
    pub(in crate::line) fn retire(&self, retired: Retired) {
        self.hand_over(retired.into_inner());
    }

    /// What comes out of a slot may be what the slot's owner of now looks at: it was put in for that
    /// owner, after we read the slot. So that very slot is read again.
    fn hand_over(&self, mut segment: NonNull<Segment>) {
        dekker();
        for slot in self.slots() {
            // ORDERING: SeqCst. The total order is for D2: "unlink, then read the hazards".
            // Acquire pairs with the store by which the owner left: its looks came before.
            while !seeded::USE_AFTER_FREE && slot.hazard.load(SeqCst) == segment.as_ptr() {
                // ORDERING: AcqRel. Pairs with itself and `collect_slow`: the segment's end
                // is passed on with it, and what was seen in the slot by who handed it over.
                // What was here before takes its place: nobody in a slot before this looks at
                // it, or will: it was unlinked before they were read.
                let before = slot.handed_over.swap(segment.as_ptr(), AcqRel);
                let Some(before) = NonNull::new(before) else { return };
                segment = before;
            }
        }
        // SAFETY: I3: it came as `Retired`, so it is unlinked, all its cells are gone, and nobody
        // else has the right to free it; and by D2 no hazard protects it.
        unsafe { self.spare.put(segment) };
    }

    /// Looks at nothing any more.
    #[inline]
    fn leave(&self, slot: &HazardSlot) {
        // ORDERING: Release. Pairs with `hand_over` and `claim`: our looks at the segment
        // came before.
        slot.hazard.store(ptr::null_mut(), Release);
        self.collect(slot);
    }

    /// Takes over what was handed to our slot.
    #[inline]
    fn collect(&self, slot: &HazardSlot) {
        // ORDERING: Relaxed. Only a look. A hand-over at this very moment may be missed; the next
        // to leave this slot finds it.
        if !slot.handed_over.load(Relaxed).is_null() {
            self.collect_slow(slot);
        }
    }

    #[cold]
    fn collect_slow(&self, slot: &HazardSlot) {
        // ORDERING: AcqRel. Pairs with `hand_over`, as said there.
        let segment = slot.handed_over.swap(ptr::null_mut(), AcqRel);
        if let Some(segment) = NonNull::new(segment) {
            self.hand_over(segment);
        }
    }

    /// Appends a fresh segment; `false` if somebody else did, or does.
    pub(in crate::line) fn append_to(&self, segment: &Segment) -> bool {
        let new = self.spare.take();
        let appended = segment.append(new);
        if !appended {
            // SAFETY: it is fresh, and nobody else has seen it.
            unsafe { self.spare.put(new) };
        }
        appended
    }
}

/// A number that tends to differ from thread to thread, and to stay for a thread.
#[inline]
fn slot_hint() -> usize {
    if let Some(slot) = probe::slot_hint() {
        return slot;
    }
    let here = 0_u8;
    // Stacks are some pages apart; a multiplication by 2^32 / phi mixes what is above.
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
    /// What is protected.
    #[inline]
    pub(in crate::line) fn segment(&self) -> &Segment {
        // SAFETY: by `validate` or `try_protect`, the source led here after the hazard was set, so whoever
        // retires this segment reads the hazard and does not free it (D2).
        unsafe { self.segment.as_ref() }
    }

    /// The same as a pointer, which may outlive the segment: see [`Segment::pass_mark`].
    pub(in crate::line) fn pointer(&self) -> NonNull<Segment> {
        self.segment
    }

    /// Protects what `source` leads to now, instead; `None` if that is null.
    pub(in crate::line) fn move_to(mut self, source: Source<'_>) -> Option<Self> {
        let segment = source.read()?;
        self.set(segment);
        self.hazards.collect(self.slot);
        self.validate(source)
    }

    /// Follows the source until what it says is what we protect.
    fn validate(mut self, source: Source<'_>) -> Option<Self> {
        loop {
            dekker();
            let segment = source.read()?;
            if segment == self.segment {
                // The same address, but perhaps another segment than was read before.
                self.segment = segment;
                return Some(self);
            }
            self.set(segment);
        }
    }

    fn set(&mut self, segment: NonNull<Segment>) {
        self.segment = segment;
        // ORDERING: SeqCst. Release pairs with `hand_over`: our looks at the segment before
        // came before. The total order is for D2: "protect, then read the source again".
        self.slot.hazard.swap(segment.as_ptr(), SeqCst);
    }
}

impl Drop for Guard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.hazards.leave(self.slot);
    }
}

/// What a pointer to a segment can be read from, so that the segment can be protected.
///
/// Each leads to a segment only while that is not retired: a segment is retired after the head, or
/// the `next` before it, has ceased to lead to it, and the tail is off it before that.
#[derive(Clone, Copy)]
pub(in crate::line) enum Source<'a> {
    /// The first segment of the line.
    Head(&'a Head),
    /// What follows a segment, unless that is on its way out itself: null then.
    Next(&'a Segment),
    /// The segment in which places are given out.
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

/// Where the line begins; it owns all that is linked.
#[derive(Debug)]
pub(in crate::line) struct Head(AtomicPtr<Segment>);

impl Head {
    /// A line of one segment, and its tail.
    pub(in crate::line) fn new() -> (Self, Tail) {
        let first = allocate(CELLS - FIRST_CELLS);
        (Self(AtomicPtr::new(first.as_ptr())), Tail::new(first))
    }

    #[inline]
    fn load(&self) -> NonNull<Segment> {
        // ORDERING: SeqCst. Acquire pairs with `unlink`: the segment is seen initialised. The total
        // order is for D2: "protect, then read the source again".
        let first = self.0.load(SeqCst);
        // SAFETY: it was made of a segment, and moves on to what follows one that the tail has left,
        // which is not null.
        unsafe { NonNull::new_unchecked(first) }
    }

    /// Transition: `gone -> next` (whoever unlinks `gone`); otherwise somebody else has.
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
                    // SAFETY: what is linked is not retired, and `&mut self` owns it.
                    let this = unsafe { this.as_ref() };
                    segment = this.next().0;
                    for cell in this.cells() {
                        // Futures that were forgotten leave their wakers behind.
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
