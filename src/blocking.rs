//! Waiting for permits in code that is not async.

use core::cell::Cell;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking::Parker;

use crate::error::AcquireError;
use crate::permit::{OwnedSemaphorePermit, SemaphorePermit};
use crate::semaphore::Semaphore;

#[cfg(all(test, not(any(semafair_loom, semafair_shuttle))))]
mod tests;
pub(crate) mod timeout;

/// Whether this is a target without threads, where nothing could wake a thread that sleeps.
///
/// Stable compilers never set `atomics`, and WASI is a target with threads and one without. So WASI
/// is left to [`Parker::park`], which panics where there are no threads.
const HAS_NO_THREADS: bool =
    cfg!(all(target_family = "wasm", not(target_feature = "atomics"), not(target_os = "wasi")));

/// Runs `future` to its end, blocking the thread while it waits.
#[track_caller]
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    match block_on_for(future, None) {
        Some(output) => output,
        None => unreachable!("it ends without a time-out"),
    }
}

/// Runs `future` to its end, blocking the thread while it waits; or drops it when `timeout` is over,
/// and returns `None`. If `timeout` is zero, polls once.
#[track_caller]
fn block_on_for<F: Future>(future: F, timeout: Option<Duration>) -> Option<F::Output> {
    check_may_block();
    let mut future = pin!(future);
    // Most calls need not wait, and these need neither a waker nor a clock. A future that waits
    // takes its place now all the same: it is polled again, with a waker that works, before this
    // thread sleeps.
    if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return Some(output);
    }
    if timeout == Some(Duration::ZERO) {
        return None;
    }
    if HAS_NO_THREADS {
        panic!("cannot wait for permits: this target has no other thread to release them");
    }
    // A time-out that the clock cannot represent is never over.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let sleeper = Sleeper::take();
    let mut cx = Context::from_waker(&sleeper.waker);
    let output = loop {
        // Before the poll: what came in time is not given up, however late this thread runs.
        let is_over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            break Some(output);
        }
        if is_over {
            break None;
        }
        // A sleep may end for no reason, or by a waker of an earlier call. Then the future is polled
        // in vain.
        match deadline {
            None => sleeper.parker.park(),
            Some(deadline) => {
                let _woken = sleeper.parker.park_deadline(deadline);
            }
        }
    };
    sleeper.put_back();
    output
}

/// What a thread sleeps on, and the waker that ends its sleep.
///
/// It is not the token of `std::thread::park`. A thread has only one of those: this crate would
/// consume what another unparked the thread for, and the other way round.
struct Sleeper {
    parker: Parker,
    waker: Waker,
}

std::thread_local! {
    /// The one that this thread used last, so that it need not allocate one for each wait.
    static IDLE: Cell<Option<Sleeper>> = const { Cell::new(None) };
}

impl Sleeper {
    /// Takes the idle one of this thread. There is none if it is in use further up the stack, since
    /// polling runs wakers, and these may block as well; nor while the thread's locals are destroyed.
    fn take() -> Self {
        IDLE.try_with(Cell::take).ok().flatten().unwrap_or_else(|| {
            let parker = Parker::new();
            let waker = Waker::from(parker.unparker());
            Self { parker, waker }
        })
    }

    /// Keeps it for the next wait of this thread.
    fn put_back(self) {
        let _destroyed = IDLE.try_with(|idle| idle.set(Some(self)));
    }
}

/// Panics with tokio's words on a thread that drives one of its runtimes.
#[cfg(feature = "tokio")]
#[track_caller]
fn check_may_block() {
    // A thread that drives a runtime has a current one. Most threads have none, and need not ask
    // further. Nor may they: the lock below needs thread-locals of tokio, and panics if these are
    // destroyed already, which they can be when the destructor of another thread-local calls.
    if tokio::runtime::Handle::try_current().is_err() {
        return;
    }
    // tokio has no public way to ask. But each of its blocking methods asks first, and this lock is free.
    drop(tokio::sync::Mutex::const_new(()).blocking_lock());
}

#[cfg(not(feature = "tokio"))]
fn check_may_block() {}

