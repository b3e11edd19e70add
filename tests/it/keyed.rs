//! `KeyedSemaphore` has one semaphore for each key that is in use, and none for others.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Poll, Waker};
use std::thread;

use fastrand::Rng;
use semafair::{
    KeyedAcquire, KeyedHandle, KeyedPermit, KeyedSemaphore, Semaphore, TryAcquireError,
};

use crate::support::hooks::Hooked;
use crate::support::watchdog::times;
use crate::support::{panic_of, poll, seed, served, wait, waits, watch};

/// Gives all keys the same hash, so that only `Eq` tells them apart.
#[derive(Default)]
struct Same;

impl Hasher for Same {
    fn write(&mut self, _: &[u8]) {}

    fn finish(&self) -> u64 {
        7
    }
}

#[test]
fn each_key_has_its_own_limit_and_line() {
    let keys = KeyedSemaphore::new(2);
    let a = keys.try_acquire_many("a", 2).unwrap();
    let b = keys.try_acquire("b").unwrap();
    assert_eq!(keys.try_acquire("a").unwrap_err(), TryAcquireError::NoPermits);
    let mut both = wait(keys.acquire_many("a", 2));
    let mut one = wait(keys.acquire("a"));
    // Of another line.
    drop(keys.try_acquire("b").unwrap());
    assert_eq!(keys.status("a").unwrap().queued, 3);

    drop(a);
    let both = served(&mut both).unwrap();
    assert_eq!((*both.key(), both.num_permits()), ("a", 2));
    waits(&mut one);
    drop(both);
    drop(served(&mut one).unwrap());
    drop((b, one));
    assert!(keys.is_empty());
}

#[test]
fn a_key_is_in_use_as_long_as_anything_of_it_exists() {
    let keys = KeyedSemaphore::new(1);
    let in_use = || keys.status(&1).is_some();
    let permit = keys.try_acquire(1).unwrap();
    assert!(keys.try_acquire(1).is_err());
    let waiter = wait(keys.acquire(1));
    drop(permit);
    assert!(in_use(), "it was granted to the waiter");
    drop(waiter);
    assert!(!in_use());

    let never_polled = keys.acquire(1);
    assert!(in_use());
    drop(never_polled);
    assert!(!in_use());

    let handle = keys.handle(1);
    let other = handle.clone();
    drop(handle);
    assert!(in_use());
    drop(other);
    assert!(!in_use());

    let mut three = KeyedSemaphore::new(3).try_acquire_many(1, 3).unwrap();
    let one = three.split(1).unwrap();
    assert!(three.split(3).is_none());
    three.merge(one);
    assert_eq!(three.num_permits(), 3);
    assert!(keys.is_empty());
    assert_eq!(keys.iter().count(), 0);
}

/// What belongs to an earlier life of the key does not disturb a later one.
#[test]
fn a_key_comes_back_new() {
    let keys = KeyedSemaphore::with(|_: &i32| 1);
    let handle = keys.handle(1);
    handle.semaphore().set_limit(5);
    let permits = keys.try_acquire_many(1, 5).unwrap();
    drop(handle);
    assert!(keys.try_acquire(1).is_err());
    let waiter = wait(keys.acquire(1));
    drop(permits);
    drop(waiter);
    assert_eq!(keys.handle(1).semaphore().limit(), 1);

    keys.handle(1).semaphore().close();
    assert!(keys.try_acquire(1).is_ok());
}

#[test]
fn limits_by_key_and_what_is_seen() {
    let keys = KeyedSemaphore::with(|key: &String| key.len());
    let two = keys.try_acquire("ab".to_owned()).unwrap();
    let three = keys.try_acquire_many("abc".to_owned(), 2).unwrap();
    let mut seen: Vec<_> = keys
        .iter()
        .map(|(handle, status)| (handle.key().clone(), status.limit, status.outstanding))
        .collect();
    seen.sort();
    assert_eq!(seen, [("ab".to_owned(), 2, 1), ("abc".to_owned(), 3, 2)]);
    assert_eq!(keys.status("abc").unwrap().available, 1);
    assert_eq!(keys.status("x"), None);
    let shown = format!("{keys:?} {two:?}");
    assert_eq!(
        shown,
        "KeyedSemaphore { keys: 2, is_closed: false, .. } KeyedPermit { key: \"ab\", permits: 1, .. }"
    );
    drop((two, three));
}

#[test]
fn what_can_be_sent_and_stored() {
    fn is_it<T: Send + Sync + Unpin + 'static>() {}
    is_it::<KeyedSemaphore<String>>();
    is_it::<KeyedAcquire<String>>();
    is_it::<KeyedPermit<String>>();
    is_it::<KeyedHandle<String>>();
}

