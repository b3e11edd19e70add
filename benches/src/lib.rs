//! What the benchmarks of `semafair` share: semaphores, workloads, and the two put together.
//!
//! The programs on top of it are `semafair-benches`, the wall clock, and `locked`, which counts
//! instructions.

mod comparison;
mod executor;
mod semaphores;
mod thread;
mod time;
mod workloads;

pub use comparison::{Comparison, Contender};
pub use semaphores::{
    AddedPermit, AsyncLock, AsyncWeighted, Asyncband, FetchAdd, ForEach, FuturesIntrusive, Maitake,
    Mutex, Operation, Saa, SaaPermit, Semafair, Semaphore, Tokio, Unshared, UnsharedPermit,
    for_each,
};
pub use thread::{Starved, starve, stay_on, voluntary_switches};
pub use time::Time;
pub use workloads::{
    Acquire, AcquireMany, AddPermits, AddPermitsCall, BareTasks, Call, Cancel, Enqueue,
    EnqueueCancel, HalfCancelled, HandOff, HandOffDownTheLine, Order, Places, Runtime, Threads,
    TokioTasks, TryAcquire, Workload,
};
