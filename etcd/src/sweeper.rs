//! The task that deletes keys which nobody needs any more: released in the background, given up, orphaned.

use std::slice;
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
            let delete =
                async |keys| shared.client.insist(|client| requests::delete(client, keys)).await;
            if delete(&keys[..]).await.is_err() && keys.len() > 1 {
                // One that is refused is not to keep the others; or etcd allows fewer at a time.
                for key in &keys {
                    // What etcd refuses, it would refuse again: the key stays as long as the lease.
                    let _refused = delete(slice::from_ref(key)).await;
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
