//! The task that keeps the session's lease alive, and gets another when it is lost.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{Client, Error};
use tokio::task::JoinSet;
use tokio::time;

use crate::client::{self, Failure, Pauses};
use crate::clock;
use crate::keys::SessionId;
use crate::lease::Lease;
use crate::shared::Shared;

/// A new lease. The one whose answer is lost has no keys, and expires.
pub(crate) async fn grant(mut client: Client, ttl: Duration) -> Result<Lease, Error> {
    let sent = clock::now();
    let seconds = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
    let answer = client.lease_grant(seconds, None).await?;
    // etcd may have made it longer.
    let lifetime = Duration::from_secs(u64::try_from(answer.ttl()).unwrap_or_default());
    Ok(Lease::new(SessionId(answer.id()), lifetime, sent))
}

async fn revoke(mut client: Client, id: SessionId) -> Result<(), Error> {
    client.lease_revoke(id.0).await.map(drop)
}

/// Revokes a lease, and all keys with it.
async fn revoke_for(
    shared: Arc<Shared>,
    lease: Arc<Lease>,
    patience: Duration,
) -> Result<(), Failure> {
    let call = |client| revoke(client, lease.id());
    match shared.client.insist_for(patience, call).await {
        Ok(()) | Err(Failure::NoLease) => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// Leases that are over here, and that etcd may have for longer: their keys would block others.
type Revokes = JoinSet<Result<(), Failure>>;

/// Ends everything when the task does, however that comes about: the runtime may be shut down.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.closing.cancel();
        if let Some(lease) = self.0.lease.send_replace(None) {
            lease.end();
        }
    }
}

/// Keeps a lease until the session is over. Returns whether etcd has deleted all that the session had.
pub(crate) async fn keep(shared: Arc<Shared>, ttl: Duration) -> Result<(), Failure> {
    let _end = End(Arc::clone(&shared));
    let mut revokes = Revokes::new();
    let mut result = tokio::select! {
        biased;
        () = shared.closing.cancelled() => Ok(()),
        refused = renew_for_ever(&shared, ttl, &mut revokes) => Err(refused),
    };
    shared.closing.cancel();
    if let Some(lease) = shared.lease.send_replace(None) {
        lease.end();
        revokes.spawn(revoke_for(Arc::clone(&shared), lease, shared.patience));
    }
    let all = async {
        while let Some(revoked) = revokes.join_next().await {
            let revoked =
                revoked.unwrap_or_else(|panic| Err(Failure::Unanswered(panic.to_string())));
            result = result.and(revoked);
        }
        result
    };
    let in_time = time::timeout(shared.patience, all).await;
    in_time.unwrap_or_else(|_| Err(Failure::Unanswered(format!("not for {:?}", shared.patience))))
}

/// Returns only if etcd refuses to give a lease.
async fn renew_for_ever(shared: &Arc<Shared>, ttl: Duration, revokes: &mut Revokes) -> Failure {
    loop {
        let lease = shared.lease.borrow().clone();
        if let Some(lease) = lease {
            tokio::select! {
                () = lease.ended() => {}
                () = lease.expired() => {}
                () = renew(shared, &lease) => {}
            }
            // New places are not attached to it from here on; then all that it has is lost.
            shared.lease.send_replace(None);
            lease.end();
            while revokes.try_join_next().is_some() {}
            revokes.spawn(revoke_for(Arc::clone(shared), lease, ttl * 3));
        }
        match shared.client.insist(|client| grant(client, ttl)).await {
            Ok(lease) => drop(shared.lease.send_replace(Some(Arc::new(lease)))),
            Err(refused) => return refused,
        }
    }
}

/// Renews a lease until etcd does not know it any more.
async fn renew(shared: &Shared, lease: &Lease) {
    let mut pauses = Pauses::new();
    loop {
        match try_renew(&shared.client, lease).await {
            Ok(()) => {
                pauses = Pauses::new();
                time::sleep(lease.lifetime() / 3).await;
            }
            Err(Failure::NoLease) => return,
            // The clock decides how often that may happen.
            Err(_) => pauses.pause().await,
        }
    }
}

async fn try_renew(client: &client::Client, lease: &Lease) -> Result<(), Failure> {
    let sent = clock::now();
    let call =
        |mut client: Client| async move { client.lease_keep_alive(lease.id().0).await.map(drop) };
    client.call(call).await?;
    lease.renew(sent);
    Ok(())
}

#[cfg(test)]
mod tests;
