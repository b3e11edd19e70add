//! The one word that every acquire and release changes: how many permits are free, or owed.
//!
//! ```text
//!   -57           -24 -23 -21 -17           0               16      times 2^57
//!    |.. outstanding ..|...|...|.... owed ....|.... free .....|
//!          (closed)                  (open)
//! ```
//!
//! While open, zero or more is the number of free permits. Below zero is the number of units that
//! were asked for and that are not on their way yet, by waiters or as debt (I1 in
//! `line/README.md`).
//!
//! From the left, the marks are: the lowest closed word, `CLOSED`, `CLOSED_BELOW`, `FLOOR`, `SHRINK_FLOOR`,
//! zero and `MAX_PERMITS`.
//!
//! Once closed, nobody waits any more, and nothing is free to be taken. The word then counts the
//! outstanding permits, downwards from the closed zero, whatever the limit is: the release of the
//! last one brings it back there. It is lower by what a refused acquire has not put back yet. All
//! closed words are far below all open ones, so that one signed comparison tells a plain success
//! from everything else.

mod between;

use core::fmt;

use crate::sync::{AcqRel, Acquire, AtomicI64, Relaxed, const_fn, seeded};

/// The closed zero lies so far below the open one.
const CLOSED: i64 = 24 << 57;
/// Below this the word is closed.
///
/// - An open word does not reach it. From [`FLOOR`], 2^26 requests of the largest size would have to
///   subtract at the same instant, each before any of them has seen that it went too far.
/// - A closed word does not rise to it, as no more is given back than was outstanding. Nor does it
///   overflow: the limit is [`MAX_PERMITS`] at most, that is 16 times 2^57, and the debt 17 times
///   2^57 (`line/debt.rs`). So the word is 33 times 2^57 below the closed zero at most, and 7 times
///   2^57 remain for requests that subtract before they are refused.
const CLOSED_BELOW: i64 = -(23 << 57);
/// A request that finds the word below this panics: then more than 2^59 units are waited for, which
/// is the distance from [`SHRINK_FLOOR`]: no shrink brings the word below that, so requests did. They
/// have asked for more than 2^59 units beyond those that were given back meanwhile, or withdrawn.
/// (Units that were on their way before are for what was owed before.)
const FLOOR: i64 = -(21 << 57);
/// No shrink brings the word below this: there is room for a debt of [`MAX_PERMITS`], and for waiters
/// that ask for 2^57 units. What has no room must wait until some of it is paid, or withdrawn.
const SHRINK_FLOOR: i64 = -(17 << 57);

/// The most permits there can be: tokio's limit, so that code moves over unchanged.
pub(crate) const MAX_PERMITS: usize = usize::MAX >> 3;

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

/// Converts a sum of a few counts of permits.
#[expect(clippy::cast_possible_wrap, reason = "far below 2^63")]
pub(crate) const fn signed_sum(n: u64) -> i64 {
    n as i64
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

    /// How many permits were free, if it was open.
    pub(crate) fn free(self) -> u64 {
        self.0.max(0).unsigned_abs()
    }

    /// How many units were asked for and not on their way yet, if it was open.
    pub(crate) fn owed(self) -> u64 {
        if self.0 < 0 && !self.is_closed() { self.0.unsigned_abs() } else { 0 }
    }

    /// How many permits were outstanding, if it was closed.
    pub(crate) fn outstanding(self) -> Option<u64> {
        if self.is_closed() { Some((self.0 + CLOSED).unsigned_abs()) } else { None }
    }

    /// Whether it was closed, and no permit was outstanding.
    pub(crate) fn is_drained(self) -> bool {
        self.0 == -CLOSED
    }

    /// Whether a waiter may be added: the semaphore is open, and not far too much is owed.
    #[inline]
    pub(crate) fn is_open_to_waiters(self) -> bool {
        self.0 >= FLOOR
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("free", &self.free())
            .field("owed", &self.owed())
            .field("outstanding_if_closed", &self.outstanding())
            .finish()
    }
}

/// Why [`Balance::take_if`] did not grant.
#[derive(Debug)]
pub(crate) enum TakeError {
    /// The units are asked for, and the caller must join the line.
    MustWait(Snapshot),
    /// The semaphore was closed, or the caller did not agree to wait. Nothing was done.
    Refused(Snapshot),
}

/// The word.
///
/// Every change is `AcqRel` and every load `Acquire`. So acquire, release and close stand in one
/// total order, in which each sees what the operations before it saw, a failed `try_acquire`
/// included. The line's steps for a waiter continue that order from cell to cell.
pub(crate) struct Balance(AtomicI64);

