//! All hooks of the white-box tests. In the code that ships, each is a constant, or nothing.

#[cfg(all(test, not(any(semafair_loom, semafair_shuttle))))]
pub(crate) mod count;
#[cfg(test)]
pub(crate) mod memory;
#[cfg(all(test, semafair_loom))]
pub(crate) mod slots;
#[cfg(all(test, not(any(semafair_loom, semafair_shuttle))))]
pub(crate) mod steps;

/// The hazard slot at which this thread begins to look for a free one, if that is not left to its stack. A
/// model must do the same in each run; and threads that meet in a slot are what most of them test.
#[inline(always)]
pub(crate) fn slot_hint() -> Option<usize> {
    #[cfg(all(test, semafair_loom))]
    return Some(slots::hint());
    #[cfg(not(all(test, semafair_loom)))]
    if cfg!(test) { Some(0) } else { None }
}

/// A type with a value that says that the memory was freed.
pub(crate) trait Poison: PartialEq + Copy {
    /// What the white-box tests write over memory that is freed.
    #[cfg_attr(not(test), allow(dead_code, reason = "only tests poison"))]
    const POISON: Self;
}

impl Poison for u32 {
    const POISON: Self = Self::MAX;
}

impl Poison for u64 {
    const POISON: Self = Self::MAX;
}

impl<T> Poison for *mut T {
    const POISON: Self = core::ptr::without_provenance_mut(usize::MAX);
}

/// Passes on a value that was read. In white-box tests, panics if its memory had been freed.
#[inline(always)]
#[track_caller]
pub(crate) fn alive<T: Poison>(read: T) -> T {
    #[cfg(test)]
    assert!(read != T::POISON, "memory was used after it was freed");
    read
}
