//! Acquiring permits of a key.

use core::fmt;
use core::future::Future;
use core::hash::{BuildHasher, Hash};
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::hash::RandomState;

use crate::acquire_in::AcquireIn;
use crate::error::{AcquireError, TryAcquireError};
use crate::keyed::KeyedSemaphore;
use crate::keyed::entry::KeyEntry;
use crate::keyed::permit::KeyedPermit;
use crate::semaphore::Semaphore;

/// Waits for permits of one key; made by [`KeyedSemaphore::acquire`](KeyedSemaphore::acquire) and
/// [`KeyedSemaphore::acquire_many`](KeyedSemaphore::acquire_many).
///
/// It takes its place in the line of its key when it is first polled, or [enqueued](Self::enqueue), and keeps it until
/// it returns or is dropped. It may be moved while it waits, stored in a struct, and spawned as a task. The key is in use as
/// long as the future exists.
///
/// # Cancel safety
///
/// Dropping it before it has returned gives up its place in the line, at once and in constant time on average.
/// Permits that it had already go to others. A new request starts at the end of the line.
///
/// # Panics
///
/// The first poll panics if the request exceeds [`Semaphore::MAX_PERMITS`](Semaphore::MAX_PERMITS), which is
/// possible on 32-bit machines only, and may panic if more than 2<sup>59</sup> permits of the key are waited for. A poll after it
/// returned [`Poll::Ready`] panics.
///
/// Dropping it may wake others, to whom its permits go. If one of their wakers panics, all others are woken
/// nevertheless, no permit is lost, and then the panic comes out.
#[must_use = "futures do nothing unless polled"]
pub struct KeyedAcquire<K, S = RandomState> {
    acquire: AcquireIn<KeyEntry<K, S>>,
}

impl<K, S> KeyedAcquire<K, S> {
    pub(crate) const fn new(acquire: AcquireIn<KeyEntry<K, S>>) -> Self {
        Self { acquire }
    }

    /// Takes its place in the line now, before the first poll; or the permits, if they are free and nobody waits.
    ///
    /// Does nothing if the future has asked already. Permits that are granted before the next poll are kept for it,
    /// and nobody else can use them. So poll the future soon, or drop it.
    ///
    /// # Panics
    ///
    /// As the first poll would.
    #[track_caller]
    pub fn enqueue(&mut self) {
        self.acquire.enqueue();
    }

    /// Returns whether it waits in the line, and was neither granted nor refused yet.
    #[must_use]
    pub fn is_queued(&self) -> bool {
        self.acquire.is_queued()
    }
}

impl<K, S> Future for KeyedAcquire<K, S> {
    type Output = Result<KeyedPermit<K, S>, AcquireError>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let granted = ready!(Pin::new(&mut self.get_mut().acquire).poll(cx));
        Poll::Ready(granted.map(KeyedPermit::new))
    }
}

impl<K, S> fmt::Debug for KeyedAcquire<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyedAcquire").field(&self.acquire).finish()
    }
}

impl<K, S> KeyedSemaphore<K, S>
where
    K: Hash + Eq,
    S: BuildHasher,
{
    /// Waits for a permit of `key`.
    ///
    /// The key is in use from this call on. The future takes its place in the line of the key when it is first polled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it has returned gives up its place in the line, at once and in constant time on
    /// average. Permits that it had already go to others.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] if everything, or this key's semaphore, is closed before the permit is granted.
    ///
    /// # Panics
    ///
    /// A panic of the key's `Hash` or `Eq`, or of the function of the limit, comes out of this call; so does a limit above
    /// [`Semaphore::MAX_PERMITS`]. Nothing has changed then.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), semafair::AcquireError> {
    /// use semafair::KeyedSemaphore;
    ///
    /// let per_user = KeyedSemaphore::new(1);
    /// let permit = per_user.acquire("ann").await?;
    /// let other = per_user.acquire("bob").await?;
    /// # drop((permit, other));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn acquire(&self, key: K) -> KeyedAcquire<K, S> {
        self.acquire_many(key, 1)
    }

    /// Waits for `n` permits of `key`, all of them at once.
    ///
    /// The rest is as for [`acquire`](Self::acquire). A request for more permits than the key has waits, as one of
    /// [`Semaphore::acquire_many`] does, until its semaphore has more or is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it has returned gives up its place in the line, at once and in constant time on
    /// average. Permits that it had already, some or all of them, go to others.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] if everything, or this key's semaphore, is closed before the permits are
    /// granted.
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire).
    #[track_caller]
    pub fn acquire_many(&self, key: K, n: u32) -> KeyedAcquire<K, S> {
        KeyedAcquire::new(Semaphore::acquire_many_in(self.entry(key), n))
    }

    /// Takes a permit of `key` if one is free now, and does not wait.
    ///
    /// It never overtakes somebody who waits for the same key.
    ///
    /// # Errors
    ///
    /// - [`TryAcquireError::Closed`] if it is closed.
    /// - [`TryAcquireError::NoPermits`] if no permit of the key is free, or somebody waits for one.
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::KeyedSemaphore;
    ///
    /// let per_user = KeyedSemaphore::new(1);
    /// let permit = per_user.try_acquire("ann").unwrap();
    /// assert!(per_user.try_acquire("ann").is_err());
    /// # drop(permit);
    /// ```
    #[track_caller]
    pub fn try_acquire(&self, key: K) -> Result<KeyedPermit<K, S>, TryAcquireError> {
        self.try_acquire_many(key, 1)
    }

    /// Takes `n` permits of `key` if that many are free now, all of them or none, and does not wait.
    ///
    /// # Errors
    ///
    /// - [`TryAcquireError::Closed`] if it is closed.
    /// - [`TryAcquireError::NoPermits`] if fewer than `n` permits of the key are free, or somebody waits for one.
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire), and if `n` exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit
    /// machines only.
    #[track_caller]
    pub fn try_acquire_many(&self, key: K, n: u32) -> Result<KeyedPermit<K, S>, TryAcquireError> {
        Semaphore::try_acquire_many_in(self.entry(key), n).map(KeyedPermit::new)
    }
}
