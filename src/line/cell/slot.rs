//! Where a waiter leaves its waker: two words, which one thread can read while another writes them.

#![expect(unsafe_code, reason = "turns the two words back into the waker they were")]

use core::ptr;
use core::task::{RawWakerVTable, Waker};

#[cfg(test)]
use crate::sync::poison;
use crate::sync::probe::alive;
use crate::sync::{AtomicPtr, Relaxed, const_fn};

/// A waker as two words.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct RawParts {
    data: *mut (),
    vtable: *mut RawWakerVTable,
}

impl RawParts {
    #[inline]
    pub(super) fn of(waker: &Waker) -> Self {
        Self { data: waker.data().cast_mut(), vtable: ptr::from_ref(waker.vtable()).cast_mut() }
    }

    /// # Safety
    ///
    /// - The parts are those of one waker, which was forgotten, and
    /// - nobody else makes a waker of them.
    #[inline]
    pub(super) unsafe fn into_waker(self) -> Waker {
        // SAFETY: the first obligation: the pointer was made from a `&'static RawWakerVTable`.
        let vtable: &'static RawWakerVTable = unsafe { &*alive(self.vtable) };
        // SAFETY: both obligations: data and vtable belong together, and are the caller's now.
        unsafe { Waker::new(self.data, vtable) }
    }
}

/// The two words. They are a waker while the cell's state says so (I4).
#[derive(Debug)]
pub(super) struct WakerSlot {
    data: AtomicPtr<()>,
    vtable: AtomicPtr<RawWakerVTable>,
}

impl WakerSlot {
    const_fn! {
        pub(super) const fn new() -> Self {
            Self { data: AtomicPtr::new(ptr::null_mut()), vtable: AtomicPtr::new(ptr::null_mut()) }
        }
    }

    #[inline]
    pub(super) fn read(&self) -> RawParts {
        RawParts {
            // ORDERING: Relaxed. Pairs with `fill` by way of the state: what is read after a load
            // of PARKED and before a change of that very word was published with it.
            data: self.data.load(Relaxed),
            // ORDERING: Relaxed, as the line above.
            vtable: self.vtable.load(Relaxed),
        }
    }

    /// Writes a waker, which others may take once the state is PARKED.
    ///
    /// Only the waiter calls this, and only while the state is not PARKED. A thread that reads the
    /// slot meanwhile cannot complete a change from PARKED, as no two PARKED words of a cell are
    /// the same (I4).
    #[inline]
    pub(super) fn fill(&self, parts: RawParts) {
        // ORDERING: Relaxed. Pairs with `read`: the change to PARKED that follows publishes.
        self.data.store(parts.data, Relaxed);
        // ORDERING: Relaxed, as the line above.
        self.vtable.store(parts.vtable, Relaxed);
    }

    /// Poisons it: the tests' way to free.
    #[cfg(test)]
    pub(super) fn poison(&mut self) {
        poison!(self.vtable);
    }
}
