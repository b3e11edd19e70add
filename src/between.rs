//! Acquiring as many permits as there are.

use alloc::sync::Arc;
use core::fmt;
use core::future::Future;
use core::ops::RangeInclusive;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use crate::acquire::refused;
use crate::core::request::between::Between;
use crate::error::{AcquireError, TryAcquireError};
use crate::permit::{OwnedSemaphorePermit, SemaphorePermit};
use crate::semaphore::Semaphore;

/// Waits for a number of permits in a range; made by [`Semaphore::acquire_between`].
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
/// The first poll panics if the least number exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit
/// machines only, and may panic if more than 2<sup>59</sup> permits are waited for. A poll after it returned
/// [`Poll::Ready`] panics.
///
/// Dropping it may wake others, to whom its permits go. If one of their wakers panics, all others are
/// woken nevertheless, no permit is lost, and then the panic comes out.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), semafair::AcquireError> {
/// use semafair::{AcquireBetween, Semaphore};
///
/// let semaphore = Semaphore::new(3);
/// let some: AcquireBetween<'_> = semaphore.acquire_between(1..=8);
/// assert_eq!(some.await?.num_permits(), 3);
/// # Ok(())
/// # }
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct AcquireBetween<'a> {
    semaphore: &'a Semaphore,
    request: Between,
}

/// Waits for a number of permits in a range, and keeps the semaphore alive; made by
/// [`Semaphore::acquire_between_owned`].
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
/// The first poll panics if the least number exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit
/// machines only, and may panic if more than 2<sup>59</sup> permits are waited for. A poll after it returned
/// [`Poll::Ready`] panics.
///
/// Dropping it may wake others, to whom its permits go. If one of their wakers panics, all others are
/// woken nevertheless, no permit is lost, and then the panic comes out.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use semafair::{AcquireBetweenOwned, Semaphore};
///
/// let semaphore = Arc::new(Semaphore::new(3));
/// let some: AcquireBetweenOwned = semaphore.clone().acquire_between_owned(1..=8);
/// assert_eq!(tokio::spawn(some).await??.num_permits(), 3);
/// # Ok(())
/// # }
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct AcquireBetweenOwned {
    /// `None` once it has returned.
    semaphore: Option<Arc<Semaphore>>,
    request: Between,
}

/// The ends of a range that is not empty.
#[track_caller]
fn ends(permits: &RangeInclusive<u32>) -> (u32, u32) {
    assert!(!permits.is_empty(), "no number of permits is in the range {permits:?}");
    (*permits.start(), *permits.end())
}

impl<'a> Future for AcquireBetween<'a> {
    type Output = Result<SemaphorePermit<'a>, AcquireError>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let result = ready!(this.request.poll(&this.semaphore.core, cx));
        Poll::Ready(match result {
            Ok(permits) => Ok(SemaphorePermit::new(this.semaphore, permits)),
            Err(reason) => Err(refused(this.semaphore, reason)),
        })
    }
}

impl Future for AcquireBetweenOwned {
    type Output = Result<OwnedSemaphorePermit, AcquireError>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Some(semaphore) = &this.semaphore else {
            panic!("`AcquireBetweenOwned` polled after completion")
        };
        let result = ready!(this.request.poll(&semaphore.core, cx));
        let Some(semaphore) = this.semaphore.take() else {
            unreachable!("it was there a moment ago")
        };
        Poll::Ready(match result {
            Ok(permits) => Ok(OwnedSemaphorePermit::new(semaphore, permits)),
            Err(reason) => Err(refused(&semaphore, reason)),
        })
    }
}

impl Drop for AcquireBetween<'_> {
    fn drop(&mut self) {
        self.request.cancel(&self.semaphore.core);
    }
}

impl Drop for AcquireBetweenOwned {
    fn drop(&mut self) {
        if let Some(semaphore) = &self.semaphore {
            self.request.cancel(&semaphore.core);
        }
    }
}

impl fmt::Debug for AcquireBetween<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.request.fmt_as("AcquireBetween", f)
    }
}

impl fmt::Debug for AcquireBetweenOwned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.request.fmt_as("AcquireBetweenOwned", f)
    }
}

