//! A key in use, by hand.

use alloc::sync::Arc;
use core::fmt;
use std::hash::RandomState;

use crate::keyed::entry::KeyEntry;
use crate::semaphore::Semaphore;

/// A key of a [`KeyedSemaphore`](crate::KeyedSemaphore), and its semaphore; made by
/// [`KeyedSemaphore::handle`](crate::KeyedSemaphore::handle).
///
/// The key is in use as long as a handle exists. What is done to the semaphore, such as
/// [`set_limit`](Semaphore::set_limit), holds until the key is not in use any more.
///
/// # Examples
///
/// ```
/// use semafair::KeyedSemaphore;
///
/// let per_tenant = KeyedSemaphore::new(2);
/// let big = per_tenant.handle("big");
/// big.semaphore().set_limit(100);
/// assert!(per_tenant.try_acquire_many("big", 50).is_ok());
///
/// drop(big);
/// assert!(per_tenant.try_acquire_many("big", 50).is_err());
/// ```
pub struct KeyedHandle<K, S = RandomState> {
    entry: Arc<KeyEntry<K, S>>,
}

impl<K, S> KeyedHandle<K, S> {
    pub(crate) const fn new(entry: Arc<KeyEntry<K, S>>) -> Self {
        Self { entry }
    }

    /// Returns the key.
    #[must_use]
    pub fn key(&self) -> &K {
        self.entry.key()
    }

    /// Returns the semaphore of the key.
    #[must_use]
    pub fn semaphore(&self) -> &Semaphore {
        KeyEntry::as_ref(&self.entry)
    }
}

impl<K, S> AsRef<Semaphore> for KeyedHandle<K, S> {
    fn as_ref(&self) -> &Semaphore {
        self.semaphore()
    }
}

impl<K, S> Clone for KeyedHandle<K, S> {
    fn clone(&self) -> Self {
        Self { entry: self.entry.clone() }
    }
}

impl<K: fmt::Debug, S> fmt::Debug for KeyedHandle<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedHandle")
            .field("key", self.key())
            .field("semaphore", self.semaphore())
            .finish()
    }
}
