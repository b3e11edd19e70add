//! What the tasks of a session, its semaphores and its permits share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time;
use tokio_util::sync::CancellationToken;

use crate::client::{Client, Turns};
use crate::error::Error;
use crate::keys::{PlaceId, SessionId};
use crate::lease::Lease;
use crate::queue::Queue;

/// What the task that watches is told.
#[derive(Debug)]
pub(crate) enum Follow {
    /// Watch this line as long as somebody uses it.
    WhileUsed(Weak<Queue>),
    /// Watch it as long as the lease lives: a request whose answer was lost may still arrive.
    WhileLeased(Arc<Queue>, SessionId),
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) patience: Duration,
    /// Of those who ask for a place in a line.
    pub(crate) asking: Turns,
    /// Of those who have one, or only look: they do not wait behind those who ask.
    pub(crate) asked: Turns,
    /// The lease that new places are attached to. None: the last one is lost, and etcd has not given another yet.
    pub(crate) lease: watch::Sender<Option<Arc<Lease>>>,
    /// Cancelled when the session is over. All tasks end then.
    pub(crate) closing: CancellationToken,
    follow: mpsc::UnboundedSender<Follow>,
    sweep: mpsc::UnboundedSender<String>,
    next: AtomicU64,
}

/// Where the tasks get what they are told.
#[derive(Debug)]
pub(crate) struct Inboxes {
    pub(crate) follow: mpsc::UnboundedReceiver<Follow>,
    pub(crate) sweep: mpsc::UnboundedReceiver<String>,
}

impl Shared {
    pub(crate) fn new(client: Client, patience: Duration, lease: Lease) -> (Self, Inboxes) {
        let (follow, to_follow) = mpsc::unbounded_channel();
        let (sweep, to_sweep) = mpsc::unbounded_channel();
        let lease = watch::Sender::new(Some(Arc::new(lease)));
        let closing = CancellationToken::new();
        let next = AtomicU64::new(0);
        let (asking, asked) = (Turns::new(), Turns::new());
        let shared = Self { client, patience, asking, asked, lease, closing, follow, sweep, next };
        (shared, Inboxes { follow: to_follow, sweep: to_sweep })
    }

    /// The session's name at present.
    pub(crate) fn id(&self) -> Option<SessionId> {
        self.lease.borrow().as_ref().map(|lease| lease.id())
    }

    /// Waits for a lease that is not lost.
    ///
    /// # Errors
    ///
    /// `Closed`
    pub(crate) async fn live_lease(&self) -> Result<Arc<Lease>, Error> {
        let mut leases = self.lease.subscribe();
        let is_live = |lease: &Option<Arc<Lease>>| lease.as_ref().is_some_and(|l| !l.is_lost());
        tokio::select! {
            biased;
            () = self.closing.cancelled() => Err(Error::Closed),
            // Its sender is here; and the closure has seen that there is one.
            lease = leases.wait_for(is_live) => {
                lease.ok().and_then(|lease| lease.clone()).ok_or(Error::Closed)
            }
        }
    }

    /// Runs a call as long as the patience lasts, and the session.
    ///
    /// # Errors
    ///
    /// `Closed`, `Unavailable`, and those of the call
    pub(crate) async fn patiently<T>(
        &self,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            () = self.closing.cancelled() => Err(Error::Closed),
            result = time::timeout(self.patience, call) => match result {
                Ok(result) => result,
                Err(_) => Err(Error::Unavailable(format!("not for {:?}", self.patience))),
            },
        }
    }

    /// Why a lease is gone.
    pub(crate) fn loss(&self) -> Error {
        if self.closing.is_cancelled() { Error::Closed } else { Error::Lost }
    }

    /// A name for a place that none had before.
    pub(crate) fn next_place(&self, lease: &Lease) -> PlaceId {
        // ORDERING: Relaxed. The number is only to differ from all others.
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        PlaceId { session: lease.id(), number }
    }

    pub(crate) fn follow(&self, what: Follow) {
        // Once the session is over, nobody watches any more.
        let _over = self.follow.send(what);
    }

    /// Deletes a key in the background. May be called from any thread.
    pub(crate) fn sweep(&self, key: String) {
        // Once the session is over, the lease ends, and takes all keys along.
        let _over = self.sweep.send(key);
    }
}
