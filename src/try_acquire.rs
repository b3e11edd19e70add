//! Acquiring without waiting.

use std::sync::Arc;

use crate::core::balance::check_permits;
use crate::error::TryAcquireError;
use crate::permit::{OwnedSemaphorePermit, SemaphorePermit};
use crate::semaphore::Semaphore;
use crate::wakes::waking;

impl Semaphore {
    /// Takes a permit if one is free now.
    ///
    /// It never takes a permit before somebody who waits. It is [`try_acquire_many`] of one.
    ///
    /// # Errors
    ///
    /// As [`try_acquire_many`].
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
    ///
    /// [`try_acquire_many`]: Semaphore::try_acquire_many
    #[inline]
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// Takes `n` permits if so many are free now, all of them or none.
    ///
    /// It never takes permits before somebody who waits, and does not wait itself. `n == 0` is granted,
    /// unless the semaphore is closed. A failure is a
    /// place in the total order as well: what happened before the permits were taken that are
    /// missing here is visible afterwards.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::Closed`] if the semaphore is closed, [`TryAcquireError::NoPermits`] if
    /// fewer permits are free.
    ///
    /// # Panics
    ///
    /// If `n` exceeds [`Semaphore::MAX_PERMITS`], which it can on 32-bit machines only.
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

    /// Takes a permit if one is free now; the guard keeps the semaphore alive.
    ///
    /// # Errors
    ///
    /// As [`try_acquire_many`](Semaphore::try_acquire_many).
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

    /// Takes `n` permits if so many are free now; the guard keeps the semaphore alive.
    ///
    /// # Errors
    ///
    /// As [`try_acquire_many`](Semaphore::try_acquire_many).
    ///
    /// # Panics
    ///
    /// As [`try_acquire_many`](Semaphore::try_acquire_many).
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
    fn try_take(&self, n: u32) -> Result<(), TryAcquireError> {
        check_permits(n as usize);
        self.core.balance.try_take(n).map_err(|seen| {
            if seen.is_closed() {
                waking(|wakes| self.core.help_close(wakes));
                TryAcquireError::Closed
            } else {
                TryAcquireError::NoPermits
            }
        })
    }
}
