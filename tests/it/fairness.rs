//! Strict first come, first served, with weights: a place is taken at the first poll, and nobody
//! who comes later is served first.

use std::sync::Arc;
use std::task::Waker;

use semafair::{Semaphore, TryAcquireError};
use tokio_test::{assert_pending, assert_ready_ok, task};

use crate::support::{served, wait, waits};

#[test]
fn in_the_order_of_the_first_polls() {
    let sem = Semaphore::new(0);
    // Made in one order, polled in another.
    let mut third = task::spawn(sem.acquire());
    let mut first = wait(sem.acquire());
    let mut second = wait(sem.acquire());
    assert_pending!(third.poll());

    sem.add_permits(1);
    waits(&mut second);
    waits(&mut third);
    served(&mut first).unwrap().forget();

    sem.add_permits(1);
    waits(&mut third);
    served(&mut second).unwrap().forget();

    sem.add_permits(1);
    served(&mut third).unwrap().forget();
    assert_eq!(sem.available_permits(), 0);
}

#[test]
fn a_thousand_are_served_one_by_one() {
    let sem = Semaphore::new(0);
    let mut line: Vec<_> = (0..1000).map(|_| wait(sem.acquire())).collect();
    for i in 0..line.len() {
        sem.add_permits(1);
        for later in &line[i + 1..] {
            assert!(!later.is_woken(), "only number {i} is due");
        }
        if let Some(next) = line.get_mut(i + 1) {
            waits(next);
        }
        served(&mut line[i]).unwrap().forget();
    }
    assert_eq!(sem.available_permits(), 0);
}

