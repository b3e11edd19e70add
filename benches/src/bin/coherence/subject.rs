//! What runs under valgrind: one thread for each core, and one operation at a time.
//!
//! The threads are real, so each has its own stack, its own waiters and its own thread-locals. They
//! take turns, so that an operation of one thread is not mixed with that of another. Stores to
//! [`MARKS`] tell the trace's reader where an operation begins and ends.

use std::fs;
use std::hint::{black_box, spin_loop};
use std::io::{self, BufRead};
use std::mem::forget;
use std::pin::pin;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering, compiler_fence};
use std::sync::{Barrier, OnceLock};
use std::task::{Context, Poll, Waker};
use std::thread::{self, Thread};

use semafair_benches::{ForEach, Operation, Semaphore, for_each};

/// The most cores that there can be.
pub(crate) const MOST_CORES: usize = 128;

/// The mark that ends an operation.
pub(crate) const END: usize = MOST_CORES;
/// The mark before the first operation of a number of cores.
pub(crate) const NEW_SERIES: usize = MOST_CORES + 1;
/// How many marks there are. Each of the first is the begin of an operation of that core.
pub(crate) const MARK_COUNT: usize = MOST_CORES + 2;

/// A store to one of these bytes is a mark: a trace has addresses, and no values.
static MARKS: [AtomicU8; MARK_COUNT] = [const { AtomicU8::new(0) }; MARK_COUNT];

fn mark(which: usize) {
    compiler_fence(Ordering::SeqCst);
    MARKS[which].store(1, Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst);
}

/// What each core does, over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Workload {
    /// `acquire().await` and drop; there is a permit for each core.
    Acquire,
    /// `try_acquire()` and drop; there is a permit for each core.
    Try,
    /// One permit goes round: a core gets it, drops it, and queues up again.
    HandOff,
    /// All cores queue up behind one waiter that stays, and all leave again.
    Cancel,
}

impl Workload {
    pub(crate) const ALL: [Self; 4] = [Self::Acquire, Self::Try, Self::HandOff, Self::Cancel];

    /// The name in tables.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Acquire => "acquire + drop",
            Self::Try => "try_acquire + drop",
            Self::HandOff => "hand-off, one permit",
            Self::Cancel => "enqueue + cancel",
        }
    }

    /// How many marked parts one operation has.
    pub(crate) fn parts(self) -> usize {
        match self {
            Self::Acquire | Self::Try => 1,
            Self::HandOff | Self::Cancel => 2,
        }
    }

    fn needs(self) -> &'static [Operation] {
        match self {
            Self::Acquire | Self::Try => &[Operation::Threads],
            Self::HandOff => &[Operation::Threads, Operation::Wait],
            Self::Cancel => &[Operation::Threads, Operation::Wait, Operation::Leave],
        }
    }
}

/// What runs under valgrind.
pub(crate) struct Subject {
    pub(crate) semaphore: String,
    pub(crate) workload: Workload,
    /// Each number of cores is a series of its own.
    pub(crate) cores: Vec<usize>,
    /// How many operations each core does at least.
    pub(crate) rounds: usize,
    /// How many all cores do at least: few cores do more each, for a stable average.
    pub(crate) operations: usize,
    /// How many hand-offs each of a few threads does before that, all at the same time and not traced.
    /// Valgrind stops a thread after 100 000 basic blocks, wherever it is. So the threads meet, and
    /// what a semaphore builds when that happens for the first time is there for the trace.
    pub(crate) warm_up: usize,
}

/// The semaphore begins where a cache line begins, so that no other data lies in front of it there.
#[repr(align(128))]
struct Aligned<S>(S);

impl ForEach for Subject {
    type Outcome = bool;

    fn visit<S: Semaphore>(&self) -> bool {
        let able = self.workload.needs().iter().all(|need| !S::LACKS.contains(need));
        if S::NAME == self.semaphore && able {
            self.run::<S>();
        }
        S::NAME == self.semaphore && able
    }
}

impl Subject {
    /// Tells the parent where things are, waits until it is ready to read the trace, and runs.
    pub(crate) fn start(&self) -> io::Result<()> {
        println!("marks {:x}", MARKS.as_ptr().addr());
        for line in fs::read_to_string("/proc/self/maps")?.lines() {
            println!("map {line}");
        }
        println!("end");
        io::stdin().lock().read_line(&mut String::new())?;
        assert!(for_each(self).contains(&true), "no semaphore of that name can do that");
        Ok(())
    }

