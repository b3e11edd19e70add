//! The task that deletes keys which nobody needs any more: released in the background, given up, orphaned.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::requests;
use crate::shared::Shared;

/// How many keys one transaction deletes. etcd allows 128 unless it is told otherwise.
const BATCH: usize = 64;

/// Deletes what it is told, until the session is over. The end of the lease deletes the rest, whether it is revoked or
/// expires.
pub(crate) async fn sweep(shared: Arc<Shared>, mut inbox: mpsc::UnboundedReceiver<String>) {
    let sweep = async {
        let mut keys = Vec::new();
        while inbox.recv_many(&mut keys, BATCH).await > 0 {
            keys.sort_unstable();
            keys.dedup();
            let all = |client| requests::delete_all(client, &keys);
            // One key alone is the usual case, and for etcd less than a transaction.
            if keys.len() == 1 || shared.client.insist(all).await.is_err() {
                // One that is refused is not to keep the others; or etcd allows fewer at a time.
                for key in &keys {
                    let one = |client| requests::delete(client, key);
                    // What etcd refuses, it would refuse again: the key stays as long as the lease.
                    let _refused = shared.client.insist(one).await;
                }
            }
            keys.clear();
        }
    };
    tokio::select! {
        biased;
        () = shared.closing.cancelled() => {}
        () = sweep => {}
    }
}
