//! What the crate promises, one module for each promise, seen from outside.
//!
//! A run draws its random numbers from a seed that it prints; `SEMAFAIR_SEED=<seed>` takes it back.
//! `SEMAFAIR_TIMES=100` leaves a hundred times as much to chance.

mod support;

mod acquire_all;
mod acquire_in;
mod bank;
mod between;
mod blocking;
mod blocking_timeout;
#[cfg(feature = "tokio")]
mod budget;
mod callers;
mod cancel;
mod close;
mod close_on_drop;
mod drained;
mod enqueue;
mod errors;
mod executors;
mod fairness;
mod futures;
mod histories;
#[cfg(feature = "keyed")]
mod keyed;
mod limit;
mod limits;
#[cfg(feature = "futures")]
mod map_limited;
mod model;
#[cfg(feature = "monitor")]
mod monitor;
mod ordering;
mod panics;
#[cfg(feature = "keyed")]
mod partitioned;
mod permits;
mod poll_semaphore;
mod queue;
mod races;
mod readme;
mod reentrancy;
mod regressions;
mod run;
#[cfg(feature = "tower")]
mod server;
mod status;
mod stress;
mod tidy;
#[cfg(feature = "tower")]
mod tower;
#[cfg(feature = "tracing")]
mod trace;
mod traps;
mod wakers;
