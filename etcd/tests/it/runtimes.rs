//! A session lives on the runtime that it was connected on, and is used from others.

use std::time::Duration;

use semafair_etcd::{Error, Options, Session};
use tokio::runtime::Builder;

use crate::support::cluster::Cluster;
use crate::support::proxy::Proxy;
use crate::support::{open, options, run};

/// Runs it to its end on a runtime of its own, which then ends, too.
async fn elsewhere<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let on_another = || {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime can be made").block_on(work)
    };
    tokio::task::spawn_blocking(on_another).await.expect("it does not panic")
}

/// The connections of the session are not of the runtime whose task was the first to need them.
#[test]
fn a_node_that_was_first_reached_from_another_runtime_stays_in_reach() {
    run(async {
        let cluster = Cluster::start(1).await;
        // The same node, in two ways.
        let proxy = Proxy::start(cluster.client_port(0)).await;
        let endpoints = [vec![proxy.endpoint()], cluster.endpoints()].concat();
        // With a long lifetime, so that the session itself needs the second way later.
        let options = Options::new(endpoints).ttl(Duration::from_secs(60));
        let session = Session::connect(options).await.unwrap();
        let semaphore = open(&session, 1).await;
        // The watch is in the first.
        semaphore.acquire().await.unwrap().release().await.unwrap();
        proxy.cut();
        let there = semaphore.clone();
        elsewhere(async move { there.acquire().await.unwrap().release().await.unwrap() }).await;
        semaphore.acquire().await.unwrap().release().await.unwrap();
    });
}

#[test]
fn a_session_whose_runtime_was_shut_down_says_that_etcd_still_has_its_keys() {
    run(async {
        let cluster = Cluster::start(1).await;
        let options = options(&cluster);
        let (session, permit) = elsewhere(async move {
            let session = Session::connect(options).await.unwrap();
            let permit = open(&session, 1).await.acquire().await.unwrap();
            (session, permit)
        })
        .await;
        assert!(permit.is_lost());
        permit.lost().await;
        assert!(matches!(permit.verify().await.unwrap_err(), Error::Closed));
        let error = session.close().await.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{error}");
        drop(permit);
        cluster.until_no_keys().await;
    });
}
