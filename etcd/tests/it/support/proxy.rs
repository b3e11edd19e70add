//! A TCP proxy that can keep silent. What it holds back goes on when it is healed, as after a cut that TCP
//! survives; or is thrown away with the connection.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Whose bytes are held back, among nodes of etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peers {
    None,
    /// Of one node, by its id.
    Of(u64),
    All,
}

#[derive(Clone, Copy, Debug)]
struct Mode {
    peers: Peers,
    requests: bool,
    answers: bool,
    /// Connections of an earlier age are closed.
    age: u64,
}

pub(crate) struct Proxy {
    port: u16,
    mode: Arc<watch::Sender<Mode>>,
    listener: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port, for what is behind another.
    pub(crate) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has ports");
        let port = listener.local_addr().expect("it is bound").port();
        let mode = Mode { peers: Peers::None, requests: true, answers: true, age: 0 };
        let mode = Arc::new(watch::Sender::new(mode));
        let modes = Arc::clone(&mode);
        let listener = tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                tokio::spawn(connection(from, to, modes.subscribe()));
            }
        });
        Self { port, mode, listener }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn block(&self, peers: Peers) {
        self.mode.send_modify(|mode| mode.peers = peers);
    }

    /// Holds back everything, in both directions.
    pub(crate) fn cut(&self) {
        self.mode.send_modify(|mode| (mode.requests, mode.answers) = (false, false));
    }

    /// Holds back what the node says; it hears everything.
    pub(crate) fn hold_answers(&self) {
        self.mode.send_modify(|mode| mode.answers = false);
    }

    /// Lets everything through, and what was held back.
    pub(crate) fn heal(&self) {
        self.mode.send_modify(|mode| (mode.requests, mode.answers) = (true, true));
    }

    /// Closes all connections, with what they hold; new ones let everything through.
    pub(crate) fn reset(&self) {
        self.mode.send_modify(|mode| {
            (mode.requests, mode.answers) = (true, true);
            mode.age += 1;
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
        self.mode.send_modify(|mode| mode.age += 1);
    }
}

async fn connection(mut from: TcpStream, to: u16, mut modes: watch::Receiver<Mode>) {
    let age = modes.borrow_and_update().age;
    let Ok(mut node) = TcpStream::connect(("127.0.0.1", to)).await else { return };
    // Nothing is delayed for the sake of large packets.
    let _set = (from.set_nodelay(true), node.set_nodelay(true));
    // Of a peer, the head of its first request says who it is.
    let mut head = vec![0; 4096];
    let Ok(length) = from.read(&mut head).await else { return };
    let peer = peer(&head[..length]);
    let opens = |mode: &Mode| {
        mode.age != age
            || match mode.peers {
                Peers::None => true,
                Peers::Of(id) => peer != Some(id),
                Peers::All => false,
            }
    };
    if modes.wait_for(|mode| opens(mode) && (mode.requests || mode.age != age)).await.is_err()
        || modes.borrow().age != age
        || node.write_all(&head[..length]).await.is_err()
    {
        return;
    }
    let (from_read, from_write) = from.into_split();
    let (node_read, node_write) = node.into_split();
    let aged = modes.clone();
    let requests = pump(from_read, node_write, modes.clone(), |mode| opens(mode) && mode.requests);
    let answers = pump(node_read, from_write, modes, |mode| opens(mode) && mode.answers);
    tokio::select! {
        () = old(aged, age) => {}
        () = requests => {}
        () = answers => {}
    }
}

async fn old(mut modes: watch::Receiver<Mode>, age: u64) {
    // The error means that the proxy is gone.
    let _gone = modes.wait_for(|mode| mode.age != age).await;
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut modes: watch::Receiver<Mode>,
    opens: impl Fn(&Mode) -> bool,
) {
    let mut bytes = vec![0; 16 << 10];
    loop {
        let length = match from.read(&mut bytes).await {
            Ok(0) | Err(_) => return,
            Ok(length) => length,
        };
        if modes.wait_for(&opens).await.is_err() || to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}

/// The id of the node that says so in the head of its request.
fn peer(head: &[u8]) -> Option<u64> {
    let head = String::from_utf8_lossy(head);
    let line = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("x-server-from").then_some(value)
    })?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[test]
fn a_peer_is_known_by_its_header() {
    let head =
        b"GET /raft/stream/msgapp HTTP/1.1\r\nHost: x\r\nX-Server-From: 8e9e05c52164694d\r\n\r\n";
    assert_eq!(peer(head), Some(0x8e9e_05c5_2164_694d));
    assert_eq!(peer(b"PRI * HTTP/2.0\r\n\r\n"), None);
}
