//! One pool of permits, shared fairly among keys.

pub(crate) mod acquire;
pub(crate) mod builder;
pub(crate) mod permit;
mod pool;
mod tenant;
mod turns;

use alloc::sync::Arc;
use core::borrow::Borrow;
use core::fmt;
use core::hash::Hash;
use std::hash::RandomState;

use self::acquire::PartitionedAcquire;
use self::builder::PartitionedBuilder;
use self::permit::PartitionedPermit;
use self::pool::Pool;
use self::tenant::{Tenant, TenantEntry};
use crate::drained::DrainedOwned;
use crate::error::TryAcquireError;
use crate::registry::{Found, Registry};
use crate::semaphore::Semaphore;
use crate::status::Status;

/// One pool of permits that keys, such as tenants or users, share fairly: keys that wait take turns.
///
/// A [`Semaphore`] serves requests in the order in which they came. So if one tenant sends a thousand requests, all others wait
/// behind them. Its fairness is between requests; this one's is between keys. Within a key, requests are served in their order.
///
/// Clones share the same pool. Cloning adds to a reference count.
///
/// # Fairness
///
/// Keys that wait form a ring, and have their turns one after the other (deficit round robin). In its turn, a key is granted
/// as many permits as its [weight](PartitionedBuilder::weight), which is 1 unless you say otherwise. So:
///
/// - A key that begins to wait for one permit waits for at most one turn of each other key that waits, however many
///   requests these have.
/// - Among keys that always wait, permits are granted in proportion to the weights, up to the size of one request.
/// - A request for more permits than the weight has saved up for it after some rounds. When it is next, it waits until all its
///   permits are free, and nobody is served before it. So large requests do not starve.
/// - A key that does not wait saves up nothing.
/// - A key that has as many permits as its [ceiling](PartitionedBuilder::ceiling) allows leaves the ring until some of its
///   permits come back, and keeps nobody waiting.
///
/// Permits are never taken back from who has them. So a key that comes when all permits are held waits for the next that are
/// released. A ceiling keeps one key from having them all.
///
/// # It locks
///
/// Unlike [`Semaphore`], this has a lock, which each call holds for a short time: some steps for each request that it grants,
/// in `O(log n)` each, and where no request of a whole round fits the weights, some for each key that waits. It is never held at
/// an `.await`, and no code of yours runs under it: wakers, `Hash`, `Eq`, `Drop` of keys and the functions of the builder run
/// outside, and may panic or use the same pool. If a thread is suspended while it holds the lock, **all other threads that
/// use the pool block** until it goes on. Where that must not be, use a [`Semaphore`], or one for each key
/// ([`KeyedSemaphore`](crate::KeyedSemaphore)).
///
/// # Memory
///
/// A key has an entry as long as somebody has permits of it, or a future. Then it is gone, by itself: other keys cost nothing. What remains
/// in the map of keys is as for [`KeyedSemaphore`](crate::KeyedSemaphore#progress-and-memory).
///
/// # Cancel safety
///
/// Dropping an acquire future gives up its place, and permits that it was granted go to others.
///
/// # Examples
///
/// One tenant's crowd, and another's single request:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), semafair::AcquireError> {
/// use semafair::PartitionedSemaphore;
/// use tokio::task::JoinSet;
///
/// let workers = PartitionedSemaphore::new(1);
/// let mut done = JoinSet::new();
/// for job in 0..101 {
///     let tenant = if job < 100 { "crowd" } else { "ann" };
///     let permit = workers.acquire(tenant);
///     done.spawn(async move {
///         let _permit = permit.await?;
///         tokio::task::yield_now().await; // the work
///         Ok::<_, semafair::AcquireError>(tenant)
///     });
/// }
///
/// let mut before = 0;
/// while done.join_next().await.unwrap().unwrap()? != "ann" {
///     before += 1;
/// }
/// assert!(before <= 2, "the one that had a permit, and one turn");
/// # Ok(())
/// # }
/// ```
pub struct PartitionedSemaphore<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    settings: PartitionedBuilder<K>,
    pool: Arc<Pool>,
    /// Its places are closed after the pool.
    registry: Arc<Registry<K, Tenant, RandomState>>,
}

