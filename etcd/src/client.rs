//! Calls to etcd: each has a time, and the next goes to another node if one does not answer.
//!
//! The field's client spreads its calls over all nodes, and a node that stands still looks to it like one that is
//! slow. So each node has a client of its own here, and all calls go to one of them for as long as it answers.

use std::fmt;
use std::future::Future;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use backon::BackoffBuilder;
use etcd_client::ConnectOptions;
use tokio::runtime::Handle;
use tokio::sync::{OnceCell, Semaphore, watch};
use tokio::time;
use tokio_util::task::AbortOnDropHandle;
use tonic::Code;

use crate::error::Error;

/// etcd takes pings that come more often than every five seconds for an attack, and hangs up.
const PING_EVERY: Duration = Duration::from_secs(6);
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// The largest answer that is taken: a line of a million places.
const LARGEST: usize = 256 << 20;

/// How many calls in turn are under way at a time: as many as the most tasks of the benchmark have.
const AT_A_TIME: usize = 64;

/// The longest wait between two attempts, with its jitter.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Why a call has no result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Whether it was carried out is not known: it may be repeated if that changes nothing.
    Unanswered(String),
    /// The lease does not exist, or no more.
    NoLease,
    Refused(Arc<etcd_client::Error>),
}

/// Whether the token of the user is of before users or roles were changed.
fn is_of_old_token(error: &etcd_client::Error) -> bool {
    let etcd_client::Error::GRpcStatus(status) = error else { return false };
    status.message().contains("revision of auth store is old")
}

impl From<etcd_client::Error> for Failure {
    fn from(error: etcd_client::Error) -> Self {
        use etcd_client::Error::{
            GRpcStatus, Internal, IoError, LeaseKeepAliveError, TransportError, WatchError,
        };

        let status = match &error {
            GRpcStatus(status) => status,
            // That is what this client makes of an answer with a lifetime of zero.
            LeaseKeepAliveError(text) if text == "lease not found" => return Self::NoLease,
            TransportError(_)
            | IoError(_)
            | WatchError(_)
            | LeaseKeepAliveError(_)
            | Internal(_) => return Self::Unanswered(error.to_string()),
            _ => return Self::Refused(Arc::new(error)),
        };
        match status.code() {
            Code::NotFound if status.message().contains("lease not found") => Self::NoLease,
            // The next attempt has another token.
            _ if is_of_old_token(&error) => Self::Unanswered(status.message().to_owned()),
            // Too many at a time is that code, and so is a full database, which stays full.
            Code::ResourceExhausted if !status.message().contains("too many requests") => {
                Self::Refused(Arc::new(error))
            }
            Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Unauthenticated => Self::Refused(Arc::new(error)),
            _ => Self::Unanswered(status.message().to_owned()),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unanswered(text) => Self::Unavailable(text),
            Failure::NoLease => Self::Lost,
            Failure::Refused(error) => Self::Refused(error),
        }
    }
}

/// Where calls of one kind wait until it is their turn, in order.
///
/// Any number of tasks may call at the same time. If all their calls waited in etcd, they would take longer there than an
/// attempt has, and be repeated, and wait still longer; and the renewal of the lease would be behind them. So only some
/// are under way, the time of an attempt counts from when it is sent, and what must not wait takes no turn.
#[derive(Debug)]
pub(crate) struct Turns(Semaphore);

impl Turns {
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(AT_A_TIME))
    }

    /// Waits until a call may be sent; the next may when the turn is dropped.
    pub(crate) async fn next(&self) -> impl Sized + '_ {
        // It is never closed.
        self.0.acquire().await.ok()
    }
}

pub(crate) struct Client {
    nodes: Vec<Node>,
    options: ConnectOptions,
    /// How long one attempt may take.
    timeout: Duration,
    /// Where connections live, whoever needs one first: that task may run elsewhere, and end with its runtime.
    runtime: Handle,
    /// The number of the node that calls go to.
    current: watch::Sender<usize>,
}

struct Node {
    endpoint: String,
    client: OnceCell<etcd_client::Client>,
}

