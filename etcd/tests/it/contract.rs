//! What the docs say, where nothing fails.

use std::pin::pin;
use std::time::Duration;

use etcd_client::DeleteOptions;
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use semafair_etcd::{DistributedSemaphore, Error, Options, Session};
use tokio::time;

use crate::support::cluster::Cluster;
use crate::support::history::History;
use crate::support::load::Load;
use crate::support::proxy::Proxy;
use crate::support::{TTL, asks, open, options, run, session, until, until_line};

#[test]
fn a_load_of_two_sessions() {
    run(async {
        let cluster = Cluster::start(1).await;
        let sessions = [session(&cluster).await, session(&cluster).await];
        let semaphores = [open(&sessions[0], 3).await, open(&sessions[1], 3).await];
        let load = Load::start(&cluster, &semaphores, 8, 3).await;
        load.goes_on(Duration::from_secs(2)).await;
        let tally = load.end().await;
        cluster.until_no_keys().await;
        let mut history = History::default();
        history.read(&cluster, 0).await;
        let report = history.judge();
        assert_eq!((tally.lost, tally.refused, report.late), (0, 0, 0));
        assert_eq!((report.joined, report.granted), (tally.kept, tally.kept));
        assert_eq!(report.most, 3);
    });
}

#[test]
fn what_cannot_be_is_refused_at_once() {
    run(async {
        let cluster = Cluster::start(1).await;
        let session = session(&cluster).await;
        let semaphore = open(&session, 3).await;
        let name = "no slash/please";
        let opened = DistributedSemaphore::open(&session, name, 3).await;
        assert!(matches!(opened.unwrap_err(), Error::InvalidName { .. }));
        let opened = DistributedSemaphore::open(&session, "api", 0).await;
        assert!(matches!(opened.unwrap_err(), Error::ZeroLimit));
        let opened = DistributedSemaphore::open(&session, "api", 4).await;
        assert!(matches!(opened.unwrap_err(), Error::OtherLimit { expected: 4, found: 3, .. }));
        let opened = DistributedSemaphore::open_existing(&session, "other").await;
        assert!(matches!(opened.unwrap_err(), Error::NotFound { .. }));
        assert_eq!(
            DistributedSemaphore::open_existing(&session, "api").await.unwrap().name(),
            "api"
        );
        // Though another has all permits.
        let all = semaphore.acquire_many(3).await.unwrap();
        let over = semaphore.acquire_many(4).await.unwrap_err();
        assert!(matches!(over, Error::OverLimit { requested: 4, limit: 3 }), "{over}");
        let none = semaphore.acquire_many(0).await.unwrap_err();
        assert!(matches!(none, Error::ZeroPermits), "{none}");
        assert!(matches!(semaphore.set_limit(0).await.unwrap_err(), Error::ZeroLimit));
        assert!(matches!(semaphore.remove().await.unwrap_err(), Error::InUse { .. }));
        all.release().await.unwrap();
        // What is no limit, and no address.
        let bad = Session::connect(options(&cluster).ttl(Duration::ZERO)).await;
        assert!(matches!(bad.unwrap_err(), Error::InvalidOptions(_)));
        let bad = Session::connect(Options::new(["localhost"])).await;
        assert!(matches!(bad.unwrap_err(), Error::InvalidOptions(_)));
    });
}

#[test]
fn trying_takes_what_is_free_and_leaves_nothing() {
    run(async {
        let cluster = Cluster::start(1).await;
        let sessions = [session(&cluster).await, session(&cluster).await];
        let (mine, theirs) = (open(&sessions[0], 2).await, open(&sessions[1], 2).await);
        let one = mine.try_acquire().await.unwrap();
        assert!(matches!(theirs.try_acquire_many(2).await.unwrap_err(), Error::NoPermits));
        let other = theirs.try_acquire().await.unwrap();
        assert!(matches!(mine.try_acquire().await.unwrap_err(), Error::NoPermits));
        assert!(one.fence() < other.fence());
        // What is known to be free elsewhere is free here, too, though this process may not have seen it.
        for _ in 0..50 {
            other_way(&mine, &theirs).await;
        }
        drop((one, other));
        cluster.until_no_keys().await;
    });

    async fn other_way(mine: &DistributedSemaphore, theirs: &DistributedSemaphore) {
        until(async || mine.available() == 0 && theirs.available() == 0).await;
        assert!(matches!(mine.try_acquire().await.unwrap_err(), Error::NoPermits));
    }
}

