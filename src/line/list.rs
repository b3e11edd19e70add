//! The linked segments of a line: places are reserved, segments appended and unlinked.
//!
//! ```text
//!   head ---> [ . . . . ] ---> [ . . . . ] ---> [ . . . . ] ---> null
//!                 ^ hint                              ^ tail: segment | number of the next cell
//! ```
//!
//! Segments are unlinked in Harris's way: freeze the segment's `next`, then change the pointer
//! that leads to the segment, which is the head or the `next` before it. The thread whose change
//! succeeds has unlinked it. A walk unlinks at the head, when it goes on behind a segment whose
//! cells are all satisfied. A [`List::sweep`] unlinks in the middle, when a third of the linked
//! segments are finished. Any thread may do so at any time, and none waits for another.

use core::ptr::NonNull;

use super::position::{Place, Position, Tail};
use super::reclaim::{Guard, Hazards, Head, Source, append};
use super::segment::{Completed, Retired, Segment, behind};
use crate::sync::{AtomicI64, Relaxed, seeded};

#[derive(Debug)]
pub(super) struct List {
    head: Head,
    tail: Tail,
    hazards: Hazards,
    /// How many segments are linked, and how many of them are finished: see [`is_sparse`]. Both
    /// counts may be too high or too low while a thread is between a step and its count.
    counts: AtomicI64,
}

/// One linked segment, in [`List::counts`].
const LINKED: i64 = 1;
/// One that is finished.
const FINISHED: i64 = 1 << 32;

/// Whether a sweep pays: it visits all linked segments, and should unlink a third of them. With one
/// it does not: the last is never unlinked.
#[expect(clippy::cast_possible_truncation, reason = "the low half, which may be below zero")]
fn is_sparse(counts: i64) -> bool {
    let linked = i64::from(counts as i32);
    let finished = (counts - linked) / FINISHED;
    linked > 1 && finished * 3 >= linked
}

impl List {
    pub(super) fn new() -> Self {
        let (head, tail) = Head::new();
        Self { head, tail, hazards: Hazards::new(), counts: AtomicI64::new(LINKED) }
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

    /// One attempt at [`List::reserve`], if the segment has another place; otherwise nothing was
    /// done.
    #[inline]
    pub(super) fn try_reserve(&self) -> Option<Place> {
        let tail = self.tail.load();
        let reserved = tail.has_next() && self.tail.change(tail, tail.next()).is_ok();
        reserved.then(|| Place::new(tail))
    }

    /// Reserves the first place of the segment behind a full one. `Err` with the tail if that is
    /// not `full` any more.
    #[cold]
    fn reserve_in_next(&self, full: Position) -> Result<Position, Position> {
        let Some(guard) = self.hazards.protect(Source::Tail(&self.tail)) else {
            unreachable!("the tail is never null");
        };
        // ABA: the address in `full` may have been freed and used again. Under the guard, check
        // that the tail is still in the protected segment.
        let tail = self.tail.load();
        if tail != full || tail.segment() != guard.pointer().as_ptr() {
            return Err(tail);
        }
        let first = self.behind_tail(guard.segment());
        // Still under the guard, so that `full` cannot be the address of another segment.
        self.tail.change(full, first.next()).map(|()| first)
    }

    /// Shuts the tail: no more places are reserved. D1 needs no fence here, as in
    /// [`List::reserve`].
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

    /// One attempt at [`List::first`]; see [`Hazards::try_protect`].
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

    /// The segment behind another, protected; `None` if there is none, or `segment` is being
    /// unlinked.
    pub(super) fn behind(&self, segment: &Segment) -> Option<Guard<'_>> {
        self.hazards.protect(Source::Next(segment))
    }

    /// Unlinks a first segment whose cells are all satisfied, and protects the segment that is
    /// first then. `None` if the line is shut and ends there.
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

    /// If no cell of the segment is unfinished any more: retires that, or sweeps if that pays.
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
                // ORDERING: Relaxed. Pairs with nothing: the counts may be out of date.
                let before = self.counts.fetch_add(FINISHED, Relaxed);
                if is_sparse(before + FINISHED) {
                    self.sweep();
                }
            }
        }
    }

    /// The first place behind the tail's segment, whose places are all reserved. If there is no
    /// segment behind, appends one.
    ///
    /// If the tail has moved on, the result may be wrong; then the caller's change of the tail
    /// fails.
    fn behind_tail(&self, segment: &Segment) -> Position {
        if segment.next().0.is_null() && append(segment) {
            // ORDERING: Relaxed. Pairs with nothing, as in `complete_slow`.
            self.counts.fetch_add(LINKED, Relaxed);
        }
        // What is behind the tail's segment was appended to it. It is not protected, so its own
        // fields are not read.
        Position::new(segment.next().0, behind(segment.first()))
    }

    /// Moves the tail off a segment whose places are all reserved, before that is unlinked. `false`
    /// if the line is shut and ends there.
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
        match self.tail.change(tail, self.behind_tail(segment)) {
            Ok(()) => true,
            // Another thread moved it on, or shut it.
            Err(now) => now.segment() != here,
        }
    }

    /// Notes that the caller has unlinked a segment.
    fn unlinked(&self, segment: NonNull<Segment>) -> Option<Retired> {
        let retired = Segment::unlinked(segment);
        let gone = if retired.is_some() { LINKED + FINISHED } else { LINKED };
        // ORDERING: Relaxed. Pairs with nothing, as in `complete_slow`.
        self.counts.fetch_sub(gone, Relaxed);
        retired
    }

    /// Unlinks all finished segments but the last.
    ///
    /// Two guards move on hand over hand. If a pointer that they follow has changed, another thread
    /// has unlinked a segment, and the sweep starts again.
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

    /// Unlinks the segment behind `before`, or the first; `None` if it does not stand there any
    /// more.
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
