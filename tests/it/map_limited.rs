//! `map_limited` runs a function on the items of a stream under permits, and has none while its consumer works.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, ready};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use fastrand::Rng;
use futures::stream::{self, FusedStream};
use futures::{Stream, StreamExt, TryStreamExt};
use semafair::{AcquireError, LimitedStreamExt, MapLimited, Semaphore};
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio_test::task::{Spawn, spawn};
use tokio_test::{assert_pending, assert_ready, assert_ready_eq};

use crate::support::watchdog::times;
use crate::support::{panic_of, seed, served, wait, waits, watch};

/// Polls `future` as long as it is woken. `None` if it is stuck.
fn run<F: Future>(future: F) -> Option<F::Output> {
    watch();
    let mut task = spawn(future);
    loop {
        if let Poll::Ready(output) = task.poll() {
            return Some(output);
        }
        if !task.is_woken() {
            return None;
        }
    }
}

/// Consumes `stream`, under all permits of `semaphore` at each item.
async fn consume<T>(stream: impl Stream<Item = T>, semaphore: &Semaphore, permits: u32) -> usize {
    let mut stream = pin!(stream);
    let mut items = 0;
    while stream.next().await.is_some() {
        let all = semaphore.acquire_many(permits).await.unwrap();
        yield_now().await;
        items += 1;
        drop(all);
    }
    items
}

/// A job in a few steps.
async fn steps(n: usize) -> usize {
    for _ in 0..n {
        yield_now().await;
    }
    n
}

/// futures-rs#2387: jobs that have permits, or are granted some, while only the consumer is polled.
#[test]
fn a_consumer_may_take_the_same_semaphore() {
    for permits in 1..4 {
        let semaphore = Semaphore::new(permits as usize);
        let items = || stream::iter([1, 4, 2, 0, 3, 5, 1]);
        let job = |n| async move { Ok::<_, AcquireError>(steps(n).await) };
        let ordered = consume(items().map_limited(&semaphore, job), &semaphore, permits);
        assert_eq!(run(ordered), Some(7));
        let unordered = items().map_limited_unordered(&semaphore, job);
        assert_eq!(run(consume(unordered, &semaphore, permits)), Some(7));

        // The same without it.
        let jobs = || items().map(|n| semaphore.run(steps(n)));
        assert_eq!(run(consume(jobs().buffer_unordered(4), &semaphore, permits)), None);
        assert_eq!(run(consume(jobs().buffered(4), &semaphore, permits)), None);
    }
}

#[test]
fn whenever_it_returns_an_output_it_has_nothing() {
    let mut rng = Rng::with_seed(seed());
    for _ in 0..300 * times() {
        let permits = rng.u32(1..6);
        let ordered = rng.bool();
        let items: Vec<(usize, usize)> =
            (0..rng.usize(0..20)).map(|i| (i, rng.usize(0..6))).collect();
        let weights: Vec<u32> = items.iter().map(|_| rng.u32(1..=permits)).collect();
        let semaphore = Semaphore::new(permits as usize);
        let running = Cell::new(0);
        // Some items are late.
        let late = rng.bool();
        let source = stream::iter(items.clone()).then(|item| async move {
            steps(if late { item.1 % 2 } else { 0 }).await;
            item
        });
        let job = |(i, n): (usize, usize)| {
            let (running, weight) = (&running, weights[i]);
            async move {
                running.set(running.get() + weight);
                assert!(running.get() <= permits, "too much runs at a time");
                steps(n).await;
                running.set(running.get() - weight);
                i
            }
        };
        let mapped = if ordered {
            source.map_limited(&semaphore, job)
        } else {
            source.map_limited_unordered(&semaphore, job)
        };
        let mut mapped = pin!(mapped.weight(|(i, _)| weights[*i]));
        let mut outputs = run(async {
            let mut outputs = Vec::new();
            while let Some(output) = mapped.next().await {
                outputs.push(output.unwrap());
                let status = semaphore.status();
                assert_eq!((status.available, status.queued), (permits as usize, 0));
            }
            outputs
        })
        .expect("it is stuck");
        if !ordered {
            outputs.sort_unstable();
        }
        assert_eq!(outputs, (0..items.len()).collect::<Vec<_>>());
        assert!(mapped.is_terminated());
    }
}

