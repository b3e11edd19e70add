//! Two or three threads, a few steps each, started at the same instant, many times over: where
//! `stress` keeps everything busy for long, this meets in the short moments between two steps, and
//! looks at everything when the dust has settled.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use semafair::{AcquireBetweenOwned, AcquireError, AcquireOwned, OwnedSemaphorePermit, Semaphore};

use crate::support::watchdog::times;
use crate::support::{Wakes, poll, seed};

/// A request for so many permits, or for at least so many.
enum Request {
    Many(AcquireOwned),
    Between(AcquireBetweenOwned),
}

impl Future for Request {
    type Output = Result<OwnedSemaphorePermit, AcquireError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Many(future) => Pin::new(future).poll(cx),
            Self::Between(future) => Pin::new(future).poll(cx),
        }
    }
}

/// One who waits.
struct Waiter {
    future: Request,
    wakes: Arc<Wakes>,
    /// Otherwise nobody is woken.
    was_polled: bool,
    /// Its number in the line, for those who came before the race; they came in this order.
    number: Option<usize>,
    wants: usize,
    takes: usize,
}

impl Waiter {
    fn new(sem: &Arc<Semaphore>, n: u32, number: Option<usize>) -> Self {
        Self {
            future: Request::Many(Arc::clone(sem).acquire_many_owned(n)),
            wakes: Wakes::new(),
            was_polled: false,
            number,
            wants: n as usize,
            takes: n as usize,
        }
    }

    fn between(sem: &Arc<Semaphore>, min: u32, max: u32) -> Self {
        let future = Request::Between(Arc::clone(sem).acquire_between_owned(min..=max));
        Self { future, takes: max as usize, ..Self::new(sem, min, None) }
    }

    /// Asks, and is not polled yet.
    fn enqueue(&mut self) {
        match &mut self.future {
            Request::Many(future) => future.enqueue(),
            Request::Between(future) => future.enqueue(),
        }
    }
}

/// What one thread does in a race, and what it owns.
#[derive(Default)]
struct Side {
    /// Lets so many short moments pass before it starts.
    delay: u16,
    steps: Vec<Step>,
    waiters: Vec<Waiter>,
    permits: Vec<OwnedSemaphorePermit>,
    added: usize,
    forgotten: usize,
    /// Who was granted what: a number of the line, or `None` for one who came in the race.
    granted: Vec<Option<usize>>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Ask(u32),
    AskBetween(u32, u32),
    Enqueue(u32),
    EnqueueBetween(u32, u32),
    /// So many times, for only the last one can miss a wake.
    AskAgain(u8),
    Leave,
    LeaveLast,
    Release,
    ReleaseOne,
    Try(u32),
    TryBetween(u32, u32),
    /// On the thread, for so long at most.
    Block(u32, Duration),
    Add(usize),
    SetLimit(usize),
    Reduce(usize),
    Forget,
    Close,
}

impl Step {
    fn random(rng: &mut Rng) -> Self {
        match rng.u8(..16) {
            0..3 => Self::Ask(rng.u32(1..4)),
            3..5 => Self::AskAgain(rng.u8(1..4)),
            5..7 => Self::Leave,
            7 => Self::LeaveLast,
            8..10 => Self::Release,
            10 => Self::ReleaseOne,
            11 => Self::Try(rng.u32(1..3)),
            12..14 => Self::Add(rng.usize(1..4)),
            14 => Self::Forget,
            _ => Self::Close,
        }
    }

    /// Often a single one: then the threads meet in it.
    pub(crate) fn some(rng: &mut Rng) -> Vec<Self> {
        let len = [1, 1, 2, 3][rng.usize(..4)];
        (0..len).map(|_| Self::random(rng)).collect()
    }
}

impl Side {
    fn new(steps: Vec<Step>, rng: &mut Rng) -> Self {
        Self { delay: rng.u16(..200), steps, ..Self::default() }
    }

