//! What tokio-console shows of a monitored semaphore: a real console-subscriber listens to a program, and a client of
//! its gRPC API, which is what tokio-console is, looks at it.

mod client;
#[path = "../it/support/seed.rs"]
mod seed;
#[path = "../it/support/watchdog.rs"]
mod watchdog;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use client::{Console, OpSeen, View};
use fastrand::Rng;
use semafair::Semaphore;
use semafair::monitor::{Monitored, MonitoredAcquire, MonitoredPermit};
use tokio::task::yield_now;
use watchdog::{times, watch};

/// Polls a future once, as a part of the program.
async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

/// What the client sees of a semaphore, and what that says of itself.
fn is_shown(view: &View, monitored: &Monitored) -> bool {
    let Some(seen) = view.named(monitored.name()) else { return false };
    let status = monitored.status();
    let shown = ["permits", "limit", "queued"].map(|name| seen.number(name));
    shown == [status.available, status.limit, status.queued]
}

#[test]
fn a_semaphore_is_shown_from_when_it_is_made_to_its_end() {
    watch();
    let mut console = Console::new();
    let (database, line) =
        console.run(async { (Monitored::new("database", Semaphore::new(2)), line!()) });
    let view = console.see("it appears", |view| view.named("database").is_some());
    let seen = view.named("database").unwrap();
    assert_eq!((&*seen.resource.concrete_type, seen.kind()), ("Monitored", "Sync"));
    assert!(!seen.resource.is_internal && seen.resource.parent_resource_id.is_none());
    let location = seen.location();
    assert!(location.file().ends_with("console.rs"), "{location}");
    assert_eq!(location.line(), line);
    assert!(location.column() > 1);
    let expected = [("name", "database"), ("permits", "2"), ("limit", "2"), ("queued", "0")];
    assert_eq!(seen.attributes, expected.map(|(name, value)| (name.into(), value.into())).into());

    console.run(async { drop(database) });
    let view = console.see("it goes", |view| view.named("database").unwrap().is_dropped);
    assert_eq!(view.dropped_events, 0);
}

/// Where the docs say that something is, it is.
#[test]
fn the_docs_show_the_program() {
    let program: Vec<_> = include_str!("program.rs").lines().collect();
    let shown = include_str!("../../src/monitor/console.txt");
    let sites: Vec<_> = shown.split("program.rs:").skip(1).collect();
    assert!(sites.len() > 5);
    for site in sites {
        let mut numbers = site.split(|c: char| !c.is_ascii_digit()).map(str::parse::<usize>);
        let mut number = || numbers.next().unwrap().unwrap() - 1;
        let call = &program[number()][number()..];
        let calls = ["Monitored::new(", "acquire", "sleep("];
        assert!(calls.iter().any(|start| call.starts_with(start)), "{call}");
    }
}

/// A holder, and waiters of different weights, in tasks of their own.
#[test]
fn who_waits_is_an_async_op_of_its_task() {
    watch();
    let mut console = Console::new();
    let database = console.run(async { Monitored::new("database", Semaphore::new(2)) });
    let held = console.run(async { database.acquire().await.unwrap() });
    let view = console.see("a permit goes", |view| {
        is_shown(view, &database) && view.ops_of("database").iter().any(|op| op.is_dropped)
    });
    let [op] = *view.ops_of("database") else { panic!("{view:#?}") };
    assert_eq!(op.op.source, "Monitored::acquire");
    assert!(op.op.parent_async_op_id.is_none());
    assert_eq!((op.number("permits_requested"), op.number("permits_obtained")), (1, 1));
    assert_eq!(view.named("database").unwrap().number("permits"), 1);

    // The weights are such that each waits for the one in front.
    let weights = [2, 1, 2];
    let (waiters, line) = console.run(async {
        let waiters = weights.map(|weight| {
            let database = database.clone();
            tokio::spawn(async move { drop(database.acquire_many(weight).label("job").await) })
        });
        yield_now().await;
        (waiters, line!() - 3)
    });
    let open = |view: &View| {
        view.ops_of("database").iter().filter(|op| !op.is_dropped && op.task.is_some()).count()
    };
    let view = console.see("they wait", |view| is_shown(view, &database) && open(view) == 3);
    let ops = view.ops_of("database").into_iter().filter(|op| !op.is_dropped);
    let mut tasks = Vec::new();
    let mut requested: Vec<_> = ops
        .map(|op| {
            assert_eq!(op.op.source, "Monitored::acquire_many");
            assert_eq!(op.attributes["label"], "job");
            let site = format!("console.rs:{line}:");
            assert!(op.attributes["site"].contains(&site), "{op:?}");
            assert_eq!((op.number("permits_obtained"), op.polls), (0, 1));
            let task = op.task.unwrap();
            let location = &view.tasks[&task].location;
            assert_eq!((location.line(), view.tasks[&task].stats.wakes), (line, 0));
            tasks.push(task);
            op.number("permits_requested")
        })
        .collect();
    requested.sort_unstable();
    assert_eq!(requested, [1, 2, 2]);
    assert!(database.status().queued > 0);

    // The holder goes, and all are served.
    console.run(async {
        drop(held);
        for waiter in waiters {
            waiter.await.unwrap();
        }
    });
    let view = console.see("they end", |view| {
        is_shown(view, &database)
            && view.ops_of("database").iter().all(|op| op.is_dropped)
            && tasks.iter().all(|task| view.tasks[task].stats.dropped_at.is_some())
    });
    assert_eq!(view.named("database").unwrap().number("permits"), 2);
    for op in view.ops_of("database") {
        assert_eq!(op.number("permits_obtained"), op.number("permits_requested"));
    }
    // tokio tells of wakes and wakers by itself: the semaphore has the task's waker.
    for task in tasks {
        let stats = &view.tasks[&task].stats;
        assert_eq!((stats.wakes, stats.self_wakes), (1, 0));
        assert_eq!(stats.waker_clones, stats.waker_drops);
    }
    let resource = view.named("database").unwrap().resource.id;
    assert!(
        view.polls.iter().all(|poll| poll.resource_id == resource && poll.name == "poll_acquire")
    );
    let ready = view.polls.iter().filter(|poll| poll.is_ready).count();
    assert_eq!((ready, view.polls.len() - ready), (4, 3));
    assert_eq!(view.dropped_events, 0);
}

