//! A limit for each key.

pub(crate) mod acquire;
pub(crate) mod entry;
pub(crate) mod handle;
pub(crate) mod permit;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::fmt;
use core::hash::{BuildHasher, Hash};
use std::hash::RandomState;

use self::entry::KeyEntry;
use self::handle::KeyedHandle;
use crate::core::balance::check_permits;
use crate::drained::DrainedOwned;
use crate::registry::{Found, Registry};
use crate::semaphore::Semaphore;
use crate::status::Status;
use crate::sync::{SeqCst, fence};
use crate::wakes::waking;

/// A limit for each key, such as a tenant, a host or a user: a [`Semaphore`] for each key that is in use.
///
/// A key is in use as long as somebody has a permit of it, a future that waits for one, or a [handle](Self::handle). Its
/// semaphore is made on first use, with the same number of permits for each key ([`new`](Self::new)) or by a function of the
/// key ([`with`](Self::with)). When the key is not in use any more, the semaphore goes away by itself.
///
/// Clones share the same limits. Cloning adds to a reference count.
///
/// # One semaphore for a key at a time
///
/// A map of semaphores written by hand often looks whether one is idle, and then removes it. Somebody may take it between
/// these two steps. Then the next one makes a second semaphore for the same key, and twice as many run as should; or a late
/// release finds the second one, and changes that. It has happened in [Effect](https://github.com/Effect-TS/effect/issues/7580),
/// in [concurrency-limits](https://github.com/Netflix/concurrency-limits/issues/234) and in
/// [neon](https://github.com/neondatabase/neon/pull/5799).
///
/// Here, the map has a [`Weak`](std::sync::Weak) pointer, and permits and futures have an [`Arc`]. "Is it in use? Then use
/// it" is one atomic step of that `Arc`. A semaphore that is not in use cannot come into use again, and removes from the map
/// itself only, by its address. A new one is made only in place of one that is over.
///
/// # Fairness, cancel safety, memory ordering
///
/// Those of [`Semaphore`], within each key. Keys know nothing of each other. To share one pool among keys, use
/// [`PartitionedSemaphore`](crate::PartitionedSemaphore); to take a permit of a key and one of a common semaphore without
/// holding one while waiting for the other, [`Semaphore::acquire_all`].
///
/// # Progress and memory
///
/// Waiting, granting and releasing are those of [`Semaphore`]: lock-free. A key's semaphore is found, made and removed in
/// a map of the crate [papaya](https://docs.rs/papaya). That is lock-free as well, but while its table grows or shrinks: then
/// who makes or removes a key helps with the copying, and waits until it is done. If a thread is suspended in the middle of
/// it, these calls wait for that thread. None of your code runs meanwhile, and no lock is held at an `.await`.
///
/// The map was chosen because of that. The others that are well kept, `dashmap` and `scc`, compare keys under a lock. A key's
/// `Eq` that uses the same map may deadlock there. The price is time where keys come and go, and memory. On two cores of an AMD
/// EPYC (Zen 3), the use of a key that stays in use took papaya 48 ns on one thread and 91 on two, scc 35 and 247, and
/// dashmap 36 and 199; a key that came and went, 290 and 860, 167 and 387, and 144 and 342
/// (`cargo run --release -p semafair-benches --bin keyed-maps`). And:
///
/// - A key that is not in use keeps nothing of yours: its key is dropped by whoever used it last. The blocks of memory that
///   they were in are freed in batches, whose size depends on the number of processors.
/// - The table shrinks only when many new keys come. Until then, there remain up to 36 bytes for each key of those that were
///   in use at the same time.
/// - If a thread is suspended in the middle of a call, blocks that others leave are not freed until it goes on.
///
/// # Panics of your code
///
/// The key's `Hash` and `Eq`, and the function of the limit, run while nothing is locked or half done. They may panic, or use
/// the same `KeyedSemaphore`. The function may be called although another thread makes the same key's
/// semaphore at the same time; then what it returns is ignored.
///
/// # Examples
///
/// At most two requests to each host at a time:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), semafair::AcquireError> {
/// use semafair::KeyedSemaphore;
///
/// let per_host = KeyedSemaphore::new(2);
/// let mut requests = Vec::new();
/// for url in ["a.org/1", "a.org/2", "a.org/3", "b.org/1"] {
///     let host = url.split('/').next().unwrap();
///     let permit = per_host.acquire(host);
///     requests.push(tokio::spawn(async move {
///         let _permit = permit.await?;
///         // … fetches it
///         Ok::<_, semafair::AcquireError>(())
///     }));
/// }
/// for request in requests {
///     request.await.unwrap()?;
/// }
/// assert!(per_host.is_empty());
/// # Ok(())
/// # }
/// ```
pub struct KeyedSemaphore<K, S = RandomState> {
    shared: Arc<Shared<K, S>>,
}

