//! A semaphore whose limit changes, those who use it, and one who waits for its drain: what they may do, and
//! how it must look when nothing changes any more.

use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::boxed::Box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Wake;
use std::vec::Vec;

use crate::{AcquireOwned, DrainedOwned, OwnedSemaphorePermit, Semaphore};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Op {
    Set(usize),
    Reduce(usize),
    Add(usize),
    ForgetFree(usize),
    ForgetGuard,
    Drop(usize),
    Cancel(usize),
    Ask(u32),
    Try,
    Close,
    Drained,
    CancelLate,
    Between,
    DropMore,
}

/// What it did to the limit: the operation, and what it returned.
type Done = (Op, usize);

/// How many permits it asks for.
pub(super) type Waiter = (u32, Pin<Box<AcquireOwned>>);

#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // ORDERING: SeqCst. One thread runs at a time.
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

pub(super) struct World {
    /// One who waits for the drain, who is woken by the bell.
    drained: Mutex<(Option<DrainedOwned>, Arc<Bell>)>,
    pub(super) semaphore: Arc<Semaphore>,
    guards: Mutex<[Option<OwnedSemaphorePermit>; 2]>,
    more: Mutex<Vec<OwnedSemaphorePermit>>,
    pub(super) waiters: Mutex<[Option<Waiter>; 2]>,
    late: Mutex<Vec<Waiter>>,
    /// How many units those wanted who left.
    left: Mutex<u32>,
    done: Mutex<Vec<Done>>,
}

fn poll(future: &mut Pin<Box<AcquireOwned>>) -> Poll<Result<OwnedSemaphorePermit, ()>> {
    let answer = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    answer.map(|answer| answer.map_err(drop))
}

impl World {
    pub(super) fn new(free: usize, wants: [u32; 2]) -> Self {
        let semaphore = Arc::new(Semaphore::new(3 + free));
        let guards = [1, 2].map(|n| Some(semaphore.clone().try_acquire_many_owned(n).unwrap()));
        let waiters = wants.map(|n| {
            let mut future = Box::pin(semaphore.clone().acquire_many_owned(n));
            (n > 0 && poll(&mut future).is_pending()).then_some((n, future))
        });
        let mut drained = semaphore.clone().drained_owned();
        let bell = Arc::<Bell>::default();
        let waker = Waker::from(bell.clone());
        assert!(Pin::new(&mut drained).poll(&mut Context::from_waker(&waker)).is_pending());
        Self {
            semaphore,
            drained: Mutex::new((Some(drained), bell)),
            guards: Mutex::new(guards),
            more: Mutex::default(),
            waiters: Mutex::new(waiters),
            late: Mutex::default(),
            left: Mutex::default(),
            done: Mutex::default(),
        }
    }

    pub(super) fn run(&self, op: Op) {
        let returned = match op {
            Op::Set(n) => self.semaphore.set_limit(n),
            Op::Reduce(n) => self.semaphore.reduce_permits(n),
            Op::Add(n) => {
                self.semaphore.add_permits(n);
                0
            }
            Op::ForgetFree(n) => self.semaphore.forget_permits(n),
            Op::ForgetGuard => {
                let guard = self.guards.lock().unwrap()[1].take();
                guard.map_or(0, |guard| {
                    let n = guard.num_permits();
                    guard.forget();
                    n
                })
            }
            Op::Drop(i) => {
                let guard = self.guards.lock().unwrap()[i].take();
                drop(guard);
                0
            }
            Op::Cancel(i) => {
                let waiter = self.waiters.lock().unwrap()[i].take();
                if let Some((n, future)) = waiter {
                    *self.left.lock().unwrap() += n;
                    drop(future);
                }
                0
            }
            Op::Ask(n) => {
                let mut future = Box::pin(self.semaphore.clone().acquire_many_owned(n));
                // If a waker panics in its poll, the future is dropped, and so it leaves.
                *self.left.lock().unwrap() += n;
                let answer = poll(&mut future);
                *self.left.lock().unwrap() -= n;
                match answer {
                    Poll::Pending => self.late.lock().unwrap().push((n, future)),
                    Poll::Ready(Ok(guard)) => self.more.lock().unwrap().push(guard),
                    Poll::Ready(Err(())) => {}
                }
                0
            }
            Op::Try => {
                let guard = self.semaphore.clone().try_acquire_owned();
                self.more.lock().unwrap().extend(guard);
                0
            }
            Op::Drained => {
                let mut place = self.drained.lock().unwrap();
                if let (Some(mut drained), _) = mem::take(&mut *place) {
                    let bell = Arc::<Bell>::default();
                    drop(place);
                    let waker = Waker::from(bell.clone());
                    let polled = Pin::new(&mut drained).poll(&mut Context::from_waker(&waker));
                    if polled.is_ready() {
                        // ORDERING: SeqCst. The test's own note; nothing hangs on its order.
                        bell.0.fetch_add(1, Ordering::SeqCst);
                    }
                    *self.drained.lock().unwrap() = (Some(drained), bell);
                }
                0
            }
            Op::CancelLate => {
                let waiter = self.late.lock().unwrap().pop();
                if let Some((n, future)) = waiter {
                    *self.left.lock().unwrap() += n;
                    drop(future);
                }
                0
            }
            Op::Between => {
                let guard = self.semaphore.clone().try_acquire_between_owned(1..=3);
                self.more.lock().unwrap().extend(guard);
                0
            }
            Op::DropMore => {
                let guard = self.more.lock().unwrap().pop();
                drop(guard);
                0
            }
            Op::Close => {
                self.semaphore.close();
                0
            }
        };
        self.done.lock().unwrap().push((op, returned));
    }

