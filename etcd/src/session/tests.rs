//! The machine is suspended: nothing of a session has run, and its clock has moved. etcd, elsewhere, has gone on.

use std::thread;

use etcd_client::GetOptions;
use tokio::{runtime, time};

use crate::clock;
use crate::node::Node;
use crate::permit::Permit;
use crate::semaphore::DistributedSemaphore;
use crate::session::*;

const TTL: Duration = Duration::from_secs(10);

/// How long a test may take: a hang fails.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs a test, with all tasks of its sessions, on this thread: it has the clock that `suspend` moves.
fn run(test: impl Future<Output = ()>) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { time::timeout(LIMIT, test).await.expect("the test hangs") });
}

/// Suspends this machine for the lifetime of a lease, while something happens on another.
fn suspend(meanwhile: impl Future<Output = ()> + Send) {
    // This thread waits, so that none of its tasks runs.
    thread::scope(|scope| drop(scope.spawn(|| run(meanwhile))));
    clock::suspend(TTL);
}

async fn open(node: &Node, permits: u32) -> (Session, DistributedSemaphore) {
    println!("etcd runs, as process {}.", node.id());
    let options = Options::new([node.endpoint()]).ttl(TTL);
    let session = Session::connect(options).await.unwrap();
    let semaphore = DistributedSemaphore::open(&session, "api", permits).await.unwrap();
    (session, semaphore)
}

/// Ends a session, after which no key of it is left.
async fn close(node: &Node, session: &Session) {
    session.close().await.unwrap();
    let line = GetOptions::new().with_prefix();
    let left = node.client().await.get("semafair/api/line/", Some(line)).await.unwrap();
    assert_eq!(left.count(), 0);
}

#[test]
fn permits_are_lost_before_any_timer_fires() {
    run(async {
        let node = Node::start().await.unwrap();
        let (session, semaphore) = open(&node, 2).await;
        let id = session.id();
        let permits = [semaphore.acquire().await.unwrap(), semaphore.acquire().await.unwrap()];
        assert!(!permits.iter().any(Permit::is_lost));
        suspend(async {});
        assert!(permits.iter().all(Permit::is_lost));
        for permit in &permits {
            permit.lost().await;
            assert!(matches!(permit.verify().await, Err(Error::Lost)));
        }
        // etcd would have kept that lease for longer. But whoever acquires now gets nothing from it.
        let both = semaphore.acquire_many(2).await.unwrap();
        assert_ne!(session.id(), id);
        assert!(!both.is_lost() && permits.iter().all(Permit::is_lost));
        both.release().await.unwrap();
        for permit in permits {
            assert!(matches!(permit.release().await, Err(Error::Lost)));
        }
        close(&node, &session).await;
    });
}

#[test]
fn who_is_granted_after_the_lease_has_no_permit() {
    run(async {
        let node = Node::start().await.unwrap();
        let (session, semaphore) = open(&node, 1).await;
        let holder = "semafair/api/line/1/0";
        node.client().await.put(holder, "1", None).await.unwrap();
        let waiter = {
            let semaphore = semaphore.clone();
            tokio::spawn(async move { semaphore.acquire().await })
        };
        while semaphore.status().waiters.is_empty() {
            time::sleep(Duration::from_millis(10)).await;
        }
        // What grants it is here as soon as this machine goes on, and before any timer fires.
        suspend(async { drop(node.client().await.delete(holder, None).await.unwrap()) });
        assert!(matches!(waiter.await.unwrap(), Err(Error::Lost)));
        // It may ask anew, and waits for a lease that lives.
        let permit = semaphore.acquire().await.unwrap();
        assert!(!permit.is_lost());
        permit.release().await.unwrap();
        close(&node, &session).await;
    });
}
