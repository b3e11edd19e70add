//! One node of etcd on this machine, for as long as an example runs.

#[path = "../../tests/it/support/program.rs"]
mod program;

use std::fs::File;
use std::process::Child;
use std::time::Duration;

use etcd_client::{Client, ConnectOptions};
use tempfile::TempDir;
use tokio::time;

use program::{data, free_port, url};

pub(crate) struct Node {
    process: Child,
    port: u16,
    /// Deleted after the process has ended.
    _data: TempDir,
}

impl Node {
    /// Starts it, and waits until it serves.
    ///
    /// # Errors
    ///
    /// A sentence for whoever started the example.
    pub(crate) async fn start() -> Result<Self, String> {
        let data = data();
        let (port, peer_port) = (free_port(), free_port());
        let log = data.path().join("log");
        let log = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let node = program::Node {
            name: "node",
            data: data.path(),
            client_port: port,
            peer_port,
            advertised: url(peer_port),
            cluster: format!("node={}", url(peer_port)),
            more: &[],
        };
        let node = Self { process: node.start(log)?, port, _data: data };
        let serves = async {
            while node.client().await.get("ready", None).await.is_err() {
                time::sleep(Duration::from_millis(20)).await;
            }
        };
        match time::timeout(Duration::from_secs(30), serves).await {
            Ok(()) => Ok(node),
            Err(_) => Err("etcd does not answer".to_owned()),
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        url(self.port)
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// A client beside the crate.
    pub(crate) async fn client(&self) -> Client {
        let options = ConnectOptions::new().with_connect_timeout(Duration::from_secs(1));
        Client::connect([self.endpoint()], Some(options)).await.expect("a client needs no answer")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        program::end(&mut self.process);
    }
}