impl<K> PartitionedBuilder<K> {
    /// Makes the pool.
    #[must_use]
    pub fn build(self) -> PartitionedSemaphore<K> {
        let pool = Arc::new(Pool::new(self.permits()));
        let registry = Arc::new(Registry::new(RandomState::new()));
        let shared = Shared { settings: self, pool, registry };
        PartitionedSemaphore { shared: Arc::new(shared) }
    }
}

impl<K> PartitionedSemaphore<K> {
    /// Creates a pool of the given number of permits, which keys of equal weight share.
    ///
    /// # Panics
    ///
    /// If `permits` exceeds [`Semaphore::MAX_PERMITS`].
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::PartitionedSemaphore;
    ///
    /// let workers = PartitionedSemaphore::new(2);
    /// let permit = workers.try_acquire("ann").unwrap();
    /// # drop(permit);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn new(permits: usize) -> Self {
        Self::builder(permits).build()
    }

    /// Makes a builder, to give weights and ceilings to the keys.
    ///
    /// # Panics
    ///
    /// If `permits` exceeds [`Semaphore::MAX_PERMITS`].
    #[track_caller]
    pub fn builder(permits: usize) -> PartitionedBuilder<K> {
        PartitionedBuilder::new(permits)
    }

    /// Returns what the pool looks like. No permit counts as available while somebody waits for it.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::PartitionedSemaphore;
    ///
    /// let workers = PartitionedSemaphore::new(5);
    /// let permits = workers.try_acquire_many("ann", 2);
    /// assert_eq!(workers.status().available, 3);
    /// # drop(permits);
    /// ```
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.pool.status()
    }

    fn places(&self) -> &Arc<Semaphore> {
        self.shared.registry.places()
    }

    /// Returns the number of keys that are in use.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places().outstanding()
    }

    /// Returns whether no key is in use.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `f` with each key that is in use, and with what its share looks like. A key that comes into use or goes out of
    /// use during the call may be among them or not.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::PartitionedSemaphore;
    ///
    /// let workers = PartitionedSemaphore::new(5);
    /// let permits = workers.try_acquire_many("ann", 2);
    /// workers.for_each(|key, status| assert_eq!((*key, status.outstanding), ("ann", 2)));
    /// # drop(permits);
    /// ```
    pub fn for_each(&self, mut f: impl FnMut(&K, Status)) {
        for entry in self.shared.registry.entries() {
            f(entry.key(), entry.value().status());
        }
    }

    /// Closes the pool: it grants no more permits, and all waiters are woken and get an error.
    ///
    /// Permits that were granted before stay valid, even if their futures have not been polled since. See
    /// [`drained`](Self::drained) to wait for their end. No key comes into use any more: of one that was not in use,
    /// [`len`](Self::len), [`for_each`](Self::for_each), [`status_of`](Self::status_of) and `drained` know nothing.
    ///
    /// # Panics
    ///
    /// If a waker panics. The pool is closed then, and all other waiters were woken.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::{PartitionedSemaphore, TryAcquireError};
    ///
    /// let workers = PartitionedSemaphore::new(1);
    /// workers.close();
    /// assert_eq!(workers.try_acquire("ann").unwrap_err(), TryAcquireError::Closed);
    /// ```
    pub fn close(&self) {
        // After the pool, so that every key that is granted something counts; and also if a waker panics.
        let _places = self.places().close_on_drop();
        self.shared.pool.close();
    }

    /// Returns whether the pool is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.pool.is_closed()
    }

    /// Waits until the pool is closed and no key is in use any more.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the wait, and changes nothing else.
    pub fn drained(&self) -> DrainedOwned {
        self.places().clone().drained_owned()
    }
}

impl<K: Hash + Eq> PartitionedSemaphore<K> {
    #[track_caller]
    fn tenant(&self, key: K) -> Arc<TenantEntry<K>> {
        let Shared { settings, pool, registry } = &*self.shared;
        match registry.entry(key) {
            Found::InUse(tenant) => tenant,
            Found::Vacant(vacant) => {
                let terms = settings.terms(vacant.key());
                vacant.insert(Tenant { terms, pool: pool.clone() })
            }
        }
    }

