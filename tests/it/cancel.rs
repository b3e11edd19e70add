//! Dropping a future gives up its place, passes on what it had, and disturbs nobody else.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use semafair::Semaphore;
use tokio_test::task::{self, Spawn};

use crate::limits::BIGGEST;
use crate::support::{seed, served, wait, waits};

#[test]
fn all_leave_in_any_order() {
    for order in permutations(5) {
        let sem = Semaphore::new(0);
        let mut line: Vec<_> = (1..=5).map(|n| Some(wait(sem.acquire_many(n)))).collect();
        for i in order {
            drop(line[i].take());
        }
        sem.add_permits(3);
        assert_eq!(sem.available_permits(), 3);
    }
}

#[test]
fn partly_filled_and_dropped_goes_to_those_behind() {
    let sem = Semaphore::new(2);
    let big = wait(sem.acquire_many(3));
    let mut one = wait(sem.acquire());
    let mut two = wait(sem.acquire());
    let mut three = wait(sem.acquire());
    drop(big);
    waits(&mut three);
    served(&mut one).unwrap().forget();
    served(&mut two).unwrap().forget();
    drop(three);
    assert_eq!(sem.available_permits(), 0);
}

#[test]
fn partly_filled_and_dropped_fills_part_of_the_next() {
    let sem = Semaphore::new(2);
    let big = wait(sem.acquire_many(4));
    let mut next = wait(sem.acquire_many(3));
    drop(big);
    waits(&mut next);
    assert_eq!(sem.available_permits(), 0);
    sem.add_permits(2);
    assert_eq!(sem.available_permits(), 1);
    drop(served(&mut next).unwrap());
    assert_eq!(sem.available_permits(), 4);
}

#[test]
fn partly_filled_and_dropped_alone_gives_everything_back() {
    let sem = Semaphore::new(0);
    let big = wait(sem.acquire_many(BIGGEST));
    sem.add_permits(1);
    sem.add_permits(2);
    assert_eq!(sem.available_permits(), 0);
    drop(big);
    assert_eq!(sem.available_permits(), 3);
}

#[test]
fn one_who_leaves_the_middle_moves_nothing() {
    let sem = Semaphore::new(1);
    let mut head = wait(sem.acquire_many(2));
    let middle = wait(sem.acquire_many(7));
    let mut tail = wait(sem.acquire());
    drop(middle);
    waits(&mut head);
    waits(&mut tail);
    sem.add_permits(1);
    waits(&mut tail);
    drop(served(&mut head).unwrap());
    drop(served(&mut tail).unwrap());
    assert_eq!(sem.available_permits(), 2);
}

#[test]
fn never_polled_is_never_in_line() {
    let sem = Semaphore::new(0);
    let never = task::spawn(sem.acquire());
    let mut first = wait(sem.acquire());
    drop(never);
    sem.add_permits(1);
    drop(served(&mut first).unwrap());
    assert_eq!(sem.available_permits(), 1);

    // Not even with a permit there for the taking.
    drop(task::spawn(sem.acquire()));
    assert_eq!(sem.available_permits(), 1);
}

#[test]
fn a_completed_future_holds_nothing() {
    let sem = Arc::new(Semaphore::new(1));
    let mut future = task::spawn(sem.acquire());
    let Poll::Ready(Ok(permit)) = future.poll() else { panic!("one is free") };
    drop(future);
    assert_eq!(sem.available_permits(), 0);
    let mut future = wait(sem.clone().acquire_owned());
    drop(permit);
    let permit = served(&mut future).unwrap();
    drop(future);
    assert_eq!(sem.available_permits(), 0);
    drop(permit);
    assert_eq!(sem.available_permits(), 1);
}

#[test]
fn a_crowd_leaves_from_behind_a_head_that_stays() {
    const CROWD: usize = 100_000;
    let mut rng = fastrand::Rng::with_seed(seed());
    let noop = &mut Context::from_waker(Waker::noop());
    for order in ["as they came", "last first", "any"] {
        let sem = Semaphore::new(0);
        let mut head = wait(sem.acquire());
        let mut crowd: Vec<_> = (0..CROWD).map(|_| Some(Box::pin(sem.acquire()))).collect();
        for future in crowd.iter_mut().flatten() {
            assert!(future.as_mut().poll(noop).is_pending());
        }
        let mut tail = wait(sem.acquire());
        match order {
            "as they came" => crowd.iter_mut().for_each(|f| drop(f.take())),
            "last first" => crowd.iter_mut().rev().for_each(|f| drop(f.take())),
            _ => {
                rng.shuffle(&mut crowd);
                crowd.iter_mut().for_each(|f| drop(f.take()));
            }
        }
        waits(&mut head);
        waits(&mut tail);
        sem.add_permits(1);
        waits(&mut tail);
        served(&mut head).unwrap().forget();
        sem.add_permits(1);
        drop(served(&mut tail).unwrap());
        assert_eq!(sem.available_permits(), 1);
    }
}

#[test]
fn a_crowd_of_heads_leaves_with_units_in_hand() {
    // Each head in turn has two of the three units it wants, and passes them on.
    let sem = Semaphore::new(2);
    let mut line: Vec<_> = (0..10_000).map(|_| wait(sem.acquire_many(3))).collect();
    let mut tail = wait(sem.acquire_many(2));
    for task in line.drain(..) {
        waits(&mut tail);
        drop(task);
    }
    drop(served(&mut tail).unwrap());
    assert_eq!(sem.available_permits(), 2);
}

/// Who must have been granted by now: the longest prefix of those still there that the units cover.
fn check<F: Future>(line: &[(u32, Option<Spawn<F>>)], units: u32, what: &[usize]) {
    let mut needed = 0;
    for (i, (n, task)) in line.iter().enumerate() {
        if let Some(task) = task {
            needed += n;
            assert_eq!(task.is_woken(), needed <= units, "number {i} after {what:?}");
        }
    }
}

#[test]
fn releases_and_cancels_in_every_order() {
    // Steps 0, 1, 2 release so many units; steps 3 to 6 drop a waiter.
    const RELEASES: [u32; 3] = [1, 2, 3];
    const WANTS: [u32; 4] = [2, 1, 3, 1];
    for order in permutations(7) {
        let sem = Semaphore::new(6);
        let mut held = RELEASES.map(|n| Some(sem.try_acquire_many(n).unwrap()));
        let mut line = WANTS.map(|n| (n, Some(wait(sem.acquire_many(n)))));
        let mut units = 0;
        for (i, &step) in order.iter().enumerate() {
            if step < 3 {
                drop(held[step].take());
                units += RELEASES[step];
            } else {
                drop(line[step - 3].1.take());
            }
            check(&line, units, &order[..=i]);
            let wanted: u32 = line.iter().filter(|(_, task)| task.is_some()).map(|(n, _)| n).sum();
            let free = units.saturating_sub(wanted) as usize;
            assert_eq!(sem.available_permits(), free, "after {:?}", &order[..=i]);
        }
        assert_eq!(sem.available_permits(), 6, "after {order:?}");
    }
}

/// All orders of `0..n`.
fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![vec![]];
    }
    let mut all = Vec::new();
    for shorter in permutations(n - 1) {
        for i in 0..n {
            let mut order = shorter.clone();
            order.insert(i, n - 1);
            all.push(order);
        }
    }
    all
}
