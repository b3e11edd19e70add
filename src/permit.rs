//! The guards; dropping one releases.

use alloc::sync::Arc;
use core::{fmt, mem, ptr};

use crate::handle::Handle;
use crate::semaphore::Semaphore;

/// Permits of a semaphore, given back when dropped.
///
/// Made by [`Semaphore::acquire`], [`Semaphore::try_acquire`] and the like. It never has more than
/// [`Semaphore::MAX_PERMITS`] permits. Dropping it never blocks.
///
/// # Panics
///
/// Dropping it wakes the waiters that are granted its permits. If one of their wakers panics, all others
/// are woken nevertheless, all permits are accounted for, and then the panic comes out; it is swallowed if the
/// thread was panicking already.
///
/// # Examples
///
/// ```
/// use semafair::Semaphore;
///
/// let semaphore = Semaphore::new(2);
/// {
///     let _permit = semaphore.try_acquire().unwrap();
///     assert_eq!(semaphore.available_permits(), 1);
/// }
/// assert_eq!(semaphore.available_permits(), 2);
/// ```
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
/// semaphore alive, so it can move into a spawned task. It never has more than
/// [`Semaphore::MAX_PERMITS`] permits. Dropping it never blocks.
///
/// # Panics
///
/// Dropping it wakes the waiters that are granted its permits. If one of their wakers panics, all others
/// are woken nevertheless, all permits are accounted for, and then the panic comes out; it is swallowed if the
/// thread was panicking already.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use std::thread;
/// use semafair::Semaphore;
///
/// let semaphore = Arc::new(Semaphore::new(2));
/// let permit = semaphore.clone().try_acquire_owned().unwrap();
/// thread::spawn(move || drop(permit)).join().unwrap();
/// assert_eq!(semaphore.available_permits(), 2);
/// ```
#[must_use = "the permits are given back at once if this is dropped"]
#[clippy::has_significant_drop]
#[derive(Debug)]
pub struct OwnedSemaphorePermit {
    semaphore: Arc<Semaphore>,
    permits: usize,
}

/// Permits of a semaphore that is a part of something shared, given back when dropped.
///
/// Made by [`Semaphore::acquire_in`], [`Semaphore::try_acquire_in`] and the like. It keeps the owner of
/// the semaphore alive, so it can move into a spawned task. It never has more than
/// [`Semaphore::MAX_PERMITS`] permits. Dropping it never blocks.
///
/// # Panics
///
/// Dropping it wakes the waiters that are granted its permits. If one of their wakers panics, all others
/// are woken nevertheless, all permits are accounted for, and then the panic comes out; it is swallowed if the
/// thread was panicking already.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use semafair::{PermitIn, Semaphore};
///
/// struct Server {
///     slots: Semaphore,
/// }
///
/// impl AsRef<Semaphore> for Server {
///     fn as_ref(&self) -> &Semaphore {
///         &self.slots
///     }
/// }
///
/// let server = Arc::new(Server { slots: Semaphore::new(2) });
/// let slot: PermitIn<Server> = Semaphore::try_acquire_in(server.clone()).unwrap();
/// assert_eq!(slot.owner().slots.available_permits(), 1);
/// drop(slot);
/// assert_eq!(server.slots.available_permits(), 2);
/// ```
#[must_use = "the permits are given back at once if this is dropped"]
#[clippy::has_significant_drop]
pub struct PermitIn<T: ?Sized> {
    semaphore: Handle<T>,
    permits: usize,
}

/// All guards are the same but for what they hold the semaphore by.
macro_rules! guard {
    ([$($generics:tt)*] $guard:ty, $holder:ty) => {
        impl<$($generics)*> $guard {
            /// Of permits that were taken from the semaphore for it.
            #[inline]
            pub(crate) fn new(semaphore: $holder, permits: u32) -> Self {
                Self { semaphore, permits: permits as usize }
            }

            /// Drops the guard without giving its permits back: the semaphore has fewer from now on.
            ///
            /// The [limit](Semaphore::limit) falls by as many. If the semaphore is in
            /// [debt](Semaphore::set_limit) and the limit cannot fall so far, as it would be below 0, the
            /// rest pays for the debt.
            /// [`Semaphore::add_permits`] is the reverse.
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
                let permits = mem::take(&mut self.permits);
                if permits > 0 {
                    self.semaphore.core.forget_held(permits);
                }
            }

            /// Takes over the permits of another guard of the same semaphore.
            ///
            /// # Panics
            ///
            /// If the guards are of different semaphores, or if their sum exceeds
            /// [`Semaphore::MAX_PERMITS`]. This guard is as before then, and `other` is dropped, which
            /// gives its permits back.
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

            /// Moves `n` permits of this guard into a new guard.
            ///
            /// Returns `None`, and changes nothing, if this guard has fewer than `n` permits.
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
            ///
            /// # Examples
            ///
            /// ```
            /// use semafair::Semaphore;
            ///
            /// let semaphore = Semaphore::new(3);
            /// assert_eq!(semaphore.try_acquire_many(2).unwrap().num_permits(), 2);
            /// ```
            #[must_use]
            pub const fn num_permits(&self) -> usize {
                self.permits
            }
        }

        impl<$($generics)*> Drop for $guard {
            #[inline]
            fn drop(&mut self) {
                let permits = mem::take(&mut self.permits);
                if permits > 0 {
                    self.semaphore.core.release(permits);
                }
            }
        }
    };
}

guard!(['a] SemaphorePermit<'a>, &'a Semaphore);
guard!([] OwnedSemaphorePermit, Arc<Semaphore>);
guard!([T: ?Sized] PermitIn<T>, Handle<T>);

impl<'a> SemaphorePermit<'a> {
    /// Of so many that a request could not ask for them.
    pub(crate) const fn with_permits(semaphore: &'a Semaphore, permits: usize) -> Self {
        Self { semaphore, permits }
    }

    /// Returns the semaphore to which the permits go back.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::new(3);
    /// let permit = semaphore.try_acquire().unwrap();
    /// assert_eq!(permit.semaphore().available_permits(), 2);
    /// ```
    #[must_use]
    pub const fn semaphore(&self) -> &Semaphore {
        self.semaphore
    }
}

impl OwnedSemaphorePermit {
    /// Of so many that a request could not ask for them.
    pub(crate) const fn with_permits(semaphore: Arc<Semaphore>, permits: usize) -> Self {
        Self { semaphore, permits }
    }

    /// Returns the semaphore to which the permits go back.
    ///
    /// # Examples
    ///
    /// Another permit of the same semaphore:
    ///
    /// ```
    /// use std::sync::Arc;
    /// use semafair::Semaphore;
    ///
    /// let first = Arc::new(Semaphore::new(3)).try_acquire_owned().unwrap();
    /// let second = first.semaphore().clone().try_acquire_owned().unwrap();
    /// assert_eq!(second.semaphore().available_permits(), 1);
    /// ```
    #[must_use]
    pub const fn semaphore(&self) -> &Arc<Semaphore> {
        &self.semaphore
    }
}

impl<T: ?Sized> PermitIn<T> {
    /// Returns the semaphore to which the permits go back.
    #[must_use]
    pub fn semaphore(&self) -> &Semaphore {
        &self.semaphore
    }

    /// Returns what the semaphore is a part of.
    #[must_use]
    pub const fn owner(&self) -> &Arc<T> {
        self.semaphore.owner()
    }
}

// Not derived, as the owner need not be `Debug`.
impl<T: ?Sized> fmt::Debug for PermitIn<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PermitIn")
            .field("semaphore", &self.semaphore)
            .field("permits", &self.permits)
            .finish()
    }
}