impl fmt::Debug for Client {
    /// Without the options, which may have a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoints: Vec<_> = self.nodes.iter().map(|node| &node.endpoint).collect();
        f.debug_struct("Client").field("endpoints", &endpoints).finish_non_exhaustive()
    }
}

impl Client {
    /// Connects to nobody yet.
    ///
    /// # Panics
    ///
    /// Panics if it is not called on a tokio runtime.
    #[track_caller]
    pub(crate) fn new(endpoints: Vec<String>, options: ConnectOptions, timeout: Duration) -> Self {
        let node = |endpoint| Node { endpoint, client: OnceCell::new() };
        let options = options
            .with_connect_timeout(timeout)
            .with_keep_alive(PING_EVERY, PING_TIMEOUT)
            .with_keep_alive_while_idle(false)
            // A node that is cut off from the others says so, instead of keeping silent.
            .with_require_leader(true)
            .with_auto_token_refresh(true);
        Self {
            nodes: endpoints.into_iter().map(node).collect(),
            options,
            timeout,
            runtime: Handle::current(),
            current: watch::Sender::new(0),
        }
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The node that calls go to now, and when that changes.
    pub(crate) fn current(&self) -> watch::Receiver<usize> {
        self.current.subscribe()
    }

    /// Lets calls go to the next node, unless they no longer go to this one.
    pub(crate) fn leave_node(&self, node: usize) {
        self.current.send_if_modified(|current| {
            let is_current = *current == node && self.nodes.len() > 1;
            if is_current {
                *current = (node + 1) % self.nodes.len();
            }
            is_current
        });
    }

    async fn connect(&self, endpoint: &str) -> Result<etcd_client::Client, etcd_client::Error> {
        let (endpoint, options) = ([endpoint.to_owned()], self.options.clone());
        let connect = async { etcd_client::Client::connect(endpoint, Some(options)).await };
        let client = AbortOnDropHandle::new(self.runtime.spawn(connect)).await;
        client.unwrap_or_else(|ended| Err(etcd_client::Error::Internal(ended.to_string())))
    }

    /// One attempt at a call.
    pub(crate) async fn call<T, C>(
        &self,
        rpc: impl FnOnce(etcd_client::Client) -> C,
    ) -> Result<T, Failure>
    where
        C: Future<Output = Result<T, etcd_client::Error>>,
    {
        self.call_within(self.timeout, rpc).await
    }

    /// The same with a time of its own.
    pub(crate) async fn call_within<T, C>(
        &self,
        timeout: Duration,
        rpc: impl FnOnce(etcd_client::Client) -> C,
    ) -> Result<T, Failure>
    where
        C: Future<Output = Result<T, etcd_client::Error>>,
    {
        let at = *self.current.borrow();
        let node = &self.nodes[at];
        let attempt = async {
            let client = node.client.get_or_try_init(|| self.connect(&node.endpoint)).await?;
            let result = rpc(client.clone()).await;
            if result.as_ref().is_err_and(is_of_old_token) {
                // The field's client does so only where a token is invalid.
                client.refresh_token().await?;
            }
            result
        };
        let result = match time::timeout(timeout, attempt).await {
            Ok(result) => result.map_err(Failure::from),
            Err(_) => {
                Err(Failure::Unanswered(format!("{} took longer than {timeout:?}", node.endpoint)))
            }
        };
        if let Err(Failure::Unanswered(_)) = result {
            self.leave_node(at);
        }
        result
    }

    /// Repeats a call that changes nothing when repeated, until it is answered.
    pub(crate) async fn insist<T, C>(
        &self,
        rpc: impl Fn(etcd_client::Client) -> C,
    ) -> Result<T, Failure>
    where
        C: Future<Output = Result<T, etcd_client::Error>>,
    {
        self.repeat(None, iter::repeat(self.timeout), rpc).await
    }

    /// The same, where many tasks may call at a time: each attempt is in turn.
    pub(crate) async fn insist_in_turn<T, C>(
        &self,
        turns: &Turns,
        rpc: impl Fn(etcd_client::Client) -> C,
    ) -> Result<T, Failure>
    where
        C: Future<Output = Result<T, etcd_client::Error>>,
    {
        self.repeat(Some(turns), iter::repeat(self.timeout), rpc).await
    }

    /// The same for the answer of a whole line.
    pub(crate) async fn insist_on_all<T, C>(
        &self,
        turns: Option<&Turns>,
        rpc: impl Fn(etcd_client::Client) -> C,
    ) -> Result<T, Failure>
    where
        C: Future<Output = Result<T, etcd_client::Error>>,
    {
        self.repeat(turns, self.longer_and_longer(), rpc).await
    }

    /// How long the attempts at a large answer may take: each has twice the time of the one before, as nobody knows how
    /// large it is.
    pub(crate) fn longer_and_longer(&self) -> impl Iterator<Item = Duration> + use<> {
        let most = self.timeout * 64;
        iter::successors(Some(self.timeout), move |&timeout| Some((timeout * 2).min(most)))
    }

    async fn repeat<T, C>(
        &self,
        turns: Option<&Turns>,
        timeouts: impl Iterator<Item = Duration>,
        rpc: impl Fn(etcd_client::Client) -> C,
    ) -> Result<T, Failure>
    where
        C: Future<Output = Result<T, etcd_client::Error>>,
    {
        let mut pauses = Pauses::new();
        let mut unanswered = String::new();
        for timeout in timeouts {
            let turn = match turns {
                Some(turns) => Some(turns.next().await),
                None => None,
            };
            let result = self.call_within(timeout, &rpc).await;
            drop(turn);
            match result {
                Err(Failure::Unanswered(text)) => unanswered = text,
                result => return result,
            }
            pauses.pause().await;
        }
        Err(Failure::Unanswered(unanswered))
    }

    /// Repeats a call that changes nothing when repeated, for so long.
    pub(crate) async fn insist_for<T, C>(
        &self,
        patience: Duration,
        rpc: impl Fn(etcd_client::Client) -> C,
    ) -> Result<T, Failure>
    where
        C: Future<Output = Result<T, etcd_client::Error>>,
    {
        match time::timeout(patience, self.insist(rpc)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::Unanswered(format!("not for {patience:?}"))),
        }
    }
}

