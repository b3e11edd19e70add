//! etcd is away: when a session begins, for a part of a lifetime, and for a minute.

use std::time::Duration;

use semafair_etcd::{Error, Options, Session};
use tokio::time;

use crate::support::cluster::{Cluster, free_port};
use crate::support::history::History;
use crate::support::load::Load;
use crate::support::{TTL, asks, open, options, run, session, until_line};

#[test]
fn nobody_is_there_at_the_start() {
    run(async {
        let endpoint = format!("http://127.0.0.1:{}", free_port());
        let patience = Duration::from_secs(1);
        let nobody = Session::connect(Options::new([endpoint]).patience(patience)).await;
        let error = nobody.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{error}");
    });
}

#[test]
fn etcd_comes_after_the_session() {
    run(async {
        let mut cluster = Cluster::prepare(1).await;
        let connecting = tokio::spawn(Session::connect(options(&cluster)));
        time::sleep(TTL / 3).await;
        cluster.launch(0);
        let session = connecting.await.unwrap().unwrap();
        open(&session, 1).await.acquire().await.unwrap().release().await.unwrap();
    });
}

#[test]
fn etcd_is_away_for_a_third_of_a_lifetime() {
    run(async {
        let mut cluster = Cluster::start(1).await;
        // So that a slow start of etcd is no part of the question.
        let ttl = TTL * 4;
        let session = Session::connect(options(&cluster).ttl(ttl)).await.unwrap();
        let semaphore = open(&session, 1).await;
        let (id, held) = (session.id(), semaphore.acquire().await.unwrap());
        let waiting = asks(&semaphore);
        until_line(&semaphore, 1, 1).await;
        cluster.kill(0);
        // While it is away, a task asks for permits, and another gives up.
        let asks = asks(&semaphore);
        assert!(time::timeout(ttl / 4, semaphore.acquire()).await.is_err());
        cluster.launch(0);
        cluster.ready().await;
        held.verify().await.unwrap();
        assert_eq!((session.id(), held.is_lost()), (id, false));
        drop(held);
        waiting.await.unwrap().unwrap().release().await.unwrap();
        asks.await.unwrap().unwrap().release().await.unwrap();
        cluster.until_no_keys().await;
        let mut history = History::default();
        history.read(&cluster, 0).await;
        history.judge();
    });
}

/// Many lifetimes of two sessions, and less than one of a third.
#[test]
fn etcd_is_away_for_a_minute() {
    run(async {
        let minute = Duration::from_secs(60);
        let mut cluster = Cluster::start(1).await;
        let sessions = [session(&cluster).await, session(&cluster).await];
        let patient = Session::connect(options(&cluster).ttl(minute * 3)).await.unwrap();
        let semaphores = [open(&sessions[0], 4).await, open(&sessions[1], 4).await];
        let long = open(&patient, 4).await;
        let ids = [sessions[0].id(), sessions[1].id(), patient.id()];
        let (held, kept) = (semaphores[0].acquire().await.unwrap(), long.acquire().await.unwrap());
        let load = Load::start(&cluster, &semaphores, 4, 2).await;
        load.goes_on(TTL / 3).await;
        // One for whom there is no room; so all others wait behind it.
        let waiting = {
            let semaphore = semaphores[1].clone();
            tokio::spawn(async move { semaphore.acquire_many(4).await.map(drop) })
        };
        until_line(&long, 2, 9).await;
        let behind = asks(&long);
        until_line(&long, 2, 10).await;
        let place = long.status().waiters[9];
        cluster.kill(0);
        let end = time::Instant::now() + minute;
        held.lost().await;
        assert!(matches!(waiting.await.unwrap(), Err(Error::Lost)));
        // Whoever asks meanwhile waits for a lease.
        let late = semaphores.clone().map(|semaphore| {
            tokio::spawn(async move {
                let permit = semaphore.acquire().await.unwrap();
                assert!(!permit.is_lost());
                permit.release().await.unwrap();
            })
        });
        time::sleep_until(end).await;
        assert!(late.iter().all(|waiter| !waiter.is_finished()) && !behind.is_finished());
        assert!(sessions.iter().all(|session| session.id().is_none()));
        cluster.launch(0);
        cluster.ready().await;
        // The third session has what it had: its permit, and its place.
        let behind = behind.await.unwrap().unwrap();
        assert_eq!((behind.fence(), patient.id()), (place.revision, ids[2]));
        kept.verify().await.unwrap();
        // The others go on under new leases, and have nothing of what was lost.
        for waiter in late {
            waiter.await.unwrap();
        }
        assert!(held.is_lost());
        assert!(sessions.iter().all(|session| !ids.contains(&session.id())));
        load.goes_on(TTL / 3).await;
        let tally = load.end().await;
        assert!(tally.refused >= 8, "each task was refused once");
        behind.release().await.unwrap();
        kept.release().await.unwrap();
        cluster.until_no_keys().await;
        let mut history = History::default();
        history.read(&cluster, 0).await;
        let report = history.judge();
        assert!(report.most <= 4 && report.granted + report.late >= tally.kept);
    });
}

/// etcd comes back without its data, as it does with older data after it was restored from a backup: its revisions were
/// all seen before, and so are those of what is acquired then.
#[test]
fn etcd_goes_back() {
    run(async {
        let mut cluster = Cluster::start(1).await;
        let session = session(&cluster).await;
        let semaphore = open(&session, 1).await;
        for _ in 0..20 {
            semaphore.acquire().await.unwrap().release().await.unwrap();
        }
        let held = semaphore.acquire().await.unwrap();
        let waits = asks(&semaphore);
        until_line(&semaphore, 1, 1).await;
        let before = semaphore.status().revision;
        cluster.kill(0);
        cluster.wipe(0);
        cluster.launch(0);
        cluster.ready().await;
        held.lost().await;
        assert!(matches!(waits.await.unwrap(), Err(Error::Lost)));
        // Its watch may not have noticed yet.
        let permit = loop {
            let semaphore = open(&session, 1).await;
            match semaphore.acquire().await {
                Ok(permit) => break permit,
                Err(error) => {
                    assert!(matches!(error, Error::Lost | Error::NotFound { .. }), "{error}")
                }
            }
            time::sleep(Duration::from_millis(10)).await;
        };
        assert!(permit.fence() < before);
        let next = asks(&semaphore);
        until_line(&semaphore, 1, 1).await;
        permit.release().await.unwrap();
        next.await.unwrap().unwrap().release().await.unwrap();
    });
}

#[test]
fn a_session_is_closed_while_etcd_is_away() {
    run(async {
        let mut cluster = Cluster::start(1).await;
        let patience = Duration::from_secs(1);
        let session = Session::connect(options(&cluster).patience(patience)).await.unwrap();
        let semaphore = open(&session, 1).await;
        let permit = semaphore.acquire().await.unwrap();
        cluster.kill(0);
        let error = session.close().await.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{error}");
        assert!(permit.is_lost());
        // The lease was not revoked, so it expires.
        cluster.launch(0);
        cluster.until_no_keys().await;
    });
}
