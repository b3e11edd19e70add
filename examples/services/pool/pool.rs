//! A pool of connections: a semaphore for how many there are, and a list of those that nobody uses.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use semafair::{AcquireError, OwnedSemaphorePermit, Semaphore, Status};
use tokio::time::timeout;

/// How connections are made, and how they are looked at.
pub(crate) trait Manager: Send + Sync + 'static {
    type Connection: Send + 'static;
    type Error: Send + 'static;

    fn connect(&self) -> impl Future<Output = Result<Self::Connection, Self::Error>> + Send;

    /// Says whether a connection still works, before it is used again.
    ///
    /// It should notice the late answer to a request that was cancelled, too.
    fn check(&self, connection: &mut Self::Connection) -> impl Future<Output = bool> + Send;
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// How many connections there may be.
    pub(crate) connections: usize,
    /// How many may wait for one.
    pub(crate) queue: usize,
    /// How long a [`Pool::get`] may take, with waiting, checking and connecting.
    pub(crate) get: Duration,
    /// How long a check may take: what takes longer is broken.
    pub(crate) check: Duration,
}

/// Connections that are made when they are needed, and used again. Its clones are the same pool.
///
/// Who asks first is served first. There are never more connections than the settings allow: each has a permit while
/// it is in use, and goes to the idle ones, or ends, before its permit goes back.
pub(crate) struct Pool<M: Manager>(Arc<Shared<M>>);

struct Shared<M: Manager> {
    manager: M,
    settings: Settings,
    permits: Arc<Semaphore>,
    /// Those that were used last are at the back. Nothing of a manager runs while it is locked.
    idle: Mutex<VecDeque<M::Connection>>,
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum PoolError<E> {
    /// The pool is closed, or too many wait already.
    Refused(AcquireError),
    /// It took longer than [`Settings::get`].
    TimedOut,
    /// No connection could be made.
    Connect(E),
}

impl<M: Manager> Pool<M> {
    pub(crate) fn new(manager: M, settings: Settings) -> Self {
        let permits = Semaphore::builder(settings.connections).queue_limit(settings.queue);
        let permits = Arc::new(permits.name("connections").build());
        Self(Arc::new(Shared { manager, settings, permits, idle: Mutex::default() }))
    }

    /// Waits for a connection that works.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the line. A connection that is just being checked or made is dropped,
    /// as nobody knows what state it is in; then its permit goes to the next.
    pub(crate) async fn get(&self) -> Result<Pooled<M>, PoolError<M::Error>> {
        match timeout(self.0.settings.get, self.get_slow()).await {
            Ok(result) => result,
            Err(_) => Err(PoolError::TimedOut),
        }
    }

    async fn get_slow(&self) -> Result<Pooled<M>, PoolError<M::Error>> {
        let shared = &self.0;
        // Dropped last, if this future is dropped.
        let permit = shared.permits.clone().acquire_owned().await.map_err(PoolError::Refused)?;
        while let Some(mut connection) = shared.take(VecDeque::pop_back) {
            if shared.works(&mut connection).await {
                return Ok(Pooled::new(connection, permit, shared.clone()));
            }
        }
        let connection = shared.manager.connect().await.map_err(PoolError::Connect)?;
        Ok(Pooled::new(connection, permit, shared.clone()))
    }

    /// Checks the connections that nobody uses, and drops those that are broken. A service calls it now and then.
    ///
    /// It stops where somebody waits for a connection: they check what they get.
    pub(crate) async fn check_idle(&self) {
        let shared = &self.0;
        // The list is not to be locked in the loop.
        let idle = shared.idle().len();
        for _ in 0..idle {
            let Ok(permit) = shared.permits.clone().try_acquire_owned() else { return };
            let Some(mut connection) = shared.take(VecDeque::pop_front) else { return };
            if shared.works(&mut connection).await {
                drop(Pooled::new(connection, permit, shared.clone()));
            }
        }
    }

    /// Gives out no more connections, and ends those that nobody uses. Who waits is refused.
    pub(crate) fn close(&self) {
        // In this order. A connection that comes back meanwhile sees that the pool is closed, or is in the list in time.
        self.0.permits.close();
        let ended = std::mem::take(&mut *self.0.idle());
        drop(ended);
    }

    /// Waits until the pool is closed, and all its connections have ended.
    pub(crate) async fn drained(&self) {
        self.0.permits.drained().await;
    }

    pub(crate) fn status(&self) -> Status {
        self.0.permits.status()
    }
}

impl<M: Manager> Clone for Pool<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: Manager> Shared<M> {
    fn idle(&self) -> MutexGuard<'_, VecDeque<M::Connection>> {
        // No step of it can leave it half done.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(
        &self,
        end: impl FnOnce(&mut VecDeque<M::Connection>) -> Option<M::Connection>,
    ) -> Option<M::Connection> {
        end(&mut self.idle())
    }

    async fn works(&self, connection: &mut M::Connection) -> bool {
        timeout(self.settings.check, self.manager.check(connection)).await.unwrap_or(false)
    }

    /// Keeps the connection for the next, or returns it for its end.
    fn put_back(&self, connection: M::Connection) -> Option<M::Connection> {
        let mut idle = self.idle();
        if self.permits.is_closed() {
            return Some(connection);
        }
        idle.push_back(connection);
        None
    }
}

/// A connection that goes back to its pool when it is dropped.
pub(crate) struct Pooled<M: Manager> {
    /// `None` once it was given back.
    connection: Option<M::Connection>,
    shared: Arc<Shared<M>>,
    /// Goes back after the connection, so that the next finds it.
    _permit: OwnedSemaphorePermit,
}

impl<M: Manager> Pooled<M> {
    fn new(
        connection: M::Connection,
        permit: OwnedSemaphorePermit,
        shared: Arc<Shared<M>>,
    ) -> Self {
        Self { connection: Some(connection), shared, _permit: permit }
    }

    /// Ends the connection, since it is broken. The next makes a new one.
    pub(crate) fn discard(mut self) {
        self.connection = None;
    }
}

impl<M: Manager> Deref for Pooled<M> {
    type Target = M::Connection;

    fn deref(&self) -> &M::Connection {
        self.connection.as_ref().expect("it is given back at the end only")
    }
}

impl<M: Manager> DerefMut for Pooled<M> {
    fn deref_mut(&mut self) -> &mut M::Connection {
        self.connection.as_mut().expect("it is given back at the end only")
    }
}

impl<M: Manager> Drop for Pooled<M> {
    fn drop(&mut self) {
        // A panic may have left a conversation half done.
        if thread::panicking() {
            return;
        }
        if let Some(connection) = self.connection.take() {
            drop(self.shared.put_back(connection));
        }
    }
}

impl<E: fmt::Display> fmt::Display for PoolError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => refused.fmt(f),
            Self::TimedOut => f.write_str("no connection in time"),
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> Error for PoolError<E> {}
