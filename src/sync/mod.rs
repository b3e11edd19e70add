//! The atomics of this crate: `core`'s, or a checker's in builds for white-box tests.
//!
//! No other file that ships names them, so that the checkers check the code that ships.

pub(crate) mod lazy_box;
pub(crate) mod probe;
pub(crate) mod seeded;
pub(crate) mod sizes;

pub(crate) use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
#[cfg(feature = "keyed")]
pub(crate) use core::sync::atomic::fence;
#[cfg(not(test))]
pub(crate) use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32};
#[cfg(not(any(test, feature = "portable-atomic")))]
pub(crate) use core::sync::atomic::{AtomicI64, AtomicU64};
// The same where the target has them.
#[cfg(all(not(test), feature = "portable-atomic"))]
pub(crate) use portable_atomic::{AtomicI64, AtomicU64};
// Explores all interleavings of a few threads, and what the memory model lets them see.
#[cfg(all(test, semafair_loom))]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU32, AtomicU64};
// Draws interleavings of many threads at random.
#[cfg(all(test, semafair_shuttle))]
pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU32, AtomicU64};

// `core`'s, before each of which a thread can be stopped.
#[cfg(all(test, not(any(semafair_loom, semafair_shuttle))))]
pub(crate) use self::probe::steps::{AtomicBool, AtomicI64, AtomicPtr, AtomicU32, AtomicU64};

#[cfg(not(any(target_has_atomic = "64", feature = "portable-atomic")))]
compile_error!("this target has no 64-bit atomics: semafair needs its feature `portable-atomic`");

/// Stands between the write and the read of the pairs D1 to D3 (see `line/README.md`), where no other fence does.
///
/// The accesses on both sides of it are `SeqCst` read-modify-writes and loads, and need no fence
/// between them. But loom treats `SeqCst` accesses as `AcqRel`, so there is a fence for loom alone.
#[inline(always)]
pub(crate) fn dekker() {
    #[cfg(all(test, semafair_loom))]
    // ORDERING: SeqCst. Pairs with the other side of the same pair: of the two reads, one at
    // least sees the other side's write.
    loom::sync::atomic::fence(SeqCst);
}

/// Declares a `const fn`. For loom it is a plain `fn`, as loom's atomics cannot be made in `const`.
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

/// Poisons an atomic after its last use. Loom finds a use that comes later, and also one that
/// nothing orders before this.
#[cfg(test)]
macro_rules! poison {
    ($atomic:expr) => {
        #[cfg(semafair_loom)]
        $atomic.with_mut(|_| ());
        // ORDERING: SeqCst. Pairs with every use, which panics if it finds the poison.
        $atomic.store($crate::sync::probe::Poison::POISON, $crate::sync::SeqCst);
    };
}
#[cfg(test)]
pub(crate) use poison;
