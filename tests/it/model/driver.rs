//! Runs a program of one thread on a semaphore, step by step beside the model, and looks at all
//! that can be seen from outside after each step. The fuzz target runs this very file.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use semafair::{
    Acquire, AcquireBetween, AcquireError, Semaphore, SemaphorePermit, TryAcquireError,
};

use super::plain::{Answer, Model, Setup};
use crate::support::wakes::Wakes;

/// A step. Which waiter or permit it means is counted round and round among those that there are;
/// where there is none, nothing happens. So every list of steps is a program, and every part of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// Somebody new asks for so many, and is polled.
    Ask(u8),
    /// A waiter is polled again with its waker.
    Poll(u8),
    /// `acquire_between`, of at least so many and so many more
    AskBetween(u8, u8),
    /// The same, or `acquire_many` if there are no more, enqueued and not polled yet
    Enqueue(u8, u8),
    /// A waiter is polled again with another waker.
    PollAnew(u8),
    /// A waiter's future is dropped.
    Cancel(u8),
    /// A permit is dropped.
    Release(u8),
    /// A permit is forgotten.
    Forget(u8),
    /// So many are split off a permit.
    Split(u8, u8),
    /// Another permit is merged into a permit.
    Merge(u8, u8),
    /// `try_acquire_many`
    Try(u8),
    /// `try_acquire_between`, of at least so many and so many more
    TryBetween(u8, u8),
    /// `add_permits`
    Add(u8),
    /// `forget_permits`
    ForgetFree(u8),
    /// `set_limit`
    SetLimit(u8),
    /// `reduce_permits`
    Reduce(u8),
    /// `close`
    Close,
}

impl Op {
    /// From here on, the first byte of a step says that it closes.
    pub(crate) const CLOSE: u8 = 252;
}

/// How both who make programs up write a step: which, and a number for it.
impl From<[u8; 2]> for Op {
    fn from([which, n]: [u8; 2]) -> Self {
        match which {
            0..55 => Self::Ask(n % 6),
            55..65 => Self::AskBetween(n % 6, 1 + n / 6 % 4),
            65..75 => Self::Enqueue(n % 6, n / 6 % 3),
            75..95 => Self::Poll(n),
            95..115 => Self::PollAnew(n),
            115..155 => Self::Cancel(n),
            155..180 => Self::Release(n),
            180..185 => Self::Forget(n),
            185..192 => Self::Split(n / 8, n % 8),
            192..200 => Self::Merge(n / 16, n % 16),
            200..217 => Self::Try(n % 5),
            217..225 => Self::TryBetween(n % 5, 1 + n / 5 % 4),
            225..236 => Self::Add(n % 5),
            236..241 => Self::ForgetFree(n % 4),
            241..248 => Self::SetLimit(n % 8),
            248..Self::CLOSE => Self::Reduce(n % 4),
            Self::CLOSE.. => Self::Close,
        }
    }
}

/// Runs `program` on a semaphore that was made so.
pub(crate) fn run(setup: Setup, program: &[Op]) {
    let mut builder = Semaphore::builder(setup.permits.into());
    if let Some(bound) = setup.bound {
        builder = builder.queue_limit(bound.into());
    }
    if setup.fail_oversized {
        builder = builder.fail_oversized();
    }
    let sem = builder.build();
    let mut run = Run::new(&sem, setup);
    for (i, &op) in program.iter().enumerate() {
        run.step(op);
        run.check(&format!("after step {i}, {op:?}"));
    }
    run.end();
}

enum Request<'a> {
    Many(Acquire<'a>),
    Between(AcquireBetween<'a>),
}

impl<'a> Future for Request<'a> {
    type Output = Result<SemaphorePermit<'a>, AcquireError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Many(future) => Pin::new(future).poll(cx),
            Self::Between(future) => Pin::new(future).poll(cx),
        }
    }
}

/// One who has asked, and has not been told the end.
struct Waiter<'a> {
    name: usize,
    /// How many it waits for, or has.
    wants: usize,
    /// How many more it takes if they are free when it is told.
    more: usize,
    future: Request<'a>,
    wakes: Arc<Wakes>,
    /// Otherwise nobody is woken.
    was_polled: bool,
}

impl Waiter<'_> {
    fn enqueue(&mut self) {
        match &mut self.future {
            Request::Many(future) => future.enqueue(),
            Request::Between(future) => future.enqueue(),
        }
    }

    fn is_queued(&self) -> bool {
        match &self.future {
            Request::Many(future) => future.is_queued(),
            Request::Between(future) => future.is_queued(),
        }
    }
}

