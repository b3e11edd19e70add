//! Why the semaphore of `redisson` 0.1.0 is not measured: what it does today. A test that fails here is good news.

#[path = "../src/server.rs"]
mod server;

use std::time::Duration;

use redisson::{AsyncRSemaphore, AsyncRedissonClient, RedissonConfig};
use server::Server;

async fn open(server: &Server, permits: usize) -> AsyncRSemaphore {
    let config = RedissonConfig::single_server(&server.url());
    let client = AsyncRedissonClient::new(config).await.unwrap();
    client.get_semaphore("api", permits).await
}

/// `acquire` counts its time-out of zero as the permit's lifetime, and `release` begins with a deletion of all that
/// has expired.
#[tokio::test]
async fn a_release_gives_the_permits_of_others_away() {
    let server = Server::start().unwrap();
    let semaphore = open(&server, 2).await;
    // Two of two are out, and `acquire` does not wait.
    assert!(semaphore.acquire().await.unwrap());
    assert!(semaphore.acquire().await.unwrap());
    assert!(!semaphore.acquire().await.unwrap());
    // One comes back, and two are given out: now three are out.
    semaphore.release(1).await.unwrap();
    assert!(semaphore.acquire().await.unwrap());
    assert!(semaphore.acquire().await.unwrap());
}

/// Only `release` deletes what has expired, and `available_permits`, after half a minute. Whoever asks does not.
#[tokio::test]
async fn a_crashed_holder_keeps_its_permit_from_those_who_ask() {
    let server = Server::start().unwrap();
    let semaphore = open(&server, 1).await;
    let lifetime = Duration::from_millis(50);
    assert!(semaphore.try_acquire(1, lifetime).await.unwrap());
    tokio::time::sleep(lifetime * 4).await;
    assert!(!semaphore.try_acquire(1, lifetime).await.unwrap());
}
