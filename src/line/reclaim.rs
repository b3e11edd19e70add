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
#![expect(clippy::disallowed_methods, reason = "the one file that may call Box::from_raw")]

use core::ptr::{self, NonNull};
use std::boxed::Box;

use super::cell::Cell;
use super::segment::{Retired, Segment, Tail};
use crate::seeded;
use crate::sync::{
    AcqRel, Acquire, AtomicPtr, Relaxed, Release, SeqCst, const_fn, dekker, some_of_thread,
};

/// Slots of a block.
const SLOTS: usize = if cfg!(test) { 2 } else { 8 };

#[derive(Debug)]
struct Slot {
    /// The segment that the owner looks at; null: nobody's slot.
    hazard: AtomicPtr<Segment>,
    /// A retired segment, to be freed by whoever leaves the slot.
    handed_over: AtomicPtr<Segment>,
}

impl Slot {
    /// Says that we look at `segment`, which proves nothing yet; `false` if the slot is taken.
    #[inline]
    fn claim(&self, segment: NonNull<Segment>) -> bool {
        // ORDERING: SeqCst. Acquire pairs with the store that left the slot. The total order is for
        // D2: "protect, then read the source again". Failure: Relaxed, nothing is read.
        self.hazard.compare_exchange(ptr::null_mut(), segment.as_ptr(), SeqCst, Relaxed).is_ok()
    }
}

/// All hazards of a line: blocks of slots, of which the first is part of the line.
#[derive(Debug)]
pub(super) struct Hazards {
    slots: [Slot; SLOTS],
    /// More slots, for when all are taken. They stay until the line is dropped.
    more: AtomicPtr<Hazards>,
}

impl Hazards {
    pub(super) fn new() -> Self {
        Self {
            slots: core::array::from_fn(|_| Slot {
                hazard: AtomicPtr::new(ptr::null_mut()),
                handed_over: AtomicPtr::new(ptr::null_mut()),
            }),
            more: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Protects the segment that `source` leads to; `None` if that is null.
    #[inline]
    pub(super) fn protect(&self, source: Source<'_>) -> Option<Guard<'_>> {
        let segment = NonNull::new(source.read())?;
        let first = some_of_thread() % SLOTS;
        if self.slots[first].claim(segment) {
            Guard { block: self, index: first, segment }.validate(source)
        } else {
            self.protect_elsewhere(first, segment).validate(source)
        }
    }

    /// The slot of first choice was taken.
    #[cold]
    fn protect_elsewhere(&self, first: usize, segment: NonNull<Segment>) -> Guard<'_> {
        let mut block = self;
        loop {
            for i in 0..SLOTS {
                let index = (first + i) % SLOTS;
                if block.slots[index].claim(segment) {
                    return Guard { block, index, segment };
                }
            }
            block = block.more_or_new();
        }
    }

    fn more(&self) -> Option<&Self> {
        // ORDERING: SeqCst. Acquire pairs with `more_or_new`: the block is seen initialised. The
        // total order is for D2: whoever protects in a block that a retirer did not see, reads
        // the source after the unlinking.
        let more = NonNull::new(self.more.load(SeqCst))?;
        // SAFETY: a block was made by `more_or_new` and is freed by the drop of the first alone.
        Some(unsafe { more.as_ref() })
    }

    fn more_or_new(&self) -> &Self {
        if let Some(more) = self.more() {
            return more;
        }
        let new = NonNull::from(Box::leak(Box::new(Self::new())));
        // ORDERING: SeqCst, as in `more`. Failure: Relaxed: it is read again below.
        if self.more.compare_exchange(ptr::null_mut(), new.as_ptr(), SeqCst, Relaxed).is_err() {
            // SAFETY: made above, and nobody else has seen it.
            drop(unsafe { Box::from_raw(new.as_ptr()) });
        }
        self.more().expect("a block was appended")
    }

    /// Frees the segment, or hands it over to somebody who looks at it.
    pub(super) fn retire(&self, retired: Retired) {
        self.hand_over_from(0, retired.into_raw());
    }

    /// Goes on from slot `first` of this block. Nobody before it looks at the segment, or will:
    /// it was unlinked before they were read.
    ///
    /// What comes out of a slot may be what the slot's owner of now looks at: it was put in for that
    /// owner, after we read the slot. So that very slot is read again.
    fn hand_over_from(&self, first: usize, mut segment: *mut Segment) {
        let (mut block, mut first) = (self, first);
        dekker();
        loop {
            for slot in &block.slots[first..] {
                // ORDERING: SeqCst. The total order is for D2: "unlink, then read the hazards".
                // Acquire pairs with the store by which the owner left: its looks came before.
                while !seeded::USE_AFTER_FREE && slot.hazard.load(SeqCst) == segment {
                    // ORDERING: AcqRel. Pairs with itself and `Guard::collect`: the segment's end
                    // is passed on with it, and what was seen in the slot by who handed it over.
                    // What was here before takes its place: nobody in a slot before this looks at
                    // it, for the same reason.
                    segment = slot.handed_over.swap(segment, AcqRel);
                    if segment.is_null() {
                        return;
                    }
                }
            }
            let Some(more) = block.more() else { break };
            (block, first) = (more, 0);
        }
        // SAFETY: I3: it came as `Retired`, so it is unlinked, all its cells are gone, and nobody
        // else has the right to free it; and by D2 no hazard protects it.
        unsafe { free(segment) };
    }
}

impl Drop for Hazards {
    fn drop(&mut self) {
        for slot in &self.slots {
            // ORDERING: Relaxed. `&mut self`: nobody else is there.
            let segment = slot.handed_over.load(Relaxed);
            if !segment.is_null() {
                // SAFETY: I3: it was handed over retired, and nobody looks at anything any more.
                unsafe { free(segment) };
            }
        }
        // ORDERING: Relaxed, as above.
        let more = self.more.load(Relaxed);
        if !more.is_null() {
            // SAFETY: made by `more_or_new`, and this is its only owner.
            drop(unsafe { Box::from_raw(more) });
        }
    }
}

/// Protects one segment from being freed.
#[derive(Debug)]
pub(super) struct Guard<'a> {
    block: &'a Hazards,
    index: usize,
    segment: NonNull<Segment>,
}

impl Guard<'_> {
    /// The same, for when its end is near: see [`Segment::hand_on`].
    pub(super) fn pointer(&self) -> NonNull<Segment> {
        self.segment
    }

