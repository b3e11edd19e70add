//! `blocking_*` waits on the thread, in the same line as everyone else.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use semafair::Semaphore;

use crate::support::{served, wait, watch};

/// Waits until a thread asks for more than is free: from then on, nothing is.
fn until_somebody_waits(sem: &Semaphore) {
    watch();
    while sem.try_acquire().map(drop).is_ok() {
        thread::yield_now();
    }
}

#[test]
fn takes_what_is_free() {
    watch();
    let sem = Arc::new(Semaphore::new(10));
    let one = sem.blocking_acquire().unwrap();
    let many = sem.blocking_acquire_many(2).unwrap();
    let owned = Arc::clone(&sem).blocking_acquire_owned().unwrap();
    let many_owned = Arc::clone(&sem).blocking_acquire_many_owned(4).unwrap();
    assert_eq!(one.num_permits(), 1);
    assert_eq!(many.num_permits(), 2);
    assert_eq!(owned.num_permits(), 1);
    assert_eq!(many_owned.num_permits(), 4);
    assert_eq!(sem.available_permits(), 2);
    assert_eq!(sem.blocking_acquire_many(0).unwrap().num_permits(), 0);
    drop((one, many, owned, many_owned));
    assert_eq!(sem.available_permits(), 10);
}

#[test]
fn waits_until_there_is_enough() {
    let sem = Arc::new(Semaphore::new(1));
    let wanted: [fn(Arc<Semaphore>) -> usize; 2] = [
        |sem| sem.blocking_acquire_many(3).unwrap().num_permits(),
        |sem| sem.blocking_acquire_many_owned(3).unwrap().num_permits(),
    ];
    for wants in wanted {
        let (done, is_done) = channel();
        let inner = Arc::clone(&sem);
        let thread = thread::spawn(move || done.send(wants(inner)).unwrap());
        until_somebody_waits(&sem);
        sem.add_permits(1);
        assert!(is_done.try_recv().is_err(), "two are not enough");
        assert_eq!(sem.available_permits(), 0);
        sem.add_permits(1);
        assert_eq!(is_done.recv().unwrap(), 3);
        thread.join().unwrap();
        assert_eq!(sem.available_permits(), 3);
        sem.forget_permits(2);
    }
}

#[test]
fn one_at_a_time_waits_too() {
    let sem = Arc::new(Semaphore::new(0));
    let wanted: [fn(Arc<Semaphore>); 2] = [
        |sem| drop(sem.blocking_acquire().unwrap()),
        |sem| drop(sem.blocking_acquire_owned().unwrap()),
    ];
    for wants in wanted {
        watch();
        let inner = Arc::clone(&sem);
        let thread = thread::spawn(move || wants(inner));
        sem.add_permits(1);
        thread.join().unwrap();
        assert_eq!(sem.forget_permits(2), 1);
    }
}

#[test]
fn does_not_overtake_one_who_waits() {
    let sem = Semaphore::new(0);
    for _ in 0..100 {
        let mut first = wait(sem.acquire());
        thread::scope(|scope| {
            // Whether or not the thread stands in the line yet, it came later.
            let thread = scope.spawn(|| drop(sem.blocking_acquire().unwrap()));
            sem.add_permits(1);
            let permit = served(&mut first).unwrap();
            assert!(!thread.is_finished());
            drop(permit);
        });
        assert_eq!(sem.forget_permits(2), 1);
    }
}

#[test]
fn fails_when_closed() {
    watch();
    let sem = Arc::new(Semaphore::new(1));
    sem.close();
    assert!(sem.blocking_acquire().is_err());
    assert!(sem.blocking_acquire_many(0).is_err());
    assert!(Arc::clone(&sem).blocking_acquire_owned().is_err());
    assert!(Arc::clone(&sem).blocking_acquire_many_owned(2).is_err());
}

#[test]
fn fails_when_closed_while_it_waits() {
    let sem = Arc::new(Semaphore::new(1));
    let inner = Arc::clone(&sem);
    let thread = thread::spawn(move || inner.blocking_acquire_many(2).is_err());
    until_somebody_waits(&sem);
    sem.close();
    assert!(thread.join().unwrap());
    assert_eq!(sem.available_permits(), 1);
}

#[test]
fn threads_take_turns() {
    const THREADS: usize = 8;
    const TURNS: usize = 200;
    watch();
    let sem = Semaphore::new(1);
    let inside = std::sync::Mutex::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..TURNS {
                    let permit = sem.blocking_acquire().unwrap();
                    *inside.try_lock().expect("only one has the permit") += 1;
                    drop(permit);
                }
            });
        }
    });
    assert_eq!(*inside.lock().unwrap(), THREADS * TURNS);
    assert_eq!(sem.available_permits(), 1);
}

#[test]
fn on_a_blocking_thread_of_a_runtime() {
    watch();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let sem = Arc::new(Semaphore::new(0));
        let inner = Arc::clone(&sem);
        let thread = tokio::task::spawn_blocking(move || {
            drop(inner.blocking_acquire().unwrap());
        });
        sem.add_permits(1);
        thread.await.unwrap();
        assert_eq!(sem.available_permits(), 1);
    });
}

#[cfg(feature = "tokio")]
mod in_a_runtime {
    use super::*;
    use crate::support::panic_of;

    const TEXT: &str = "Cannot block the current thread from within a runtime";

    #[tokio::test]
    async fn it_panics_even_if_it_need_not_wait() {
        let sem = Arc::new(Semaphore::new(9));
        assert!(panic_of(|| drop(sem.blocking_acquire())).contains(TEXT));
        assert!(panic_of(|| drop(sem.blocking_acquire_many(2))).contains(TEXT));
        assert!(panic_of(|| drop(Arc::clone(&sem).blocking_acquire_owned())).contains(TEXT));
        assert!(panic_of(|| drop(Arc::clone(&sem).blocking_acquire_many_owned(2))).contains(TEXT));
        assert_eq!(sem.available_permits(), 9);
        assert_eq!(Arc::strong_count(&sem), 1);
    }

    #[tokio::test]
    async fn it_panics_and_leaves_no_trace_in_the_line() {
        let sem = Semaphore::new(1);
        assert!(panic_of(|| drop(sem.blocking_acquire_many(2))).contains(TEXT));
        sem.add_permits(1);
        assert_eq!(sem.available_permits(), 2);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_does_not_panic_where_blocking_is_allowed() {
        watch();
        let sem = Semaphore::new(1);
        let permit = tokio::task::block_in_place(|| sem.blocking_acquire().unwrap());
        assert_eq!(permit.num_permits(), 1);
    }
}

#[cfg(not(feature = "tokio"))]
#[tokio::test]
async fn without_the_feature_no_runtime_is_known() {
    let sem = Semaphore::new(1);
    drop(sem.blocking_acquire().unwrap());
    assert_eq!(sem.available_permits(), 1);
}
