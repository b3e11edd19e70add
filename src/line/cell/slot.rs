//! Where a waiter leaves its waker: two words, which one thread can read while another writes them.

#![expect(unsafe_code, reason = "turns the two words back into the waker they were")]

use core::ptr;
use core::task::{RawWakerVTable, Waker};

#[cfg(test)]
use crate::sync::poison;
use crate::sync::probe::alive;
use crate::sync::{AtomicPtr, Relaxed, const_fn};

/// In `vtable`: the waiter is about to leave. A table lies at an even address.
const LEAVING: usize = 1;
const _: () = assert!(align_of::<RawWakerVTable>() > LEAVING);

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
            vtable: self.vtable.load(Relaxed).map_addr(|address| address & !LEAVING),
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

    /// Marks the waiter as about to leave, which is for good. Only the waiter calls this.
    #[inline]
    pub(super) fn mark_leaving(&self) {
        // ORDERING: Relaxed. Only this thread writes the slot.
        let vtable = self.vtable.load(Relaxed);
        // ORDERING: Relaxed. Pairs with `is_leaving` by way of the balance, which the waiter changes
        // next: a closer that comes after that change sees the mark.
        self.vtable.store(vtable.map_addr(|address| address | LEAVING), Relaxed);
    }

    /// Whether the waiter has marked itself as about to leave.
    pub(super) fn is_leaving(&self) -> bool {
        // ORDERING: Relaxed. Pairs with `mark_leaving`.
        self.vtable.load(Relaxed).addr() & LEAVING != 0
    }

    /// Poisons it: the tests' way to free.
    #[cfg(test)]
    pub(super) fn poison(&mut self) {
        poison!(self.vtable);
    }
}
