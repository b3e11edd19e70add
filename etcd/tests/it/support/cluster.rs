//! Nodes of etcd on this machine, which end with the test.

use std::fs::{self, File};
use std::process::Child;
use std::time::Duration;

use etcd_client::{Client, ConnectOptions, GetOptions};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time;

pub(crate) use super::program::free_port;
use super::program::{self, data, url};
use super::proxy::{Peers, Proxy};
use super::until;

struct Node {
    name: String,
    client_port: u16,
    peer_port: u16,
    /// `None` while it is down.
    process: Option<Child>,
    /// Where the other nodes reach it.
    peers: Proxy,
}

pub(crate) struct Cluster {
    nodes: Vec<Node>,
    data: TempDir,
    /// Arguments of each node, besides.
    more: Vec<String>,
}

impl Cluster {
    /// Starts so many nodes, and waits until they have a leader.
    pub(crate) async fn start(nodes: usize) -> Self {
        let mut cluster = Self::prepare(nodes).await;
        for node in 0..nodes {
            cluster.launch(node);
        }
        cluster.ready().await;
        cluster
    }

    /// Finds ports, and starts nothing.
    pub(crate) async fn prepare(nodes: usize) -> Self {
        let data = data();
        let mut all = Vec::new();
        for number in 0..nodes {
            let peer_port = free_port();
            all.push(Node {
                name: format!("node{number}"),
                client_port: free_port(),
                peer_port,
                process: None,
                peers: Proxy::start(peer_port).await,
            });
        }
        Self { nodes: all, data, more: Vec::new() }
    }

    /// Starts a node whose tokens name the state of its users and roles: when that changes, they are refused.
    pub(crate) async fn start_with_signed_tokens() -> Self {
        let mut cluster = Self::prepare(1).await;
        let secret = cluster.data.path().join("secret");
        fs::write(&secret, "of a test").expect("it is writable");
        let tokens = format!("jwt,sign-method=HS256,priv-key={}", secret.display());
        cluster.more = vec!["--auth-token".to_owned(), tokens];
        cluster.launch(0);
        cluster.ready().await;
        cluster
    }

    /// Starts a node that is down, with the data that it had.
    pub(crate) fn launch(&mut self, node: usize) {
        let cluster: Vec<_> =
            self.nodes.iter().map(|n| format!("{}={}", n.name, url(n.peers.port()))).collect();
        let data = self.data.path();
        let node = &mut self.nodes[node];
        let log = File::options()
            .create(true)
            .append(true)
            .open(data.join(format!("{}.log", node.name)))
            .expect("it is writable");
        let started = program::Node {
            name: &node.name,
            data,
            client_port: node.client_port,
            peer_port: node.peer_port,
            advertised: url(node.peers.port()),
            cluster: cluster.join(","),
            more: &self.more,
        };
        node.process = Some(started.start(log).unwrap_or_else(|error| panic!("{error}")));
    }

