//! White-box tests: models of the races, and what cannot be reached from outside.
//!
//! `scripts/loom` runs the models: every interleaving of a few threads up to a number of
//! preemptions, with segments of two cells and of one, so that they cross the border between
//! segments all the time. `scripts/shuttle` draws interleavings by chance, of the same models and of
//! larger ones. A segment that was freed is kept, poisoned, until that run of the model ends:
//! whoever uses it is found out, and so is a segment that was never freed.
//!
//! `line.rs` is a child of the line, and is declared there.

#[cfg(any(semafair_loom, semafair_shuttle))]
mod cancel;
#[cfg(any(semafair_loom, semafair_shuttle))]
mod close;
#[cfg(semafair_shuttle)]
mod crowds;
#[cfg(any(semafair_loom, semafair_shuttle))]
mod hand_off;
#[cfg(any(semafair_loom, semafair_shuttle))]
mod histories;
pub(crate) mod memory;
#[cfg(any(semafair_loom, semafair_shuttle))]
pub(crate) mod model;
#[cfg(semafair_loom)]
mod ordering;
#[cfg(any(semafair_loom, semafair_shuttle))]
mod reclaim;
#[cfg(not(any(semafair_loom, semafair_shuttle)))]
#[path = "../../tests/it/seed.rs"]
mod seed;
#[cfg(not(any(semafair_loom, semafair_shuttle)))]
mod stalled;
#[cfg(not(any(semafair_loom, semafair_shuttle)))]
pub(crate) mod steps;
#[cfg(not(any(semafair_loom, semafair_shuttle)))]
mod units;
#[cfg(any(semafair_loom, semafair_shuttle))]
mod waker;
#[cfg(not(any(semafair_loom, semafair_shuttle)))]
#[path = "../../tests/it/watchdog.rs"]
mod watchdog;
