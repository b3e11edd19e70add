//! A box that is made when it is first needed.

#![expect(unsafe_code, reason = "follows and frees the box")]
#![expect(clippy::disallowed_methods, reason = "takes back the box that it made")]

use core::ptr;
use std::boxed::Box;

use super::{AcqRel, Acquire, AtomicPtr, Relaxed, const_fn};

/// The address that means: there is no box, and there will be none. No `T` of ours is aligned like this.
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
        // SAFETY: neither null nor SHUT, so set by `init` to a box that only `drop` frees.
        (pointer.addr() > SHUT).then(|| unsafe { &*pointer })
    }

    /// What was made, if it was.
    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        // ORDERING: Acquire. Pairs with `get_or_init`: it is seen initialised.
        self.follow(self.0.load(Acquire))
    }

    /// What was made, by `init` if it was not; `None` if it was shut.
    #[inline]
    pub(crate) fn get_or_init(&self, init: impl FnOnce() -> T) -> Option<&T> {
        match self.get() {
            None => self.init(init),
            made => made,
        }
    }

    #[cold]
    fn init(&self, init: impl FnOnce() -> T) -> Option<&T> {
        // ORDERING: Acquire. Pairs with `shut`: whoever is refused by this comes after it.
        if self.0.load(Acquire).addr() == SHUT {
            return None;
        }
        let new = Box::into_raw(Box::new(init()));
        // ORDERING: AcqRel. Release pairs with `get`. Failure: Acquire, as in `get`.
        match self.0.compare_exchange(ptr::null_mut(), new, AcqRel, Acquire) {
            Ok(_) => self.follow(new),
            Err(now) => {
                // SAFETY: made above, and nobody else has seen it.
                drop(unsafe { Box::from_raw(new) });
                self.follow(now)
            }
        }
    }

    /// Sees to it that nothing is made if nothing was; says what was.
    ///
    /// Transition: `null -> SHUT`; otherwise it was made or shut before.
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
            // SAFETY: set by `get_or_init`, and this is its only owner.
            drop(unsafe { Box::from_raw(pointer) });
        }
    }
}
