//! The state of a cell as one word: all tags, shifts and masks.

/// What a cell is; the diagram is at the head of `cell.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody has published here; so many units wait for whoever will.
    Open { units: u64 },
    /// A waiter misses so many units, and its waker is in the slot.
    Parked { missing: u32, version: u32 },
    /// The same, but the slot is empty: the waiter is running, and will look again.
    Awake { missing: u32, version: u32 },
    /// The waiter left, and so many units on their way to it are to vanish here.
    Sink { units: u32 },
    /// Granted.
    Done,
    /// The line went on without this place.
    Skipped,
    /// Closed, with so many units missing.
    Void { missing: u32 },
    /// Finished: nobody comes back.
    Gone,
}

/// The last version of a PARKED word: a slot is refilled at most so often.
pub(super) const LAST_VERSION: u32 = (1 << (UNITS_SHIFT - VERSION_SHIFT)) - 1;
/// No legal word: what the models write over a freed cell.
#[cfg(all(test, semafair_loom))]
pub(super) const POISON: u64 = u64::MAX;

const TAG: u64 = 0b111;
const WATCH: u64 = 1 << 3;
const OPEN_SHIFT: u32 = 4;
const VERSION_SHIFT: u32 = 4;
const UNITS_SHIFT: u32 = 32;

/// A snapshot of a cell's state, with or without the WATCH mark (see `segment.rs`).
///
/// ```text
///    63 ............ 32 31 ............ 4   3      2 .. 0
///   |  units missing   |    version      | WATCH |  tag  |      OPEN: units in 63 .. 4
/// ```
///
/// `OPEN` has 60 bits for its units: they belong to threads that have asked and not published yet,
/// a `u32` for each, so it would take 2^28 such threads to fill it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

impl Word {
    /// The word of a fresh cell.
    pub(super) const fn fresh(watched: bool) -> u64 {
        if watched { WATCH } else { 0 }
    }

    fn new(state: State) -> Self {
        let wide = |tag: u64, units: u32, version: u32| {
            tag | u64::from(version) << VERSION_SHIFT | u64::from(units) << UNITS_SHIFT
        };
        Self(match state {
            State::Open { units } => units << OPEN_SHIFT,
            State::Parked { missing, version } => wide(1, missing, version),
            State::Awake { missing, version } => wide(2, missing, version),
            State::Sink { units } => wide(3, units, 0),
            State::Done => 4,
            State::Skipped => 5,
            State::Void { missing } => wide(6, missing, 0),
            State::Gone => 7,
        })
    }

    /// Decodes the word.
    pub(super) fn state(self) -> State {
        let units = (self.0 >> UNITS_SHIFT) as u32;
        #[expect(clippy::cast_possible_truncation, reason = "masked to 28 bits")]
        let version = (self.0 >> VERSION_SHIFT) as u32 & LAST_VERSION;
        match self.0 & TAG {
            0 => State::Open {
                units: self.0 >> OPEN_SHIFT,
            },
            1 => State::Parked {
                missing: units,
                version,
            },
            2 => State::Awake {
                missing: units,
                version,
            },
            3 => State::Sink { units },
            4 => State::Done,
            5 => State::Skipped,
            6 => State::Void { missing: units },
            _ => {
                #[cfg(all(test, semafair_loom))]
                assert_ne!(
                    self.0, POISON,
                    "a cell was used after its segment was freed"
                );
                State::Gone
            }
        }
    }

    /// Another state with the same mark. GONE has none: who goes there takes the mark along.
    pub(super) fn with(self, state: State) -> Self {
        match state {
            State::Gone => Self::new(state),
            _ => Self(Self::new(state).0 | self.0 & WATCH),
        }
    }

    /// The same state with the mark.
    pub(super) fn watched(self) -> Self {
        Self(self.0 | WATCH)
    }

    /// Whether the mark is here.
    pub(super) fn is_watched(self) -> bool {
        self.0 & WATCH != 0
    }

    /// Whether there is a waker in the slot.
    pub(super) fn is_parked(self) -> bool {
        self.0 & TAG == 1
    }
}

impl core::fmt::Debug for Word {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "{:?}{}",
            self.state(),
            if self.is_watched() { " (watched)" } else { "" }
        )
    }
}
