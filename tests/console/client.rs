//! A console-subscriber, with a client of its gRPC API that keeps what it is told.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use console_api::Location;
use console_api::async_ops::AsyncOp;
use console_api::field::Name;
use console_api::instrument::instrument_client::InstrumentClient;
use console_api::instrument::{InstrumentRequest, StateRequest, Temporality, Update};
use console_api::resources::resource::kind::Kind;
use console_api::resources::{PollOp, Resource};
use console_api::{Attribute, async_ops, resources, tasks};
use console_subscriber::{ConsoleLayer, ServerParts};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tonic::Streaming;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tracing::{Dispatch, dispatcher};
use tracing_subscriber::layer::SubscriberExt;

/// How many updates a change may take to be seen. One is usual.
const UPDATES: usize = 1000;

/// Held by the only program that runs.
///
/// A span or event is registered with all subscribers when it is met first. Another thread that meets it meanwhile goes
/// on, and console-subscriber ignores what has not been registered with it.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Attributes as they are shown.
pub(crate) type Attributes = BTreeMap<String, String>;

fn attributes(attributes: &[Attribute]) -> Attributes {
    let field = |attribute: &Attribute| {
        let field = attribute.field.clone()?;
        let Some(Name::StrName(name)) = field.name else { return None };
        Some((name, field.value?.to_string()))
    };
    attributes
        .iter()
        .map(|attribute| field(attribute).expect("it has a name and a value"))
        .collect()
}

/// A resource, and what changes in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResourceSeen {
    pub(crate) resource: Resource,
    pub(crate) attributes: Attributes,
    pub(crate) is_dropped: bool,
}

impl ResourceSeen {
    pub(crate) fn kind(&self) -> &str {
        match self.resource.kind.as_ref().and_then(|kind| kind.kind.as_ref()) {
            Some(Kind::Other(kind)) => kind,
            kind => panic!("{kind:?}"),
        }
    }

    pub(crate) fn location(&self) -> &Location {
        self.resource.location.as_ref().expect("it has a location")
    }

    pub(crate) fn number(&self, name: &str) -> usize {
        self.attributes[name].parse().expect("a number")
    }
}

/// An async op, and what changes in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpSeen {
    pub(crate) op: AsyncOp,
    pub(crate) attributes: Attributes,
    pub(crate) is_dropped: bool,
    pub(crate) task: Option<u64>,
    pub(crate) polls: u64,
}

impl OpSeen {
    pub(crate) fn number(&self, name: &str) -> usize {
        self.attributes[name].parse().expect("a number")
    }
}

/// A task, and what changes in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct TaskSeen {
    pub(crate) location: Location,
    pub(crate) stats: tasks::Stats,
}

/// What the client has been told so far, by id. Resources and async ops are numbered in the order of their ids.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) resources: BTreeMap<u64, ResourceSeen>,
    pub(crate) ops: BTreeMap<u64, OpSeen>,
    pub(crate) tasks: BTreeMap<u64, TaskSeen>,
    pub(crate) polls: Vec<PollOp>,
    /// What the server has lost.
    pub(crate) dropped_events: u64,
}

impl View {
    fn apply(&mut self, update: Update) {
        let tasks = update.task_update.unwrap_or_default();
        for task in tasks.new_tasks {
            let seen = self.tasks.entry(task.id.expect("an id").id).or_default();
            seen.location = task.location.expect("a location");
        }
        for (id, stats) in tasks.stats_update {
            self.tasks.entry(id).or_default().stats = stats;
        }
        let resources = update.resource_update.unwrap_or_default();
        for resource in resources.new_resources {
            let id = resource.id.expect("an id").id;
            self.resources.entry(id).or_default().resource = resource;
        }
        for (id, stats) in resources.stats_update {
            let seen = self.resources.entry(id).or_default();
            let resources::Stats { attributes: shown, dropped_at, .. } = stats;
            seen.attributes = attributes(&shown);
            seen.is_dropped = dropped_at.is_some();
        }
        self.polls.extend(resources.new_poll_ops);
        let ops = update.async_op_update.unwrap_or_default();
        for op in ops.new_async_ops {
            let id = op.id.expect("an id").id;
            self.ops.entry(id).or_default().op = op;
        }
        for (id, stats) in ops.stats_update {
            let seen = self.ops.entry(id).or_default();
            let async_ops::Stats { attributes: shown, dropped_at, task_id, poll_stats, .. } = stats;
            seen.attributes = attributes(&shown);
            seen.is_dropped = dropped_at.is_some();
            seen.task = task_id.map(|id| id.id);
            seen.polls = poll_stats.expect("they are counted").polls;
        }
        self.dropped_events += tasks.dropped_events + resources.dropped_events + ops.dropped_events;
    }

    /// The semaphore of that name.
    pub(crate) fn named(&self, name: &str) -> Option<&ResourceSeen> {
        let mut all = self.resources.values();
        all.find(|seen| seen.attributes.get("name").is_some_and(|shown| shown == name))
    }

    /// Its requests, in the order of their ids.
    pub(crate) fn ops_of(&self, name: &str) -> Vec<&OpSeen> {
        let id = self.named(name).map(|seen| seen.resource.id);
        self.ops.values().filter(|seen| Some(seen.op.resource_id) == id).collect()
    }
}

/// A program's runtime, a console-subscriber that listens to it, and a client of that.
///
/// All is on one thread, so that it is known what has been done when something is seen: either the program runs, or
/// server and client do.
pub(crate) struct Console {
    program: Runtime,
    /// The subscriber of the program.
    dispatch: Dispatch,
    /// The runtime of server and client, to which no subscriber listens.
    console: Runtime,
    updates: Streaming<Update>,
    view: View,
    _turn: MutexGuard<'static, ()>,
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

impl Console {
    /// Starts a server on a free port, and connects to it.
    pub(crate) fn new() -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let interval = Duration::from_millis(2);
        let (layer, server) = ConsoleLayer::builder().publish_interval(interval).build();
        let ServerParts { instrument_server, aggregator, .. } = server.into_parts();
        let console = runtime();
        let updates = console.block_on(async {
            tokio::spawn(aggregator.run());
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = format!("http://{}", listener.local_addr().expect("it is bound"));
            let router = Server::builder().add_service(instrument_server);
            tokio::spawn(router.serve_with_incoming(TcpIncoming::from(listener)));
            let mut client = InstrumentClient::connect(address).await.expect("it listens");
            let mut states =
                client.watch_state(StateRequest {}).await.expect("states").into_inner();
            let state = states.message().await.expect("no error").expect("a state");
            assert_eq!(state.temporality(), Temporality::Live);
            client.watch_updates(InstrumentRequest {}).await.expect("updates").into_inner()
        });
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        Self { program: runtime(), dispatch, console, updates, view: View::default(), _turn: turn }
    }

    /// Runs a part of the program.
    pub(crate) fn run<T>(&self, part: impl Future<Output = T>) -> T {
        dispatcher::with_default(&self.dispatch, || self.program.block_on(part))
    }

    /// Follows the updates until the client sees what `is` looks for.
    #[track_caller]
    pub(crate) fn see(&mut self, what: &str, is: impl Fn(&View) -> bool) -> View {
        for _ in 0..UPDATES {
            if is(&self.view) {
                return self.view.clone();
            }
            let update = self.console.block_on(self.updates.message());
            self.view.apply(update.expect("no error").expect("the server goes on"));
        }
        panic!("{what}: {:#?}", self.view)
    }
}