#[test]
fn try_acquire_does_not_overtake_one_who_waits() {
    let sem = Semaphore::new(2);
    let mut first = wait(sem.acquire_many(3));
    // The two units are on their way to the first in line.
    assert_eq!(sem.available_permits(), 0);
    assert_eq!(sem.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
    assert_eq!(sem.try_acquire_many(2).unwrap_err(), TryAcquireError::NoPermits);

    sem.add_permits(1);
    // Granted, and not yet polled: nobody else may have it.
    assert_eq!(sem.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
    assert_eq!(served(&mut first).unwrap().num_permits(), 3);
}

#[test]
fn try_acquire_owned_does_not_overtake_one_who_waits() {
    let sem = Arc::new(Semaphore::new(1));
    let mut first = wait(sem.acquire_many(2));
    assert_eq!(sem.clone().try_acquire_owned().unwrap_err(), TryAcquireError::NoPermits);
    sem.add_permits(1);
    assert_eq!(sem.clone().try_acquire_many_owned(2).unwrap_err(), TryAcquireError::NoPermits);
    drop(served(&mut first).unwrap());
    assert_eq!(sem.clone().try_acquire_many_owned(2).unwrap().num_permits(), 2);
}

#[test]
fn the_releaser_does_not_get_its_own_permit_back_before_others() {
    let sem = Semaphore::new(1);
    let permit = sem.try_acquire().unwrap();
    let mut other = wait(sem.acquire());
    drop(permit);
    let mut again = wait(sem.acquire());
    drop(served(&mut other).unwrap());
    drop(served(&mut again).unwrap());
    assert_eq!(sem.available_permits(), 1);
}

#[test]
fn a_small_request_waits_behind_a_big_one() {
    let sem = Semaphore::new(2);
    let mut big = wait(sem.acquire_many(3));
    let mut small = wait(sem.acquire());
    let mut middle = wait(sem.acquire_many(2));

    sem.add_permits(1);
    waits(&mut small);
    let permits = served(&mut big).unwrap();
    waits(&mut small);
    drop(permits);
    drop(served(&mut middle).unwrap());
    drop(served(&mut small).unwrap());
    assert_eq!(sem.available_permits(), 3);
}

#[test]
fn the_first_in_line_is_filled_unit_by_unit() {
    let sem = Semaphore::new(0);
    let mut big = wait(sem.acquire_many(5));
    let mut small = wait(sem.acquire());
    for _ in 0..4 {
        sem.add_permits(1);
        assert_eq!(sem.available_permits(), 0);
        waits(&mut big);
        waits(&mut small);
    }
    sem.add_permits(1);
    waits(&mut small);
    assert_eq!(served(&mut big).unwrap().num_permits(), 5);
    drop(served(&mut small).unwrap());
}

#[test]
fn small_requests_do_not_starve_a_big_one() {
    let sem = Semaphore::new(8);
    let mut held: Vec<_> = (0..8).map(|_| sem.try_acquire().unwrap()).collect();
    let mut big = wait(sem.acquire_many(8));
    let mut crowd = Vec::new();
    // Everyone who gives a permit back comes again at once, many times more than are needed.
    while let Some(permit) = held.pop() {
        drop(permit);
        crowd.push(wait(sem.acquire_many(1)));
        crowd.push(wait(sem.acquire_many(2)));
        for small in &mut crowd {
            assert!(!small.is_woken());
        }
    }
    drop(served(&mut big).unwrap());
    let mut in_order = crowd.iter_mut();
    for small in in_order.by_ref().take(5) {
        // 1 + 2 + 1 + 2 + 1 of the eight, and one on its way to the sixth.
        served(small).unwrap().forget();
    }
    in_order.for_each(waits);
}

#[test]
fn one_release_serves_as_many_as_it_covers() {
    let sem = Semaphore::new(0);
    let mut line: Vec<_> = [2, 1, 3, 1].map(|n| wait(sem.acquire_many(n))).into();

    sem.add_permits(4);
    waits(&mut line[2]);
    waits(&mut line[3]);
    served(&mut line[0]).unwrap().forget();
    served(&mut line[1]).unwrap().forget();
    assert_eq!(sem.available_permits(), 0);

    sem.add_permits(2);
    waits(&mut line[3]);
    served(&mut line[2]).unwrap().forget();

    sem.add_permits(5);
    assert_eq!(sem.available_permits(), 4);
    served(&mut line[3]).unwrap().forget();
    assert_eq!(sem.available_permits(), 4);
}

#[test]
fn every_split_of_the_same_units_serves_the_same_ones() {
    const WEIGHTS: [u32; 5] = [3, 1, 4, 1, 5];
    // Bit i of `cuts` ends a release after unit i.
    for cuts in 0..1_u32 << 13 {
        let sem = Semaphore::new(0);
        let mut line = WEIGHTS.map(|n| wait(sem.acquire_many(n)));
        let mut given = 0;
        let mut carried = 0;
        for unit in 0..14 {
            carried += 1;
            if unit == 13 || cuts >> unit & 1 == 1 {
                sem.add_permits(carried);
                given += carried;
                carried = 0;
                let mut needed = 0;
                for (task, n) in line.iter().zip(WEIGHTS) {
                    needed += n as usize;
                    assert_eq!(task.is_woken(), needed <= given, "{cuts:b}, {given} given");
                }
            }
        }
        for (task, n) in line.iter_mut().zip(WEIGHTS) {
            let permits = served(task).unwrap();
            assert_eq!(permits.num_permits(), n as usize);
            permits.forget();
        }
        assert_eq!(sem.available_permits(), 0);
    }
}

#[test]
fn a_place_is_kept_over_polls_with_other_wakers() {
    let sem = Semaphore::new(0);
    let mut first = wait(sem.acquire());
    let mut second = wait(sem.acquire());
    for round in 0..100 {
        if round % 2 == 0 {
            // `Spawn::poll` registers its own waker, `enter` another.
            assert_pending!(first.poll());
        } else {
            let noop = &mut std::task::Context::from_waker(Waker::noop());
            assert_pending!(first.enter(|_, future| future.poll(noop)));
        }
        assert_pending!(second.poll());
    }
    sem.add_permits(1);
    assert_pending!(second.poll());
    assert_ready_ok!(first.poll()).forget();
    assert_pending!(second.poll());
}

#[test]
fn owned_and_borrowed_stand_in_one_line() {
    let sem = Arc::new(Semaphore::new(0));
    let mut first = wait(sem.clone().acquire_owned());
    let mut second = wait(sem.acquire());
    let mut third = wait(sem.clone().acquire_many_owned(2));
    let mut fourth = wait(sem.acquire_many(2));
    sem.add_permits(1);
    waits(&mut second);
    served(&mut first).unwrap().forget();
    sem.add_permits(2);
    waits(&mut third);
    served(&mut second).unwrap().forget();
    sem.add_permits(1);
    waits(&mut fourth);
    served(&mut third).unwrap().forget();
    sem.add_permits(2);
    served(&mut fourth).unwrap().forget();
}

#[test]
fn a_request_of_nothing_never_waits() {
    let sem = Arc::new(Semaphore::new(0));
    let mut first = wait(sem.acquire_many(2));
    let mut nothing = task::spawn(sem.acquire_many(0));
    assert_eq!(assert_ready_ok!(nothing.poll()).num_permits(), 0);
    let mut nothing = task::spawn(sem.clone().acquire_many_owned(0));
    assert_eq!(assert_ready_ok!(nothing.poll()).num_permits(), 0);
    assert_eq!(sem.try_acquire_many(0).unwrap().num_permits(), 0);
    assert_eq!(sem.clone().try_acquire_many_owned(0).unwrap().num_permits(), 0);
    // Nor does it take or give anything.
    sem.add_permits(1);
    drop(sem.try_acquire_many(0).unwrap());
    waits(&mut first);
    sem.add_permits(1);
    drop(served(&mut first).unwrap());
    assert_eq!(sem.available_permits(), 2);
}

#[test]
fn who_waits_gets_no_more_and_no_less_than_asked() {
    let sem = Semaphore::new(3);
    let mut all = wait(sem.acquire_many(4));
    sem.add_permits(10);
    assert_eq!(sem.available_permits(), 9);
    let permits = served(&mut all).unwrap();
    assert_eq!(permits.num_permits(), 4);
    drop(permits);
    assert_eq!(sem.available_permits(), 13);
}

#[test]
fn forget_permits_takes_nothing_from_those_who_wait() {
    let sem = Semaphore::new(2);
    let mut first = wait(sem.acquire_many(3));
    assert_eq!(sem.forget_permits(1), 0);
    sem.add_permits(1);
    // Granted: it is nobody's to forget.
    assert_eq!(sem.forget_permits(1), 0);
    drop(served(&mut first).unwrap());
    assert_eq!(sem.forget_permits(2), 2);
    assert_eq!(sem.available_permits(), 1);
}
