//! semafair

mod acquire;
mod balance;
mod blocking;
mod error;
mod line;
mod permit;
mod poll_semaphore;
mod request;
mod semaphore;
mod sync;
mod wakes;

#[cfg(all(test, semafair_loom))]
mod tests;

pub use acquire::{Acquire, AcquireOwned};
pub use error::{AcquireError, TryAcquireError};
pub use permit::{OwnedSemaphorePermit, SemaphorePermit};
pub use poll_semaphore::PollSemaphore;
pub use semaphore::Semaphore;
