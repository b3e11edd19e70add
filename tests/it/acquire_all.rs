//! `acquire_all` takes permits of several semaphores, and holds none while it waits.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::thread;

use semafair::{AcquireAll, Semaphore};
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

#[test]
fn debug_says_which_it_waits_for() {
    let (a, b) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(0)));
    let mut all = Semaphore::acquire_all([(&a, 1), (&b, 1)]);
    assert_eq!(format!("{all:?}"), "AcquireAll { waits_for: None, .. }");
    assert!(Pin::new(&mut all).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(format!("{all:?}"), "AcquireAll { waits_for: Some(1), .. }");
    let owned = Semaphore::acquire_all_owned([(a.clone(), 1)]);
    assert_eq!(format!("{owned:?}"), "AcquireAllOwned { waits_for: None, .. }");
}

#[test]
fn the_owned_form_keeps_the_semaphores_alive() {
    let (a, b) = (Arc::new(Semaphore::new(2)), Arc::new(Semaphore::new(1)));
    let both = || Semaphore::acquire_all_owned([(a.clone(), 1), (b.clone(), 1), (a.clone(), 1)]);
    let held = b.try_acquire().unwrap();
    let mut waiter = wait(both());
    assert_eq!((a.available_permits(), b.status().queued), (2, 1));
    drop(held);
    let permits = served(&mut waiter).unwrap();
    assert_eq!(permits.each_ref().map(|permit| permit.num_permits()), [1, 1, 1]);
    assert!(Arc::ptr_eq(permits[2].semaphore(), &a));
    assert_eq!((a.available_permits(), b.available_permits()), (0, 0));
    assert_eq!(panic_of(|| waiter.poll()), "`AcquireAllOwned` polled after completion");
    // That of the test, and those of the guards: the future has none any more.
    assert_eq!((Arc::strong_count(&a), Arc::strong_count(&b)), (3, 2));

    // Cancelled: while it waits, and when it was granted what it waited for.
    let waiter = wait(both());
    let granted = wait(both());
    drop(waiter);
    drop(permits);
    drop(granted);
    assert_eq!((a.available_permits(), b.available_permits()), (2, 1));

    b.close();
    let error = assert_ready!(spawn(both()).poll()).unwrap_err();
    assert!(error.is_closed());
    assert_eq!((a.available_permits(), b.available_permits()), (2, 1));
    assert_eq!((Arc::strong_count(&a), Arc::strong_count(&b)), (1, 1));
}

/// Nobody else has the semaphores.
#[test]
fn the_owned_form_goes_to_another_thread() {
    watch();
    let (a, b) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(0)));
    let adds = Arc::downgrade(&b);
    let both = Semaphore::acquire_all_owned([(a, 1), (b, 1)]);
    let thread = thread::spawn(|| pollster::block_on(both).unwrap());
    adds.upgrade().unwrap().add_permits(1);
    let permits = thread.join().unwrap();
    assert_eq!(permits[1].semaphore().available_permits(), 0);
    drop(permits);
    assert_eq!(adds.strong_count(), 0);
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

/// Compiles only if the borrow can be shortened.
fn shorter<'short>(all: AcquireAll<'static, 1>, _: &'short ()) -> AcquireAll<'short, 1> {
    all
}

#[test]
fn it_can_be_sent_and_moved() {
    static SEMAPHORE: Semaphore = Semaphore::new(1);
    drop(shorter(Semaphore::acquire_all([(&SEMAPHORE, 1)]), &()));

    fn is_it<T: Send + Sync + Unpin>(_: &T) {}
    let semaphore = Arc::new(Semaphore::new(1));
    is_it(&Semaphore::acquire_all([(&*semaphore, 1)]));
    is_it(&Semaphore::acquire_all_owned([(semaphore, 1)]));
}
