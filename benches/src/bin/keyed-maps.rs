//! The concurrent maps that `KeyedSemaphore` might be built on, doing what it does with them.
//!
//! ```sh
//! cargo run --release -p semafair-benches --bin keyed-maps
//! ```
//!
//! A key comes into use: its entry is found in the map, or put there; then it goes out of use, and the entry is removed if it is
//! still the same. *Hot* is one key that stays in use, *churn* are keys that come and go. The rest is memory: what a hundred
//! thousand keys need while they are in use, and what is left of it when they are gone.
//!
//! Times are those of this machine at this moment. The choice was made by guarantees; see the docs of `KeyedSemaphore`.

use std::hash::{BuildHasherDefault, DefaultHasher};
use std::ptr;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use papaya::{Compute, Operation, ResizeMode};
use semafair::KeyedSemaphore;

type Hasher = BuildHasherDefault<DefaultHasher>;
type Entry = Arc<u64>;

const KEYS: u64 = 100_000;

/// What is asked of a map.
trait Map: Default + Sync {
    const NAME: &'static str;

    fn enter(&self, key: u64) -> Entry;
    fn leave(&self, key: u64, entry: Entry);
}

/// Whether what is in the map is the entry that wants to leave it, and nobody else uses it.
fn is_over(found: &Weak<u64>, entry: &Weak<u64>) -> bool {
    ptr::eq(found.as_ptr(), entry.as_ptr()) && found.strong_count() == 0
}

/// The entry that is in the map, under its lock; a new one if that is not used.
fn used(found: &mut Weak<u64>, key: u64) -> Entry {
    found.upgrade().unwrap_or_else(|| {
        let new = Arc::new(key);
        *found = Arc::downgrade(&new);
        new
    })
}

struct Papaya(papaya::HashMap<u64, Weak<u64>, Hasher>);

impl Default for Papaya {
    fn default() -> Self {
        let map = papaya::HashMap::builder().hasher(Hasher::default());
        Self(map.resize_mode(ResizeMode::Blocking).build())
    }
}

impl Map for Papaya {
    const NAME: &'static str = "papaya";

    fn enter(&self, key: u64) -> Entry {
        let map = self.0.pin();
        if let Some(entry) = map.get(&key).and_then(Weak::upgrade) {
            return entry;
        }
        let new = Arc::new(key);
        let outcome =
            map.compute(key, |found| match found.and_then(|(_, entry)| entry.upgrade()) {
                Some(entry) => Operation::Abort(entry),
                None => Operation::Insert(Arc::downgrade(&new)),
            });
        if let Compute::Aborted(entry) = outcome { entry } else { new }
    }

    fn leave(&self, key: u64, entry: Entry) {
        let weak = Arc::downgrade(&entry);
        drop(entry);
        if weak.strong_count() == 0 {
            self.0.pin().compute(key, |found| match found {
                Some((_, found)) if is_over(found, &weak) => Operation::Remove,
                _ => Operation::Abort(()),
            });
        }
    }
}

#[derive(Default)]
struct Dashmap(dashmap::DashMap<u64, Weak<u64>, Hasher>);

impl Map for Dashmap {
    const NAME: &'static str = "dashmap";

    fn enter(&self, key: u64) -> Entry {
        if let Some(entry) = self.0.get(&key).and_then(|found| found.upgrade()) {
            return entry;
        }
        used(&mut self.0.entry(key).or_default(), key)
    }

    fn leave(&self, key: u64, entry: Entry) {
        let weak = Arc::downgrade(&entry);
        drop(entry);
        if weak.strong_count() == 0 {
            self.0.remove_if(&key, |_, found| is_over(found, &weak));
        }
    }
}

#[derive(Default)]
struct Scc(scc::HashMap<u64, Weak<u64>, Hasher>);

impl Map for Scc {
    const NAME: &'static str = "scc";

    fn enter(&self, key: u64) -> Entry {
        if let Some(entry) = self.0.read_sync(&key, |_, found| found.upgrade()).flatten() {
            return entry;
        }
        used(&mut self.0.entry_sync(key).or_default(), key)
    }

    fn leave(&self, key: u64, entry: Entry) {
        let weak = Arc::downgrade(&entry);
        drop(entry);
        if weak.strong_count() == 0 {
            self.0.remove_if_sync(&key, |found| is_over(found, &weak));
        }
    }
}

/// The best of some rounds, for one operation of one thread.
fn time(threads: u64, operation: impl Fn(u64) + Sync) -> Duration {
    const OPERATIONS: u64 = 200_000;
    let round = || {
        let start = Instant::now();
        thread::scope(|scope| {
            for thread in 0..threads {
                let operation = &operation;
                scope.spawn(move || {
                    for n in 0..OPERATIONS {
                        operation(thread << 32 | n);
                    }
                });
            }
        });
        start.elapsed()
    };
    let best = (0..5).map(|_| round()).min().unwrap_or_default();
    best / u32::try_from(OPERATIONS).unwrap_or(u32::MAX)
}

fn row(name: &str, hot: &[Duration], churn: &[Duration], memory: (i64, i64)) {
    let nanos =
        |times: &[Duration]| -> Vec<u128> { times.iter().map(Duration::as_nanos).collect() };
    let (hot, churn) = (nanos(hot), nanos(churn));
    println!(
        "{name:<10} {:>8} {:>8} {:>9} {:>9} {:>10} {:>10}",
        hot[0], hot[1], churn[0], churn[1], memory.0, memory.1
    );
}

/// The bytes for each key while all are in use, and when they are gone.
fn memory<T>(enter: impl Fn(u64) -> T, leave: impl Fn(u64, T)) -> (i64, i64) {
    let mut entries = Vec::with_capacity(usize::try_from(KEYS).unwrap_or(0));
    let most = allocation_counter::measure(|| entries.extend((0..KEYS).map(&enter)));
    let rest = allocation_counter::measure(|| {
        for (key, entry) in (0..KEYS).zip(entries.drain(..)) {
            leave(key, entry);
        }
    });
    let keys = i64::try_from(KEYS).unwrap_or(1);
    (most.bytes_current / keys, (most.bytes_current + rest.bytes_current) / keys)
}

fn measure<M: Map>() {
    let map = M::default();
    let held = map.enter(u64::MAX);
    let hot = [1, 2].map(|threads| time(threads, |_| map.leave(u64::MAX, map.enter(u64::MAX))));
    let churn = [1, 2].map(|threads| time(threads, |key| map.leave(key, map.enter(key))));
    map.leave(u64::MAX, held);
    let map = M::default();
    row(M::NAME, &hot, &churn, memory(|key| map.enter(key), |key, entry| map.leave(key, entry)));
}

fn main() {
    println!("           {:^17} {:^19} {:^21}", "hot, ns", "churn, ns", "bytes for a key");
    println!("threads    {:>8} {:>8} {:>9} {:>9} {:>10} {:>10}", 1, 2, 1, 2, "in use", "left");
    measure::<Papaya>();
    measure::<Scc>();
    measure::<Dashmap>();

    // The semaphores themselves.
    let keys = KeyedSemaphore::with_hasher(4, Hasher::default());
    let held = keys.try_acquire(u64::MAX);
    let once = |key| drop(keys.try_acquire(key));
    let hot = [1, 2].map(|threads| time(threads, |_| once(u64::MAX)));
    let churn = [1, 2].map(|threads| time(threads, once));
    drop(held);
    let keys = KeyedSemaphore::with_hasher(4, Hasher::default());
    row("semafair", &hot, &churn, memory(|key| keys.try_acquire(key), |_, permit| drop(permit)));
}
