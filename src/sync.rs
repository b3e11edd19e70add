//! The atomics of this crate: `core`'s, or loom's when the models are built.
//!
//! This is the only file that names either, so a model checks the code that ships.

pub(crate) use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
#[cfg(not(all(test, semafair_loom)))]
pub(crate) use core::sync::atomic::{
    AtomicBool, AtomicI64, AtomicIsize, AtomicPtr, AtomicU32, AtomicU64,
};
#[cfg(all(test, semafair_loom))]
pub(crate) use loom::sync::atomic::{
    AtomicBool, AtomicI64, AtomicIsize, AtomicPtr, AtomicU32, AtomicU64,
};

/// Stands between the write and the read of each Dekker pair (see `line/README.md`).
///
/// The accesses on both sides of it are `SeqCst` read-modify-writes and loads, and need nothing
/// between them. Loom weakens `SeqCst` accesses to `AcqRel`; for it alone there is a fence.
#[inline(always)]
pub(crate) fn dekker() {
    #[cfg(all(test, semafair_loom))]
    // ORDERING: SeqCst. Pairs with the other side of the same pair: of the two reads, one at
    // least sees the other side's write.
    loom::sync::atomic::fence(SeqCst);
}

/// A number that tends to differ from thread to thread, and to stay for a thread.
#[inline]
pub(crate) fn some_of_thread() -> usize {
    if cfg!(all(test, semafair_loom)) {
        // A model must do the same each time.
        return 0;
    }
    let here = 0_u8;
    // Stacks are some pages apart; a multiplication by 2^64 / phi mixes what is above.
    let page = core::ptr::from_ref(&here).addr() as u64 >> 14;
    (page.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48) as usize
}

/// Declares a `const fn` that is a plain `fn` for loom, whose atomics cannot be made in `const`.
macro_rules! const_fn {
    ($(#[$meta:meta])* $vis:vis const fn $($rest:tt)*) => {
        #[cfg(not(all(test, semafair_loom)))]
        $(#[$meta])*
        $vis const fn $($rest)*
        #[cfg(all(test, semafair_loom))]
        $(#[$meta])*
        $vis fn $($rest)*
    };
}
pub(crate) use const_fn;