#[test]
fn a_confirmed_release_is_seen_by_the_next_try_of_another() {
    run(async {
        let cluster = Cluster::start(1).await;
        let sessions = [session(&cluster).await, session(&cluster).await];
        let semaphores = [open(&sessions[0], 1).await, open(&sessions[1], 1).await];
        for round in 0..100 {
            let permit = semaphores[round % 2].try_acquire().await.expect("it was released");
            permit.release().await.unwrap();
        }
    });
}

/// Somebody else deletes the keys, and the watch has perhaps not said so yet.
#[test]
fn a_release_of_what_was_gone_already_says_so() {
    run(async {
        let cluster = Cluster::start(1).await;
        let session = session(&cluster).await;
        let semaphore = open(&session, 1).await;
        let mut client = cluster.client(0).await;
        for _ in 0..50 {
            let permit = semaphore.acquire().await.unwrap();
            let all = DeleteOptions::new().with_prefix();
            client.delete("semafair/api/line/", Some(all)).await.unwrap();
            let released = permit.release().await;
            assert!(matches!(released, Err(Error::Lost)), "{released:?}");
        }
    });
}

#[test]
fn silence_is_borne_as_long_as_the_patience_lasts_and_the_session() {
    run(async {
        let cluster = Cluster::start(1).await;
        let proxy = Proxy::start(cluster.client_port(0)).await;
        let options = |patience| Options::new([proxy.endpoint()]).ttl(TTL * 20).patience(patience);
        let hasty = Session::connect(options(Duration::from_secs(1))).await.unwrap();
        let patient = Session::connect(options(Duration::from_secs(600))).await.unwrap();
        let semaphore = open(&hasty, 1).await;
        proxy.cut();
        // One is free, by all that is known here.
        let tried = semaphore.try_acquire().await;
        assert!(matches!(tried, Err(Error::Unavailable(_))), "{tried:?}");
        let opened = DistributedSemaphore::open(&hasty, "other", 1).await;
        assert!(matches!(opened, Err(Error::Unavailable(_))), "{opened:?}");
        let mut opens = pin!(DistributedSemaphore::open(&patient, "other", 1));
        assert!(futures::poll!(&mut opens).is_pending());
        let closing = patient.clone();
        let closes = tokio::spawn(async move { closing.close().await });
        let opened = opens.await;
        assert!(matches!(opened, Err(Error::Closed)), "{opened:?}");
        proxy.heal();
        closes.await.unwrap().unwrap();
    });
}

#[test]
fn the_line_is_the_same_for_all() {
    run(async {
        let cluster = Cluster::start(1).await;
        let sessions = [session(&cluster).await, session(&cluster).await];
        let (mine, theirs) = (open(&sessions[0], 3).await, open(&sessions[1], 3).await);
        let two = mine.acquire_many(2).await.unwrap();
        // It waits for two, and keeps one from those behind it.
        let (heavy, light) = (theirs.clone(), mine.clone());
        let heavy = tokio::spawn(async move { heavy.acquire_many(2).await });
        until_line(&mine, 1, 1).await;
        let light = tokio::spawn(async move { light.acquire().await });
        until_line(&mine, 1, 2).await;
        until_line(&theirs, 1, 2).await;
        let status = mine.status();
        assert_eq!(status, theirs.status());
        assert_eq!((status.limit, status.available), (Some(3), 1));
        let of = |requests: &[semafair_etcd::Request]| {
            requests.iter().map(|r| (r.session, r.permits)).collect::<Vec<_>>()
        };
        let (me, them) = (sessions[0].id().unwrap(), sessions[1].id().unwrap());
        assert_eq!(of(&status.holders), [(me, 2)]);
        assert_eq!(of(&status.waiters), [(them, 2), (me, 1)]);
        assert!(matches!(mine.try_acquire().await.unwrap_err(), Error::NoPermits));
        two.release().await.unwrap();
        let heavy = heavy.await.unwrap().unwrap();
        let light = light.await.unwrap().unwrap();
        assert_eq!((heavy.permits(), light.permits()), (2, 1));
        assert!(heavy.fence() < light.fence());
        assert_eq!(heavy.fence(), status.waiters[0].revision);
        heavy.verify().await.unwrap();
    });
}

