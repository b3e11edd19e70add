//! Values by key, each of which exists as long as somebody uses it.
//!
//! The map has `Weak` pointers to the entries; whoever uses an entry has an `Arc` of it. So the count of the users is that
//! of the `Arc`, and these rules follow from its own:
//!
//! - *An entry is used, or it is over, for ever.* `Weak::upgrade` adds a user, unless there is none left. It decides in one
//!   atomic step, so nobody can get an entry that goes away.
//! - *A key has one entry at a time.* All entries whose keys have the same hash are in one bucket. A bucket never changes:
//!   it is replaced as a whole by a compare-and-swap, if it is still what was looked at. A new entry comes in only if no
//!   entry of the replaced bucket has both the key and users. One without users gets none again, so it does not matter
//!   that it may lose them between the look and the swap, or that it is still there.
//! - *An entry removes itself, and no other.* The drop of the last user takes the entry out of its bucket by its address.
//!   That belongs to no other entry, since the allocation exists until the drop is over. (If a thread is so far in its end that
//!   it cannot use the map, the entry stays there, over.)
//! - *The map lists what is counted.* An entry has a permit of the semaphore `places`, which is closed when no key may come into
//!   use any more. An entry that is made later has no permit, and is not in the map: it is for one caller alone.
//!
//! The map knows hashes and pointers. So no user code runs inside it but for `Eq`, which runs while nothing is locked and
//! nothing was allocated: `Hash` runs once before, and keys and values are dropped outside, by their last user.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::cell::Cell;
use core::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use core::ptr;

use papaya::{Compute, HashMap, HashMapRef, LocalGuard, Operation, ResizeMode};

use crate::permit::OwnedSemaphorePermit;
use crate::semaphore::Semaphore;

std::thread_local! {
    /// Whether what is local to this thread is being dropped, so that the map cannot be used any more.
    static IS_ENDING: Cell<bool> = const { Cell::new(false) };
    static END: End = const { End };
}

struct End;

impl Drop for End {
    fn drop(&mut self) {
        IS_ENDING.set(true);
    }
}

/// The entries that are in use.
pub(crate) struct Registry<K, V, S> {
    buckets: HashMap<u64, Bucket<Entry<K, V, S>>, BuildHasherDefault<AsIs>>,
    hasher: S,
    /// A permit is out for each entry.
    places: Arc<Semaphore>,
}

type Pinned<'a, E> = HashMapRef<'a, u64, Bucket<E>, BuildHasherDefault<AsIs>, LocalGuard<'a>>;

/// A key, and its value. In the registry until it is dropped, unless it came after `places` was closed.
pub(crate) struct Entry<K, V, S> {
    value: V,
    key: K,
    hash: u64,
    registry: Arc<Registry<K, V, S>>,
    // Its drop may tell others that the key is gone. So it comes last.
    place: Option<OwnedSemaphorePermit>,
}

/// Whether a key is in use.
pub(crate) enum Found<'r, K, V, S> {
    InUse(Arc<Entry<K, V, S>>),
    Vacant(Vacant<'r, K, V, S>),
}

/// A key that was not in use a moment ago.
pub(crate) struct Vacant<'r, K, V, S> {
    registry: &'r Arc<Registry<K, V, S>>,
    key: K,
    hash: u64,
}

/// The entries of one hash: nearly always one.
struct Bucket<E> {
    first: Weak<E>,
    // Allocates nothing while it is empty.
    others: Vec<Weak<E>>,
}

impl<E> Bucket<E> {
    fn new(mut entries: impl Iterator<Item = Weak<E>>) -> Option<Self> {
        Some(Self { first: entries.next()?, others: entries.collect() })
    }

    fn iter(&self) -> impl Iterator<Item = &Weak<E>> {
        core::iter::once(&self.first).chain(&self.others)
    }
}

impl<K, V, S> Registry<K, V, S> {
    pub(crate) fn new(hasher: S) -> Self {
        // Not the incremental mode: there, `compute` does not help with the copying, so that a map in which keys come and go
        // by it gets a longer and longer chain of tables (papaya 0.2.5). The test of memory would hang.
        let buckets = HashMap::builder().hasher(BuildHasherDefault::default());
        Self {
            buckets: buckets.resize_mode(ResizeMode::Blocking).build(),
            hasher,
            places: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
        }
    }

    /// A semaphore of which a permit is out for each entry that is in use. Once it is closed, no key comes into use.
    pub(crate) const fn places(&self) -> &Arc<Semaphore> {
        &self.places
    }

    /// The map, for what this thread does.
    fn pin(&self) -> Pinned<'_, Entry<K, V, S>> {
        let buckets = self.buckets.pin();
        // After the thread-local of the map, which was made by this at the latest. So it is dropped before that.
        let _ = END.try_with(|_| ());
        buckets
    }

    /// The entries that are in use. One that comes or goes meanwhile may be among them or not.
    pub(crate) fn entries(&self) -> Vec<Arc<Entry<K, V, S>>> {
        let buckets = self.pin();
        buckets.values().flat_map(Bucket::iter).filter_map(Weak::upgrade).collect()
    }
}

