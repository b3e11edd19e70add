//! The one word that every acquire and release changes: how many permits are free, or owed.
//!
//! ```text
//!   -12      -8         -3    -1     0          4          8    times 2^59
//!    |. closed, free .|..|.....|.owed.|.. free ..|..........|
//! ```
//!
//! Zero or more is the number of free permits. Below zero is the number of units that waiters have
//! asked for and that are not on their way yet (I1 in `line/README.md`). Closing subtracts 12 times
//! 2^59, so that one signed comparison tells a plain success from everything else, closed included.
//!
//! Once closed, the word is a signed count: nobody waits any more, and nothing is owed. It is
//! below the closed zero while a refused acquire has not put back what it took.

mod between;

use core::fmt;

use crate::sync::{AcqRel, Acquire, AtomicI64, Relaxed, const_fn, seeded};

/// What closing subtracts.
const CLOSED: i64 = 12 << 59;
/// Below this the word is closed. Neither an open nor a closed word reaches it. The highest closed
/// word is -4 times 2^59: as many permits are free as there can be, and as many again were released
/// that are too many.
const CLOSED_BELOW: i64 = -(3 << 59);
/// An acquire that finds more units owed than this panics. To get from here to [`CLOSED_BELOW`],
/// 2^28 requests of the largest size would have to subtract at the same instant.
const MOST_OWED: i64 = 1 << 59;

/// The most permits there can be: tokio's limit, so that code moves over unchanged.
pub(crate) const MAX_PERMITS: usize = usize::MAX >> 3;
#[expect(clippy::cast_possible_wrap, reason = "at most 2^61 - 1")]
const MAX: i64 = MAX_PERMITS as i64;

/// What tokio says, number included; a `const` panic cannot format one.
const TOO_MANY: &str = match usize::BITS {
    64 => "a semaphore may not have more than MAX_PERMITS permits (2305843009213693951)",
    32 => "a semaphore may not have more than MAX_PERMITS permits (536870911)",
    _ => "a semaphore may not have more than MAX_PERMITS permits",
};

/// Panics if a semaphore cannot have that many.
#[inline]
#[track_caller]
pub(crate) const fn check_permits(permits: usize) {
    #[cold]
    #[track_caller]
    const fn too_many() -> ! {
        panic!("{}", TOO_MANY)
    }

    if permits > MAX_PERMITS {
        too_many();
    }
}

/// Converts a count of permits: never above `MAX_PERMITS`, which the callers have checked.
fn signed(n: usize) -> i64 {
    debug_assert!(n <= MAX_PERMITS, "a count of permits above MAX_PERMITS");
    #[expect(clippy::cast_possible_wrap, reason = "at most 2^61 - 1")]
    let n = n as i64;
    n
}

/// What the word said at one instant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Snapshot(i64);

impl Snapshot {
    /// Whether the semaphore was closed.
    #[inline]
    pub(crate) fn is_closed(self) -> bool {
        self.0 < CLOSED_BELOW
    }

    /// Free permits; negative: units owed.
    fn count(self) -> i64 {
        if self.is_closed() { self.0 + CLOSED } else { self.0 }
    }

    /// How many permits were free.
    pub(crate) fn free(self) -> u64 {
        self.count().max(0).unsigned_abs()
    }

    /// How many units waiters had asked for that were not on their way yet.
    pub(crate) fn owed(self) -> u64 {
        if self.0 < 0 && !self.is_closed() { self.0.unsigned_abs() } else { 0 }
    }

    /// Whether a waiter may be added: the semaphore is open, and so little is owed that one more
    /// waiter cannot take the word out of its range.
    #[inline]
    pub(crate) fn is_open_to_waiters(self) -> bool {
        self.0 >= -MOST_OWED
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("count", &self.count())
            .field("closed", &self.is_closed())
            .finish()
    }
}

/// A release would take the balance above [`MAX_PERMITS`]. Nothing has changed.
#[derive(Debug)]
pub(crate) struct Overflow;

