//! The public contract.

use std::fmt;
use std::sync::Arc;

use tokio::time;

use crate::client::Failure;
use crate::error::Error;
use crate::permit::Permit;
use crate::place::Place;
use crate::queue::Queue;
use crate::requests;
use crate::session::Session;
use crate::status::Status;

/// A semaphore that a whole fleet of processes shares, by its name.
///
/// Cheap to clone. The clones, and all that one session opens by the same name, are one: they share a watch.
///
/// # Fairness
///
/// First in, first out over the whole fleet, in the order in which etcd has created the requests. A request for many
/// permits is not overtaken by requests for fewer: those behind it wait until it was granted. Two calls of one
/// process that run at the same time may reach etcd in either order.
///
/// # Cancel safety
///
/// Dropping the future of an acquire gives up the place in the line. That takes effect in the background; whoever is
/// behind it waits until then.
///
/// # Limits
///
/// A limit and a request are from 1 to `u32::MAX` permits. Each process that uses a semaphore sees each request for it
/// and each release, in the whole fleet.
///
/// # Examples
///
/// ```no_run
/// # async fn call_the_api(fence: i64) {}
/// # async fn run() -> Result<(), semafair_etcd::Error> {
/// use semafair_etcd::{DistributedSemaphore, Options, Session};
///
/// let session = Session::connect(Options::new(["http://127.0.0.1:2379"])).await?;
/// // At most ten at a time, in all processes together.
/// let api = DistributedSemaphore::open(&session, "api", 10).await?;
///
/// let permit = api.acquire().await?;
/// tokio::select! {
///     () = permit.lost() => {} // stop: others may have the permit now
///     () = call_the_api(permit.fence()) => permit.release().await?,
/// }
/// session.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct DistributedSemaphore {
    queue: Arc<Queue>,
    session: Session,
}

impl fmt::Debug for DistributedSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DistributedSemaphore")
            .field("name", &self.name())
            .field("limit", &self.limit())
            .field("available", &self.available())
            .finish_non_exhaustive()
    }
}

impl DistributedSemaphore {
    /// Opens a semaphore, and creates it if there is none of this name.
    ///
    /// A name has 1 to 128 bytes: letters and digits of ASCII and `-_.:@`.
    ///
    /// # Errors
    ///
    /// - `InvalidName`, `ZeroLimit`: nothing was sent.
    /// - `OtherLimit`: it exists, with another limit. [`set_limit`](Self::set_limit) changes that.
    /// - `NotFound`: it was removed in the same moment.
    /// - `Unavailable`, `Refused`: etcd did not answer, or refused. It may have been created.
    /// - `Closed`: the session was closed.
    pub async fn open(session: &Session, name: &str, permits: u32) -> Result<Self, Error> {
        let keys = session.keys(name)?;
        if permits == 0 {
            return Err(Error::ZeroLimit);
        }
        let shared = session.shared();
        if shared.closing.is_cancelled() {
            return Err(Error::Closed);
        }
        let call = |client| requests::create(client, &keys, permits);
        let found = shared.client.insist_for(shared.patience, call).await?;
        if found != permits {
            let name = name.to_owned();
            return Err(Error::OtherLimit { name, expected: permits, found });
        }
        Self::open_existing(session, name).await
    }

    /// Opens a semaphore that exists, whatever its limit.
    ///
    /// # Errors
    ///
    /// - `InvalidName`: nothing was sent.
    /// - `NotFound`: there is no semaphore of this name.
    /// - `Unavailable`, `Refused`: etcd did not answer, or refused.
    /// - `Closed`: the session was closed.
    pub async fn open_existing(session: &Session, name: &str) -> Result<Self, Error> {
        let keys = session.keys(name)?;
        let shared = session.shared();
        if shared.closing.is_cancelled() {
            return Err(Error::Closed);
        }
        let call = |client| requests::limit(client, &keys);
        let Some(limit) = shared.client.insist_for(shared.patience, call).await? else {
            return Err(Error::NotFound { name: name.to_owned() });
        };
        let queue = session.queue(keys).await?;
        let semaphore = Self { queue, session: session.clone() };
        semaphore.catch_up(limit.revision).await?;
        Ok(semaphore)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.queue.keys().name()
    }

    /// Waits for one permit. See [`acquire_many`](Self::acquire_many).
    ///
    /// # Errors
    ///
    /// As `acquire_many`.
    pub async fn acquire(&self) -> Result<Permit, Error> {
        self.acquire_many(1).await
    }

    /// Waits for permits, all at once.
    ///
    /// Any number of tasks may call it at the same time: a session sends 64 requests at a time, and the others after them.
    /// While the session has no lease, it waits for one. Then it takes a place at the end of the line; while etcd gives
    /// no answer it goes on asking for it, until the lease is lost. To wait costs etcd nothing.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the place is given up, and permits that it may just have got are released.
    ///
    /// # Errors
    ///
    /// - `ZeroPermits`: at once.
    /// - `OverLimit`: at once, by the limit as far as this process has seen it; or when it falls below what is waited for.
    /// - `Lost`: the lease was lost, and the place with it. Acquire again to wait at the end of the line.
    /// - `Closed`: the session was closed.
    /// - `NotFound`: the semaphore was removed.
    /// - `Refused`: etcd does not let this user write, or its database is full; or it lets the user read the line no more,
    ///   so that nothing would tell of a grant.
    pub async fn acquire_many(&self, permits: u32) -> Result<Permit, Error> {
        self.take(permits, true).await
    }

    /// Takes one permit if one is free and nobody waits. See [`try_acquire_many`](Self::try_acquire_many).
    ///
    /// # Errors
    ///
    /// As `try_acquire_many`.
    pub async fn try_acquire(&self) -> Result<Permit, Error> {
        self.try_acquire_many(1).await
    }

