//! Acquiring without waiting.

use alloc::sync::Arc;

use crate::core::balance::{Snapshot, check_permits};
use crate::error::TryAcquireError;
use crate::permit::{OwnedSemaphorePermit, SemaphorePermit};
use crate::semaphore::Semaphore;
use crate::wakes::waking;

impl Semaphore {
    /// Takes a permit if one is free now, and does not wait.
    ///
    /// It never overtakes somebody who waits.
    /// A failed attempt also synchronizes: what was done before the missing permits were taken is
    /// visible after it.
    ///
    /// # Errors
    ///
    /// - [`TryAcquireError::Closed`] if the semaphore is closed.
    /// - [`TryAcquireError::NoPermits`] if no permit is free, or somebody waits.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::{Semaphore, TryAcquireError};
    ///
    /// let semaphore = Semaphore::new(1);
    /// let permit = semaphore.try_acquire()?;
    /// assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
    /// drop(permit);
    /// assert!(semaphore.try_acquire().is_ok());
    /// # Ok::<(), TryAcquireError>(())
    /// ```
    #[inline]
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// Takes `n` permits if that many are free now, all of them or none, and does not wait.
    ///
    /// It never overtakes somebody who waits. `n == 0` succeeds unless the semaphore is closed.
    /// A failed attempt also synchronizes: what was done before the missing permits were taken is
    /// visible after it.
    ///
    /// # Errors
    ///
    /// - [`TryAcquireError::Closed`] if the semaphore is closed.
    /// - [`TryAcquireError::NoPermits`] if fewer than `n` permits are free, or somebody waits.
    ///
    /// # Panics
    ///
    /// If `n` exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit machines only.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::{Semaphore, TryAcquireError};
    ///
    /// let semaphore = Semaphore::new(4);
    /// let permits = semaphore.try_acquire_many(3)?;
    /// assert_eq!(semaphore.try_acquire_many(2).unwrap_err(), TryAcquireError::NoPermits);
    /// semaphore.close();
    /// assert_eq!(semaphore.try_acquire_many(1).unwrap_err(), TryAcquireError::Closed);
    /// # Ok::<(), TryAcquireError>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_acquire_many(&self, n: u32) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_take(n)?;
        Ok(SemaphorePermit::new(self, n))
    }

    /// Takes a permit if one is free now, and does not wait. The guard keeps the semaphore alive.
    ///
    /// It never overtakes somebody who waits.
    /// A failed attempt also synchronizes: what was done before the missing permits were taken is
    /// visible after it.
    ///
    /// # Errors
    ///
    /// - [`TryAcquireError::Closed`] if the semaphore is closed.
    /// - [`TryAcquireError::NoPermits`] if no permit is free, or somebody waits.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use semafair::{Semaphore, TryAcquireError};
    ///
    /// let semaphore = Arc::new(Semaphore::new(1));
    /// let permit = semaphore.clone().try_acquire_owned()?;
    /// std::thread::spawn(move || drop(permit)).join().unwrap();
    /// assert_eq!(semaphore.available_permits(), 1);
    /// # Ok::<(), TryAcquireError>(())
    /// ```
    #[inline]
    pub fn try_acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.try_acquire_many_owned(1)
    }

    /// Takes `n` permits if that many are free now, all of them or none, and does not wait. The guard
    /// keeps the semaphore alive.
    ///
    /// It never overtakes somebody who waits. `n == 0` succeeds unless the semaphore is closed.
    /// A failed attempt also synchronizes: what was done before the missing permits were taken is
    /// visible after it.
    ///
    /// # Errors
    ///
    /// - [`TryAcquireError::Closed`] if the semaphore is closed.
    /// - [`TryAcquireError::NoPermits`] if fewer than `n` permits are free, or somebody waits.
    ///
    /// # Panics
    ///
    /// If `n` exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit machines only.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use semafair::{Semaphore, TryAcquireError};
    ///
    /// let semaphore = Arc::new(Semaphore::new(4));
    /// let permits = semaphore.clone().try_acquire_many_owned(3)?;
    /// assert_eq!(permits.num_permits(), 3);
    /// assert_eq!(semaphore.available_permits(), 1);
    /// # Ok::<(), TryAcquireError>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_acquire_many_owned(
        self: Arc<Self>,
        n: u32,
    ) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.try_take(n)?;
        Ok(OwnedSemaphorePermit::new(self, n))
    }

    #[inline]
    #[track_caller]
    pub(crate) fn try_take(&self, n: u32) -> Result<(), TryAcquireError> {
        check_permits(n as usize);
        self.core.balance.try_take(n).map_err(|seen| self.try_failed(seen))
    }

    /// As many as are free.
    #[track_caller]
    pub(crate) fn try_take_between(&self, min: u32, max: u32) -> Result<u32, TryAcquireError> {
        check_permits(min as usize);
        self.core.balance.try_take_between(min, max).map_err(|seen| self.try_failed(seen))
    }

    /// Why there were no permits, if the balance was `seen`.
    #[inline]
    fn try_failed(&self, seen: Snapshot) -> TryAcquireError {
        if seen.is_closed() {
            waking(|wakes| self.core.help_close(wakes));
            TryAcquireError::Closed
        } else {
            TryAcquireError::NoPermits
        }
    }
}
