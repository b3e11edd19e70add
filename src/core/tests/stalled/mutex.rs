//! A semaphore as others build it: a queue of waiters under a lock. The matrix must be red on it.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::thread;
use std::vec::Vec;

use super::subject::Subject;
use crate::sync::{AtomicBool, SeqCst};

/// The lock is one of steps: a thread can be stopped while it holds it.
#[derive(Debug)]
pub(super) struct Locked {
    locked: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    free: usize,
    closed: bool,
    queue: VecDeque<Waiting>,
    granted: BTreeSet<usize>,
    /// Names of waiters.
    next: usize,
}

#[derive(Debug)]
struct Waiting {
    name: usize,
    wants: usize,
    missing: usize,
    waker: Waker,
}

impl Locked {
    fn lock<T>(&self, run: impl FnOnce(&mut State) -> T) -> T {
        // ORDERING: SeqCst, more than a lock needs: what matters here is the step.
        while self.locked.compare_exchange_weak(false, true, SeqCst, SeqCst).is_err() {
            thread::yield_now();
        }
        let result = run(&mut self.state.lock().expect("nobody panics here"));
        // ORDERING: SeqCst, as above.
        self.locked.store(false, SeqCst);
        result
    }

    /// Changes the state, and wakes whoever is served by that.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (result, wakers) = self.lock(|state| {
            let result = change(state);
            (result, state.serve())
        });
        wakers.into_iter().for_each(Waker::wake);
        result
    }
}

impl State {
    fn serve(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while let Some(head) = self.queue.front_mut() {
            let units = if self.closed { 0 } else { head.missing.min(self.free) };
            head.missing -= units;
            self.free -= units;
            if head.missing > 0 && !self.closed {
                break;
            }
            if head.missing == 0 {
                self.granted.insert(head.name);
            } else {
                self.free += head.wants - head.missing;
            }
            wakers.extend(self.queue.pop_front().map(|head| head.waker));
        }
        wakers
    }

    fn take(&mut self, n: usize) -> bool {
        let can = !self.closed && self.queue.is_empty() && self.free >= n;
        self.free -= if can { n } else { 0 };
        can
    }
}

/// A request.
#[derive(Debug)]
pub(super) struct Request {
    semaphore: Arc<Locked>,
    wants: usize,
    /// Once it waits.
    name: Option<usize>,
}

/// Permits.
#[derive(Debug)]
pub(super) struct Permit(Arc<Locked>, usize);

impl Drop for Permit {
    fn drop(&mut self) {
        // The lock cannot be had: that is why.
        if !thread::panicking() {
            self.0.add_permits(self.1);
        }
    }
}

impl Future for Request {
    type Output = Option<Permit>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { semaphore, wants, name } = &mut *self;
        let wants = *wants;
        let granted = semaphore.change(|state| match *name {
            None if state.take(wants) => Some(true),
            None if state.closed => Some(false),
            None => {
                *name = Some(state.next);
                let waker = cx.waker().clone();
                state.queue.push_back(Waiting { name: state.next, wants, missing: wants, waker });
                state.next += 1;
                None
            }
            Some(own) => {
                let place = state.queue.iter_mut().find(|waiting| waiting.name == own);
                match place {
                    Some(waiting) => {
                        waiting.waker.clone_from(cx.waker());
                        None
                    }
                    None => Some(state.granted.remove(&own)),
                }
            }
        });
        match granted {
            None => Poll::Pending,
            Some(granted) => {
                *name = None;
                Poll::Ready(granted.then(|| Permit(semaphore.clone(), wants)))
            }
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let Some(name) = self.name.filter(|_| !thread::panicking()) else { return };
        self.semaphore.change(|state| {
            if state.granted.remove(&name) {
                state.free += self.wants;
            } else if let Some(i) = state.queue.iter().position(|waiting| waiting.name == name) {
                state.free += state.queue.remove(i).map_or(0, |gone| gone.wants - gone.missing);
            }
        });
    }
}

impl Subject for Locked {
    type Acquire = Request;
    type Permit = Permit;

    fn new(permits: usize) -> Self {
        let state = Mutex::new(State { free: permits, ..State::default() });
        Self { locked: AtomicBool::new(false), state }
    }

    fn acquire(self: &Arc<Self>, n: u32) -> Request {
        Request { semaphore: self.clone(), wants: n as usize, name: None }
    }

    fn try_acquire(self: &Arc<Self>, n: u32) -> Option<Permit> {
        let n = n as usize;
        self.lock(|state| state.take(n)).then(|| Permit(self.clone(), n))
    }

    fn add_permits(&self, n: usize) {
        self.change(|state| state.free += n);
    }

    fn forget_permits(&self, n: usize) -> usize {
        self.lock(|state| {
            let gone = n.min(state.free);
            state.free -= gone;
            gone
        })
    }

    fn reduce_permits(&self, n: usize) -> usize {
        // Without a debt, which matters to nobody here: what matters is the lock.
        self.forget_permits(n)
    }

    fn available_permits(&self) -> usize {
        self.lock(|state| state.free)
    }

    fn close(&self) {
        self.change(|state| state.closed = true);
    }
}
