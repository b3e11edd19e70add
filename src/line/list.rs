//! The segments of a line, linked: giving out places, appending, unlinking.
//!
//! ```text
//!   head ---> [ . . . . ] ---> [ . . . . ] ---> [ . . . . ] ---> null
//!                 ^ hint                              ^ tail: segment | number of the next cell
//! ```
//!
//! Unlinking is Michael's: freeze the segment's `next`, then change what leads to it, the head or
//! the `next` before, and whoever succeeds has unlinked it. At the head that is done as soon as
//! all cells of a segment are satisfied; in the middle by a [`List::sweep`], when a third of the
//! linked segments are finished. Anybody may, at any time, and nobody waits for another.

use core::ptr::NonNull;

use super::position::{Place, Position, Tail};
use super::reclaim::{Guard, Hazards, Head, Source};
use super::segment::{Completed, Retired, Segment};
use crate::sync::{AtomicIsize, Relaxed, seeded};

#[derive(Debug)]
pub(super) struct List {
    head: Head,
    tail: Tail,
    hazards: Hazards,
    /// Segments linked.
    linked: AtomicIsize,
    /// Segments that are finished and linked. Both counts are for [`List::is_sparse`] alone, and
    /// may run ahead or behind while somebody is between a step and its count.
    finished: AtomicIsize,
}

impl List {
    pub(super) fn new() -> Self {
        let (head, tail) = Head::new();
        Self {
            head,
            tail,
            hazards: Hazards::new(),
            linked: AtomicIsize::new(1),
            finished: AtomicIsize::new(0),
        }
    }

    #[cfg(all(test, not(semafair_shuttle)))]
    pub(super) fn hazards(&self) -> &Hazards {
        &self.hazards
    }

