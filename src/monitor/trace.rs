//! Spans and events in the form that tokio-console knows; see the [module above](super) for what it shows.
//!
//! It knows them by their names and fields, which are those of tokio's own semaphore: a span for the semaphore (the
//! *resource*), one for each request (an *async op*), one for its polls, and events that set their attributes. It takes
//! an event for that of the span that was entered last on the thread, so each is emitted inside of its span.
//!
//! Subscribers are user code. They run when no lock is held, and when what they are told of is done. In a drop they run
//! last, and their panics do not abort a thread that is panicking already.

use alloc::borrow::Cow;
use alloc::sync::{Arc, Weak};
use core::mem;
use core::panic::{Location, RefUnwindSafe, UnwindSafe};
use core::task::Poll;

use tracing::span::Entered;
use tracing::{Span, trace, trace_span};

use crate::semaphore::Semaphore;
use crate::wakes::{run_one, waking};

/// A span that is closed when this is dropped.
#[derive(Debug)]
struct Open(Span);

// The subscriber is shared with all of the program, and answers for itself. So whether the feature is on does not
// decide what the types of this crate are.
impl UnwindSafe for Open {}
impl RefUnwindSafe for Open {}

impl Open {
    fn enter(&self) -> Entered<'_> {
        self.0.enter()
    }

    fn in_scope<T>(&self, f: impl FnOnce() -> T) -> T {
        self.0.in_scope(f)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let span = mem::replace(&mut self.0, Span::none());
        run_one(|| drop(span));
    }
}

/// Shows what `read` returns, and shows it again if it has changed meanwhile.
///
/// Threads that change it show it afterwards, and what one of them has read may be old when it emits that. But in the end
/// what was emitted last is what is. Suppose that it is old. If the change came before that thread read again, it has
/// emitted once more. If the change came later, so did the emission of the thread that made it.
fn show<T: Copy + PartialEq>(read: impl Fn() -> T, emit: impl Fn(T)) {
    let mut shown = read();
    loop {
        emit(shown);
        let now = read();
        if now == shown {
            return;
        }
        shown = now;
    }
}

#[derive(Debug)]
struct Shown {
    span: Open,
    semaphore: Arc<Semaphore>,
}

/// The semaphore, as tokio-console sees it. Nothing, if no subscriber was interested when it was made.
#[derive(Clone, Debug)]
pub(super) struct Resource(Option<Arc<Shown>>);

impl Resource {
    pub(super) fn new(
        name: &str,
        semaphore: &Arc<Semaphore>,
        site: &'static Location<'static>,
    ) -> Self {
        let span = trace_span!(
            target: "semafair::monitor",
            parent: None,
            "runtime.resource",
            concrete_type = "Monitored",
            kind = "Sync",
            loc.file = site.file(),
            loc.line = site.line(),
            loc.col = site.column(),
        );
        if span.is_disabled() {
            return Self(None);
        }
        let shown = Shown { span: Open(span), semaphore: semaphore.clone() };
        shown.span.in_scope(|| trace!(target: "runtime::resource::state_update", name));
        let resource = Self(Some(Arc::new(shown)));
        resource.show_all();
        resource
    }

    /// Shows how many permits are free, and how many are waited for.
    pub(super) fn show(&self) {
        let Some(Shown { span, semaphore }) = self.0.as_deref() else { return };
        let read = || {
            let status = semaphore.status();
            (status.available, status.queued)
        };
        show(read, |(permits, queued)| {
            span.in_scope(|| {
                trace!(
                    target: "runtime::resource::state_update",
                    permits,
                    permits.op = "override",
                );
                trace!(
                    target: "runtime::resource::state_update",
                    queued,
                    queued.op = "override",
                );
            });
        });
    }

    /// Shows how many permits exist, as well.
    pub(super) fn show_all(&self) {
        self.show_limit();
        self.show();
    }

    fn show_limit(&self) {
        let Some(Shown { span, semaphore }) = self.0.as_deref() else { return };
        show(
            || semaphore.limit(),
            |limit| {
                span.in_scope(|| {
                    trace!(
                        target: "runtime::resource::state_update",
                        limit,
                        limit.op = "override",
                    );
                });
            },
        );
    }

