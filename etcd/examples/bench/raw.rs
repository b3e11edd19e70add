//! etcd's client without a semaphore.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use etcd_client::{Client, Compare, CompareOp, KvClient, Txn, TxnOp};

use crate::Result;

/// The limit of all that is built on it.
#[derive(Clone)]
pub(crate) struct Raw {
    client: KvClient,
    next: Arc<AtomicU64>,
}

impl Raw {
    pub(crate) fn new(client: Client) -> Self {
        Self { client: client.kv_client(), next: Arc::default() }
    }

    /// Creates a key, and deletes it.
    pub(crate) async fn pair(&self) -> Result<()> {
        let mut client = self.client.clone();
        // ORDERING: Relaxed. The number is only to differ from all others.
        let key = format!("raw/{}", self.next.fetch_add(1, Ordering::Relaxed));
        client.put(key.as_str(), "1", None).await?;
        client.delete(key, None).await?;
        Ok(())
    }

    /// The same, but the key is only created if there is none: what a request needs at least.
    pub(crate) async fn checked_pair(&self) -> Result<()> {
        let mut client = self.client.clone();
        // ORDERING: Relaxed. The number is only to differ from all others.
        let key = format!("raw/{}", self.next.fetch_add(1, Ordering::Relaxed));
        let txn = Txn::new()
            .when([Compare::create_revision(key.as_str(), CompareOp::Equal, 0)])
            .and_then([TxnOp::put(key.as_str(), "1", None)]);
        client.txn(txn).await?;
        client.delete(key, None).await?;
        Ok(())
    }
}