struct Shared<K, S> {
    /// Its places are closed before all keys are.
    registry: Arc<Registry<K, Semaphore, S>>,
    limit: Limit<K>,
}

enum Limit<K> {
    Same(usize),
    By(Box<dyn Fn(&K) -> usize + Send + Sync>),
}

impl<K> KeyedSemaphore<K> {
    /// Creates limits of `permits` for each key.
    ///
    /// # Panics
    ///
    /// If `permits` exceeds [`Semaphore::MAX_PERMITS`].
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::KeyedSemaphore;
    ///
    /// let per_user = KeyedSemaphore::new(1);
    /// let first = per_user.try_acquire(7).unwrap();
    /// assert!(per_user.try_acquire(7).is_err());
    /// assert!(per_user.try_acquire(8).is_ok());
    /// # drop(first);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn new(permits: usize) -> Self {
        Self::with_hasher(permits, RandomState::new())
    }

    /// Creates limits by a function of the key.
    ///
    /// The function is called when a key comes into use. If it returns more than [`Semaphore::MAX_PERMITS`], the call that
    /// needed it panics.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::KeyedSemaphore;
    ///
    /// let per_tenant = KeyedSemaphore::with(|tenant: &String| match tenant.as_str() {
    ///     "big" => 100,
    ///     _ => 2,
    /// });
    /// assert!(per_tenant.try_acquire_many("big".to_owned(), 50).is_ok());
    /// assert!(per_tenant.try_acquire_many("small".to_owned(), 50).is_err());
    /// ```
    #[must_use]
    pub fn with(limit: impl Fn(&K) -> usize + Send + Sync + 'static) -> Self {
        Self::with_and_hasher(limit, RandomState::new())
    }
}

impl<K, S> KeyedSemaphore<K, S> {
    /// As [`new`](Self::new), with a hasher of yours.
    ///
    /// # Panics
    ///
    /// If `permits` exceeds [`Semaphore::MAX_PERMITS`].
    #[must_use]
    #[track_caller]
    pub fn with_hasher(permits: usize, hasher: S) -> Self {
        check_permits(permits);
        Self::build(Limit::Same(permits), hasher)
    }

    /// As [`with`](KeyedSemaphore::with), with a hasher of yours.
    #[must_use]
    pub fn with_and_hasher(limit: impl Fn(&K) -> usize + Send + Sync + 'static, hasher: S) -> Self {
        Self::build(Limit::By(Box::new(limit)), hasher)
    }

    fn build(limit: Limit<K>, hasher: S) -> Self {
        let registry = Arc::new(Registry::new(hasher));
        Self { shared: Arc::new(Shared { registry, limit }) }
    }

