//! Who holds, who waits, and who was given permits and does not look.

#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "metrics")]
mod scrape;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use semafair::Semaphore;
use semafair::monitor::{Case, CaseKind, Claim, Monitored, MonitoredPermit};
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok};

use crate::support::watchdog::{times, watch};
use crate::support::{panic_of, seed};

fn monitored(permits: usize) -> Monitored {
    Monitored::new("database", Semaphore::new(permits))
}

/// How many hold, wait, and have not collected.
fn numbers(monitored: &Monitored) -> (usize, usize, usize) {
    let report = monitored.report();
    (report.holders.len(), report.waiters.len(), report.uncollected.len())
}

fn permits(claims: &[Claim]) -> usize {
    claims.iter().map(|claim| claim.permits).sum()
}

#[test]
fn each_request_is_where_it_is_in_its_life() {
    let monitored = monitored(1);
    assert_eq!(numbers(&monitored), (0, 0, 0));
    let mut first = spawn(monitored.acquire());
    assert_eq!(numbers(&monitored), (0, 0, 0), "it has not asked yet");
    let held = assert_ready_ok!(first.poll());
    assert_eq!(numbers(&monitored), (1, 0, 0));
    let mut second = spawn(monitored.acquire());
    assert_pending!(second.poll());
    assert_eq!(numbers(&monitored), (1, 1, 0));
    drop(held);
    assert!(second.is_woken());
    assert_eq!(numbers(&monitored), (0, 0, 1));
    let held = assert_ready_ok!(second.poll());
    assert_eq!(numbers(&monitored), (1, 0, 0));
    held.forget();
    assert_eq!(numbers(&monitored), (0, 0, 0));
    assert_eq!(monitored.status().limit, 0);
}

async fn asks(monitored: &Monitored) {
    drop(monitored.acquire().label("inside").await);
}
const ASKS: u32 = line!() - 2;

#[test]
fn it_says_where_the_call_is() {
    let monitored = monitored(3);
    let permit = assert_ready_ok!(spawn(monitored.acquire()).poll());
    let line = line!() - 1;
    let tried = monitored.try_acquire_many(2).unwrap();
    tried.set_label("the try");
    let report = monitored.report();
    let [one, two] = &*report.holders else { panic!("{report}") };
    assert!(one.file.ends_with("monitor.rs"));
    assert_eq!((one.line, one.permits, one.label.as_deref()), (line, 1, None));
    assert_eq!((two.line, two.permits, two.label.as_deref()), (line + 2, 2, Some("the try")));
    assert_eq!(permit.site().line(), line);

    // In an `async fn`, where the future is made.
    let mut task = spawn(asks(&monitored));
    assert_pending!(task.poll());
    let report = monitored.report();
    assert_eq!(report.waiters[0].line, ASKS);
    assert_eq!(report.waiters[0].label.as_deref(), Some("inside"));
}

#[test]
fn the_report_reads_in_plain_words() {
    let monitored = monitored(2);
    let held = monitored.try_acquire().unwrap();
    let mut first = spawn(monitored.acquire_many(2).label("first"));
    let mut second = spawn(monitored.acquire());
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    let text = monitored.report().to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "database: limit 2, available 0, outstanding 2, debt 0, queued 2");
    assert!(lines[1].ends_with("permits  held by"), "{text}");
    assert!(lines[2].contains("1  tests/it/monitor.rs:"), "{text}");
    assert!(lines[3].ends_with("permits  waited for by"), "{text}");
    assert!(
        lines[4].contains("2  tests/it/monitor.rs:") && lines[4].ends_with(" (first)"),
        "{text}"
    );
    assert_eq!(lines.len(), 6, "{text}");

    drop(held);
    let text = monitored.report().to_string();
    let sentence = text.lines().nth(1).unwrap();
    assert!(sentence.starts_with("  2 permits were granted "), "{text}");
    assert!(sentence.contains(" ago to tests/it/monitor.rs:"), "{text}");
    assert!(sentence.ends_with(" (first), and nobody has polled that future since"), "{text}");
    drop(first);
    let text = monitored.report().to_string();
    assert!(text.contains("  1 permit was granted "), "{text}");
    monitored.close();
    assert!(monitored.report().to_string().lines().next().unwrap().ends_with(", closed"));
    drop(second);
}

#[cfg(feature = "serde")]
#[test]
fn a_report_is_for_programs_too() {
    let monitored = monitored(2);
    let held = monitored.try_acquire().unwrap();
    held.set_label("import");
    let report = ron::to_string(&monitored.report()).unwrap();
    assert!(
        report.starts_with("(name:\"database\",status:(name:None,limit:2,available:1,"),
        "{report}"
    );
    assert!(report.contains("label:Some(\"import\"),permits:1,"), "{report}");
    assert!(report.contains("uncollected:[],") && report.ends_with("waiters:[])"), "{report}");
}

