//! A Redis of its own on this machine, with its data in memory, that ends with the program.

#[path = "../../tests/it/support/port.rs"]
mod port;

use std::io::ErrorKind;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use port::free_port;

const MISSING: &str = "there is no `redis-server`: install Debian's package of that name";

pub(crate) struct Server {
    process: Child,
    port: u16,
}

impl Server {
    /// Starts it, and waits until it serves.
    ///
    /// # Errors
    ///
    /// A sentence for whoever started the program.
    pub(crate) fn start() -> Result<Self, String> {
        let port = free_port();
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| match error.kind() {
                ErrorKind::NotFound => MISSING.to_owned(),
                _ => format!("redis-server cannot be started: {error}"),
            })?;
        let server = Self { process, port };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if start.elapsed() > Duration::from_secs(30) {
                return Err("redis-server does not answer".to_owned());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}
