//! The futures that wait for permits.

mod enqueue;

use alloc::sync::Arc;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use crate::core::request::Request;
use crate::error::{AcquireError, Reason};
use crate::permit::{OwnedSemaphorePermit, SemaphorePermit};
use crate::semaphore::Semaphore;

/// Waits for permits; made by [`Semaphore::acquire`] and [`Semaphore::acquire_many`].
///
/// It takes its place in the line when it is first polled, and keeps it until it returns or is
/// dropped. It may be polled with a different waker each time; the last one is woken. It may be moved while
/// it waits, and stored in a struct.
///
/// # Cancel safety
///
/// Dropping it before it has returned gives up its place in the line, at once and in constant time on
/// average. Permits that it had already, some or all of them, go to others. A new request starts at
/// the end of the line.
///
/// # Panics
///
/// The first poll panics if the request exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit
/// machines only, and may panic if more than 2<sup>59</sup> permits are waited for. A poll after it returned
/// [`Poll::Ready`] panics.
///
/// Dropping it may wake others, to whom its permits go. If one of their wakers panics, all others are
/// woken nevertheless, no permit is lost, and then the panic comes out.
///
/// # Examples
///
/// In a struct, without a box:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use semafair::{Acquire, Semaphore};
///
/// struct Call<'a> {
///     line: Acquire<'a>,
/// }
///
/// let semaphore = Semaphore::new(1);
/// let mut call = Call { line: semaphore.acquire() };
/// let permit = (&mut call.line).await.unwrap();
/// assert_eq!(semaphore.available_permits(), 0);
/// # drop(permit);
/// # }
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct Acquire<'a> {
    semaphore: &'a Semaphore,
    request: Request,
}

/// Waits for permits, and keeps the semaphore alive; made by [`Semaphore::acquire_owned`] and
/// [`Semaphore::acquire_many_owned`].
///
/// It takes its place in the line when it is first polled, and keeps it until it returns or is
/// dropped. It may be polled with a different waker each time; the last one is woken. It may be moved while
/// it waits, stored in a struct, and spawned as a task. It holds the semaphore until it has returned.
///
/// # Cancel safety
///
/// Dropping it before it has returned gives up its place in the line, at once and in constant time on
/// average. Permits that it had already, some or all of them, go to others. A new request starts at
/// the end of the line.
///
/// # Panics
///
/// The first poll panics if the request exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit
/// machines only, and may panic if more than 2<sup>59</sup> permits are waited for. A poll after it returned
/// [`Poll::Ready`] panics.
///
/// Dropping it may wake others, to whom its permits go. If one of their wakers panics, all others are
/// woken nevertheless, no permit is lost, and then the panic comes out.
///
/// # Examples
///
/// Spawned as it is:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use semafair::{AcquireOwned, Semaphore};
///
/// let semaphore = Arc::new(Semaphore::new(0));
/// let waiting: AcquireOwned = semaphore.clone().acquire_owned();
/// let task = tokio::spawn(waiting);
/// semaphore.add_permits(1);
/// let permit = task.await??;
/// assert_eq!(permit.num_permits(), 1);
/// # Ok(())
/// # }
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct AcquireOwned {
    /// `None` once it has returned.
    semaphore: Option<Arc<Semaphore>>,
    request: Request,
}

impl<'a> Future for Acquire<'a> {
    type Output = Result<SemaphorePermit<'a>, AcquireError>;

    #[inline]
    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        // Read before the balance changes, lest they be read again after it.
        let (semaphore, permits) = (this.semaphore, this.request.permits());
        Poll::Ready(match ready!(this.request.poll(&semaphore.core, cx)) {
            Ok(()) => Ok(SemaphorePermit::new(semaphore, permits)),
            Err(reason) => Err(refused(semaphore, reason)),
        })
    }
}

impl Future for AcquireOwned {
    type Output = Result<OwnedSemaphorePermit, AcquireError>;

    #[inline]
    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Some(semaphore) = &this.semaphore else {
            panic!("`AcquireOwned` polled after completion")
        };
        let result = ready!(this.request.poll(&semaphore.core, cx));
        let Some(semaphore) = this.semaphore.take() else {
            unreachable!("it was there a moment ago");
        };
        Poll::Ready(match result {
            Ok(()) => Ok(OwnedSemaphorePermit::new(semaphore, this.request.permits())),
            Err(reason) => Err(refused(&semaphore, reason)),
        })
    }
}

/// The error of a request that was refused.
#[cold]
#[inline(never)]
pub(crate) fn refused(semaphore: &Semaphore, reason: Reason) -> AcquireError {
    AcquireError::new(reason, semaphore.core.name())
}

impl Drop for Acquire<'_> {
    #[inline]
    fn drop(&mut self) {
        self.request.cancel(&self.semaphore.core);
    }
}

impl Drop for AcquireOwned {
    #[inline]
    fn drop(&mut self) {
        if let Some(semaphore) = &self.semaphore {
            self.request.cancel(&semaphore.core);
        }
    }
}

impl fmt::Debug for Acquire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.request.fmt_as("Acquire", f)
    }
}

impl fmt::Debug for AcquireOwned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.request.fmt_as("AcquireOwned", f)
    }
}

