//! What is measured of any semaphore: of this crate's, and of one on Redis, in `../../redis`.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::Result;

/// How often one task acquires and releases.
pub(crate) const ROUNDS: usize = 1500;
pub(crate) const HAND_OFFS: usize = 1500;
/// How long a rate is measured.
pub(crate) const SPAN: Duration = Duration::from_secs(2);
pub(crate) const TASKS: [usize; 4] = [1, 4, 16, 64];
pub(crate) const WAITERS: usize = 100;

pub(crate) trait Semaphore: Clone + Send + Sync + 'static {
    type Permit: Send;

    fn acquire(&self) -> impl Future<Output = Result<Self::Permit>> + Send;

    /// Returns when the permit is back.
    fn release(permit: Self::Permit) -> impl Future<Output = Result<()>> + Send;

    fn pair(&self) -> impl Future<Output = Result<()>> + Send {
        async { Self::release(self.acquire().await?).await }
    }
}

/// Times of single operations.
pub(crate) struct Times(Vec<Duration>);

impl Times {
    fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// In microseconds: so many in a hundred are not longer.
    pub(crate) fn quantile(&self, percent: usize) -> u128 {
        let place = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
        self.0.get(place).copied().unwrap_or_default().as_micros()
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

/// How one permit went through many hands.
#[derive(Debug, Default)]
pub(crate) struct HandOffs {
    /// From each call that releases to when the next task runs with the permit.
    times: Vec<Duration>,
    /// How often a task got what it had just released.
    pub(crate) to_itself: usize,
    /// Who released last, and when.
    released: Option<(usize, Instant)>,
}

impl HandOffs {
    pub(crate) fn count(&self) -> usize {
        self.times.len()
    }

    pub(crate) fn times(&self) -> Times {
        Times::new(self.times.clone())
    }

    /// A task has the permit, and releases it at once.
    fn pass(&mut self, task: usize) {
        let now = Instant::now();
        if let Some((before, released)) = self.released {
            self.times.push(now - released);
            self.to_itself += usize::from(before == task);
        }
        self.released = Some((task, Instant::now()));
    }
}

/// Everyone acquires, releases at once, and waits again, so often at most; until there were so many grants. Returns
/// how many there were in a second, too.
pub(crate) async fn hand_offs<S: Semaphore>(
    waiters: Vec<S>,
    each: usize,
    count: usize,
) -> Result<(HandOffs, f64)> {
    let start = Instant::now();
    let all = Arc::new(Mutex::new(HandOffs::default()));
    let done = Arc::new(AtomicUsize::new(0));
    let mut set = JoinSet::new();
    for (task, semaphore) in waiters.into_iter().enumerate() {
        let (all, done) = (all.clone(), done.clone());
        set.spawn(async move {
            for _ in 0..each {
                // ORDERING: Relaxed. It is only a count.
                if done.fetch_add(1, Ordering::Relaxed) >= count {
                    break;
                }
                let permit = semaphore.acquire().await?;
                all.lock().unwrap_or_else(PoisonError::into_inner).pass(task);
                S::release(permit).await?;
            }
            Result::Ok(())
        });
    }
    while let Some(result) = set.join_next().await {
        result??;
    }
    let rate = count as f64 / start.elapsed().as_secs_f64();
    let all = std::mem::take(&mut *all.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((all, rate))
}
