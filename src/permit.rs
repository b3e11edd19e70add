//! The guards, and the two ways to get one without waiting.

use core::{mem, ptr};
use std::sync::Arc;

use crate::error::TryAcquireError;
use crate::semaphore::Semaphore;

/// Permits of a semaphore, given back when dropped.
///
/// Made by [`Semaphore::acquire`], [`Semaphore::try_acquire`] and the like. It never has more than
/// [`Semaphore::MAX_PERMITS`].
///
/// Dropping it never blocks.
///
/// # Panics
///
/// If a waker panics that the drop wakes: the panic comes out after everybody else was woken, and all
/// permits are accounted for. And if more than [`Semaphore::MAX_PERMITS`] would be free, since
/// permits were added while some were held: those of this guard are lost then. In a thread that is panicking
/// already, the first is swallowed; the second ends the process.
#[must_use = "the permits are given back at once if this is dropped"]
#[clippy::has_significant_drop]
#[derive(Debug)]
pub struct SemaphorePermit<'a> {
    semaphore: &'a Semaphore,
    permits: usize,
}

/// Permits of a semaphore behind an [`Arc`], given back when dropped.
///
/// Made by [`Semaphore::acquire_owned`], [`Semaphore::try_acquire_owned`] and the like. It keeps the
/// semaphore alive.
///
/// # Panics
///
/// Where the drop of a [`SemaphorePermit`] does.
#[must_use = "the permits are given back at once if this is dropped"]
#[clippy::has_significant_drop]
#[derive(Debug)]
pub struct OwnedSemaphorePermit {
    semaphore: Arc<Semaphore>,
    permits: usize,
}

/// Both guards are the same but for what they hold the semaphore by.
macro_rules! guard {
    ([$($a:lifetime)?] $guard:ty, $holder:ty) => {
        impl$(<$a>)? $guard {
            /// Of permits that were taken from the semaphore for it.
            #[inline]
            pub(crate) fn new(semaphore: $holder, permits: u32) -> Self {
                Self { semaphore, permits: permits as usize }
            }

            /// Keeps the permits from ever being given back: the semaphore has fewer from now on.
            ///
            /// # Examples
            ///
            /// ```
            /// use std::sync::Arc;
            /// use semafair::Semaphore;
            ///
            /// let semaphore = Arc::new(Semaphore::new(2));
            /// semaphore.try_acquire().unwrap().forget();
            /// semaphore.clone().try_acquire_owned().unwrap().forget();
            /// assert_eq!(semaphore.available_permits(), 0);
            /// ```
            #[inline]
            pub fn forget(mut self) {
                self.permits = 0;
            }

            /// Takes over the permits of another guard of the same semaphore.
            ///
            /// # Panics
            ///
            /// If the guards are of different semaphores, or the sum exceeds
            /// [`Semaphore::MAX_PERMITS`]. Nothing has changed then, and `other` is dropped as ever.
            ///
            /// # Examples
            ///
            /// ```
            /// use std::sync::Arc;
            /// use semafair::Semaphore;
            ///
            /// let semaphore = Arc::new(Semaphore::new(6));
            /// let mut both = semaphore.try_acquire_many(2).unwrap();
            /// both.merge(semaphore.try_acquire().unwrap());
            /// assert_eq!(both.num_permits(), 3);
            ///
            /// let mut owned = semaphore.clone().try_acquire_many_owned(2).unwrap();
            /// owned.merge(semaphore.clone().try_acquire_owned().unwrap());
            /// assert_eq!(owned.num_permits(), 3);
            /// ```
            #[track_caller]
            pub fn merge(&mut self, mut other: Self) {
                assert!(
                    ptr::eq::<Semaphore>(&*self.semaphore, &*other.semaphore),
                    "merging permits from different semaphore instances"
                );
                // Neither has more than MAX_PERMITS, so the sum does not wrap.
                let sum = self.permits + other.permits;
                assert!(sum <= Semaphore::MAX_PERMITS, "number of permits overflowed");
                self.permits = sum;
                other.permits = 0;
            }

            /// Splits `n` permits off into a guard of their own; `None` if there are fewer.
            ///
            /// # Examples
            ///
            /// ```
            /// use std::sync::Arc;
            /// use semafair::Semaphore;
            ///
            /// let semaphore = Arc::new(Semaphore::new(6));
            /// let mut three = semaphore.try_acquire_many(3).unwrap();
            /// let one = three.split(1).unwrap();
            /// assert_eq!((three.num_permits(), one.num_permits()), (2, 1));
            /// assert!(three.split(3).is_none());
            ///
            /// let mut owned = semaphore.clone().try_acquire_many_owned(3).unwrap();
            /// assert_eq!(owned.split(2).unwrap().num_permits(), 2);
            /// ```
            pub fn split(&mut self, n: usize) -> Option<Self> {
                let rest = self.permits.checked_sub(n)?;
                // Cloning comes first: should it fail, nothing has changed.
                let semaphore = Clone::clone(&self.semaphore);
                self.permits = rest;
                Some(Self { semaphore, permits: n })
            }

            /// Returns the number of permits in this guard.
            #[must_use]
            pub const fn num_permits(&self) -> usize {
                self.permits
            }
        }

        impl$(<$a>)? Drop for $guard {
            #[inline]
            fn drop(&mut self) {
                let permits = mem::take(&mut self.permits);
                if permits > 0 {
                    self.semaphore.release(permits);
                }
            }
        }
    };
}

guard!(['a] SemaphorePermit<'a>, &'a Semaphore);
guard!([] OwnedSemaphorePermit, Arc<Semaphore>);

impl SemaphorePermit<'_> {
    /// Returns the semaphore to which the permits go back.
    #[must_use]
    pub const fn semaphore(&self) -> &Semaphore {
        self.semaphore
    }
}

impl OwnedSemaphorePermit {
    /// Returns the semaphore to which the permits go back.
    #[must_use]
    pub const fn semaphore(&self) -> &Arc<Semaphore> {
        &self.semaphore
    }
}

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
        Self::check_request(n);
        self.balance.try_take(n).map_err(|seen| {
            if seen.is_closed() {
                self.help_close();
                TryAcquireError::Closed
            } else {
                TryAcquireError::NoPermits
            }
        })
    }
}
