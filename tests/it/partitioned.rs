//! `PartitionedSemaphore` lets keys that wait take turns.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::thread;

use fastrand::Rng;
use semafair::{PartitionedAcquire, PartitionedPermit, PartitionedSemaphore, TryAcquireError};
use tokio_test::task::{Spawn, spawn};

use crate::limits::BIGGEST;
use crate::support::hooks::Hooked;
use crate::support::watchdog::times;
use crate::support::{panic_of, poll, seed, served, wait, waits, watch};

/// Whatever the queues of the others, and whoever waits first: one request waits for at most one turn of each.
#[test]
fn one_request_waits_for_at_most_one_turn_of_each_other_key() {
    let mut rng = Rng::with_seed(seed());
    for _ in 0..50 * times() {
        let others = rng.u32(1..8);
        let weights: Arc<Vec<u32>> = Arc::new((0..=others).map(|_| rng.u32(1..5)).collect());
        let by_key = Arc::clone(&weights);
        let pool =
            PartitionedSemaphore::builder(1).weight(move |key: &u32| by_key[*key as usize]).build();
        let mut held = Some(pool.try_acquire(1).unwrap());
        let mut waiting: Vec<VecDeque<Spawn<PartitionedAcquire<u32>>>> = (0..=others)
            .map(|key| match key {
                0 => VecDeque::new(),
                _ => (0..rng.usize(1..60)).map(|_| wait(pool.acquire(key))).collect(),
            })
            .collect();
        // In the middle of the rounds.
        let mut next = |waiting: &mut Vec<VecDeque<Spawn<PartitionedAcquire<u32>>>>| {
            drop(held.take());
            let line = waiting.iter_mut().find(|line| line.front().is_some_and(Spawn::is_woken));
            let mut first = line?.pop_front()?;
            let permit = served(&mut first).unwrap();
            let key = *permit.key();
            held = Some(permit);
            Some(key)
        };
        for _ in 0..rng.u32(0..40) {
            next(&mut waiting);
        }
        waiting[0].push_back(spawn(pool.acquire(0)));
        if waiting[0][0].poll().is_ready() {
            continue;
        }
        let mut turns = vec![0; weights.len()];
        loop {
            let key = next(&mut waiting).expect("somebody is served") as usize;
            if key == 0 {
                break;
            }
            turns[key] += 1;
            assert!(turns[key] <= weights[key], "key {key} had more than one turn");
        }
    }
}

#[test]
fn weights_count_and_large_requests_have_their_turn() {
    let pool = PartitionedSemaphore::builder(4).weight(|key: &u32| *key).build();
    let mut held: VecDeque<_> = (0..4).map(|_| pool.try_acquire(1).unwrap()).collect();
    let mut lines = BTreeMap::new();
    for key in [1, 3] {
        lines.insert(key, (0..100).map(|_| wait(pool.acquire(key))).collect::<VecDeque<_>>());
    }
    // As large as all there is.
    let mut large = wait(pool.acquire_many(2, 4));
    let mut counts = BTreeMap::new();
    let mut large_after = None;
    for round in 0..80 {
        drop(held.pop_front());
        if large.is_woken() {
            drop(served(&mut large).unwrap());
            large_after.get_or_insert(round);
        }
        for (key, line) in &mut lines {
            while line.front().is_some_and(Spawn::is_woken) {
                held.push_back(served(&mut line.pop_front().unwrap()).unwrap());
                *counts.entry(*key).or_insert(0) += 1;
            }
        }
    }
    assert!(large_after.is_some_and(|round| round < 20), "{large_after:?}");
    let (one, three) = (counts[&1], counts[&3]);
    assert!((3 * one..=3 * one + 6).contains(&(three + 3)), "{one} to {three}");
}

#[test]
fn a_key_at_its_ceiling_keeps_nobody_waiting() {
    let pool =
        PartitionedSemaphore::builder(4).ceiling(|key| if *key == "a" { 2 } else { 4 }).build();
    let mut first = pool.try_acquire_many("a", 2).unwrap();
    assert!(pool.try_acquire("a").is_err());
    let mut both = wait(pool.acquire_many("a", 2));
    let mut behind = wait(pool.acquire("a"));
    // Nobody waits who could use it.
    drop(pool.try_acquire("b").unwrap());
    let status = pool.status_of("a").unwrap();
    assert_eq!((status.limit, status.available, status.outstanding, status.queued), (2, 0, 2, 3));
    let half = first.split(1).unwrap();
    drop(half);
    // Within the key, the small request does not overtake.
    waits(&mut both);
    waits(&mut behind);
    assert!(pool.try_acquire("a").is_err());
    drop(first);
    let both = served(&mut both).unwrap();
    waits(&mut behind);
    drop(both);
    drop(served(&mut behind).unwrap());
    assert!(pool.is_empty());
}

