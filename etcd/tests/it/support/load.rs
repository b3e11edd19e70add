//! Tasks that acquire, say so in etcd, and release.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{Client, Compare, CompareOp, Txn, TxnOp};
use semafair_etcd::{DistributedSemaphore, Error, Permit};
use tokio::task::JoinSet;
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::cluster::Cluster;

/// Writes what clients believe, by connections of its own.
pub(crate) struct Log {
    clients: Vec<Client>,
}

impl Log {
    pub(crate) async fn new(endpoints: &[String]) -> Arc<Self> {
        let mut clients = Vec::new();
        for endpoint in endpoints {
            clients.push(Client::connect([endpoint], None).await.expect("it needs no answer"));
        }
        Arc::new(Self { clients })
    }

    /// A key that is written once, however often it is tried.
    async fn write(&self, key: String) {
        let txn = Txn::new()
            .when([Compare::create_revision(key.as_str(), CompareOp::Equal, 0)])
            .and_then([TxnOp::put(key, "", None)]);
        let mut client = fastrand::usize(..self.clients.len());
        loop {
            let mut kv = self.clients[client].kv_client();
            let attempt = time::timeout(Duration::from_millis(500), kv.txn(txn.clone()));
            if matches!(attempt.await, Ok(Ok(_))) {
                return;
            }
            client = (client + 1) % self.clients.len();
            time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn got(&self, permit: &Permit) {
        self.write(format!("log/{}/got", permit.fence())).await;
    }

    pub(crate) async fn done(&self, permit: &Permit) {
        self.write(format!("log/{}/done", permit.fence())).await;
    }
}

/// What came of all acquires of a load.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Granted, and held to the end.
    pub(crate) kept: usize,
    /// Granted, and lost.
    pub(crate) lost: usize,
    /// Refused while it waited, since the lease was lost.
    pub(crate) refused: usize,
}

/// Tasks that go on until they are told to end.
pub(crate) struct Load {
    tasks: JoinSet<Tally>,
    stop: CancellationToken,
}

impl Load {
    /// Starts so many tasks on each semaphore, with requests of up to so many permits.
    pub(crate) async fn start(
        cluster: &Cluster,
        semaphores: &[DistributedSemaphore],
        tasks: usize,
        weight: u32,
    ) -> Self {
        let log = Log::new(&cluster.endpoints()).await;
        let stop = CancellationToken::new();
        let mut set = JoinSet::new();
        for semaphore in semaphores {
            for _ in 0..tasks {
                set.spawn(work(semaphore.clone(), Arc::clone(&log), stop.clone(), weight));
            }
        }
        Self { tasks: set, stop }
    }

    /// Lets them go on for so long.
    pub(crate) async fn goes_on(&self, time: Duration) {
        time::sleep(time).await;
    }

    /// Waits until all have what they last asked for, or were refused.
    pub(crate) async fn end(mut self) -> Tally {
        self.stop.cancel();
        let mut all = Tally::default();
        while let Some(one) = self.tasks.join_next().await {
            let one = one.expect("no task panics");
            all.kept += one.kept;
            all.lost += one.lost;
            all.refused += one.refused;
        }
        println!("{all:?}");
        all
    }
}

async fn work(
    semaphore: DistributedSemaphore,
    log: Arc<Log>,
    stop: CancellationToken,
    weight: u32,
) -> Tally {
    let mut tally = Tally::default();
    while !stop.is_cancelled() {
        let permit = match semaphore.acquire_many(fastrand::u32(1..=weight)).await {
            Ok(permit) => permit,
            Err(Error::Lost) => {
                tally.refused += 1;
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        let use_it = async {
            log.got(&permit).await;
            time::sleep(Duration::from_millis(fastrand::u64(0..10))).await;
            log.done(&permit).await;
        };
        let kept = tokio::select! {
            biased;
            () = permit.lost() => false,
            () = use_it => true,
        };
        tally.kept += usize::from(kept);
        tally.lost += usize::from(!kept);
        if fastrand::bool() {
            drop(permit);
        } else if let Err(error) = permit.release().await {
            assert!(matches!(error, Error::Lost), "{error}");
        }
    }
    tally
}