/// Items that end by hand.
struct Jobs {
    ends: Vec<Option<oneshot::Sender<()>>>,
    /// How many were taken from the stream, and which were started.
    taken: Rc<Cell<usize>>,
    started: Rc<RefCell<Vec<usize>>>,
}

type Item = (usize, oneshot::Receiver<()>);

impl Jobs {
    fn new(n: usize) -> (Self, impl Stream<Item = Item> + Unpin) {
        watch();
        let (ends, items): (Vec<_>, Vec<_>) = (0..n)
            .map(|i| {
                let (end, ended) = oneshot::channel();
                (Some(end), (i, ended))
            })
            .unzip();
        let taken = Rc::new(Cell::new(0));
        let counted = Rc::clone(&taken);
        let items = stream::iter(items).inspect(move |_| counted.set(counted.get() + 1));
        (Self { ends, taken, started: Rc::default() }, items)
    }

    /// What is done with an item.
    fn job(&self) -> impl FnMut(Item) -> Pin<Box<dyn Future<Output = usize>>> + use<> {
        let started = Rc::clone(&self.started);
        move |(i, ended)| {
            started.borrow_mut().push(i);
            Box::pin(async move {
                ended.await.unwrap();
                i
            })
        }
    }

    fn end(&mut self, i: usize) {
        self.ends[i].take().unwrap().send(()).unwrap();
    }

    fn is_gone(&self, i: usize) -> bool {
        self.ends[i].as_ref().unwrap().is_closed()
    }
}

#[track_caller]
fn gives<St, T>(stream: &mut Spawn<St>) -> T
where
    St: Stream<Item = Result<T, AcquireError>>,
{
    assert_ready!(stream.poll_next()).expect("an output").expect("not refused")
}

#[test]
fn items_are_taken_when_they_can_run() {
    let (mut jobs, items) = Jobs::new(6);
    let semaphore = Semaphore::new(0);
    let mut mapped = spawn(items.map_limited(&semaphore, jobs.job()));
    assert_eq!(jobs.taken.get(), 0);
    assert_pending!(mapped.poll_next());
    assert_pending!(mapped.poll_next());
    // One waits for its permit, and no more are taken.
    assert_eq!((jobs.taken.get(), jobs.started.borrow().len()), (1, 0));
    semaphore.add_permits(2);
    assert!(mapped.is_woken());
    assert_pending!(mapped.poll_next());
    assert_eq!((jobs.taken.get(), &*jobs.started.borrow()), (3, &vec![0, 1]));
    assert_eq!(semaphore.status().queued, 1);
    // The first ends, and nothing more is taken or started before its group has ended.
    jobs.end(0);
    assert!(mapped.is_woken());
    assert_pending!(mapped.poll_next());
    assert_eq!((semaphore.available_permits(), semaphore.status().queued), (1, 0));
    jobs.end(1);
    assert_eq!(gives(&mut mapped), 0);
    assert_eq!(gives(&mut mapped), 1);
    assert_eq!((jobs.taken.get(), jobs.started.borrow().len()), (3, 2));
    // And on.
    assert_pending!(mapped.poll_next());
    assert_eq!((jobs.taken.get(), &*jobs.started.borrow()), (5, &vec![0, 1, 2, 3]));
}

#[test]
fn a_waiter_behind_it_is_served_as_soon_as_an_item_has_ended() {
    let (mut jobs, items) = Jobs::new(3);
    let semaphore = Semaphore::new(2);
    let mut mapped = spawn(items.map_limited(&semaphore, jobs.job()));
    assert_pending!(mapped.poll_next());
    let mut behind = wait(semaphore.acquire());
    jobs.end(1);
    assert_pending!(mapped.poll_next());
    drop(served(&mut behind).unwrap());
    jobs.end(0);
    assert_eq!(gives(&mut mapped), 0);
    assert_eq!(gives(&mut mapped), 1);
    jobs.end(2);
    assert_eq!(gives(&mut mapped), 2);
    assert_ready_eq!(mapped.poll_next().map(|end| end.is_none()), true);
}

