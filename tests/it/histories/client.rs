//! Threads that use one semaphore, and write down what they did and when.
//!
//! Whoever includes this says which threads and which clock: of the standard library, or of a
//! checker. The clock's ticks are read-modify-writes: what ended before another call began happened
//! before it, as linearizability takes for granted.

use std::collections::VecDeque;
use std::fmt::Write;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll, Wake, Waker};

use todc_utils::Action::{Call, Response};
use todc_utils::{History, WGLChecker};

use super::spec::{Answer, Event, Name, Spec, Thread};
use super::{
    AcquireBetweenOwned, AcquireOwned, AtomicUsize, Ordering, OwnedSemaphorePermit, Semaphore,
    TryAcquireError, thread,
};

/// What a client does. The first of two numbers chooses among those it has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Ask(u32),
    AskBetween(u32, u32),
    Poll(usize),
    Leave(usize),
    Release,
    Try(u32),
    TryBetween(u32, u32),
    Add(u32),
    /// `forget_permits`
    Forget(u32),
    /// `forget` of a guard
    Vanish,
    SetLimit(u32),
    Reduce(u32),
    Limit,
    Available,
    Close,
}

impl Step {
    /// `below(n)` is a random number below `n`.
    #[cfg_attr(semafair_loom, allow(dead_code, reason = "loom's models leave nothing to chance"))]
    pub(super) fn random(mut below: impl FnMut(u32) -> u32) -> Self {
        match below(20) {
            0..4 => Self::Ask(1 + below(3)),
            4 => Self::AskBetween(1 + below(2), 2 + below(3)),
            5..8 => Self::Poll(below(3) as usize),
            8..11 => Self::Leave(below(3) as usize),
            11..13 => Self::Release,
            13 => Self::Try(1 + below(2)),
            14 => Self::TryBetween(below(2), 1 + below(3)),
            15..17 => Self::Add(1 + below(2)),
            17 => match below(6) {
                0..2 => Self::SetLimit(below(5)),
                2 => Self::Reduce(1 + below(3)),
                3 => Self::Vanish,
                4 => Self::Limit,
                _ => Self::Forget(1 + below(2)),
            },
            18 if below(4) == 0 => Self::Close,
            _ => Self::Available,
        }
    }
}

/// A call: whose, from when to when, and its events in their order.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) thread: Thread,
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) events: Vec<Event>,
}

/// A waker that remembers; each poll has one of its own. It is no part of a model.
#[derive(Default)]
struct Alarm(AtomicBool);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

enum Request {
    Many(AcquireOwned),
    Between(AcquireBetweenOwned),
}

impl Request {
    fn poll(&mut self, cx: &mut Context<'_>) -> (Answer, Option<OwnedSemaphorePermit>) {
        let (poll, between) = match self {
            Self::Many(future) => (Pin::new(future).poll(cx), false),
            Self::Between(future) => (Pin::new(future).poll(cx), true),
        };
        match poll {
            Poll::Pending => (Answer::Waits, None),
            Poll::Ready(Err(error)) if error.is_queue_full() => (Answer::Full, None),
            Poll::Ready(Err(_)) => (Answer::Closed, None),
            Poll::Ready(Ok(guard)) if between => (Answer::Got(number(&guard)), Some(guard)),
            Poll::Ready(Ok(guard)) => (Answer::Granted, Some(guard)),
        }
    }
}

/// How many permits are in it.
fn number(guard: &OwnedSemaphorePermit) -> u32 {
    u32::try_from(guard.num_permits()).expect("small numbers")
}

/// A request that waits, or that was granted or refused and does not know.
struct Waiter {
    name: Name,
    future: Request,
    alarm: Arc<Alarm>,
}

struct Client {
    thread: Thread,
    semaphore: Arc<Semaphore>,
    clock: Arc<AtomicUsize>,
    asked: usize,
    waiters: VecDeque<Waiter>,
    guards: Vec<OwnedSemaphorePermit>,
    records: Vec<Record>,
}

impl Client {
    fn new(thread: Thread, semaphore: &Arc<Semaphore>, clock: &Arc<AtomicUsize>) -> Self {
        Self {
            thread,
            semaphore: Arc::clone(semaphore),
            clock: Arc::clone(clock),
            asked: 0,
            waiters: VecDeque::new(),
            guards: Vec::new(),
            records: Vec::new(),
        }
    }

