//! Waiting for permits of a monitored semaphore in code that is not async.

use core::time::Duration;

use super::{Monitored, MonitoredPermit};
use crate::blocking::block_on;
use crate::blocking::timeout::{AcquireTimeoutError, wait_for};
use crate::error::AcquireError;
#[cfg(doc)]
use crate::semaphore::Semaphore;

impl Monitored {
    /// Waits for a permit, and blocks the thread meanwhile. As [`Semaphore::blocking_acquire`].
    ///
    /// # Errors
    ///
    /// Those of [`Semaphore::blocking_acquire`].
    ///
    /// # Panics
    ///
    /// Those of [`Semaphore::blocking_acquire`].
    #[track_caller]
    pub fn blocking_acquire(&self) -> Result<MonitoredPermit, AcquireError> {
        block_on(self.request(1, "Monitored::blocking_acquire"))
    }

    /// Waits for `n` permits, and blocks the thread meanwhile. As [`Semaphore::blocking_acquire_many`].
    ///
    /// # Errors
    ///
    /// Those of [`Semaphore::blocking_acquire_many`].
    ///
    /// # Panics
    ///
    /// Those of [`Semaphore::blocking_acquire_many`].
    #[track_caller]
    pub fn blocking_acquire_many(&self, n: u32) -> Result<MonitoredPermit, AcquireError> {
        block_on(self.request(n, "Monitored::blocking_acquire_many"))
    }

    /// Waits for a permit, and blocks the thread for at most `timeout`. As [`Semaphore::blocking_acquire_timeout`].
    ///
    /// # Errors
    ///
    /// Those of [`Semaphore::blocking_acquire_timeout`].
    ///
    /// # Panics
    ///
    /// Those of [`Semaphore::blocking_acquire_timeout`].
    #[track_caller]
    pub fn blocking_acquire_timeout(
        &self,
        timeout: Duration,
    ) -> Result<MonitoredPermit, AcquireTimeoutError> {
        wait_for(self.request(1, "Monitored::blocking_acquire_timeout"), timeout)
    }

    /// Waits for `n` permits, and blocks the thread for at most `timeout`. As
    /// [`Semaphore::blocking_acquire_many_timeout`].
    ///
    /// # Errors
    ///
    /// Those of [`Semaphore::blocking_acquire_many_timeout`].
    ///
    /// # Panics
    ///
    /// Those of [`Semaphore::blocking_acquire_many_timeout`].
    #[track_caller]
    pub fn blocking_acquire_many_timeout(
        &self,
        n: u32,
        timeout: Duration,
    ) -> Result<MonitoredPermit, AcquireTimeoutError> {
        wait_for(self.request(n, "Monitored::blocking_acquire_many_timeout"), timeout)
    }
}
