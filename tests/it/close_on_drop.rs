//! `close_on_drop` closes, whatever way its owner comes to its end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use semafair::Semaphore;

use crate::support::{served, wait, watch};

#[test]
fn its_drop_refuses_who_waits() {
    let sem = Semaphore::new(1);
    let permit = sem.try_acquire().unwrap();
    let guard = sem.close_on_drop();
    let mut waiter = wait(sem.acquire());
    assert!(!guard.semaphore().is_closed());
    drop(guard);
    assert!(sem.is_closed());
    assert!(served(&mut waiter).is_err());
    drop(permit);
    assert_eq!(sem.available_permits(), 1);
}

#[test]
fn the_owned_one_keeps_the_semaphore_alive() {
    let sem = Arc::new(Semaphore::new(0));
    let weak = Arc::downgrade(&sem);
    let mut waiter = wait(Arc::clone(&sem).acquire_owned());
    let guard = Arc::clone(&sem).close_on_drop_owned();
    assert!(Arc::ptr_eq(guard.semaphore(), &sem));
    drop(sem);
    drop(guard);
    assert!(served(&mut waiter).is_err());
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_panic_of_its_owner_closes() {
    watch();
    let sem = Arc::new(Semaphore::new(0));
    let owners: [fn(&Arc<Semaphore>); 2] = [
        |sem| {
            let _closes = sem.close_on_drop();
            panic!("mine");
        },
        |sem| {
            let _closes = Arc::clone(sem).close_on_drop_owned();
            panic!("mine");
        },
    ];
    for owner in owners {
        let sem = Arc::new(Semaphore::new(0));
        assert!(catch_unwind(AssertUnwindSafe(|| owner(&sem))).is_err());
        assert!(sem.is_closed());
        assert_eq!(Arc::strong_count(&sem), 1);
    }
    assert!(!sem.is_closed());
}

#[test]
fn disarmed_it_closes_nothing() {
    let sem = Arc::new(Semaphore::new(1));
    sem.close_on_drop().disarm();
    let back = Arc::clone(&sem).close_on_drop_owned().disarm();
    assert!(Arc::ptr_eq(&back, &sem));
    drop(back);
    assert!(!sem.is_closed());
    assert_eq!(Arc::strong_count(&sem), 1);
}

#[test]
fn a_second_one_changes_nothing() {
    let sem = Semaphore::new(1);
    let (one, two) = (sem.close_on_drop(), sem.close_on_drop());
    drop(one);
    assert!(sem.is_closed());
    drop(two);
    assert_eq!(sem.available_permits(), 1);
}
