//! What subscribers of `tracing` are told of a monitored semaphore: what tokio-console knows by its name, and shows.

mod recorder;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;

use fastrand::Rng;
use recorder::{Fields, Recorder};
use semafair::monitor::{Monitored, MonitoredAcquire, MonitoredPermit};
use semafair::{AcquireError, Semaphore};
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok};
use tracing::dispatcher;

use crate::support::watchdog::{times, watch};
use crate::support::{panic_of, poll, seed};

/// What `f` does with a semaphore that is made where a subscriber listens.
fn recorded(permits: usize, f: impl FnOnce(&Recorder, Monitored)) {
    watch();
    let recorder = Recorder::default();
    dispatcher::with_default(&recorder.dispatch(false), || {
        f(&recorder, Monitored::new("database", Semaphore::new(permits)));
    });
    recorder.no_hook();
    assert!(recorder.is_balanced());
    let open: Vec<_> = recorder.spans().into_iter().filter(|span| !span.is_closed()).collect();
    assert!(open.is_empty(), "{open:?}");
}

/// What is shown is what is.
#[track_caller]
fn shown(recorder: &Recorder, monitored: &Monitored) {
    let (resource, status) = (recorder.resource(), monitored.status());
    let shown = ["permits", "limit", "queued"].map(|name| resource.number(name));
    assert_eq!(shown, [status.available, status.limit, status.queued]);
}

