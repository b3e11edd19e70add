//! What a monitored semaphore passes on to the semaphore itself.

use super::Monitored;
use crate::drained::DrainedOwned;
use crate::error::TooManyPermitsError;
use crate::status::Status;

impl Monitored {
    /// Returns how many permits are free: [`Semaphore::available_permits`](crate::Semaphore::available_permits).
    #[must_use]
    pub fn available_permits(&self) -> usize {
        self.semaphore().available_permits()
    }

    /// Returns how many permits exist: [`Semaphore::limit`](crate::Semaphore::limit).
    #[must_use]
    pub fn limit(&self) -> usize {
        self.semaphore().limit()
    }

    /// Returns how many permits are not free: [`Semaphore::outstanding`](crate::Semaphore::outstanding).
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.semaphore().outstanding()
    }

    /// Returns the state of the semaphore: [`Semaphore::status`](crate::Semaphore::status).
    #[must_use]
    pub fn status(&self) -> Status {
        self.semaphore().status()
    }

    /// Adds permits: [`Semaphore::add_permits`](crate::Semaphore::add_permits).
    ///
    /// # Panics
    ///
    /// Those of [`Semaphore::add_permits`](crate::Semaphore::add_permits).
    #[track_caller]
    pub fn add_permits(&self, n: usize) {
        self.semaphore().add_permits(n);
        self.roster.resource().show_all();
    }

    /// Adds permits, unless there would be too many: [`Semaphore::try_add_permits`](crate::Semaphore::try_add_permits).
    ///
    /// # Errors
    ///
    /// Those of [`Semaphore::try_add_permits`](crate::Semaphore::try_add_permits).
    pub fn try_add_permits(&self, n: usize) -> Result<(), TooManyPermitsError> {
        self.semaphore().try_add_permits(n)?;
        self.roster.resource().show_all();
        Ok(())
    }

    /// Takes free permits out of circulation: [`Semaphore::forget_permits`](crate::Semaphore::forget_permits).
    #[allow(clippy::must_use_candidate, reason = "it is called for what it does")]
    pub fn forget_permits(&self, n: usize) -> usize {
        let forgotten = self.semaphore().forget_permits(n);
        self.roster.resource().show_all();
        forgotten
    }

    /// Lowers the limit: [`Semaphore::reduce_permits`](crate::Semaphore::reduce_permits).
    #[allow(clippy::must_use_candidate, reason = "it is called for what it does")]
    pub fn reduce_permits(&self, n: usize) -> usize {
        let reduced = self.semaphore().reduce_permits(n);
        self.roster.resource().show_all();
        reduced
    }

    /// Changes how many permits exist: [`Semaphore::set_limit`](crate::Semaphore::set_limit).
    ///
    /// # Panics
    ///
    /// Those of [`Semaphore::set_limit`](crate::Semaphore::set_limit).
    #[allow(clippy::must_use_candidate, reason = "it is called for what it does")]
    #[track_caller]
    pub fn set_limit(&self, n: usize) -> usize {
        let old = self.semaphore().set_limit(n);
        self.roster.resource().show_all();
        old
    }

    /// Refuses all who wait, and all who come: [`Semaphore::close`](crate::Semaphore::close).
    pub fn close(&self) {
        self.semaphore().close();
        self.roster.resource().show();
    }

    /// Returns whether it is closed: [`Semaphore::is_closed`](crate::Semaphore::is_closed).
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.semaphore().is_closed()
    }

    /// Waits until it is closed and no permit is outstanding:
    /// [`Semaphore::drained_owned`](crate::Semaphore::drained_owned).
    pub fn drained(&self) -> DrainedOwned {
        self.semaphore().clone().drained_owned()
    }
}
