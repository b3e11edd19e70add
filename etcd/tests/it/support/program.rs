//! The program `etcd`, as tests and examples start it.

#[path = "port.rs"]
mod port;

use std::env;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

pub(crate) use self::port::free_port;

const MISSING: &str =
    "there is no `etcd`: install Debian's package `etcd-server`, or set ETCD to the program";

pub(crate) fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// A folder for the data of nodes. In memory where that is possible: other programs may keep the disk busy.
pub(crate) fn data() -> TempDir {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { env::temp_dir() };
    tempfile::Builder::new().prefix("semafair-etcd-").tempdir_in(place).expect("it is writable")
}

/// One node of a cluster.
pub(crate) struct Node<'a> {
    pub(crate) name: &'a str,
    /// Its data are in a folder of its name in here.
    pub(crate) data: &'a Path,
    pub(crate) client_port: u16,
    pub(crate) peer_port: u16,
    /// Where other nodes reach it.
    pub(crate) advertised: String,
    /// All nodes, as `NAME=URL,NAME=URL`.
    pub(crate) cluster: String,
    /// Arguments of etcd, besides.
    pub(crate) more: &'a [String],
}

impl Node<'_> {
    /// Starts it, and does not wait until it serves.
    ///
    /// # Errors
    ///
    /// A sentence for whoever started the program.
    pub(crate) fn start(&self, log: impl Into<Stdio>) -> Result<Child, String> {
        let (client, peer) = (url(self.client_port), url(self.peer_port));
        let mut command = Command::new(env::var_os("ETCD").unwrap_or_else(|| "etcd".into()));
        command
            .args(["--name", self.name, "--data-dir"])
            .arg(self.data.join(self.name))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer])
            .args(["--initial-advertise-peer-urls", &self.advertised])
            .args(["--initial-cluster", &self.cluster, "--logger", "zap"])
            .args(self.more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        command.spawn().map_err(|error| match error.kind() {
            ErrorKind::NotFound => MISSING.to_owned(),
            _ => format!("etcd cannot be started: {error}"),
        })
    }
}

/// Ends a process at once, and waits until it is gone.
pub(crate) fn end(process: &mut Child) {
    // It may have ended by itself.
    let _ended = process.kill();
    let _status = process.wait();
}