#[test]
fn nobody_overtakes_without_waiting() {
    let pool = PartitionedSemaphore::new(2);
    let one = pool.try_acquire("a").unwrap();
    let mut both = wait(pool.acquire_many("a", 2));
    assert_eq!(pool.try_acquire("b").unwrap_err(), TryAcquireError::NoPermits);
    assert_eq!((pool.status().available, pool.status().queued), (0, 2));
    drop(one);
    drop(served(&mut both).unwrap());
    assert_eq!(pool.status().available, 2);
    drop(pool.try_acquire_many("b", 2).unwrap());
    drop(pool.try_acquire_many("b", 0).unwrap());

    // To ask for nothing overtakes nobody, whoever waits.
    let held = pool.try_acquire_many("a", 2).unwrap();
    let waiter = wait(pool.acquire("a"));
    drop(pool.try_acquire_many("a", 0).unwrap());
    drop((waiter, held));
}

#[test]
fn requests_that_can_never_be_served_are_refused() {
    let pool = PartitionedSemaphore::builder(4).ceiling(|key| *key).build();
    let error = pollster::block_on(pool.acquire_many(9, 5)).unwrap_err();
    assert!(error.is_oversized());
    assert!(pollster::block_on(pool.acquire_many(2, 3)).unwrap_err().is_oversized());
    assert!(pollster::block_on(pool.acquire(0)).unwrap_err().is_oversized());
    assert!(pool.try_acquire_many(2, 3).is_err());
    assert!(pollster::block_on(pool.acquire_many(0, 0)).is_ok());
    assert!(pool.is_empty());
}

#[test]
fn closing_refuses_all_who_wait() {
    let pool = PartitionedSemaphore::new(1);
    let held = pool.try_acquire("a").unwrap();
    let mut granted = wait(pool.acquire("a"));
    let mut refused: Vec<_> = ["a", "b", "c"].map(|key| wait(pool.acquire(key))).into();
    let mut drained = wait(pool.drained());
    drop(held);
    pool.close();
    assert!(pool.is_closed() && pool.status().is_closed);
    for waiter in &mut refused {
        assert!(served(waiter).unwrap_err().is_closed());
    }
    assert!(pollster::block_on(pool.acquire("d")).unwrap_err().is_closed());
    assert!(pollster::block_on(pool.acquire_many("d", 9)).unwrap_err().is_closed());
    assert_eq!(pool.try_acquire("d").unwrap_err(), TryAcquireError::Closed);
    let permit = served(&mut granted).unwrap();
    waits(&mut drained);
    drop(permit);
    served(&mut drained);
    assert_eq!((pool.status().available, pool.status().queued), (1, 0));
}

/// A key that is in use stays so after `close`, and no other comes into use.
#[test]
fn what_is_counted_is_what_is_listed_and_waited_for() {
    let pool = PartitionedSemaphore::new(1);
    let old = pool.try_acquire("old").unwrap();
    let mut drained = wait(pool.drained());
    pool.close();
    let seen = || {
        let mut listed = Vec::new();
        pool.for_each(|key, _| listed.push(*key));
        assert_eq!(pool.len(), listed.len());
        listed
    };
    let (new, same) = (pool.acquire("new"), pool.acquire("old"));
    assert_eq!((seen(), pool.status_of("new")), (vec!["old"], None));
    drop(old);
    waits(&mut drained);
    drop(same);
    served(&mut drained);
    assert_eq!((seen(), pool.is_empty()), (vec![], true));
    assert!(pollster::block_on(new).unwrap_err().is_closed());
}

