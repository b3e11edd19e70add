//! Acquiring from a semaphore that is a part of something shared.

use alloc::sync::Arc;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use crate::acquire::refused;
use crate::core::request::Request;
use crate::error::{AcquireError, TryAcquireError};
use crate::handle::Handle;
use crate::permit::PermitIn;
use crate::semaphore::Semaphore;

/// Waits for permits, and keeps alive what the semaphore is a part of; made by
/// [`Semaphore::acquire_in`] and [`Semaphore::acquire_many_in`].
///
/// It takes its place in the line when it is first polled, and keeps it until it returns or is
/// dropped. It may be polled with a different waker each time; the last one is woken. It may be moved while
/// it waits, stored in a struct, and spawned as a task. It holds the owner until it has returned.
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
#[must_use = "futures do nothing unless polled"]
pub struct AcquireIn<T: ?Sized> {
    /// `None` once it has returned.
    semaphore: Option<Handle<T>>,
    request: Request,
}

impl<T: ?Sized> Future for AcquireIn<T> {
    type Output = Result<PermitIn<T>, AcquireError>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Some(semaphore) = &this.semaphore else {
            panic!("`AcquireIn` polled after completion")
        };
        let result = ready!(this.request.poll(&semaphore.core, cx));
        let Some(semaphore) = this.semaphore.take() else {
            unreachable!("it was there a moment ago");
        };
        Poll::Ready(match result {
            Ok(()) => Ok(PermitIn::new(semaphore, this.request.permits())),
            Err(reason) => Err(refused(&semaphore, reason)),
        })
    }
}

impl<T: ?Sized> Drop for AcquireIn<T> {
    fn drop(&mut self) {
        if let Some(semaphore) = &self.semaphore {
            self.request.cancel(&semaphore.core);
        }
    }
}

impl<T: ?Sized> fmt::Debug for AcquireIn<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.request.fmt_as("AcquireIn", f)
    }
}

impl<T: ?Sized> AcquireIn<T> {
    /// Takes its place in the line now, before the first poll; or the permits, if they are free and nobody
    /// waits.
    ///
    /// Requests are served in the order in which they asked: by this call, or else by their first poll. Does
    /// nothing if the future has asked already. Permits that are granted before the next poll are kept for
    /// it, and nobody else can use them. So poll the future soon, or drop it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up its place in the line, also if it was never polled. Permits that it had
    /// already go to others.
    ///
    /// # Panics
    ///
    /// If the request exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit machines only, and possibly if
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
}

impl Semaphore {
    /// Waits for a permit of the semaphore that is a part of `owner`. The future and the guard keep the
    /// owner alive.
    ///
    /// With [`acquire_owned`](Self::acquire_owned), a struct that has a semaphore must keep that in an
    /// [`Arc`] of its own. Here, the struct's own `Arc` does. `owner` is asked for its semaphore once, by
    /// this call.
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
    /// A pool that has a semaphore, and hands out connections that keep the pool alive:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), semafair::AcquireError> {
    /// use std::sync::{Arc, Mutex};
    /// use semafair::{PermitIn, Semaphore};
    ///
    /// struct Pool {
    ///     idle: Mutex<Vec<u32>>,
    ///     connections: Semaphore,
    /// }
    ///
    /// impl AsRef<Semaphore> for Pool {
    ///     fn as_ref(&self) -> &Semaphore {
    ///         &self.connections
    ///     }
    /// }
    ///
    /// struct Connection {
    ///     number: u32,
    ///     permit: PermitIn<Pool>,
    /// }
    ///
    /// impl Drop for Connection {
    ///     fn drop(&mut self) {
    ///         self.permit.owner().idle.lock().unwrap().push(self.number);
    ///     }
    /// }
    ///
    /// let pool = Arc::new(Pool { idle: Mutex::new(vec![1, 2]), connections: Semaphore::new(2) });
    /// let permit = Semaphore::acquire_in(pool.clone()).await?;
    /// let number = pool.idle.lock().unwrap().pop().unwrap();
    /// let connection = Connection { number, permit };
    /// assert_eq!(pool.connections.available_permits(), 1);
    /// drop(connection);
    /// assert_eq!(pool.connections.available_permits(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn acquire_in<T>(owner: Arc<T>) -> AcquireIn<T>
    where
        T: AsRef<Self> + ?Sized,
    {
        Self::acquire_many_in(owner, 1)
    }

