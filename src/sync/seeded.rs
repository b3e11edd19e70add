//! Bugs that can be built in, so that each checker is seen to find those that it is for.
//!
//! `scripts/seeded` builds with `--cfg semafair_bug="lost_wake_up"` and so on, and asserts that the
//! checkers turn red. Without that, each of these is `false`, and what it guards is not compiled.

/// A deliverer that leaves units in an OPEN cell does not look whether somebody came behind (D1).
pub(crate) const LOST_WAKE_UP: bool = cfg!(semafair_bug = "lost_wake_up");

/// A release is `Relaxed`: the next to acquire does not see what was done under the permit.
pub(crate) const RELAXED_RELEASE: bool = cfg!(semafair_bug = "relaxed_release");

/// A segment is freed while somebody looks at it (D2).
pub(crate) const USE_AFTER_FREE: bool = cfg!(semafair_bug = "use_after_free");

/// A segment that was retired is not freed.
pub(crate) const LEAK: bool = cfg!(semafair_bug = "leak");

/// Whoever leaves a place to which units are on their way swallows none of them.
pub(crate) const DOUBLE_GRANT: bool = cfg!(semafair_bug = "double_grant");
