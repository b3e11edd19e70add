//! `block_on` with futures that do what the waker of another task can do at the worst moment.

use core::future::poll_fn;
use std::panic::catch_unwind;
use std::sync::OnceLock;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use super::*;

/// Runs `test` on a thread of its own, and fails if it hangs.
fn ends(test: impl FnOnce() + Send + 'static) {
    let (over, is_over) = channel::<()>();
    let thread = thread::spawn(move || {
        let _over = over;
        test();
    });
    let end = is_over.recv_timeout(Duration::from_secs(20));
    assert_eq!(end, Err(RecvTimeoutError::Disconnected), "it hangs");
    thread.join().unwrap();
}

/// Ready at its `n`th poll. Each poll before calls `step`.
fn ready_at(n: u32, mut step: impl FnMut(&Waker)) -> impl Future<Output = ()> {
    let mut polls = 0;
    poll_fn(move |cx| {
        polls += 1;
        if polls == n {
            return Poll::Ready(());
        }
        step(cx.waker());
        Poll::Pending
    })
}

/// Ready when a thread that it started has called `first`. Each poll before starts one.
fn served_by_a_thread(first: impl Fn() + Clone + Send + 'static) -> impl Future<Output = ()> {
    let served = Arc::new(OnceLock::new());
    poll_fn(move |cx| {
        if served.get().is_some() {
            return Poll::Ready(());
        }
        let (first, served, waker) = (first.clone(), served.clone(), cx.waker().clone());
        thread::spawn(move || {
            first();
            let _served_before = served.set(());
            waker.wake();
        });
        Poll::Pending
    })
}

#[test]
fn code_that_parks_in_a_poll_takes_no_wake_away() {
    ends(|| {
        block_on(ready_at(4, |waker| {
            waker.wake_by_ref();
            // As a lock does that is released meanwhile.
            thread::current().unpark();
            thread::park();
        }));
    });
}

#[test]
fn a_call_in_a_poll_takes_no_wake_away() {
    ends(|| {
        block_on(ready_at(4, |outer| {
            outer.wake_by_ref();
            block_on(ready_at(4, Waker::wake_by_ref));
        }));
    });
}

#[test]
fn a_call_in_a_poll_waits_for_its_own_wake() {
    ends(|| {
        block_on(ready_at(4, |outer| {
            let outer = outer.clone();
            block_on(served_by_a_thread(move || outer.wake_by_ref()));
        }));
    });
}

#[test]
fn a_wake_that_comes_after_the_call_does_not_end_the_next() {
    ends(|| {
        let mut late = None;
        block_on(ready_at(3, |waker| {
            waker.wake_by_ref();
            late = Some(waker.clone());
        }));
        late.expect("it was polled").wake();
        block_on(served_by_a_thread(|| {}));
    });
}

#[test]
fn one_sleeper_serves_all_calls_of_a_thread() {
    ends(|| {
        let wakers = [(); 2].map(|()| {
            let mut kept = None;
            block_on(ready_at(3, |waker| {
                waker.wake_by_ref();
                kept = Some(waker.clone());
            }));
            kept.expect("it was polled")
        });
        assert_eq!(wakers[0].data(), wakers[1].data());
    });
}

#[test]
fn a_call_that_does_not_wait_makes_no_waker() {
    ends(|| {
        // Not by `will_wake`: there may be several copies of the table of functions.
        block_on(ready_at(2, |waker| assert_eq!(waker.data(), Waker::noop().data())));
        block_on(ready_at(1, |_| panic!("it is ready")));
    });
}

#[test]
fn a_panic_of_a_poll_comes_out_and_the_thread_can_wait_again() {
    ends(|| {
        let mut polls = 0;
        let panics = core::panic::AssertUnwindSafe(ready_at(4, |waker| {
            polls += 1;
            waker.wake_by_ref();
            assert!(polls < 3, "mine");
        }));
        assert!(catch_unwind(|| block_on(panics)).is_err());
        block_on(ready_at(3, Waker::wake_by_ref));
    });
}

mod with_a_time_out {
    use super::*;

    /// More than any test takes.
    const LONG: Option<Duration> = Some(Duration::from_secs(1000));
    const SHORT: Duration = Duration::from_millis(2);

    #[test]
    fn a_wake_ends_it_in_time() {
        ends(|| assert_eq!(block_on_for(served_by_a_thread(|| {}), LONG), Some(())));
    }

    #[test]
    fn wakes_in_vain_do_not_end_it_early() {
        ends(|| {
            let start = Instant::now();
            let mut polls = 0;
            let never = poll_fn(|cx| {
                polls += 1;
                if polls < 5 {
                    cx.waker().wake_by_ref();
                }
                Poll::<()>::Pending
            });
            assert_eq!(block_on_for(never, Some(SHORT)), None);
            assert!(start.elapsed() >= SHORT, "the time was not over");
            assert!(polls >= 5, "it was woken, and not polled");
        });
    }

    /// Though a poll took all the time there was: what came meanwhile is not given up.
    #[test]
    fn the_last_poll_comes_after_the_time_is_over() {
        ends(|| {
            let slow = ready_at(3, |_| {
                let start = Instant::now();
                while start.elapsed() <= SHORT {
                    thread::yield_now();
                }
            });
            assert_eq!(block_on_for(slow, Some(SHORT)), Some(()));
        });
    }

    #[test]
    fn zero_is_one_poll_without_a_waker() {
        ends(|| {
            let mut polls = 0;
            let never = poll_fn(|cx| {
                polls += 1;
                assert_eq!(cx.waker().data(), Waker::noop().data());
                Poll::<()>::Pending
            });
            assert_eq!(block_on_for(never, Some(Duration::ZERO)), None);
            assert_eq!(polls, 1);
            assert_eq!(block_on_for(ready_at(1, |_| ()), Some(Duration::ZERO)), Some(()));
        });
    }

    #[test]
    fn a_time_that_no_clock_has_is_never_over() {
        ends(|| {
            let served = served_by_a_thread(|| {});
            assert_eq!(block_on_for(served, Some(Duration::MAX)), Some(()));
        });
    }

    #[test]
    fn the_future_is_dropped_when_the_time_is_over() {
        ends(|| {
            let token = Arc::new(());
            let kept = token.clone();
            let never = poll_fn(move |_| {
                let _kept = &kept;
                Poll::<()>::Pending
            });
            assert_eq!(block_on_for(never, Some(SHORT)), None);
            assert_eq!(Arc::strong_count(&token), 1);
        });
    }

    #[test]
    fn the_sleeper_serves_the_next_call() {
        ends(|| {
            let wakers = [(); 2].map(|()| {
                let mut kept = None;
                let never = poll_fn(|cx| {
                    kept = Some(cx.waker().clone());
                    Poll::<()>::Pending
                });
                assert_eq!(block_on_for(never, Some(SHORT)), None);
                kept.expect("it was polled")
            });
            assert_eq!(wakers[0].data(), wakers[1].data());
        });
    }
}