#[test]
fn the_order_is_that_of_the_items_or_of_their_ends() {
    for ordered in [true, false] {
        let (mut jobs, items) = Jobs::new(3);
        let semaphore = Semaphore::new(3);
        let mut mapped = spawn(if ordered {
            items.map_limited(&semaphore, jobs.job())
        } else {
            items.map_limited_unordered(&semaphore, jobs.job())
        });
        for i in [2, 0, 1] {
            assert_pending!(mapped.poll_next());
            jobs.end(i);
        }
        let outputs: Vec<_> = (0..3).map(|_| gives(&mut mapped)).collect();
        assert_eq!(outputs, if ordered { [0, 1, 2] } else { [2, 0, 1] });
    }
}

#[test]
fn several_streams_share_one_semaphore() {
    let (mut jobs, items) = Jobs::new(2);
    let (mut others, other_items) = Jobs::new(2);
    let semaphore = Semaphore::new(2);
    let mut one = spawn(items.map_limited(&semaphore, jobs.job()));
    let mut other = spawn(other_items.map_limited(&semaphore, others.job()));
    assert_pending!(one.poll_next());
    assert_pending!(other.poll_next());
    assert_eq!((jobs.started.borrow().len(), others.started.borrow().len()), (2, 0));
    jobs.end(0);
    assert_pending!(one.poll_next());
    assert!(other.is_woken());
    assert_pending!(other.poll_next());
    assert_eq!(others.started.borrow().len(), 1);
    others.end(0);
    assert_eq!(gives(&mut other), 0);
}

#[test]
fn dropped_it_drops_its_futures_and_leaves_the_line() {
    let (jobs, items) = Jobs::new(4);
    let semaphore = Semaphore::new(2);
    let mut mapped = spawn(items.map_limited(&semaphore, jobs.job()));
    assert_pending!(mapped.poll_next());
    let mut behind = wait(semaphore.acquire_many(2));
    waits(&mut behind);
    drop(mapped);
    assert!((0..4).all(|i| jobs.is_gone(i)));
    drop(served(&mut behind).unwrap());
    assert_eq!(semaphore.available_permits(), 2);
}

/// What it used is free when the next in line runs.
#[test]
fn a_future_is_dropped_before_its_permit_goes_back() {
    struct Inside<'a> {
        semaphore: &'a Semaphore,
        free_at_drop: &'a RefCell<Vec<usize>>,
        ends: bool,
    }

    impl Future for Inside<'_> {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            if self.ends { Poll::Ready(()) } else { Poll::Pending }
        }
    }

    impl Drop for Inside<'_> {
        fn drop(&mut self) {
            self.free_at_drop.borrow_mut().push(self.semaphore.available_permits());
        }
    }

    watch();
    let (semaphore, free_at_drop) = (Semaphore::new(1), RefCell::default());
    let inside = |ends| Inside { semaphore: &semaphore, free_at_drop: &free_at_drop, ends };
    let mut mapped = spawn(stream::iter([true, false]).map_limited(&semaphore, inside));
    gives(&mut mapped);
    assert_eq!((semaphore.available_permits(), &*free_at_drop.borrow()), (1, &vec![0]));
    assert_pending!(mapped.poll_next());
    drop(mapped);
    assert_eq!((semaphore.available_permits(), &*free_at_drop.borrow()), (1, &vec![0, 0]));
}

#[test]
fn dropping_next_loses_nothing() {
    let (mut jobs, items) = Jobs::new(2);
    let semaphore = Semaphore::new(1);
    let mut mapped = items.map_limited(&semaphore, jobs.job());
    for _ in 0..3 {
        drop(wait(mapped.next()));
    }
    jobs.end(0);
    assert_eq!(run(mapped.next()).unwrap().unwrap().unwrap(), 0);
    drop(wait(mapped.next()));
    jobs.end(1);
    assert_eq!(run(mapped.next()).unwrap().unwrap().unwrap(), 1);
    assert!(run(mapped.next()).unwrap().is_none());
}