#[test]
fn a_watch_says_each_thing_once() {
    let monitored = monitored(2);
    let mut now = monitored.watch(Duration::ZERO);
    let mut late = monitored.watch(Duration::from_secs(1 << 30));
    let kinds = |watch: &mut semafair::monitor::Watch| {
        let cases = watch.check().unwrap();
        cases.iter().map(|case| (case.kind, case.claim.permits)).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&mut now), []);
    let held = monitored.try_acquire_many(2).unwrap();
    let mut waiter = spawn(monitored.acquire());
    assert_pending!(waiter.poll());
    assert_eq!(kinds(&mut now), [(CaseKind::Holder, 2), (CaseKind::Waiter, 1)]);
    assert_eq!(kinds(&mut now), []);
    drop(held);
    assert_eq!(kinds(&mut now), [(CaseKind::Uncollected, 1)]);
    assert_eq!(kinds(&mut now), []);
    let held = assert_ready_ok!(waiter.poll());
    assert_eq!(kinds(&mut now), [(CaseKind::Holder, 1)]);
    assert_eq!(kinds(&mut now), []);
    assert_eq!(kinds(&mut late), []);
    drop((waiter, monitored));
    assert!(now.check().is_some(), "there is a guard");
    drop(held);
    assert!(now.check().is_none(), "nothing is there");
}

/// Who was refused and does not look was granted nothing.
#[test]
fn a_refusal_is_no_grant() {
    let monitored = monitored(1);
    let held = monitored.try_acquire().unwrap();
    let mut waiter = spawn(monitored.acquire());
    assert_pending!(waiter.poll());
    monitored.close();
    assert!(waiter.is_woken());
    assert_eq!(numbers(&monitored), (1, 0, 0));
    assert!(assert_ready_err!(waiter.poll()).is_closed());
    let panic = panic_of(|| drop(waiter.poll()));
    assert_eq!(panic, "`MonitoredAcquire` polled after completion");
    let mut drained = spawn(monitored.drained());
    assert_pending!(drained.poll());
    drop(held);
    assert!(drained.is_woken());
    assert_eq!(numbers(&monitored), (0, 0, 0));
}

#[test]
fn it_asks_before_it_is_polled() {
    let monitored = monitored(1);
    let mut first = monitored.acquire();
    let mut second = monitored.acquire().label("second");
    first.enqueue();
    second.enqueue();
    second.enqueue();
    assert!(!first.is_queued() && second.is_queued());
    assert_eq!(numbers(&monitored), (0, 1, 1));
    drop(first);
    assert_eq!(numbers(&monitored), (0, 0, 1));
    let mut second = spawn(second);
    let permit = assert_ready_ok!(second.poll());
    assert_eq!(numbers(&monitored), (1, 0, 0));
    drop(permit);
    assert_eq!(monitored.available_permits(), 1);
    monitored.close();
    let mut third = monitored.acquire();
    third.enqueue();
    assert_eq!(numbers(&monitored), (0, 0, 0));
    assert!(assert_ready_err!(spawn(third).poll()).is_closed());
}

#[test]
fn guards_are_split_and_merged() {
    let monitored = monitored(5);
    let mut all = monitored.try_acquire_between(1..=9).unwrap();
    assert_eq!(all.num_permits(), 5);
    let part = all.split(2).unwrap();
    assert!(all.split(4).is_none());
    let report = monitored.report();
    assert_eq!(report.holders.iter().map(|claim| claim.permits).collect::<Vec<_>>(), [3, 2]);
    all.merge(part);
    let report = monitored.report();
    assert_eq!(report.holders.iter().map(|claim| claim.permits).collect::<Vec<_>>(), [5]);
    assert_eq!(all.semaphore().available_permits(), 0);
}

/// They have been held since the guard was made that was split.
#[test]
fn a_part_is_held_as_long_as_the_whole() {
    let monitored = monitored(2);
    let mut all = monitored.try_acquire_many(2).unwrap();
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(2) {
        thread::yield_now();
    }
    let part = all.split(1).unwrap();
    drop(all);
    assert!(monitored.report().holders[0].age >= Duration::from_millis(2));
    drop(part);
}

#[test]
fn blocking_is_noted_too() {
    let monitored = monitored(1);
    let held = monitored.blocking_acquire().unwrap();
    let other = monitored.clone();
    let waiter = thread::spawn(move || drop(other.blocking_acquire_many(1).unwrap()));
    while monitored.report().waiters.is_empty() {
        thread::yield_now();
    }
    drop(held);
    waiter.join().unwrap();
    assert_eq!(numbers(&monitored), (0, 0, 0));
}

