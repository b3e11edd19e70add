//! Guards that close the semaphore.

use alloc::sync::Arc;
use core::mem;

use crate::semaphore::Semaphore;

/// Closes the semaphore when it is dropped; made by [`Semaphore::close_on_drop`].
///
/// # Panics
///
/// Dropping it wakes all waiters. If one of their wakers panics, the semaphore is closed and all others are
/// woken nevertheless, and then the panic comes out; it is swallowed if the thread was panicking already.
///
/// # Examples
///
/// ```
/// use semafair::Semaphore;
///
/// let semaphore = Semaphore::new(1);
/// {
///     let _closes = semaphore.close_on_drop();
///     assert!(semaphore.try_acquire().is_ok());
/// }
/// assert!(semaphore.is_closed());
/// ```
#[must_use = "the semaphore is closed at once if this is dropped"]
#[clippy::has_significant_drop]
#[derive(Debug)]
pub struct CloseOnDrop<'a> {
    semaphore: &'a Semaphore,
}

/// Closes the semaphore when it is dropped, and keeps it alive until then; made by
/// [`Semaphore::close_on_drop_owned`].
///
/// # Panics
///
/// Dropping it wakes all waiters. If one of their wakers panics, the semaphore is closed and all others are
/// woken nevertheless, and then the panic comes out; it is swallowed if the thread was panicking already.
///
/// # Examples
///
/// An owner has it as a field, as the last one if the other fields are to be dropped before:
///
/// ```
/// use std::sync::Arc;
/// use semafair::{CloseOnDropOwned, Semaphore};
///
/// struct Pool {
///     permits: CloseOnDropOwned,
/// }
///
/// let semaphore = Arc::new(Semaphore::new(1));
/// let pool = Pool { permits: semaphore.clone().close_on_drop_owned() };
/// assert_eq!(pool.permits.semaphore().available_permits(), 1);
/// drop(pool);
/// assert!(semaphore.is_closed());
/// ```
#[must_use = "the semaphore is closed at once if this is dropped"]
#[clippy::has_significant_drop]
#[derive(Debug)]
pub struct CloseOnDropOwned {
    semaphore: Arc<Semaphore>,
    disarmed: bool,
}

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.semaphore.close();
    }
}

impl Drop for CloseOnDropOwned {
    fn drop(&mut self) {
        if !self.disarmed {
            self.semaphore.close();
        }
    }
}

impl<'a> CloseOnDrop<'a> {
    /// Returns the semaphore that it will close.
    #[must_use]
    pub const fn semaphore(&self) -> &'a Semaphore {
        self.semaphore
    }

    /// Drops the guard without closing the semaphore.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::new(1);
    /// semaphore.close_on_drop().disarm();
    /// assert!(!semaphore.is_closed());
    /// ```
    pub const fn disarm(self) {
        // It owns nothing.
        mem::forget(self);
    }
}

impl CloseOnDropOwned {
    /// Returns the semaphore that it will close.
    #[must_use]
    pub const fn semaphore(&self) -> &Arc<Semaphore> {
        &self.semaphore
    }

    /// Drops the guard without closing the semaphore, and returns the semaphore.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use semafair::Semaphore;
    ///
    /// let guard = Arc::new(Semaphore::new(1)).close_on_drop_owned();
    /// let semaphore = guard.disarm();
    /// assert!(!semaphore.is_closed());
    /// ```
    #[must_use = "the semaphore may be dropped with this"]
    pub fn disarm(mut self) -> Arc<Semaphore> {
        self.disarmed = true;
        self.semaphore.clone()
    }
}

impl Semaphore {
    /// Returns a guard that [closes](Self::close) the semaphore when it is dropped.
    ///
    /// It is for the owner of what the permits stand for: if the owner returns early or panics, nobody is left
    /// waiting for permits that will never come.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use std::sync::Arc;
    /// use semafair::Semaphore;
    ///
    /// // One permit for each item that the producer has made.
    /// let items = Arc::new(Semaphore::new(0));
    /// let waiter = tokio::spawn(items.clone().acquire_owned());
    ///
    /// let produce = || {
    ///     let _closes = items.close_on_drop();
    ///     let made: u32 = "none".parse()?;
    ///     items.add_permits(made as usize);
    ///     Ok::<(), std::num::ParseIntError>(())
    /// };
    /// assert!(produce().is_err());
    /// assert!(waiter.await.unwrap().is_err());
    /// # }
    /// ```
    pub const fn close_on_drop(&self) -> CloseOnDrop<'_> {
        CloseOnDrop { semaphore: self }
    }

    /// Returns a guard that [closes](Self::close) the semaphore when it is dropped, and keeps the semaphore alive
    /// until then.
    ///
    /// It is for the owner of what the permits stand for: if the owner is dropped or panics, nobody is left
    /// waiting for permits that will never come.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Arc::new(Semaphore::new(1));
    /// let owner = semaphore.clone().close_on_drop_owned();
    /// let owned_by_a_thread = std::thread::spawn(move || drop(owner));
    /// owned_by_a_thread.join().unwrap();
    /// assert!(semaphore.is_closed());
    /// ```
    pub const fn close_on_drop_owned(self: Arc<Self>) -> CloseOnDropOwned {
        CloseOnDropOwned { semaphore: self, disarmed: false }
    }
}
