//! A subscriber that writes down what it is told, and keeps the attributes as tokio-console does.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber};

pub(crate) type Fields = BTreeMap<&'static str, String>;

/// A span, from when it was made.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) name: &'static str,
    pub(crate) target: &'static str,
    /// Its index.
    pub(crate) parent: Option<usize>,
    pub(crate) fields: Fields,
    /// What the last event said of each.
    pub(crate) attributes: Fields,
    /// What each poll was answered.
    pub(crate) polls: Vec<bool>,
    /// How often it was entered.
    pub(crate) enters: usize,
    handles: usize,
    entered: isize,
}

impl Recorded {
    pub(crate) fn is_closed(&self) -> bool {
        self.handles == 0
    }

    pub(crate) fn number(&self, attribute: &str) -> usize {
        let value =
            self.attributes.get(attribute).unwrap_or_else(|| panic!("{attribute}: {self:?}"));
        value.parse().unwrap()
    }
}

#[derive(Default)]
struct Book {
    spans: Vec<Recorded>,
    /// Which each thread has entered, by their indices.
    stacks: HashMap<ThreadId, Vec<usize>>,
    calls: usize,
    /// Whether a span was exited before one that was entered later.
    is_crossed: bool,
}

impl Book {
    /// What this thread has entered.
    fn stack(&mut self) -> &mut Vec<usize> {
        self.stacks.entry(thread::current().id()).or_default()
    }
}

type Hook = Box<dyn Fn(usize) + Send + Sync>;

/// What a [`Dispatch`] made by [`dispatch`](Self::dispatch) writes down.
#[derive(Clone, Default)]
pub(crate) struct Recorder {
    book: Arc<Mutex<Book>>,
    /// Run at each call, with its number, when nothing is locked.
    hook: Arc<Mutex<Option<Arc<Hook>>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recorder {
    /// A subscriber for it, which is interested in nothing if it is deaf.
    pub(crate) fn dispatch(&self, deaf: bool) -> Dispatch {
        Dispatch::new(Listener { recorder: self.clone(), deaf })
    }

    pub(crate) fn set_hook(&self, hook: impl Fn(usize) + Send + Sync + 'static) {
        *lock(&self.hook) = Some(Arc::new(Box::new(hook)));
    }

    pub(crate) fn no_hook(&self) {
        let hook = lock(&self.hook).take();
        drop(hook);
    }

    pub(crate) fn spans(&self) -> Vec<Recorded> {
        lock(&self.book).spans.clone()
    }

    pub(crate) fn calls(&self) -> usize {
        lock(&self.book).calls
    }

    pub(crate) fn named(&self, name: &str) -> Vec<Recorded> {
        self.spans().into_iter().filter(|span| span.name == name).collect()
    }

    /// The only semaphore.
    pub(crate) fn resource(&self) -> Recorded {
        let [resource] = &*self.named("runtime.resource") else { panic!("one resource") };
        resource.clone()
    }

    /// The requests, in the order in which they asked.
    pub(crate) fn ops(&self) -> Vec<Recorded> {
        self.named("runtime.resource.async_op")
    }

    /// Each span was exited as often as entered, the inner before the outer.
    pub(crate) fn is_balanced(&self) -> bool {
        let book = lock(&self.book);
        let exited = book.stacks.values().all(Vec::is_empty) && !book.is_crossed;
        exited && book.spans.iter().all(|span| span.entered == 0)
    }
}

struct Listener {
    recorder: Recorder,
    deaf: bool,
}

/// Which of a span's numbers is its index.
fn index(id: &Id) -> usize {
    usize::try_from(id.into_u64()).unwrap() - 1
}

impl Listener {
    /// Notes a call, and then runs the hook.
    fn note<T>(&self, note: impl FnOnce(&mut Book) -> T) -> T {
        let (number, noted) = {
            let mut book = lock(&self.recorder.book);
            book.calls += 1;
            (book.calls - 1, note(&mut book))
        };
        let hook = lock(&self.recorder.hook).clone();
        if let Some(hook) = hook {
            hook(number);
        }
        noted
    }
}

impl Subscriber for Listener {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        !self.deaf && (target.starts_with("semafair") || target.starts_with("runtime::"))
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields::new();
        span.record(&mut Visitor(&mut fields));
        let index = self.note(|book| {
            let entered = book.stack().last().copied();
            book.spans.push(Recorded {
                name: span.metadata().name(),
                target: span.metadata().target(),
                parent: if span.is_contextual() { entered } else { span.parent().map(index) },
                fields,
                attributes: Fields::new(),
                polls: Vec::new(),
                enters: 0,
                handles: 1,
                entered: 0,
            });
            book.spans.len()
        });
        Id::from_non_zero_u64(NonZeroU64::new(index as u64).unwrap())
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::new();
        event.record(&mut Visitor(&mut fields));
        let target = event.metadata().target();
        let kind = match target {
            "runtime::resource::state_update" => "runtime.resource",
            "runtime::resource::async_op::state_update" | "runtime::resource::poll_op" => {
                "runtime.resource.async_op"
            }
            other => panic!("{other}: {fields:?}"),
        };
        self.note(|book| {
            let stack = book.stack().clone();
            let innermost = stack.into_iter().rev().find(|&index| book.spans[index].name == kind);
            let span = &mut book.spans[innermost.expect("inside of its span")];
            assert!(!span.is_closed());
            if target.ends_with("poll_op") {
                assert_eq!(fields["op_name"], "poll_acquire");
                span.polls.push(fields["is_ready"] == "true");
                return;
            }
            // As tokio-console, whatever stands before `.op`.
            fields.retain(|name, value| !name.ends_with(".op") || value != "override");
            assert_eq!(fields.len(), 1, "it sees only the last: {fields:?}");
            span.attributes.append(&mut fields);
        });
    }

    fn enter(&self, span: &Id) {
        self.note(|book| {
            book.stack().push(index(span));
            book.spans[index(span)].entered += 1;
            book.spans[index(span)].enters += 1;
        });
    }

    fn exit(&self, span: &Id) {
        self.note(|book| {
            let entered = book.stack().iter().rposition(|&entered| entered == index(span));
            let entered = entered.expect("it was entered on this thread");
            book.stack().remove(entered);
            book.is_crossed |= entered != book.stack().len();
            book.spans[index(span)].entered -= 1;
        });
    }

    fn clone_span(&self, span: &Id) -> Id {
        self.note(|book| book.spans[index(span)].handles += 1);
        span.clone()
    }

    fn try_close(&self, span: Id) -> bool {
        self.note(|book| {
            let span = &mut book.spans[index(&span)];
            span.handles -= 1;
            span.is_closed()
        })
    }
}

struct Visitor<'a>(&'a mut Fields);

impl Visit for Visitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}
