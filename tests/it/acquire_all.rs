//! `acquire_all` takes permits of several semaphores, and holds none while it waits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use semafair::Semaphore;
use tokio_test::assert_ready;
use tokio_test::task::spawn;

use crate::support::watchdog::times;
use crate::support::{panic_of, served, wait, waits, watch};

#[test]
fn it_takes_all_or_holds_none() {
    let (a, b, c) = (Semaphore::new(2), Semaphore::new(3), Semaphore::new(1));
    let all = || Semaphore::acquire_all([(&a, 2), (&b, 1), (&c, 1)]);
    let [first, second, third] = assert_ready!(spawn(all()).poll()).unwrap();
    assert_eq!((first.num_permits(), second.num_permits(), third.num_permits()), (2, 1, 1));
    assert!(std::ptr::eq(second.semaphore(), &b));

    let mut waiter = wait(all());
    // It is in the line of the first one; the others do not know of it.
    assert_eq!((a.status().queued, b.available_permits(), c.status().queued), (2, 2, 0));
    drop((first, second));
    // Now it finds that it must wait for the third.
    assert!(waiter.is_woken() && waiter.poll().is_pending());
    assert_eq!((a.available_permits(), b.available_permits(), c.status().queued), (2, 3, 1));
    drop(third);
    let permits = served(&mut waiter).unwrap();
    assert_eq!((a.available_permits(), b.available_permits(), c.available_permits()), (0, 2, 0));
    drop(permits);

    assert_ready!(spawn(Semaphore::acquire_all([])).poll()).unwrap();
}

#[test]
fn a_semaphore_may_be_named_twice() {
    let (a, b) = (Semaphore::new(3), Semaphore::new(1));
    let all = || Semaphore::acquire_all([(&a, 1), (&b, 1), (&a, 2), (&a, 0)]);
    let permits = assert_ready!(spawn(all()).poll()).unwrap();
    assert_eq!(permits.each_ref().map(|permit| permit.num_permits()), [1, 1, 2, 0]);
    let mut waiter = wait(all());
    let [one, other, two, none] = permits;
    drop((one, other, none));
    waits(&mut waiter);
    drop(two);
    drop(served(&mut waiter).unwrap());
    assert_eq!((a.available_permits(), b.available_permits()), (3, 1));

    // One permit twice is two permits.
    let never = wait(Semaphore::acquire_all([(&b, 1), (&b, 1)]));
    drop(never);
    let message = panic_of(|| Semaphore::acquire_all([(&a, u32::MAX), (&a, 1)]));
    assert_eq!(message, "number of permits of one semaphore overflowed");
}

#[test]
fn it_is_refused_and_cancelled_as_others() {
    let (a, b) = (Semaphore::new(1), Semaphore::builder(1).name("b").build());
    a.forget_permits(1);
    let mut all = wait(Semaphore::acquire_all([(&b, 1), (&a, 1)]));
    b.close();
    a.add_permits(1);
    let error = served(&mut all).unwrap_err();
    assert_eq!(error.to_string(), "semaphore `b` closed");
    assert_eq!(a.available_permits(), 1);
    assert_eq!(panic_of(|| all.poll()), "`AcquireAll` polled after completion");

    let held = a.try_acquire().unwrap();
    let waiter = wait(Semaphore::acquire_all([(&a, 1)]));
    drop(held);
    // Granted, and never polled again.
    drop(waiter);
    assert_eq!(a.available_permits(), 1);
}

/// Each philosopher takes the forks in an order of its own.
#[test]
fn any_order_ends() {
    watch();
    let forks: [Semaphore; 3] = std::array::from_fn(|_| Semaphore::new(1));
    let in_use: [AtomicUsize; 3] = std::array::from_fn(|_| AtomicUsize::new(0));
    let orders = [[0, 1], [1, 0], [1, 2], [2, 0]];
    thread::scope(|scope| {
        for order in orders {
            let (forks, in_use) = (&forks, &in_use);
            scope.spawn(move || {
                for _ in 0..300 * times() {
                    let both = order.map(|fork| (&forks[fork], 1));
                    let permits = pollster::block_on(Semaphore::acquire_all(both)).unwrap();
                    for fork in order {
                        assert_eq!(in_use[fork].fetch_add(1, Ordering::Relaxed), 0);
                    }
                    thread::yield_now();
                    for fork in order {
                        in_use[fork].fetch_sub(1, Ordering::Relaxed);
                    }
                    drop(permits);
                }
            });
        }
    });
    assert!(forks.iter().all(|fork| fork.available_permits() == 1));
}

#[test]
fn it_can_be_sent_and_moved() {
    fn is_it<T: Send + Sync + Unpin>(_: &T) {}
    let semaphore = Semaphore::new(1);
    is_it(&Semaphore::acquire_all([(&semaphore, 1)]));
}
