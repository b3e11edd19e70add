//! The session of a process: one connection, one lease, one watch.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio_util::task::TaskTracker;

use crate::client::{Client, Failure};
use crate::error::Error;
use crate::keeper;
use crate::keys::{Keys, SessionId};
use crate::options::Options;
use crate::queue::Queue;
use crate::requests;
use crate::shared::{Follow, Inboxes, Shared};
use crate::sweeper;
use crate::watcher;

/// The share of one process in all semaphores of the fleet. Cheap to clone: all clones are the same session.
///
/// It keeps a lease in etcd. Whatever is acquired through the session hangs on that lease, and is deleted by etcd
/// when the process does not renew it for its lifetime: because it crashed, stands still, or cannot reach etcd.
///
/// # A lost lease
///
/// All permits of the session are lost at once, and all who wait get [`Error::Lost`]. Nothing is acquired again
/// by itself. The session gets a new lease as soon as etcd answers, and goes on under another [`SessionId`];
/// calls to acquire that come meanwhile wait for it. If etcd refuses a new lease, since its database is full for example,
/// the session ends.
///
/// # The end
///
/// The session ends with [`close`](Session::close), or in the background when the last clone of it, of its semaphores
/// and its permits has been dropped. Its lease is revoked then, and its tasks end. They run on the runtime on which
/// [`connect`](Session::connect) was called; when that is shut down, the session is closed, and etcd deletes its keys
/// after the lifetime of the lease.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    namespace: String,
    tasks: TaskTracker,
    /// Whether the lease was revoked, once that has been tried.
    end: Arc<OnceLock<Result<(), String>>>,
    queues: Mutex<HashMap<String, Weak<Queue>>>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.closing.cancel();
    }
}

impl Session {
    /// Connects to etcd, and gets a lease.
    ///
    /// # Errors
    ///
    /// - `InvalidOptions`: the options cannot work; nothing was sent.
    /// - `Unavailable`: etcd did not answer for as long as [`Options::patience`] says.
    /// - `Refused`: etcd does not let this user in, for example.
    ///
    /// # Panics
    ///
    /// Panics if it is not called on a tokio runtime with timers and I/O.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), semafair_etcd::Error> {
    /// use semafair_etcd::{Options, Session};
    ///
    /// let session = Session::connect(Options::new(["http://127.0.0.1:2379"])).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(options: Options) -> Result<Self, Error> {
        options.check()?;
        let Options { endpoints, ttl, namespace, patience, connection } = options;
        // The failure of an attempt is to leave time for others, on other nodes, before the lease is lost.
        let timeout = (ttl / 5).min(Duration::from_secs(2));
        let client = Client::new(endpoints, connection, timeout);
        let lease = client.insist_for(patience, |client| keeper::grant(client, ttl)).await?;
        let (shared, Inboxes { follow, sweep }) = Shared::new(client, patience, lease);
        let shared = Arc::new(shared);
        let (tasks, end) = (TaskTracker::new(), Arc::new(OnceLock::new()));
        let told = Arc::clone(&end);
        let keeper = keeper::keep(Arc::clone(&shared), ttl);
        let keeper = async move {
            let result = keeper.await.map_err(|failure: Failure| Error::from(failure).to_string());
            told.get_or_init(|| result);
        };
        // None can go on without the others: should one panic, the session is closed.
        tasks.spawn(until_closed(&shared, keeper));
        tasks.spawn(until_closed(&shared, watcher::watch(Arc::clone(&shared), follow)));
        tasks.spawn(until_closed(&shared, sweeper::sweep(Arc::clone(&shared), sweep)));
        tasks.close();
        let queues = Mutex::default();
        Ok(Self { inner: Arc::new(Inner { shared, namespace, tasks, end, queues }) })
    }

    /// What the session is called in a [`Status`](crate::Status): its lease. `None` while it has none, and after
    /// its end. It changes when the lease is lost.
    #[must_use]
    pub fn id(&self) -> Option<SessionId> {
        self.inner.shared.id()
    }

    /// Ends the session, for all clones, and waits until etcd has deleted its keys.
    ///
    /// Permits of the session are lost, and all who wait get [`Error::Closed`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped after it was polled, the session ends all the same.
    ///
    /// # Errors
    ///
    /// `Unavailable`: the session has ended here; in etcd it ends after the lifetime of its lease. etcd did not answer or
    /// refused, or the runtime of the session was shut down.
    pub async fn close(&self) -> Result<(), Error> {
        self.inner.shared.closing.cancel();
        self.inner.tasks.wait().await;
        match self.inner.end.get() {
            Some(Ok(())) => Ok(()),
            Some(Err(text)) => Err(Error::Unavailable(text.clone())),
            None => Err(Error::Unavailable("the runtime of the session was shut down".to_owned())),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    pub(crate) fn keys(&self, name: &str) -> Result<Keys, Error> {
        Keys::new(&self.inner.namespace, name)
    }

    /// The line of a semaphore: the one that this session has, or another. It goes on asking until etcd answers.
    pub(crate) async fn queue(&self, keys: Keys) -> Result<Arc<Queue>, Error> {
        let find = |queues: &HashMap<String, Weak<Queue>>| queues.get(keys.name())?.upgrade();
        if let Some(queue) = find(&self.queues()) {
            return Ok(queue);
        }
        let (shared, name) = (self.shared(), keys.name().to_owned());
        let call = |client| requests::snapshot(client, &keys);
        let snapshot = shared.client.insist_on_all(None, call).await?;
        let mut queues = self.queues();
        // Somebody else may have been faster.
        if let Some(queue) = find(&queues) {
            return Ok(queue);
        }
        queues.retain(|_, queue| queue.strong_count() > 0);
        let queue = Arc::new(Queue::new(keys, snapshot));
        queues.insert(name, Arc::downgrade(&queue));
        shared.follow(Follow::WhileUsed(Arc::downgrade(&queue)));
        Ok(queue)
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<String, Weak<Queue>>> {
        self.inner.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task with whose end, however it comes about, the session ends.
fn until_closed<T: Future<Output = ()>>(
    shared: &Shared,
    task: T,
) -> impl Future<Output = ()> + use<T> {
    let end = shared.closing.clone().drop_guard();
    async move {
        task.await;
        drop(end);
    }
}

#[cfg(test)]
mod tests;
