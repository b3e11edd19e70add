//! The future that waits for permits of a monitored semaphore.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use core::fmt;
use core::future::Future;
use core::panic::Location;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};

use super::ends::End;
use super::permit::MonitoredPermit;
use super::roster::{Entry, Phase, Registered, Roster};
use super::trace::Op;
use crate::acquire::AcquireOwned;
use crate::between::AcquireBetweenOwned;
use crate::error::AcquireError;
use crate::permit::OwnedSemaphorePermit;

/// The future of the semaphore itself.
#[derive(Debug)]
pub(super) enum Inner {
    Many(AcquireOwned),
    Between(AcquireBetweenOwned),
}

type Answer = Result<OwnedSemaphorePermit, AcquireError>;

impl Inner {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Answer> {
        match self {
            Self::Many(future) => Pin::new(future).poll(cx),
            Self::Between(future) => Pin::new(future).poll(cx),
        }
    }

    fn enqueue(&mut self) {
        match self {
            Self::Many(future) => future.enqueue(),
            Self::Between(future) => future.enqueue(),
        }
    }

    fn is_queued(&self) -> bool {
        match self {
            Self::Many(future) => future.is_queued(),
            Self::Between(future) => future.is_queued(),
        }
    }

    fn is_granted(&self) -> bool {
        match self {
            Self::Many(future) => future.is_granted(),
            Self::Between(future) => future.is_granted(),
        }
    }

    /// Polls it with the waker that is its entry, which learns how far it has come.
    fn poll_as(&mut self, entry: &Entry, waker: &Waker) -> Poll<Answer> {
        let answer = self.poll(&mut Context::from_waker(waker));
        if answer.is_pending() {
            entry.is_pending(|| match self {
                // A grant may come after the first look, and then wakes. A closer that is stopped may not have come here.
                _ if self.is_queued() => Phase::Waits,
                _ if self.is_granted() => Phase::Granted,
                _ => Phase::Refused,
            });
        }
        answer
    }
}

/// Waits for permits of a [`Monitored`](super::Monitored) semaphore; made by
/// [`Monitored::acquire`](super::Monitored::acquire) and the like.
///
/// It takes its place in the line when it is first polled, and keeps it until it returns or is dropped. From
/// then on it is in the [report](super::Monitored::report): as a waiter; and if it was granted its permits and is
/// not polled, as a grant that nobody has collected.
///
/// # Cancel safety
///
/// Dropping it before it has returned gives up its place in the line. Permits that it had already go to others. A
/// new request starts at the end of the line.
///
/// # Panics
///
/// A poll after it returned [`Poll::Ready`] panics. The other panics are those of [`Acquire`](crate::Acquire), but for a
/// request for too many permits: the method that would make it panics.
#[must_use = "futures do nothing unless polled"]
pub struct MonitoredAcquire {
    roster: Arc<Roster>,
    /// `None` once it has returned.
    inner: Option<Inner>,
    /// What it was answered, until it returns that.
    early: Option<Answer>,
    /// The method that made it, and where that was called.
    source: &'static str,
    site: &'static Location<'static>,
    label: Option<Cow<'static, str>>,
    permits: usize,
    /// Since it asked: below `inner`, so that it is there until that has left the line.
    asked: Option<(Registered, Waker)>,
    /// Since it asked. Below all others: when it ends, it shows how things are without this request.
    op: Op,
}

impl MonitoredAcquire {
    pub(super) fn new(
        roster: Arc<Roster>,
        inner: Inner,
        permits: u32,
        source: &'static str,
        site: &'static Location<'static>,
    ) -> Self {
        Self {
            roster,
            inner: Some(inner),
            early: None,
            source,
            site,
            label: None,
            permits: permits as usize,
            asked: None,
            op: Op::none(),
        }
    }