impl Overflow {
    /// Panics, after `n` permits could not be added.
    #[cold]
    #[track_caller]
    pub(crate) fn panic(self, n: usize) -> ! {
        panic!("number of added permits ({n}) would overflow MAX_PERMITS ({MAX_PERMITS})")
    }
}

/// What [`Balance::withdraw`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Withdrawn {
    /// The demand is removed, and none of its units was on its way.
    Whole,
    /// The demand is removed. `swallow` of its units were on their way already. They count as free
    /// from now on, and must vanish where they arrive.
    Part { swallow: u32 },
    /// The semaphore is closed, which has removed the demand.
    Closed,
}

/// The word.
///
/// Every change is `AcqRel` and every load `Acquire`. So acquire, release and close stand in one
/// total order, in which each sees what the operations before it saw, a failed `try_acquire`
/// included. The line's steps for a waiter continue that order from cell to cell.
pub(crate) struct Balance(AtomicI64);

impl Balance {
    const_fn! {
        /// With the given number of free permits: at most [`MAX_PERMITS`], which the caller has
        /// checked.
        #[expect(clippy::cast_possible_wrap, reason = "at most 2^61 - 1")]
        pub(crate) const fn new(permits: usize) -> Self {
            Self(AtomicI64::new(permits as i64))
        }
    }

    /// As if that many units were owed.
    #[cfg(all(test, not(semafair_shuttle)))]
    pub(crate) fn owing(units: i64) -> Self {
        Self(AtomicI64::new(-units))
    }

    /// As if that many more units were owed.
    #[cfg(all(test, not(any(semafair_loom, semafair_shuttle))))]
    pub(crate) fn owe(&self, units: i64) {
        // ORDERING: AcqRel, as `take`.
        self.0.fetch_sub(units, AcqRel);
    }

    #[inline]
    pub(crate) fn load(&self) -> Snapshot {
        // ORDERING: Acquire. Pairs with every change below: the caller sees what those threads saw.
        Snapshot(self.0.load(Acquire))
    }

    /// Takes `n` permits if that many are free and nobody waits. `Err` if not: then `n` units are
    /// asked for all the same, and the caller must join the line, or, if closed, put them back.
    ///
    /// ```text
    /// count -> count - n
    /// ```
    #[inline]
    pub(crate) fn take(&self, n: u32) -> Result<(), Snapshot> {
        // ORDERING: AcqRel. Pairs with `give`: what was done under these permits happened before.
        // Release: a later `try_take` that finds too few free sees what happened before this.
        let old = self.0.fetch_sub(i64::from(n), AcqRel);
        if old >= i64::from(n) { Ok(()) } else { Err(Snapshot(old)) }
    }

    /// Takes `n` permits if that many are free and nobody waits. `Err` if not: then nothing was
    /// done.
    ///
    /// ```text
    /// count -> count - n     if open and count >= n
    /// ```
    #[inline]
    pub(crate) fn try_take(&self, n: u32) -> Result<(), Snapshot> {
        let taken = self.update(|seen| {
            let few = seen.0 < i64::from(n) && (n > 0 || seen.is_closed());
            if few { None } else { Some(seen.0 - i64::from(n)) }
        });
        match taken {
            Ok(_) => Ok(()),
            Err(seen) => Err(seen),
        }
    }

    /// Gives `n` permits back. `Err` if the caller has more to do: the semaphore was closed, units
    /// were owed to waiters, or there are too many permits (see [`Balance::overflows`]).
    ///
    /// ```text
    /// count -> count + n
    /// ```
    #[inline]
    pub(crate) fn give(&self, n: usize) -> Result<(), Snapshot> {
        let n = signed(n);
        let old = if seeded::RELAXED_RELEASE {
            // ORDERING: Relaxed. The bug.
            self.0.fetch_add(n, Relaxed)
        } else {
            // ORDERING: AcqRel. Pairs with `take` and `try_take`: they see what was done under
            // these permits. Acquire: a deliverer's steps come after those of the waiters it
            // serves.
            self.0.fetch_add(n, AcqRel)
        };
        #[expect(clippy::cast_sign_loss, reason = "one comparison: neither negative nor too many")]
        let plain = old as u64 <= (MAX - n) as u64;
        if plain { Ok(()) } else { Err(Snapshot(old)) }
    }