/// Each figure beside what threads know that they have done.
#[test]
fn under_load_every_figure_adds_up() {
    watch();
    let mut rng = Rng::with_seed(seed());
    let monitored = monitored(4);
    let held = Arc::new(AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            let (monitored, held, mut rng) = (&monitored, held.clone(), rng.fork());
            scope.spawn(move || {
                let mut guards: Vec<MonitoredPermit> = Vec::new();
                for _ in 0..500 * times() {
                    let n = rng.u32(1..3);
                    let mut future = spawn(monitored.acquire_many(n));
                    if let std::task::Poll::Ready(permit) = future.poll() {
                        guards.push(permit.unwrap());
                        held.fetch_add(1, Ordering::SeqCst);
                    }
                    if rng.bool() && !guards.is_empty() {
                        held.fetch_sub(1, Ordering::SeqCst);
                        drop(guards.swap_remove(rng.usize(..guards.len())));
                    }
                    let report = monitored.report();
                    assert!(report.holders.len() >= guards.len());
                    assert!(report.status.outstanding <= 4);
                }
                held.fetch_sub(guards.len(), Ordering::SeqCst);
            });
        }
    });
    assert_eq!(held.load(Ordering::SeqCst), 0);
    assert_eq!(numbers(&monitored), (0, 0, 0));
    assert_eq!(monitored.available_permits(), 4);

    // Nothing changes: exact.
    let guards: Vec<_> = (0..3).map(|_| monitored.try_acquire().unwrap()).collect();
    let mut waiters: Vec<_> = (0..3).map(|_| spawn(monitored.acquire_many(2))).collect();
    waiters.iter_mut().for_each(|waiter| assert_pending!(waiter.poll()));
    let report = monitored.report();
    assert_eq!((permits(&report.holders), permits(&report.waiters)), (3, 6));
    drop(guards);
    let report = monitored.report();
    assert_eq!((permits(&report.uncollected), permits(&report.waiters)), (4, 2));
    assert_eq!(report.status.outstanding, 4);
}

