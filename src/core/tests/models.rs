//! What the models are made of.

use core::future::Future;
use core::ops::RangeInclusive;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
#[cfg(semafair_loom)]
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

#[cfg(semafair_loom)]
use loom::cell::UnsafeCell;
#[cfg(semafair_loom)]
pub(crate) use loom::thread;
#[cfg(semafair_shuttle)]
pub(crate) use shuttle::thread;

use crate::line::Line;
use crate::sync::probe::memory;
use crate::{AcquireBetweenOwned, AcquireError, AcquireOwned, OwnedSemaphorePermit, Semaphore};

/// Checks a model, and that it frees all segments.
///
/// A model makes a [`Bank`], lets threads race, joins them, and closes the bank's books.
#[cfg(semafair_loom)]
pub(crate) fn check(model: impl Fn() + Send + Sync + 'static) {
    check_at_least(0, model);
}

/// In every interleaving; with more preemptions than usual for a small model whose race takes them.
#[cfg(semafair_loom)]
pub(crate) fn check_at_least(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut loom = loom::model::Builder::new();
    loom.preemption_bound = loom.preemption_bound.map(|bound| bound.max(preemptions));
    // The longest have a few thousand steps; loom's own limit is for finding loops that spin.
    loom.max_branches = 20_000;
    loom.check(move || memory::checked(&model));
}

/// In interleavings drawn by chance, or in one that was printed before.
///
/// Half of them are all chance. The others are runs of single threads, with few preemptions: they
/// find what takes one thread being stopped for long.
#[cfg(semafair_shuttle)]
pub(crate) fn check(model: impl Fn() + Send + Sync + 'static) {
    use shuttle::scheduler::{PctScheduler, RandomScheduler};

    let model = Arc::new(move || memory::checked(&model));
    if let Ok(schedule) = std::env::var("SHUTTLE_SCHEDULE") {
        return shuttle::replay(move || model(), &schedule);
    }
    let iterations = match std::env::var("SHUTTLE_ITERATIONS") {
        Ok(iterations) => iterations.parse().expect("SHUTTLE_ITERATIONS is a number"),
        Err(_) => 1000,
    };
    let mut config = shuttle::Config::new();
    // That it knows nothing of weaker orderings than SeqCst, which is what loom is for.
    config.silence_warnings = true;
    let chance = model.clone();
    shuttle::Runner::new(RandomScheduler::new(iterations), config.clone()).run(move || chance());
    shuttle::Runner::new(PctScheduler::new(3, iterations), config).run(move || model());
}

/// What one thread wrote and another reads or writes. Loom finds out if nothing orders the two.
#[cfg(semafair_loom)]
#[derive(Clone, Default)]
pub(crate) struct Note(Rc<UnsafeCell<()>>);

#[cfg(semafair_loom)]
impl Note {
    pub(crate) fn write(&self) {
        self.0.with_mut(|_| ());
    }

    pub(crate) fn read(&self) {
        self.0.with(|_| ());
    }
}

/// Of two steps that race, the second returns whether it came later. If so, it sees what was done
/// before the first.
#[cfg(semafair_loom)]
pub(crate) fn race<W: 'static, T: 'static>(
    new: fn() -> W,
    first: fn(&W) -> T,
    second: impl Fn(&W) -> bool + Copy + Send + Sync + 'static,
) {
    check(move || {
        let (word, note) = (Rc::new(new()), Note::default());
        let other = (word.clone(), note.clone());
        // Loom misses some of the orders in which a thread that was spawned comes first.
        let t = thread::spawn(move || {
            if second(&other.0) {
                other.1.read();
            }
        });
        note.write();
        first(&word);
        t.join().unwrap();
    });
}

/// Two who exclude each other. One keeps what it has taken, and the other gives it back.
#[cfg(semafair_loom)]
pub(crate) fn exclusive<W: 'static>(
    new: fn() -> W,
    take: fn(&W) -> bool,
    other_take: fn(&W) -> bool,
    other_give: fn(&W),
) {
    check(move || {
        let (word, note) = (Rc::new(new()), Note::default());
        let other = (word.clone(), note.clone());
        let t = thread::spawn(move || {
            if other_take(&other.0) {
                other.1.write();
                other_give(&other.0);
            }
        });
        if take(&word) {
            note.write();
        }
        t.join().unwrap();
    });
}

/// A semaphore, and the waiters of whom the model keeps account.
pub(super) struct Bank {
    pub(super) semaphore: Arc<Semaphore>,
}

impl Bank {
    /// With the line made before: the race for that has a model of its own.
    pub(super) fn new(permits: usize) -> Self {
        let bank = Self::without_line(permits);
        let _line = bank.semaphore.core.line.get_or_init(Line::with_seed);
        bank
    }

    pub(super) fn without_line(permits: usize) -> Self {
        Self { semaphore: Arc::new(Semaphore::new(permits)) }
    }

    /// Somebody who wants `n` permits, and has not asked yet.
    pub(super) fn waiter(&self, n: u32) -> Waiter {
        Waiter::new(Request::Many(self.semaphore.clone().acquire_many_owned(n)))
    }