    /// Waits for `n` permits of the semaphore that is a part of `owner`, and returns them in one guard. The
    /// future and the guard keep the owner alive, which is asked for its semaphore once, by this call.
    ///
    /// The returned future takes its place in the line when it is first polled. Waiters are served in
    /// that order, however many permits they ask for. When the request is at the head of the line, permits
    /// that come back are kept for it until it has all, so requests for fewer permits cannot starve it.
    ///
    /// `n == 0` does not wait, even behind others; it is refused if the semaphore is closed. If `n` exceeds the permits
    /// that there will ever be, the request waits for ever, and so do all behind it.
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
    /// `Arc<Semaphore>` is an owner, too, and so is a trait object:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), semafair::AcquireError> {
    /// use std::sync::Arc;
    /// use semafair::Semaphore;
    ///
    /// let owner: Arc<dyn AsRef<Semaphore>> = Arc::new(Semaphore::new(3));
    /// let two = Semaphore::acquire_many_in(owner.clone(), 2).await?;
    /// assert_eq!(two.semaphore().available_permits(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn acquire_many_in<T>(owner: Arc<T>, n: u32) -> AcquireIn<T>
    where
        T: AsRef<Self> + ?Sized,
    {
        AcquireIn { semaphore: Some(Handle::new(owner)), request: Request::new(n) }
    }

    /// Takes a permit of the semaphore that is a part of `owner`, if one is free now, and does not wait. The
    /// guard keeps the owner alive, which is asked for its semaphore once.
    ///
    /// It never overtakes somebody who waits.
    ///
    /// # Errors
    ///
    /// - [`TryAcquireError::Closed`] if the semaphore is closed.
    /// - [`TryAcquireError::NoPermits`] if no permit is free, or somebody waits.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use semafair::{Semaphore, TryAcquireError};
    ///
    /// let semaphore = Arc::new(Semaphore::new(1));
    /// let permit = Semaphore::try_acquire_in(semaphore.clone())?;
    /// assert!(Semaphore::try_acquire_in(semaphore).is_err());
    /// # drop(permit);
    /// # Ok::<(), TryAcquireError>(())
    /// ```
    pub fn try_acquire_in<T>(owner: Arc<T>) -> Result<PermitIn<T>, TryAcquireError>
    where
        T: AsRef<Self> + ?Sized,
    {
        Self::try_acquire_many_in(owner, 1)
    }

    /// Takes `n` permits of the semaphore that is a part of `owner`, if that many are free now, all of them or
    /// none, and does not wait. The guard keeps the owner alive, which is asked for its semaphore once.
    ///
    /// It never overtakes somebody who waits. `n == 0` succeeds unless the semaphore is closed.
    ///
    /// # Errors
    ///
    /// - [`TryAcquireError::Closed`] if the semaphore is closed.
    /// - [`TryAcquireError::NoPermits`] if fewer than `n` permits are free, or somebody waits.
    ///
    /// # Panics
    ///
    /// If `n` exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit machines only.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use semafair::{Semaphore, TryAcquireError};
    ///
    /// let semaphore = Arc::new(Semaphore::new(4));
    /// let permits = Semaphore::try_acquire_many_in(semaphore, 3)?;
    /// assert_eq!(permits.num_permits(), 3);
    /// # Ok::<(), TryAcquireError>(())
    /// ```
    #[track_caller]
    pub fn try_acquire_many_in<T>(owner: Arc<T>, n: u32) -> Result<PermitIn<T>, TryAcquireError>
    where
        T: AsRef<Self> + ?Sized,
    {
        let semaphore = Handle::new(owner);
        semaphore.try_take(n)?;
        Ok(PermitIn::new(semaphore, n))
    }
}

/// A semaphore belongs to itself.
impl AsRef<Self> for Semaphore {
    fn as_ref(&self) -> &Self {
        self
    }
}
