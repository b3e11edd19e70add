//! The figures that a monitored semaphore keeps for the `metrics` crate, beside what the test knows that it has done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit, with_local_recorder,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use semafair::Semaphore;
use semafair::monitor::{Metrics, Monitored, MonitoredAcquire, MonitoredPermit};
use tokio_test::task::{Spawn, spawn};
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok};

use crate::support::watchdog::{times, watch};
use crate::support::{panic_of, seed};

/// A semaphore, and what a scrape says of it.
struct Scraped {
    monitored: Monitored,
    metrics: Metrics,
    handle: PrometheusHandle,
}

impl Scraped {
    fn new(semaphore: Semaphore) -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let monitored = Monitored::new("database", semaphore);
        let metrics = with_local_recorder(&recorder, || monitored.metrics());
        Self { monitored, metrics, handle: recorder.handle() }
    }

    /// The figure of that name, with that further label.
    fn figure(&self, name: &str, label: &str) -> f64 {
        let text = self.handle.render();
        let comma = if label.is_empty() { "" } else { "," };
        let start = format!("semafair_{name}{{semaphore=\"database\"{comma}{label}}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("no {start} in:\n{text}")).parse().unwrap()
    }

    fn gauges(&self) -> [f64; 6] {
        assert!(self.metrics.sample());
        ["limit", "available", "outstanding", "debt", "queued", "uncollected"]
            .map(|name| self.figure(name, ""))
    }

    /// Granted, refused for any reason, cancelled.
    fn ends(&self) -> [f64; 3] {
        let refused = ["closed", "queue_full", "oversized", "no_permits"];
        let refused = refused.map(|reason| self.refused(reason)).iter().sum();
        [self.figure("granted_total", ""), refused, self.figure("cancelled_total", "")]
    }

    fn refused(&self, reason: &str) -> f64 {
        self.figure("refused_total", &format!("reason=\"{reason}\""))
    }

    /// How many waits are in the histogram, by outcome.
    fn waits(&self) -> [f64; 3] {
        ["granted", "refused", "cancelled"]
            .map(|outcome| self.figure("wait_seconds_count", &format!("outcome=\"{outcome}\"")))
    }
}

fn waiting(monitored: &Monitored, n: u32) -> Spawn<MonitoredAcquire> {
    let mut future = spawn(monitored.acquire_many(n));
    assert_pending!(future.poll());
    future
}

#[test]
fn gauges_show_what_is_there() {
    let scraped = Scraped::new(Semaphore::new(5));
    let monitored = &scraped.monitored;
    assert_eq!(scraped.gauges(), [5., 5., 0., 0., 0., 0.]);
    let four = monitored.try_acquire_many(4).unwrap();
    let first = waiting(monitored, 3);
    assert_eq!(scraped.gauges(), [5., 0., 5., 0., 2., 0.], "it has one of three");
    let second = waiting(monitored, 4);
    assert_eq!(scraped.gauges(), [5., 0., 5., 0., 6., 0.]);
    drop(four);
    assert_eq!(scraped.gauges(), [5., 0., 5., 0., 2., 3.], "nobody looks at the three");
    drop(second);
    monitored.set_limit(1);
    assert_eq!(scraped.gauges(), [1., 0., 3., 2., 0., 3.]);
    drop(first);
    assert_eq!(scraped.gauges(), [1., 1., 0., 0., 0., 0.]);
}

#[test]
fn each_request_ends_once() {
    let scraped = Scraped::new(Semaphore::builder(2).queue_limit(2).fail_oversized().build());
    let monitored = &scraped.monitored;
    assert_eq!(scraped.ends(), [0.; 3]);
    let held = assert_ready_ok!(spawn(monitored.acquire()).poll());
    let mut other = monitored.try_acquire().unwrap();
    assert_eq!((scraped.ends(), scraped.waits()), ([2., 0., 0.], [1., 0., 0.]));

    assert!(monitored.try_acquire().is_err());
    assert_eq!(scraped.refused("no_permits"), 1.);
    assert_ready_err!(spawn(monitored.acquire_many(3)).poll());
    assert_eq!(scraped.refused("oversized"), 1.);
    let (mut first, second) = (waiting(monitored, 1), waiting(monitored, 1));
    assert_ready_err!(spawn(monitored.acquire()).poll());
    assert_eq!(scraped.refused("queue_full"), 1.);
    assert_eq!((scraped.ends(), scraped.waits()), ([2., 3., 0.], [1., 2., 0.]));

    // One that waits, and one that was granted and is never polled.
    drop(second);
    drop(held);
    assert_eq!((scraped.ends(), scraped.waits()), ([2., 3., 1.], [1., 2., 1.]));
    let granted = assert_ready_ok!(first.poll());
    let third = waiting(monitored, 1);
    drop(granted);
    drop(third);
    assert_eq!((scraped.ends(), scraped.waits()), ([3., 3., 2.], [2., 2., 2.]));

    // What does not ask, and what becomes of a guard, is no request.
    drop(monitored.acquire());
    drop(other.split(0));
    other.forget();
    assert_eq!(scraped.ends(), [3., 3., 2.]);

    let held = monitored.try_acquire().unwrap();
    let mut last = waiting(monitored, 1);
    monitored.close();
    assert_ready_err!(last.poll());
    assert!(monitored.try_acquire().is_err());
    assert_eq!(scraped.refused("closed"), 2.);
    assert_eq!((scraped.ends(), scraped.waits()), ([4., 5., 2.], [2., 3., 2.]));
    drop(held);
}