impl Semaphore {
    /// Waits for a permit, blocking the thread.
    ///
    /// The thread waits in the same line as the async waiters, in the order in which they asked.
    ///
    /// Call it on threads that run no async tasks, such as those of `tokio::task::spawn_blocking`.
    /// Elsewhere no task of the thread makes progress meanwhile: if one of them is to release the
    /// permits, the call never returns.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] if the semaphore is closed before the permit is granted.
    ///
    /// # Panics
    ///
    /// - With the feature `tokio`, on a thread that drives a tokio runtime, even if it need not wait.
    /// - If it must wait on a target without threads, such as `wasm32-unknown-unknown`.
    /// - If more than 2^59 permits are being waited for.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::new(0);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| semaphore.blocking_acquire().unwrap().forget());
    ///     semaphore.add_permits(1);
    /// });
    /// assert_eq!(semaphore.available_permits(), 0);
    /// ```
    #[track_caller]
    pub fn blocking_acquire(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.blocking_acquire_many(1)
    }

    /// Waits for `n` permits, blocking the thread.
    ///
    /// The thread waits in the same line as the async waiters, in the order in which they asked.
    /// `n == 0` is granted at once, unless the semaphore is closed.
    ///
    /// Call it on threads that run no async tasks, such as those of `tokio::task::spawn_blocking`.
    /// Elsewhere no task of the thread makes progress meanwhile: if one of them is to release the
    /// permits, the call never returns.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] if the semaphore is closed before the permits are granted.
    ///
    /// # Panics
    ///
    /// - With the feature `tokio`, on a thread that drives a tokio runtime, even if it need not wait.
    /// - If it must wait on a target without threads, such as `wasm32-unknown-unknown`.
    /// - If `n` exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit machines only.
    /// - If more than 2^59 permits are being waited for.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::new(5);
    /// let permits = semaphore.blocking_acquire_many(3)?;
    /// assert_eq!(semaphore.available_permits(), 2);
    /// # drop(permits);
    /// # Ok::<(), semafair::AcquireError>(())
    /// ```
    #[track_caller]
    pub fn blocking_acquire_many(&self, n: u32) -> Result<SemaphorePermit<'_>, AcquireError> {
        block_on(self.acquire_many(n))
    }

    /// Waits for a permit, blocking the thread; the guard keeps the semaphore alive.
    ///
    /// The thread waits in the same line as the async waiters, in the order in which they asked.
    ///
    /// Call it on threads that run no async tasks, such as those of `tokio::task::spawn_blocking`.
    /// Elsewhere no task of the thread makes progress meanwhile: if one of them is to release the
    /// permits, the call never returns.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] if the semaphore is closed before the permit is granted.
    ///
    /// # Panics
    ///
    /// - With the feature `tokio`, on a thread that drives a tokio runtime, even if it need not wait.
    /// - If it must wait on a target without threads, such as `wasm32-unknown-unknown`.
    /// - If more than 2^59 permits are being waited for.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::thread;
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Arc::new(Semaphore::new(1));
    /// let permit = semaphore.clone().blocking_acquire_owned()?;
    /// // The guard may go to another thread, which releases the permit.
    /// thread::spawn(move || drop(permit)).join().unwrap();
    /// assert_eq!(semaphore.available_permits(), 1);
    /// # Ok::<(), semafair::AcquireError>(())
    /// ```
    #[track_caller]
    pub fn blocking_acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.blocking_acquire_many_owned(1)
    }

    /// Waits for `n` permits, blocking the thread; the guard keeps the semaphore alive.
    ///
    /// The thread waits in the same line as the async waiters, in the order in which they asked.
    /// `n == 0` is granted at once, unless the semaphore is closed.
    ///
    /// Call it on threads that run no async tasks, such as those of `tokio::task::spawn_blocking`.
    /// Elsewhere no task of the thread makes progress meanwhile: if one of them is to release the
    /// permits, the call never returns.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] if the semaphore is closed before the permits are granted.
    ///
    /// # Panics
    ///
    /// - With the feature `tokio`, on a thread that drives a tokio runtime, even if it need not wait.
    /// - If it must wait on a target without threads, such as `wasm32-unknown-unknown`.
    /// - If `n` exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit machines only.
    /// - If more than 2^59 permits are being waited for.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Arc::new(Semaphore::new(5));
    /// let permits = semaphore.clone().blocking_acquire_many_owned(3)?;
    /// assert_eq!(semaphore.available_permits(), 2);
    /// # drop(permits);
    /// # Ok::<(), semafair::AcquireError>(())
    /// ```
    #[track_caller]
    pub fn blocking_acquire_many_owned(
        self: Arc<Self>,
        n: u32,
    ) -> Result<OwnedSemaphorePermit, AcquireError> {
        block_on(self.acquire_many_owned(n))
    }
}