/// More than a `usize` has on 32 bits.
#[test]
fn all_who_wait_for_everything_are_added_up() {
    let pool = PartitionedSemaphore::new(BIGGEST as usize);
    let one = pool.try_acquire("a").unwrap();
    let waiting: Vec<_> = (0..9).map(|_| wait(pool.acquire_many("a", BIGGEST))).collect();
    let sum = usize::try_from(9 * u64::from(BIGGEST)).unwrap_or(usize::MAX);
    assert_eq!(pool.status().queued, sum);
    assert_eq!(pool.status_of("a").unwrap().queued, sum);
    drop(waiting);
    assert_eq!((pool.status().queued, pool.status_of("a").unwrap().queued), (0, 0));
    drop(one);
    assert!(pool.is_empty());
}

#[test]
fn wakers_and_functions_run_outside_of_the_lock() {
    let pool = PartitionedSemaphore::builder(1).weight(|key: &u32| 1 - *key / 9).build();
    assert_eq!(panic_of(|| pool.acquire(9)), "the weight of a key must not be 0");
    assert!(pool.is_empty());

    let held = pool.try_acquire(0).unwrap();
    let waker = Hooked::new();
    let (on_clone, on_wake, on_drop) = (pool.clone(), pool.clone(), pool.clone());
    waker.on_clone(move || drop(on_clone.try_acquire(1)));
    waker.on_wake(move || {
        drop(on_wake.try_acquire(2));
        panic!("a bad waker");
    });
    let mut future = pool.acquire(1);
    assert!(poll(&mut future, &waker.waker()).is_pending());
    waker.on_drop(move || drop(on_drop.try_acquire(3)));
    // The former waker is dropped, and a new one cloned.
    assert!(poll(&mut future, &waker.waker()).is_pending());
    let mut behind = wait(pool.acquire(2));
    assert_eq!(panic_of(|| drop(held)), "a bad waker");
    let Poll::Ready(Ok(permit)) = poll(&mut future, Waker::noop()) else { panic!("granted") };
    drop(permit);
    drop(served(&mut behind).unwrap());
    assert_eq!(waker.live(), 0);
    assert!(pool.is_empty());
}

/// A poll clones the waker before it asks, and does not need the clone if it is granted.
#[test]
fn a_waker_that_panics_when_it_is_dropped_loses_nothing() {
    let pool = PartitionedSemaphore::new(1);
    let waker = Hooked::new();
    let bad = || waker.on_drop(|| panic!("a bad waker"));
    let panics = |future: &mut PartitionedAcquire<_>| panic_of(|| poll(future, &waker.waker()));
    let mut first = pool.acquire("a");
    bad();
    assert_eq!(panics(&mut first), "a bad waker");
    let Poll::Ready(Ok(held)) = poll(&mut first, Waker::noop()) else { panic!("granted") };

    let mut second = pool.acquire("a");
    assert!(poll(&mut second, &waker.waker()).is_pending());
    waker.no_more_hooks();
    drop(held);
    bad();
    assert_eq!(panics(&mut second), "a bad waker");
    assert_eq!(pool.status().outstanding, 1, "it was granted");
    drop(second);
    assert_eq!(pool.status().available, 1);
    assert!(pool.is_empty());
}

/// Whoever gives up a large request has no claim to what it would have got.
#[test]
fn what_was_saved_for_a_request_goes_with_it() {
    let pool = PartitionedSemaphore::new(4);
    let mut held: Vec<_> = (0..4).map(|_| pool.try_acquire("holder").unwrap()).collect();
    let all = wait(pool.acquire_many("a", 4));
    let mut crowd: VecDeque<_> = (0..4).map(|_| wait(pool.acquire("a"))).collect();
    let mut one = wait(pool.acquire("b"));
    drop(all);
    drop(held.pop());
    held.push(served(&mut crowd.pop_front().unwrap()).unwrap());
    // That was the turn of `a`.
    drop(held.swap_remove(0));
    drop(served(&mut one).unwrap());
    assert!(crowd[0].is_woken() && !crowd[1].is_woken());
}

/// The turns, as the docs tell them.
#[derive(Default)]
struct Model {
    free: u32,
    keys: BTreeMap<u32, ModelKey>,
    ring: VecDeque<u32>,
}

#[derive(Default)]
struct ModelKey {
    held: u32,
    line: VecDeque<(usize, u32)>,
    deficit: u32,
    has_turn: bool,
}

const fn weight(key: u32) -> u32 {
    1 + key % 3
}

const fn ceiling(key: u32) -> u32 {
    4 + key
}