#[test]
fn a_limit_goes_up_and_down() {
    run(async {
        let cluster = Cluster::start(1).await;
        let sessions = [session(&cluster).await, session(&cluster).await];
        let (mine, theirs) = (open(&sessions[0], 1).await, open(&sessions[1], 1).await);
        let first = mine.acquire().await.unwrap();
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let semaphore = theirs.clone();
                tokio::spawn(async move { semaphore.acquire().await })
            })
            .collect();
        until_line(&mine, 1, 3).await;
        mine.set_limit(3).await.unwrap();
        until_line(&theirs, 3, 1).await;
        // They stay out, and whoever waits for more than there is now is refused.
        let three = {
            let semaphore = mine.clone();
            tokio::spawn(async move { semaphore.acquire_many(3).await })
        };
        until_line(&mine, 3, 2).await;
        theirs.set_limit(2).await.unwrap();
        let error = three.await.unwrap().unwrap_err();
        assert!(matches!(error, Error::OverLimit { requested: 3, limit: 2 }), "{error}");
        until_line(&mine, 3, 1).await;
        assert_eq!((mine.available(), mine.limit(), theirs.limit()), (0, Some(2), Some(2)));
        first.release().await.unwrap();
        until_line(&mine, 2, 1).await;
        // In whatever order etcd has them.
        let mut waiting: FuturesUnordered<_> = waiting.into_iter().collect();
        while let Some(permit) = waiting.next().await {
            permit.unwrap().unwrap().release().await.unwrap();
        }
        // An open with the old limit is told.
        let opened = DistributedSemaphore::open(&sessions[0], "api", 1).await;
        assert!(matches!(opened.unwrap_err(), Error::OtherLimit { found: 2, .. }));
        mine.remove().await.unwrap();
        until(async || theirs.limit().is_none()).await;
        assert!(matches!(theirs.acquire().await.unwrap_err(), Error::NotFound { .. }));
        assert!(matches!(theirs.set_limit(1).await.unwrap_err(), Error::NotFound { .. }));
        assert_eq!(cluster.keys("semafair/").await, 0);
        // And created anew.
        open(&sessions[0], 7).await;
        until(async || theirs.limit() == Some(7)).await;
        theirs.acquire_many(7).await.unwrap().release().await.unwrap();
    });
}

/// All but one of them find that it is gone.
#[test]
fn several_remove_it_at_the_same_time() {
    run(async {
        let cluster = Cluster::start(1).await;
        let sessions = [session(&cluster).await, session(&cluster).await];
        for _ in 0..20 {
            let semaphores = [open(&sessions[0], 1).await, open(&sessions[1], 1).await];
            let removed = join_all(semaphores.iter().map(DistributedSemaphore::remove)).await;
            removed.into_iter().for_each(|removed| removed.unwrap());
            assert_eq!(cluster.keys("semafair/").await, 0);
        }
    });
}

#[test]
fn many_semaphores_of_one_session() {
    run(async {
        let cluster = Cluster::start(1).await;
        let session = session(&cluster).await;
        let names: Vec<_> = (0..20).map(|n| format!("number{n}")).collect();
        let opened = names.iter().map(|name| DistributedSemaphore::open(&session, name, 1));
        let semaphores = join_all(opened).await;
        let work = semaphores.into_iter().map(|semaphore| {
            let semaphore = semaphore.unwrap();
            let session = &session;
            async move {
                // The same line, by another handle.
                let again = DistributedSemaphore::open(session, semaphore.name(), 1).await.unwrap();
                let permit = semaphore.acquire().await.unwrap();
                assert!(matches!(again.try_acquire().await, Err(Error::NoPermits)));
                let next = tokio::spawn(async move { again.acquire().await });
                until_line(&semaphore, 1, 1).await;
                drop(permit);
                next.await.unwrap().unwrap().release().await.unwrap();
            }
        });
        join_all(work).await;
        // One that was dropped is opened anew.
        let again = DistributedSemaphore::open(&session, "number7", 1).await.unwrap();
        again.acquire().await.unwrap().release().await.unwrap();
        until(async || cluster.keys("semafair/").await == names.len()).await;
    });
}

