//! How much heap the semaphore takes, and that it gives it back. A binary of its own, because it
//! counts what the global allocator hands out.

#![expect(unsafe_code, reason = "a global allocator can only be written with it")]

#[path = "memory/bound.rs"]
mod bound;
#[cfg(feature = "keyed")]
#[path = "memory/keyed.rs"]
mod keyed;
#[path = "it/support/seed.rs"]
mod seed;
#[path = "it/support/watchdog.rs"]
mod watchdog;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use semafair::{Acquire, PollSemaphore, Semaphore};

/// Counts for each thread on its own, so that tests can run side by side.
struct Counting;

thread_local! {
    /// Bytes taken and not given back; it wraps, so that only differences mean something.
    static HELD: Cell<usize> = const { Cell::new(0) };
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

/// Adds to a counter, unless the thread is about to end and has none any more.
fn add(counter: &'static thread::LocalKey<Cell<usize>>, n: usize) {
    let _gone = counter.try_with(|count| count.set(count.get().wrapping_add(n)));
}

// SAFETY: every call goes on to the system's allocator as it came; counting allocates nothing, as
// the counters are made without a lazy initializer and without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(&CALLS, 1);
        add(&HELD, layout.size());
        // SAFETY: by the caller, who promises the same to this function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        add(&HELD, layout.size().wrapping_neg());
        // SAFETY: by the caller; the block came from `System`, since all of ours do.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What this thread has taken since `new`: the counters as they were then.
struct Since(usize, usize);

impl Since {
    fn new() -> Self {
        // What the watchdog takes does not count.
        watchdog::watch();
        Self(HELD.get(), CALLS.get())
    }

    /// Bytes taken and not given back. More given back than taken is a huge number.
    fn held(&self) -> usize {
        HELD.get().wrapping_sub(self.0)
    }

    fn calls(&self) -> usize {
        CALLS.get() - self.1
    }
}

const MIB: usize = 1 << 20;
const BURST: usize = 200_000;

/// A waker with a heap block of its own.
struct Nothing;

impl Wake for Nothing {
    fn wake(self: Arc<Self>) {}
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[track_caller]
fn waits<F: Future + Unpin>(mut future: F) -> F {
    assert!(poll(&mut future).is_pending());
    future
}

#[test]
fn nothing_until_somebody_waits() {
    let since = Since::new();
    let sem = Semaphore::new(5);
    for _ in 0..3 {
        let Poll::Ready(Ok(mut permit)) = poll(&mut sem.acquire_many(2)) else { panic!("free") };
        permit.merge(sem.try_acquire().unwrap());
        drop(permit.split(2));
        assert!(sem.try_acquire_many(9).is_err());
        drop(sem.acquire());
        sem.add_permits(1);
        assert_eq!(sem.forget_permits(1), 1);
    }
    assert_eq!(since.calls(), 0);
    // Who closes counts how many are closing, in the line.
    sem.close();
    assert!(matches!(poll(&mut sem.acquire()), Poll::Ready(Err(_))));
    assert!(since.held() <= 256, "{} bytes", since.held());
    drop(sem);
    assert_eq!(since.held(), 0);
}

#[test]
fn nothing_for_owned_handles_until_somebody_waits() {
    let sem = Arc::new(Semaphore::new(5));
    let since = Since::new();
    let mut handle = PollSemaphore::new(Arc::clone(&sem));
    for _ in 0..3 {
        let permit = poll(&mut Arc::clone(&sem).acquire_many_owned(2));
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(matches!(handle.poll_acquire_many(cx, 2), Poll::Ready(Some(_))));
        drop(Arc::clone(&sem).try_acquire_owned().unwrap());
        drop(permit);
    }
    assert_eq!(since.calls(), 0);
}

#[test]
fn nothing_for_a_blocking_call_that_need_not_wait() {
    let sem = Arc::new(Semaphore::new(5));
    let since = Since::new();
    for _ in 0..3 {
        drop(sem.blocking_acquire().unwrap());
        drop(sem.blocking_acquire_many(5).unwrap());
        drop(Arc::clone(&sem).blocking_acquire_owned().unwrap());
        drop(Arc::clone(&sem).blocking_acquire_many_owned(5).unwrap());
    }
    assert_eq!(since.calls(), 0);
    sem.close();
    let since = Since::new();
    assert!(sem.blocking_acquire().is_err());
    assert_eq!(since.calls(), 0);
}

#[test]
fn few_bytes_for_each_who_waits() {
    for weight in [1, 1000] {
        let sem = Semaphore::new(0);
        let mut line: Vec<Acquire<'_>> = Vec::with_capacity(BURST);
        let since = Since::new();
        line.extend((0..BURST).map(|_| waits(sem.acquire_many(weight))));
        let bytes = since.held();
        assert!(bytes <= 32 * BURST, "{} bytes for each", bytes / BURST);
        drop(line);
    }
}

#[test]
fn a_burst_that_is_cancelled_leaves_little() {
    let mut rng = fastrand::Rng::with_seed(7);
    for behind_a_head in [false, true] {
        for order in ["first come first", "last come first", "any"] {
            let all = Since::new();
            let sem = Semaphore::new(0);
            let mut line: Vec<Option<Acquire<'_>>> = Vec::with_capacity(BURST);
            let since = Since::new();
            let head = behind_a_head.then(|| waits(sem.acquire()));
            line.extend((0..BURST).map(|_| Some(waits(sem.acquire()))));
            match order {
                "last come first" => line.reverse(),
                "any" => rng.shuffle(&mut line),
                _ => {}
            }
            line.fill_with(|| None);
            let bytes = since.held();
            assert!(bytes < 4096, "{bytes} bytes are left, {order}, head: {behind_a_head}");
            assert_eq!(sem.available_permits(), 0, "nothing was released");
            drop(line);
            drop(head);
            drop(sem);
            assert_eq!(all.held(), 0, "{order}, head: {behind_a_head}");
        }
    }
}

/// Whoever was cancelled stayed in the line until permits were released (tokio#2237).
#[test]
fn tokio_2237_cancelled_waiters_pile_up_behind_one_who_stays() {
    let since = Since::new();
    let sem = Semaphore::new(0);
    let mut head = waits(sem.acquire());
    for i in 0..1_000_000 {
        drop(waits(sem.acquire()));
        if i % 100 == 0 {
            assert!(since.held() < MIB / 16, "{} bytes after {i}", since.held());
        }
    }
    assert!(since.held() < MIB / 16);
    sem.add_permits(1);
    assert!(matches!(poll(&mut head), Poll::Ready(Ok(_))));
    drop(head);
    drop(sem);
    assert_eq!(since.held(), 0);
}

#[test]
fn a_window_that_moves_on_behind_one_who_stays_leaves_little() {
    let since = Since::new();
    let sem = Semaphore::new(0);
    let mut window = [const { None }; 100];
    let head = waits(sem.acquire());
    for i in 0..300_000 {
        window[i % 100] = Some(waits(sem.acquire()));
        if i % 100 == 0 {
            assert!(since.held() < MIB / 16, "{} bytes after {i}", since.held());
        }
    }
    drop(window);
    drop(head);
    drop(sem);
    assert_eq!(since.held(), 0);
}

#[test]
fn millions_of_hand_offs_keep_the_heap_flat() {
    let since = Since::new();
    let sem = Semaphore::new(1);
    let mut permit = sem.try_acquire().unwrap();
    let mut early = 0;
    for i in 0..2_000_000 {
        let mut next = waits(sem.acquire());
        drop(permit);
        let Poll::Ready(Ok(got)) = poll(&mut next) else { panic!("granted") };
        permit = got;
        if i == 1000 {
            early = since.held();
        }
        if i > 1000 && i % 100 == 0 {
            assert!(since.held() <= early + (MIB >> 4), "{} after {i}", since.held());
        }
    }
    drop(permit);
    drop(sem);
    assert_eq!(since.held(), 0);
}

#[test]
fn hand_offs_through_a_line_keep_the_heap_flat() {
    let since = Since::new();
    let sem = Semaphore::new(0);
    let mut window = [const { None::<Acquire<'_>> }; 150];
    let mut early = 0;
    for i in 0..300_000 {
        if let Some(mut first) = window[i % 150].take() {
            sem.add_permits(2);
            // Every other one is granted and then dropped, and the permits go to the next.
            if i % 2 == 0 {
                let Poll::Ready(Ok(permit)) = poll(&mut first) else { panic!("granted") };
                permit.forget();
            } else {
                drop(first);
                assert_eq!(sem.forget_permits(2), 0, "the next one has them");
                window[(i + 1) % 150] = None;
                sem.forget_permits(2);
            }
        }
        window[i % 150] = Some(waits(sem.acquire_many(2)));
        if i == 10_000 {
            early = since.held();
        }
        if i > 10_000 && i % 100 == 0 {
            assert!(since.held() <= early + (MIB >> 4), "{} after {i}", since.held());
        }
    }
    drop(window);
    drop(sem);
    assert_eq!(since.held(), 0);
}

#[test]
fn polling_again_takes_nothing() {
    let wakers = [Waker::from(Arc::new(Nothing)), Waker::from(Arc::new(Nothing))];
    let sem = Semaphore::new(1);
    let mut future = waits(sem.acquire_many(2));
    let since = Since::new();
    for i in 0..10_000 {
        let cx = &mut Context::from_waker(&wakers[i % 2]);
        assert!(Pin::new(&mut future).poll(cx).is_pending());
    }
    assert_eq!((since.calls(), since.held()), (0, 0));
}

#[test]
fn releasing_and_closing_take_nothing() {
    let sem = Semaphore::new(0);
    let mut line: Vec<_> = (0..1000).map(|_| waits(sem.acquire())).collect();
    let since = Since::new();
    sem.add_permits(500);
    sem.close();
    line.iter_mut().for_each(|future| assert!(poll(future).is_ready()));
    assert_eq!(since.calls(), 0);
}

#[test]
fn a_poll_semaphore_takes_nothing_of_its_own() {
    const ROUNDS: usize = 10_000;
    let sem = Arc::new(Semaphore::new(0));
    let cx = &mut Context::from_waker(Waker::noop());
    let since = Since::new();
    for _ in 0..ROUNDS {
        let mut handle = PollSemaphore::new(Arc::clone(&sem));
        assert!(handle.poll_acquire(cx).is_pending());
        assert!(handle.poll_acquire_many(cx, 2).is_pending());
        sem.add_permits(2);
        let Poll::Ready(Some(permit)) = handle.poll_acquire_many(cx, 2) else { panic!("granted") };
        permit.forget();
        assert!(handle.poll_acquire(cx).is_pending());
    }
    // The line may need a piece for many places; three places were taken in each round.
    assert!(since.calls() <= 3 * ROUNDS / 16, "{} allocations", since.calls());
}

#[test]
fn dropping_the_semaphore_frees_all() {
    let states: [fn(&Semaphore); 5] = [
        |sem| drop(waits(sem.acquire())),
        |sem| (0..1000).for_each(|_| mem::forget(waits(sem.acquire()))),
        |sem| {
            (0..1000).for_each(|i| {
                let future = waits(sem.acquire());
                if i % 7 == 0 {
                    mem::forget(future);
                }
            });
        },
        |sem| {
            let head = waits(sem.acquire_many(2));
            (0..1000).for_each(|_| mem::forget(waits(sem.acquire())));
            sem.add_permits(1);
            drop(head);
        },
        |sem| {
            (0..100).for_each(|_| {
                let waker = Waker::from(Arc::new(Nothing));
                let mut future = sem.acquire();
                let pending = Pin::new(&mut future).poll(&mut Context::from_waker(&waker));
                assert!(pending.is_pending());
                mem::forget(future);
            });
        },
    ];
    assert_eq!(states.map(left_by), [0; 5], "bytes left by each");
}

/// The line has gone past those who were answered. Who forgets such a future has its segment leak.
#[test]
fn forgotten_answers_leak_their_segments_and_no_more() {
    let states: [fn(&Semaphore); 2] = [
        |sem| {
            (0..1000).for_each(|_| mem::forget(waits(sem.acquire_many(3))));
            sem.add_permits(1000);
        },
        |sem| {
            (0..1000).for_each(|_| mem::forget(waits(sem.acquire())));
            sem.close();
        },
    ];
    for left in states.map(left_by) {
        assert!(left <= 1000 * 32, "{left} bytes left");
    }
}

/// How many bytes are held after a semaphore in this state was dropped.
fn left_by(state: fn(&Semaphore)) -> usize {
    let since = Since::new();
    let sem = Semaphore::new(0);
    state(&sem);
    drop(sem);
    since.held()
}

/// Runs `work` on some threads, and adds up what it took and did not give back. What one thread
/// takes another may give back: only the sum says something.
fn held_by_threads(work: impl Fn(u64) + Sync) -> usize {
    thread::scope(|scope| {
        let work = |i| {
            let since = Since::new();
            work(i);
            since.held()
        };
        let threads = [0, 1, 2, 3].map(|i| scope.spawn(move || work(i)));
        threads.map(|thread| thread.join().unwrap()).into_iter().fold(0, usize::wrapping_add)
    })
}

/// Less than one piece of the line: blocking may leave a little with each thread.
fn is_nothing(bytes: usize) -> bool {
    bytes.wrapping_add(512) < 1024
}

#[test]
fn threads_leave_little() {
    let since = Since::new();
    let sem = Semaphore::new(1);
    let head = waits(sem.acquire_many(2));
    let mut bytes = since.held();
    bytes = bytes.wrapping_add(held_by_threads(|seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut line = Vec::with_capacity(64);
        for _ in 0..30_000 {
            match rng.u8(..4) {
                0 if line.len() < 64 => line.push(waits(sem.acquire())),
                1 if !line.is_empty() => drop(line.swap_remove(rng.usize(..line.len()))),
                _ => drop(waits(sem.acquire_many(rng.u32(1..4)))),
            }
        }
    }));
    assert!(bytes < MIB, "{bytes} bytes are left behind the head");
    let since = Since::new();
    drop(head);
    assert_eq!(sem.available_permits(), 1);
    drop(sem);
    bytes = bytes.wrapping_add(since.held());
    assert!(is_nothing(bytes), "{bytes} bytes are leaked");
}

#[test]
fn hand_offs_between_threads_leave_nothing() {
    let since = Since::new();
    let sem = Semaphore::new(2);
    let mut bytes = since.held();
    bytes = bytes.wrapping_add(held_by_threads(|_| {
        for _ in 0..5000 {
            drop(sem.blocking_acquire_many(2).unwrap());
        }
    }));
    assert!(bytes < MIB, "{bytes} bytes are left after the hand-offs");
    let since = Since::new();
    drop(sem);
    bytes = bytes.wrapping_add(since.held());
    assert!(is_nothing(bytes), "{bytes} bytes are leaked");
}

/// What one semaphore keeps that somebody once waited for.
fn kept_after(waiters: usize, ends: fn(&Semaphore, Vec<Acquire<'_>>)) -> usize {
    let since = Since::new();
    let sem = Semaphore::new(0);
    ends(&sem, (0..waiters).map(|_| waits(sem.acquire())).collect());
    let kept = since.held();
    drop(sem);
    assert_eq!(since.held(), 0);
    kept
}

fn served(sem: &Semaphore, mut line: Vec<Acquire<'_>>) {
    sem.add_permits(line.len());
    line.iter_mut().for_each(|future| assert!(poll(future).is_ready()));
}

/// People have a semaphore for each key.
#[test]
fn a_semaphore_that_was_contended_once_keeps_little() {
    for (waiters, most) in [(1, 256), (3, 256), (4, 512), (18, 512), (19, 2048), (1000, 2048)] {
        for ends in [served as fn(&Semaphore, Vec<Acquire<'_>>), |_, line| drop(line)] {
            let kept = kept_after(waiters, ends);
            assert!(kept <= most, "{kept} bytes after {waiters} waiters");
        }
    }
}
