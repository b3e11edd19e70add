//! What went wrong in other distributed semaphores and locks, where it could go wrong here.

use std::time::Duration;

use etcd_client::PutOptions;
use tokio::time;

use semafair_etcd::{DistributedSemaphore, Error, Options, Session};

use crate::support::cluster::Cluster;
use crate::support::history::History;
use crate::support::proxy::Proxy;
use crate::support::{TTL, asks, open, run, session, until, until_line};

/// A request arrives after its task has left: its key would block the line for as long as the session lives
/// (CURATOR-315, CURATOR-462).
#[test]
fn a_request_that_arrives_late_is_swept() {
    run(async {
        let cluster = Cluster::start(1).await;
        let sessions = [session(&cluster).await, session(&cluster).await];
        let (mine, theirs) = (open(&sessions[0], 1).await, open(&sessions[1], 1).await);
        let lease = sessions[0].id().unwrap();
        let mut client = cluster.client(0).await;
        for number in 1000..1010 {
            let key = format!("semafair/api/line/{lease}/{number}");
            let id = i64::from_str_radix(&lease.to_string(), 16).unwrap();
            client.put(key, "1", Some(PutOptions::new().with_lease(id))).await.unwrap();
        }
        cluster.until_no_keys().await;
        theirs.acquire().await.unwrap().release().await.unwrap();
        mine.acquire().await.unwrap().release().await.unwrap();
    });
}

/// The same, while the process sees nothing, and after the events were thrown away.
#[test]
fn a_late_request_is_swept_after_a_compaction() {
    run(async {
        let cluster = Cluster::start(1).await;
        let proxy = Proxy::start(cluster.client_port(0)).await;
        let session =
            Session::connect(Options::new([proxy.endpoint()]).ttl(TTL * 2)).await.unwrap();
        let _semaphore = open(&session, 1).await;
        proxy.cut();
        let lease = session.id().unwrap();
        let id = i64::from_str_radix(&lease.to_string(), 16).unwrap();
        let mut client = cluster.client(0).await;
        let key = format!("semafair/api/line/{lease}/1000");
        client.put(key, "1", Some(PutOptions::new().with_lease(id))).await.unwrap();
        let now = client.put("now", "", None).await.unwrap().header().unwrap().revision();
        client.compact(now, None).await.unwrap();
        proxy.reset();
        cluster.until_no_keys().await;
    });
}

/// Its task leaves while etcd hears a request, and its answer is thrown away.
#[test]
fn a_request_whose_task_does_not_know_is_swept() {
    run(async {
        let cluster = Cluster::start(1).await;
        let proxy = Proxy::start(cluster.client_port(0)).await;
        let session =
            Session::connect(Options::new([proxy.endpoint()]).ttl(TTL * 2)).await.unwrap();
        let semaphore = open(&session, 1).await;
        for _ in 0..3 {
            proxy.hold_answers();
            let wait = time::timeout(Duration::from_millis(100), semaphore.acquire());
            assert!(wait.await.is_err());
            proxy.reset();
            cluster.until_no_keys().await;
        }
    });
}

/// A request is sent, its task leaves, its key is deleted for all cases; and only then does it arrive. Nobody has the
/// semaphore open any more, so that only the session is there to sweep.
#[test]
fn a_late_request_is_swept_though_nobody_uses_the_semaphore() {
    run(async {
        let cluster = Cluster::start(1).await;
        let proxy = Proxy::start(cluster.client_port(0)).await;
        let session =
            Session::connect(Options::new([proxy.endpoint()]).ttl(TTL * 2)).await.unwrap();
        let semaphore = open(&session, 1).await;
        let lease = session.id().unwrap();
        proxy.cut();
        let wait = time::timeout(Duration::from_millis(100), semaphore.acquire());
        assert!(wait.await.is_err());
        drop(semaphore);
        proxy.reset();
        // By now it has been deleted. What arrives is written by hand: the same key, with the same lease.
        let once_more = DistributedSemaphore::open(&session, "other", 1).await.unwrap();
        once_more.acquire().await.unwrap().release().await.unwrap();
        let mut client = cluster.client(0).await;
        let id = i64::from_str_radix(&lease.to_string(), 16).unwrap();
        let key = format!("semafair/api/line/{lease}/0");
        client.put(key, "1", Some(PutOptions::new().with_lease(id))).await.unwrap();
        cluster.until_no_keys().await;
        assert_eq!(session.id(), Some(lease), "the end of the lease has not done it");
    });
}