/// A futurelock: it has what it asked for, and does not end.
#[test]
fn a_grant_that_nobody_collects_is_shown() {
    watch();
    let mut console = Console::new();
    let database = console.run(async { Monitored::new("database", Semaphore::new(1)) });
    let held = console.run(async { database.acquire().await.unwrap() });
    let mut forgotten = Box::pin(database.acquire());
    assert!(console.run(poll_once(forgotten.as_mut())).is_pending());
    console.run(async { drop(held) });
    let view = console.see("it is granted", |view| {
        let obtained = |op: &&&OpSeen| op.number("permits_obtained") == 1;
        is_shown(view, &database) && view.ops_of("database").iter().filter(obtained).count() == 2
    });
    let open: Vec<_> = view.ops_of("database").into_iter().filter(|op| !op.is_dropped).collect();
    // Of a grant it learns as of a poll.
    assert_eq!((open.len(), open[0].polls), (1, 2));
    assert_eq!(view.named("database").unwrap().number("permits"), 0);
    console.run(async { drop(forgotten) });
    console.see("it is cancelled", |view| {
        is_shown(view, &database) && view.ops_of("database").iter().all(|op| op.is_dropped)
    });
}

/// One step of what a program may do, drawn by chance.
async fn step(
    rng: &mut Rng,
    monitored: &Monitored,
    futures: &mut Vec<MonitoredAcquire>,
    permits: &mut Vec<MonitoredPermit>,
) {
    let n = rng.u32(1..3);
    match rng.u32(..7) {
        0 | 1 => futures.push(monitored.acquire_many(n)),
        2 | 3 if !futures.is_empty() => {
            let i = rng.usize(..futures.len());
            if let Poll::Ready(permit) = poll_once(pin!(&mut futures[i])).await {
                drop(futures.swap_remove(i));
                permits.extend(permit);
            }
        }
        4 if !futures.is_empty() => drop(futures.swap_remove(rng.usize(..futures.len()))),
        5 if !permits.is_empty() => drop(permits.swap_remove(rng.usize(..permits.len()))),
        6 => drop(monitored.set_limit(n as usize + 1)),
        _ => permits.extend(monitored.try_acquire()),
    }
}

#[test]
fn permits_are_shown_as_they_come_and_go() {
    watch();
    let mut rng = Rng::with_seed(seed::seed());
    let mut console = Console::new();
    let (monitored, clock) = console.run(async {
        let clock = Monitored::new("clock", Semaphore::new(0));
        (Monitored::new("database", Semaphore::new(2)), clock)
    });
    let (mut futures, mut permits) = (Vec::new(), Vec::new());
    for tick in 1..100 * times() {
        console.run(async {
            step(&mut rng, &monitored, &mut futures, &mut permits).await;
            clock.set_limit(tick);
        });
        // What the clock shows says which step the rest of the view is of.
        let view = console.see("the clock goes", |view| {
            view.named("clock").is_some_and(|clock| clock.number("limit") == tick)
        });
        assert!(is_shown(&view, &monitored), "{tick}: {monitored:?}, {view:#?}");
    }
    console.run(async { drop((futures, permits)) });
    let view = console.see("all ends", |view| {
        is_shown(view, &monitored) && view.ops_of("database").iter().all(|op| op.is_dropped)
    });
    assert_eq!(view.dropped_events, 0);
}
