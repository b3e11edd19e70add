//! A cluster that asks for a user and a password.

use semafair_etcd::{ConnectOptions, Session};

use crate::support::cluster::Cluster;
use crate::support::{TTL, asks, open, options, run, until, until_line};

const USER: &str = "root";
const PASSWORD: &str = "secret";

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