/// Keys come and go on several threads, which also cancel. No key ever has more permits out than it may, which two
/// semaphores for one key would allow.
fn crowd<S>(hasher: S, keys: usize)
where
    S: BuildHasher + Send + Sync + Clone + 'static,
{
    const LIMIT: usize = 2;
    let seed = seed();
    let semaphore = KeyedSemaphore::with_hasher(LIMIT, hasher);
    let running: Arc<Vec<AtomicUsize>> = Arc::new((0..keys).map(|_| AtomicUsize::new(0)).collect());
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let (semaphore, running) = (semaphore.clone(), Arc::clone(&running));
            let mut rng = Rng::with_seed(seed + number);
            thread::spawn(move || {
                for _ in 0..500 * times() {
                    let key = rng.usize(0..keys);
                    let many = rng.u32(1..=2);
                    let permit = match rng.u32(0..4) {
                        0 => semaphore.try_acquire_many(key, many).ok(),
                        1 => {
                            let mut future = semaphore.acquire_many(key, many);
                            match poll(&mut future, Waker::noop()) {
                                Poll::Ready(permit) => Some(permit.unwrap()),
                                // Cancelled.
                                Poll::Pending => None,
                            }
                        }
                        _ => Some(pollster::block_on(semaphore.acquire_many(key, many)).unwrap()),
                    };
                    if let Some(permit) = permit {
                        let n = permit.num_permits();
                        let now = running[key].fetch_add(n, Ordering::Relaxed) + n;
                        assert!(now <= LIMIT, "{now} of key {key}");
                        if rng.bool() {
                            thread::yield_now();
                        }
                        running[key].fetch_sub(n, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(semaphore.is_empty());
    assert_eq!(semaphore.iter().count(), 0);
}

#[test]
fn never_two_semaphores_for_one_key() {
    crowd(RandomState::new(), 1);
    crowd(RandomState::new(), 5);
}

#[test]
fn never_two_semaphores_for_one_key_if_all_hashes_are_the_same() {
    crowd(BuildHasherDefault::<Same>::default(), 5);
}

#[test]
fn closing_refuses_all_who_wait_and_all_who_come() {
    let keys = KeyedSemaphore::new(1);
    let granted = keys.try_acquire(1).unwrap();
    let mut waiter = wait(keys.acquire(1));
    let unpolled = keys.acquire(2);
    let mut drained = wait(keys.drained());
    keys.close();
    assert!(served(&mut waiter).unwrap_err().is_closed());
    assert!(pollster::block_on(unpolled).unwrap_err().is_closed());
    assert!(pollster::block_on(keys.acquire(3)).unwrap_err().is_closed());
    assert_eq!(keys.try_acquire(4).unwrap_err(), TryAcquireError::Closed);
    assert!(keys.handle(5).semaphore().is_closed());
    assert!(keys.is_closed());
    drop(waiter);
    waits(&mut drained);
    drop(granted);
    served(&mut drained);
    keys.close();
}

/// A key that is in use stays so after `close`, and no other comes into use.
#[test]
fn what_is_counted_is_what_is_listed_and_waited_for() {
    let keys = KeyedSemaphore::new(1);
    let old = keys.try_acquire("old").unwrap();
    let mut drained = wait(keys.drained());
    keys.close();
    let seen = || {
        let mut listed: Vec<_> = keys.iter().map(|(handle, _)| *handle.key()).collect();
        listed.sort_unstable();
        assert_eq!(keys.len(), listed.len());
        listed
    };
    let (new, again) = (keys.handle("new"), keys.acquire("new"));
    assert_eq!(*new.key(), "new");
    assert_eq!((seen(), keys.status("new")), (vec!["old"], None));
    let same = keys.handle("old");
    assert_eq!(same.semaphore().outstanding(), 1, "it is in use, and has its semaphore");
    drop(old);
    waits(&mut drained);
    drop(same);
    served(&mut drained);
    assert_eq!((seen(), keys.is_empty()), (vec![], true));
    assert!(pollster::block_on(again).unwrap_err().is_closed());
    drop(new);
}

#[test]
fn closing_against_keys_that_come_into_use() {
    watch();
    for _ in 0..200 * times() {
        let keys = KeyedSemaphore::new(0);
        let start = Barrier::new(4);
        let handles: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..3)
                .map(|number| {
                    let (keys, start) = (&keys, &start);
                    scope.spawn(move || {
                        start.wait();
                        let handle = keys.handle(number / 2);
                        // There are no permits, so it returns only if it is refused.
                        let error = pollster::block_on(keys.acquire(number / 2)).unwrap_err();
                        assert!(error.is_closed());
                        handle
                    })
                })
                .collect();
            start.wait();
            keys.close();
            assert!(keys.handle(0).semaphore().is_closed());
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(handles.iter().all(|handle| handle.semaphore().is_closed()));
        // Those that came before the end, whichever they are.
        let listed = keys.iter().count();
        assert_eq!(keys.len(), listed);
        let drained = pollster::block_on(futures::future::poll_immediate(keys.drained()));
        assert_eq!(drained.is_some(), listed == 0);
        drop(handles);
        pollster::block_on(keys.drained());
        assert!(keys.is_empty());
    }
}

thread_local! {
    static BAD: Cell<Bad> = const { Cell::new(Bad::Nothing) };
}

#[derive(Clone, Copy, PartialEq)]
enum Bad {
    Nothing,
    Hash,
    Eq,
    Limit,
    Drop,
}

/// What it should do is done once.
fn misbehave(now: Bad) {
    if BAD.get() == now {
        BAD.set(Bad::Nothing);
        panic!("a bad key");
    }
}

#[derive(Debug)]
struct Key(u32);

impl Hash for Key {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        misbehave(Bad::Hash);
        self.0.hash(hasher);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        misbehave(Bad::Eq);
        self.0 == other.0
    }
}

impl Eq for Key {}

impl Drop for Key {
    fn drop(&mut self) {
        // Two panics at a time end the process.
        if !thread::panicking() {
            misbehave(Bad::Drop);
        }
    }
}

#[test]
fn panics_of_keys_lose_nothing() {
    let keys = KeyedSemaphore::with(|_: &Key| {
        misbehave(Bad::Limit);
        1
    });
    for bad in [Bad::Hash, Bad::Limit] {
        BAD.set(bad);
        assert_eq!(panic_of(|| keys.acquire(Key(1))), "a bad key");
        assert!(keys.is_empty());
    }
    let permit = keys.try_acquire(Key(1)).unwrap();
    let mut waiter = wait(keys.acquire(Key(1)));
    BAD.set(Bad::Eq);
    assert_eq!(panic_of(|| keys.try_acquire(Key(1))), "a bad key");
    BAD.set(Bad::Eq);
    assert_eq!(panic_of(|| keys.status(&Key(1))), "a bad key");
    drop(permit);
    // No comparison is needed to leave.
    BAD.set(Bad::Eq);
    drop(served(&mut waiter).unwrap());
    drop(waiter);
    assert!(BAD.get() == Bad::Eq && keys.is_empty());

    BAD.set(Bad::Nothing);
    let permit = keys.try_acquire(Key(1)).unwrap();
    BAD.set(Bad::Drop);
    assert_eq!(panic_of(|| drop(permit)), "a bad key");
    assert!(keys.is_empty() && keys.status(&Key(1)).is_none());
    drop(keys.try_acquire(Key(1)).unwrap());

    let too_many = KeyedSemaphore::with(|_: &i32| usize::MAX);
    panic_of(|| too_many.acquire(1));
    assert!(too_many.is_empty());
    panic_of(|| KeyedSemaphore::<i32>::new(Semaphore::MAX_PERMITS + 1));
}

thread_local! {
    static KEYS: KeyedSemaphore<Nosy> = KeyedSemaphore::with(|key: &Nosy| {
        key.look();
        1
    });
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Uses the map in all that it does.
#[derive(Debug)]
struct Nosy(u32);

impl Nosy {
    fn look(&self) {
        if DEPTH.get() == 0 {
            DEPTH.set(1);
            // The same key, and another.
            for key in [self.0, self.0 + 1] {
                let _gone = KEYS.try_with(|keys| {
                    drop(keys.try_acquire(Nosy(key)));
                    keys.iter().for_each(drop);
                });
            }
            DEPTH.set(0);
        }
    }
}

impl Hash for Nosy {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.look();
        self.0.hash(hasher);
    }
}

impl PartialEq for Nosy {
    fn eq(&self, other: &Self) -> bool {
        self.look();
        self.0 == other.0
    }
}

impl Eq for Nosy {}

impl Drop for Nosy {
    fn drop(&mut self) {
        self.look();
    }
}

#[test]
fn keys_may_use_the_same_map() {
    watch();
    KEYS.with(|keys| {
        let permit = keys.try_acquire(Nosy(1)).unwrap();
        assert!(keys.try_acquire(Nosy(1)).is_err());
        let mut waiter = wait(keys.acquire(Nosy(1)));
        drop(permit);
        drop(served(&mut waiter).unwrap());
        drop(waiter);
        assert!(keys.is_empty());
    });
}

#[test]
fn a_waker_that_panics_does_not_keep_others_from_being_closed() {
    let keys = KeyedSemaphore::new(0);
    let bad = Hooked::new();
    bad.on_wake(|| panic!("a bad waker"));
    let mut first = keys.acquire(0);
    assert!(poll(&mut first, &bad.waker()).is_pending());
    let mut others: Vec<_> = (0..9).map(|key| wait(keys.acquire(key))).collect();
    assert_eq!(panic_of(|| keys.close()), "a bad waker");
    for waiter in &mut others {
        assert!(served(waiter).unwrap_err().is_closed());
    }
}

/// Closing may be what uses a key last: whom it wakes may give it up at once.
#[test]
fn a_key_whose_drop_panics_does_not_keep_others_from_being_closed() {
    let keys = KeyedSemaphore::new(0);
    let wakers: Vec<_> = (0..9)
        .map(|key| {
            let future = Rc::new(RefCell::new(keys.acquire(Key(key))));
            let waker = Hooked::new();
            assert!(poll(&mut *future.borrow_mut(), &waker.waker()).is_pending());
            waker.on_wake(move || drop(future));
            waker
        })
        .collect();
    BAD.set(Bad::Drop);
    assert_eq!(panic_of(|| keys.close()), "a bad key");
    assert!(wakers.iter().all(|waker| waker.wakes() == 1));
    assert!(keys.is_empty());
}

/// A key is compared while its entry is made, too: if another with the same hash is there.
#[test]
fn a_comparison_that_panics_while_an_entry_is_made_loses_nothing() {
    let keys = KeyedSemaphore::with_and_hasher(
        |_: &Key| {
            BAD.set(Bad::Eq);
            1
        },
        BuildHasherDefault::<Same>::default(),
    );
    let one = keys.try_acquire(Key(1)).unwrap();
    assert_eq!(panic_of(|| keys.try_acquire(Key(2))), "a bad key");
    assert_eq!((keys.len(), keys.iter().count()), (1, 1));
    BAD.set(Bad::Nothing);
    assert!(keys.try_acquire(Key(1)).is_err());
    drop(one);
    assert!(keys.is_empty() && keys.iter().count() == 0);
    drop(keys.try_acquire(Key(2)).unwrap());
}

/// The order within each of many keys, against a queue.
#[test]
fn within_a_key_it_is_first_in_first_out() {
    let mut rng = Rng::with_seed(seed());
    let keys = KeyedSemaphore::new(1);
    let mut lines: HashMap<u32, Vec<_>> = HashMap::new();
    let held: Vec<_> = (0..5).map(|key| keys.try_acquire(key).unwrap()).collect();
    for _ in 0..100 {
        let key = rng.u32(0..5);
        let line = lines.entry(key).or_default();
        line.push(wait(keys.acquire(key)));
        if rng.u32(0..4) == 0 {
            drop(line.remove(rng.usize(..line.len())));
        }
    }
    for permit in held {
        let mut line = lines.remove(permit.key()).unwrap_or_default();
        let key = *permit.key();
        drop(permit);
        while !line.is_empty() {
            line.iter_mut().skip(1).for_each(waits);
            let mut first = line.remove(0);
            assert_eq!(*served(&mut first).unwrap().key(), key);
        }
    }
    assert!(keys.is_empty());
}

thread_local! {
    static ATTIC: RefCell<Option<KeyedPermit<u32>>> = const { RefCell::new(None) };
}

/// The map has thread-locals of its own, which are gone when this permit is dropped.
#[test]
fn a_permit_may_be_in_a_thread_local() {
    let keys = KeyedSemaphore::new(1);
    thread::scope(|scope| {
        let here = scope.spawn(|| ATTIC.set(Some(keys.try_acquire(1).unwrap())));
        let permit = keys.try_acquire(2).unwrap();
        let from_elsewhere = scope.spawn(|| ATTIC.set(Some(permit)));
        let after_a_drop = scope.spawn(|| {
            ATTIC.set(None);
            drop(keys.try_acquire(3).unwrap());
            ATTIC.set(Some(keys.try_acquire(3).unwrap()));
        });
        for thread in [here, from_elsewhere, after_a_drop] {
            thread.join().unwrap();
        }
    });
    assert!(keys.is_empty() && keys.iter().count() == 0);
    // They come back, each with its limit.
    let again = [1, 2, 3].map(|key| keys.try_acquire(key).unwrap());
    assert!((1..=3).all(|key| keys.try_acquire(key).is_err()));
    drop(again);
    assert!(keys.is_empty());
}
