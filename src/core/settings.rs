//! What is settled when a semaphore is made, in one word, and its name.
//!
//! ```text
//!   61 ... 7       6 ... 0
//!  | queue limit | length of the name |
//! ```
//!
//! The word is the seed of the lazy line. Once that is made, it is kept there.

#![expect(unsafe_code, reason = "puts the two halves of a name together again")]

use core::{ptr, slice, str};

/// How long a name may be, in bytes.
pub(crate) const LONGEST_NAME: usize = (1 << NAME_BITS) - 1;
const NAME_BITS: u32 = 7;
/// A queue limit of this or more is none.
pub(crate) const UNBOUNDED: u64 = (1 << 55) - 1;

/// The word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings(u64);

impl Settings {
    /// No bound and no name.
    pub(crate) const DEFAULT: Self = Self::new(None, None);

    /// The caller has checked the name.
    pub(crate) const fn new(queue_limit: Option<usize>, name: Option<&'static str>) -> Self {
        let bound = match queue_limit {
            Some(limit) if (limit as u64) < UNBOUNDED => limit as u64,
            _ => UNBOUNDED,
        };
        let length = match name {
            Some(name) => name.len() as u64,
            None => 0,
        };
        Self(bound << NAME_BITS | length)
    }

    pub(crate) const fn of(word: u64) -> Self {
        Self(word)
    }

    pub(crate) const fn word(self) -> u64 {
        self.0
    }

    /// How many permits may be waited for.
    pub(crate) const fn queue_limit(self) -> u64 {
        self.0 >> NAME_BITS
    }

    pub(crate) const fn is_bounded(self) -> bool {
        self.queue_limit() < UNBOUNDED
    }
}

/// Where the name is, without its length, for which there is no room.
pub(crate) struct Name(*const u8);

// SAFETY: it is nothing but a part of a `&'static str`.
unsafe impl Send for Name {}
// SAFETY: as above.
unsafe impl Sync for Name {}

impl Name {
    pub(crate) const NONE: Self = Self(ptr::null());

    pub(crate) const fn new(name: Option<&'static str>) -> Self {
        match name {
            Some(name) => Self(name.as_ptr()),
            None => Self::NONE,
        }
    }

    /// The name, with the settings that were made of the same one.
    pub(crate) fn get(&self, settings: Settings) -> Option<&'static str> {
        #[expect(clippy::cast_possible_truncation, reason = "a length of 7 bits")]
        let length = settings.0 as usize & LONGEST_NAME;
        if self.0.is_null() {
            return None;
        }
        // SAFETY: the pointer and the length were those of one `&'static str`, as `Core::build` makes
        // both.
        let bytes = unsafe { slice::from_raw_parts(self.0, length) };
        // SAFETY: as above.
        Some(unsafe { str::from_utf8_unchecked(bytes) })
    }
}