impl<K, V, S: BuildHasher> Registry<K, V, S> {
    /// The entry of `key`, if it is in use.
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<Arc<Entry<K, V, S>>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        let mut passed = Vec::new();
        self.find(hash, key, &mut passed)
    }

    /// Who is looked at is used meanwhile, and may have lost all other users. So it is kept in `passed`, to be dropped
    /// by the caller when the map is left.
    fn find<Q>(
        &self,
        hash: u64,
        key: &Q,
        passed: &mut Vec<Arc<Entry<K, V, S>>>,
    ) -> Option<Arc<Entry<K, V, S>>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let buckets = self.pin();
        search(buckets.get(&hash)?, key, passed)
    }

    /// The entry of `key`; or the key itself, which may get one.
    pub(crate) fn entry(self: &Arc<Self>, key: K) -> Found<'_, K, V, S>
    where
        K: Hash + Eq,
    {
        let hash = self.hasher.hash_one(&key);
        let mut passed = Vec::new();
        match self.find(hash, &key, &mut passed) {
            Some(entry) => Found::InUse(entry),
            None => Found::Vacant(Vacant { registry: self, key, hash }),
        }
    }
}

impl<K: Eq, V, S: BuildHasher> Vacant<'_, K, V, S> {
    pub(crate) const fn key(&self) -> &K {
        &self.key
    }

    /// Makes an entry. If `places` is closed, that does not count, and nobody else gets it. If another thread has
    /// made one meanwhile, this returns that, and drops `value`.
    pub(crate) fn insert(self, value: V) -> Arc<Entry<K, V, S>> {
        let Self { registry, key, hash } = self;
        let place = registry.places.clone().try_acquire_owned().ok();
        // If it does not come in, its drop uses the map as well.
        let new = Arc::new(Entry { value, key, hash, registry: registry.clone(), place });
        if new.place.is_none() {
            return new;
        }
        // Above the guards of the map, so that they are dropped after these.
        let mut passed = Vec::new();
        let buckets = registry.pin();
        let outcome = buckets.compute(hash, |found| {
            if let Some(entry) = found.and_then(|(_, bucket)| search(bucket, &new.key, &mut passed))
            {
                return Operation::Abort(entry);
            }
            let in_use = found.into_iter().flat_map(|(_, bucket)| bucket.iter());
            let in_use = in_use.filter(|entry| entry.strong_count() > 0).cloned();
            let with_new = Bucket::new(core::iter::once(Arc::downgrade(&new)).chain(in_use));
            with_new.map_or(Operation::Remove, Operation::Insert)
        });
        match outcome {
            Compute::Aborted(entry) => entry,
            _ => new.clone(),
        }
    }
}

/// The entry of `key` in a bucket, if it is in use.
fn search<K, V, S, Q>(
    bucket: &Bucket<Entry<K, V, S>>,
    key: &Q,
    passed: &mut Vec<Arc<Entry<K, V, S>>>,
) -> Option<Arc<Entry<K, V, S>>>
where
    K: Borrow<Q>,
    Q: Eq + ?Sized,
{
    for entry in bucket.iter().filter_map(Weak::upgrade) {
        // In `passed` also while the keys are compared, which may panic.
        passed.push(entry);
        let entry = &passed[passed.len() - 1];
        if entry.key.borrow() == key {
            return passed.pop();
        }
    }
    None
}

impl<K, V, S> Entry<K, V, S> {
    pub(crate) const fn key(&self) -> &K {
        &self.key
    }

    pub(crate) const fn value(&self) -> &V {
        &self.value
    }
}

impl<K, V, S> Drop for Entry<K, V, S> {
    fn drop(&mut self) {
        if self.place.is_none() {
            // It is not in the map.
            return;
        }
        if IS_ENDING.get() {
            // It was in a thread-local. That of the map may be gone, without which `pin` panics, and that would abort. So this
            // stays where it is, without users, until its bucket is replaced for another reason.
            return;
        }
        let own = ptr::from_ref(self);
        let buckets = self.registry.pin();
        buckets.compute(self.hash, |found| {
            // Another may have replaced the bucket, and left out who is over; or this never came in.
            let Some((_, bucket)) =
                found.filter(|(_, bucket)| bucket.iter().any(|entry| ptr::eq(entry.as_ptr(), own)))
            else {
                return Operation::Abort(());
            };
            let others = bucket.iter().filter(|entry| !ptr::eq(entry.as_ptr(), own)).cloned();
            Bucket::new(others).map_or(Operation::Remove, Operation::Insert)
        });
    }
}

/// Of a number that is a hash already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only hashes are hashed");
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
