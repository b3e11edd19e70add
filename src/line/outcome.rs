//! What came of something that was done at a cell.

use core::task::Waker;

use super::state::Word;

/// What came of `Cell::publish`.
#[derive(Debug)]
pub(super) enum Published {
    /// The waiter stands in the line.
    Waiting,
    /// Enough units were left here: granted, the cell is gone, and so many units are over.
    Granted { over: u64, finish: Finish },
    /// Nothing yet: units were left in front since the owner of the place has looked there.
    Look,
    /// The line went on without this place.
    Skipped,
}

/// What came of `Cell::deliver` and of `Cell::void`.
#[derive(Debug)]
pub(super) enum Visited {
    /// The wait here is over. It took so many units, and who slept here is to be woken.
    Ended { took: u32, waker: Option<Waker> },
    /// There was a sink for so many units, and nobody comes back to the cell.
    Filled { took: u32, finish: Finish },
    /// The line has nothing to do here any more.
    Satisfied,
    /// The cell took all units that there were, and misses more.
    Short,
    /// Nobody has published here.
    Open,
}

/// What came of `Cell::vacate`.
#[derive(Debug)]
pub(super) struct Vacated {
    /// Units that came beyond those to be swallowed. Negative: so many were to be swallowed here
    /// that will not come, since the line is closed.
    pub(super) over: i64,
    /// `None`: a sink stays behind, and whoever fills it finishes the cell.
    pub(super) finish: Option<Finish>,
    /// The waiter's waker, to be dropped when nothing is held.
    pub(super) waker: Option<Waker>,
}

/// Whether a cell that was just finished carried the WATCH mark, which must then be handed on
/// (`Segment::hand_on`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Finish {
    Plain,
    Watched,
}

impl Finish {
    /// Of a cell that went from `word` to GONE.
    pub(super) fn of(word: Word) -> Self {
        if word.is_watched() { Self::Watched } else { Self::Plain }
    }
}

/// What a waiter saw in its cell that waits on: PARKED or AWAKE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting(pub(super) Word);

impl Waiting {
    /// The units that it misses.
    #[inline]
    pub(crate) fn missing(self) -> u32 {
        self.0.units()
    }
}

/// What a waiter finds when it looks at its cell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// It waits on.
    Waiting(Waiting),
    /// It has all.
    Granted,
    /// The line was closed when it missed so many.
    Closed { missing: u32 },
}
