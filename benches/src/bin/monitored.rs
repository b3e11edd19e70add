//! What `Monitored` costs, beside the semaphore that it wraps and beside tokio's.
//!
//! ```sh
//! cargo run --release -p semafair-benches --bin monitored
//! ```
//!
//! Processor time for one operation, the least of many rounds that take turns, and the ratio to tokio's in the same run.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use semafair::AcquireError;
use semafair::monitor::{Monitored, MonitoredPermit};
use semafair_benches::{
    Acquire, EnqueueCancel, HandOff, HandOffDownTheLine, Order, Semafair, Semaphore, Tokio,
    TryAcquire, Workload,
};

/// `semafair::monitor::Monitored`.
#[derive(Debug)]
struct Watched(Monitored);

impl Semaphore for Watched {
    const NAME: &'static str = "Monitored";
    type Granted<'a> = Result<MonitoredPermit, AcquireError>;
    type Permit<'a> = MonitoredPermit;

    fn with_permits(permits: usize) -> Self {
        Self(Monitored::new("bench", Arc::new(semafair::Semaphore::new(permits))))
    }

    fn acquire(&self) -> impl Future<Output = Self::Granted<'_>> + Send {
        self.0.acquire()
    }

    fn acquire_many(&self, n: u32) -> impl Future<Output = Self::Granted<'_>> + Send {
        self.0.acquire_many(n)
    }

    fn permit<'a>(&'a self, granted: Self::Granted<'a>, _n: u32) -> Self::Permit<'a> {
        granted.expect("nobody closes it")
    }

    fn try_acquire(&self) -> Option<Self::Permit<'_>> {
        self.0.try_acquire().ok()
    }

    fn add_permits(&self, n: usize) {
        self.0.add_permits(n);
    }
}

const TURNS: u32 = 40;

/// Nanoseconds for one operation of tokio, of semafair, and under watch.
fn measure(workload: impl Workload, rounds: u64) -> [f64; 3] {
    let mut least = [f64::INFINITY; 3];
    for _ in 0..TURNS {
        let times = [
            workload.run::<Tokio>(rounds),
            workload.run::<Semafair>(rounds),
            workload.run::<Watched>(rounds),
        ];
        for (least, time) in least.iter_mut().zip(times) {
            let time: Duration = time.cpu.unwrap_or(time.wall);
            #[expect(clippy::cast_precision_loss, reason = "there are some thousands")]
            let operations = rounds as f64 * f64::from(workload.operations());
            *least = least.min(time.as_secs_f64() * 1e9 / operations);
        }
    }
    least
}

fn row(workload: impl Workload, rounds: u64) {
    let [tokio, plain, watched] = measure(workload, rounds);
    println!(
        "| {:<44} | {tokio:>6.0} ns | {plain:>5.0} ns, {:>4.2} | {watched:>6.0} ns, {:>5.2} |",
        workload.name(),
        plain / tokio,
        watched / tokio,
    );
}

fn main() {
    println!("| {:<44} | {:>9} | {:>14} | {:>16} |", "", "tokio", "semafair", "Monitored");
    println!("|---|--:|--:|--:|");
    row(Acquire, 10_000);
    row(TryAcquire, 10_000);
    row(HandOff, 5_000);
    row(HandOffDownTheLine(1_000), 1);
    row(EnqueueCancel { waiters: 1_000, order: Order::Fifo }, 1);
}