impl Semaphore {
    /// Waits for a permit.
    ///
    /// The returned future takes its place in the line when it is first polled. Waiters are served in
    /// that order. If a permit is free and nobody waits, the first poll returns it; in a task of tokio, with the
    /// feature `tokio`, the task may have to yield once before.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it has returned gives up its place in the line, at once and in
    /// constant time on average. Permits that it had already go to others. A new call starts at the end of
    /// the line.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] if the semaphore is closed before the permit is granted. A permit that was
    /// granted before stays granted, whenever the future is polled.
    ///
    /// # Panics
    ///
    /// The first poll may panic if more than 2<sup>59</sup> permits are waited for. A poll after
    /// the future has returned panics, too.
    ///
    /// # Examples
    ///
    /// ```
    /// # use semafair::{AcquireError, Semaphore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), AcquireError> {
    /// let semaphore = Semaphore::new(2);
    /// let permit = semaphore.acquire().await?;
    /// assert_eq!(semaphore.available_permits(), 1);
    /// drop(permit);
    /// assert_eq!(semaphore.available_permits(), 2);
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub const fn acquire(&self) -> Acquire<'_> {
        self.acquire_many(1)
    }

    /// Waits for `n` permits, and returns them in one guard.
    ///
    /// The returned future takes its place in the line when it is first polled. Waiters are served in
    /// that order, however many permits they ask for. When the request is at the head of the line, permits
    /// that come back are kept for it until it has all, so requests for fewer permits cannot starve it.
    ///
    /// `n == 0` does not wait, even behind others; it is refused if the semaphore is closed. If `n` exceeds the permits
    /// that there will ever be, the request waits for ever, and so do all behind it.
    ///
    /// If the permits are free and nobody waits, the first poll returns them; in a task of tokio, with the feature
    /// `tokio`, the task may have to yield once before.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it has returned gives up its place in the line, at once and in
    /// constant time on average. Permits that it had already go to others. A new call starts at the end of
    /// the line.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] if the semaphore is closed before the permits are granted. Permits that were
    /// granted before stay granted, whenever the future is polled.
    ///
    /// # Panics
    ///
    /// The first poll panics if `n` exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit
    /// machines only, and may panic if more than 2<sup>59</sup> permits are waited for. A poll after the future
    /// has returned panics, too.
    ///
    /// # Examples
    ///
    /// ```
    /// # use semafair::{AcquireError, Semaphore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), AcquireError> {
    /// // Memory for downloads, in bytes.
    /// let memory = Semaphore::new(1 << 20);
    /// let buffer = memory.acquire_many(64 << 10).await?;
    /// assert_eq!(buffer.num_permits(), 64 << 10);
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub const fn acquire_many(&self, n: u32) -> Acquire<'_> {
        Acquire { semaphore: self, request: Request::new(n) }
    }

    /// Waits for a permit. The future and the guard keep the semaphore alive.
    ///
    /// The returned future takes its place in the line when it is first polled. Waiters are served in
    /// that order. If a permit is free and nobody waits, the first poll returns it; in a task of tokio, with the
    /// feature `tokio`, the task may have to yield once before.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it has returned gives up its place in the line, at once and in
    /// constant time on average. Permits that it had already go to others. A new call starts at the end of
    /// the line.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] if the semaphore is closed before the permit is granted. A permit that was
    /// granted before stays granted, whenever the future is polled.
    ///
    /// # Panics
    ///
    /// The first poll may panic if more than 2<sup>59</sup> permits are waited for. A poll after
    /// the future has returned panics, too.
    ///
    /// # Examples
    ///
    /// A permit for each task, taken before the task is spawned:
    ///
    /// ```
    /// # use semafair::{AcquireError, Semaphore};
    /// # use std::sync::Arc;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), AcquireError> {
    /// let semaphore = Arc::new(Semaphore::new(2));
    /// for job in 0..4 {
    ///     let permit = semaphore.clone().acquire_owned().await?;
    ///     tokio::spawn(async move {
    ///         println!("job {job}");
    ///         drop(permit);
    ///     });
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub const fn acquire_owned(self: Arc<Self>) -> AcquireOwned {
        self.acquire_many_owned(1)
    }

    /// Waits for `n` permits, and returns them in one guard. The future and the guard keep the semaphore
    /// alive.
    ///
    /// The returned future takes its place in the line when it is first polled. Waiters are served in
    /// that order, however many permits they ask for. When the request is at the head of the line, permits
    /// that come back are kept for it until it has all, so requests for fewer permits cannot starve it.
    ///
    /// `n == 0` does not wait, even behind others; it is refused if the semaphore is closed. If `n` exceeds the permits
    /// that there will ever be, the request waits for ever, and so do all behind it.
    ///
    /// If the permits are free and nobody waits, the first poll returns them; in a task of tokio, with the feature
    /// `tokio`, the task may have to yield once before.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it has returned gives up its place in the line, at once and in
    /// constant time on average. Permits that it had already go to others. A new call starts at the end of
    /// the line.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] if the semaphore is closed before the permits are granted. Permits that were
    /// granted before stay granted, whenever the future is polled.
    ///
    /// # Panics
    ///
    /// The first poll panics if `n` exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit
    /// machines only, and may panic if more than 2<sup>59</sup> permits are waited for. A poll after the future
    /// has returned panics, too.
    ///
    /// # Examples
    ///
    /// ```
    /// # use semafair::{AcquireError, Semaphore};
    /// # use std::sync::Arc;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), AcquireError> {
    /// let semaphore = Arc::new(Semaphore::new(8));
    /// let permits = semaphore.clone().acquire_many_owned(3).await?;
    /// drop(semaphore);
    /// assert_eq!(permits.semaphore().available_permits(), 5);
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub const fn acquire_many_owned(self: Arc<Self>, n: u32) -> AcquireOwned {
        AcquireOwned { semaphore: Some(self), request: Request::new(n) }
    }
}