    /// Gives it a label, which shows in reports beside the call site.
    pub fn label(mut self, label: impl Into<Cow<'static, str>>) -> Self {
        let label = self.label.insert(label.into());
        if let Some((registered, _)) = &self.asked {
            registered.entry().set_label(Some(label.clone()));
            self.op.show_label(label);
        }
        self
    }

    /// Takes its place in the line now, before the first poll; or the permits, if they are free and nobody waits. Does
    /// nothing if it has asked already. See [`Acquire::enqueue`](crate::Acquire::enqueue).
    ///
    /// # Panics
    ///
    /// Those of [`Acquire::enqueue`](crate::Acquire::enqueue).
    #[track_caller]
    pub fn enqueue(&mut self) {
        if self.asked.is_some() {
            return;
        }
        let Some(inner) = &mut self.inner else { return };
        let (op, asked) = register(&self.roster, self.source, self.site, &self.label, self.permits);
        inner.enqueue();
        self.op = op;
        let (registered, waker) = self.asked.insert(asked);
        let entry = registered.entry();
        // So that the entry learns of the grant.
        let ask = || {
            let answer = ready!(inner.poll_as(entry, waker));
            entry.answered(granted(&answer));
            self.early = Some(answer);
            Poll::Ready(())
        };
        let _polled = self.op.poll(ask, || entry.obtained());
        self.roster.resource().show();
    }

    /// Returns whether it waits in the line, and was neither granted nor refused yet.
    #[must_use]
    pub fn is_queued(&self) -> bool {
        self.early.is_none() && self.inner.as_ref().is_some_and(Inner::is_queued)
    }
}

/// How many permits an answer has, if any.
fn granted(answer: &Answer) -> Option<usize> {
    answer.as_ref().ok().map(OwnedSemaphorePermit::num_permits)
}

/// Enters a request that is about to ask. Also returns the waker that its entry is, and what a subscriber sees of it.
fn register(
    roster: &Arc<Roster>,
    source: &'static str,
    site: &'static Location<'static>,
    label: &Option<Cow<'static, str>>,
    permits: usize,
) -> (Op, (Registered, Waker)) {
    let op = roster.resource().op(source, site, label, permits);
    let registered = roster.add(site, label.clone(), permits, Phase::Waits, &op);
    let waker = Waker::from(Arc::clone(registered.entry()));
    (op, (registered, waker))
}

impl Future for MonitoredAcquire {
    type Output = Result<MonitoredPermit, AcquireError>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Some(inner) = &mut this.inner else {
            panic!("`MonitoredAcquire` polled after completion")
        };
        let (registered, waker) = this.asked.get_or_insert_with(|| {
            let (op, asked) =
                register(&this.roster, this.source, this.site, &this.label, this.permits);
            this.op = op;
            asked
        });
        let (entry, is_traced) = (registered.entry(), this.op.is_traced());
        let ask = || {
            if this.early.is_none() {
                entry.is_polled(cx.waker());
                let answer = ready!(inner.poll_as(entry, waker));
                let permits = granted(&answer);
                // First: if the drop of a waker panics now, or the subscriber, the answer is here for the next poll.
                this.early = Some(answer);
                if is_traced {
                    entry.answered(permits);
                }
            }
            Poll::Ready(())
        };
        if this.op.poll(ask, || entry.obtained()).is_pending() {
            this.roster.resource().show();
            return Poll::Pending;
        }
        this.op = Op::none();
        this.inner = None;
        let (Some(answer), Some((registered, _))) = (this.early.take(), this.asked.take()) else {
            unreachable!("they were there a moment ago")
        };
        registered.ends(answer.as_ref().map_or_else(End::from, |_| End::Granted));
        Poll::Ready(answer.map(|permit| MonitoredPermit::new(registered, permit)))
    }
}

impl fmt::Debug for MonitoredAcquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MonitoredAcquire")
            .field("source", &self.source)
            .field("site", &format_args!("{}", self.site))
            .field("label", &self.label)
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