    fn run<S: Semaphore>(&self) {
        let semaphore = Aligned(S::with_permits(match self.workload {
            Workload::Acquire | Workload::Try => MOST_CORES,
            Workload::HandOff | Workload::Cancel => 0,
        }));
        let semaphore = black_box(&semaphore.0);
        let mut stays = pin!(semaphore.acquire());
        if matches!(self.workload, Workload::HandOff | Workload::Cancel) {
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| warm_up(semaphore, self.warm_up));
                }
            });
            while let Some(left_over) = semaphore.try_acquire() {
                forget(left_over);
            }
        }
        match self.workload {
            Workload::Acquire | Workload::Try => {}
            Workload::HandOff => semaphore.add_permits(1),
            Workload::Cancel => {
                assert!(stays.as_mut().poll(&mut no_task()).is_pending(), "there is no permit");
            }
        }
        for &cores in &self.cores {
            self.series(semaphore, cores);
        }
    }

    /// Each core does its operations.
    fn series<S: Semaphore>(&self, semaphore: &S, cores: usize) {
        mark(NEW_SERIES);
        let turns = &Turns::of(cores);
        let begin = &Barrier::new(cores + 1);
        thread::scope(|scope| {
            let core = |number| {
                let rounds = self.rounds.max(self.operations / cores);
                let core = Core { number, rounds, turns };
                let run = move || {
                    begin.wait();
                    match self.workload {
                        Workload::Acquire => core.acquire(semaphore),
                        Workload::Try => core.try_acquire(semaphore),
                        Workload::HandOff => core.hand_off(semaphore),
                        Workload::Cancel => core.cancel(semaphore),
                    }
                };
                scope.spawn(run).thread().clone()
            };
            let threads = (0..cores).map(core).collect();
            turns.threads.set(threads).expect("it is set once");
            begin.wait();
        });
    }
}

/// Queues up, and releases a permit to whoever is first. It never has to wait for another thread.
fn warm_up<S: Semaphore>(semaphore: &S, rounds: usize) {
    for _ in 0..rounds {
        let mut waiter = pin!(semaphore.acquire());
        match waiter.as_mut().poll(&mut no_task()) {
            Poll::Ready(granted) => forget(semaphore.permit(granted, 1)),
            Poll::Pending => semaphore.add_permits(1),
        }
    }
}

/// Lets all threads that are on their way to where they wait go there, since a trace does not say which thread an access is
/// of.
///
/// Valgrind runs one thread at a time: for 100 000 basic blocks, or until it waits; and for 300 more after the instruction
/// for spinning. Then all others have a turn, in order (`--fair-sched`), and 100 000 blocks of this thread are undisturbed.
fn let_others_run() {
    spin_loop();
    for block in 0..1000 {
        black_box(block);
    }
}

fn no_task() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Whose turn it is.
struct Turns {
    cores: usize,
    next: AtomicUsize,
    threads: OnceLock<Vec<Thread>>,
}

impl Turns {
    fn of(cores: usize) -> Self {
        Self { cores, next: AtomicUsize::new(0), threads: OnceLock::new() }
    }
}

/// What one thread is.
struct Core<'a> {
    number: usize,
    rounds: usize,
    turns: &'a Turns,
}

impl Core<'_> {
    /// Waits for the turn of this core, takes it, and lets the next core have its turn.
    fn in_turn<T>(&self, turn: impl FnOnce() -> T) -> T {
        let Turns { cores, next, threads } = self.turns;
        while next.load(Ordering::Acquire) % cores != self.number {
            thread::park();
        }
        let result = turn();
        next.fetch_add(1, Ordering::Release);
        threads.get().expect("it is set before the first turn")[(self.number + 1) % cores].unpark();
        result
    }

    /// Does what the trace is to have.
    fn traced<T>(&self, part: impl FnOnce() -> T) -> T {
        let_others_run();
        mark(self.number);
        let result = part();
        mark(END);
        result
    }

    fn acquire<S: Semaphore>(&self, semaphore: &S) {
        let cx = &mut no_task();
        let mut operation = || match pin!(semaphore.acquire()).poll(cx) {
            Poll::Ready(granted) => drop(semaphore.permit(granted, 1)),
            Poll::Pending => panic!("there is a permit for each"),
        };
        for _ in 0..self.rounds {
            self.in_turn(|| self.traced(&mut operation));
        }
    }

    fn try_acquire<S: Semaphore>(&self, semaphore: &S) {
        let operation = || drop(semaphore.try_acquire().expect("there is a permit for each"));
        for _ in 0..self.rounds {
            self.in_turn(|| self.traced(operation));
        }
    }

    fn hand_off<S: Semaphore>(&self, semaphore: &S) {
        let cx = &mut no_task();
        let mut waiter = pin!(semaphore.acquire());
        // The first core has the permit, and all others wait.
        let mut granted = self.in_turn(|| waiter.as_mut().poll(cx));
        for round in 0..self.rounds {
            self.in_turn(|| {
                self.traced(|| {
                    if round > 0 || granted.is_pending() {
                        granted = waiter.as_mut().poll(cx);
                    }
                    match std::mem::replace(&mut granted, Poll::Pending) {
                        Poll::Ready(granted) => drop(semaphore.permit(granted, 1)),
                        Poll::Pending => panic!("the core before this dropped the permit"),
                    }
                });
                self.traced(|| {
                    waiter.set(semaphore.acquire());
                    assert!(waiter.as_mut().poll(cx).is_pending(), "others are in front");
                });
            });
        }
        // A waiter that left now would be missing in the others' last turn.
        self.in_turn(|| ());
    }

    fn cancel<S: Semaphore>(&self, semaphore: &S) {
        let cx = &mut no_task();
        let mut waiter = pin!(None);
        for _ in 0..self.rounds {
            self.in_turn(|| {
                self.traced(|| {
                    waiter.set(Some(semaphore.acquire()));
                    let waiter = waiter.as_mut().as_pin_mut().expect("it was just set");
                    assert!(waiter.poll(cx).is_pending(), "there is no permit");
                });
            });
            self.in_turn(|| self.traced(|| waiter.set(None)));
        }
    }
}