impl Model {
    fn key(&mut self, key: u32) -> &mut ModelKey {
        self.keys.entry(key).or_default()
    }

    fn may_take(&mut self, key: u32, n: u32) -> bool {
        let (free, nobody) = (self.free, self.ring.is_empty());
        let state = self.key(key);
        nobody && state.line.is_empty() && n <= free && state.held + n <= ceiling(key)
    }

    fn take(&mut self, key: u32, n: u32) {
        self.free -= n;
        self.key(key).held += n;
    }

    /// What it has saved is what it would have if it had waited for its new first request only.
    fn leave(&mut self, key: u32, request: usize) {
        let state = self.key(key);
        state.line.retain(|(other, _)| *other != request);
        let need = state.line.front().map_or(1, |(_, n)| *n);
        let turn = if state.has_turn { weight(key) } else { 0 };
        state.deficit = state.deficit.min(need - 1 + turn);
    }

    fn enter(&mut self, key: u32) {
        let state = self.key(key);
        let fits = state.line.front().is_some_and(|(_, n)| state.held + n <= ceiling(key));
        if fits && !self.ring.contains(&key) {
            self.ring.push_back(key);
        }
    }

    fn exit(&mut self, key: u32) {
        self.ring.retain(|other| *other != key);
        let state = self.key(key);
        (state.deficit, state.has_turn) = (0, false);
    }

    /// Something of the key is gone.
    fn settle(&mut self, key: u32) {
        if self.key(key).line.is_empty() {
            self.exit(key);
        } else {
            self.enter(key);
        }
    }

    /// The requests that are granted.
    fn serve(&mut self) -> Vec<usize> {
        let mut granted = Vec::new();
        while let Some(&key) = self.ring.front() {
            let free = self.free;
            let state = self.key(key);
            let (request, n) = state.line[0];
            if state.held + n > ceiling(key) {
                self.exit(key);
                continue;
            }
            if !state.has_turn {
                state.has_turn = true;
                state.deficit += weight(key);
            }
            if state.deficit < n {
                state.has_turn = false;
                self.ring.rotate_left(1);
            } else if free < n {
                break;
            } else {
                state.deficit -= n;
                state.line.pop_front();
                granted.push(request);
                self.take(key, n);
                self.settle(key);
            }
        }
        granted
    }
}

#[test]
fn random_programs_do_what_the_model_says() {
    let mut rng = Rng::with_seed(seed());
    for _ in 0..100 * times() {
        let permits = rng.u32(1..12);
        let pool = PartitionedSemaphore::builder(permits as usize)
            .weight(|key: &u32| weight(*key))
            .ceiling(|key| ceiling(*key) as usize)
            .build();
        let mut model = Model { free: permits, ..Model::default() };
        let mut waiting: BTreeMap<usize, (u32, u32, Spawn<PartitionedAcquire<u32>>)> =
            BTreeMap::new();
        let mut held: Vec<PartitionedPermit<u32>> = Vec::new();
        for request in 0..150 {
            let key = rng.u32(0..5);
            let n = rng.u32(1..=permits.min(ceiling(key)));
            let mut granted = Vec::new();
            match rng.u32(0..7) {
                0 => {
                    let may = model.may_take(key, n);
                    let taken = pool.try_acquire_many(key, n);
                    assert_eq!(taken.is_ok(), may);
                    if let Ok(permit) = taken {
                        model.take(key, n);
                        held.push(permit);
                    }
                }
                1..=3 => {
                    let may = model.may_take(key, n);
                    let mut future = spawn(pool.acquire_many(key, n));
                    match future.poll() {
                        Poll::Ready(permit) => {
                            assert!(may);
                            model.take(key, n);
                            held.push(permit.unwrap());
                        }
                        Poll::Pending => {
                            assert!(!may);
                            model.key(key).line.push_back((request, n));
                            model.enter(key);
                            assert_eq!(model.serve(), []);
                            waiting.insert(request, (key, n, future));
                        }
                    }
                }
                4 if !waiting.is_empty() => {
                    let requests: Vec<_> = waiting.keys().copied().collect();
                    let request = requests[rng.usize(..requests.len())];
                    let (key, ..) = waiting.remove(&request).unwrap();
                    model.leave(key, request);
                    model.settle(key);
                    granted = model.serve();
                }
                _ if !held.is_empty() => {
                    let permit = held.swap_remove(rng.usize(..held.len()));
                    let n = u32::try_from(permit.num_permits()).unwrap();
                    let key = *permit.key();
                    drop(permit);
                    model.free += n;
                    model.key(key).held -= n;
                    model.settle(key);
                    granted = model.serve();
                }
                _ => {}
            }
            let woken: Vec<_> = waiting
                .iter()
                .filter(|(_, (.., future))| future.is_woken())
                .map(|(request, _)| *request)
                .collect();
            granted.sort_unstable();
            assert_eq!(woken, granted);
            for request in granted {
                let (key, n, mut future) = waiting.remove(&request).unwrap();
                if rng.u32(0..8) == 0 {
                    // Cancelled after it was granted.
                    drop(future);
                    model.free += n;
                    model.key(key).held -= n;
                    model.settle(key);
                    // These come with the next operation's.
                    for request in model.serve() {
                        let (_, _, mut future) = waiting.remove(&request).unwrap();
                        held.push(served(&mut future).unwrap());
                    }
                } else {
                    held.push(served(&mut future).unwrap());
                }
            }
            let out: usize = held.iter().map(PartitionedPermit::num_permits).sum();
            assert_eq!(out, (permits - model.free) as usize);
            let queued: usize = waiting.values().map(|(_, n, _)| *n as usize).sum();
            assert_eq!(pool.status().queued, queued);
            for key in 0..5 {
                let outstanding = pool.status_of(&key).map_or(0, |status| status.outstanding);
                assert_eq!(outstanding, model.key(key).held as usize);
            }
        }
        drop((waiting, held));
        assert!(pool.is_empty());
        assert_eq!(pool.status().available, permits as usize);
    }
}

