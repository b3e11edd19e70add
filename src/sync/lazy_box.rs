//! A box that is made when it is first needed.

#![expect(unsafe_code, reason = "follows and frees the box")]
#![expect(clippy::disallowed_methods, reason = "takes back the box that it made")]

use core::ptr;
use std::boxed::Box;

use super::{AcqRel, Acquire, AtomicPtr, Relaxed, const_fn};

/// The address that means that there is no box, and will be none. No `T` of ours lies at an odd
/// address.
const SHUT: usize = 1;

/// A box that is made when it is first needed, unless it was shut before.
#[derive(Debug)]
pub(crate) struct LazyBox<T>(AtomicPtr<T>);

impl<T: Send + Sync> LazyBox<T> {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self(AtomicPtr::new(ptr::null_mut()))
        }
    }

    #[inline]
    fn follow(&self, pointer: *mut T) -> Option<&T> {
        // SAFETY: it is neither null nor SHUT, so `init` has set it to a box that only `drop`
        // frees.
        (pointer.addr() > SHUT).then(|| unsafe { &*pointer })
    }

    /// The value, if it was made.
    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        // ORDERING: Acquire. Pairs with `get_or_init`: it is seen initialised.
        self.follow(self.0.load(Acquire))
    }

    /// The value, which `init` makes if it was not made yet; `None` if the box was shut.
    #[inline]
    pub(crate) fn get_or_init(&self, init: impl FnOnce() -> T) -> Option<&T> {
        match self.get() {
            None => self.init(init),
            made => made,
        }
    }

    #[cold]
    fn init(&self, init: impl FnOnce() -> T) -> Option<&T> {
        // ORDERING: Acquire. Pairs with `shut`: a request that is refused because of this comes
        // after it.
        if self.0.load(Acquire).addr() == SHUT {
            return None;
        }
        let new = Box::into_raw(Box::new(init()));
        // ORDERING: AcqRel. Release pairs with `get`. Failure: Acquire, as in `get`.
        match self.0.compare_exchange(ptr::null_mut(), new, AcqRel, Acquire) {
            Ok(_) => self.follow(new),
            Err(now) => {
                // SAFETY: it was made above, and no other thread has seen it.
                drop(unsafe { Box::from_raw(new) });
                self.follow(now)
            }
        }
    }

    /// Shuts the box if the value was not made yet, so that it never is; otherwise returns the
    /// value.
    ///
    /// Transition: `null -> SHUT` (closer); otherwise it was made or shut before.
    pub(crate) fn shut(&self) -> Option<&T> {
        // ORDERING: AcqRel. Acquire pairs with `get_or_init`. Failure: Acquire, as in `get`.
        match self.0.compare_exchange(
            ptr::null_mut(),
            ptr::without_provenance_mut(SHUT),
            AcqRel,
            Acquire,
        ) {
            Ok(_) => None,
            Err(now) => self.follow(now),
        }
    }
}

impl<T> Drop for LazyBox<T> {
    fn drop(&mut self) {
        // ORDERING: Relaxed. `&mut self`: nobody else is there.
        let pointer = self.0.load(Relaxed);
        if !pointer.is_null() && pointer.addr() != SHUT {
            // SAFETY: `init` has set it, and this is its only owner.
            drop(unsafe { Box::from_raw(pointer) });
        }
    }
}
