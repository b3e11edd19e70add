//! A permit gives back exactly what it holds, once: merged, split, forgotten or dropped.

use std::sync::Arc;

use semafair::Semaphore;

use crate::support::{panic_of, served, wait, waits};

#[test]
fn dropping_gives_back_what_was_taken() {
    let sem = Arc::new(Semaphore::new(10));
    let one = sem.try_acquire().unwrap();
    let many = sem.try_acquire_many(3).unwrap();
    let owned = sem.clone().try_acquire_owned().unwrap();
    let many_owned = sem.clone().try_acquire_many_owned(4).unwrap();
    assert_eq!(one.num_permits(), 1);
    assert_eq!(many.num_permits(), 3);
    assert_eq!(owned.num_permits(), 1);
    assert_eq!(many_owned.num_permits(), 4);
    assert_eq!(sem.available_permits(), 1);
    drop(many);
    assert_eq!(sem.available_permits(), 4);
    drop(many_owned);
    assert_eq!(sem.available_permits(), 8);
    drop(one);
    drop(owned);
    assert_eq!(sem.available_permits(), 10);
}

#[test]
fn try_acquire_takes_all_or_nothing() {
    let sem = Semaphore::new(3);
    sem.try_acquire_many(4).unwrap_err();
    assert_eq!(sem.available_permits(), 3);
    let all = sem.try_acquire_many(3).unwrap();
    sem.try_acquire().unwrap_err();
    drop(all);
    assert_eq!(sem.available_permits(), 3);
}

#[test]
fn a_permit_that_is_dropped_serves_those_who_wait() {
    let sem = Arc::new(Semaphore::new(5));
    let borrowed = sem.try_acquire_many(2).unwrap();
    let owned = sem.clone().try_acquire_many_owned(3).unwrap();
    let mut first = wait(sem.acquire_many(2));
    let mut second = wait(sem.acquire_many(3));
    drop(owned);
    waits(&mut second);
    served(&mut first).unwrap().forget();
    drop(borrowed);
    served(&mut second).unwrap().forget();
    assert_eq!(sem.available_permits(), 0);
}

#[test]
fn forgotten_permits_are_gone() {
    let sem = Arc::new(Semaphore::new(6));
    sem.try_acquire_many(2).unwrap().forget();
    sem.clone().try_acquire_many_owned(3).unwrap().forget();
    assert_eq!(sem.available_permits(), 1);
    assert_eq!(Arc::strong_count(&sem), 1, "a forgotten owned permit lets the semaphore go");
    let mut waiting = wait(sem.acquire_many(2));
    waits(&mut waiting);
    sem.add_permits(1);
    served(&mut waiting).unwrap().forget();
}

#[test]
fn forget_permits_says_how_many_it_took() {
    let sem = Semaphore::new(5);
    assert_eq!(sem.forget_permits(0), 0);
    assert_eq!(sem.forget_permits(2), 2);
    assert_eq!(sem.available_permits(), 3);
    let held = sem.try_acquire().unwrap();
    assert_eq!(sem.forget_permits(usize::MAX), 2);
    assert_eq!(sem.available_permits(), 0);
    assert_eq!(sem.forget_permits(1), 0);
    drop(held);
    assert_eq!(sem.available_permits(), 1);
    assert_eq!(sem.forget_permits(Semaphore::MAX_PERMITS + 1), 1);
}

#[test]
fn merged_permits_come_back_together() {
    let sem = Semaphore::new(5);
    let mut a = sem.try_acquire_many(2).unwrap();
    a.merge(sem.try_acquire_many(3).unwrap());
    assert_eq!(a.num_permits(), 5);
    a.merge(sem.try_acquire_many(0).unwrap());
    assert_eq!(a.num_permits(), 5);
    assert_eq!(sem.available_permits(), 0);
    let mut five = wait(sem.acquire_many(5));
    drop(a);
    drop(served(&mut five).unwrap());
    assert_eq!(sem.available_permits(), 5);
}

#[test]
fn merged_owned_permits_come_back_together() {
    let sem = Arc::new(Semaphore::new(5));
    let mut a = sem.clone().try_acquire_many_owned(2).unwrap();
    a.merge(sem.clone().try_acquire_many_owned(3).unwrap());
    assert_eq!(a.num_permits(), 5);
    assert_eq!(sem.available_permits(), 0);
    assert_eq!(Arc::strong_count(&sem), 2, "the merged permit lets the semaphore go");
    drop(a);
    assert_eq!(sem.available_permits(), 5);
    assert_eq!(Arc::strong_count(&sem), 1);
}

