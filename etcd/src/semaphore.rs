//! The public contract.

use std::fmt;
use std::sync::Arc;

use crate::client::Failure;
use crate::error::Error;
use crate::keys::Keys;
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
    /// # Cancel safety
    ///
    /// When the future is dropped, the semaphore may or may not have been created.
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
        let open = async {
            let call = |client| requests::create(client, &keys, permits);
            let found = shared.client.insist(call).await?;
            if found != permits {
                let name = name.to_owned();
                return Err(Error::OtherLimit { name, expected: permits, found });
            }
            Self::find(session, &keys).await
        };
        shared.patiently(open).await
    }

    /// Opens a semaphore that exists, whatever its limit.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing in etcd, and may be dropped and called again.
    ///
    /// # Errors
    ///
    /// - `InvalidName`: nothing was sent.
    /// - `NotFound`: there is no semaphore of this name.
    /// - `Unavailable`, `Refused`: etcd did not answer, or refused.
    /// - `Closed`: the session was closed.
    pub async fn open_existing(session: &Session, name: &str) -> Result<Self, Error> {
        let keys = session.keys(name)?;
        session.shared().patiently(Self::find(session, &keys)).await
    }

    /// One that exists, as it is now or later.
    async fn find(session: &Session, keys: &Keys) -> Result<Self, Error> {
        let call = |client| requests::limit(client, keys);
        let Some(limit) = session.shared().client.insist(call).await? else {
            return Err(Error::NotFound { name: keys.name().to_owned() });
        };
        let queue = session.queue(keys.clone()).await?;
        queue.reach(limit.revision).await;
        Ok(Self { queue, session: session.clone() })
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
    /// Any number of tasks may call it at the same time: a session asks for 64 places at a time, and for the others after them.
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
    /// - `Lost`: the lease was lost, and the place with it. Acquire again to wait at the end of the line. (If the request had not
    ///   been sent yet, it is sent under the next lease instead.)
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
    /// Another try that comes to nothing is in the line for a moment, and counts as one that waits. It takes no longer than
    /// the session's [`patience`](crate::Options::patience).
    ///
    /// # Cancel safety
    ///
    /// As `acquire_many`.
    ///
    /// # Errors
    ///
    /// `NoPermits`, those of `acquire_many`, and `Unavailable`: etcd did not answer, or the session has no lease.
    pub async fn try_acquire_many(&self, permits: u32) -> Result<Permit, Error> {
        self.queue.admit(permits)?;
        let shared = self.session.shared();
        let take = async {
            // A request that comes to nothing is two events for each process. So look first; and do not trust what
            // may be old.
            if !self.queue.has_room(permits) {
                let call = |client| requests::snapshot(client, self.queue.keys());
                let now = shared.client.insist_on_all(Some(&shared.asked), call).await?;
                let is_short = |limit| now.demand() + u64::from(permits) > u64::from(limit);
                if now.limit.is_some_and(is_short) {
                    return Err(Error::NoPermits);
                }
            }
            self.take(permits, false).await
        };
        shared.patiently(take).await
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
    /// - `Unavailable`, `Refused`: etcd did not answer, or refused; or this user may not watch the line, so that this process
    ///   has not seen the change. It may have been set.
    /// - `Closed`: the session was closed.
    pub async fn set_limit(&self, permits: u32) -> Result<(), Error> {
        if permits == 0 {
            return Err(Error::ZeroLimit);
        }
        let shared = self.session.shared();
        let set = async {
            let revision = loop {
                let call = |client| requests::limit(client, self.queue.keys());
                let Some(found) = shared.client.insist(call).await? else {
                    return Err(self.queue.not_found());
                };
                if found.permits == permits {
                    break found.revision;
                }
                // Two who set it at a time, or a lost answer: look again what came of it.
                let call = |client| {
                    requests::change_limit(client, self.queue.keys(), found.revision, permits)
                };
                match shared.client.call(call).await {
                    Ok(Some(revision)) => break revision,
                    Ok(None) | Err(Failure::Unanswered(_)) => {}
                    Err(failure) => return Err(failure.into()),
                }
            };
            self.queue.reach(revision).await;
            Ok(())
        };
        shared.patiently(set).await
    }

    /// Removes the semaphore from etcd, if nobody in the fleet holds permits of it or waits for some.
    ///
    /// Until then its limit stays there, whether or not a process uses it. Whoever has it open gets
    /// [`Error::NotFound`] from now on, until it is created again. A call of [`open`](Self::open) that had no answer may do that
    /// late: etcd may still get its request.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the semaphore may or may not have been removed.
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
        self.session.shared().patiently(remove).await
    }

    /// How many permits nobody in the fleet holds, as far as this process has seen. Asks nobody.
    ///
    /// They may not be enough for whoever waits first. And there may be fewer: see [`status`](Self::status) for holders
    /// that it does not count.
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
    /// All processes see the same, one sooner than another. There is one exception. A process may miss a change of the limit:
    /// it opened the semaphore later, or was cut off for so long that etcd has thrown the events away. Then it shows who was
    /// granted by a limit that was higher as a waiter, until enough permits have come back. It is granted no permit too many by that.
    #[must_use]
    pub fn status(&self) -> Status {
        self.queue.status()
    }
}
