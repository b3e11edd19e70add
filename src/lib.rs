#![doc = include_str!("../README.md")]

mod acquire;
mod blocking;
mod core;
mod error;
mod line;
mod permit;
mod poll_semaphore;
mod semaphore;
mod sync;
mod try_acquire;
mod wakes;

pub use self::acquire::{Acquire, AcquireOwned};
pub use self::error::{AcquireError, TryAcquireError};
pub use self::permit::{OwnedSemaphorePermit, SemaphorePermit};
pub use self::poll_semaphore::PollSemaphore;
pub use self::semaphore::Semaphore;
