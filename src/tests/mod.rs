//! White-box tests: loom models of the races, and what cannot be reached from outside.
//!
//! `scripts/loom` runs the models: every interleaving of a few threads up to a number of
//! preemptions, with segments of two cells and of one, so that they cross the border between
//! segments all the time. A segment that was freed is kept, poisoned, until that run of the model
//! ends: whoever uses it is found out, and so is a segment that was never freed.
//!
//! `line.rs` is a child of the line, and is declared there.

#[cfg(semafair_loom)]
mod cancel;
#[cfg(semafair_loom)]
mod close;
#[cfg(semafair_loom)]
mod hand_off;
pub(crate) mod memory;
#[cfg(semafair_loom)]
pub(crate) mod model;
#[cfg(semafair_loom)]
mod ordering;
#[cfg(semafair_loom)]
mod reclaim;
#[cfg(not(any(semafair_loom, semafair_shuttle)))]
mod stalled;
#[cfg(not(any(semafair_loom, semafair_shuttle)))]
pub(crate) mod steps;
#[cfg(not(any(semafair_loom, semafair_shuttle)))]
mod units;
#[cfg(semafair_loom)]
mod waker;
