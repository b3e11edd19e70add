//! The results of steps at a cell.

use core::task::Waker;

use super::state::Word;

/// The result of `Cell::publish`. A waker that the cell did not take comes back.
#[derive(Debug)]
pub(in crate::line) enum Published {
    /// The waiter stands in the line, and the cell has its waker, if it gave one.
    Waiting,
    /// Enough units lay here: the request is granted, and the cell is GONE. `over` units are left.
    Granted { over: u64, finish: Finish, waker: Option<Waker> },
    /// The owner must look in front again, as units were left there after it had looked.
    Told(Option<Waker>),
    /// The line went on without this place.
    Skipped(Option<Waker>),
}

/// The result of `Cell::deliver` and of `Cell::void`.
#[derive(Debug)]
pub(in crate::line) enum Visited {
    /// The wait here is over. The cell took that many units, and the caller must wake the waker.
    Served { took: u32, waker: Option<Waker> },
    /// There was a RETURN. The caller must give that many of its units back. With `finish`, the
    /// cell is GONE; otherwise the caller has no more units, and some are still to come here.
    Returned { units: u64, finish: Option<Finish> },
    /// Nothing is delivered here any more.
    Satisfied,
    /// The cell took all units that were offered, and needs more.
    Short,
    /// Nobody has published here.
    Open,
}

/// The result of `Cell::vacate`.
#[derive(Debug)]
pub(crate) struct Vacated {
    /// How many units came that were on their way. They must be given back.
    pub(crate) returned: u32,
    /// How many came beyond those. They are owed to others, and must be delivered.
    pub(crate) owed: u32,
    /// `None` if a RETURN stays behind. The thread that brings its last unit finishes the cell.
    pub(in crate::line) finish: Option<Finish>,
    /// The waiter's waker, to drop when nothing is held.
    pub(crate) waker: Option<Waker>,
}

/// Whether a cell that was just finished carried the WATCH mark, which must then be passed on
/// (`Segment::pass_mark`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(in crate::line) enum Finish {
    Plain,
    Watched,
}

impl Finish {
    /// For a cell that went from `word` to GONE.
    pub(super) fn of(word: Word) -> Self {
        if word.is_watched() { Self::Watched } else { Self::Plain }
    }
}

/// The state of a cell whose waiter still waits: PARKED or AWAKE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen(pub(super) Word);

impl Seen {
    /// How many units the waiter still needs.
    #[inline]
    pub(crate) fn missing(self) -> u32 {
        self.0.units()
    }
}

/// What a waiter finds when it checks its cell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It waits on.
    Waiting(Seen),
    /// It has all its units.
    Granted,
    /// The line was closed when that many units were missing.
    Closed { missing: u32 },
}

/// The result of `Cell::register`.
#[derive(Debug)]
#[must_use]
pub(crate) struct Registered {
    pub(crate) verdict: Verdict,
    /// Wakers that are not needed any more, to drop when nothing is held.
    pub(crate) unused: [Option<Waker>; 2],
    /// The cell cannot take another waker, so the caller must wake the given one now.
    pub(crate) wake_now: bool,
}