impl Balance {
    const_fn! {
        /// With the given number of free permits, which the caller has checked: at most
        /// [`MAX_PERMITS`].
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

    /// The same as [`Balance::load`], as a change that changes nothing: whoever changes the word later
    /// sees what the caller did before (D4).
    pub(crate) fn load_as_change(&self) -> Snapshot {
        // ORDERING: AcqRel. Acquire as `load`; Release pairs with every later change.
        Snapshot(self.0.fetch_add(0, AcqRel))
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

    /// Takes `n` permits if that many are free and nobody waits; none of them whenever it is open.
    /// `Err` if not: then nothing was done.
    ///
    /// ```text
    /// count -> count - n     if open, and count >= n or n == 0
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

    /// The same, for a semaphore whose line is bounded. `decide` says whether the request may wait
    /// if too few permits are free; if not, nothing was done.
    ///
    /// ```text
    /// count -> count - n     if open, and count >= n or `decide` agrees
    /// ```
    pub(crate) fn take_if(
        &self,
        n: u32,
        decide: impl Fn(Snapshot) -> bool,
    ) -> Result<(), TakeError> {
        let n = i64::from(n);
        let next = |seen: Snapshot| {
            let takes = !seen.is_closed() && (seen.0 >= n || decide(seen));
            takes.then_some(seen.0 - n)
        };
        match self.update(next) {
            Ok(seen) if seen.0 >= n => Ok(()),
            Ok(seen) => Err(TakeError::MustWait(seen)),
            Err(seen) => Err(TakeError::Refused(seen)),
        }
    }

    /// Gives `n` permits back. `Err` if the caller has more to do: the semaphore was closed, or
    /// units were owed.
    ///
    /// ```text
    /// count -> count + n
    /// ```
    #[inline]
    pub(crate) fn give(&self, n: usize) -> Result<(), Snapshot> {
        self.give_units(signed(n))
    }

    /// The same for units that nobody got.
    pub(crate) fn give_back(&self, units: u64) -> Result<(), Snapshot> {
        self.give_units(signed_sum(units))
    }

    #[inline(always)]
    fn give_units(&self, n: i64) -> Result<(), Snapshot> {
        let old = if seeded::RELAXED_RELEASE {
            // ORDERING: Relaxed. The bug.
            self.0.fetch_add(n, Relaxed)
        } else {
            // ORDERING: AcqRel. Pairs with `take` and `try_take`: they see what was done under
            // these permits. Acquire: a deliverer's steps come after those of the waiters it
            // serves.
            self.0.fetch_add(n, AcqRel)
        };
        if old >= 0 { Ok(()) } else { Err(Snapshot(old)) }
    }

    /// Takes up to `n` free permits, for good, and says how many. `Err` if closed.
    ///
    /// ```text
    /// count -> count - min(n, count)     if open and count > 0
    /// ```
    pub(crate) fn take_free(&self, n: u64) -> Result<u64, Snapshot> {
        let taken = |seen: Snapshot| seen.free().min(n);
        let next = |seen: Snapshot| match taken(seen) {
            0 => None,
            taken => Some(seen.0 - signed_sum(taken)),
        };
        match self.update(next) {
            Ok(seen) => Ok(taken(seen)),
            Err(seen) if seen.is_closed() => Err(seen),
            Err(_) => Ok(0),
        }
    }

    /// Asks for `n` permits that are to vanish. Those that are free are taken, and the rest is owed
    /// from now on: the caller adds it to the debt.
    ///
    /// ```text
    /// count -> count - n     if open, and not too much is owed
    /// ```
    pub(crate) fn take_off(&self, n: u64) -> Result<Snapshot, Snapshot> {
        self.update(|seen| {
            // A closed word may be so low that the subtraction would overflow.
            if seen.is_closed() {
                return None;
            }
            let to = seen.0 - signed_sum(n);
            (to >= SHRINK_FLOOR).then_some(to)
        })
    }

    /// Withdraws a demand of `missing` units, for a waiter that leaves, but for those that are on
    /// their way already. Says how many these are: whatever comes of them must be given back. All of
    /// them if the semaphore is closed, as the close has removed the demand.
    ///
    /// ```text
    /// count -> min(count + missing, 0)     if open and count < 0
    /// ```
    ///
    /// If all are on their way, nothing changes, and a load is enough: it reads the word as it was
    /// after this waiter asked, or later, and at that moment the units were on their way.
    pub(crate) fn withdraw(&self, missing: u32) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "at most what is missing")]
        let withdrawn = |seen: Snapshot| seen.owed().min(missing.into()) as u32;
        let next = |seen: Snapshot| match withdrawn(seen) {
            0 => None,
            withdrawn => Some(seen.0 + i64::from(withdrawn)),
        };
        match self.update(next) {
            Ok(seen) => missing - withdrawn(seen),
            Err(_) => missing,
        }
    }

    /// Withdraws all `missing` units, as [`Balance::withdraw`] does, or none. `false` if some are on
    /// their way, or the semaphore is closed: then nothing was done.
    ///
    /// ```text
    /// count -> count + missing     if open and count + missing <= 0
    /// ```
    #[inline]
    pub(crate) fn try_withdraw(&self, missing: u32) -> bool {
        let withdrawn = self.update(|seen| {
            let to = seen.0 + i64::from(missing);
            let is_whole = seeded::DOUBLE_GRANT || to <= 0;
            if seen.is_closed() || !is_whole { None } else { Some(to) }
        });
        withdrawn.is_ok()
    }

    /// Closes, and removes all demand, if the word is still as it was `seen`. From now on it counts
    /// the outstanding permits: those of `all` that are not free.
    ///
    /// ```text
    /// count -> closed, max(count, 0) - all     if open
    /// ```
    pub(crate) fn close(&self, seen: Snapshot, all: i64) -> Result<(), Snapshot> {
        let to = seen.0.max(0) - all - CLOSED;
        // ORDERING: AcqRel, as in `update`. Failure: Acquire, as `load`.
        match self.0.compare_exchange_weak(seen.0, to, AcqRel, Acquire) {
            Ok(_) => Ok(()),
            Err(now) => Err(Snapshot(now)),
        }
    }

    /// Gives units back to a closed semaphore: so many fewer permits are outstanding.
    pub(crate) fn give_closed(&self, units: u64) {
        if units != 0 {
            // ORDERING: AcqRel, as in `give`.
            let old = self.0.fetch_add(signed_sum(units), AcqRel);
            debug_assert!(Snapshot(old).is_closed(), "it is open");
            debug_assert!(old + signed_sum(units) <= -CLOSED, "permits were invented");
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
