#![doc = include_str!("../README.md")]

mod acquire;
mod balance;
mod blocking;
mod error;
mod line;
mod permit;
mod poll_semaphore;
mod request;
mod seeded;
mod semaphore;
mod sync;
#[cfg(test)]
mod tests;
mod wakes;

pub use acquire::{Acquire, AcquireOwned};
pub use error::{AcquireError, TryAcquireError};
pub use permit::{OwnedSemaphorePermit, SemaphorePermit};
pub use poll_semaphore::PollSemaphore;
pub use semaphore::Semaphore;
