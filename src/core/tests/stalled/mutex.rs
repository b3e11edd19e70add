//! A semaphore as others build it: a queue of waiters under a lock. The matrix must be red on it.

use core::future::Future;
use core::mem;
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
    /// Those who wait for the end.
    end: Vec<Waker>,
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
        let mut wakers = if self.closed { mem::take(&mut self.end) } else { Vec::new() };
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
        self.take_between(n, n).is_some()
    }

    fn take_between(&mut self, min: usize, max: usize) -> Option<usize> {
        let can = !self.closed && self.queue.is_empty() && self.free >= min;
        let taken = can.then(|| self.free.min(max));
        self.free -= taken.unwrap_or(0);
        taken
    }
}

/// A request.
#[derive(Debug)]
pub(super) struct Request {
    semaphore: Arc<Locked>,
    wants: usize,
    /// What it takes at most.
    most: usize,
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
        let Self { semaphore, wants, most, name } = &mut *self;
        let (wants, most) = (*wants, *most);
        // How many permits it gets, if it has an answer; none if it is refused.
        let answer = semaphore.change(|state| match *name {
            None if state.closed => Some(None),
            None => {
                let taken = state.take_between(wants, most);
                if taken.is_none() {
                    *name = Some(state.next);
                    let waker = cx.waker().clone();
                    let waiting = Waiting { name: state.next, wants, missing: wants, waker };
                    state.queue.push_back(waiting);
                    state.next += 1;
                }
                taken.map(Some)
            }
            Some(own) => {
                let place = state.queue.iter_mut().find(|waiting| waiting.name == own);
                match place {
                    Some(waiting) => {
                        waiting.waker.clone_from(cx.waker());
                        None
                    }
                    None => Some(state.granted.remove(&own).then_some(wants)),
                }
            }
        });
        match answer {
            None => Poll::Pending,
            Some(granted) => {
                *name = None;
                Poll::Ready(granted.map(|n| Permit(semaphore.clone(), n)))
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

/// The wait for the end, which is the close here: what matters is the lock.
#[derive(Debug)]
pub(super) struct Drained(Arc<Locked>);

impl Future for Drained {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.lock(|state| {
            if state.closed {
                return Poll::Ready(());
            }
            state.end.push(cx.waker().clone());
            Poll::Pending
        })
    }
}

impl Subject for Locked {
    type Acquire = Request;
    type Permit = Permit;
    type Drained = Drained;

    fn new(permits: usize) -> Self {
        let state = Mutex::new(State { free: permits, ..State::default() });
        Self { locked: AtomicBool::new(false), state }
    }

    fn acquire(self: &Arc<Self>, n: u32) -> Request {
        self.acquire_between(n, n)
    }

    fn acquire_between(self: &Arc<Self>, min: u32, max: u32) -> Request {
        Request { semaphore: self.clone(), wants: min as usize, most: max as usize, name: None }
    }

    fn enqueue(request: &mut Request) {
        let waits = Pin::new(request).poll(&mut Context::from_waker(Waker::noop()));
        assert!(waits.is_pending(), "the matrix enqueues only who has to wait");
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

    fn drained(self: &Arc<Self>) -> Drained {
        Drained(self.clone())
    }
}
