//! Nobody waits, but all want the same memory.

use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use super::Workload;
use super::uncontended::{acquire_and_drop, try_and_drop};
use crate::{Operation, Semaphore, Time};

/// Threads that acquire and drop, with a permit for each: they meet in the semaphore's memory only.
///
/// A round is one operation of each thread. Timed: from the first thread's start to the last one's
/// end, divided by the turns that the processors take to serve all: one for as many threads as there
/// are processors, two for twice as many. So with more threads than processors it is the cost of an
/// operation under preemption.
#[derive(Clone, Copy, Debug)]
pub struct Threads {
    /// How many there are.
    pub threads: u32,
    /// What they call.
    pub call: Call,
}

/// How a permit is acquired that is free.
#[derive(Clone, Copy, Debug)]
pub enum Call {
    /// `acquire().await`
    Acquire,
    /// `try_acquire()`
    TryAcquire,
}

impl Workload for Threads {
    fn name(&self) -> String {
        let call = match self.call {
            Call::Acquire => "acquire",
            Call::TryAcquire => "try_acquire",
        };
        match self.threads {
            1 => format!("{call} + drop, one thread"),
            2 => format!("{call} + drop, two threads that never wait"),
            n => format!("{call} + drop, {n} threads that never wait"),
        }
    }

    fn operations(&self) -> u32 {
        let processors = thread::available_parallelism().map_or(1, |n| n.get().min(64));
        self.threads.div_ceil(u32::try_from(processors).expect("64 at most"))
    }

    fn size(&self) -> Option<u32> {
        Some(self.threads)
    }

    fn needs(&self) -> &'static [Operation] {
        &[Operation::FreeAtOnce, Operation::Threads]
    }

    fn run<S: Semaphore>(&self, rounds: u64) -> Time {
        let semaphore = S::with_permits(self.threads as usize);
        let barrier = Barrier::new(self.threads as usize);
        let run = || {
            barrier.wait();
            let start = Instant::now();
            match self.call {
                Call::Acquire => acquire_and_drop(&semaphore, rounds),
                Call::TryAcquire => try_and_drop(&semaphore, rounds),
            }
            (start, Instant::now())
        };
        thread::scope(|scope| {
            let others: Vec<_> = (1..self.threads).map(|_| scope.spawn(run)).collect();
            let own = run();
            let others = others.into_iter().map(|other| other.join().expect("it panicked"));
            let (first, last) =
                others.fold(own, |(first, last), (start, end)| (first.min(start), last.max(end)));
            Time::of_threads(last - first)
        })
    }
}
