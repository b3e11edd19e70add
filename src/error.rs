//! The errors of acquiring.

use core::error::Error;
use core::fmt;

/// The semaphore was [closed](crate::Semaphore::close) before the permits were granted.
///
/// Returned by the `acquire` futures and by the `blocking_acquire` methods. If the semaphore is never
/// closed, it never occurs.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use semafair::Semaphore;
///
/// let semaphore = Semaphore::new(1);
/// semaphore.close();
/// let error = semaphore.acquire().await.unwrap_err();
/// assert_eq!(error.to_string(), "semaphore closed");
/// # }
/// ```
#[derive(Debug)]
pub struct AcquireError(());

impl AcquireError {
    pub(crate) const fn closed() -> Self {
        Self(())
    }
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("semaphore closed")
    }
}

impl Error for AcquireError {}

/// Why a `try_acquire` method returned no permit.
///
/// # Examples
///
/// ```
/// use semafair::{Semaphore, TryAcquireError};
///
/// let semaphore = Semaphore::new(0);
/// match semaphore.try_acquire() {
///     Ok(_permit) => println!("do it now"),
///     Err(TryAcquireError::NoPermits) => println!("come back later"),
///     Err(TryAcquireError::Closed) => println!("it is over"),
/// }
/// ```
#[derive(Debug, PartialEq, Eq)]
pub enum TryAcquireError {
    /// The semaphore is [closed](crate::Semaphore::close) and issues no more permits.
    Closed,

    /// Fewer permits are free than were asked for. While somebody waits, none is free.
    NoPermits,
}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "semaphore closed",
            Self::NoPermits => "no permits available",
        })
    }
}

impl Error for TryAcquireError {}
