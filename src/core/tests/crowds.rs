//! Crowds: more threads and longer scripts than loom can exhaust. All chance is shuttle's own, so
//! that a printed schedule repeats it. A lost wake-up is a deadlock, or found when all is settled.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shuttle::future::block_on;
use shuttle::rand::{Rng, thread_rng};

use super::models::{Bank, Waiter, check, thread};
use crate::Semaphore;

/// A number below `n`.
fn below(n: usize) -> usize {
    thread_rng().gen_range(0..n)
}

/// From one to `n` permits.
fn some(n: u32) -> u32 {
    thread_rng().gen_range(1..=n)
}

fn chance() -> bool {
    thread_rng().r#gen()
}

/// Lets so many threads do the same, and gathers what they leave.
fn crowd<T: Send + 'static>(
    bank: &Bank,
    threads: usize,
    run: impl Fn(&Semaphore) -> T + Clone + Send + 'static,
) -> Vec<T> {
    let threads: Vec<_> = (0..threads).map(|_| bank.spawn(run.clone())).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// Makes enough for all who still wait, three each, and closes the books.
fn serve_all(bank: Bank, waiters: Vec<Waiter>, total: usize) {
    let enough = 3 * waiters.len();
    bank.semaphore.add_permits(enough);
    bank.settle(waiters, total + enough);
}

/// Three permits go round among eight, who want one to three each.
#[test]
fn permits_go_round() {
    check(|| {
        let bank = Bank::without_line(3);
        let out = Arc::new(AtomicUsize::new(0));
        crowd(&bank, 8, move |semaphore| {
            for _ in 0..1 + below(3) {
                let permit = block_on(semaphore.acquire_many(some(3))).unwrap();
                let n = permit.num_permits();
                // ORDERING: SeqCst. The test's own note; nothing hangs on its order.
                let before = out.fetch_add(n, Ordering::SeqCst);
                assert!(before + n <= 3, "more permits are out than there are");
                thread::yield_now();
                // ORDERING: SeqCst, as above.
                out.fetch_sub(n, Ordering::SeqCst);
            }
        });
        bank.settle(vec![], 3);
    });
}

/// They come, look again with other wakers, and leave, before and after they were served.
#[test]
fn fickle_ones() {
    check(|| {
        let bank = Arc::new(Bank::new(2));
        let door = bank.clone();
        let left = crowd(&bank, 6, move |_| {
            let mut stay = Vec::new();
            for _ in 0..1 + below(3) {
                let mut waiter = door.waiter(some(3));
                let mut polls = 1 + below(3);
                while polls > 0 && waiter.poll_anew().is_pending() {
                    polls -= 1;
                }
                if polls == 0 && chance() {
                    stay.push(waiter);
                }
            }
            stay
        });
        serve_all(Arc::into_inner(bank).unwrap(), left.into_iter().flatten().collect(), 2);
    });
}

/// A line of six; some leave it while units come for them: nobody is served before those in front.
#[test]
fn a_line_with_gaps() {
    check(|| {
        let bank = Bank::new(0);
        let mut stay = Vec::new();
        let mut threads = Vec::new();
        for _ in 0..6 {
            let mut waiter = bank.waiting(some(3));
            if threads.len() < 4 && chance() {
                threads.push(
                    bank.spawn(move |_| drop(waiter.poll_anew().is_pending().then_some(waiter))),
                );
            } else {
                stay.push(waiter);
            }
        }
        let added: usize = crowd(&bank, 3, |semaphore| {
            let some = [some(3), some(3)].map(|n| n as usize);
            some.iter().for_each(|n| semaphore.add_permits(*n));
            some.iter().sum::<usize>()
        })
        .into_iter()
        .sum();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(stay.is_sorted_by_key(|waiter| !waiter.is_woken()), "somebody overtook");
        serve_all(bank, stay, added);
    });
}

/// Permits are made and taken away, while some try, and some wait.
#[test]
fn add_and_forget() {
    check(|| {
        let bank = Arc::new(Bank::new(1));
        let door = bank.clone();
        let all = crowd(&bank, 6, move |semaphore| {
            let (mut total, mut left) = (0, Vec::new());
            for _ in 0..3 {
                match below(4) {
                    0 => {
                        let n = some(3);
                        semaphore.add_permits(n as usize);
                        total += i64::from(n);
                    }
                    1 => total -= i64::try_from(semaphore.forget_permits(2)).unwrap(),
                    2 => {
                        let permit = semaphore.try_acquire_many(some(2));
                        thread::yield_now();
                        drop(permit);
                    }
                    _ => left.extend(door.waiter(some(2)).visit()),
                }
            }
            (total, left)
        });
        let (totals, left): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        let total = 1 + totals.iter().sum::<i64>();
        let left = left.into_iter().flatten().collect();
        serve_all(Arc::into_inner(bank).unwrap(), left, usize::try_from(total).unwrap());
    });
}

/// Guards are split, merged, and forgotten, and what was forgotten is made anew.
#[test]
fn guards_of_all_sizes() {
    check(|| {
        let bank = Bank::new(4);
        crowd(&bank, 5, |semaphore| {
            let mut permit = block_on(semaphore.acquire_many(some(4))).unwrap();
            let part = permit.split(below(permit.num_permits() + 1)).unwrap();
            match below(4) {
                0 => drop(permit),
                1 => {
                    let n = permit.num_permits();
                    permit.forget();
                    semaphore.add_permits(n);
                }
                2 => permit.merge(part),
                _ => {
                    if let Ok(more) = semaphore.try_acquire() {
                        permit.merge(more);
                    }
                }
            }
        });
        bank.settle(vec![], 4);
    });
}

/// Closed while some wait, some come, some leave, and units are on their way.
#[test]
fn close_in_the_middle() {
    check(|| {
        let bank = Arc::new(Bank::without_line(2));
        let door = bank.clone();
        let closers = [(); 2].map(|()| bank.spawn(Semaphore::close));
        let left = crowd(&bank, 5, move |semaphore| {
            let mut left = Vec::new();
            for _ in 0..3 {
                match below(4) {
                    0 => drop(block_on(semaphore.acquire_many(some(2)))),
                    1 => drop(semaphore.try_acquire_many(some(2))),
                    2 => left.extend(door.waiter(some(3)).visit()),
                    _ => {
                        let mut waiter = door.waiter(some(3));
                        if waiter.poll().is_pending() {
                            left.extend(waiter.visit_anew());
                        }
                    }
                }
                if chance() {
                    left.pop();
                }
            }
            left
        });
        closers.into_iter().for_each(|closer| closer.join().unwrap());
        let left: Vec<_> = left.into_iter().flatten().collect();
        assert!(left.iter().all(Waiter::is_woken), "somebody was not told");
        Arc::into_inner(bank).unwrap().settle(left, 2);
    });
}

/// Some wakers panic: the panic comes out of a call that woke, and all others are woken all the same.
#[test]
fn wakers_that_panic() {
    check(|| {
        let bank = Bank::new(0);
        let waiters: Vec<_> = (0..6).map(|_| bank.waiting(some(2))).collect();
        let mut panic = false;
        for waiter in &waiters {
            if below(3) == 0 {
                panic = true;
                waiter.panics_when_woken();
            }
        }
        let close = chance();
        let threads: Vec<_> = (0..4)
            .map(|i| {
                bank.spawn(move |semaphore| {
                    let n = if i == 0 { 12 } else { some(3) as usize };
                    let caught =
                        catch_unwind(AssertUnwindSafe(|| semaphore.add_permits(n))).is_err();
                    let closed = close
                        && i == 3
                        && catch_unwind(AssertUnwindSafe(|| semaphore.close())).is_err();
                    (n, caught || closed)
                })
            })
            .collect();
        let (added, caught): (Vec<_>, Vec<_>) =
            threads.into_iter().map(|thread| thread.join().unwrap()).unzip();
        assert_eq!(caught.contains(&true), panic, "panics that came out");
        bank.settle(waiters, added.iter().sum());
    });
}
