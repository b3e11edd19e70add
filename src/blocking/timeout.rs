//! Waiting on a thread, but not for ever.

use core::error::Error;
use core::fmt;
use core::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::block_on_for;
use crate::error::AcquireError;
use crate::permit::{OwnedSemaphorePermit, SemaphorePermit};
use crate::semaphore::Semaphore;

/// Why a `blocking_acquire_timeout` method returned no permit.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use semafair::{AcquireTimeoutError, Semaphore};
///
/// let semaphore = Semaphore::new(0);
/// match semaphore.blocking_acquire_timeout(Duration::from_millis(5)) {
///     Ok(_permit) => println!("do it now"),
///     Err(AcquireTimeoutError::Timeout) => println!("come back later"),
///     Err(AcquireTimeoutError::Refused(error)) => println!("no permit: {error}"),
/// }
/// ```
#[derive(Debug)]
pub enum AcquireTimeoutError {
    /// The time was over before the permits were granted. The request has left the line.
    Timeout,

    /// The request was refused, for the reason in the error.
    Refused(AcquireError),
}

impl fmt::Display for AcquireTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("timed out waiting for permits"),
            Self::Refused(refused) => refused.fmt(f),
        }
    }
}

impl Error for AcquireTimeoutError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Timeout => None,
            // `Display` has said what it says itself.
            Self::Refused(refused) => refused.source(),
        }
    }
}

impl From<AcquireError> for AcquireTimeoutError {
    fn from(refused: AcquireError) -> Self {
        Self::Refused(refused)
    }
}

/// Waits for what `acquire` returns, for at most `timeout`.
#[track_caller]
pub(crate) fn wait_for<P>(
    acquire: impl Future<Output = Result<P, AcquireError>>,
    timeout: Duration,
) -> Result<P, AcquireTimeoutError> {
    match block_on_for(acquire, Some(timeout)) {
        Some(result) => Ok(result?),
        None => Err(AcquireTimeoutError::Timeout),
    }
}

