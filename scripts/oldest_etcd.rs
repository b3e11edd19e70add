//! A use of semafair-etcd that reaches each of its dependencies; `scripts/oldest` runs it. Nothing but the standard library
//! starts etcd: features of other crates would hide that the package forgot one.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use semafair_etcd::{DistributedSemaphore, Error, Options, Session};

struct Etcd {
    process: Child,
    data: PathBuf,
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        fs::remove_dir_all(&self.data).unwrap();
    }
}

fn free_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Starts it, and does not wait until it serves.
fn start(client: &str) -> Etcd {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data");
    let peer = free_url();
    let process = Command::new("etcd")
        .arg("--data-dir")
        .arg(&data)
        .args(["--listen-client-urls", client, "--advertise-client-urls", client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("default={peer}")])
        .stderr(Stdio::null())
        .spawn()
        .expect("etcd can be started");
    Etcd { process, data }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test);
}

#[test]
fn a_permit_is_acquired_and_released() {
    run(async {
        let endpoint = free_url();
        let _etcd = start(&endpoint);
        let options = Options::new([endpoint]).patience(Duration::from_secs(60));
        let session = Session::connect(options).await.unwrap();
        let semaphore = DistributedSemaphore::open(&session, "api", 1).await.unwrap();
        let permit = semaphore.acquire().await.unwrap();
        assert!(matches!(semaphore.try_acquire().await, Err(Error::NoPermits)));
        permit.verify().await.unwrap();
        assert!(!permit.is_lost());
        permit.release().await.unwrap();
        session.close().await.unwrap();
    });
}

#[test]
fn nobody_is_there() {
    run(async {
        let options = Options::new([free_url()]).patience(Duration::from_millis(200));
        let error = Session::connect(options).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{error}");
    });
}
