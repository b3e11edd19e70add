//! What the tests share: clusters, proxies, a load, and the judge of what etcd saw of it.

pub(crate) mod cluster;
pub(crate) mod history;
pub(crate) mod load;
pub(crate) mod program;
pub(crate) mod proxy;

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use semafair_etcd::{DistributedSemaphore, Error, Options, Permit, Session};
use tokio::task::JoinHandle;
use tokio::time;

use cluster::Cluster;

/// The lease of most sessions. Short, so that the tests are; a machine that is busy may still renew it.
pub(crate) const TTL: Duration = Duration::from_secs(3);

/// How long a test may take. A hang fails: nothing here is measured by the clock.
const LIMIT: Duration = Duration::from_secs(120);

/// How many clusters run at a time.
static CLUSTERS: semafair::Semaphore = semafair::Semaphore::const_new(2);

/// Runs a test on a runtime of its own, when there is room for another cluster.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be made");
    runtime.block_on(async {
        let _room = CLUSTERS.acquire().await.expect("it is never closed");
        let mut test = pin!(test);
        let ended = time::timeout(LIMIT, test.as_mut()).await;
        // The test is still there, so that its clusters know that they are dropped by a panic.
        ended.expect("the test hangs");
    });
}

pub(crate) fn options(cluster: &Cluster) -> Options {
    Options::new(cluster.endpoints()).ttl(TTL)
}

pub(crate) async fn session(cluster: &Cluster) -> Session {
    Session::connect(options(cluster)).await.expect("etcd is there")
}

pub(crate) async fn open(session: &Session, permits: u32) -> DistributedSemaphore {
    DistributedSemaphore::open(session, "api", permits).await.expect("etcd is there")
}

/// A task that asks for one permit.
pub(crate) fn asks(semaphore: &DistributedSemaphore) -> JoinHandle<Result<Permit, Error>> {
    let semaphore = semaphore.clone();
    tokio::spawn(async move { semaphore.acquire().await })
}

/// Waits until something is so: the test hangs if it never is.
pub(crate) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    while !is_so().await {
        time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until a semaphore shows so many holders and waiters.
pub(crate) async fn until_line(semaphore: &DistributedSemaphore, holders: usize, waiters: usize) {
    until(async || {
        let status = semaphore.status();
        (status.holders.len(), status.waiters.len()) == (holders, waiters)
    })
    .await;
}