    /// Takes permits if they are free and nobody waits. It waits for etcd's answer, but for no other request.
    ///
    /// Another try that comes to nothing is in the line for a moment, and counts as one that waits.
    ///
    /// # Cancel safety
    ///
    /// As `acquire_many`.
    ///
    /// # Errors
    ///
    /// `NoPermits`, those of `acquire_many`, and `Unavailable`: etcd did not answer.
    pub async fn try_acquire_many(&self, permits: u32) -> Result<Permit, Error> {
        self.queue.admit(permits)?;
        // A request that comes to nothing is two events for each process. So look first; and do not trust what
        // may be old.
        if !self.queue.has_room(permits) {
            let call = |client| requests::snapshot(client, self.queue.keys());
            let shared = self.session.shared();
            let now = self
                .patiently(async { Ok(shared.client.insist_in_turn(&shared.asked, call).await?) })
                .await?;
            let is_short = |limit| now.demand() + u64::from(permits) > u64::from(limit);
            if now.limit.is_some_and(is_short) {
                return Err(Error::NoPermits);
            }
        }
        self.take(permits, false).await
    }

    async fn take(&self, permits: u32, waits: bool) -> Result<Permit, Error> {
        let place = Place::take(self.session.shared(), &self.queue, permits, waits).await?;
        Ok(Permit::new(place, self.session.clone()))
    }

    /// Sets the limit, for the whole fleet, from now on.
    ///
    /// Where more permits are out than the new limit, they stay out: nobody is granted any until enough of them came
    /// back. Whoever waits for more than the new limit gets [`Error::OverLimit`].
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the limit may or may not have been set.
    ///
    /// # Errors
    ///
    /// - `ZeroLimit`: nothing was sent.
    /// - `NotFound`: the semaphore was removed.
    /// - `Unavailable`, `Refused`: etcd did not answer, or refused. It may have been set.
    /// - `Closed`: the session was closed.
    pub async fn set_limit(&self, permits: u32) -> Result<(), Error> {
        if permits == 0 {
            return Err(Error::ZeroLimit);
        }
        let shared = self.session.shared();
        let set = async {
            loop {
                let call = |client| requests::limit(client, self.queue.keys());
                let Some(found) = shared.client.insist(call).await? else {
                    return Err(self.queue.not_found());
                };
                if found.permits == permits {
                    return Ok(found.revision);
                }
                // Two who set it at a time, or a lost answer: look again what came of it.
                let call = |client| {
                    requests::change_limit(client, self.queue.keys(), found.revision, permits)
                };
                match shared.client.call(call).await {
                    Ok(Some(revision)) => return Ok(revision),
                    Ok(None) | Err(Failure::Unanswered(_)) => {}
                    Err(failure) => return Err(failure.into()),
                }
            }
        };
        let revision = self.patiently(set).await?;
        self.catch_up(revision).await
    }

    /// Removes the semaphore from etcd, if nobody in the fleet holds permits of it or waits for some.
    ///
    /// Until then its limit stays there, whether or not a process uses it. Whoever has it open gets
    /// [`Error::NotFound`] from now on, until it is created again. A call of [`open`](Self::open) that had no answer may do that
    /// late: etcd may still get its request.
    ///
    /// # Errors
    ///
    /// - `InUse`: somebody holds permits, or waits. A permit that was dropped a moment ago may count.
    /// - `Unavailable`, `Refused`: etcd did not answer, or refused. It may have been removed.
    /// - `Closed`: the session was closed.
    pub async fn remove(&self) -> Result<(), Error> {
        let client = &self.session.shared().client;
        let remove = async {
            let mut refused = None;
            loop {
                let call = |client| requests::limit(client, self.queue.keys());
                // By somebody else, or by an attempt whose answer was lost.
                let Some(found) = client.insist(call).await? else { return Ok(()) };
                if refused == Some(found.created) {
                    return Err(Error::InUse { name: self.name().to_owned() });
                }
                let call = |client| requests::remove(client, self.queue.keys(), found.created);
                match client.call(call).await {
                    Ok(true) => return Ok(()),
                    // If it is still the same.
                    Ok(false) => refused = Some(found.created),
                    Err(Failure::Unanswered(_)) => {}
                    Err(failure) => return Err(failure.into()),
                }
            }
        };
        self.patiently(remove).await
    }

    /// How many permits nobody in the fleet holds, as far as this process has seen. Asks nobody.
    ///
    /// They may not be enough for whoever waits first.
    #[must_use]
    pub fn available(&self) -> u32 {
        self.queue.available()
    }

    /// How many permits there are, as far as this process has seen. `None`: the semaphore was removed.
    #[must_use]
    pub fn limit(&self) -> Option<u32> {
        self.queue.limit()
    }

    /// Who holds permits and who waits, in the whole fleet, as far as this process has seen. Asks nobody.
    ///
    /// All processes see the same, one sooner than another. There is one exception: after the limit was lowered, a
    /// process that did not watch at the time shows holders that are over the limit as waiters.
    #[must_use]
    pub fn status(&self) -> Status {
        self.queue.status()
    }

    /// Waits until this process has seen what etcd did up to that revision.
    async fn catch_up(&self, revision: i64) -> Result<(), Error> {
        self.patiently(async {
            self.queue.reach(revision).await;
            Ok(())
        })
        .await
    }

    async fn patiently<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let shared = self.session.shared();
        tokio::select! {
            biased;
            () = shared.closing.cancelled() => Err(Error::Closed),
            result = time::timeout(shared.patience, call) => match result {
                Ok(result) => result,
                Err(_) => Err(Error::Unavailable(format!("not for {:?}", shared.patience))),
            },
        }
    }
}
