//! Faults of nodes and of connections. In all of them etcd's own history is judged.
//!
//! Times are in lifetimes of the lease (`TTL`): what matters is whether a fault is longer than one.

use std::time::Duration;

use rustix::process::{Signal, kill_process};
use semafair_etcd::{DistributedSemaphore, Error, Options, Session};
use tokio::time;

use crate::support::cluster::Cluster;
use crate::support::history::{History, Report};
use crate::support::load::{Load, Log, Tally};
use crate::support::proxy::Proxy;
use crate::support::{TTL, asks, open, run, session, until, until_line};
use crate::worker::Worker;

/// Two processes' worth of tasks, with requests of one to three permits, of three.
async fn load(cluster: &Cluster) -> (Vec<Session>, Load) {
    let mut sessions = Vec::new();
    let mut semaphores = Vec::new();
    for first in 0..2 {
        // Each begins with another node.
        let mut endpoints = cluster.endpoints();
        endpoints.rotate_left(first);
        let session =
            Session::connect(Options::new(endpoints).ttl(TTL)).await.expect("it is there");
        semaphores.push(open(&session, 3).await);
        sessions.push(session);
    }
    let load = Load::start(cluster, &semaphores, 5, 3).await;
    (sessions, load)
}

/// Waits for the end of a load, and judges what etcd has seen.
async fn judge(cluster: &Cluster, load: Load, node: usize) -> (Tally, Report) {
    let tally = load.end().await;
    cluster.until_no_keys().await;
    let mut history = History::default();
    history.read(cluster, node).await;
    let report = history.judge();
    assert!(report.most <= 3);
    assert!(report.granted + report.late >= tally.kept, "each one that was kept had said so");
    (tally, report)
}

#[test]
fn the_leader_is_killed_twice() {
    run(async {
        let mut cluster = Cluster::start(3).await;
        let (_sessions, load) = load(&cluster).await;
        for _ in 0..2 {
            load.goes_on(TTL / 2).await;
            let leader = cluster.leader().await;
            cluster.kill(leader);
            load.goes_on(TTL).await;
            cluster.launch(leader);
            cluster.ready().await;
        }
        load.goes_on(TTL / 2).await;
        let (tally, report) = judge(&cluster, load, 0).await;
        assert!(report.granted > 20, "{report}");
        println!("leases lost: {} permits, {} waiters", tally.lost, tally.refused);
    });
}

/// For one and a half lifetimes.
async fn stopped(cluster: &Cluster, node: usize) {
    let (_sessions, load) = load(cluster).await;
    load.goes_on(TTL / 2).await;
    cluster.stop(node);
    load.goes_on(TTL * 3 / 2).await;
    cluster.go_on(node);
    load.goes_on(TTL / 2).await;
    let (_, report) = judge(cluster, load, node).await;
    assert!(report.granted > 20, "{report}");
}

#[test]
fn the_leader_is_stopped_for_longer_than_the_lease() {
    run(async {
        let cluster = Cluster::start(3).await;
        stopped(&cluster, cluster.leader().await).await;
    });
}

#[test]
fn a_follower_is_stopped_for_longer_than_the_lease() {
    run(async {
        let cluster = Cluster::start(3).await;
        // One that a session goes to.
        let leader = cluster.leader().await;
        let follower = if leader == 0 { 1 } else { 0 };
        stopped(&cluster, follower).await;
    });
}

#[test]
fn the_leader_is_cut_off_from_the_others() {
    run(async {
        let cluster = Cluster::start(3).await;
        let (_sessions, load) = load(&cluster).await;
        load.goes_on(TTL / 2).await;
        let leader = cluster.leader().await;
        cluster.isolate(leader).await;
        load.goes_on(TTL * 3 / 2).await;
        assert_ne!(cluster.leader().await, leader);
        cluster.heal();
        load.goes_on(TTL / 2).await;
        let (_, report) = judge(&cluster, load, leader).await;
        assert!(report.granted > 20, "{report}");
    });
}

