//! How many permits exist, and how that is changed.

use alloc::sync::Arc;

use crate::core::balance::check_permits;
use crate::error::TooManyPermitsError;
use crate::permit::{OwnedSemaphorePermit, SemaphorePermit};
use crate::semaphore::Semaphore;

impl Semaphore {
    /// Returns how many permits exist: the limit.
    ///
    /// While nothing changes, it is the number of free permits plus the
    /// [outstanding](Self::outstanding) ones, less the debt that [`set_limit`](Self::set_limit) explains.
    ///
    /// [`new`](Self::new) starts it. [`add_permits`](Self::add_permits) raises it.
    /// [`forget_permits`](Self::forget_permits) and [`SemaphorePermit::forget`] lower it. A guard that is lost by
    /// [`mem::forget`](core::mem::forget) does not: its permits stay outstanding.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::new(3);
    /// let permit = semaphore.try_acquire();
    /// assert_eq!(semaphore.limit(), 3);
    /// semaphore.add_permits(2);
    /// assert_eq!(semaphore.limit(), 5);
    /// # drop(permit);
    /// ```
    #[must_use]
    pub fn limit(&self) -> usize {
        self.core.limit()
    }

    /// Returns how many permits have guards, or are on their way to a waiter.
    ///
    /// It may exceed the limit after the limit was lowered. It is computed from several numbers that
    /// are read one after the other, so it is exact only while nothing changes: see
    /// [`status`](Self::status).
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::new(3);
    /// let permits = semaphore.try_acquire_many(2).unwrap();
    /// semaphore.set_limit(1);
    /// assert_eq!(semaphore.outstanding(), 2);
    /// drop(permits);
    /// assert_eq!(semaphore.outstanding(), 0);
    /// ```
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.core.counts().outstanding()
    }

    /// Makes the limit `n`, and returns what it was.
    ///
    /// If the limit rises, waiters are served with the new permits at once, in order. If it falls,
    /// free permits are taken away at once. If too few are free, the rest becomes *debt*: the next
    /// permits that come back vanish, before any waiter is served. Whoever waits keeps its place. So a
    /// limit can be lowered while all permits are out, below what is out, and to 0.
    ///
    /// The limit may be set by several threads at once. One of the calls is the last, and its limit
    /// stays, exactly. No permit is lost or invented, and at no moment are more permits given out than
    /// the largest of these limits. While such a call is under way, permits that it takes away or adds count as
    /// outstanding.
    ///
    /// Changes by more than 2<sup>60</sup> permits, by several threads at the same instant, may wait for one another. One
    /// such change waits while more than 2<sup>57</sup> permits are waited for.
    ///
    /// If a waiter is cancelled while permits are on their way to it, and these vanish, it counts as
    /// [queued](crate::Status::queued) until the next permits come back. A bounded line may then refuse too early; and the
    /// call that gives these permits back takes a step for each permit that the waiter had asked for.
    ///
    /// On a closed semaphore it changes the limit alone, and with it what
    /// [`available_permits`](Self::available_permits) returns.
    ///
    /// # Panics
    ///
    /// - If `n` exceeds [`MAX_PERMITS`](Self::MAX_PERMITS). Nothing has changed then.
    /// - If a waker panics. The limit is set then, and all other waiters were woken.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::new(3);
    /// let permits = semaphore.try_acquire_many(3).unwrap();
    /// assert_eq!(semaphore.set_limit(2), 3);
    /// drop(permits); // one of them vanishes
    /// assert_eq!(semaphore.available_permits(), 2);
    /// ```
    #[allow(clippy::must_use_candidate, reason = "it is called for what it does")]
    #[track_caller]
    pub fn set_limit(&self, n: usize) -> usize {
        check_permits(n);
        self.core.change_limit(|_| n as u64)
    }

    /// Lowers the limit by `n`, but not below 0, and returns by how much.
    ///
    /// It takes away permits as [`set_limit`](Self::set_limit) does: free ones at once, and for the rest those that
    /// come back next; and what is said there of changes at the same instant holds here, too. [`forget_permits`](Self::forget_permits) takes free permits only.
    ///
    /// # Panics
    ///
    /// If a waker panics. The limit is lowered then, and all other waiters were woken.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::new(3);
    /// let permits = semaphore.try_acquire_many(2).unwrap();
    /// assert_eq!(semaphore.reduce_permits(2), 2);
    /// assert_eq!((semaphore.limit(), semaphore.available_permits()), (1, 0));
    /// assert_eq!(semaphore.reduce_permits(2), 1);
    /// drop(permits);
    /// assert_eq!(semaphore.available_permits(), 0);
    /// ```
    #[allow(clippy::must_use_candidate, reason = "it is called for what it does")]
    pub fn reduce_permits(&self, n: usize) -> usize {
        let n = n as u64;
        let before = self.core.change_limit(|limit| limit.saturating_sub(n));
        before.min(usize::try_from(n).unwrap_or(usize::MAX))
    }

    /// Adds `n` new permits, and wakes the waiters that have all they asked for by that.
    ///
    /// The [limit](Self::limit) rises by `n`. If the semaphore is in [debt](Self::set_limit), the new permits pay
    /// for it first.
    ///
    /// # Panics
    ///
    /// - If the limit would exceed [`MAX_PERMITS`](Self::MAX_PERMITS). Nothing has changed then.
    ///   [`try_add_permits`](Self::try_add_permits) returns an error instead.
    /// - If a waker panics. All permits were added then, and all other waiters were woken.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::new(3);
    /// semaphore.add_permits(2);
    /// assert_eq!(semaphore.available_permits(), 5);
    /// ```
    #[track_caller]
    pub fn add_permits(&self, n: usize) {
        if let Err(overflow) = self.core.add(n) {
            overflow.panic(n);
        }
    }

    /// Adds `n` new permits, as [`add_permits`](Self::add_permits) does, unless there would be too many.
    ///
    /// # Errors
    ///
    /// [`TooManyPermitsError`] if the limit would exceed [`MAX_PERMITS`](Self::MAX_PERMITS). Nothing
    /// has changed then.
    ///
    /// # Panics
    ///
    /// If a waker panics. All permits were added then, and all other waiters were woken.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::new(3);
    /// assert!(semaphore.try_add_permits(2).is_ok());
    /// assert!(semaphore.try_add_permits(usize::MAX).is_err());
    /// assert_eq!(semaphore.limit(), 5);
    /// ```
    pub fn try_add_permits(&self, n: usize) -> Result<(), TooManyPermitsError> {
        self.core.add(n).map_err(|_| TooManyPermitsError::new())
    }

    /// Takes up to `n` free permits away for good, and returns how many it took.
    ///
    /// The [limit](Self::limit) falls by as many. Only free permits are taken, so it takes none while
    /// somebody waits. For permits in a guard there is [`SemaphorePermit::forget`], and
    /// [`reduce_permits`](Self::reduce_permits) takes permits that come back as well.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::new(3);
    /// assert_eq!(semaphore.forget_permits(2), 2);
    /// assert_eq!(semaphore.forget_permits(2), 1);
    /// assert_eq!(semaphore.available_permits(), 0);
    /// ```
    #[allow(clippy::must_use_candidate, reason = "tokio's is not, and code moves over unchanged")]
    pub fn forget_permits(&self, n: usize) -> usize {
        self.core.forget_free(n)
    }

    /// Makes a guard of `n` permits that are outstanding and have none.
    ///
    /// These are the permits that [`Builder::acquired`](crate::Builder::acquired) set aside, and those of guards that
    /// were lost by [`mem::forget`](core::mem::forget). Permits that have a guard must not be adopted: they would
    /// come back twice.
    ///
    /// # Panics
    ///
    /// If fewer than `n` permits are [outstanding](Self::outstanding).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::mem;
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::new(2);
    /// mem::forget(semaphore.try_acquire());
    /// assert_eq!(semaphore.available_permits(), 1);
    /// drop(semaphore.adopt(1));
    /// assert_eq!(semaphore.available_permits(), 2);
    /// ```
    #[track_caller]
    pub fn adopt(&self, n: usize) -> SemaphorePermit<'_> {
        self.check_adoption(n);
        SemaphorePermit::with_permits(self, n)
    }

    /// Makes a guard of `n` permits that are outstanding and have none. The guard keeps the
    /// semaphore alive.
    ///
    /// These are the permits that [`Builder::acquired`](crate::Builder::acquired) set aside, and those of guards that
    /// were lost by [`mem::forget`](core::mem::forget). Permits that have a guard must not be adopted: they would
    /// come back twice.
    ///
    /// # Panics
    ///
    /// If fewer than `n` permits are [outstanding](Self::outstanding).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::thread;
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Arc::new(Semaphore::builder(2).acquired(2).build());
    /// let permits = semaphore.clone().adopt_owned(2);
    /// thread::spawn(move || drop(permits)).join().unwrap();
    /// assert_eq!(semaphore.available_permits(), 2);
    /// ```
    #[track_caller]
    pub fn adopt_owned(self: Arc<Self>, n: usize) -> OwnedSemaphorePermit {
        self.check_adoption(n);
        OwnedSemaphorePermit::with_permits(self, n)
    }

    #[track_caller]
    fn check_adoption(&self, n: usize) {
        assert!(n <= self.outstanding(), "fewer permits are outstanding than are adopted");
    }
}
