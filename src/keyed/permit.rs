//! The guard of a key's permits.

use core::fmt;
use std::hash::RandomState;

use crate::keyed::entry::KeyEntry;
use crate::permit::PermitIn;

/// Permits of one key of a [`KeyedSemaphore`](crate::KeyedSemaphore), given back when dropped.
///
/// It keeps the key in use, so it can move into a spawned task, and outlive the [`KeyedSemaphore`](crate::KeyedSemaphore).
/// Dropping it never blocks.
///
/// # Panics
///
/// Dropping it wakes the waiters that are granted its permits, and drops the key if nobody else uses it. If one of
/// their wakers panics, all others are woken nevertheless, all permits are accounted for, and then the panic comes out; it is
/// swallowed if the thread was panicking already. A panic of the key's `Drop` comes out when everything else was done.
///
/// # Examples
///
/// ```
/// use semafair::KeyedSemaphore;
///
/// let per_host = KeyedSemaphore::new(2);
/// let permit = per_host.try_acquire("example.org").unwrap();
/// assert_eq!(*permit.key(), "example.org");
/// std::thread::spawn(move || drop(permit)).join().unwrap();
/// assert!(per_host.is_empty());
/// ```
#[must_use = "the permits are given back at once if this is dropped"]
#[clippy::has_significant_drop]
pub struct KeyedPermit<K, S = RandomState> {
    permit: PermitIn<KeyEntry<K, S>>,
}

impl<K, S> KeyedPermit<K, S> {
    pub(crate) const fn new(permit: PermitIn<KeyEntry<K, S>>) -> Self {
        Self { permit }
    }

    /// Returns the key.
    #[must_use]
    pub fn key(&self) -> &K {
        self.permit.owner().key()
    }

    /// Returns the number of permits in this guard.
    #[must_use]
    pub const fn num_permits(&self) -> usize {
        self.permit.num_permits()
    }

    /// Takes over the permits of another guard of the same key.
    ///
    /// # Panics
    ///
    /// If the guards are of different keys or of different [`KeyedSemaphore`](crate::KeyedSemaphore)s, or if their sum
    /// exceeds [`Semaphore::MAX_PERMITS`](crate::Semaphore::MAX_PERMITS). This guard is as before then, and `other` is
    /// dropped, which gives its permits back.
    #[track_caller]
    pub fn merge(&mut self, other: Self) {
        self.permit.merge(other.permit);
    }

    /// Moves `n` permits of this guard into a new guard.
    ///
    /// Returns `None`, and changes nothing, if this guard has fewer than `n` permits.
    pub fn split(&mut self, n: usize) -> Option<Self> {
        Some(Self { permit: self.permit.split(n)? })
    }
}

impl<K: fmt::Debug, S> fmt::Debug for KeyedPermit<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedPermit")
            .field("key", self.key())
            .field("permits", &self.num_permits())
            .finish_non_exhaustive()
    }
}
