//! A semaphore inside something that is shared.

#![expect(unsafe_code, reason = "keeps a reference into what it owns")]

use alloc::sync::Arc;
use core::fmt;
use core::ops::Deref;
use core::ptr::NonNull;

use crate::semaphore::Semaphore;

/// A semaphore, and the shared owner that it belongs to.
///
/// The owner is asked for its semaphore once: a permit must go back to where it was taken, whatever
/// the owner would say later.
pub(crate) struct Handle<T: ?Sized> {
    semaphore: NonNull<Semaphore>,
    owner: Arc<T>,
}

impl<T: AsRef<Semaphore> + ?Sized> Handle<T> {
    pub(crate) fn new(owner: Arc<T>) -> Self {
        Self { semaphore: NonNull::from(T::as_ref(&owner)), owner }
    }
}

impl<T: ?Sized> Handle<T> {
    pub(crate) const fn owner(&self) -> &Arc<T> {
        &self.owner
    }
}

impl<T: ?Sized> Deref for Handle<T> {
    type Target = Semaphore;

    #[inline]
    fn deref(&self) -> &Semaphore {
        // SAFETY: the owner lent it for as long as the owner itself is borrowed. It does not move,
        // nobody borrows it mutably, and it is not dropped, as long as this has its `Arc`.
        unsafe { self.semaphore.as_ref() }
    }
}

impl<T: ?Sized> Clone for Handle<T> {
    fn clone(&self) -> Self {
        Self { semaphore: self.semaphore, owner: self.owner.clone() }
    }
}

impl<T: ?Sized> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

// SAFETY: it is an `Arc<T>`, and a `&Semaphore`, which may be sent.
unsafe impl<T: Send + Sync + ?Sized> Send for Handle<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync + ?Sized> Sync for Handle<T> {}
