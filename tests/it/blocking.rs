//! `blocking_*` waits on the thread, in the same line as everyone else.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use semafair::Semaphore;

use crate::support::{served, wait, watch};

/// Waits until a thread asks for more than is free: from then on, nothing is.
pub(crate) fn until_somebody_waits(sem: &Semaphore) {
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

/// A thread has one token for `park`, which may be somebody else's.
#[test]
fn the_thread_keeps_an_unpark_that_it_got_before() {
    let wanted: [fn(Arc<Semaphore>); 2] = [
        |sem| drop(sem.blocking_acquire_many(2).unwrap()),
        |sem| drop(sem.blocking_acquire_many_owned(2).unwrap()),
    ];
    for wants in wanted {
        let sem = Arc::new(Semaphore::new(1));
        let inner = Arc::clone(&sem);
        let thread = thread::spawn(move || {
            thread::current().unpark();
            wants(inner);
            thread::park();
        });
        until_somebody_waits(&sem);
        sem.add_permits(1);
        thread.join().unwrap();
    }
}

/// The destructor of a thread-local runs when others of its thread are destroyed already, tokio's
/// too. A panic there ends the process, so each case has a process of its own.
mod while_thread_locals_are_destroyed {
    use std::cell::RefCell;
    use std::env;
    use std::process::Command;

    use tokio::runtime::{Builder, Runtime};

    use super::*;

    /// Names the case that a process is to run.
    const CASE: &str = "SEMAFAIR_BLOCKING_CASE";

    /// Runs `case` on a thread of another process, which says whether the call got its permits.
    #[track_caller]
    fn in_a_process(name: &str, case: fn()) {
        let name = format!("{}::{name}", module_path!().split_once("::").unwrap().1);
        if env::var_os(CASE).is_some_and(|case| *case == *name) {
            watch();
            return thread::spawn(case).join().unwrap();
        }
        let program = env::current_exe().unwrap();
        let test = ["--exact", &name, "--nocapture"];
        let output = Command::new(program).args(test).env(CASE, &name).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", output.status);
        let times = said.matches("got its permits").count();
        assert_eq!(times, 1, "{said}");
    }

    struct CallsWhenDropped(fn());

    impl Drop for CallsWhenDropped {
        fn drop(&mut self) {
            self.0();
            eprintln!("got its permits");
        }
    }

    thread_local! {
        static CALLS: RefCell<Option<CallsWhenDropped>> = const { RefCell::new(None) };
    }

    /// Has `call` run when the locals of this thread are destroyed: before those that the thread
    /// used earlier, and after those it uses later, on most systems.
    fn at_the_end(call: fn()) {
        CALLS.set(Some(CallsWhenDropped(call)));
    }

    fn takes_what_is_free() {
        let sem = Arc::new(Semaphore::new(3));
        drop(sem.blocking_acquire().unwrap());
        drop(sem.blocking_acquire_many(3).unwrap());
        drop(Arc::clone(&sem).blocking_acquire_owned().unwrap());
        drop(Arc::clone(&sem).blocking_acquire_many_owned(3).unwrap());
    }

    fn waits() {
        let sem = Semaphore::new(1);
        thread::scope(|scope| {
            scope.spawn(|| {
                until_somebody_waits(&sem);
                sem.add_permits(1);
            });
            drop(sem.blocking_acquire_many(2).unwrap());
        });
    }

    fn a_runtime() -> Runtime {
        Builder::new_current_thread().build().unwrap()
    }

    /// Uses all thread-locals of tokio that blocking needs.
    fn uses_tokio() {
        a_runtime().block_on(async {});
        drop(tokio::sync::Mutex::new(()).blocking_lock());
    }

    #[test]
    fn takes_what_is_free_without_a_runtime() {
        in_a_process("takes_what_is_free_without_a_runtime", || at_the_end(takes_what_is_free));
    }

    #[test]
    fn waits_after_it_waited_before() {
        in_a_process("waits_after_it_waited_before", || {
            at_the_end(waits);
            waits();
        });
    }

    #[test]
    fn takes_what_is_free_after_a_runtime() {
        in_a_process("takes_what_is_free_after_a_runtime", || {
            at_the_end(takes_what_is_free);
            uses_tokio();
        });
    }

    #[test]
    fn waits_after_a_runtime() {
        in_a_process("waits_after_a_runtime", || {
            at_the_end(waits);
            uses_tokio();
        });
    }

    /// One of tokio's thread-locals is gone, and another is not.
    #[test]
    fn waits_amid_a_runtime() {
        in_a_process("waits_amid_a_runtime", || {
            let runtime = a_runtime();
            runtime.block_on(async {});
            at_the_end(waits);
            uses_tokio();
            drop(runtime);
        });
    }

    #[test]
    fn waits_before_a_runtime_is_gone() {
        in_a_process("waits_before_a_runtime_is_gone", || {
            uses_tokio();
            at_the_end(waits);
        });
    }

    #[test]
    fn waits_on_a_blocking_thread_of_a_runtime() {
        in_a_process("waits_on_a_blocking_thread_of_a_runtime", || {
            let runtime = a_runtime();
            let task = runtime.spawn_blocking(|| {
                at_the_end(waits);
                waits();
                uses_tokio();
            });
            runtime.block_on(task).unwrap();
        });
    }
}
