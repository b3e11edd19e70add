//! What a review of the drain found: each test failed once.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Waker};
use std::boxed::Box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Wake;
use std::vec::Vec;

use super::interruptions::elsewhere;
use super::watchdog::watch;
use crate::sync::probe::steps::before_step;
use crate::{DrainedOwned, Semaphore};

/// How often it was woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // ORDERING: SeqCst. One thread runs at a time.
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll(drained: &mut DrainedOwned, bell: &Arc<Bell>) -> bool {
    let waker = Waker::from(Arc::clone(bell));
    Pin::new(drained).poll(&mut Context::from_waker(&waker)).is_ready()
}

/// The drain has ended, and has woken the one who waits. Before that one is polled, a request that is to
/// be refused has subtracted what it asks for: the poll sees that the drain has ended, or is woken.
#[test]
fn a_refused_request_does_not_hide_a_drain_that_has_ended() {
    watch();
    let mut asleep = Vec::new();
    for step in 1.. {
        let semaphore = Arc::new(Semaphore::new(1));
        let mut drained = semaphore.clone().drained_owned();
        let first = Arc::<Bell>::default();
        assert!(!poll(&mut drained, &first));
        semaphore.close();
        // ORDERING: SeqCst. The test's own note; nothing hangs on its order.
        assert_eq!(first.0.load(Ordering::SeqCst), 1);

        let bell = Arc::<Bell>::default();
        let ready = Arc::new(Mutex::new(None));
        let drained = Arc::new(Mutex::new(drained));
        let (waits, rings, notes) = (drained.clone(), bell.clone(), ready.clone());
        let between = move || {
            let polled = elsewhere(|| poll(&mut waits.lock().unwrap(), &rings));
            *notes.lock().unwrap() = Some(polled);
        };
        let came = before_step(step, between, || {
            let mut refused = Box::pin(semaphore.acquire());
            assert!(refused.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
        });
        // ORDERING: SeqCst. The test's own note; nothing hangs on its order.
        let woken = bell.0.load(Ordering::SeqCst) > 0;
        if *ready.lock().unwrap() == Some(false) && !woken {
            asleep.push(step);
        }
        drop(drained);
        if !came {
            break;
        }
    }
    assert!(asleep.is_empty(), "it sleeps for ever, polled at steps {asleep:?}");
}
