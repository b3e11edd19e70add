//! A cluster that asks for a user and a password.

use etcd_client::{Client, GetOptions, Permission, RoleRevokePermissionOptions};
use semafair_etcd::{ConnectOptions, DistributedSemaphore, Error, Session};

use crate::support::cluster::Cluster;
use crate::support::{TTL, asks, open, options, run, until, until_line};

const USER: &str = "root";
const PASSWORD: &str = "secret";

/// A key that may not be deleted keeps none of those that are deleted together with it.
#[test]
fn what_may_be_deleted_is_though_other_keys_may_not() {
    run(async {
        let cluster = Cluster::start(1).await;
        let mut root = cluster.client(0).await;
        root.role_add("worker").await.unwrap();
        let prefix = |name| Permission::read_write(format!("semafair/{name}/")).with_prefix();
        for name in ["api", "other"] {
            root.role_grant_permission("worker", prefix(name)).await.unwrap();
        }
        root.user_add("worker", PASSWORD, None).await.unwrap();
        root.user_grant_role("worker", "worker").await.unwrap();
        root.user_add(USER, PASSWORD, None).await.unwrap();
        root.user_grant_role(USER, "root").await.unwrap();
        root.auth_enable().await.unwrap();
        let user = |name| ConnectOptions::new().with_user(name, PASSWORD);
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
        client.user_add(USER, PASSWORD, None).await.unwrap();
        client.user_grant_role(USER, "root").await.unwrap();
        client.auth_enable().await.unwrap();
        let user = || ConnectOptions::new().with_user(USER, PASSWORD);
        let options = || options(&cluster).ttl(TTL * 4).connection(user());
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
        client.user_add(USER, PASSWORD, None).await.unwrap();
        client.user_grant_role(USER, "root").await.unwrap();
        client.auth_enable().await.unwrap();
        let user = || ConnectOptions::new().with_user(USER, PASSWORD);
        let session =
            Session::connect(options(&cluster).ttl(TTL * 4).connection(user())).await.unwrap();
        let semaphore = open(&session, 2).await;
        let permit = semaphore.acquire().await.unwrap();
        for number in 0..3 {
            let mut root = Client::connect(cluster.endpoints(), Some(user())).await.unwrap();
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
        root.role_add("worker").await.unwrap();
        let both = Permission::read_write("semafair/").with_prefix();
        root.role_grant_permission("worker", both).await.unwrap();
        root.user_add("worker", PASSWORD, None).await.unwrap();
        root.user_grant_role("worker", "worker").await.unwrap();
        root.user_add(USER, PASSWORD, None).await.unwrap();
        root.user_grant_role(USER, "root").await.unwrap();
        root.auth_enable().await.unwrap();
        let user = |name| ConnectOptions::new().with_user(name, PASSWORD);
        let connect = async |name| {
            let options = options(&cluster).ttl(TTL * 20).connection(user(name));
            let session = Session::connect(options).await.unwrap();
            let api = open(&session, 1).await;
            (api, DistributedSemaphore::open(&session, "other", 1).await.unwrap(), session)
        };
        let (theirs, their_other, _root) = connect(USER).await;
        let (mine, my_other, session) = connect("worker").await;
        let (held, other_held) =
            (theirs.acquire().await.unwrap(), their_other.acquire().await.unwrap());
        let (waiting, other_waiting) = (asks(&mine), asks(&my_other));
        until_line(&theirs, 1, 1).await;
        until_line(&their_other, 1, 1).await;

        let mut root = Client::connect(cluster.endpoints(), Some(user(USER))).await.unwrap();
        let all = || Some(RoleRevokePermissionOptions::new().with_prefix());
        root.role_revoke_permission("worker", "semafair/", all()).await.unwrap();
        for permission in [
            Permission::read_write("semafair/api/").with_prefix(),
            Permission::write("semafair/other/").with_prefix(),
        ] {
            root.role_grant_permission("worker", permission).await.unwrap();
        }
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
        let third = Permission::read_write("semafair/third/").with_prefix();
        root.role_grant_permission("worker", third).await.unwrap();
        let third = DistributedSemaphore::open(&session, "third", 1).await.unwrap();
        third.acquire().await.unwrap().release().await.unwrap();
        let other = Permission::read_write("semafair/other/").with_prefix();
        root.role_grant_permission("worker", other).await.unwrap();
        other_held.release().await.unwrap();
        until(async || my_other.acquire().await.is_ok()).await;
    });
}