#[test]
fn closing_refuses_waiters_and_deletes_all_keys() {
    run(async {
        let cluster = Cluster::start(1).await;
        let sessions = [session(&cluster).await, session(&cluster).await];
        let (mine, theirs) = (open(&sessions[0], 1).await, open(&sessions[1], 1).await);
        let permit = mine.acquire().await.unwrap();
        let waiting = asks(&mine);
        until_line(&mine, 1, 1).await;
        let next = tokio::spawn(async move { theirs.acquire().await });
        until_line(&mine, 1, 2).await;
        assert!(!permit.is_lost());
        sessions[0].close().await.unwrap();
        assert!(permit.is_lost());
        permit.lost().await;
        assert!(matches!(permit.verify().await.unwrap_err(), Error::Closed));
        assert!(matches!(permit.release().await.unwrap_err(), Error::Closed));
        assert!(matches!(waiting.await.unwrap().unwrap_err(), Error::Closed));
        assert!(matches!(mine.acquire().await.unwrap_err(), Error::Closed));
        assert!(matches!(mine.try_acquire().await.unwrap_err(), Error::Closed));
        assert!(matches!(mine.set_limit(2).await.unwrap_err(), Error::Closed));
        let opened = DistributedSemaphore::open(&sessions[0], "api", 1).await;
        assert!(matches!(opened.unwrap_err(), Error::Closed));
        assert_eq!(sessions[0].id(), None);
        sessions[0].clone().close().await.unwrap();
        // The other session has what was released.
        next.await.unwrap().unwrap().release().await.unwrap();
    });
}

/// Its lease is over here, and etcd has it for longer, with all its keys.
#[test]
fn closing_waits_for_the_keys_of_a_lease_that_was_lost() {
    run(async {
        let cluster = Cluster::start(1).await;
        let proxy = Proxy::start(cluster.client_port(0)).await;
        let options = Options::new([proxy.endpoint()]).ttl(TTL).patience(TTL / 6);
        let cut = Session::connect(options).await.unwrap();
        let permit = open(&cut, 1).await.acquire().await.unwrap();
        proxy.cut();
        until(async || cut.id().is_none()).await;
        let error = cut.close().await.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{error}");
        assert!(permit.is_lost());
        cluster.until_no_keys().await;
    });
}

#[test]
fn a_session_ends_with_the_last_thing_that_needs_it() {
    run(async {
        let cluster = Cluster::start(1).await;
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let before = tasks();
        let session = session(&cluster).await;
        let semaphore = open(&session, 1).await;
        drop(session);
        let permit = semaphore.acquire().await.unwrap();
        drop(semaphore);
        // The permit keeps the session, and its lease, alive.
        time::sleep(TTL * 3 / 2).await;
        permit.verify().await.unwrap();
        drop(permit);
        until(async || tasks() <= before).await;
        cluster.until_no_leases().await;
        cluster.until_no_keys().await;
    });
}

/// More than etcd answers in the time of one attempt: they wait for each other, and the lease for none of them.
#[test]
fn thousands_ask_at_the_same_time() {
    run(async {
        let cluster = Cluster::start(1).await;
        let session = session(&cluster).await;
        let semaphore = open(&session, 1000).await;
        let id = session.id();
        let tasks: Vec<_> = (0..6000)
            .map(|_| {
                let semaphore = semaphore.clone();
                tokio::spawn(async move { semaphore.acquire().await?.release().await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert_eq!(session.id(), id);
    });
}

#[test]
fn a_cancelled_request_gives_up_its_place() {
    run(async {
        let cluster = Cluster::start(1).await;
        let session = session(&cluster).await;
        let semaphore = open(&session, 1).await;
        let first = semaphore.acquire().await.unwrap();
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let semaphore = semaphore.clone();
                tokio::spawn(async move { semaphore.acquire().await })
            })
            .collect();
        until_line(&semaphore, 1, 3).await;
        tasks[1].abort();
        until_line(&semaphore, 1, 2).await;
        drop(first);
        let mut tasks: FuturesUnordered<_> = tasks.into_iter().collect();
        while let Some(permit) = tasks.next().await {
            match permit {
                Ok(permit) => permit.unwrap().release().await.unwrap(),
                Err(cancelled) => assert!(cancelled.is_cancelled()),
            }
        }
        // Wherever its request is just then.
        for n in 0..100 {
            let wait = time::timeout(Duration::from_micros(20 * n), semaphore.acquire());
            drop(wait.await);
        }
        cluster.until_no_keys().await;
        semaphore.acquire().await.unwrap().release().await.unwrap();
    });
}
