//! What the benchmarks of `semafair` share: semaphores, workloads, and the two put together.
//!
//! The programs on top of it are `semafair-benches`, the wall clock, and `locked`, which counts
//! instructions.

mod comparison;
mod executor;
mod semaphores;
mod workloads;

pub use comparison::{Comparison, Contender};
pub use semaphores::{Semafair, Semaphore, Tokio};
pub use workloads::{
    Acquire, AcquireMany, BareTasks, EnqueueCancel, HandOff, TokioTasks, TryAcquire, TwoThreads,
    Workload,
};