    /// The last segment, protected.
    #[cfg(all(test, not(any(semafair_loom, semafair_shuttle))))]
    pub(super) fn last(&self) -> Option<Guard<'_>> {
        self.hazards.protect(Source::Tail(&self.tail))
    }

    #[cfg(all(test, not(semafair_shuttle)))]
    pub(super) fn head(&self) -> Source<'_> {
        Source::Head(&self.head)
    }

    pub(super) fn tail(&self) -> Position {
        self.tail.load()
    }

    /// Reserves the next place; `None` if the line is shut.
    ///
    /// D1 needs no fence here: a walk that reads the cells begins with one (D2).
    pub(super) fn reserve(&self) -> Option<Place> {
        let mut tail = self.tail.load();
        loop {
            if tail.is_shut() {
                return None;
            }
            let reserved = if tail.is_full() {
                self.reserve_in_next(tail)
            } else {
                self.tail.change(tail, tail.next()).map(|()| tail)
            };
            match reserved {
                Ok(place) => return Some(Place::new(place)),
                Err(now) => tail = now,
            }
        }
    }

    /// [`List::reserve`], once, where the segment has another place; otherwise nothing was done.
    #[inline]
    pub(super) fn try_reserve(&self) -> Option<Place> {
        let tail = self.tail.load();
        let reserved = tail.has_next() && self.tail.change(tail, tail.next()).is_ok();
        reserved.then(|| Place::new(tail))
    }

    /// Gives out the first place of the segment behind a full one; otherwise says where the tail
    /// is that is no longer `full`.
    #[cold]
    fn reserve_in_next(&self, full: Position) -> Result<Position, Position> {
        let Some(guard) = self.hazards.protect(Source::Tail(&self.tail)) else {
            unreachable!("the tail is never null");
        };
        // ABA: the address in `full` may have been freed and used again. Under the guard, check that the
        // tail is still in the protected segment.
        let tail = self.tail.load();
        if tail != full || tail.segment() != guard.pointer().as_ptr() {
            return Err(tail);
        }
        let first = Position::new(self.next_or_new(guard.segment()), 0);
        // Still under the guard, or the address could be used again here.
        self.tail.change(full, first.next()).map(|()| first)
    }

    /// Lets no more places be reserved. D1 needs no fence here, as in [`List::reserve`].
    ///
    /// Transition: `tail -> tail, SHUT` (closer). It cannot fail.
    pub(super) fn shut(&self) {
        let mut tail = self.tail.load();
        while !tail.is_shut() {
            match self.tail.change(tail, tail.shut()) {
                Ok(()) => break,
                Err(now) => tail = now,
            }
        }
    }

    /// The first segment, protected, unless something is in the way; see [`Hazards::try_protect`].
    #[inline]
    pub(super) fn try_first(&self) -> Option<Guard<'_>> {
        self.hazards.try_protect(Source::Head(&self.head))
    }

    /// The first segment, protected.
    pub(super) fn first(&self) -> Guard<'_> {
        match self.hazards.protect(Source::Head(&self.head)) {
            Some(guard) => guard,
            None => unreachable!("the head is never null"),
        }
    }

    /// The segment behind another, protected; `None` if there is none, or that is on its way out.
    pub(super) fn behind(&self, segment: &Segment) -> Option<Guard<'_>> {
        self.hazards.protect(Source::Next(segment))
    }

    /// Goes on from a first segment of which all cells are satisfied to what is first then; `None`
    /// if the line is shut and ends there.
    #[cold]
    pub(super) fn advance<'a>(&'a self, guard: Guard<'a>) -> Option<Guard<'a>> {
        let segment = guard.segment();
        if !self.leave_tail(segment) {
            return None;
        }
        let retired = self.unlink(None, &guard).flatten();
        let first = guard.move_to(Source::Head(&self.head));
        if let Some(retired) = retired {
            self.hazards.retire(retired);
        }
        first
    }

    /// Retires the segment if its last cell was just finished, or sweeps if that pays.
    #[inline]
    pub(super) fn complete(&self, completed: Completed) {
        if !matches!(completed, Completed::No) {
            self.complete_slow(completed);
        }
    }

    #[cold]
    fn complete_slow(&self, completed: Completed) {
        match completed {
            Completed::No => {}
            Completed::Unlinked(_) if seeded::LEAK => {}
            Completed::Unlinked(retired) => self.hazards.retire(retired),
            Completed::Linked => {
                // ORDERING: Relaxed. Pairs with nothing: a count for a rule of thumb.
                self.finished.fetch_add(1, Relaxed);
                if self.is_sparse() {
                    self.sweep();
                }
            }
        }
    }

    /// Whether a sweep pays: it passes over all linked segments, and unlinks a third of them. Of
    /// two, the first is left to the next delivery, and the last to the next who joins.
    fn is_sparse(&self) -> bool {
        // ORDERING: Relaxed. Pairs with nothing, as in `complete_slow`.
        let finished = self.finished.load(Relaxed);
        // ORDERING: Relaxed, as above.
        let linked = self.linked.load(Relaxed);
        linked > 2 && finished * 3 >= linked
    }

    /// What follows a segment of which all places are reserved.
    fn next_or_new(&self, segment: &Segment) -> *mut Segment {
        if segment.next().0.is_null() && self.hazards.append_to(segment) {
            // ORDERING: Relaxed. Pairs with nothing, as in `complete_slow`.
            self.linked.fetch_add(1, Relaxed);
        }
        segment.next().0
    }

    /// Moves the tail off a segment of which all places are reserved, as it is to be unlinked;
    /// `false` if the line is shut and ends there.
    fn leave_tail(&self, segment: &Segment) -> bool {
        let here = core::ptr::from_ref(segment).cast_mut();
        let tail = self.tail.load();
        if tail.segment() != here {
            return true;
        }
        debug_assert!(tail.is_full(), "a cell was passed over before it was reserved");
        if tail.is_shut() {
            return false;
        }
        let next = Position::new(self.next_or_new(segment), 0);
        match self.tail.change(tail, next) {
            Ok(()) => true,
            // Moved on by somebody else, or shut.
            Err(now) => now.segment() != here,
        }
    }

    /// Counts a segment as unlinked; whoever unlinked it is here.
    fn unlinked(&self, segment: NonNull<Segment>) -> Option<Retired> {
        // ORDERING: Relaxed. Pairs with nothing, as in `complete_slow`.
        self.linked.fetch_sub(1, Relaxed);
        let retired = Segment::unlinked(segment);
        if retired.is_some() {
            // ORDERING: Relaxed, as above.
            self.finished.fetch_sub(1, Relaxed);
        }
        retired
    }

    /// Unlinks all finished segments but the last.
    ///
    /// Two guards go hand over hand. Where what leads on has changed under them, somebody else
    /// has unlinked something, and it starts again.
    #[cold]
    fn sweep(&self) {
        'again: loop {
            let mut before: Option<Guard<'_>> = None;
            let mut guard = self.first();
            loop {
                let (next, leaving) = guard.segment().next();
                if next.is_null() {
                    return;
                }
                if leaving || guard.segment().is_finished() {
                    if !self.leave_tail(guard.segment()) {
                        return;
                    }
                    let Some(retired) = self.unlink(before.as_ref(), &guard) else {
                        continue 'again;
                    };
                    let moved = guard.move_to(match &before {
                        None => Source::Head(&self.head),
                        Some(before) => Source::Next(before.segment()),
                    });
                    if let Some(retired) = retired {
                        self.hazards.retire(retired);
                    }
                    let Some(next) = moved else { continue 'again };
                    guard = next;
                } else {
                    let Some(next) = self.behind(guard.segment()) else {
                        continue 'again;
                    };
                    before = Some(core::mem::replace(&mut guard, next));
                }
            }
        }
    }

    /// Unlinks the segment after `before`, or the first; `None` if it is not there any more.
    pub(super) fn unlink(
        &self,
        before: Option<&Guard<'_>>,
        segment: &Guard<'_>,
    ) -> Option<Option<Retired>> {
        let next = segment.segment().freeze_next();
        let gone = segment.pointer().as_ptr();
        let unlinked = match before {
            None => self.head.unlink(gone, next),
            Some(before) => before.segment().replace_next(gone, next),
        };
        unlinked.then(|| self.unlinked(segment.pointer()))
    }
}
