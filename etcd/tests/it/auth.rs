//! A cluster that asks for a user and a password.

use etcd_client::{Client, GetOptions, Permission, RoleRevokePermissionOptions};
use semafair_etcd::{ConnectOptions, DistributedSemaphore, Error, Session};

use crate::support::cluster::Cluster;
use crate::support::{TTL, asks, open, options, run, until, until_line};

const USER: &str = "root";
const PASSWORD: &str = "secret";

fn user(name: &str) -> ConnectOptions {
    ConnectOptions::new().with_user(name, PASSWORD)
}

/// What lets a user read and write a semaphore.
fn on(name: &str) -> Permission {
    Permission::read_write(format!("semafair/{name}/")).with_prefix()
}

/// Lets etcd serve only the user who may do everything, and `worker`, who may use the semaphores `api` and `other`.
async fn ask_for_users(client: &mut Client) {
    client.role_add("worker").await.unwrap();
    for name in ["api", "other"] {
        client.role_grant_permission("worker", on(name)).await.unwrap();
    }
    for (name, role) in [("worker", "worker"), (USER, "root")] {
        client.user_add(name, PASSWORD, None).await.unwrap();
        client.user_grant_role(name, role).await.unwrap();
    }
    client.auth_enable().await.unwrap();
}

/// A key that may not be deleted keeps none of those that are deleted together with it.
#[test]
fn what_may_be_deleted_is_though_other_keys_may_not() {
    run(async {
        let cluster = Cluster::start(1).await;
        let mut root = cluster.client(0).await;
        ask_for_users(&mut root).await;
        let mut root = Client::connect(cluster.endpoints(), Some(user(USER))).await.unwrap();
        let options = options(&cluster).ttl(TTL * 20).connection(user("worker"));
        let session = Session::connect(options).await.unwrap();
        let mine = open(&session, 9).await;
        let other = DistributedSemaphore::open(&session, "other", 9).await.unwrap();
        let mut permits = Vec::new();
        for _ in 0..9 {
            permits.push(mine.acquire().await.unwrap());
            permits.push(other.acquire().await.unwrap());
        }
        let options = RoleRevokePermissionOptions::new().with_prefix();
        root.role_revoke_permission("worker", "semafair/other/", Some(options)).await.unwrap();
        drop(permits);
        until(async || {
            let options = GetOptions::new().with_prefix();
            root.get("semafair/api/line/", Some(options)).await.unwrap().kvs().is_empty()
        })
        .await;
    });
}

/// etcd forgets all tokens, and the watch is refused with the old one.
#[test]
fn a_waiter_is_granted_after_etcd_was_started_anew() {
    run(async {
        let mut cluster = Cluster::start(1).await;
        let mut client = cluster.client(0).await;
        ask_for_users(&mut client).await;
        let options = || options(&cluster).ttl(TTL * 4).connection(user(USER));
        let sessions = [
            Session::connect(options()).await.unwrap(),
            Session::connect(options()).await.unwrap(),
        ];
        let (mine, theirs) = (open(&sessions[0], 1).await, open(&sessions[1], 1).await);
        let mut held = theirs.acquire().await.unwrap();
        // Which of its calls a session sends first is up to chance.
        for _ in 0..3 {
            let waiting = asks(&mine);
            until_line(&theirs, 1, 1).await;
            let id = sessions[0].id();
            cluster.kill(0);
            cluster.launch(0);
            held.release().await.unwrap();
            waiting.await.unwrap().unwrap().release().await.unwrap();
            assert_eq!(sessions[0].id(), id);
            held = theirs.acquire().await.unwrap();
        }
        held.release().await.unwrap();
        until(async || mine.status().holders.is_empty()).await;
    });
}

/// Somebody changes users or roles. The tokens of before are refused from then on, while the lease goes on.
#[test]
fn a_token_of_an_older_state_is_replaced() {
    run(async {
        let cluster = Cluster::start_with_signed_tokens().await;
        let mut client = cluster.client(0).await;
        ask_for_users(&mut client).await;
        let session =
            Session::connect(options(&cluster).ttl(TTL * 4).connection(user(USER))).await.unwrap();
        let semaphore = open(&session, 2).await;
        let permit = semaphore.acquire().await.unwrap();
        for number in 0..3 {
            let mut root = Client::connect(cluster.endpoints(), Some(user(USER))).await.unwrap();
            root.role_add(format!("role{number}")).await.unwrap();
            permit.verify().await.unwrap();
            semaphore.acquire().await.unwrap().release().await.unwrap();
        }
        permit.release().await.unwrap();
        session.close().await.unwrap();
    });
}

/// A user may read one semaphore no more, while a waiter is in its line, and the watches start anew.
#[test]
fn a_line_that_may_not_be_read_keeps_no_other_waiting() {
    run(async {
        let mut cluster = Cluster::start(1).await;
        let mut root = cluster.client(0).await;
        ask_for_users(&mut root).await;
        let connect = async |name| {
            let options = options(&cluster).ttl(TTL * 20).connection(user(name));
            let session = Session::connect(options).await.unwrap();
            let api = open(&session, 1).await;
            (api, DistributedSemaphore::open(&session, "other", 1).await.unwrap(), session)
        };
        let (theirs, their_other, _root) = connect(USER).await;
        let (mine, my_other, session) = connect("worker").await;
        // Another process, which uses that one only.
        let (api, _alone, alone) = connect("worker").await;
        drop(api);
        let (held, other_held) =
            (theirs.acquire().await.unwrap(), their_other.acquire().await.unwrap());
        let (waiting, other_waiting) = (asks(&mine), asks(&my_other));
        until_line(&theirs, 1, 1).await;
        until_line(&their_other, 1, 1).await;

        let mut root = Client::connect(cluster.endpoints(), Some(user(USER))).await.unwrap();
        let options = RoleRevokePermissionOptions::new().with_prefix();
        root.role_revoke_permission("worker", "semafair/other/", Some(options)).await.unwrap();
        let other = Permission::write("semafair/other/").with_prefix();
        root.role_grant_permission("worker", other).await.unwrap();
        let id = session.id();
        cluster.kill(0);
        cluster.launch(0);

        // It would not learn of a grant, and so be in the way of all behind it.
        let refused = other_waiting.await.unwrap().unwrap_err();
        assert!(matches!(refused, Error::Refused(_)), "{refused}");
        until_line(&their_other, 1, 0).await;
        let refused = my_other.acquire().await.unwrap_err();
        assert!(matches!(refused, Error::Refused(_)), "{refused}");
        held.release().await.unwrap();
        waiting.await.unwrap().unwrap().release().await.unwrap();
        assert_eq!(session.id(), id);

        // One that is opened meanwhile is watched, and so is the other as soon as that is allowed.
        let mut root = Client::connect(cluster.endpoints(), Some(user(USER))).await.unwrap();
        root.role_grant_permission("worker", on("third")).await.unwrap();
        for session in [&session, &alone] {
            let third = DistributedSemaphore::open(session, "third", 1).await.unwrap();
            third.acquire().await.unwrap().release().await.unwrap();
        }
        root.role_grant_permission("worker", on("other")).await.unwrap();
        other_held.release().await.unwrap();
        until(async || my_other.acquire().await.is_ok()).await;
    });
}
