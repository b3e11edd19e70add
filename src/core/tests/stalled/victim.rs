//! A thread that is stopped before a step, for as long as a test likes.

use std::boxed::Box;
use std::cell::Cell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use crate::sync::probe::{memory, steps};

/// More steps than any operation can need: whoever takes so many waits for somebody.
const ENDLESS: usize = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Stopped,
    Resumed,
    Over,
}

#[derive(Debug)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

impl Gate {
    fn set(&self, state: State) {
        *self.state.lock().expect("nobody panics here") = state;
        self.changed.notify_all();
    }

    fn wait_while(&self, wait: impl Fn(State) -> bool) -> MutexGuard<'_, State> {
        let state = self.state.lock().expect("nobody panics here");
        self.changed.wait_while(state, |state| wait(*state)).expect("nobody panics here")
    }
}

/// A thread that runs an operation, and may be stopped half-way.
#[derive(Debug)]
pub(super) struct Victim<T> {
    thread: Option<JoinHandle<T>>,
    gate: Arc<Gate>,
}

impl<T: Send + 'static> Victim<T> {
    /// Runs `operation` up to the step of that number, the first being 1, or to its end.
    pub(super) fn stopped_before(
        step: usize,
        operation: impl FnOnce() -> T + Send + 'static,
    ) -> Self {
        /// Also where the operation panics.
        struct Over(Arc<Gate>);
        impl Drop for Over {
            fn drop(&mut self) {
                self.0.set(State::Over);
            }
        }

        let gate = Arc::new(Gate { state: Mutex::new(State::Running), changed: Condvar::new() });
        let (over, stop, yard) = (Over(gate.clone()), gate.clone(), memory::yard());
        let thread = thread::spawn(move || {
            let _over = over;
            memory::enter(yard);
            let on_step = count(move |now| {
                if now == step {
                    stop.set(State::Stopped);
                    drop(stop.wait_while(|state| state == State::Stopped));
                }
            });
            steps::watched(on_step, operation)
        });
        drop(gate.wait_while(|state| state == State::Running));
        Self { thread: Some(thread), gate }
    }

    /// Whether it was stopped before its end.
    pub(super) fn is_stopped(&self) -> bool {
        *self.gate.wait_while(|_| false) == State::Stopped
    }

    /// Lets it run to its end.
    pub(super) fn resume(mut self) -> T {
        match self.end().expect("it ends once") {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl<T> Victim<T> {
    fn end(&mut self) -> Option<thread::Result<T>> {
        {
            let mut state = self.gate.state.lock().expect("nobody panics here");
            if *state == State::Stopped {
                *state = State::Resumed;
            }
        }
        self.gate.changed.notify_all();
        self.thread.take().map(JoinHandle::join)
    }
}

impl<T> Drop for Victim<T> {
    fn drop(&mut self) {
        // A test that failed while it was stopped: what is dropped next may wait for it.
        drop(self.end());
    }
}

/// Runs what others do while somebody is stopped: it must come to its end.
pub(super) fn unhindered<T>(run: impl FnOnce() -> T) -> T {
    steps::watched(count(|_| {}), run)
}

/// Numbers the steps, and panics when there is no end to them.
fn count(on_step: impl Fn(usize) + 'static) -> Box<dyn Fn()> {
    let taken = Cell::new(0);
    Box::new(move || {
        taken.set(taken.get() + 1);
        assert!(taken.get() < ENDLESS, "waits for somebody who is stopped");
        on_step(taken.get());
    })
}
