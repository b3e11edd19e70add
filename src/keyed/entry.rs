//! What a key has while it is in use.

use alloc::sync::Arc;

use crate::permit::OwnedSemaphorePermit;
use crate::registry::Entry;
use crate::semaphore::Semaphore;

/// The semaphore of a key.
pub(crate) struct Limited {
    semaphore: Semaphore,
    /// Counts the keys in use. `None` if all were closed before.
    _place: Option<OwnedSemaphorePermit>,
}

/// A key in use, and its semaphore.
pub(crate) type KeyEntry<K, S> = Entry<K, Limited, S>;

impl Limited {
    /// Of a new key. `places` has a permit for each key that is in use; it is closed if all keys are.
    #[track_caller]
    pub(crate) fn new(places: &Arc<Semaphore>, limit: impl FnOnce() -> usize) -> Self {
        match places.clone().try_acquire_owned() {
            Ok(place) => Self { semaphore: Semaphore::new(limit()), _place: Some(place) },
            Err(_) => {
                let semaphore = Semaphore::new(0);
                semaphore.close();
                Self { semaphore, _place: None }
            }
        }
    }
}

impl<K, S> AsRef<Semaphore> for KeyEntry<K, S> {
    fn as_ref(&self) -> &Semaphore {
        &self.value().semaphore
    }
}
