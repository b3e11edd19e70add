//! What is measured.

use std::future::Future;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use etcd_client::{Client, Compare, CompareOp, KvClient, Txn, TxnOp};
use semafair_etcd::DistributedSemaphore;
use tokio::task::JoinSet;

use crate::Result;

/// Times of single operations.
pub(crate) struct Times(Vec<Duration>);

impl Times {
    fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// In microseconds: so many in a hundred are not longer.
    pub(crate) fn quantile(&self, percent: usize) -> u128 {
        let place = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
        self.0.get(place).copied().unwrap_or_default().as_micros()
    }
}

/// etcd's client without a semaphore: the limit of all that is built on it.
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

/// One task, one operation after the other; the first tenth does not count.
pub(crate) async fn latencies(
    rounds: usize,
    operation: impl AsyncFn() -> Result<()>,
) -> Result<Times> {
    let mut times = Vec::with_capacity(rounds);
    for round in 0..rounds + rounds / 10 {
        let start = Instant::now();
        operation().await?;
        if round >= rounds / 10 {
            times.push(start.elapsed());
        }
    }
    Ok(Times::new(times))
}

/// How many operations so many tasks do in a second.
pub(crate) async fn rate<F>(
    tasks: usize,
    span: Duration,
    operation: impl Fn() -> F + Clone + Send + 'static,
) -> Result<f64>
where
    F: Future<Output = Result<()>> + Send,
{
    let start = Instant::now();
    let mut set = JoinSet::new();
    for _ in 0..tasks {
        let operation = operation.clone();
        set.spawn(async move {
            let mut count = 0_u32;
            while start.elapsed() < span {
                operation().await?;
                count += 1;
            }
            Result::Ok(count)
        });
    }
    let mut all = 0;
    while let Some(count) = set.join_next().await {
        all += count??;
    }
    Ok(f64::from(all) / start.elapsed().as_secs_f64())
}

/// Everyone acquires, releases at once, and waits again. The time of a hand-off is from the call that releases to when
/// the next task runs with its permit; and how many there are in a second.
pub(crate) async fn hand_offs(
    waiters: Vec<DistributedSemaphore>,
    count: usize,
) -> Result<(Times, f64)> {
    let start = Instant::now();
    let released = Arc::new(Mutex::new(None::<Instant>));
    let times = Arc::new(Mutex::new(Vec::with_capacity(count)));
    let done = Arc::new(AtomicUsize::new(0));
    let mut set = JoinSet::new();
    for semaphore in waiters {
        let (released, times, done) = (released.clone(), times.clone(), done.clone());
        set.spawn(async move {
            // ORDERING: Relaxed. It is only a count.
            while done.fetch_add(1, Ordering::Relaxed) < count {
                let permit = semaphore.acquire().await?;
                let now = Instant::now();
                {
                    let mut released = released.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(before) = released.replace(Instant::now()) {
                        let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
                        times.push(now - before);
                    }
                }
                permit.release().await?;
            }
            Result::Ok(())
        });
    }
    while let Some(result) = set.join_next().await {
        result??;
    }
    let rate = count as f64 / start.elapsed().as_secs_f64();
    let times = std::mem::take(&mut *times.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((Times::new(times), rate))
}