    fn run(&mut self, sem: &Arc<Semaphore>) {
        for _ in 0..self.delay {
            std::hint::black_box(());
        }
        for i in 0..self.steps.len() {
            self.step(sem, self.steps[i]);
        }
    }

    fn step(&mut self, sem: &Arc<Semaphore>, step: Step) {
        match step {
            Step::Ask(n) => self.ask(Waiter::new(sem, n, None)),
            Step::AskBetween(min, max) => self.ask(Waiter::between(sem, min, max)),
            Step::Enqueue(n) => self.enqueue(Waiter::new(sem, n, None)),
            Step::EnqueueBetween(min, max) => self.enqueue(Waiter::between(sem, min, max)),
            Step::AskAgain(times) => (0..times).for_each(|_| {
                if let Some(waiter) = self.waiters.pop() {
                    self.ask(waiter);
                }
            }),
            Step::Leave => drop((!self.waiters.is_empty()).then(|| self.waiters.remove(0))),
            Step::LeaveLast => drop(self.waiters.pop()),
            Step::Release => drop(self.permits.pop()),
            Step::ReleaseOne => drop(self.permits.last_mut().and_then(|permit| permit.split(1))),
            Step::Try(n) => self.keep(Arc::clone(sem).try_acquire_many_owned(n).ok()),
            Step::TryBetween(min, max) => {
                self.keep(Arc::clone(sem).try_acquire_between_owned(min..=max).ok());
            }
            Step::Block(n, time) => {
                self.keep(Arc::clone(sem).blocking_acquire_many_owned_timeout(n, time).ok());
            }
            Step::Add(n) => {
                self.added += n;
                sem.add_permits(n);
            }
            Step::SetLimit(n) => {
                self.forgotten += sem.set_limit(n);
                self.added += n;
            }
            Step::Reduce(n) => self.forgotten += sem.reduce_permits(n),
            Step::Forget => self.forgotten += sem.forget_permits(1),
            Step::Close => sem.close(),
        }
    }

    /// Keeps what was granted to one who came in the race.
    fn keep(&mut self, permits: Option<OwnedSemaphorePermit>) {
        if let Some(permits) = permits {
            self.granted.extend((permits.num_permits() > 0).then_some(None));
            self.permits.push(permits);
        }
    }

    fn enqueue(&mut self, mut waiter: Waiter) {
        waiter.enqueue();
        self.waiters.push(waiter);
    }

    /// Polls, with a waker of its own.
    fn ask(&mut self, mut waiter: Waiter) {
        let wakes = Wakes::new();
        match wakes.poll(&mut waiter.future) {
            Poll::Pending => self.waiters.push(Waiter { wakes, was_polled: true, ..waiter }),
            Poll::Ready(Ok(permit)) => {
                assert!((waiter.wants..=waiter.takes).contains(&permit.num_permits()));
                self.granted.push(waiter.number);
                self.permits.push(permit);
            }
            Poll::Ready(Err(_)) => {}
        }
    }
}

/// What another thread is to run.
type Run = (Arc<Semaphore>, Side);

/// Where the threads meet.
#[derive(Default)]
struct Track {
    /// The number of the round that may run.
    round: AtomicUsize,
    /// How many times another thread was ready with its side.
    finished: AtomicUsize,
    /// The sides that the other threads run.
    sides: [Mutex<Option<Run>>; 2],
}

impl Track {
    /// Waits on the processor: a thread that has to be woken comes too late for a race.
    fn until(done: impl Fn() -> bool) {
        let mut turns = 0_u32;
        while !done() {
            turns += 1;
            if turns % 500 == 0 {
                thread::yield_now();
            }
            std::hint::spin_loop();
        }
    }

    fn side(&self, index: usize) -> Option<Run> {
        self.sides[index].lock().unwrap().take()
    }

