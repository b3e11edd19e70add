//! A limit that moves while everything runs: it follows a setting, and how the service is doing.
//!
//! ```sh
//! cargo run --example resize
//! ```
//!
//! Clients call a service that can take eight calls at once, and in the middle of the minute only
//! four. Nobody knows these numbers, so a controller looks for them, as TCP does: while all is well it
//! raises the limit by one, and when calls fail it takes a quarter off. The setting is a ceiling,
//! which somebody lowers near the end. A lower limit takes effect at once: permits that come back
//! vanish, before anyone who waits gets one, until no more than the limit are out.
//!
//! Time is simulated, so that the minute takes a moment, and is the same in every run.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use semafair::Semaphore;
use textplots::{Chart, Plot, Shape};
use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep, sleep_until};

const CLIENTS: usize = 30;
const MINUTE: f32 = 60.0;
const CEILING: usize = 12;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tokio::time::pause();
    LocalSet::new().run_until(minute()).await;
}

async fn minute() {
    let start = Instant::now();
    let limit = Arc::new(Semaphore::builder(2).name("calls").build());
    let service = Rc::new(Service::default());
    let (setting, ceiling) = watch::channel(CEILING);

    for client in 0..CLIENTS {
        spawn_local(call_again_and_again(client, limit.clone(), service.clone()));
    }
    spawn_local(control(limit.clone(), service.clone(), ceiling));
    let samples = Rc::new(RefCell::new(Vec::new()));
    spawn_local(sample(start, limit.clone(), service.clone(), samples.clone()));

    for (second, event) in [
        (20, Event::Capacity(4)),
        (40, Event::Capacity(8)),
        (50, Event::Ceiling(3)),
        (60, Event::Over),
    ] {
        sleep_until(start + Duration::from_secs(second)).await;
        println!("{second:>3} s  {}", limit.status());
        match event {
            Event::Capacity(calls) => service.capacity.set(calls),
            Event::Ceiling(most) => drop(setting.send(most)),
            Event::Over => {}
        }
    }

    let samples = samples.borrow();
    plot("The limit", &samples, |sample| sample.limit);
    plot("Calls at once", &samples, |sample| sample.calls);
    println!("{} calls were answered, and {} failed.", service.answered.get(), service.failed.get());
    let late = samples.iter().filter(|sample| sample.second > 51.0);
    assert!(late.map(|sample| sample.calls).all(|calls| calls <= 3), "the ceiling did not hold");
}

enum Event {
    /// The service can take so many calls at once.
    Capacity(usize),
    /// Somebody changed the setting.
    Ceiling(usize),
    Over,
}

/// Additive increase, multiplicative decrease.
async fn control(limit: Arc<Semaphore>, service: Rc<Service>, mut ceiling: watch::Receiver<usize>) {
    let mut failed_before = 0;
    loop {
        tokio::select! {
            () = sleep(Duration::from_secs(1)) => {}
            changed = ceiling.changed() => if changed.is_err() { return },
        }
        let failed = service.failed.get();
        let now = limit.limit();
        let next = if failed > failed_before { now - now.div_ceil(4) } else { now + 1 };
        failed_before = failed;
        let most = *ceiling.borrow_and_update();
        limit.set_limit(next.clamp(1, most));
    }
}

async fn call_again_and_again(client: usize, limit: Arc<Semaphore>, service: Rc<Service>) {
    loop {
        {
            let _permit = limit.acquire().await.expect("nobody closes it");
            service.call().await;
        }
        sleep(Duration::from_millis(20 * client as u64)).await;
    }
}

/// A service that fails if too many call at once.
struct Service {
    capacity: Cell<usize>,
    calls: Cell<usize>,
    answered: Cell<usize>,
    failed: Cell<usize>,
}

impl Default for Service {
    fn default() -> Self {
        let [calls, answered, failed] = [0; 3].map(Cell::new);
        Self { capacity: Cell::new(8), calls, answered, failed }
    }
}

impl Service {
    async fn call(&self) {
        self.calls.set(self.calls.get() + 1);
        let outcome =
            if self.calls.get() <= self.capacity.get() { &self.answered } else { &self.failed };
        sleep(Duration::from_millis(300)).await;
        outcome.set(outcome.get() + 1);
        self.calls.set(self.calls.get() - 1);
    }
}

#[derive(Clone, Copy)]
struct Sample {
    second: f32,
    limit: usize,
    calls: usize,
}

async fn sample(
    start: Instant,
    limit: Arc<Semaphore>,
    service: Rc<Service>,
    samples: Rc<RefCell<Vec<Sample>>>,
) {
    loop {
        let second = start.elapsed().as_secs_f32();
        let calls = service.calls.get();
        samples.borrow_mut().push(Sample { second, limit: limit.limit(), calls });
        sleep(Duration::from_millis(250)).await;
    }
}

fn plot(title: &str, samples: &[Sample], value: impl Fn(&Sample) -> usize) {
    let points: Vec<_> = samples.iter().map(|sample| (sample.second, value(sample) as f32)).collect();
    println!("\n{title}, over {MINUTE} seconds:");
    Chart::new_with_y_range(120, 40, 0.0, MINUTE, 0.0, CEILING as f32)
        .lineplot(&Shape::Steps(&points))
        .nice();
}
