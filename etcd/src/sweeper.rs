//! The task that deletes keys which nobody needs any more: released in the background, given up, orphaned.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::requests;
use crate::shared::Shared;

/// How many keys one transaction deletes. etcd allows 128 unless it is told otherwise.
const BATCH: usize = 64;

/// Deletes what it is told, until the session is over. The end of the lease deletes the rest.
pub(crate) async fn sweep(shared: Arc<Shared>, mut inbox: mpsc::UnboundedReceiver<String>) {
    let sweep = async {
        let mut keys = Vec::new();
        while inbox.recv_many(&mut keys, BATCH).await > 0 {
            keys.sort_unstable();
            keys.dedup();
            // What etcd refuses, it would refuse again: the key stays as long as the lease.
            let _refused = shared.client.insist(|client| requests::delete(client, &keys)).await;
            keys.clear();
        }
    };
    tokio::select! {
        biased;
        () = shared.closing.cancelled() => {}
        () = sweep => {}
    }
}