struct Run<'a> {
    sem: &'a Semaphore,
    model: Model,
    /// In the order of arrival.
    waiters: Vec<Waiter<'a>>,
    permits: Vec<SemaphorePermit<'a>>,
    /// How many have asked.
    names: usize,
}

/// Number `i` of `len`, counted round and round.
fn nth(i: u8, len: usize) -> Option<usize> {
    usize::from(i).checked_rem(len)
}

impl<'a> Run<'a> {
    fn new(sem: &'a Semaphore, setup: Setup) -> Self {
        let model = Model::new(setup);
        Self { sem, model, waiters: Vec::new(), permits: Vec::new(), names: 0 }
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Ask(n) => self.ask(n.into(), 0, false),
            Op::AskBetween(n, more) => self.ask(n.into(), more.into(), false),
            Op::Enqueue(n, more) => self.ask(n.into(), more.into(), true),
            Op::Poll(i) => self.poll(i, false),
            Op::PollAnew(i) => self.poll(i, true),
            Op::Cancel(i) => {
                if let Some(i) = nth(i, self.waiters.len()) {
                    self.cancel(i);
                }
            }
            Op::Release(i) => {
                if let Some(permit) = self.permit(i) {
                    self.model.give(permit.num_permits());
                    drop(permit);
                }
            }
            Op::Forget(i) => {
                if let Some(permit) = self.permit(i) {
                    self.model.forget(permit.num_permits());
                    permit.forget();
                }
            }
            Op::Split(i, n) => self.split(i, n.into()),
            Op::Merge(i, j) => self.merge(i, j),
            Op::Try(n) => {
                let tried = self.sem.try_acquire_many(n.into());
                self.attempt(n, 0, tried);
            }
            Op::TryBetween(n, more) => {
                let (min, max) = (n.into(), u32::from(n + more));
                let tried = self.sem.try_acquire_between(min..=max);
                self.attempt(n, more, tried);
            }
            Op::Add(n) => {
                self.sem.add_permits(n.into());
                self.model.set_limit(self.model.limit + usize::from(n));
            }
            Op::ForgetFree(n) => {
                assert_eq!(self.sem.forget_permits(n.into()), self.model.forget_free(n.into()));
            }
            Op::SetLimit(n) => {
                assert_eq!(self.sem.set_limit(n.into()), self.model.set_limit(n.into()));
            }
            Op::Reduce(n) => {
                let gone = self.model.limit.min(n.into());
                assert_eq!(self.sem.reduce_permits(n.into()), gone);
                self.model.set_limit(self.model.limit - gone);
            }
            Op::Close => {
                self.sem.close();
                self.model.close();
            }
        }
    }

    fn ask(&mut self, n: u32, more: u32, early: bool) {
        let name = self.names;
        self.names += 1;
        let future = match more {
            0 => Request::Many(self.sem.acquire_many(n)),
            _ => Request::Between(self.sem.acquire_between(n..=n + more)),
        };
        let (wakes, was_polled) = (Wakes::new(), false);
        let (wants, more) = (n as usize, more as usize);
        let mut waiter = Waiter { name, wants, more, future, wakes, was_polled };
        let (expected, got) = self.model.ask(name, wants, wants + more);
        if expected == Answer::Granted {
            (waiter.wants, waiter.more) = (got, 0);
        }
        if !early {
            return self.polled(self.waiters.len(), waiter, expected);
        }
        assert!(!waiter.is_queued());
        waiter.enqueue();
        if !matches!(expected, Answer::Waits | Answer::Closed) {
            self.model.keep(name, expected);
        }
        self.waiters.push(waiter);
    }

    fn poll(&mut self, i: u8, anew: bool) {
        let Some(i) = nth(i, self.waiters.len()) else { return };
        let mut waiter = self.waiters.remove(i);
        let old = Arc::clone(&waiter.wakes);
        let woken = old.count();
        if anew {
            waiter.wakes = Wakes::new();
        }
        let expected = self.model.poll(waiter.name);
        self.polled(i, waiter, expected);
        assert_eq!(old.count(), woken, "a poll does not wake");
        if anew {
            assert_eq!(Arc::strong_count(&old), 1, "a replaced waker is dropped");
        }
    }

    /// Polls `waiter`, and puts it at `i` if it waits.
    fn polled(&mut self, i: usize, mut waiter: Waiter<'a>, expected: Answer) {
        let waker = waiter.wakes.waker();
        let poll = Pin::new(&mut waiter.future).poll(&mut Context::from_waker(&waker));
        drop(waker);
        let answer = match &poll {
            Poll::Pending => Answer::Waits,
            Poll::Ready(Ok(_)) => Answer::Granted,
            Poll::Ready(Err(error)) if error.is_queue_full() => Answer::QueueFull,
            Poll::Ready(Err(error)) if error.is_oversized() => Answer::Oversized,
            Poll::Ready(Err(_)) => Answer::Closed,
        };
        assert_eq!(answer, expected, "number {} is polled", waiter.name);
        match poll {
            Poll::Pending => {
                waiter.was_polled = true;
                self.waiters.insert(i, waiter);
            }
            Poll::Ready(Ok(permit)) => {
                let more = self.model.take_more(waiter.more);
                assert_eq!(permit.num_permits(), waiter.wants + more);
                self.permits.push(permit);
            }
            Poll::Ready(Err(_)) => {}
        }
    }

    fn cancel(&mut self, i: usize) {
        let waiter = self.waiters.remove(i);
        let woken = waiter.wakes.count();
        drop(waiter.future);
        self.model.leave(waiter.name, waiter.wants);
        assert_eq!(waiter.wakes.count(), woken, "who leaves is not woken");
        assert_eq!(Arc::strong_count(&waiter.wakes), 1, "who leaves takes its waker along");
    }

    fn permit(&mut self, i: u8) -> Option<SemaphorePermit<'a>> {
        nth(i, self.permits.len()).map(|i| self.permits.remove(i))
    }

    fn split(&mut self, i: u8, n: usize) {
        let Some(mut permit) = self.permit(i) else { return };
        let all = permit.num_permits();
        let part = permit.split(n);
        assert_eq!(part.is_some(), n <= all);
        let rest = permit.num_permits();
        assert_eq!(rest + part.as_ref().map_or(0, SemaphorePermit::num_permits), all);
        self.permits.push(permit);
        self.permits.extend(part);
    }

    fn merge(&mut self, i: u8, j: u8) {
        let Some(mut permit) = self.permit(i) else { return };
        if let Some(other) = self.permit(j) {
            let both = permit.num_permits() + other.num_permits();
            permit.merge(other);
            assert_eq!(permit.num_permits(), both);
        }
        self.permits.push(permit);
    }

    fn attempt(&mut self, n: u8, more: u8, tried: Result<SemaphorePermit<'a>, TryAcquireError>) {
        let answer = match tried {
            Ok(permit) => {
                let got = permit.num_permits();
                self.permits.push(permit);
                (Answer::Granted, got)
            }
            Err(TryAcquireError::NoPermits) => (Answer::Waits, 0),
            Err(TryAcquireError::Closed) => (Answer::Closed, 0),
        };
        assert_eq!(answer, self.model.attempt(n.into(), usize::from(n + more)));
    }

    /// Looks at everything.
    fn check(&self, when: &str) {
        let status = self.sem.status();
        let (free, limit) = (self.model.free(), self.model.limit);
        let outstanding = self.model.outstanding;
        assert_eq!((self.sem.available_permits(), status.available), (free, free), "free {when}");
        assert_eq!((self.sem.limit(), status.limit), (limit, limit), "limit {when}");
        assert_eq!(self.sem.outstanding(), outstanding, "outstanding {when}");
        assert_eq!(status.outstanding, outstanding, "outstanding, in the status, {when}");
        assert_eq!(status.debt, self.model.debt(), "debt {when}");
        assert_eq!(status.queued, self.model.queued(), "queued {when}");
        assert_eq!(self.sem.is_closed(), self.model.closed, "closed {when}");
        assert_eq!(status.is_closed, self.model.closed, "closed, in the status, {when}");
        for waiter in &self.waiters {
            let Waiter { name, wakes, was_polled, .. } = waiter;
            let woken = self.model.woken(*name);
            assert_eq!(waiter.is_queued(), !woken, "number {name} is queued {when}");
            let wakes_due = usize::from(*was_polled && woken);
            assert_eq!(wakes.count(), wakes_due, "wakes of number {name} {when}");
            let kept = Arc::strong_count(wakes) - 1;
            let keeps = usize::from(*was_polled && !woken);
            assert_eq!(kept, keeps, "wakers of number {name} kept {when}");
        }
    }

    /// Whoever is left leaves, last first; then all is back, and there is no more than can be seen.
    fn end(mut self) {
        while let Some(last) = self.waiters.len().checked_sub(1) {
            self.cancel(last);
            self.check("when those who wait leave");
        }
        for permit in self.permits.drain(..) {
            self.model.give(permit.num_permits());
        }
        self.check("at the end");
        if !self.model.closed {
            let more = u32::try_from(self.model.free() + 1).expect("programs add little");
            self.ask(more, 0, false);
            self.check("when more is asked for than there is");
            self.step(Op::Add(1));
            self.check("when one more is added");
        }
    }
}