#[test]
fn merging_strangers_panics_and_loses_nothing() {
    let ours = Semaphore::new(3);
    let theirs = Semaphore::new(3);
    let mut kept = ours.try_acquire_many(2).unwrap();
    let text = panic_of(|| kept.merge(theirs.try_acquire_many(2).unwrap()));
    assert!(text.contains("merging permits from different semaphore instances"), "{text}");
    assert_eq!(kept.num_permits(), 2);
    assert_eq!(ours.available_permits(), 1);
    assert_eq!(theirs.available_permits(), 3, "the other permit was dropped, at home");
    drop(kept);
    assert_eq!(ours.available_permits(), 3);
}

#[test]
fn merging_owned_strangers_panics_and_loses_nothing() {
    let ours = Arc::new(Semaphore::new(3));
    let theirs = Arc::new(Semaphore::new(3));
    let mut kept = ours.clone().try_acquire_many_owned(2).unwrap();
    let text = panic_of(|| kept.merge(theirs.clone().try_acquire_many_owned(2).unwrap()));
    assert!(text.contains("merging permits from different semaphore instances"), "{text}");
    assert_eq!(kept.num_permits(), 2);
    assert_eq!(theirs.available_permits(), 3);
    drop(kept);
    assert_eq!(ours.available_permits(), 3);
    assert_eq!((Arc::strong_count(&ours), Arc::strong_count(&theirs)), (1, 1));
}

#[test]
fn split_parts_come_back_apart() {
    let sem = Semaphore::new(5);
    let mut all = sem.try_acquire_many(5).unwrap();
    let two = all.split(2).unwrap();
    assert_eq!((all.num_permits(), two.num_permits()), (3, 2));
    assert_eq!(sem.available_permits(), 0);
    let nothing = all.split(0).unwrap();
    assert_eq!(nothing.num_permits(), 0);
    drop(nothing);
    assert_eq!(sem.available_permits(), 0);
    drop(two);
    assert_eq!(sem.available_permits(), 2);
    let rest = all.split(3).unwrap();
    assert_eq!(all.num_permits(), 0);
    drop(all);
    assert_eq!(sem.available_permits(), 2);
    drop(rest);
    assert_eq!(sem.available_permits(), 5);
}

#[test]
fn no_part_is_bigger_than_the_whole() {
    let sem = Arc::new(Semaphore::new(5));
    let mut all = sem.try_acquire_many(2).unwrap();
    assert!(all.split(3).is_none());
    assert!(all.split(usize::MAX).is_none());
    assert_eq!(all.num_permits(), 2);
    let mut owned = sem.clone().try_acquire_many_owned(3).unwrap();
    assert!(owned.split(4).is_none());
    assert_eq!(owned.num_permits(), 3);
    drop((all, owned));
    assert_eq!(sem.available_permits(), 5);
}

#[test]
fn split_owned_parts_keep_the_semaphore() {
    let sem = Arc::new(Semaphore::new(3));
    let mut all = sem.clone().try_acquire_many_owned(3).unwrap();
    let part = all.split(1).unwrap();
    assert_eq!(Arc::strong_count(&sem), 3);
    let weak = Arc::downgrade(&sem);
    drop(sem);
    drop(all);
    assert_eq!(weak.upgrade().unwrap().available_permits(), 2);
    drop(part);
    assert!(weak.upgrade().is_none(), "the last permit lets the semaphore go");
}

#[test]
fn a_part_of_a_permit_serves_one_who_waits() {
    let sem = Semaphore::new(3);
    let mut all = sem.try_acquire_many(3).unwrap();
    let mut first = wait(sem.acquire());
    let mut second = wait(sem.acquire_many(2));
    drop(all.split(1));
    waits(&mut second);
    served(&mut first).unwrap().forget();
    drop(all);
    served(&mut second).unwrap().forget();
}

#[test]
fn a_permit_knows_its_semaphore() {
    let sem = Arc::new(Semaphore::new(3));
    let mut borrowed = sem.try_acquire_many(2).unwrap();
    assert!(std::ptr::eq(borrowed.semaphore(), &*sem));
    let part = borrowed.split(1).unwrap();
    assert!(std::ptr::eq(part.semaphore(), &*sem));
    let owned = sem.clone().try_acquire_owned().unwrap();
    assert!(Arc::ptr_eq(owned.semaphore(), &sem));
}

#[test]
fn a_waiting_owned_future_keeps_the_semaphore_and_lets_it_go() {
    let sem = Arc::new(Semaphore::new(0));
    let weak = Arc::downgrade(&sem);
    let waiting = wait(sem.acquire_owned());
    assert!(weak.upgrade().is_some());
    drop(waiting);
    assert!(weak.upgrade().is_none());
}