    /// A request that is about to ask.
    pub(super) fn op(
        &self,
        source: &'static str,
        site: &'static Location<'static>,
        label: &Option<Cow<'static, str>>,
        permits: usize,
    ) -> Op {
        let Some(shown) = self.0.as_deref() else { return Op::none() };
        let op = shown.span.in_scope(
            || trace_span!(target: "semafair::monitor", "runtime.resource.async_op", source),
        );
        let poll = trace_span!(
            target: "semafair::monitor",
            parent: &op,
            "runtime.resource.async_op.poll",
        );
        let request = Request { permits, site, label: label.clone() };
        let spans = Spans { poll: Open(poll), op: Open(op), resource: self.clone() };
        Op { spans: Some(Arc::new(spans)), request: Some(request) }
    }

    /// What shows that permits have come back, when it is dropped.
    pub(super) fn returned(&self) -> Returned {
        Returned(self.clone())
    }
}

/// Shows, when it is dropped, how many permits are free then.
#[derive(Debug)]
pub(super) struct Returned(Resource);

impl Returned {
    /// Permits were forgotten.
    pub(super) fn forgotten(self) {
        self.0.show_limit();
    }
}

impl Drop for Returned {
    fn drop(&mut self) {
        run_one(|| self.0.show());
    }
}

#[derive(Debug)]
struct Spans {
    // In this order: the inner one is closed first.
    poll: Open,
    op: Open,
    resource: Resource,
}

fn emit_obtained(obtained: usize) {
    trace!(
        target: "runtime::resource::async_op::state_update",
        permits_obtained = obtained,
        permits.op = "override",
    );
}

fn emit_label(label: &str) {
    trace!(target: "runtime::resource::async_op::state_update", label);
}

/// What does not change while it waits.
#[derive(Debug)]
struct Request {
    permits: usize,
    site: &'static Location<'static>,
    label: Option<Cow<'static, str>>,
}

impl Request {
    fn emit(&self) {
        trace!(
            target: "runtime::resource::async_op::state_update",
            permits_requested = self.permits,
            permits.op = "override",
        );
        trace!(target: "runtime::resource::async_op::state_update", site = %self.site);
        if let Some(label) = &self.label {
            emit_label(label);
        }
    }
}

/// A request, as tokio-console sees it, from when it asks until its future has returned or is dropped. It ends when this
/// is dropped.
///
/// tokio-console counts how often the span is entered as polls. So what can be told in a poll is told there.
#[derive(Debug)]
pub(super) struct Op {
    spans: Option<Arc<Spans>>,
    /// Until it is told of in the first poll.
    request: Option<Request>,
}

impl Op {
    /// Of no request: it has ended, has not asked, or needs not ask.
    pub(super) const fn none() -> Self {
        Self { spans: None, request: None }
    }

    /// Whether a subscriber is interested.
    pub(super) const fn is_traced(&self) -> bool {
        self.spans.is_some()
    }

    pub(super) fn downgrade(&self) -> OpRef {
        OpRef(self.spans.as_ref().map(Arc::downgrade).unwrap_or_default())
    }

    /// Runs a poll inside of its spans, notes its result, and shows how many permits it was granted.
    pub(super) fn poll(
        &mut self,
        poll: impl FnOnce() -> Poll<()>,
        obtained: impl Fn() -> usize,
    ) -> Poll<()> {
        let Some(spans) = self.spans.as_deref() else { return poll() };
        let _resource = spans.resource.0.as_deref().map(|shown| shown.span.enter());
        let _op = spans.op.enter();
        let _poll = spans.poll.enter();
        if let Some(request) = self.request.take() {
            request.emit();
        }
        let polled = poll();
        trace!(
            target: "runtime::resource::poll_op",
            op_name = "poll_acquire",
            is_ready = polled.is_ready(),
        );
        show(obtained, emit_obtained);
        polled
    }

    /// Shows the label that it has from now on.
    pub(super) fn show_label(&self, label: &str) {
        if let Some(spans) = self.spans.as_deref() {
            spans.op.in_scope(|| emit_label(label));
        }
    }
}

impl Drop for Op {
    fn drop(&mut self) {
        let Some(spans) = self.spans.take() else { return };
        let resource = spans.resource.clone();
        waking(|user_code| {
            user_code.run(|| drop(spans));
            user_code.run(|| resource.show());
        });
    }
}

/// A request that may have ended, as it is seen by who grants it permits.
#[derive(Debug, Default)]
pub(super) struct OpRef(Weak<Spans>);

impl OpRef {
    /// Shows how many permits it was granted, if it has not ended.
    pub(super) fn show(&self, obtained: impl Fn() -> usize) {
        if let Some(spans) = self.0.upgrade() {
            show(obtained, |obtained| spans.op.in_scope(|| emit_obtained(obtained)));
        }
    }
}