/// Waits between attempts: a little longer each time, and not as long as others do.
#[derive(Debug)]
pub(crate) struct Pauses(backon::ExponentialBackoff);

impl Pauses {
    pub(crate) fn new() -> Self {
        let pauses = backon::ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(10))
            .with_max_delay(LONGEST_PAUSE / 2)
            .without_max_times()
            .with_jitter();
        Self(pauses.build())
    }

    pub(crate) async fn pause(&mut self) {
        time::sleep(self.0.next().unwrap_or(LONGEST_PAUSE)).await;
    }
}

/// For requests about a whole line, whose answers may be large.
pub(crate) fn kv(client: &etcd_client::Client) -> etcd_client::KvClient {
    client.kv_client().max_decoding_message_size(LARGEST)
}

/// The same, for its changes.
pub(crate) fn watcher(client: &etcd_client::Client) -> etcd_client::WatchClient {
    client.watch_client().max_decoding_message_size(LARGEST)
}

#[cfg(test)]
mod tests {
    use crate::client::*;

    /// By tokio's time, which goes on in this test whenever all wait.
    #[tokio::test(start_paused = true)]
    async fn a_large_answer_gets_the_time_that_it_takes() {
        let second = Duration::from_secs(1);
        let nodes = vec!["http://127.0.0.1:1".to_owned()];
        let client = Client::new(nodes, ConnectOptions::new(), second);
        let answer = |_| async {
            time::sleep(second * 30).await;
            Ok("all of it")
        };
        assert_eq!(client.insist_on_all(None, answer).await.unwrap(), "all of it");
        let other = client.insist_for(second * 1000, answer).await;
        assert!(matches!(other, Err(Failure::Unanswered(_))), "{other:?}");
    }
}
