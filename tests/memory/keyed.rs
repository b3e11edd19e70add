//! Keys that come and go leave nothing behind.
//!
//! The map frees in batches, and its table stays as large as the most keys at a time have made it: that is all that is allowed to
//! remain. It grows neither with the number of keys that have been there, nor with what a key and its semaphore need.

use semafair::{KeyedSemaphore, PartitionedSemaphore};

use crate::{Since, poll, watchdog};

/// A million with `SEMAFAIR_TIMES=50`.
fn keys() -> u64 {
    20_000 * watchdog::times() as u64
}

/// A key that has heap of its own.
fn key(number: u64) -> String {
    format!("a tenant with a rather long name, number {number}")
}

/// What the batches and a small table may keep.
const KEPT: usize = 64 << 10;

#[test]
fn keys_that_come_and_go_leave_nothing() {
    let since = Since::new();
    let semaphore = KeyedSemaphore::new(1);
    for number in 0..keys() {
        let permit = semaphore.try_acquire(key(number)).unwrap();
        let mut waiter = semaphore.acquire(key(number));
        assert!(poll(&mut waiter).is_pending());
        if number % 2 == 0 {
            drop(permit);
        }
        drop(waiter);
    }
    assert!(semaphore.is_empty());
    assert!(since.held() <= KEPT, "{} bytes", since.held());
    drop(semaphore);
    assert!(since.held() <= KEPT, "{} bytes", since.held());
}

#[test]
fn keys_that_are_there_together_leave_a_table() {
    let since = Since::new();
    let semaphore = KeyedSemaphore::new(1);
    let permits: Vec<_> =
        (0..keys()).map(|number| semaphore.try_acquire(key(number)).unwrap()).collect();
    let most = since.held();
    drop(permits);
    assert!(semaphore.is_empty());
    let left = since.held();
    println!("{} bytes for each key, of which {} stay", most as u64 / keys(), left as u64 / keys());
    assert!(left <= KEPT + 36 * usize::try_from(keys()).unwrap(), "{left} bytes");

    // As many again, of which few are there at a time, make the table small.
    for number in 0..4 * keys() {
        drop(semaphore.try_acquire(key(number)).unwrap());
    }
    let again = since.held();
    println!("{} bytes of it stay after others have come and gone", again as u64 / keys());
    assert!(again <= KEPT + left / 4, "{again} bytes");
}

#[test]
fn keys_of_a_pool_leave_nothing() {
    let since = Since::new();
    let pool = PartitionedSemaphore::new(1);
    for number in 0..keys() {
        let permit = pool.try_acquire(key(number)).unwrap();
        let mut waiter = pool.acquire(key(number + 1));
        assert!(poll(&mut waiter).is_pending());
        drop(permit);
        drop(waiter);
    }
    assert!(pool.is_empty());
    assert!(since.held() <= KEPT, "{} bytes", since.held());
}