    fn tick(&self) -> usize {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Writes down a call, of which `events` are what became of it.
    fn call<T>(
        &mut self,
        run: impl FnOnce(&Arc<Semaphore>) -> T,
        events: impl FnOnce(&T) -> Vec<Event>,
    ) -> T {
        let from = self.tick();
        let result = run(&self.semaphore);
        let to = self.tick();
        let events = events(&result);
        self.records.push(Record { thread: self.thread, from, to, events });
        result
    }

    fn poll(&mut self, mut waiter: Waiter, events: impl FnOnce(Answer) -> Vec<Event>) {
        waiter.alarm = Arc::default();
        let waker = Waker::from(Arc::clone(&waiter.alarm));
        let (answer, guard) = self.call(
            |_| waiter.future.poll(&mut Context::from_waker(&waker)),
            |(answer, _)| events(*answer),
        );
        match answer {
            Answer::Waits => self.waiters.push_back(waiter),
            _ => self.guards.extend(guard),
        }
    }

    /// Polls a new request for the first time, which `asks`.
    fn ask(&mut self, future: Request, asks: impl FnOnce(Name) -> Event) {
        let name = self.thread * 1000 + self.asked;
        self.asked += 1;
        self.poll(Waiter { name, future, alarm: Arc::default() }, |answer| {
            vec![asks(name), Event::Answered(name, answer)]
        });
    }

    /// Writes down an attempt, and keeps what it got.
    fn attempt(
        &mut self,
        run: impl FnOnce(&Arc<Semaphore>) -> Result<OwnedSemaphorePermit, TryAcquireError>,
        granted: impl FnOnce(u32) -> Answer,
        event: impl FnOnce(Answer) -> Event,
    ) {
        let tried = self.call(run, |tried| {
            vec![event(match tried {
                Ok(guard) => granted(number(guard)),
                Err(TryAcquireError::NoPermits) => Answer::Waits,
                Err(TryAcquireError::Closed) => Answer::Closed,
            })]
        });
        self.guards.extend(tried);
    }

    fn waiter(&mut self, which: usize) -> Option<Waiter> {
        let len = self.waiters.len().max(1);
        self.waiters.remove(which % len)
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Ask(n) => {
                let future = Arc::clone(&self.semaphore).acquire_many_owned(n);
                self.ask(Request::Many(future), |name| Event::Asks(name, n));
            }
            Step::AskBetween(least, most) => {
                let most = most.max(least);
                let future = Arc::clone(&self.semaphore).acquire_between_owned(least..=most);
                self.ask(Request::Between(future), |name| Event::AsksBetween(name, least, most));
            }
            Step::Poll(which) => {
                if let Some(waiter) = self.waiter(which) {
                    let name = waiter.name;
                    self.poll(waiter, |answer| vec![Event::PolledAgain(name, answer)]);
                }
            }
            Step::Leave(which) => {
                if let Some(Waiter { name, future, .. }) = self.waiter(which) {
                    self.call(|_| drop(future), |()| vec![Event::Leaves(name), Event::Ends]);
                }
            }
            Step::Release => {
                if let Some(guard) = self.guards.pop() {
                    let n = number(&guard);
                    self.call(|_| drop(guard), |()| vec![Event::Gives(n), Event::Ends]);
                }
            }
            Step::Try(n) => self.attempt(
                |semaphore| Arc::clone(semaphore).try_acquire_many_owned(n),
                |_| Answer::Granted,
                |answer| Event::Tried(n, answer),
            ),
            Step::TryBetween(least, most) => self.attempt(
                |semaphore| Arc::clone(semaphore).try_acquire_between_owned(least..=most),
                Answer::Got,
                |answer| Event::TriedBetween(least, most, answer),
            ),
            Step::Add(n) => self.call(
                |semaphore| semaphore.add_permits(n as usize),
                |()| vec![Event::Adds(n), Event::Ends],
            ),
            Step::Forget(n) => {
                self.count(
                    |semaphore| semaphore.forget_permits(n as usize),
                    |forgot| vec![Event::Forgets(n), Event::Forgot(forgot)],
                );
            }
            Step::Vanish => {
                if let Some(guard) = self.guards.pop() {
                    let n = number(&guard);
                    self.call(|_| guard.forget(), |()| vec![Event::Vanishes(n), Event::Ends]);
                }
            }
            Step::SetLimit(n) => {
                self.count(
                    |semaphore| semaphore.set_limit(n as usize),
                    |before| vec![Event::Sets(n), Event::WasSet(before)],
                );
            }
            Step::Reduce(n) => {
                self.count(
                    |semaphore| semaphore.reduce_permits(n as usize),
                    |by| vec![Event::Reduces(n), Event::Reduced(by)],
                );
            }
            Step::Limit => {
                self.count(Semaphore::limit, |limit| vec![Event::Limit(limit)]);
            }
            Step::Available => {
                self.look(Event::Available);
            }
            Step::Close => {
                self.call(|semaphore| semaphore.close(), |()| vec![Event::Closes, Event::Ends]);
            }
        }
    }