/// A task that has to yield is woken at once. That wake is neither a grant nor the end of a wait.
#[cfg(feature = "tokio")]
#[tokio::test]
async fn a_yield_is_no_grant() {
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::task::Poll;

    let monitored = Monitored::new("database", Semaphore::builder(1).queue_limit(1).build());
    let held = monitored.try_acquire().unwrap();
    let waits = monitored.acquire();
    let mut waits = pin!(waits);
    let mut refused = pin!(monitored.acquire());
    poll_fn(|cx| {
        while let Poll::Ready(progress) = tokio::task::coop::poll_proceed(cx) {
            progress.made_progress();
        }
        assert!(waits.as_mut().poll(cx).is_pending());
        assert!(refused.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    assert_eq!(numbers(&monitored), (1, 1, 0));
    assert!(refused.await.unwrap_err().is_queue_full());
    drop(held);
    assert_eq!(numbers(&monitored), (0, 0, 1));
}

/// It is kept for the task, which has to yield first, whether the semaphore is open or not.
#[cfg(feature = "tokio")]
#[tokio::test]
async fn closing_takes_no_grant_back() {
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::task::Poll;

    let other = Semaphore::new(1);
    poll_fn(|cx| {
        while let Poll::Ready(progress) = tokio::task::coop::poll_proceed(cx) {
            progress.made_progress();
        }
        // Every 32nd asks the budget.
        let (monitored, mut granted) = loop {
            let monitored = monitored(1);
            let mut future = Box::pin(monitored.acquire());
            if future.as_mut().poll(cx).is_pending() {
                break (monitored, future);
            }
        };
        assert_eq!(numbers(&monitored), (0, 0, 1));
        monitored.close();
        for _ in 1..32 {
            assert!(pin!(other.acquire()).poll(cx).is_ready());
        }
        assert!(granted.as_mut().poll(cx).is_pending());
        assert_eq!(numbers(&monitored), (0, 0, 1));
        Poll::Ready(())
    })
    .await;
}

#[test]
fn it_runs_a_future_under_permits() {
    let monitored = monitored(2);
    let mut run = spawn(monitored.run_many(2, std::future::pending::<()>()));
    let line = line!() - 1;
    assert_eq!(numbers(&monitored), (0, 0, 0));
    assert_pending!(run.poll());
    let report = monitored.report();
    assert_eq!((report.holders[0].line, report.holders[0].permits), (line, 2));
    let mut next = spawn(monitored.run(async { panic!("inside") }));
    assert_pending!(next.poll());
    drop(run);
    assert_eq!(panic_of(|| drop::<std::task::Poll<Result<(), _>>>(next.poll())), "inside");
    assert_eq!((numbers(&monitored), monitored.available_permits()), ((0, 0, 0), 2));
    monitored.close();
    assert!(assert_ready_err!(spawn(monitored.run(async {})).poll()).is_closed());
}

#[test]
fn a_time_out_leaves_the_line() {
    let monitored = monitored(1);
    let held = monitored.blocking_acquire_timeout(Duration::ZERO).unwrap();
    assert!(monitored.blocking_acquire_many_timeout(1, Duration::from_millis(1)).is_err());
    assert_eq!(numbers(&monitored), (1, 0, 0));
    drop(held);
}

#[test]
fn the_owned_forms_are_the_same() {
    let monitored = Arc::new(monitored(3));
    let one = monitored.clone().try_acquire_owned().unwrap();
    let two = assert_ready_ok!(spawn(monitored.clone().acquire_between_owned(1..=9)).poll());
    assert!(monitored.clone().try_acquire_many_owned(1).is_err());
    assert_eq!((one.num_permits(), two.num_permits(), monitored.outstanding()), (1, 2, 3));
    assert_eq!(monitored.reduce_permits(1), 1);
    monitored.try_add_permits(4).unwrap();
    assert_eq!((monitored.limit(), monitored.status().available), (6, 3));
}

#[tokio::test]
async fn it_watches_as_a_task() {
    watch();
    let monitored = monitored(1);
    let (send, mut cases) = tokio::sync::mpsc::unbounded_channel();
    let watching = monitored.watch(Duration::from_millis(1));
    let task = tokio::spawn(watching.run(tokio::time::sleep, move |case| drop(send.send(case))));
    let held = monitored.acquire().await.unwrap();
    let case = cases.recv().await.unwrap();
    assert_eq!((case.kind, &*case.name), (CaseKind::Holder, "database"));
    drop(held);
    drop(monitored);
    task.await.unwrap();
}

#[test]
fn it_watches_on_a_thread() {
    watch();
    let monitored = monitored(1);
    let (send, cases) = std::sync::mpsc::channel();
    let watching = monitored.watch(Duration::from_millis(1)).spawn(move |case| {
        drop(send.send(case));
    });
    let held = monitored.try_acquire().unwrap();
    let mut waiter = spawn(monitored.acquire());
    assert_pending!(waiter.poll());
    let mut kinds = vec![cases.recv().unwrap().kind, cases.recv().unwrap().kind];
    drop(held);
    kinds.push(cases.recv().unwrap().kind);
    kinds[..2].sort_by_key(|kind| *kind == CaseKind::Waiter);
    assert_eq!(kinds, [CaseKind::Holder, CaseKind::Waiter, CaseKind::Uncollected]);
    drop(watching);
    assert!(cases.recv().is_err(), "it has ended");
}

fn labelled(monitored: &Monitored, label: &'static str) -> MonitoredPermit {
    let permit = monitored.try_acquire().unwrap();
    permit.set_label(label);
    permit
}

/// Traffic on several threads, and three planted faults: each is reported exactly once. A minute of it with
/// `SEMAFAIR_TIMES=60`.
#[test]
fn each_planted_fault_is_reported_once() {
    watch();
    let threshold = Duration::from_millis(400);
    let monitored = Monitored::new("soak", Semaphore::new(5));
    let cases = Arc::new(Mutex::new(Vec::new()));
    let noted = cases.clone();
    let watching = monitored.watch(threshold).spawn(move |case| noted.lock().unwrap().push(case));

    // A futurelock: it takes one permit away. Its place is in front of all the traffic.
    let all = monitored.try_acquire_many(5).unwrap();
    let mut futurelock = spawn(monitored.acquire().label("futurelock"));
    assert_pending!(futurelock.poll());
    drop(all);
    std::mem::forget(labelled(&monitored, "leaked permit"));
    let slow = labelled(&monitored, "slow holder");

    let end = Instant::now() + Duration::from_secs(1) * u32::try_from(times()).unwrap();
    let mut rng = Rng::with_seed(seed());
    thread::scope(|scope| {
        for _ in 0..3 {
            let (monitored, mut rng) = (&monitored, rng.fork());
            scope.spawn(move || {
                while Instant::now() < end {
                    let permit = monitored.blocking_acquire().unwrap();
                    for _ in 0..rng.u32(..20) {
                        thread::yield_now();
                    }
                    drop(permit);
                }
            });
        }
    });
    // On a busy machine the traffic may be reported, too.
    let planted = |case: &&Case| case.claim.label.is_some();
    while cases.lock().unwrap().iter().filter(planted).count() < 3 {
        thread::yield_now();
    }
    drop((slow, futurelock));
    drop(watching);
    let mut found: Vec<_> = cases
        .lock()
        .unwrap()
        .iter()
        .filter(planted)
        .map(|case| (case.claim.label.clone().unwrap_or_default(), case.kind))
        .collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    let faults = [
        ("futurelock", CaseKind::Uncollected),
        ("leaked permit", CaseKind::Holder),
        ("slow holder", CaseKind::Holder),
    ];
    assert_eq!(found, faults.map(|(label, kind)| (label.to_string(), kind)));
}