    /// Waits for a permit, in the line of `key`.
    ///
    /// The key is in use from this call on. The future takes its place in the line when it is first polled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it has returned gives up its place, and a permit that it was granted goes to others.
    ///
    /// # Errors
    ///
    /// [`AcquireError`](crate::AcquireError) if the pool is closed before the permit is granted, or if the pool or the ceiling of the
    /// key is 0.
    ///
    /// # Panics
    ///
    /// A panic of the key's `Hash` or `Eq`, or of a function of the builder, comes out of this call; so does a weight of 0.
    /// Nothing has changed then.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), semafair::AcquireError> {
    /// use semafair::PartitionedSemaphore;
    ///
    /// let workers = PartitionedSemaphore::new(2);
    /// let permit = workers.acquire("ann").await?;
    /// # drop(permit);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn acquire(&self, key: K) -> PartitionedAcquire<K> {
        self.acquire_many(key, 1)
    }

    /// Waits for `n` permits, all of them at once, in the line of `key`.
    ///
    /// `n == 0` does not wait, unless the pool is closed. The rest is as for [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it has returned gives up its place, and permits that it was granted go to others.
    ///
    /// # Errors
    ///
    /// [`AcquireError`](crate::AcquireError) if the pool is closed before the permits are granted, or at once if `n` exceeds the
    /// permits of the pool or the ceiling of the key.
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use semafair::PartitionedSemaphore;
    ///
    /// let memory = PartitionedSemaphore::new(100);
    /// assert!(memory.acquire_many("ann", 100).await.is_ok());
    /// assert!(memory.acquire_many("ann", 101).await.unwrap_err().is_oversized());
    /// # }
    /// ```
    #[track_caller]
    pub fn acquire_many(&self, key: K, n: u32) -> PartitionedAcquire<K> {
        PartitionedAcquire::new(self.tenant(key), n)
    }

    /// Takes a permit for `key` if one is free and nobody waits for it, and does not wait.
    ///
    /// It never overtakes: it fails while any key waits for permits of the pool, whoever's turn it is. Keys that wait because they are at
    /// their ceilings do not count, unless it is the same key.
    ///
    /// # Errors
    ///
    /// - [`TryAcquireError::Closed`] if the pool is closed.
    /// - [`TryAcquireError::NoPermits`] if no permit is free, the key is at its ceiling, or somebody waits.
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::PartitionedSemaphore;
    ///
    /// let workers = PartitionedSemaphore::new(1);
    /// let permit = workers.try_acquire("ann").unwrap();
    /// assert!(workers.try_acquire("bob").is_err());
    /// # drop(permit);
    /// ```
    #[track_caller]
    pub fn try_acquire(&self, key: K) -> Result<PartitionedPermit<K>, TryAcquireError> {
        self.try_acquire_many(key, 1)
    }

    /// Takes `n` permits for `key` if that many are free and nobody waits for them, all of them or none, and does not
    /// wait. It overtakes nobody, as [`try_acquire`](Self::try_acquire).
    ///
    /// # Errors
    ///
    /// - [`TryAcquireError::Closed`] if the pool is closed.
    /// - [`TryAcquireError::NoPermits`] if fewer than `n` permits are free, the key would exceed its ceiling, or somebody
    ///   waits.
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire).
    #[track_caller]
    pub fn try_acquire_many(
        &self,
        key: K,
        n: u32,
    ) -> Result<PartitionedPermit<K>, TryAcquireError> {
        let tenant = self.tenant(key);
        tenant.value().try_take(n)?;
        Ok(PartitionedPermit::new(tenant, n))
    }
}

impl<K> PartitionedSemaphore<K> {
    /// Returns what the share of a key looks like; `None` if the key is not in use.
    ///
    /// Its `limit` is the ceiling of the key, or the size of the pool if that is less. `available` is what the key could
    /// take at once, `outstanding` what it has, and `queued` what it waits for.
    ///
    /// # Panics
    ///
    /// If the key's `Hash` or `Eq` does.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::PartitionedSemaphore;
    ///
    /// let workers = PartitionedSemaphore::new(5);
    /// let permits = workers.try_acquire_many("ann", 2);
    /// assert_eq!(workers.status_of("ann").unwrap().outstanding, 2);
    /// assert_eq!(workers.status_of("bob"), None);
    /// # drop(permits);
    /// ```
    #[must_use]
    pub fn status_of<Q>(&self, key: &Q) -> Option<Status>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        Some(self.shared.registry.get(key)?.value().status())
    }
}

impl<K> Clone for PartitionedSemaphore<K> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<K> fmt::Debug for PartitionedSemaphore<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionedSemaphore")
            .field("status", &self.status())
            .field("keys", &self.len())
            .finish_non_exhaustive()
    }
}
