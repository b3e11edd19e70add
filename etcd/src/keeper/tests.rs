//! The machine is suspended while a request is on its way.

use std::pin::pin;

use etcd_client::ConnectOptions;
use futures::poll;

use crate::keeper::*;
use crate::node::Node;

/// However busy the machine is, only what it pretends is long.
const TTL: Duration = Duration::from_secs(1000);

fn client(node: &Node) -> client::Client {
    let timeout = Duration::from_secs(60);
    client::Client::new(vec![node.endpoint()], ConnectOptions::new(), timeout)
}

#[tokio::test]
async fn a_lease_is_as_old_as_the_request_for_it() {
    let node = Node::start().await.unwrap();
    let client = client(&node);
    // With this one it connects.
    assert!(!client.call(|client| grant(client, TTL)).await.unwrap().is_lost());
    let mut lease = pin!(client.call(|client| grant(client, TTL)));
    assert!(poll!(&mut lease).is_pending());
    clock::suspend(TTL);
    assert!(lease.await.unwrap().is_lost());
}

#[tokio::test]
async fn a_renewal_counts_from_when_it_was_sent() {
    let node = Node::start().await.unwrap();
    let client = client(&node);
    let lease = client.call(|client| grant(client, TTL)).await.unwrap();
    let mut renewed = pin!(try_renew(&client, &lease));
    assert!(poll!(&mut renewed).is_pending());
    clock::suspend(TTL / 2);
    renewed.await.unwrap();
    assert!(!lease.is_lost());
    clock::suspend(TTL / 2);
    assert!(lease.is_lost());
}