    /// Nothing changes any more. `None`: the limits may be any, as operations panicked.
    pub(super) fn settle(self, limit: Option<usize>) {
        let limit_now = self.semaphore.limit();
        let done = self.done.into_inner().unwrap();
        if let Some(limit) = limit {
            assert!(
                explains(&done, limit, limit_now, &mut std::vec![false; done.len()]),
                "no order of {done:?} makes {limit} to {limit_now}"
            );
        }
        // Where a debt has taken what was on its way to waiters that left, their RETURNs expect as
        // many still, until something comes there.
        let lowers = |(op, _): &Done| matches!(op, Op::Set(_) | Op::Reduce(_));
        let may_expect = match limit.is_none() || done.iter().any(lowers) {
            true => self.left.into_inner().unwrap() as usize,
            false => 0,
        };
        let mut guards: Vec<_> = self.guards.into_inner().unwrap().into_iter().flatten().collect();
        guards.extend(self.more.into_inner().unwrap());
        let waiters = self.waiters.into_inner().unwrap().into_iter().flatten();
        let (mut pending, mut refused) = (Vec::new(), false);
        let waiters = waiters.map(|waiter| (waiter, false));
        // These may have come in another order than they were noted.
        let late = self.late.into_inner().unwrap().into_iter().map(|waiter| (waiter, true));
        let mut waits_first = false;
        for ((n, mut future), is_late) in waiters.chain(late) {
            match poll(&mut future) {
                Poll::Pending => {
                    waits_first |= !is_late;
                    pending.push((n, future));
                }
                Poll::Ready(Ok(guard)) => {
                    assert!(!waits_first, "somebody was overtaken");
                    guards.push(guard);
                }
                Poll::Ready(Err(())) => refused = true,
            }
        }
        let held = |guards: &[OwnedSemaphorePermit]| {
            guards.iter().map(OwnedSemaphorePermit::num_permits).sum::<usize>()
        };
        let status = self.semaphore.status();
        assert!(!refused || status.is_closed);
        if status.is_closed {
            assert!(pending.is_empty(), "somebody sleeps for ever");
        } else {
            assert_eq!(status.limit + status.debt, status.available + status.outstanding);
            let parts = status.outstanding.checked_sub(held(&guards)).expect("invented");
            match pending.first() {
                None => {
                    assert_eq!(parts, 0, "stranded");
                    assert!(status.queued <= may_expect, "queued");
                }
                Some((n, _)) => {
                    assert_eq!(status.available, 0, "free permits, and somebody waits");
                    let first = match waits_first {
                        true => *n,
                        // Any of these may be the first.
                        false => pending.iter().map(|(n, _)| *n).max().unwrap_or(0),
                    };
                    assert!(parts < first as usize, "stranded");
                    let wanted: usize = pending.iter().map(|(n, _)| *n as usize).sum();
                    let queued = wanted - parts..=wanted - parts + may_expect;
                    assert!(queued.contains(&status.queued), "queued: {status}, not {queued:?}");
                }
            }
            assert!(status.debt == 0 || status.available == 0, "debt beside free permits");
        }
        drop(pending);
        let (mut drained, bell) = self.drained.into_inner().unwrap();
        while !guards.is_empty() {
            let held = held(&guards);
            let status = self.semaphore.status();
            if held > 0 {
                // ORDERING: SeqCst. The test's own note; nothing hangs on its order.
                assert_eq!(bell.0.load(Ordering::SeqCst), 0, "the drain ended early");
            }
            assert_eq!(status.outstanding, held, "lost or invented: {status}");
            assert_eq!(status.available, limit_now.saturating_sub(held), "{status}");
            assert_eq!(status.debt, held.saturating_sub(limit_now), "{status}");
            guards.pop();
        }
        let status = self.semaphore.status();
        assert_eq!((status.outstanding, status.available, status.debt), (0, limit_now, 0));
        if status.is_closed {
            // There is none if its poll panicked.
            if let Some(drained) = &mut drained {
                // ORDERING: SeqCst. The test's own note; nothing hangs on its order.
                assert!(
                    bell.0.load(Ordering::SeqCst) > 0,
                    "who waits for the drain sleeps for ever"
                );
                assert!(Pin::new(drained).poll(&mut Context::from_waker(Waker::noop())).is_ready());
            }
        }
        drop(drained);
        // And whatever comes goes through the RETURNs.
        self.semaphore.set_limit(limit_now + may_expect);
        let status = self.semaphore.status();
        assert_eq!((status.outstanding, status.available), (0, limit_now + may_expect), "{status}");
        assert_eq!(status.queued, 0, "{status}");
    }
}

/// Whether there is an order in which they make the limit what it is now.
fn explains(done: &[Done], limit: usize, now: usize, used: &mut Vec<bool>) -> bool {
    if used.iter().all(|used| *used) {
        return limit == now;
    }
    for i in 0..done.len() {
        if used[i] {
            continue;
        }
        let (op, returned) = done[i];
        let next = match op {
            Op::Set(n) => (returned == limit).then_some(n),
            Op::Reduce(n) => (returned == n.min(limit)).then(|| limit - returned),
            Op::Add(n) => Some(limit + n),
            Op::ForgetFree(_) => limit.checked_sub(returned),
            Op::ForgetGuard => Some(limit.saturating_sub(returned)),
            _ => Some(limit),
        };
        if let Some(next) = next {
            used[i] = true;
            if explains(done, next, now, used) {
                return true;
            }
            used[i] = false;
        }
    }
    false
}