    /// A call that returns a number of permits.
    fn count(
        &mut self,
        run: impl FnOnce(&Semaphore) -> usize,
        events: impl FnOnce(u32) -> Vec<Event>,
    ) -> u32 {
        self.call(|semaphore| u32::try_from(run(semaphore)).expect("small numbers"), |n| events(*n))
    }

    fn look(&mut self, event: impl FnOnce(u32) -> Event) -> u32 {
        self.count(Semaphore::available_permits, |available| vec![event(available)])
    }

    fn steps(&mut self, steps: &[Step]) {
        steps.iter().for_each(|step| self.step(*step));
    }

    /// Everybody else is gone, and nothing is in flight: now all answers are exact.
    fn finish(&mut self) {
        self.look(Event::Quiet);
        self.poll_all();
        self.look(Event::Quiet);
        while !self.guards.is_empty() {
            self.step(Step::Release);
            self.poll_all();
        }
        while !self.waiters.is_empty() {
            self.step(Step::Leave(0));
        }
        // Nor do any lie about in the line.
        let all = self.look(Event::Quiet);
        self.step(Step::Ask(all + 1));
        self.step(Step::Leave(0));
        self.look(Event::Quiet);
    }

    /// Who has an answer was woken, and nobody else.
    fn poll_all(&mut self) {
        for _ in 0..self.waiters.len() {
            let woken = self.waiters[0].alarm.0.load(Ordering::SeqCst);
            let waiting = self.waiters.len();
            self.step(Step::Poll(0));
            assert_eq!(woken, self.waiters.len() < waiting, "woken");
        }
    }
}

/// What one thread does: before the race, while nobody else does anything, and in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Side {
    pub(super) before: Vec<Step>,
    pub(super) race: Vec<Step>,
}

/// How many steps a side takes before all meet again. If a thread is suspended in the middle of a
/// call, each step that the others take meanwhile may stand before it or after it. With hundreds of
/// them the checker would not come to an end.
const STEPS: usize = 12;

/// Lets `sides` race, each on a thread of its own that calls `meet` before every [`STEPS`] steps,
/// and checks that what they have seen has an order that explains it. The line may have a bound.
pub(super) fn race(
    permits: u32,
    bound: Option<u32>,
    sides: &[Side],
    meet: impl Fn() + Clone + Send + 'static,
) {
    let semaphore = Arc::new(match bound {
        None => Semaphore::new(0),
        Some(bound) => Semaphore::builder(0).queue_limit(bound as usize).build(),
    });
    let clock = Arc::new(AtomicUsize::new(0));
    let mut all = Client::new(0, &semaphore, &clock);
    if let Some(bound) = bound {
        all.call(|_| (), |()| vec![Event::Bound(bound)]);
    }
    all.step(Step::Add(permits));
    let mut clients = Vec::new();
    for (i, side) in sides.iter().enumerate() {
        let mut client = Client::new(i + 1, &semaphore, &clock);
        client.steps(&side.before);
        clients.push((client, side.race.clone()));
    }
    let threads: Vec<_> = clients
        .into_iter()
        .map(|(mut client, steps)| {
            let meet = meet.clone();
            thread::spawn(move || {
                for steps in steps.chunks(STEPS) {
                    meet();
                    client.steps(steps);
                }
                client
            })
        })
        .collect();
    for thread in threads {
        let client = thread.join().unwrap();
        all.waiters.extend(client.waiters);
        all.guards.extend(client.guards);
        all.records.extend(client.records);
    }
    all.finish();
    all.records.sort_by_key(|record| record.from);
    assert!(are_explained(&all.records), "no order explains this history:\n{}", text(&all.records));
}

/// Whether there is an order of all events that explains their answers.
pub(super) fn are_explained(records: &[Record]) -> bool {
    // The checker has one event at a time for each of its processes.
    let mut actions = Vec::new();
    for record in records {
        for (half, &event) in record.events.iter().enumerate() {
            let (process, operation) = (2 * record.thread + half, (record.thread, event));
            actions.push((record.from, (process, Call(operation))));
            actions.push((record.to, (process, Response(operation))));
        }
    }
    actions.sort_by_key(|(when, _)| *when);
    let history = History::from_actions(actions.into_iter().map(|(_, action)| action).collect());
    WGLChecker::<Spec>::is_linearizable(history)
}

fn text(records: &[Record]) -> String {
    let mut text = String::new();
    for Record { thread, from, to, events } in records {
        writeln!(text, "  {from:4} to {to:4}, thread {thread}: {events:?}").unwrap();
    }
    text
}