    /// Waits until all nodes that run know a leader, and serve.
    pub(crate) async fn ready(&mut self) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].process.is_none() {
                continue;
            }
            until(async || {
                self.assert_it_runs(node);
                let Ok(mut client) = self.try_client(node).await else { return false };
                client.get("ready", None).await.is_ok()
            })
            .await;
        }
    }

    /// It could have ended by itself: another program may have its port.
    fn assert_it_runs(&mut self, node: usize) {
        let process = self.nodes[node].process.as_mut().expect("it was started");
        let ended = process.try_wait().expect("it is a child");
        assert!(ended.is_none(), "node{node} has ended: {ended:?}");
    }

    pub(crate) fn endpoints(&self) -> Vec<String> {
        self.nodes.iter().map(|node| url(node.client_port)).collect()
    }

    pub(crate) fn client_port(&self, node: usize) -> u16 {
        self.nodes[node].client_port
    }

    async fn try_client(&self, node: usize) -> Result<Client, etcd_client::Error> {
        let options = ConnectOptions::new()
            .with_timeout(Duration::from_secs(1))
            .with_connect_timeout(Duration::from_secs(1));
        Client::connect([url(self.nodes[node].client_port)], Some(options)).await
    }

    /// A client of one node, beside the crate.
    pub(crate) async fn client(&self, node: usize) -> Client {
        self.try_client(node).await.expect("a client needs no answer")
    }

    async fn member(&self, node: usize) -> Option<(u64, u64)> {
        self.nodes[node].process.as_ref()?;
        let status = self.client(node).await.status().await.ok()?;
        Some((status.header()?.member_id(), status.leader()))
    }

    /// The number of the leader, according to itself and to most others.
    pub(crate) async fn leader(&self) -> usize {
        loop {
            let mut members = Vec::new();
            for node in 0..self.nodes.len() {
                members.push(self.member(node).await);
            }
            let votes = |id| members.iter().flatten().filter(|&&(_, leader)| leader == id).count();
            let is_leader = |member: &Option<(u64, u64)>| {
                member.is_some_and(|(id, leader)| id == leader && votes(id) * 2 > members.len())
            };
            if let Some(leader) = members.iter().position(is_leader) {
                return leader;
            }
            time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn signal(&self, node: usize, signal: Signal) {
        let process = self.nodes[node].process.as_ref().expect("it runs");
        kill_process(Pid::from_child(process), signal).expect("it runs");
    }

    /// Deletes all data of a node that is down.
    pub(crate) fn wipe(&self, node: usize) {
        let data = self.data.path().join(&self.nodes[node].name);
        fs::remove_dir_all(data).expect("it has run");
    }

    /// As `kill -9`.
    pub(crate) fn kill(&mut self, node: usize) {
        end(&mut self.nodes[node].process);
    }

    pub(crate) fn stop(&self, node: usize) {
        self.signal(node, Signal::STOP);
    }

    pub(crate) fn go_on(&self, node: usize) {
        self.signal(node, Signal::CONT);
    }

    /// Lets a node reach no other node, and none reach it. Clients still do.
    pub(crate) async fn isolate(&self, node: usize) {
        let (id, _) = self.member(node).await.expect("it runs");
        for (number, other) in self.nodes.iter().enumerate() {
            other.peers.block(if number == node { Peers::All } else { Peers::Of(id) });
        }
    }

    pub(crate) fn heal(&self) {
        for node in &self.nodes {
            node.peers.block(Peers::None);
        }
    }

    /// How many keys there are in a line, by a linearizable read.
    pub(crate) async fn keys(&self, prefix: &str) -> usize {
        let options = GetOptions::new().with_prefix().with_keys_only();
        for node in (0..self.nodes.len()).cycle() {
            if self.nodes[node].process.is_some() {
                if let Ok(answer) = self.client(node).await.get(prefix, Some(options.clone())).await
                {
                    return answer.kvs().len();
                }
            }
            time::sleep(Duration::from_millis(20)).await;
        }
        unreachable!("a cluster has nodes")
    }

    /// Waits until no request is in the line of the semaphore that the tests use.
    pub(crate) async fn until_no_keys(&self) {
        until(async || self.keys("semafair/api/line/").await == 0).await;
    }

    /// Waits until etcd has no lease.
    pub(crate) async fn until_no_leases(&self) {
        until(async || {
            let leases = self.client(0).await.leases().await;
            leases.is_ok_and(|leases| leases.leases().is_empty())
        })
        .await;
    }
}

fn end(process: &mut Option<Child>) {
    if let Some(mut process) = process.take() {
        program::end(&mut process);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            end(&mut node.process);
        }
        if std::thread::panicking() {
            for node in &self.nodes {
                let log = fs::read_to_string(self.data.path().join(format!("{}.log", node.name)));
                let log = log.unwrap_or_default();
                let lines: Vec<_> = log.lines().collect();
                println!("{}: {}", node.name, lines[lines.len().saturating_sub(12)..].join("\n"));
            }
        }
    }
}