impl AcquireBetween<'_> {
    /// Takes its place in the line now, before the first poll; or the permits, if enough are free and nobody
    /// waits: see [`Acquire::enqueue`](crate::Acquire::enqueue).
    ///
    /// If it takes permits, these are all that the next poll returns. If it waits, that poll takes what is free
    /// then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up its place in the line, also if it was never polled. Permits that it had
    /// already go to others.
    ///
    /// # Panics
    ///
    /// If the least number exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit machines only, and possibly if
    /// more than 2<sup>59</sup> permits are waited for.
    #[track_caller]
    pub fn enqueue(&mut self) {
        self.request.enqueue(&self.semaphore.core);
    }

    /// Returns whether it waits in the line, and was neither granted nor refused yet.
    ///
    /// Another thread may serve it at any time. It is `false` before the future has asked, and after it has
    /// returned.
    #[must_use]
    pub fn is_queued(&self) -> bool {
        self.request.is_queued(&self.semaphore.core)
    }
}

impl AcquireBetweenOwned {
    /// Takes its place in the line now, before the first poll; or the permits, if enough are free and nobody
    /// waits: see [`AcquireOwned::enqueue`](crate::AcquireOwned::enqueue).
    ///
    /// If it takes permits, these are all that the next poll returns. If it waits, that poll takes what is free
    /// then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up its place in the line, also if it was never polled. Permits that it had
    /// already go to others.
    ///
    /// # Panics
    ///
    /// If the least number exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit machines only, and possibly if
    /// more than 2<sup>59</sup> permits are waited for.
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

impl Semaphore {
    /// Waits for as many permits as there are, in a range, and returns them in one guard.
    /// [`num_permits`](SemaphorePermit::num_permits) of the guard says how many.
    ///
    /// If at least the lower end of the range is free and nobody waits, the first poll takes as many as are free, up
    /// to the upper end, in one step of the [total order](Semaphore#memory-ordering). Otherwise the future waits for the
    /// lower end, in the same line as all others. When these permits are granted, the poll that returns them takes
    /// what is free at that instant as well, up to the upper end: one more step of the order. No permit is free while
    /// somebody waits for it, so the future takes no more than the lower end while others wait behind it.
    ///
    /// Where the lower end is 0, it never waits; it is refused if the semaphore is closed.
    ///
    /// In a task of tokio, with the feature `tokio`, the task may have to yield once before the future returns. What
    /// the first poll took is kept meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it has returned gives up its place in the line, at once and in
    /// constant time on average. Permits that it had already go to others. A new call starts at the end of
    /// the line.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] if the semaphore is closed before the lower end is granted. Permits that were granted before
    /// stay granted, whenever the future is polled; a closed semaphore gives no more of them.
    ///
    /// # Panics
    ///
    /// If the range is empty. The first poll panics if the lower end exceeds [`Semaphore::MAX_PERMITS`], which is
    /// possible on 32-bit machines only, and may panic if more than 2<sup>59</sup> permits are waited for. A poll after the
    /// future has returned panics, too.
    ///
    /// # Examples
    ///
    /// A buffer of at most 64 KiB, and smaller where memory is short:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), semafair::AcquireError> {
    /// use semafair::Semaphore;
    ///
    /// let memory = Semaphore::new(100 << 10);
    /// let first = memory.acquire_between(4 << 10..=64 << 10).await?;
    /// assert_eq!(first.num_permits(), 64 << 10);
    /// let second = memory.acquire_between(4 << 10..=64 << 10).await?;
    /// assert_eq!(second.num_permits(), 36 << 10);
    /// let buffer = vec![0_u8; second.num_permits()];
    /// # drop((first, second, buffer));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn acquire_between(&self, permits: RangeInclusive<u32>) -> AcquireBetween<'_> {
        let (min, max) = ends(&permits);
        AcquireBetween { semaphore: self, request: Between::new(min, max) }
    }