    /// What another thread does in all rounds.
    fn other(&self, index: usize, rounds: usize) {
        let _end = OnPanic(|| self.finished.store(usize::MAX, Ordering::SeqCst));
        for round in 1..=rounds {
            Self::until(|| self.round.load(Ordering::SeqCst) >= round);
            // None: it is over.
            let Some((sem, mut side)) = self.side(index) else { return };
            side.run(&sem);
            *self.sides[index].lock().unwrap() = Some((sem, side));
            self.finished.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Does something if the thread panics.
struct OnPanic<F: Fn()>(F);

impl<F: Fn()> Drop for OnPanic<F> {
    fn drop(&mut self) {
        if thread::panicking() {
            (self.0)();
        }
    }
}

/// Lets so many threads do what `steps` gives for each of them.
pub(crate) fn races<const SIDES: usize>(rounds: usize, steps: [fn(&mut Rng) -> Vec<Step>; SIDES]) {
    // One race at a time: its threads are to run at the same instant.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let rounds = rounds * times();
    let mut rng = Rng::with_seed(seed());
    let track = Track::default();
    thread::scope(|scope| {
        for index in 0..SIDES - 1 {
            let track = &track;
            scope.spawn(move || track.other(index, rounds));
        }
        let _end = OnPanic(|| track.round.store(usize::MAX, Ordering::SeqCst));
        for round in 1..=rounds {
            let (sem, total, mut all) = start(&mut rng, &steps);
            let what: Vec<_> = all.iter().map(|side| side.steps.clone()).collect();
            let _what = OnPanic(|| println!("round {round}: {what:?}"));
            for (slot, side) in track.sides.iter().zip(all.drain(1..)) {
                *slot.lock().unwrap() = Some((Arc::clone(&sem), side));
            }
            track.round.store(round, Ordering::SeqCst);
            all[0].run(&sem);
            Track::until(|| track.finished.load(Ordering::SeqCst) >= round * (SIDES - 1));
            let others = (0..SIDES - 1).map(|i| track.side(i).expect("its thread panicked").1);
            all.extend(others);
            finish(&mut rng, &sem, total, all);
        }
    });
}

/// A line of some, permits in some hands, and random steps for everyone. Also says how many permits
/// there are.
fn start(rng: &mut Rng, steps: &[fn(&mut Rng) -> Vec<Step>]) -> (Arc<Semaphore>, usize, Vec<Side>) {
    let mut all: Vec<_> = steps.iter().map(|steps| Side::new(steps(rng), rng)).collect();
    let sem = Arc::new(Semaphore::new(0));
    let mut total = 0;
    for side in &mut all {
        let n = rng.u32(..3);
        sem.add_permits(n as usize);
        side.permits.push(Arc::clone(&sem).try_acquire_many_owned(n).unwrap());
        total += n as usize;
    }
    let free = rng.usize(..3);
    sem.add_permits(free);
    for number in 0..[0, 1, 1, 2, 2, 3, 4, 5][rng.usize(..8)] {
        let waiter = Waiter::new(&sem, rng.u32(1..4), Some(number));
        all[rng.usize(..steps.len())].ask(waiter);
    }
    (sem, total + free, all)
}

/// Nothing moves any more: everything must be accounted for.
fn finish(rng: &mut Rng, sem: &Arc<Semaphore>, total: usize, sides: Vec<Side>) {
    let closed = sem.is_closed();
    // One may have forgotten what another added.
    let added: usize = sides.iter().map(|side| side.added).sum();
    let forgotten: usize = sides.iter().map(|side| side.forgotten).sum();
    let total = total + added - forgotten;
    assert_eq!(sem.limit(), total, "the limit");
    // All in one hand.
    let mut rest = Side::default();
    for side in sides {
        rest.granted.extend(side.granted);
        rest.permits.extend(side.permits);
        for waiter in side.waiters {
            // Woken once if there is an answer, and not at all if there is none.
            let woken = waiter.wakes.count();
            let (was_polled, before) = (waiter.was_polled, rest.waiters.len());
            rest.ask(waiter);
            let answered = was_polled && rest.waiters.len() == before;
            assert_eq!(woken, usize::from(answered), "woken");
        }
    }
    let out: usize = rest.permits.iter().map(OwnedSemaphorePermit::num_permits).sum();
    // Those behind one who still waits have waited in vain.
    let first = rest.waiters.iter().filter_map(|waiter| waiter.number).min();
    if let Some(first) = first {
        for number in &rest.granted {
            assert!(number.is_some_and(|number| number < first), "{number:?} overtook {first}");
        }
    }
    // More may be out than there are to be: the rest will vanish.
    let debt = sem.status().debt;
    assert!(total + debt >= out, "{out} are out, and {debt} will vanish");
    let free = total + debt - out;
    if rest.waiters.is_empty() {
        assert_eq!(sem.available_permits(), free);
        assert_eq!(sem.outstanding(), out);
        assert!(free == 0 || debt == 0, "the debt takes what is free");
    } else {
        assert!(!closed, "somebody waits though it is closed");
        assert_eq!(sem.available_permits(), 0);
        // What is not out, the head has; it is not enough for it.
        let heads = rest.waiters.iter().filter(|waiter| waiter.number == first);
        let wants = heads.map(|waiter| waiter.wants).max().unwrap();
        assert!(free < wants, "{free} units lie about");
    }
    // Some leave, and there is enough for the others: they hear of it.
    rest.waiters.retain(|_| rng.u8(..3) > 0);
    let needed = debt + rest.waiters.iter().map(|waiter| waiter.wants).sum::<usize>();
    sem.add_permits(needed);
    for mut waiter in rest.waiters.drain(..) {
        assert_eq!(waiter.wakes.count(), 1, "enough for all");
        assert!(matches!(poll(&mut waiter.future, Waker::noop()), Poll::Ready(Ok(_))));
    }
    drop(rest);
    let total = total + needed;
    assert_eq!(sem.available_permits(), total);
    // Nor is there more than what can be seen.
    if !closed {
        let mut more = Waiter::new(sem, u32::try_from(total + 1).unwrap(), None);
        assert!(more.wakes.poll(&mut more.future).is_pending());
        sem.add_permits(1);
        assert_eq!(more.wakes.count(), 1);
    }
}

#[test]
fn of_two() {
    races(20_000, [Step::some, Step::some]);
}

#[test]
fn of_three() {
    races(8_000, [Step::some, Step::some, Step::some]);
}

#[test]
fn of_a_grant_and_new_wakers() {
    races(
        40_000,
        [|rng| vec![Step::AskAgain(rng.u8(1..4))], |rng| vec![Step::Add(rng.usize(1..4))]],
    );
}

#[test]
fn of_a_close_and_anything() {
    races(20_000, [|_| vec![Step::Close], |rng| vec![Step::random(rng)]]);
}

/// Lowers or raises the limit, in one of the ways there are.
fn resize(rng: &mut Rng) -> Step {
    match rng.u8(..4) {
        0..2 => Step::SetLimit(rng.usize(..7)),
        2 => Step::Reduce(rng.usize(1..4)),
        _ => Step::Add(rng.usize(1..4)),
    }
}

#[test]
fn of_a_new_limit_and_anything() {
    races(20_000, [|rng| vec![resize(rng)], |rng| vec![Step::random(rng)]]);
}

#[test]
fn of_two_new_limits() {
    races(20_000, [|rng| vec![resize(rng)], |rng| vec![resize(rng)]]);
}

#[test]
fn of_two_new_limits_and_anything() {
    let resizes = |rng: &mut Rng| vec![resize(rng), resize(rng)];
    races(8_000, [resizes, resizes, Step::some]);
}

#[test]
fn of_a_new_limit_and_a_close() {
    races(20_000, [|rng| vec![resize(rng)], |_| vec![Step::Close]]);
    races(8_000, [|rng| vec![resize(rng)], |_| vec![Step::Close], Step::some]);
}
