//! What etcd counts of itself.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Result;
use crate::node::Node;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Metrics {
    /// Events to watchers.
    pub(crate) events: f64,
    /// All bytes to clients.
    pub(crate) bytes: f64,
}

impl Metrics {
    pub(crate) async fn read(node: &Node) -> Result<Self> {
        let endpoint = node.endpoint();
        let address = endpoint.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|value| value.parse().ok()).ok_or(format!("etcd does not count {name}"))
        };
        Ok(Self {
            events: value("etcd_debugging_mvcc_events_total")?,
            bytes: value("etcd_network_client_grpc_sent_bytes_total")?,
        })
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self { events: self.events - before.events, bytes: self.bytes - before.bytes }
    }
}
