//! What can be seen of a semaphore.

use std::thread;

use semafair::Semaphore;

use crate::support::watchdog::times;
use crate::support::{served, wait, watch};

#[test]
fn each_field() {
    let sem = Semaphore::builder(4).name("pool").build();
    let mut permits = sem.try_acquire_many(4).unwrap();
    let mut first = wait(sem.acquire_many(2));
    let _second = wait(sem.acquire());
    sem.set_limit(3);
    let status = sem.status();
    assert_eq!(status.name, Some("pool"));
    assert_eq!((status.limit, status.available, status.outstanding), (3, 0, 4));
    assert_eq!((status.debt, status.queued, status.is_closed), (1, 3, false));
    drop(permits.split(3));
    let served = served(&mut first).unwrap();
    let status = sem.status();
    assert_eq!((status.limit, status.available, status.outstanding), (3, 0, 3));
    assert_eq!((status.debt, status.queued), (0, 1));
    sem.close();
    let status = sem.status();
    assert_eq!((status.available, status.outstanding, status.queued), (0, 3, 0));
    assert!(status.is_closed);
    drop((permits, served));
    assert_eq!((sem.status().available, sem.status().outstanding), (3, 0));
}

/// What a waiter has already is on its way to it.
#[test]
fn a_part_counts_as_outstanding() {
    let sem = Semaphore::new(2);
    let waiter = wait(sem.acquire_many(5));
    let status = sem.status();
    assert_eq!((status.available, status.outstanding, status.queued), (0, 2, 3));
    drop(waiter);
    assert_eq!(sem.status().available, 2);
}

#[test]
fn display_is_one_line() {
    let sem = Semaphore::new(2);
    let permits = sem.try_acquire_many(2).unwrap();
    sem.set_limit(1);
    assert_eq!(sem.status().to_string(), "limit 1, available 0, outstanding 2, debt 1, queued 0");
    sem.close();
    assert_eq!(
        sem.status().to_string(),
        "limit 1, available 0, outstanding 2, debt 1, queued 0, closed"
    );
    drop(permits);
    let named = Semaphore::builder(1).name("disk").build();
    assert_eq!(
        named.status().to_string(),
        "disk: limit 1, available 1, outstanding 0, debt 0, queued 0"
    );
}

#[test]
fn debug_shows_the_same() {
    let sem = Semaphore::builder(2).name("disk").build();
    let permit = sem.try_acquire();
    assert_eq!(
        format!("{sem:?}"),
        "Semaphore { name: \"disk\", limit: 2, available: 1, outstanding: 1, debt: 0, queued: 0, \
         is_closed: false }"
    );
    drop(permit);
    assert!(format!("{:?}", Semaphore::new(1)).starts_with("Semaphore { limit: 1, available: 1"));
}

/// Off by no more than what changes meanwhile, and by nothing in the end.
#[test]
fn while_permits_come_and_go() {
    watch();
    let sem = Semaphore::new(3);
    thread::scope(|scope| {
        let busy = scope.spawn(|| {
            for _ in 0..20_000 * times() {
                drop(sem.try_acquire_many(2));
            }
        });
        while !busy.is_finished() {
            let status = sem.status();
            assert_eq!((status.limit, status.debt, status.queued), (3, 0, 0));
            assert!(matches!(status.available, 1 | 3), "{status}");
            assert_eq!(status.outstanding, 3 - status.available, "the limit does not change");
        }
    });
}
