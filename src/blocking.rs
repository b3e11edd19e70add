//! Waiting for permits in code that is not async.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::sync::Arc;
use std::task::Wake;
use std::thread::{self, Thread};

use crate::error::AcquireError;
use crate::permit::{OwnedSemaphorePermit, SemaphorePermit};
use crate::semaphore::Semaphore;

#[cfg(test)]
mod tests;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

#[track_caller]
fn block_on<F: Future>(future: F) -> F::Output {
    check_may_block();
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Panics with tokio's words on a thread that drives one of its runtimes.
#[cfg(feature = "tokio")]
#[track_caller]
fn check_may_block() {
    // tokio has no public way to ask. Any blocking method asks first, and an unused lock is free.
    drop(tokio::sync::Mutex::const_new(()).blocking_lock());
}

#[cfg(not(feature = "tokio"))]
fn check_may_block() {}

impl Semaphore {
    /// Waits for a permit, blocking the thread. It is [`blocking_acquire_many`] of one.
    ///
    /// # Errors
    ///
    /// As [`blocking_acquire_many`].
    ///
    /// # Panics
    ///
    /// As [`blocking_acquire_many`].
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::new(0);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| semaphore.blocking_acquire().unwrap().forget());
    ///     semaphore.add_permits(1);
    /// });
    /// assert_eq!(semaphore.available_permits(), 0);
    /// ```
    ///
    /// [`blocking_acquire_many`]: Semaphore::blocking_acquire_many
    #[track_caller]
    pub fn blocking_acquire(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.blocking_acquire_many(1)
    }

    /// Waits for `n` permits, blocking the thread, in the same line as the async waiters.
    ///
    /// It is meant for threads that drive no async tasks, such as those of
    /// `tokio::task::spawn_blocking`. On a thread that does, all tasks of that thread stand still
    /// until the permits are there; if they are to come from one of those, that is for ever. With
    /// the feature `tokio` it panics there instead.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] if the semaphore is closed before the permits are granted.
    ///
    /// # Panics
    ///
    /// With the feature `tokio`, if called on a thread that drives a tokio runtime; and where
    /// [`acquire_many`](Semaphore::acquire_many) does.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::new(5);
    /// let permits = semaphore.blocking_acquire_many(3)?;
    /// assert_eq!(semaphore.available_permits(), 2);
    /// # drop(permits);
    /// # Ok::<(), semafair::AcquireError>(())
    /// ```
    #[track_caller]
    pub fn blocking_acquire_many(&self, n: u32) -> Result<SemaphorePermit<'_>, AcquireError> {
        block_on(self.acquire_many(n))
    }

    /// Waits for a permit, blocking the thread; the guard keeps the semaphore alive.
    ///
    /// # Errors
    ///
    /// As [`blocking_acquire_many`](Semaphore::blocking_acquire_many).
    ///
    /// # Panics
    ///
    /// As [`blocking_acquire_many`](Semaphore::blocking_acquire_many).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Arc::new(Semaphore::new(1));
    /// let permit = semaphore.clone().blocking_acquire_owned()?;
    /// assert_eq!(semaphore.available_permits(), 0);
    /// # drop(permit);
    /// # Ok::<(), semafair::AcquireError>(())
    /// ```
    #[track_caller]
    pub fn blocking_acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.blocking_acquire_many_owned(1)
    }

    /// Waits for `n` permits, blocking the thread; the guard keeps the semaphore alive.
    ///
    /// # Errors
    ///
    /// As [`blocking_acquire_many`](Semaphore::blocking_acquire_many).
    ///
    /// # Panics
    ///
    /// As [`blocking_acquire_many`](Semaphore::blocking_acquire_many).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Arc::new(Semaphore::new(5));
    /// let permits = semaphore.clone().blocking_acquire_many_owned(3)?;
    /// assert_eq!(semaphore.available_permits(), 2);
    /// # drop(permits);
    /// # Ok::<(), semafair::AcquireError>(())
    /// ```
    #[track_caller]
    pub fn blocking_acquire_many_owned(
        self: Arc<Self>,
        n: u32,
    ) -> Result<OwnedSemaphorePermit, AcquireError> {
        block_on(self.acquire_many_owned(n))
    }
}