/// Weights that are small beside a request: the rounds in between are not gone through one by one.
#[test]
fn a_huge_request_of_a_light_key_is_no_work() {
    watch();
    let permits = u32::MAX >> 3;
    let pool = PartitionedSemaphore::new(permits as usize);
    let held = pool.try_acquire("a").unwrap();
    let mut all = wait(pool.acquire_many("b", permits));
    let mut more = wait(pool.acquire_many("c", permits - 1));
    drop(held);
    drop(served(&mut all).unwrap());
    drop(served(&mut more).unwrap());
}

#[test]
fn a_crowd_that_cancels_loses_nothing() {
    const PERMITS: usize = 3;
    let seed = seed();
    let pool = PartitionedSemaphore::builder(PERMITS).ceiling(|_| 2).build();
    let running = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 0..4 {
            let (pool, running) = (&pool, &running);
            let mut rng = Rng::with_seed(seed.wrapping_add(number));
            scope.spawn(move || {
                for _ in 0..1000 * times() {
                    let (key, n) = (rng.u32(0..3), rng.u32(1..=2));
                    let mut future = pool.acquire_many(key, n);
                    let permit = match poll(&mut future, Waker::noop()) {
                        Poll::Ready(permit) => permit.unwrap(),
                        Poll::Pending if rng.bool() => continue,
                        Poll::Pending => pollster::block_on(future).unwrap(),
                    };
                    let n = permit.num_permits();
                    assert!(running.fetch_add(n, Ordering::Relaxed) + n <= PERMITS);
                    thread::yield_now();
                    running.fetch_sub(n, Ordering::Relaxed);
                    drop(permit);
                }
            });
        }
    });
    assert!(pool.is_empty());
    assert_eq!(pool.status().available, PERMITS);
}

#[test]
fn what_can_be_sent_and_what_is_shown() {
    fn is_it<T: Send + Sync + Unpin + 'static>() {}
    is_it::<PartitionedSemaphore<String>>();
    is_it::<PartitionedAcquire<String>>();
    is_it::<PartitionedPermit<String>>();
    let pool = PartitionedSemaphore::new(2);
    let permit = pool.try_acquire("a").unwrap();
    let mut seen = Vec::new();
    pool.for_each(|key, status| seen.push((*key, status.outstanding)));
    assert_eq!(seen, [("a", 1)]);
    assert_eq!(format!("{permit:?}"), "PartitionedPermit { key: \"a\", permits: 1 }");
    assert!(format!("{pool:?}").ends_with("keys: 1, .. }"));
}
