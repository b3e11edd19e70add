//! What came of a step at a cell.

use core::task::Waker;

use super::state::Word;

/// What came of `Cell::publish`. A waker that the cell did not take comes back.
#[derive(Debug)]
pub(in crate::line) enum Published {
    /// The waiter stands in the line, and the cell has its waker.
    Waiting,
    /// Enough units lay here: the request is granted and the cell is GONE. `over` units are left.
    Granted { over: u64, finish: Finish, waker: Option<Waker> },
    /// Nothing yet: units were left in front after the owner of the place had looked there.
    Told(Option<Waker>),
    /// The line went on without this place.
    Skipped(Option<Waker>),
}

/// What came of `Cell::deliver` and of `Cell::void`.
#[derive(Debug)]
pub(in crate::line) enum Visited {
    /// The wait here is over. The cell took so many units, and the waker is to be woken.
    Served { took: u32, waker: Option<Waker> },
    /// There was a sink for so many units, and the cell is GONE.
    Filled { took: u32, finish: Finish },
    /// Nothing is to be delivered here any more.
    Satisfied,
    /// The cell took all units that there were, and misses more.
    Short,
    /// Nobody has published here.
    Open,
}

/// What came of `Cell::vacate`.
#[derive(Debug)]
pub(crate) struct Vacated {
    /// Units that came beyond those to be swallowed. Negative: so many were to be swallowed here
    /// that will not come, since the line is closed.
    pub(crate) over: i64,
    /// `None`: a sink stays behind, and whoever fills it finishes the cell.
    pub(in crate::line) finish: Option<Finish>,
    /// The waiter's waker, to be dropped when nothing is held.
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
    /// Of a cell that went from `word` to GONE.
    pub(super) fn of(word: Word) -> Self {
        if word.is_watched() { Self::Watched } else { Self::Plain }
    }
}

/// What a waiter saw in its cell while it still waits: PARKED or AWAKE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen(pub(super) Word);

impl Seen {
    /// The units that it misses.
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
    /// It has all.
    Granted,
    /// The line was closed when it missed so many.
    Closed { missing: u32 },
}

/// What came of `Cell::register`.
#[derive(Debug)]
#[must_use]
pub(crate) struct Registered {
    pub(crate) verdict: Verdict,
    /// Wakers that are not needed any more, to be dropped when nothing is held.
    pub(crate) unused: [Option<Waker>; 2],
    /// The cell cannot keep another waker: the given one is to be woken now.
    pub(crate) wake_now: bool,
}