#[test]
fn closed_it_ends_after_one_error() {
    let (mut jobs, items) = Jobs::new(9);
    let semaphore = Semaphore::new(1);
    let mut mapped = spawn(items.map_limited(&semaphore, jobs.job()));
    assert_pending!(mapped.poll_next());
    semaphore.close();
    assert!(mapped.is_woken());
    // What runs goes on.
    assert_pending!(mapped.poll_next());
    assert!(!mapped.is_terminated());
    jobs.end(0);
    assert_eq!(gives(&mut mapped), 0);
    let error = assert_ready!(mapped.poll_next()).unwrap().unwrap_err();
    assert!(error.is_closed());
    assert!(assert_ready!(mapped.poll_next()).is_none());
    assert!(mapped.is_terminated());
    assert_eq!((jobs.taken.get(), semaphore.available_permits()), (2, 1));
}

#[test]
fn refused_for_another_reason_it_goes_on() {
    let semaphore = Semaphore::builder(2).fail_oversized().build();
    let mapped = stream::iter([1, 3, 2]).map_limited(&semaphore, ready).weight(|n| *n);
    let outputs: Vec<_> = run(mapped.map_err(|error| error.is_oversized()).collect()).unwrap();
    assert_eq!(outputs, [Ok(1), Err(true), Ok(2)]);
}

#[test]
fn a_panic_gives_back_the_permit() {
    watch();
    let semaphore = Semaphore::new(1);
    let mut mapped = spawn(stream::iter(0..4).map_limited(&semaphore, |n| {
        assert_ne!(n, 0, "of the function");
        async move {
            assert_ne!(n, 1, "of the future");
            n
        }
    }));
    for message in ["of the function", "of the future"] {
        assert!(panic_of(|| drop(mapped.poll_next())).contains(message));
        assert_eq!(semaphore.available_permits(), 1);
    }
    assert_eq!(gives(&mut mapped), 2);
    assert_eq!(gives(&mut mapped), 3);
    assert!(assert_ready!(mapped.poll_next()).is_none());
}

#[test]
fn its_size_is_no_more_than_that_of_the_stream() {
    let (mut jobs, items) = Jobs::new(5);
    let semaphore = Semaphore::new(2);
    let mut mapped = spawn(items.map_limited(&semaphore, jobs.job()));
    assert_eq!(mapped.size_hint(), (0, Some(5)));
    assert_pending!(mapped.poll_next());
    assert_eq!(mapped.size_hint(), (0, Some(5)));
    jobs.end(0);
    jobs.end(1);
    assert_eq!(gives(&mut mapped), 0);
    assert_eq!(mapped.size_hint(), (1, Some(4)));
    semaphore.close();
    assert_eq!(gives(&mut mapped), 1);
    assert!(assert_ready!(mapped.poll_next()).unwrap().is_err());
    assert_eq!(mapped.size_hint(), (0, Some(0)));
}

#[test]
fn debug_says_how_far_it_has_come() {
    watch();
    let semaphore = Semaphore::new(1);
    let mut mapped: MapLimited<'_, _, _, _> =
        stream::iter(0..4).map_limited(&semaphore, |_| pending::<()>());
    assert!(Pin::new(&mut mapped).poll_next(&mut Context::from_waker(Waker::noop())).is_pending());
    let text = format!("{mapped:?}");
    assert!(text.starts_with("MapLimited { acquire: Some(Acquire { permits: 1, state: "), "{text}");
    assert!(text.ends_with("running: 1, outputs: 0, .. }"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_can_be_spawned() {
    watch();
    static SEMAPHORE: Semaphore = Semaphore::new(3);
    let tasks = (0..4).map(|_| {
        tokio::spawn(async {
            let mapped = stream::iter(0..50).map_limited(&SEMAPHORE, async |n| {
                yield_now().await;
                n
            });
            let mut mapped = pin!(mapped);
            let mut next = 0;
            while let Some(n) = mapped.next().await {
                let _permit = SEMAPHORE.acquire().await.unwrap();
                assert_eq!(n.unwrap(), next);
                next += 1;
            }
            assert_eq!(next, 50);
        })
    });
    for end in futures::future::join_all(tasks).await {
        end.unwrap();
    }
    assert_eq!(SEMAPHORE.available_permits(), 3);
}