    /// Waits for as many permits as there are, in a range, and returns them in one guard. The future and the guard
    /// keep the semaphore alive. [`num_permits`](OwnedSemaphorePermit::num_permits) of the guard says how many.
    ///
    /// If at least the lower end of the range is free and nobody waits, the first poll takes as many as are free, up
    /// to the upper end, in one step of the [total order](Semaphore#memory-ordering). Otherwise the future waits for the
    /// lower end, in the same line as all others. When these permits are granted, the poll that returns them takes
    /// what is free at that instant as well, up to the upper end: one more step of the order. No permit is free while
    /// somebody waits for it, so the future takes no more than the lower end while others wait behind it.
    ///
    /// Where the lower end is 0, it never waits; it is refused if the semaphore is closed.
    ///
    /// In a task of tokio, with the feature `tokio`, the task may have to yield once before the future returns. What
    /// the first poll took is kept meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it has returned gives up its place in the line, at once and in
    /// constant time on average. Permits that it had already go to others. A new call starts at the end of
    /// the line.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] if the semaphore is closed before the lower end is granted. Permits that were granted before
    /// stay granted, whenever the future is polled; a closed semaphore gives no more of them.
    ///
    /// # Panics
    ///
    /// If the range is empty. The first poll panics if the lower end exceeds [`Semaphore::MAX_PERMITS`], which is
    /// possible on 32-bit machines only, and may panic if more than 2<sup>59</sup> permits are waited for. A poll after the
    /// future has returned panics, too.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), semafair::AcquireError> {
    /// use std::sync::Arc;
    /// use semafair::Semaphore;
    ///
    /// let workers = Arc::new(Semaphore::new(6));
    /// let some = workers.clone().acquire_between_owned(1..=4).await?;
    /// let rest = workers.clone().acquire_between_owned(1..=4).await?;
    /// assert_eq!((some.num_permits(), rest.num_permits()), (4, 2));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn acquire_between_owned(
        self: Arc<Self>,
        permits: RangeInclusive<u32>,
    ) -> AcquireBetweenOwned {
        let (min, max) = ends(&permits);
        AcquireBetweenOwned { semaphore: Some(self), request: Between::new(min, max) }
    }

    /// Takes as many permits as are free now, in a range, and does not wait.
    /// [`num_permits`](SemaphorePermit::num_permits) of the guard says how many.
    ///
    /// They are taken in one step of the [total order](Semaphore#memory-ordering). It never overtakes somebody who
    /// waits. Where the lower end of the range is 0, it succeeds unless the semaphore is closed.
    /// A failed attempt also synchronizes: what was done before the missing permits were taken is
    /// visible after it.
    ///
    /// # Errors
    ///
    /// - [`TryAcquireError::Closed`] if the semaphore is closed.
    /// - [`TryAcquireError::NoPermits`] if fewer permits are free than the lower end of the range, or somebody waits.
    ///
    /// # Panics
    ///
    /// If the range is empty, or if its lower end exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit
    /// machines only.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::{Semaphore, TryAcquireError};
    ///
    /// let semaphore = Semaphore::new(3);
    /// let some = semaphore.try_acquire_between(1..=2)?;
    /// assert_eq!(some.num_permits(), 2);
    /// let all = semaphore.try_acquire_between(1..=u32::MAX)?;
    /// assert_eq!(all.num_permits(), 1);
    /// assert_eq!(semaphore.try_acquire_between(1..=2).unwrap_err(), TryAcquireError::NoPermits);
    /// # Ok::<(), TryAcquireError>(())
    /// ```
    #[track_caller]
    pub fn try_acquire_between(
        &self,
        permits: RangeInclusive<u32>,
    ) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        let (min, max) = ends(&permits);
        Ok(SemaphorePermit::new(self, self.try_take_between(min, max)?))
    }

    /// Takes as many permits as are free now, in a range, and does not wait. The guard keeps the semaphore alive.
    /// [`num_permits`](OwnedSemaphorePermit::num_permits) of the guard says how many.
    ///
    /// They are taken in one step of the [total order](Semaphore#memory-ordering). It never overtakes somebody who
    /// waits. Where the lower end of the range is 0, it succeeds unless the semaphore is closed.
    /// A failed attempt also synchronizes: what was done before the missing permits were taken is
    /// visible after it.
    ///
    /// # Errors
    ///
    /// - [`TryAcquireError::Closed`] if the semaphore is closed.
    /// - [`TryAcquireError::NoPermits`] if fewer permits are free than the lower end of the range, or somebody waits.
    ///
    /// # Panics
    ///
    /// If the range is empty, or if its lower end exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit
    /// machines only.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use semafair::{Semaphore, TryAcquireError};
    ///
    /// let semaphore = Arc::new(Semaphore::new(3));
    /// let some = semaphore.clone().try_acquire_between_owned(1..=2)?;
    /// assert_eq!(some.num_permits(), 2);
    /// # Ok::<(), TryAcquireError>(())
    /// ```
    #[track_caller]
    pub fn try_acquire_between_owned(
        self: Arc<Self>,
        permits: RangeInclusive<u32>,
    ) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        let (min, max) = ends(&permits);
        let taken = self.try_take_between(min, max)?;
        Ok(OwnedSemaphorePermit::new(self, taken))
    }
}
