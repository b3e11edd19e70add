//! White-box tests of balance and line together: models of the races, and what cannot be reached from
//! outside.
//!
//! `scripts/loom` runs the models: every interleaving of a few threads up to a number of
//! preemptions, with segments of two cells and of one, so that they cross the border between
//! segments all the time. `scripts/shuttle` draws interleavings by chance, of the same models and of
//! larger ones. A segment that was freed is kept, poisoned, until that run of the model ends:
//! whoever uses it is found out, and so is a segment that was never freed.

#[cfg(any(semafair_loom, semafair_shuttle))]
mod between_races;
#[cfg(any(semafair_loom, semafair_shuttle))]
mod close_races;
#[cfg(semafair_shuttle)]
mod crowds;
#[cfg(any(semafair_loom, semafair_shuttle))]
mod drain_races;
#[cfg(not(any(semafair_loom, semafair_shuttle)))]
mod drain_review;
#[cfg(not(any(semafair_loom, semafair_shuttle)))]
mod edges;
#[cfg(any(semafair_loom, semafair_shuttle))]
mod enqueue_races;
#[cfg(any(semafair_loom, semafair_shuttle))]
mod hand_off_races;
#[cfg(not(any(semafair_loom, semafair_shuttle)))]
mod interruptions;
#[cfg(any(semafair_loom, semafair_shuttle))]
mod leave_races;
#[cfg(not(any(semafair_loom, semafair_shuttle)))]
mod limit_edges;
#[cfg(not(semafair_loom))]
mod limit_programs;
#[cfg(not(any(semafair_loom, semafair_shuttle)))]
mod limit_review;
#[cfg(not(any(semafair_loom, semafair_shuttle)))]
mod limit_triples;
#[cfg(not(semafair_loom))]
mod limit_world;
#[cfg(any(semafair_loom, semafair_shuttle))]
pub(crate) mod models;
#[cfg(any(semafair_loom, semafair_shuttle))]
mod poll_races;
#[cfg(any(semafair_loom, semafair_shuttle))]
mod reclaim_races;
#[cfg(any(semafair_loom, semafair_shuttle))]
mod resize_races;
#[cfg(not(any(semafair_loom, semafair_shuttle)))]
#[path = "../../../tests/it/support/seed.rs"]
mod seed;
#[cfg(any(semafair_loom, semafair_shuttle))]
mod small_histories;
#[cfg(not(any(semafair_loom, semafair_shuttle)))]
mod stalled;
#[cfg(semafair_loom)]
mod visibility;
#[cfg(not(any(semafair_loom, semafair_shuttle)))]
#[path = "../../../tests/it/support/watchdog.rs"]
mod watchdog;