#[test]
fn one_that_asked_early_ends_when_it_returns() {
    let scraped = Scraped::new(Semaphore::new(1));
    let monitored = &scraped.monitored;
    let (mut first, mut second) = (monitored.acquire(), monitored.acquire());
    first.enqueue();
    second.enqueue();
    assert_eq!(scraped.gauges(), [1., 0., 1., 0., 1., 1.]);
    assert_eq!(scraped.ends(), [0.; 3]);
    drop(assert_ready_ok!(spawn(first).poll()));
    assert_eq!(scraped.ends(), [1., 0., 0.]);
    drop(second);
    assert_eq!(scraped.ends(), [1., 0., 1.]);
}

/// A wait that was given up is in the histogram, with its time.
#[test]
fn waits_that_were_abandoned_count() {
    let scraped = Scraped::new(Semaphore::new(0));
    let time = Duration::from_millis(20);
    drop(scraped.monitored.blocking_acquire_timeout(time).unwrap_err());
    assert_eq!(scraped.waits(), [0., 0., 1.]);
    assert!(scraped.figure("wait_seconds_sum", "outcome=\"cancelled\"") >= time.as_secs_f64());
}

/// Each figure beside what threads know that they have done.
#[test]
fn under_load_the_figures_add_up() {
    watch();
    let scraped = Scraped::new(Semaphore::builder(4).queue_limit(6).build());
    let mut rng = Rng::with_seed(seed());
    let mut known = [0.; 3];
    thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (scraped, rng) = (&scraped, rng.fork());
                scope.spawn(move || goes_on(scraped, rng))
            })
            .collect();
        for thread in threads {
            let ends = thread.join().unwrap();
            (0..3).for_each(|end| known[end] += ends[end]);
        }
    });
    assert_eq!(scraped.ends(), known);
    let [granted, refused, cancelled] = scraped.waits();
    assert_eq!(cancelled, known[2]);
    assert!(granted <= known[0] && refused <= known[1], "attempts are in none");
    assert_eq!(scraped.gauges(), [4., 4., 0., 0., 0., 0.]);
}

/// Acquires, tries, cancels and releases by chance. Returns how many requests were granted, refused and cancelled.
fn goes_on(scraped: &Scraped, mut rng: Rng) -> [f64; 3] {
    let monitored = &scraped.monitored;
    let [mut granted, mut refused, mut cancelled] = [0.; 3];
    let mut guards: Vec<MonitoredPermit> = Vec::new();
    let mut waiters: Vec<Spawn<MonitoredAcquire>> = Vec::new();
    for _ in 0..500 * times() {
        let answer = match rng.u8(..6) {
            0 => Some(monitored.try_acquire_many(rng.u32(..4)).map_err(drop)),
            1 => {
                waiters.push(spawn(monitored.acquire_many(rng.u32(..4))));
                // Its first poll is in the next step, at the latest.
                let last = waiters.len() - 1;
                answer_of(&mut waiters, last)
            }
            2 if !waiters.is_empty() => {
                let one = rng.usize(..waiters.len());
                answer_of(&mut waiters, one)
            }
            3 if !waiters.is_empty() => {
                drop(waiters.swap_remove(rng.usize(..waiters.len())));
                cancelled += 1.;
                None
            }
            4 if !guards.is_empty() => {
                drop(guards.swap_remove(rng.usize(..guards.len())));
                None
            }
            _ => {
                assert!(scraped.metrics.sample());
                None
            }
        };
        match answer {
            Some(Ok(guard)) => {
                granted += 1.;
                guards.push(guard);
            }
            Some(Err(())) => refused += 1.,
            None => {}
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "there are some hundreds")]
    let waiting = waiters.len() as f64;
    [granted, refused, cancelled + waiting]
}