    /// Returns the number of keys that are in use.
    ///
    /// A key that comes into use or goes out of use during the call may count or not.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::KeyedSemaphore;
    ///
    /// let keys = KeyedSemaphore::new(1);
    /// let permit = keys.try_acquire("a");
    /// assert_eq!(keys.len(), 1);
    /// drop(permit);
    /// assert_eq!(keys.len(), 0);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.places().outstanding()
    }

    /// Returns whether no key is in use.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns a handle for each key that is in use. One that comes into use or goes out of use during the call may be
    /// among them or not.
    ///
    /// The keys are in use as long as their handles exist.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::KeyedSemaphore;
    ///
    /// let keys = KeyedSemaphore::new(3);
    /// let permit = keys.try_acquire_many("a", 2);
    /// for (key, status) in keys.iter() {
    ///     assert_eq!((*key.key(), status.available), ("a", 1));
    /// }
    /// # drop(permit);
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (KeyedHandle<K, S>, Status)> + use<K, S> {
        self.handles().into_iter().map(|handle| {
            let status = handle.semaphore().status();
            (handle, status)
        })
    }

    fn places(&self) -> &Arc<Semaphore> {
        self.shared.registry.places()
    }

    fn handles(&self) -> Vec<KeyedHandle<K, S>> {
        self.shared.registry.entries().into_iter().map(KeyedHandle::new).collect()
    }

    /// Closes the semaphores of all keys, now and for ever: no more permits are granted, and all waiters are woken and
    /// get an error.
    ///
    /// Permits that were granted before stay valid. See [`drained`](Self::drained) to wait for their end. No key comes into use
    /// any more: the semaphore of a key that was not in use is closed as well, and [`len`](Self::len), [`iter`](Self::iter),
    /// [`status`](Self::status) and `drained` know nothing of it.
    ///
    /// # Panics
    ///
    /// If a waker panics, or the drop of a key that is not in use any more. Everything is closed then, and all other waiters
    /// were woken.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::{KeyedSemaphore, TryAcquireError};
    ///
    /// let keys = KeyedSemaphore::new(1);
    /// keys.close();
    /// assert_eq!(keys.try_acquire("a").unwrap_err(), TryAcquireError::Closed);
    /// ```
    pub fn close(&self) {
        waking(|wakes| {
            wakes.run(|| self.places().close());
            // ORDERING: SeqCst. Pairs with `entry`: of a key that comes into use meanwhile, either the semaphore is among
            // those that are found here, or who uses it sees that the places are closed.
            fence(SeqCst);
            for handle in self.handles() {
                wakes.run(|| handle.semaphore().close());
                // It may be the last to use the key, whose drop is user code.
                wakes.run(|| drop(handle));
            }
        });
    }

    /// Returns whether [`close`](Self::close) was called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.places().is_closed()
    }

    /// Waits until this is closed and no key is in use any more.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the wait, and changes nothing else.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use semafair::KeyedSemaphore;
    ///
    /// let keys = KeyedSemaphore::new(1);
    /// let permit = keys.acquire("a").await.unwrap();
    /// tokio::spawn(async move {
    ///     tokio::task::yield_now().await; // the work
    ///     drop(permit);
    /// });
    /// keys.close();
    /// keys.drained().await;
    /// assert!(keys.is_empty());
    /// # }
    /// ```
    pub fn drained(&self) -> DrainedOwned {
        self.places().clone().drained_owned()
    }
}

impl<K, S> KeyedSemaphore<K, S>
where
    K: Hash + Eq,
    S: BuildHasher,
{
    #[track_caller]
    pub(super) fn entry(&self, key: K) -> Arc<KeyEntry<K, S>> {
        let Shared { registry, limit } = &*self.shared;
        let entry = match registry.entry(key) {
            Found::InUse(entry) => entry,
            Found::Vacant(vacant) => {
                let permits = match limit {
                    Limit::Same(permits) => *permits,
                    Limit::By(limit) => limit(vacant.key()),
                };
                vacant.insert(Semaphore::new(permits))
            }
        };
        // ORDERING: SeqCst. Pairs with `close`: either that finds the entry, or this sees that it was called.
        fence(SeqCst);
        if self.is_closed() {
            KeyEntry::as_ref(&entry).close();
        }
        entry
    }

    /// Returns a handle of the key's semaphore: to change its limit, or to use it with others.
    ///
    /// The key is in use as long as the handle exists.
    ///
    /// # Panics
    ///
    /// If the key's `Hash` or `Eq` panics, or the function of the limit, or if the limit exceeds [`Semaphore::MAX_PERMITS`].
    /// Nothing has changed then.
    ///
    /// # Examples
    ///
    /// A permit of the tenant and one of all, in whatever order others take theirs:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), semafair::AcquireError> {
    /// use semafair::{KeyedSemaphore, Semaphore};
    ///
    /// let per_tenant = KeyedSemaphore::new(2);
    /// let all = Semaphore::new(10);
    ///
    /// let tenant = per_tenant.handle("ann");
    /// let permits = Semaphore::acquire_all([(tenant.semaphore(), 1), (&all, 1)]).await?;
    /// # drop(permits);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    #[track_caller]
    pub fn handle(&self, key: K) -> KeyedHandle<K, S> {
        KeyedHandle::new(self.entry(key))
    }
}

impl<K, S: BuildHasher> KeyedSemaphore<K, S> {
    /// Returns what the semaphore of a key looks like; `None` if the key is not in use.
    ///
    /// # Panics
    ///
    /// If the key's `Hash` or `Eq` does.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::KeyedSemaphore;
    ///
    /// let per_user = KeyedSemaphore::new(3);
    /// let permit = per_user.try_acquire("ann".to_owned()).unwrap();
    /// assert_eq!(per_user.status("ann").unwrap().available, 2);
    /// assert_eq!(per_user.status("bob"), None);
    /// # drop(permit);
    /// ```
    #[must_use]
    pub fn status<Q>(&self, key: &Q) -> Option<Status>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        Some(KeyEntry::as_ref(&*self.shared.registry.get(key)?).status())
    }
}

impl<K, S> Clone for KeyedSemaphore<K, S> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<K, S> fmt::Debug for KeyedSemaphore<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedSemaphore")
            .field("keys", &self.len())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