#[test]
fn a_session_is_cut_off_from_its_node_and_goes_to_another() {
    run(async {
        let cluster = Cluster::start(3).await;
        let proxy = Proxy::start(cluster.client_port(0)).await;
        let mut endpoints = cluster.endpoints();
        endpoints[0] = proxy.endpoint();
        let session = Session::connect(Options::new(endpoints).ttl(TTL)).await.unwrap();
        let other = crate::support::session(&cluster).await;
        let semaphores = [open(&session, 3).await, open(&other, 3).await];
        let id = session.id();
        let load = Load::start(&cluster, &semaphores, 5, 3).await;
        load.goes_on(TTL / 3).await;
        proxy.cut();
        load.goes_on(TTL * 2).await;
        proxy.heal();
        load.goes_on(TTL / 3).await;
        let (tally, _) = judge(&cluster, load, 0).await;
        // The other nodes have kept its lease alive.
        assert_eq!((session.id(), tally.lost, tally.refused), (id, 0, 0));
    });
}

#[test]
fn a_lease_expires_while_its_session_holds_and_waits() {
    run(async {
        let cluster = Cluster::start(1).await;
        let proxy = Proxy::start(cluster.client_port(0)).await;
        let cut = Session::connect(Options::new([proxy.endpoint()]).ttl(TTL)).await.unwrap();
        let other = session(&cluster).await;
        let (mine, theirs) = (open(&cut, 2).await, open(&other, 2).await);
        let log = Log::new(&cluster.endpoints()).await;
        let id = cut.id();
        let held = mine.acquire().await.unwrap();
        log.got(&held).await;
        let also = theirs.acquire().await.unwrap();
        let waiting: Vec<_> = (0..5)
            .map(|_| {
                let semaphore = mine.clone();
                tokio::spawn(async move { semaphore.acquire().await })
            })
            .collect();
        until_line(&theirs, 2, 5).await;
        let next = {
            let semaphore = theirs.clone();
            tokio::spawn(async move { semaphore.acquire_many(2).await })
        };
        until_line(&theirs, 2, 6).await;
        assert!(!held.is_lost());
        held.verify().await.unwrap();
        proxy.cut();
        // All is lost at once, and here sooner than there.
        held.lost().await;
        assert!(held.is_lost());
        let status = theirs.status();
        assert_eq!((status.holders.len(), status.waiters.len()), (2, 6), "etcd was sooner");
        for task in waiting {
            assert!(matches!(task.await.unwrap().unwrap_err(), Error::Lost));
        }
        assert!(matches!(held.verify().await.unwrap_err(), Error::Lost));
        // Its permits come back, and its waiters leave no hole.
        until_line(&theirs, 1, 1).await;
        also.release().await.unwrap();
        let next = next.await.unwrap().unwrap();
        log.got(&next).await;
        // Nothing was acquired again by itself, and what is lost stays lost.
        proxy.heal();
        let again = asks(&mine);
        until_line(&theirs, 1, 1).await;
        assert_ne!(cut.id(), id);
        assert!(held.is_lost());
        assert!(matches!(held.release().await.unwrap_err(), Error::Lost));
        next.release().await.unwrap();
        let again = again.await.unwrap().unwrap();
        log.got(&again).await;
        assert!(!again.is_lost());
        again.release().await.unwrap();
        cluster.until_no_keys().await;
        let mut history = History::default();
        history.read(&cluster, 0).await;
        assert_eq!(history.judge().late, 0);
    });
}

#[test]
fn a_lease_is_revoked_by_etcd() {
    run(async {
        let cluster = Cluster::start(1).await;
        let session = session(&cluster).await;
        let semaphore = open(&session, 1).await;
        let held = semaphore.acquire().await.unwrap();
        let waiting = asks(&semaphore);
        until_line(&semaphore, 1, 1).await;
        let mut client = cluster.client(0).await;
        let lease = i64::from_str_radix(&session.id().unwrap().to_string(), 16).unwrap();
        client.lease_revoke(lease).await.unwrap();
        // By the watch, which is sooner than the clock.
        held.lost().await;
        assert!(matches!(waiting.await.unwrap().unwrap_err(), Error::Lost));
        assert!(matches!(held.verify().await.unwrap_err(), Error::Lost));
        semaphore.acquire().await.unwrap().release().await.unwrap();
    });
}

