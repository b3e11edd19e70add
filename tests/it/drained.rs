//! `drained` is done when the semaphore is closed and no permit is outstanding, and not before.

use std::future::Future;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Wake, Waker};
use std::thread;

use semafair::{Drained, DrainedOwned, Semaphore};
use tokio_test::task;

use crate::support::watchdog::times;
use crate::support::{Wakes, panic_of, poll, seed, served, wait, waits};

#[test]
fn it_can_be_stored_moved_and_sent() {
    fn check<T: Future<Output = ()> + Send + Sync + Unpin>() {}
    check::<Drained<'_>>();
    check::<DrainedOwned>();
    assert!(size_of::<Semaphore>() <= 32);
}

#[test]
fn it_is_done_at_once_if_nothing_is_out() {
    for permits in [0, 3] {
        let sem = Arc::new(Semaphore::new(permits));
        let mut before = wait(sem.drained());
        sem.close();
        served(&mut before);
        assert!(task::spawn(sem.drained()).poll().is_ready());
        assert!(task::spawn(sem.clone().drained_owned()).poll().is_ready());
    }
}

#[test]
fn it_waits_for_the_close_and_for_the_last_permit() {
    let sem = Semaphore::new(3);
    let (one, two) = (sem.try_acquire().unwrap(), sem.try_acquire_many(2).unwrap());
    let mut before = wait(sem.drained());
    drop(one);
    waits(&mut before);
    sem.close();
    waits(&mut before);
    let mut after = wait(sem.drained());
    drop(two);
    served(&mut before);
    served(&mut after);
}

#[test]
fn many_wait_and_some_give_up() {
    let sem = Arc::new(Semaphore::new(1));
    let permit = sem.try_acquire().unwrap();
    let mut all: Vec<_> = (0..1000).map(|_| Some(wait(sem.clone().drained_owned()))).collect();
    all.iter_mut().step_by(3).for_each(|one| *one = None);
    sem.close();
    drop(permit);
    all.iter_mut().flatten().for_each(served);
}

#[test]
fn a_guard_that_is_lost_is_out_for_ever_and_one_forgotten_is_not() {
    let sem = Semaphore::new(2);
    let (lost, forgotten) = (sem.try_acquire().unwrap(), sem.try_acquire().unwrap());
    sem.close();
    let mut drained = wait(sem.drained());
    mem::forget(lost);
    forgotten.forget();
    waits(&mut drained);
    drop(sem.adopt(1));
    served(&mut drained);
}

#[test]
fn the_last_guard_forgotten_ends_it() {
    let sem = Semaphore::new(1);
    let permit = sem.try_acquire().unwrap();
    sem.close();
    let mut drained = wait(sem.drained());
    permit.forget();
    served(&mut drained);
}

#[test]
fn a_refused_acquire_changes_nothing() {
    let sem = Semaphore::new(1);
    let permit = sem.try_acquire().unwrap();
    sem.close();
    let mut drained = wait(sem.drained());
    assert!(task::spawn(sem.acquire_many(5)).poll().is_ready());
    waits(&mut drained);
    drop(permit);
    assert!(task::spawn(sem.acquire_many(5)).poll().is_ready());
    served(&mut drained);
}

#[test]
fn a_refused_waiter_need_not_be_polled_unless_it_had_units() {
    let sem = Semaphore::new(2);
    let permit = sem.try_acquire().unwrap();
    let (had, had_none) = (wait(sem.acquire_many(2)), wait(sem.acquire()));
    sem.close();
    let mut drained = wait(sem.drained());
    drop(permit);
    waits(&mut drained);
    drop(had);
    served(&mut drained);
    drop(had_none);
}

#[test]
fn debt_and_new_limits_beside_a_close() {
    let sem = Semaphore::new(3);
    let (one, two) = (sem.try_acquire().unwrap(), sem.try_acquire_many(2).unwrap());
    sem.set_limit(1);
    sem.close();
    let mut drained = wait(sem.drained());
    sem.set_limit(0);
    drop(one);
    sem.set_limit(5);
    sem.add_permits(2);
    waits(&mut drained);
    drop(two);
    served(&mut drained);
    assert_eq!(sem.available_permits(), 7);
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("from a waker");
    }
}

#[test]
fn a_waker_that_panics_keeps_nobody_else_from_waking() {
    let sem = Semaphore::new(1);
    let permit = sem.try_acquire().unwrap();
    let mut bad = sem.drained();
    assert!(poll(&mut bad, &Waker::from(Arc::new(Panics))).is_pending());
    let mut others: Vec<_> = (0..100).map(|_| wait(sem.drained())).collect();
    sem.close();
    assert_eq!(panic_of(|| drop(permit)), "from a waker");
    others.iter_mut().for_each(served);
}

struct Reenters(Arc<Semaphore>, AtomicBool);

impl Wake for Reenters {
    fn wake(self: Arc<Self>) {
        let ready = poll(&mut self.0.drained(), Waker::noop()).is_ready();
        self.0.close();
        self.1.store(ready, Ordering::SeqCst);
    }
}

#[test]
fn a_waker_may_wait_again() {
    let sem = Arc::new(Semaphore::new(1));
    let permit = sem.try_acquire().unwrap();
    let reenters = Arc::new(Reenters(sem.clone(), AtomicBool::new(false)));
    let mut drained = sem.drained();
    assert!(poll(&mut drained, &Waker::from(reenters.clone())).is_pending());
    sem.close();
    drop(permit);
    assert!(reenters.1.load(Ordering::SeqCst));
}

/// The last release, the close, one who starts to wait, and a waiter that leaves, at one instant.
/// Nobody is done before the permit that stays out is back, and then everybody is.
#[test]
fn races() {
    let mut rng = fastrand::Rng::with_seed(seed());
    for _ in 0..times() * 3_000 {
        let sem = Arc::new(Semaphore::new(2));
        let kept = sem.try_acquire().unwrap();
        let released = sem.clone().try_acquire_owned().unwrap();
        let mut waiter = sem.clone().acquire_owned();
        if rng.bool() {
            let _pending = poll(&mut waiter, Waker::noop());
        }
        let wakes = Wakes::new();
        let start = Arc::new(Barrier::new(4));
        let mut drained = sem.clone().drained_owned();
        thread::scope(|scope| {
            scope.spawn(|| (start.wait(), drop(released)));
            scope.spawn(|| (start.wait(), drop(waiter)));
            scope.spawn(|| (start.wait(), assert!(wakes.poll(&mut drained).is_pending())));
            start.wait();
            sem.close();
        });
        assert!(wakes.poll(&mut drained).is_pending(), "a permit is out");
        let before = wakes.count();
        drop(kept);
        assert_eq!(wakes.count(), before + 1, "it should be woken");
        assert!(wakes.poll(&mut drained).is_ready());
    }
}
