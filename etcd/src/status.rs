//! What a semaphore looks like, over the whole fleet.

use crate::keys::SessionId;
use crate::mirror::Mirror;

/// A semaphore at one revision of etcd, as this process has seen it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The revision of the last change of the semaphore that this process has seen.
    pub revision: i64,
    /// How many permits there are. `None`: the semaphore was removed.
    pub limit: Option<u32>,
    /// How many permits nobody holds, as [`available`](crate::DistributedSemaphore::available) counts them.
    pub available: u32,
    /// Who holds permits, in the order of their grants. [`status`](crate::DistributedSemaphore::status) says when it may
    /// miss one.
    pub holders: Vec<Request>,
    /// Who waits for permits, in the order in which they will be granted.
    pub waiters: Vec<Request>,
}

/// One request of the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// Whose it is.
    pub session: SessionId,
    /// For how many permits.
    pub permits: u32,
    /// The revision at which etcd created it: its place in the order, and the fence of its permit.
    pub revision: i64,
}

impl Status {
    pub(crate) fn of(mirror: &Mirror) -> Self {
        let (mut holders, mut waiters) = (Vec::new(), Vec::new());
        for entry in mirror.entries() {
            let line = if entry.is_granted { &mut holders } else { &mut waiters };
            let (session, permits, revision) = (entry.id.session, entry.weight, entry.created);
            line.push(Request { session, permits, revision });
        }
        let available = available(mirror);
        Self { revision: mirror.revision(), limit: mirror.limit(), available, holders, waiters }
    }
}

pub(crate) fn available(mirror: &Mirror) -> u32 {
    let limit = u64::from(mirror.limit().unwrap_or_default());
    u32::try_from(limit.saturating_sub(mirror.granted())).unwrap_or(u32::MAX)
}