#[test]
fn a_key_is_deleted_by_somebody() {
    run(async {
        let cluster = Cluster::start(1).await;
        let session = session(&cluster).await;
        let semaphore = open(&session, 2).await;
        let (one, other) = (semaphore.acquire().await.unwrap(), semaphore.acquire().await.unwrap());
        let mut client = cluster.client(0).await;
        let key = format!("semafair/api/line/{}/0", session.id().unwrap());
        assert_eq!(client.delete(key, None).await.unwrap().deleted(), 1);
        one.lost().await;
        assert!(one.is_lost() && !other.is_lost());
        other.verify().await.unwrap();
    });
}

#[test]
fn the_history_is_compacted_under_the_watch() {
    run(async {
        let cluster = Cluster::start(1).await;
        let proxy = Proxy::start(cluster.client_port(0)).await;
        let behind = Session::connect(Options::new([proxy.endpoint()]).ttl(TTL)).await.unwrap();
        let other = session(&cluster).await;
        let (mine, theirs) = (open(&behind, 3).await, open(&other, 3).await);
        let mut history = History::default();
        let held = theirs.acquire_many(3).await.unwrap();
        let waiting = asks(&mine);
        until_line(&theirs, 1, 1).await;
        let mut load = None;
        // It sees nothing for a third of its lifetime, and what it has missed is thrown away.
        for round in 0..3 {
            proxy.cut();
            let first = waiting.is_finished();
            if first {
                load = Some(Load::start(&cluster, std::slice::from_ref(&theirs), 4, 3).await);
                time::sleep(TTL / 6).await;
            } else {
                // Others come and go behind it.
                for _ in 0..20 {
                    let wait = time::timeout(Duration::from_millis(5), theirs.acquire());
                    assert!(wait.await.is_err());
                }
            }
            history.read(&cluster, 0).await;
            let mut client = cluster.client(0).await;
            let now = client.get("now", None).await.unwrap().header().unwrap().revision();
            client.compact(now, None).await.unwrap();
            proxy.reset();
            println!("round {round}: compacted up to {now}");
            mine.try_acquire().await.map_or_else(|_| (), drop);
            if let Some(load) = load.take() {
                load.end().await;
            }
        }
        held.release().await.unwrap();
        waiting.await.unwrap().unwrap().release().await.unwrap();
        cluster.until_no_keys().await;
        history.read(&cluster, 0).await;
        history.judge();
        // It sees what the other sees.
        until(async || mine.status().waiters.is_empty() && mine.available() == 3).await;
    });
}

#[test]
fn processes_are_killed_and_come_back() {
    run(async {
        let cluster = Cluster::start(1).await;
        let session = session(&cluster).await;
        let semaphore = open(&session, 3).await;
        let log = Log::new(&cluster.endpoints()).await;
        let start = |permits| Worker::start(&cluster.endpoints(), TTL, permits);
        let mut holder = start(2);
        holder.says("granted").await;
        let mut first = start(3);
        first.says("open").await;
        until_line(&semaphore, 1, 1).await;
        let mut second = start(1);
        second.says("open").await;
        until_line(&semaphore, 1, 2).await;
        // The first who waits dies and leaves no hole: the second has what is free.
        first.kill().await;
        second.says("granted").await;
        // The holder dies, and its permits come back.
        holder.kill().await;
        let two = semaphore.acquire_many(2).await.unwrap();
        log.got(&two).await;
        // It comes back as another, at the end of the line.
        let mut again = start(2);
        again.says("open").await;
        until_line(&semaphore, 2, 1).await;
        two.release().await.unwrap();
        again.says("granted").await;
        again.kill().await;
        second.kill().await;
        cluster.until_no_keys().await;
        let mut history = History::default();
        history.read(&cluster, 0).await;
        let report = history.judge();
        assert_eq!((report.joined, report.granted, report.late), (5, 4, 0));
    });
}

#[test]
fn a_process_stands_still_for_longer_than_its_lease() {
    run(async {
        let cluster = Cluster::start(1).await;
        let session = session(&cluster).await;
        let semaphore = open(&session, 3).await;
        let mut worker = Worker::start(&cluster.endpoints(), TTL, 3);
        worker.says("granted").await;
        kill_process(worker.id(), Signal::STOP).unwrap();
        let permit = semaphore.acquire().await.unwrap();
        kill_process(worker.id(), Signal::CONT).unwrap();
        // It knows as soon as it goes on.
        worker.says("lost").await;
        permit.release().await.unwrap();
        cluster.until_no_keys().await;
    });
}