/// Polls one of them, and removes it if it returns.
fn answer_of(
    waiters: &mut Vec<Spawn<MonitoredAcquire>>,
    one: usize,
) -> Option<Result<MonitoredPermit, ()>> {
    match waiters[one].poll() {
        Poll::Pending => None,
        Poll::Ready(answer) => {
            drop(waiters.swap_remove(one));
            Some(answer.map_err(drop))
        }
    }
}

#[test]
fn the_gauges_fall_to_zero_with_the_semaphore() {
    let Scraped { monitored, metrics, handle } = Scraped::new(Semaphore::new(3));
    let held = monitored.try_acquire().unwrap();
    drop(monitored);
    assert!(metrics.sample(), "there is a guard");
    assert!(handle.render().contains("semafair_outstanding{semaphore=\"database\"} 1\n"));
    drop(held);
    assert!(!metrics.sample());
    assert!(handle.render().contains("semafair_outstanding{semaphore=\"database\"} 0\n"));
    let mut run = spawn(metrics.run(Duration::ZERO, |_| std::future::pending::<()>()));
    assert_ready!(run.poll());
}

/// A histogram that panics.
#[derive(Debug)]
struct Bad;

impl HistogramFn for Bad {
    fn record(&self, _: f64) {
        panic!("the recorder panics");
    }
}

/// A recorder that is its parts: the same for all names.
struct Parts(Counter, Histogram);

impl Recorder for Parts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        self.0.clone()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        self.1.clone()
    }
}

#[test]
fn what_was_counted_is_not_counted_again_if_the_recorder_panics() {
    let count = Arc::new(AtomicU64::new(0));
    let recorder = Parts(Counter::from_arc(count.clone()), Histogram::from_arc(Arc::new(Bad)));
    let monitored = Monitored::new("database", Semaphore::new(1));
    with_local_recorder(&recorder, || monitored.metrics());
    let mut granted = spawn(monitored.acquire());
    assert_eq!(panic_of(|| drop(granted.poll())), "the recorder panics");
    drop(granted);
    assert_eq!(count.load(Ordering::SeqCst), 1, "granted, and not cancelled as well");
    assert_eq!(monitored.available_permits(), 1);
}

/// A recorder that asks the same semaphore for its figures while it registers them.
struct Reenters {
    monitored: Monitored,
    /// How often it may.
    depth: AtomicU64,
    count: Arc<AtomicU64>,
}

impl Reenters {
    fn again(&self) {
        let left = self.depth.load(Ordering::SeqCst);
        if left > 0 {
            self.depth.store(left - 1, Ordering::SeqCst);
            with_local_recorder(self, || self.monitored.metrics());
            drop(self.monitored.try_acquire());
        }
    }
}

impl Recorder for Reenters {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        self.again();
    }

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        self.again();
    }

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        self.again();
    }

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        self.again();
        Counter::from_arc(self.count.clone())
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        self.again();
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        self.again();
        Histogram::noop()
    }
}

#[test]
fn a_recorder_may_ask_for_the_figures_while_it_registers_them() {
    watch();
    for depth in [1, 2, 30] {
        let monitored = Monitored::new("database", Semaphore::new(1));
        let count = Arc::new(AtomicU64::new(0));
        let recorder = Reenters {
            monitored: monitored.clone(),
            depth: AtomicU64::new(depth),
            count: count.clone(),
        };
        with_local_recorder(&recorder, || monitored.metrics());
        count.store(0, Ordering::SeqCst);
        drop(monitored.try_acquire().unwrap());
        assert_eq!(count.load(Ordering::SeqCst), 1, "counted once");
    }
}

/// A counter that panics while it is told to.
#[derive(Debug, Default)]
struct Panics(AtomicBool);

impl CounterFn for Panics {
    fn increment(&self, _: u64) {
        assert!(!self.0.load(Ordering::SeqCst), "the recorder panics");
    }

    fn absolute(&self, _: u64) {}
}

#[test]
fn nothing_is_lost_if_the_recorder_panics() {
    let panics = Arc::new(Panics::default());
    let monitored = Monitored::new("database", Semaphore::new(1));
    let recorder = Parts(Counter::from_arc(panics.clone()), Histogram::noop());
    with_local_recorder(&recorder, || monitored.metrics());
    let held = monitored.try_acquire().unwrap();
    let (mut first, second) = (waiting(&monitored, 1), waiting(&monitored, 1));
    panics.0.store(true, Ordering::SeqCst);

    assert_eq!(panic_of(|| drop(second)), "the recorder panics");
    assert_eq!(monitored.report().waiters.len(), 1, "it has left nevertheless");
    drop(held);
    assert_eq!(panic_of(|| drop(first.poll())), "the recorder panics");
    assert_eq!(panic_of(|| drop(monitored.try_acquire())), "the recorder panics");
    let report = monitored.report();
    assert_eq!((report.status.available, report.holders.len(), report.waiters.len()), (1, 0, 0));
}