    /// Whether adding `n` permits to `before` makes too many.
    pub(crate) fn overflows(before: Snapshot, n: usize) -> bool {
        before.count() > MAX - signed(n)
    }

    /// Adds `n` new permits, unless that makes too many.
    pub(crate) fn add(&self, n: usize) -> Result<Snapshot, Overflow> {
        if n > MAX_PERMITS {
            return Err(Overflow);
        }
        let added = |seen: Snapshot| {
            if Self::overflows(seen, n) { None } else { Some(seen.0 + signed(n)) }
        };
        self.update(added).map_err(|_| Overflow)
    }

    /// Takes up to `n` free permits out of circulation and says how many.
    pub(crate) fn forget(&self, n: usize) -> usize {
        // More can be free only after a `give` of too many, which is about to panic.
        let n = n.min(MAX_PERMITS);
        let taken = |seen: Snapshot| usize::try_from(seen.free()).unwrap_or(usize::MAX).min(n);
        let forgotten = self.update(|seen| match taken(seen) {
            0 => None,
            taken => Some(seen.0 - signed(taken)),
        });
        forgotten.map_or(0, taken)
    }

    /// Removes a demand of `missing` units, for a waiter that leaves.
    ///
    /// ```text
    /// count -> count + missing     if open
    /// ```
    ///
    /// It cannot be a plain addition as in `give`: a close removes all demand, and units that were
    /// removed must not be counted as free a second time.
    #[inline]
    pub(crate) fn withdraw(&self, missing: u32) -> Withdrawn {
        let missing = i64::from(missing);
        let lifted = |seen: Snapshot| seen.0 + missing;
        match self.update(|seen| if seen.is_closed() { None } else { Some(lifted(seen)) }) {
            Ok(seen) if seeded::DOUBLE_GRANT || lifted(seen) <= 0 => Withdrawn::Whole,
            Ok(seen) => {
                // The part that lifts the count above zero was on its way.
                #[expect(
                    clippy::cast_sign_loss,
                    clippy::cast_possible_truncation,
                    reason = "above zero, and at most what is missing"
                )]
                let swallow = lifted(seen).min(missing) as u32;
                Withdrawn::Part { swallow }
            }
            Err(_) => Withdrawn::Closed,
        }
    }

    /// Closes, and removes all demand.
    ///
    /// ```text
    /// count -> closed, max(count, 0)     if open
    /// ```
    pub(crate) fn close(&self) {
        let closed = |seen: Snapshot| {
            if seen.is_closed() { None } else { Some(seen.0.max(0) - CLOSED) }
        };
        // `Err`: it was closed before.
        let _closed = self.update(closed);
    }

    /// Adds to the count of a closed semaphore. Negative if units that were counted as free never
    /// came.
    pub(crate) fn adjust_closed(&self, units: i64) {
        if units != 0 {
            // ORDERING: AcqRel, as in `give`.
            let old = self.0.fetch_add(units, AcqRel);
            debug_assert!(Snapshot(old).is_closed(), "adjusted while open");
        }
    }

    /// Changes the word to what `next` makes of it. If another thread was first, `next` is asked
    /// again. `Ok` has the word before the change, and `Err` the word for which `next` returned
    /// `None`.
    #[inline(always)]
    fn update(&self, next: impl Fn(Snapshot) -> Option<i64>) -> Result<Snapshot, Snapshot> {
        let mut seen = self.load();
        loop {
            let Some(to) = next(seen) else { return Err(seen) };
            // ORDERING: AcqRel. Acquire pairs with every change, Release with `load` and every
            // change: later operations in the total order see what happened before. Failure:
            // Acquire, as `load`.
            match self.0.compare_exchange_weak(seen.0, to, AcqRel, Acquire) {
                Ok(_) => return Ok(seen),
                Err(now) => seen = Snapshot(now),
            }
        }
    }
}
