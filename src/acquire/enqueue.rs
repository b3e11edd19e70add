//! Asking before the first poll.

use super::{Acquire, AcquireOwned};

impl Acquire<'_> {
    /// Takes its place in the line now, before the first poll; or the permits, if they are free and nobody
    /// waits.
    ///
    /// Requests are served in the order in which they asked: by this call, or else by their first poll. So
    /// futures that are polled in another order, or by other tasks, are served in the order of these calls.
    /// Does nothing if the future has asked already.
    ///
    /// Permits that are granted before the next poll are kept for it, and nobody else can use them. So poll the
    /// future soon, or drop it. This call does not make a task of tokio yield; the next poll may.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up its place in the line, also if it was never polled. Permits that it had
    /// already go to others.
    ///
    /// # Panics
    ///
    /// If the request exceeds [`Semaphore::MAX_PERMITS`](crate::Semaphore::MAX_PERMITS), which is possible on
    /// 32-bit machines only, and possibly if more than 2<sup>59</sup> permits are waited for.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), semafair::AcquireError> {
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::new(1);
    /// let (mut first, mut second) = (semaphore.acquire(), semaphore.acquire());
    /// first.enqueue();
    /// second.enqueue();
    /// assert!(!first.is_queued()); // it has its permit
    /// assert!(second.is_queued());
    ///
    /// drop(first); // was never polled: its permit goes on
    /// let permit = second.await?;
    /// # drop(permit);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn enqueue(&mut self) {
        self.request.enqueue(&self.semaphore.core);
    }

    /// Returns whether it waits in the line, and was neither granted nor refused yet.
    ///
    /// Another thread may serve it at any time. It is `false` before the future has asked, and after it has
    /// returned.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::new(0);
    /// let mut waiter = semaphore.acquire();
    /// assert!(!waiter.is_queued());
    /// waiter.enqueue();
    /// assert!(waiter.is_queued());
    /// semaphore.add_permits(1);
    /// assert!(!waiter.is_queued());
    /// ```
    #[must_use]
    pub fn is_queued(&self) -> bool {
        self.request.is_queued(&self.semaphore.core)
    }
}

impl AcquireOwned {
    /// Takes its place in the line now, before the first poll; or the permits, if they are free and nobody
    /// waits.
    ///
    /// Requests are served in the order in which they asked: by this call, or else by their first poll. So
    /// futures that are polled in another order, or by other tasks, are served in the order of these calls.
    /// Does nothing if the future has asked already.
    ///
    /// Permits that are granted before the next poll are kept for it, and nobody else can use them. So poll the
    /// future soon, or drop it. This call does not make a task of tokio yield; the next poll may.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up its place in the line, also if it was never polled. Permits that it had
    /// already go to others.
    ///
    /// # Panics
    ///
    /// If the request exceeds [`Semaphore::MAX_PERMITS`](crate::Semaphore::MAX_PERMITS), which is possible on
    /// 32-bit machines only, and possibly if more than 2<sup>59</sup> permits are waited for.
    ///
    /// # Examples
    ///
    /// Tasks that are served in the order in which they were spawned:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use std::sync::Arc;
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Arc::new(Semaphore::new(1));
    /// for job in 0..3 {
    ///     let mut acquire = semaphore.clone().acquire_owned();
    ///     acquire.enqueue();
    ///     tokio::spawn(async move {
    ///         let permit = acquire.await;
    ///         println!("job {job}");
    ///         drop(permit);
    ///     });
    /// }
    /// # drop(semaphore.acquire().await);
    /// # }
    /// ```
    #[track_caller]
    pub fn enqueue(&mut self) {
        if let Some(semaphore) = &self.semaphore {
            self.request.enqueue(&semaphore.core);
        }
    }

    /// Returns whether it waits in the line, and was neither granted nor refused yet.
    ///
    /// Another thread may serve it at any time. It is `false` before the future has asked, and after it has
    /// returned.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Arc::new(Semaphore::new(0));
    /// let mut waiter = semaphore.clone().acquire_owned();
    /// assert!(!waiter.is_queued());
    /// waiter.enqueue();
    /// assert!(waiter.is_queued());
    /// semaphore.add_permits(1);
    /// assert!(!waiter.is_queued());
    /// ```
    #[must_use]
    pub fn is_queued(&self) -> bool {
        self.semaphore.as_ref().is_some_and(|semaphore| self.request.is_queued(&semaphore.core))
    }

    /// Returns whether it has all its permits, and has not returned them yet.
    #[cfg(feature = "monitor")]
    pub(crate) fn is_granted(&self) -> bool {
        self.request.is_granted()
    }
}