    #[inline]
    pub(super) fn segment(&self) -> &Segment {
        // SAFETY: `validate` was true: the source led here after the hazard was set, so whoever
        // retires this segment reads the hazard and does not free it (D2).
        unsafe { self.segment.as_ref() }
    }

    /// Protects what `source` leads to now, instead; `None` if that is null.
    pub(super) fn move_to(mut self, source: Source<'_>) -> Option<Self> {
        let segment = NonNull::new(source.read())?;
        self.set(segment);
        self.collect();
        self.validate(source)
    }

    /// Reads the source until what it says is what we protect.
    #[inline]
    fn validate(mut self, source: Source<'_>) -> Option<Self> {
        dekker();
        match NonNull::new(source.read()) {
            Some(segment) if segment == self.segment => {
                // The same address, but perhaps another segment than was read before.
                self.segment = segment;
                Some(self)
            }
            _ => self.follow(source),
        }
    }

    #[cold]
    fn follow(mut self, source: Source<'_>) -> Option<Self> {
        loop {
            let segment = NonNull::new(source.read())?;
            if segment == self.segment {
                self.segment = segment;
                return Some(self);
            }
            self.set(segment);
            dekker();
        }
    }

    fn slot(&self) -> &Slot {
        &self.block.slots[self.index]
    }

    fn set(&mut self, segment: NonNull<Segment>) {
        self.segment = segment;
        // ORDERING: SeqCst. Release pairs with `hand_over_from`: our looks at the segment before
        // came before. The total order is for D2: "protect, then read the source again".
        self.slot().hazard.swap(segment.as_ptr(), SeqCst);
    }

    /// Takes over what was handed to this slot.
    #[inline]
    fn collect(&self) {
        let handed_over = &self.slot().handed_over;
        // ORDERING: Relaxed. Only a look. A hand-over at this very moment may be missed; the next
        // to leave this slot finds it.
        if !handed_over.load(Relaxed).is_null() {
            self.collect_slow();
        }
    }

    #[cold]
    fn collect_slow(&self) {
        // ORDERING: AcqRel. Pairs with `hand_over_from`, as said there.
        let segment = self.slot().handed_over.swap(ptr::null_mut(), AcqRel);
        if !segment.is_null() {
            self.block.hand_over_from(self.index, segment);
        }
    }
}

impl Drop for Guard<'_> {
    #[inline]
    fn drop(&mut self) {
        // ORDERING: Release. Pairs with `hand_over_from` and `claim`: our looks at the segment
        // came before.
        self.slot().hazard.store(ptr::null_mut(), Release);
        self.collect();
    }
}

