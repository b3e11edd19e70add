//! What a key has while it is in use.

use crate::registry::Entry;
use crate::semaphore::Semaphore;

/// A key in use, and its semaphore.
pub(crate) type KeyEntry<K, S> = Entry<K, Semaphore, S>;

impl<K, S> AsRef<Semaphore> for KeyEntry<K, S> {
    fn as_ref(&self) -> &Semaphore {
        self.value()
    }
}