    /// Somebody who wants as many of `permits` as there are, and has not asked yet.
    pub(super) fn waiter_between(&self, permits: RangeInclusive<u32>) -> Waiter {
        Waiter::new(Request::Between(self.semaphore.clone().acquire_between_owned(permits)))
    }

    /// Somebody who has asked, and waits.
    pub(super) fn waiting(&self, n: u32) -> Waiter {
        let mut waiter = self.waiter(n);
        assert!(waiter.poll().is_pending());
        waiter
    }

    pub(super) fn spawn<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Semaphore) -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let semaphore = self.semaphore.clone();
        thread::spawn(move || run(&semaphore))
    }

    /// All threads were joined: everybody who was woken looks, takes its permits and gives them
    /// back, until nobody is woken any more. Then there must be `total` permits and nobody left:
    /// a wake-up was lost otherwise, or a permit.
    pub(super) fn settle(self, mut waiters: Vec<Waiter>, total: usize) {
        while let Some(i) = waiters.iter().position(Waiter::is_woken) {
            if waiters[i].poll().is_ready() {
                drop(waiters.swap_remove(i));
            }
        }
        assert_eq!(waiters.len(), 0, "somebody sleeps for ever");
        assert_eq!(self.semaphore.available_permits(), total, "permits were lost or invented");
        if !self.semaphore.is_closed() {
            // Nor do any lie about in the line.
            let mut greedy = self.waiter(u32::try_from(total).unwrap() + 1);
            assert!(greedy.poll().is_pending(), "permits were invented");
            greedy.cancel();
            assert_eq!(self.semaphore.available_permits(), total, "permits were lost or invented");
        }
    }
}

/// What somebody asks for.
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

/// Somebody who wants permits.
pub(super) struct Waiter {
    future: Option<Request>,
    alarm: Arc<Alarm>,
}

/// A waker that remembers. It is no part of the model: loom does not look into it.
#[derive(Default)]
pub(crate) struct Alarm {
    rang: AtomicBool,
    #[cfg(semafair_shuttle)]
    panics: AtomicBool,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        // ORDERING: SeqCst. The test's own note; nothing hangs on its order.
        self.rang.store(true, Ordering::SeqCst);
        #[cfg(semafair_shuttle)]
        // ORDERING: SeqCst, as above.
        if self.panics.load(Ordering::SeqCst) {
            // Without the hook: shuttle's takes every panic for a failure.
            std::panic::resume_unwind(Box::new("alarm"));
        }
    }
}

impl Alarm {
    pub(crate) fn has_rung(&self) -> bool {
        // ORDERING: SeqCst. The test's own note; nothing hangs on its order.
        self.rang.load(Ordering::SeqCst)
    }
}

impl Waiter {
    fn new(request: Request) -> Self {
        Self { future: Some(request), alarm: Arc::default() }
    }

    /// Asks before its first poll.
    pub(super) fn enqueue(&mut self) {
        match self.future.as_mut().expect("asks before its end") {
            Request::Many(future) => future.enqueue(),
            Request::Between(future) => future.enqueue(),
        }
    }

    pub(super) fn poll(&mut self) -> Poll<Option<OwnedSemaphorePermit>> {
        // ORDERING: SeqCst. The test's own note; nothing hangs on its order.
        self.alarm.rang.store(false, Ordering::SeqCst);
        let waker = Waker::from(self.alarm.clone());
        let future = self.future.as_mut().expect("polled before its end");
        let poll = Pin::new(future).poll(&mut Context::from_waker(&waker)).map(Result::ok);
        if poll.is_ready() {
            self.future = None;
        }
        poll
    }

    /// Polls with another waker: the one before is not woken any more.
    pub(super) fn poll_anew(&mut self) -> Poll<Option<OwnedSemaphorePermit>> {
        let before = std::mem::take(&mut self.alarm);
        let poll = self.poll();
        if poll.is_pending() {
            assert_eq!(Arc::strong_count(&before), 1, "a waker was kept that was replaced");
        }
        poll
    }

    pub(super) fn is_woken(&self) -> bool {
        self.alarm.has_rung()
    }

    /// From now on, its waker panics.
    #[cfg(semafair_shuttle)]
    pub(super) fn panics_when_woken(&self) {
        // ORDERING: SeqCst. The test's own note; nothing hangs on its order.
        self.alarm.panics.store(true, Ordering::SeqCst);
    }

    /// Cancels. Nobody may hold its waker afterwards, unless it is being woken.
    pub(super) fn cancel(mut self) {
        self.future = None;
    }

    /// Takes what it can get at once, and gives it back.
    pub(super) fn visit(mut self) -> Vec<Self> {
        match self.poll() {
            Poll::Ready(_) => Vec::new(),
            Poll::Pending => vec![self],
        }
    }

    /// The same with another waker than before.
    pub(super) fn visit_anew(mut self) -> Vec<Self> {
        match self.poll_anew() {
            Poll::Ready(_) => Vec::new(),
            Poll::Pending => vec![self],
        }
    }
}