/// What a pointer to a segment can be read from, so that the segment can be protected.
///
/// Each leads to a segment only while that is not retired: a segment is retired after the head, or
/// the `next` before it, has ceased to lead to it, and the tail is off it before that.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// The first segment of the line.
    Head(&'a Head),
    /// What follows a segment, unless that is on its way out itself: null then.
    Next(&'a Segment),
    /// The segment in which places are given out.
    Tail(&'a Tail),
}

impl Source<'_> {
    #[inline]
    fn read(self) -> *mut Segment {
        match self {
            Self::Head(head) => head.load(),
            Self::Next(segment) => match segment.next() {
                (next, false) => next,
                (_, true) => ptr::null_mut(),
            },
            Self::Tail(tail) => tail.load().segment(),
        }
    }
}

/// Where the line begins; it owns all that is linked.
#[derive(Debug)]
pub(super) struct Head(AtomicPtr<Segment>);

impl Head {
    /// A line of one segment, and its tail.
    pub(super) fn new() -> (Self, Tail) {
        let first = allocate();
        (Self(AtomicPtr::new(first.as_ptr())), Tail::new(first))
    }

    #[inline]
    fn load(&self) -> *mut Segment {
        // ORDERING: SeqCst. Acquire pairs with `unlink`: the segment is seen initialised. The total
        // order is for D2: "protect, then read the source again".
        self.0.load(SeqCst)
    }

    /// Transition: `gone -> next` (whoever unlinks `gone`); otherwise somebody else has.
    pub(super) fn unlink(&self, gone: *mut Segment, next: *mut Segment) -> bool {
        // ORDERING: SeqCst. Release pairs with `load`. The total order is for D2: "unlink, then
        // read the hazards". Failure: Relaxed, nothing is read.
        self.0.compare_exchange(gone, next, SeqCst, Relaxed).is_ok()
    }
}

impl Drop for Head {
    fn drop(&mut self) {
        // ORDERING: Relaxed. `&mut self`: nobody else is there.
        let mut segment = self.0.load(Relaxed);
        while let Some(mut this) = NonNull::new(segment) {
            // SAFETY: what is linked is not retired, and `&mut self` owns it.
            let this = unsafe { this.as_mut() };
            segment = this.next().0;
            // Futures that were forgotten leave their wakers behind.
            let wakers = this.cells.each_mut().map(Cell::clear);
            // SAFETY: as above.
            unsafe { free(this) };
            drop(wakers);
        }
    }
}

fn allocate() -> NonNull<Segment> {
    #[cfg(test)]
    crate::tests::memory::allocated();
    NonNull::from(Box::leak(Box::new(Segment::new())))
}

/// # Safety
///
/// `segment` was made by [`allocate`], and nobody looks at it any more, or will.
unsafe fn free(segment: *mut Segment) {
    // SAFETY: the obligations: it was a box, and is nobody else's.
    let segment = unsafe { Box::from_raw(segment) };
    #[cfg(not(test))]
    drop(segment);
    // The models keep it, poisoned: whoever looks at it all the same is found out.
    #[cfg(test)]
    crate::tests::memory::freed(segment, Segment::poison);
}

/// Appends a fresh segment; `false` if somebody else did, or does.
pub(super) fn append_to(segment: &Segment) -> bool {
    let new = allocate();
    let appended = segment.append(new);
    if !appended {
        // SAFETY: made above, and nobody else has seen it.
        unsafe { free(new.as_ptr()) };
    }
    appended
}

/// The address that says there is no box, and will be none: no `T` of ours is aligned so.
const SHUT: usize = 1;

/// A box that is made when it is first needed, unless it was shut before.
#[derive(Debug)]
pub(crate) struct LazyBox<T>(AtomicPtr<T>);

impl<T: Send + Sync> LazyBox<T> {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self(AtomicPtr::new(ptr::null_mut()))
        }
    }

    fn follow(&self, pointer: *mut T) -> Option<&T> {
        if pointer.addr() == SHUT {
            return None;
        }
        // SAFETY: null, or set by `get_or_init` to a box that only `drop` frees.
        unsafe { pointer.as_ref() }
    }

    /// What was made, if it was.
    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        // ORDERING: Acquire. Pairs with `get_or_init`: it is seen initialised.
        self.follow(self.0.load(Acquire))
    }

    /// What was made, by `init` if it was not; `None` if it was shut.
    #[inline]
    pub(crate) fn get_or_init(&self, init: impl FnOnce() -> T) -> Option<&T> {
        // ORDERING: Acquire, as in `get`.
        let now = self.0.load(Acquire);
        if now.is_null() { self.init(init) } else { self.follow(now) }
    }

    #[cold]
    fn init(&self, init: impl FnOnce() -> T) -> Option<&T> {
        let new = Box::into_raw(Box::new(init()));
        // ORDERING: AcqRel. Release pairs with `get`. Failure: Acquire, as in `get`.
        match self.0.compare_exchange(ptr::null_mut(), new, AcqRel, Acquire) {
            Ok(_) => self.follow(new),
            Err(now) => {
                // SAFETY: made above, and nobody else has seen it.
                drop(unsafe { Box::from_raw(new) });
                self.follow(now)
            }
        }
    }

    /// Sees to it that nothing is made if nothing was; says what was.
    ///
    /// Transition: `null -> SHUT`; otherwise it was made or shut before.
    pub(crate) fn shut(&self) -> Option<&T> {
        // ORDERING: AcqRel. Acquire pairs with `get_or_init`. Failure: Acquire, as in `get`.
        match self.0.compare_exchange(
            ptr::null_mut(),
            ptr::without_provenance_mut(SHUT),
            AcqRel,
            Acquire,
        ) {
            Ok(_) => None,
            Err(now) => self.follow(now),
        }
    }
}

impl<T> Drop for LazyBox<T> {
    fn drop(&mut self) {
        // ORDERING: Relaxed. `&mut self`: nobody else is there.
        let pointer = self.0.load(Relaxed);
        if !pointer.is_null() && pointer.addr() != SHUT {
            // SAFETY: set by `get_or_init`, and this is its only owner.
            drop(unsafe { Box::from_raw(pointer) });
        }
    }
}
