//! Bugs that can be built in, to test that each checker finds those that it is for.
//!
//! `scripts/seeded` builds with `--cfg semafair_bug="lost_wake_up"` and so on, and asserts that the
//! checkers turn red. Without that, each of these is `false`, and what it guards is not compiled.

/// A deliverer that leaves units in an OPEN cell does not look whether a waiter came behind (D1).
pub(crate) const LOST_WAKE_UP: bool = cfg!(semafair_bug = "lost_wake_up");

/// A release is `Relaxed`: the next acquire does not see what was done under the permit.
pub(crate) const RELAXED_RELEASE: bool = cfg!(semafair_bug = "relaxed_release");

/// A segment is freed while a thread looks at it (D2).
pub(crate) const USE_AFTER_FREE: bool = cfg!(semafair_bug = "use_after_free");

/// A segment that was retired is not freed.
pub(crate) const LEAK: bool = cfg!(semafair_bug = "leak");

/// A waiter that leaves while units are on their way to it lets them go on to those behind, and
/// withdraws its whole demand all the same.
pub(crate) const DOUBLE_GRANT: bool = cfg!(semafair_bug = "double_grant");