fn fields<const N: usize>(fields: [(&'static str, &str); N]) -> Fields {
    fields.map(|(name, value)| (name, value.to_owned())).into()
}

#[test]
fn a_semaphore_is_a_resource() {
    watch();
    let recorder = Recorder::default();
    let dispatch = recorder.dispatch(false);
    let (monitored, line) = dispatcher::with_default(&dispatch, || {
        (Monitored::new("database", Semaphore::new(3)), line!())
    });
    let resource = recorder.resource();
    assert_eq!((resource.target, resource.parent), ("semafair::monitor", None));
    let mut found = resource.fields.clone();
    assert!(found.remove("loc.file").unwrap().ends_with("trace.rs"));
    assert!(found.remove("loc.col").is_some());
    let line = line.to_string();
    let expected = [("concrete_type", "Monitored"), ("kind", "Sync"), ("loc.line", &line)];
    assert_eq!(found, fields(expected));
    let attributes = [("name", "database"), ("permits", "3"), ("limit", "3"), ("queued", "0")];
    assert_eq!(resource.attributes, fields(attributes));
    drop(monitored.clone());
    assert!(!recorder.resource().is_closed());
    drop(monitored);
    assert!(recorder.resource().is_closed());
}

#[test]
fn a_request_is_an_async_op() {
    recorded(1, |recorder, monitored| {
        let mut first = spawn(monitored.acquire());
        assert_eq!(recorder.ops().len(), 0, "it has not asked yet");
        let held = assert_ready_ok!(first.poll());
        let [op] = &*recorder.ops() else { panic!("one op") };
        assert_eq!(op.fields, fields([("source", "Monitored::acquire")]));
        assert!(op.is_closed() && op.polls == [true]);
        assert_eq!(op.enters, 1, "tokio-console counts polls so");
        shown(recorder, &monitored);

        let mut second = spawn(monitored.acquire_many(1).label("import"));
        let site = line!() - 1;
        assert_pending!(second.poll());
        assert_pending!(second.poll());
        shown(recorder, &monitored);
        let op = recorder.ops().remove(1);
        assert_eq!(op.polls, [false, false]);
        let spans = recorder.spans();
        assert_eq!(spans[op.parent.unwrap()].name, "runtime.resource");
        let poll = recorder.named("runtime.resource.async_op.poll").remove(1);
        assert_eq!(spans[poll.parent.unwrap()].attributes, op.attributes);
        assert_eq!((op.number("permits_requested"), op.number("permits_obtained")), (1, 0));
        assert_eq!(op.attributes["label"], "import");
        let site = format!("tests/it/trace.rs:{site}:");
        assert!(op.attributes["site"].contains(&site), "{op:?}");

        // Granted, and not collected: it has what it asked for, and goes on.
        drop(held);
        let op = recorder.ops().remove(1);
        assert_eq!((op.number("permits_obtained"), op.is_closed()), (1, false));
        shown(recorder, &monitored);
        drop(assert_ready_ok!(second.poll()));
        let op = recorder.ops().remove(1);
        assert_eq!(op.number("permits_obtained"), 1);
        assert!(op.is_closed() && op.polls == [false, false, true]);
        assert_eq!(op.enters, 4, "three polls and the grant");
        assert!(
            recorder.named("runtime.resource.async_op.poll").iter().all(|poll| poll.is_closed())
        );
        shown(recorder, &monitored);
    });
}

#[test]
fn an_op_ends_when_its_future_is_dropped_or_refused() {
    recorded(1, |recorder, monitored| {
        let held = monitored.try_acquire().unwrap();
        let mut waiters = [2, 1, 1].map(|n| spawn(monitored.acquire_many(n)));
        waiters.iter_mut().for_each(|waiter| assert_pending!(waiter.poll()));
        assert_eq!(recorder.resource().number("queued"), 4);
        let [cancelled, granted, refused] = waiters;
        drop(cancelled);
        assert!(recorder.ops()[0].is_closed());
        assert_eq!(recorder.resource().number("queued"), 2);
        drop(held);
        assert_eq!(recorder.ops()[1].number("permits_obtained"), 1);
        monitored.close();
        let mut refused = refused;
        assert!(!recorder.ops()[2].is_closed(), "it has not looked yet");
        assert_ready_err!(refused.poll());
        assert!(recorder.ops()[2].is_closed());
        assert_eq!(recorder.ops()[2].number("permits_obtained"), 0);
        shown(recorder, &monitored);
        drop(granted);
        assert!(recorder.ops()[1].is_closed());
        shown(recorder, &monitored);
    });
}

#[test]
fn an_op_may_ask_before_it_is_polled() {
    recorded(2, |recorder, monitored| {
        let mut first = monitored.acquire_between(1..=5);
        let mut second = monitored.acquire_many(2);
        first.enqueue();
        second.enqueue();
        second = second.label("late");
        let ops = recorder.ops();
        assert_eq!(ops[0].fields["source"], "Monitored::acquire_between");
        assert_eq!((ops[0].number("permits_requested"), ops[0].number("permits_obtained")), (1, 2));
        assert_eq!((ops[1].number("permits_requested"), ops[1].number("permits_obtained")), (2, 0));
        assert_eq!(ops[1].attributes["label"], "late");
        assert!(!ops[0].is_closed());
        shown(recorder, &monitored);
        let permit = assert_ready_ok!(spawn(first).poll());
        assert!(recorder.ops()[0].is_closed());
        assert_eq!(permit.num_permits(), 2);
        drop(permit);
        assert_eq!(recorder.ops()[1].number("permits_obtained"), 2);
        drop(second);
        shown(recorder, &monitored);
        assert_eq!(monitored.available_permits(), 2);
    });
}

#[test]
fn a_call_that_blocks_is_an_async_op() {
    recorded(2, |recorder, monitored| {
        let permits = monitored.blocking_acquire().unwrap();
        drop(permits);
        drop(monitored.blocking_acquire_many(2).unwrap());
        let sources: Vec<_> = recorder.ops().iter().map(|op| op.fields["source"].clone()).collect();
        assert_eq!(sources, ["Monitored::blocking_acquire", "Monitored::blocking_acquire_many"]);
    });
}

/// One step of what a program may do, drawn by chance.
fn step(
    rng: &mut Rng,
    monitored: &Monitored,
    futures: &mut Vec<MonitoredAcquire>,
    permits: &mut Vec<MonitoredPermit>,
) {
    let n = rng.u32(0..3);
    match rng.u32(0..12) {
        0 => futures.push(monitored.acquire_many(n)),
        1 => futures.push(monitored.acquire_between(n..=n + 2)),
        2 => {
            let mut future = monitored.acquire_many(n);
            future.enqueue();
            futures.push(future);
        }
        3 | 4 if !futures.is_empty() => {
            let i = rng.usize(..futures.len());
            if let Poll::Ready(answer) = poll(&mut futures[i], Waker::noop()) {
                drop(futures.swap_remove(i));
                permits.extend(answer);
            }
        }
        5 if !futures.is_empty() => drop(futures.swap_remove(rng.usize(..futures.len()))),
        6 => permits.extend(monitored.try_acquire_many(n)),
        7 | 8 if !permits.is_empty() => drop(permits.swap_remove(rng.usize(..permits.len()))),
        9 if permits.len() > 1 => {
            let other = permits.swap_remove(0);
            permits[0].merge(other);
        }
        10 if !permits.is_empty() => {
            let part = permits[0].split(n as usize);
            permits.extend(part);
        }
        11 => match rng.u32(0..5) {
            0 => monitored.add_permits(n as usize),
            1 => drop(monitored.forget_permits(n as usize)),
            2 => drop(monitored.set_limit(n as usize + 2)),
            3 if !permits.is_empty() => permits.swap_remove(0).forget(),
            _ => {}
        },
        _ => {}
    }
}

#[test]
fn what_is_shown_is_what_is() {
    let mut rng = Rng::with_seed(seed());
    recorded(3, |recorder, monitored| {
        let (mut futures, mut permits) = (Vec::new(), Vec::new());
        for _ in 0..300 * times() {
            step(&mut rng, &monitored, &mut futures, &mut permits);
            shown(recorder, &monitored);
            let report = monitored.report();
            let open: Vec<_> = recorder.ops().into_iter().filter(|op| !op.is_closed()).collect();
            assert_eq!(open.len(), report.waiters.len() + report.uncollected.len());
            let obtained: usize = open.iter().map(|op| op.number("permits_obtained")).sum();
            assert_eq!(obtained, report.uncollected.iter().map(|claim| claim.permits).sum());
        }
        monitored.close();
        shown(recorder, &monitored);
        drop((futures, permits));
        shown(recorder, &monitored);
    });
}

/// At each call of the subscriber in turn, another thread gives permits back.
#[test]
fn what_changes_while_it_is_shown_is_shown() {
    for meanwhile in 0.. {
        let mut is_over = false;
        recorded(2, |recorder, monitored| {
            let held = Arc::new(Mutex::new(Some(monitored.try_acquire_many(2).unwrap())));
            let mut waiter = spawn(monitored.acquire());
            let (calls, holder) = (recorder.calls(), held.clone());
            let dispatch = dispatcher::get_default(Clone::clone);
            recorder.set_hook(move |call| {
                if call == calls + meanwhile {
                    let permits = holder.lock().unwrap().take();
                    thread::scope(|scope| {
                        scope.spawn(|| dispatcher::with_default(&dispatch, || drop(permits)));
                    });
                }
            });
            let polled = waiter.poll();
            recorder.no_hook();
            shown(recorder, &monitored);
            is_over = held.lock().unwrap().is_some();
            if polled.is_pending() {
                let obtained = recorder.ops()[0].number("permits_obtained");
                assert_eq!(obtained, usize::from(!is_over));
                assert_eq!(monitored.report().uncollected.len(), obtained);
            }
        });
        if is_over {
            assert!(meanwhile > 15, "it was called more often than that");
            break;
        }
    }
}

#[test]
fn under_load_the_last_to_show_shows_what_is() {
    let mut rng = Rng::with_seed(seed());
    recorded(3, |recorder, monitored| {
        for _ in 0..20 * times() {
            thread::scope(|scope| {
                for _ in 0..3 {
                    let (monitored, mut rng, dispatch) =
                        (&monitored, rng.fork(), dispatcher::get_default(Clone::clone));
                    scope.spawn(move || {
                        dispatcher::with_default(&dispatch, || {
                            let (mut futures, mut permits) = (Vec::new(), Vec::new());
                            for _ in 0..30 {
                                step(&mut rng, monitored, &mut futures, &mut permits);
                            }
                        });
                    });
                }
            });
            shown(recorder, &monitored);
        }
        assert!(recorder.ops().iter().all(|op| op.is_closed()));
        assert_eq!(monitored.available_permits(), monitored.status().limit);
    });
}

/// A request that waits, is granted its permits, and gives them back.
fn life(monitored: &Monitored) {
    let held = monitored.try_acquire().unwrap();
    let mut waiter = spawn(monitored.acquire());
    assert_pending!(waiter.poll());
    drop(held);
    drop(assert_ready_ok!(waiter.poll()));
    monitored.set_limit(2);
    monitored.close();
}

#[test]
fn nobody_is_told_what_nobody_asked_for() {
    watch();
    let recorder = Recorder::default();
    // No interest.
    dispatcher::with_default(&recorder.dispatch(true), || {
        life(&Monitored::new("database", Semaphore::new(1)));
    });
    assert_eq!(recorder.calls(), 0);
    // No subscriber, and one that comes too late.
    let monitored = Monitored::new("database", Semaphore::new(1));
    dispatcher::with_default(&recorder.dispatch(false), || life(&monitored));
    assert_eq!(recorder.calls(), 0);
    // A semaphore that is not monitored.
    dispatcher::with_default(&recorder.dispatch(false), || {
        let semaphore = Arc::new(Semaphore::builder(1).name("plain").build());
        let held = semaphore.try_acquire().unwrap();
        let mut waiter = spawn(semaphore.clone().acquire_owned());
        assert_pending!(waiter.poll());
        drop(held);
        drop(assert_ready_ok!(waiter.poll()));
    });
    assert_eq!(recorder.calls(), 0);
}

/// No lock is held while it runs.
#[test]
fn a_subscriber_may_look() {
    recorded(1, |recorder, monitored| {
        let seen = Arc::new(AtomicUsize::new(0));
        let (looks, looked_at) = (seen.clone(), monitored.clone());
        recorder.set_hook(move |_| {
            let report = looked_at.report();
            assert_eq!(report.name, "database");
            looks.fetch_add(1, Ordering::SeqCst);
        });
        life(&monitored);
        recorder.no_hook();
        assert!(seen.load(Ordering::SeqCst) > 20);
        shown(recorder, &monitored);
    });
}

/// A subscriber panics at each of its calls in turn.
#[test]
fn a_subscriber_that_panics_loses_nothing() {
    watch();
    for bad in 0.. {
        let recorder = Recorder::default();
        let dispatch = recorder.dispatch(false);
        let panics = Arc::new(AtomicUsize::new(0));
        dispatcher::with_default(&dispatch, || {
            let monitored = Monitored::new("database", Semaphore::new(3));
            let calls = recorder.calls();
            let panicked = panics.clone();
            recorder.set_hook(move |call| {
                if call == calls + bad {
                    panicked.fetch_add(1, Ordering::SeqCst);
                    panic!("call {bad}");
                }
            });
            survives(&monitored);
            drop_while_panicking(monitored);
            recorder.no_hook();
        });
        if panics.load(Ordering::SeqCst) == 0 {
            assert!(bad > 100, "it was called more often than that");
            break;
        }
    }
}

/// Does something that a subscriber may end by a panic.
fn perhaps<T>(f: impl FnOnce() -> T) -> Option<T> {
    let mut result = None;
    let panic = catch_unwind(AssertUnwindSafe(|| result = Some(f())));
    if let Err(panic) = panic {
        let message = panic.downcast_ref::<String>().expect("that of the subscriber");
        assert!(message.starts_with("call "), "{message}");
    }
    result
}

/// A second panic would abort.
fn drop_while_panicking<T>(dropped: T) {
    let panic = panic_of(|| {
        let _dropped = dropped;
        panic!("of the program");
    });
    assert_eq!(panic, "of the program");
}

/// Polls it, and again if a panic came before it asked, or before it returned what it was answered, which it still has
/// then.
fn look_again(future: &mut MonitoredAcquire) -> Poll<Result<MonitoredPermit, AcquireError>> {
    let first = perhaps(|| poll(future, Waker::noop()));
    first.unwrap_or_else(|| poll(future, Waker::noop()))
}

/// Every kind of call, at which the subscriber panics at most once: nothing gets lost, and who waits is served.
fn survives(monitored: &Monitored) {
    let mut all = perhaps(|| monitored.try_acquire_many(3).unwrap());
    if all.is_none() {
        assert_eq!(monitored.available_permits(), 3, "given back");
        all = Some(monitored.try_acquire_many(3).unwrap());
    }
    let mut all = all.unwrap();
    let part = perhaps(|| all.split(1).unwrap());
    let mut cancelled = monitored.acquire().label("cancelled");
    let mut waiters = [(); 4].map(|()| monitored.acquire());
    assert!(look_again(&mut cancelled).is_pending());
    for (i, waiter) in waiters.iter_mut().enumerate() {
        if i == 0 {
            perhaps(|| waiter.enqueue());
        }
        assert!(look_again(waiter).is_pending());
    }
    perhaps(|| drop(cancelled));
    perhaps(|| drop(part));
    perhaps(|| drop(all));
    assert_eq!(monitored.status().outstanding, 3, "all were granted to those who wait");
    let mut held = Vec::new();
    for waiter in &mut waiters[..3] {
        let Poll::Ready(Ok(permit)) = look_again(waiter) else { panic!("it was granted") };
        held.push(permit);
    }
    assert_eq!(monitored.status().outstanding, 3);
    perhaps(|| monitored.add_permits(1));
    perhaps(|| monitored.set_limit(3));
    perhaps(|| monitored.forget_permits(1));
    let one = held.pop().unwrap();
    perhaps(|| one.forget());
    assert_eq!(monitored.status().limit, 2);
    perhaps(|| monitored.close());
    let [.., last] = &mut waiters;
    let answer = look_again(last);
    assert!(answer.is_ready(), "granted what was added, or refused");
    perhaps(|| drop(answer));
    let (one, two) = (held.pop().unwrap(), held.pop().unwrap());
    drop_while_panicking((one, two));
    perhaps(|| drop(waiters));
    let status = monitored.status();
    assert_eq!((status.outstanding, status.queued), (0, 0));
    let report = monitored.report();
    assert!(
        report.holders.is_empty() && report.waiters.is_empty() && report.uncollected.is_empty()
    );
}
