//! What is measured, and how fast it is to be.

use std::time::Duration;

use semafair_benches::{
    Acquire, AcquireMany, AddPermits, AddPermitsCall, BareTasks, Call, Cancel, Comparison, Enqueue,
    EnqueueCancel, HalfCancelled, HandOff, HandOffDownTheLine, Order, Runtime, Threads, TokioTasks,
    TryAcquire,
};

/// Comparisons that make one table.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    /// What stands above the table.
    pub(crate) about: &'static str,
    pub(crate) shows: Shows,
    /// How long each row may take.
    pub(crate) budget: Duration,
    pub(crate) comparisons: Vec<Comparison>,
}

/// What a table tells of each semaphore.
#[derive(Clone, Copy)]
pub(crate) enum Shows {
    /// The ratio to the baseline.
    Ratios,
    /// Nanoseconds per operation, over the number of these; there is a chart of it too.
    Times { over: &'static str },
}

const ORDERS: [Order; 3] = [Order::Fifo, Order::Lifo, Order::Random];

pub(crate) fn sections() -> Vec<Section> {
    let ratios = |title, about, comparisons| Section {
        title,
        about,
        shows: Shows::Ratios,
        budget: Duration::from_millis(2700),
        comparisons,
    };
    let times = |title, over, about, comparisons| Section {
        title,
        about,
        shows: Shows::Times { over },
        budget: Duration::from_millis(1200),
        comparisons,
    };
    vec![
        ratios(
            "Nobody waits",
            "Two threads have a permit each: they meet in the semaphore's memory only. Next to the \
             semaphores stand two atomic additions, and the lock and unlock of a mutex, in the same \
             loops.",
            vec![
                Comparison::of(Acquire).goal(0.36),
                Comparison::of(TryAcquire).goal(0.55),
                Comparison::of(AcquireMany(8)).goal(0.33),
                Comparison::of(Threads { threads: 2, call: Call::Acquire }).goal(0.30),
                Comparison::of(Threads { threads: 2, call: Call::TryAcquire }).goal(0.45),
            ],
        ),
        ratios(
            "Hand-off",
            "Each task acquires the permit, lets the others run, and drops it, ten times; an \
             operation is one such turn. With one waiter, an operation is a future that waits, the \
             drop of the permit, and the poll that takes it over.",
            hand_off(),
        ),
        ratios(
            "Cancellation",
            "Waiters queue up one by one, and leave first in first out, last in first out, or in \
             random order. An operation is one waiter. Where only the cancelling is named, queueing \
             up is not timed.",
            cancellation(),
        ),
        ratios(
            "Permits for all",
            "An operation is one waiter, which is polled and gets one of the permits added in one \
             call. Queueing up is not timed. In the last rows, only the call is.",
            permits_for_all(),
        ),
        times(
            "Growth: enqueue",
            "waiters",
            "The first poll of each of so many waiters, with the making of its future.",
            growing(|n| Comparison::of(Enqueue(n))),
        ),
        times(
            "Growth: hand-off",
            "waiters",
            "A permit goes down a line of so many waiters: the drop of the permit, the poll of the \
             next, and the drop of its future.",
            growing(|n| Comparison::of(HandOffDownTheLine(n))),
        ),
        times(
            "Growth: cancel",
            "waiters",
            "So many waiters leave in random order: the drop of each future.",
            growing(|waiters| Comparison::of(Cancel { waiters, order: Order::Random })),
        ),
        times(
            "Growth: threads",
            "threads",
            "Threads that acquire and drop, with a permit for each. The time of a round, in which \
             each thread does so once, is divided by the turns that the processors take to serve all \
             threads: with more threads than processors this is the cost under preemption.",
            [1, 2, 4, 8, 16]
                .map(|threads| Comparison::of(Threads { threads, call: Call::Acquire }))
                .into(),
        ),
    ]
}

fn hand_off() -> Vec<Comparison> {
    let tasks = [2, 10, 100, 1000, 10_000];
    let bare = |tasks, permits| Comparison::of(BareTasks { tasks, permits });
    let on = |runtime| {
        tasks.map(|tasks| Comparison::of(TokioTasks { tasks, runtime }).goal(0.68)).into_iter()
    };
    let mut all = vec![Comparison::of(HandOff).goal(1.0)];
    all.extend(tasks.map(|tasks| bare(tasks, 1).goal(0.62)));
    all.push(bare(1000, 10).goal(1.0));
    all.extend(on(Runtime::CurrentThread));
    all.extend(on(Runtime::TwoWorkers));
    all
}

fn cancellation() -> Vec<Comparison> {
    let one = EnqueueCancel { waiters: 1, order: Order::Fifo };
    let mut all = vec![Comparison::of(one).goal(0.77)];
    for order in ORDERS {
        let goal = if matches!(order, Order::Random) { 0.87 } else { 0.77 };
        for waiters in [100, 1000, 10_000, 100_000] {
            all.push(Comparison::of(EnqueueCancel { waiters, order }).goal(goal));
        }
    }
    for order in ORDERS {
        all.push(Comparison::of(Cancel { waiters: 1000, order }).goal(1.0));
    }
    all.push(Comparison::of(HalfCancelled(1000)).goal(1.0));
    all
}

fn permits_for_all() -> Vec<Comparison> {
    let whole = [100, 1000, 10_000, 100_000].map(|n| Comparison::of(AddPermits(n)).goal(0.46));
    let call = [100, 1000, 10_000].map(|n| Comparison::of(AddPermitsCall(n)).goal(0.97));
    whole.into_iter().chain(call).collect()
}

fn growing(comparison: impl Fn(u32) -> Comparison) -> Vec<Comparison> {
    [10, 100, 1000, 10_000, 100_000, 1_000_000].map(comparison).into()
}
