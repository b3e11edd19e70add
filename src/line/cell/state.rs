//! The state of a cell as one word: all tags, shifts and masks.

use core::fmt;

/// What a cell is; the diagram is at the head of `cell/mod.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// Nobody has published here. The units are for the owner, when it does, or for who takes them along.
    Open,
    /// A waiter needs the units, and its waker is in the slot.
    Parked,
    /// A waiter needs the units, and the words in the slot are no waker. It is running, and will
    /// check the cell again, or leave.
    Awake,
    /// The waiter left. The units are on their way to it, and go back to the balance.
    Return,
    /// The waiter has all its units.
    Done,
    /// The line went on without this place.
    Skipped,
    /// The line was closed while the waiter still needed the units.
    Void,
    /// The owner never comes back.
    Gone,
}

/// The last version of a PARKED word: a slot is refilled at most that many times.
pub(super) const LAST_VERSION: u32 = (1 << (UNITS_SHIFT - VERSION_SHIFT)) - 1;

const TAG: u64 = 0b111;
const WATCH: u64 = 1 << 3;
const VERSION_SHIFT: u32 = 4;
const UNITS_SHIFT: u32 = 32;
const BELOW_UNITS: u64 = (1 << UNITS_SHIFT) - 1;
const LOOK: u64 = 1 << 4;
const OPEN_SHIFT: u32 = 5;

/// The most units for which OPEN has room.
pub(super) const MOST_LEFT: u64 = u64::MAX >> OPEN_SHIFT;

/// A snapshot of a cell's state, with or without the WATCH mark (see `segment.rs`), and, if OPEN,
/// the LOOK mark (see `walk.rs`).
///
/// ```text
///    63 ............ 32 31 ............ 4   3      2 .. 0
///   |      units       |    version      | WATCH |  tag  |
///   |               units            | LOOK | WATCH | Open |
///    63 .......................... 5    4      3     2 .. 0
/// ```
///
/// OPEN has 59 bits for its units. Only 2^27 owners that have not published yet, each of which
/// asked for a whole `u32`, could fill them. Units that do not fit are for others: for waiters that
/// have published behind, or for a debt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(pub(super) u64);

impl Word {
    /// `OPEN(0)`.
    pub(super) const fn fresh(watched: bool) -> Self {
        Self(if watched { WATCH } else { 0 })
    }

    pub(super) fn tag(self) -> Tag {
        match self.0 & TAG {
            0 => Tag::Open,
            1 => Tag::Parked,
            2 => Tag::Awake,
            3 => Tag::Return,
            4 => Tag::Done,
            5 => Tag::Skipped,
            6 => Tag::Void,
            _ => Tag::Gone,
        }
    }

    /// Whether a waiter stands here.
    pub(super) fn is_waiting(self) -> bool {
        matches!(self.tag(), Tag::Parked | Tag::Awake)
    }

    /// Whether nothing is delivered here any more.
    pub(super) fn is_satisfied(self) -> bool {
        matches!(self.tag(), Tag::Done | Tag::Skipped | Tag::Void | Tag::Gone)
    }

    /// The units of any state but OPEN; zero if the state has none.
    pub(super) fn units(self) -> u32 {
        (self.0 >> UNITS_SHIFT) as u32
    }

    /// The units of OPEN.
    pub(super) fn units_left(self) -> u64 {
        debug_assert_eq!(self.tag(), Tag::Open);
        self.0 >> OPEN_SHIFT
    }

    pub(super) fn version(self) -> u32 {
        (self.0 & BELOW_UNITS) as u32 >> VERSION_SHIFT
    }

    pub(super) fn is_watched(self) -> bool {
        self.0 & WATCH != 0
    }

    /// Another state with the same WATCH mark. GONE has no mark: the thread that finishes the cell
    /// takes it along.
    pub(super) fn to(self, tag: Tag, units: u32) -> Self {
        let mark = if tag == Tag::Gone { 0 } else { self.0 & WATCH };
        Self(u64::from(units) << UNITS_SHIFT | mark | tag as u64)
    }

    /// The same OPEN state with that many units.
    pub(super) fn with_units_left(self, units: u64) -> Self {
        debug_assert!(self.tag() == Tag::Open && units <= MOST_LEFT);
        Self(units << OPEN_SHIFT | self.0 & ((1 << OPEN_SHIFT) - 1))
    }

    /// The same OPEN state, with the LOOK mark or without.
    pub(super) fn with_look(self, look: bool) -> Self {
        debug_assert_eq!(self.tag(), Tag::Open);
        Self(if look { self.0 | LOOK } else { self.0 & !LOOK })
    }

    /// Whether an OPEN state has the LOOK mark.
    pub(super) fn is_to_look(self) -> bool {
        debug_assert_eq!(self.tag(), Tag::Open);
        self.0 & LOOK != 0
    }

    /// The same state with that many units.
    pub(super) fn with_units(self, units: u32) -> Self {
        Self(u64::from(units) << UNITS_SHIFT | self.0 & BELOW_UNITS)
    }

    /// The same state in another version.
    pub(super) fn with_version(self, version: u32) -> Self {
        let version = u64::from(version) << VERSION_SHIFT;
        Self(self.0 & !(u64::from(LAST_VERSION) << VERSION_SHIFT) | version)
    }

    /// The same state with the WATCH mark.
    pub(super) fn watched(self) -> Self {
        Self(self.0 | WATCH)
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tag() {
            Tag::Open if self.is_to_look() => write!(f, "Open({}), look", self.units_left())?,
            Tag::Open => write!(f, "Open({})", self.units_left())?,
            tag => write!(f, "{tag:?}({}) version {}", self.units(), self.version())?,
        }
        f.write_str(if self.is_watched() { ", watched" } else { "" })
    }
}