impl Semaphore {
    /// Waits for a permit, blocking the thread for at most `timeout`.
    ///
    /// The thread waits in the same line as the async waiters, in the order in which they asked. When the
    /// time is over, it gives up its place, as an async waiter does that is dropped: a permit that comes at
    /// that moment is either returned, or goes to the next in line.
    ///
    /// The time is measured from the moment at which the thread begins to wait. Zero means to try once, behind
    /// everybody who waits. A `timeout` that is too long for the system's clock means to wait for ever.
    ///
    /// Call it on threads that run no async tasks, such as those of `tokio::task::spawn_blocking`.
    /// Elsewhere no task of the thread makes progress meanwhile.
    ///
    /// # Errors
    ///
    /// - [`AcquireTimeoutError::Timeout`] if the permit is not granted in time.
    /// - [`AcquireTimeoutError::Refused`] if the request is refused, for instance as the semaphore is closed
    ///   before the permit is granted.
    ///
    /// # Panics
    ///
    /// - With the feature `tokio`, on a thread that drives a tokio runtime, even if it need not wait.
    /// - If it must wait, and `timeout` is not zero, on a target without threads, such as
    ///   `wasm32-unknown-unknown`.
    /// - If more than 2^59 permits are being waited for.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use semafair::{AcquireTimeoutError, Semaphore};
    ///
    /// let semaphore = Semaphore::new(1);
    /// let permit = semaphore.blocking_acquire_timeout(Duration::from_secs(1))?;
    /// let late = semaphore.blocking_acquire_timeout(Duration::from_millis(5));
    /// assert!(matches!(late, Err(AcquireTimeoutError::Timeout)));
    /// # drop(permit);
    /// # Ok::<(), AcquireTimeoutError>(())
    /// ```
    #[track_caller]
    pub fn blocking_acquire_timeout(
        &self,
        timeout: Duration,
    ) -> Result<SemaphorePermit<'_>, AcquireTimeoutError> {
        self.blocking_acquire_many_timeout(1, timeout)
    }

    /// Waits for `n` permits, blocking the thread for at most `timeout`.
    ///
    /// The thread waits in the same line as the async waiters, in the order in which they asked. When the
    /// time is over, it gives up its place, as an async waiter does that is dropped: permits that it had
    /// already, some or all of them, are either returned, or go to others. `n == 0` is granted at once, unless
    /// the semaphore is closed.
    ///
    /// The time is measured from the moment at which the thread begins to wait. Zero means to try once, behind
    /// everybody who waits. A `timeout` that is too long for the system's clock means to wait for ever.
    ///
    /// Call it on threads that run no async tasks, such as those of `tokio::task::spawn_blocking`.
    /// Elsewhere no task of the thread makes progress meanwhile.
    ///
    /// # Errors
    ///
    /// - [`AcquireTimeoutError::Timeout`] if not all of the permits are granted in time.
    /// - [`AcquireTimeoutError::Refused`] if the request is refused, for instance as the semaphore is closed
    ///   before the permits are granted.
    ///
    /// # Panics
    ///
    /// - With the feature `tokio`, on a thread that drives a tokio runtime, even if it need not wait.
    /// - If it must wait, and `timeout` is not zero, on a target without threads, such as
    ///   `wasm32-unknown-unknown`.
    /// - If `n` exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit machines only.
    /// - If more than 2^59 permits are being waited for.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use semafair::{AcquireTimeoutError, Semaphore};
    ///
    /// let semaphore = Semaphore::new(5);
    /// let permits = semaphore.blocking_acquire_many_timeout(3, Duration::from_secs(1))?;
    /// // Two permits are free, and free they are again after an attempt to take three.
    /// let tried = semaphore.blocking_acquire_many_timeout(3, Duration::ZERO);
    /// assert!(matches!(tried, Err(AcquireTimeoutError::Timeout)));
    /// assert_eq!(semaphore.available_permits(), 2);
    /// # drop(permits);
    /// # Ok::<(), AcquireTimeoutError>(())
    /// ```
    #[track_caller]
    pub fn blocking_acquire_many_timeout(
        &self,
        n: u32,
        timeout: Duration,
    ) -> Result<SemaphorePermit<'_>, AcquireTimeoutError> {
        wait_for(self.acquire_many(n), timeout)
    }

    /// Waits for a permit, blocking the thread for at most `timeout`; the guard keeps the semaphore alive.
    ///
    /// The thread waits in the same line as the async waiters, in the order in which they asked. When the
    /// time is over, it gives up its place, as an async waiter does that is dropped: a permit that comes at
    /// that moment is either returned, or goes to the next in line.
    ///
    /// The time is measured from the moment at which the thread begins to wait. Zero means to try once, behind
    /// everybody who waits. A `timeout` that is too long for the system's clock means to wait for ever.
    ///
    /// Call it on threads that run no async tasks, such as those of `tokio::task::spawn_blocking`.
    /// Elsewhere no task of the thread makes progress meanwhile.
    ///
    /// # Errors
    ///
    /// - [`AcquireTimeoutError::Timeout`] if the permit is not granted in time.
    /// - [`AcquireTimeoutError::Refused`] if the request is refused, for instance as the semaphore is closed
    ///   before the permit is granted.
    ///
    /// # Panics
    ///
    /// - With the feature `tokio`, on a thread that drives a tokio runtime, even if it need not wait.
    /// - If it must wait, and `timeout` is not zero, on a target without threads, such as
    ///   `wasm32-unknown-unknown`.
    /// - If more than 2^59 permits are being waited for.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use semafair::{AcquireTimeoutError, Semaphore};
    ///
    /// let semaphore = Arc::new(Semaphore::new(1));
    /// let permit = semaphore.clone().blocking_acquire_owned_timeout(Duration::from_secs(1))?;
    /// std::thread::spawn(move || drop(permit)).join().unwrap();
    /// assert_eq!(semaphore.available_permits(), 1);
    /// # Ok::<(), AcquireTimeoutError>(())
    /// ```
    #[track_caller]
    pub fn blocking_acquire_owned_timeout(
        self: Arc<Self>,
        timeout: Duration,
    ) -> Result<OwnedSemaphorePermit, AcquireTimeoutError> {
        self.blocking_acquire_many_owned_timeout(1, timeout)
    }

    /// Waits for `n` permits, blocking the thread for at most `timeout`; the guard keeps the semaphore alive.
    ///
    /// The thread waits in the same line as the async waiters, in the order in which they asked. When the
    /// time is over, it gives up its place, as an async waiter does that is dropped: permits that it had
    /// already, some or all of them, are either returned, or go to others. `n == 0` is granted at once, unless
    /// the semaphore is closed.
    ///
    /// The time is measured from the moment at which the thread begins to wait. Zero means to try once, behind
    /// everybody who waits. A `timeout` that is too long for the system's clock means to wait for ever.
    ///
    /// Call it on threads that run no async tasks, such as those of `tokio::task::spawn_blocking`.
    /// Elsewhere no task of the thread makes progress meanwhile.
    ///
    /// # Errors
    ///
    /// - [`AcquireTimeoutError::Timeout`] if not all of the permits are granted in time.
    /// - [`AcquireTimeoutError::Refused`] if the request is refused, for instance as the semaphore is closed
    ///   before the permits are granted.
    ///
    /// # Panics
    ///
    /// - With the feature `tokio`, on a thread that drives a tokio runtime, even if it need not wait.
    /// - If it must wait, and `timeout` is not zero, on a target without threads, such as
    ///   `wasm32-unknown-unknown`.
    /// - If `n` exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit machines only.
    /// - If more than 2^59 permits are being waited for.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use semafair::{AcquireTimeoutError, Semaphore};
    ///
    /// let semaphore = Arc::new(Semaphore::new(5));
    /// let permits = semaphore.clone().blocking_acquire_many_owned_timeout(3, Duration::from_secs(1))?;
    /// assert_eq!(semaphore.available_permits(), 2);
    /// # drop(permits);
    /// # Ok::<(), AcquireTimeoutError>(())
    /// ```
    #[track_caller]
    pub fn blocking_acquire_many_owned_timeout(
        self: Arc<Self>,
        n: u32,
        timeout: Duration,
    ) -> Result<OwnedSemaphorePermit, AcquireTimeoutError> {
        wait_for(self.acquire_many_owned(n), timeout)
    }
}