/// Permits did not come back after a crash (redisson#2045, #2213; CURATOR-595), or came twice.
#[test]
fn permits_come_back_once_after_a_crash() {
    run(async {
        let cluster = Cluster::start(1).await;
        let session = session(&cluster).await;
        let semaphore = open(&session, 3).await;
        for _ in 0..2 {
            let mut worker = crate::worker::Worker::start(&cluster.endpoints(), TTL, 2);
            worker.says("granted").await;
            worker.kill().await;
            let all = semaphore.acquire_many(3).await.unwrap();
            assert_eq!(semaphore.available(), 0);
            assert!(matches!(semaphore.try_acquire().await.unwrap_err(), Error::NoPermits));
            all.release().await.unwrap();
            until(async || semaphore.available() == 3).await;
        }
    });
}

/// A request for many starved behind a stream of requests for one (Hazelcast; redisson#3573, #3728).
#[test]
fn a_heavy_request_is_not_overtaken() {
    run(async {
        let cluster = Cluster::start(1).await;
        let sessions = [session(&cluster).await, session(&cluster).await];
        let (mine, theirs) = (open(&sessions[0], 4).await, open(&sessions[1], 4).await);
        let busy: Vec<_> = (0..8)
            .map(|_| {
                let semaphore = theirs.clone();
                tokio::spawn(async move {
                    loop {
                        let permit = semaphore.acquire().await.unwrap();
                        tokio::task::yield_now().await;
                        permit.release().await.unwrap();
                    }
                })
            })
            .collect();
        for _ in 0..20 {
            let all = mine.acquire_many(4).await.unwrap();
            let status = theirs.status();
            assert!(status.holders.iter().all(|holder| holder.revision <= all.fence()));
            all.release().await.unwrap();
        }
        busy.iter().for_each(tokio::task::JoinHandle::abort);
        cluster.until_no_keys().await;
        let mut history = History::default();
        history.read(&cluster, 0).await;
        history.judge();
    });
}

/// A waiter's own key was gone, and it waited for ever (python-etcd#181).
#[test]
fn a_waiter_whose_key_is_gone_is_told() {
    run(async {
        let cluster = Cluster::start(1).await;
        let session = session(&cluster).await;
        let semaphore = open(&session, 1).await;
        let held = semaphore.acquire().await.unwrap();
        let waiting = asks(&semaphore);
        until_line(&semaphore, 1, 1).await;
        let key = format!("semafair/api/line/{}/1", session.id().unwrap());
        let mut client = cluster.client(0).await;
        assert_eq!(client.delete(key, None).await.unwrap().deleted(), 1);
        assert!(matches!(waiting.await.unwrap().unwrap_err(), Error::Lost));
        held.release().await.unwrap();
    });
}

/// Keys of semaphores that nobody uses stayed (redisson#4100, #6302), and so did sessions (Hazelcast's clients).
#[test]
fn keys_and_leases_are_freed() {
    run(async {
        let cluster = Cluster::start(1).await;
        for round in 0..5 {
            let session = session(&cluster).await;
            let name = format!("job{round}");
            let semaphore = DistributedSemaphore::open(&session, &name, 1).await.unwrap();
            semaphore.acquire().await.unwrap().release().await.unwrap();
            semaphore.remove().await.unwrap();
        }
        cluster.until_no_leases().await;
        assert_eq!(cluster.keys("semafair/").await, 0);
    });
}