#[test]
fn an_answer_is_lost_and_the_place_is_kept() {
    run(async {
        let cluster = Cluster::start(1).await;
        let proxy = Proxy::start(cluster.client_port(0)).await;
        let deaf = Session::connect(Options::new([proxy.endpoint()]).ttl(TTL)).await.unwrap();
        let other = session(&cluster).await;
        let (mine, theirs) = (open(&deaf, 1).await, open(&other, 1).await);
        let held = theirs.acquire().await.unwrap();
        // etcd hears the request, and its answer is thrown away.
        proxy.hold_answers();
        let waiting = asks(&mine);
        until_line(&theirs, 1, 1).await;
        let place = theirs.status().waiters[0];
        assert_eq!(Some(place.session), deaf.id());
        let last = asks(&theirs);
        until_line(&theirs, 1, 2).await;
        // The second attempt, after a fifth of the lifetime, finds what the first one made.
        time::sleep(TTL / 4).await;
        proxy.reset();
        held.release().await.unwrap();
        let permit = waiting.await.unwrap().unwrap();
        assert_eq!(permit.fence(), place.revision);
        permit.release().await.unwrap();
        last.await.unwrap().unwrap().release().await.unwrap();
        cluster.until_no_keys().await;
        let mut history = History::default();
        history.read(&cluster, 0).await;
        assert_eq!(history.judge().joined, 3);
    });
}

#[test]
fn a_thousand_who_wait_leave() {
    run(async {
        let cluster = Cluster::start(1).await;
        let sessions = [session(&cluster).await, session(&cluster).await];
        let semaphores: [DistributedSemaphore; 2] =
            [open(&sessions[0], 1).await, open(&sessions[1], 1).await];
        let held = semaphores[0].acquire().await.unwrap();
        let waiting: Vec<_> = (0..1000)
            .map(|n| {
                let semaphore = semaphores[n % 2].clone();
                tokio::spawn(async move { semaphore.acquire().await.map(drop) })
            })
            .collect();
        until_line(&semaphores[0], 1, 1000).await;
        let last = asks(&semaphores[1]);
        until_line(&semaphores[0], 1, 1001).await;
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
        until_line(&semaphores[0], 1, 1).await;
        held.release().await.unwrap();
        last.await.unwrap().unwrap().release().await.unwrap();
        cluster.until_no_keys().await;
        let mut history = History::default();
        history.read(&cluster, 0).await;
        assert_eq!(history.judge().joined, 1002);
    });
}

/// The watch of a process stands still while its requests are answered: it must not decide by what it saw before.
#[test]
fn a_watch_that_lags_grants_late_and_not_early() {
    run(async {
        let cluster = Cluster::start(1).await;
        // The same node, in two ways; the watch is in the first.
        let proxy = Proxy::start(cluster.client_port(0)).await;
        let endpoints = [vec![proxy.endpoint()], cluster.endpoints()].concat();
        let lags = Session::connect(Options::new(endpoints).ttl(TTL)).await.unwrap();
        let other = session(&cluster).await;
        let (mine, theirs) = (open(&lags, 1).await, open(&other, 1).await);
        let log = Log::new(&cluster.endpoints()).await;
        proxy.cut();
        let held = theirs.acquire().await.unwrap();
        log.got(&held).await;
        assert_eq!(mine.available(), 1, "it knows nothing of that");
        let waiting = {
            let (semaphore, log) = (mine.clone(), log.clone());
            tokio::spawn(async move {
                let permit = semaphore.acquire().await.unwrap();
                log.got(&permit).await;
                permit
            })
        };
        until_line(&theirs, 1, 1).await;
        // Until its watch has come back, and longer.
        time::sleep(TTL / 2).await;
        assert!(!waiting.is_finished());
        log.done(&held).await;
        held.release().await.unwrap();
        waiting.await.unwrap().release().await.unwrap();
        cluster.until_no_keys().await;
        let mut history = History::default();
        history.read(&cluster, 0).await;
        assert_eq!(history.judge().most, 1);
    });
}
