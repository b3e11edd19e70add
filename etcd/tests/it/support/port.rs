//! Where servers that tests, examples and benchmarks start can listen.

use std::net::TcpListener;
use std::ops::Range;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// A port that nobody listens on now.
///
/// None of those that the system gives away to whoever asks for any: before the program listens there, a connection could get
/// it.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const PORTS: Range<u32> = 20_000..32_000;
    for _ in PORTS {
        // Other processes look for ports as well.
        let next =
            NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(process::id().wrapping_mul(101));
        let port = PORTS.start + next % (PORTS.end - PORTS.start);
        let port = u16::try_from(port).expect("it is a port");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("loopback has no port");
}
