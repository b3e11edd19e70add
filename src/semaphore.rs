//! The semaphore: its contract, and its counts. To acquire is in `acquire.rs`, and to release, by the
//! drop of a guard, in `permit.rs`.

use crate::core::Core;
use crate::core::balance::{self, check_permits};
use crate::sync::const_fn;

/// A counting semaphore for async code: lock-free, strictly fair, weighted, cancel-safe.
///
/// It has a number of permits. [`acquire`] waits for one and [`acquire_many`] for several. Both return a
/// guard, which gives the permits back when it is dropped. A semaphore can be made in a `static`, and
/// allocates nothing until somebody has to wait, or it is closed.
///
/// Names and meanings are those of `tokio::sync::Semaphore`; see [where they
/// differ](#differences-from-tokio), [examples](#examples), and [traps](#traps) of every fair semaphore.
///
/// # Fairness
///
/// Waiters are served in the order in which they were first polled, or
/// [enqueued](crate::Acquire::enqueue) before, however many permits they ask for. First polls that
/// overlap count in either order. Permits that come back are kept for the waiter at the head of the
/// line until it has all it asked for, so requests for few permits cannot starve a request for many.
/// Nobody who comes later is served earlier, [`try_acquire`] included.
///
/// # Cancel safety
///
/// Dropping an acquire future takes constant time on average. It leaves the line at once, and the
/// permits it already had go to others. (One drop in very many tidies up after the others, in time
/// proportional to the number of waiters.)
///
/// Memory of waiters that left is freed without waiting for the head of the line, or for a release. What a
/// line keeps is proportional to the number of those who wait, plus a constant.
///
/// A future that is forgotten ([`mem::forget`](core::mem::forget)) while it waits keeps its place, and
/// has its turn. Then the permits are lost, and so is a constant amount of memory.
///
/// # Memory ordering
///
/// Acquiring, releasing, adding, forgetting and closing are one total order for each semaphore,
/// with acquire–release semantics: what a thread did before one of them is visible after every
/// later one. A failed `try_acquire` also has a place in that order: what was done before the missing
/// permits were taken is visible after it.
///
/// # Progress
///
/// All operations are lock-free in the formal sense: there is no mutex, and no loop waits for another
/// thread. (There is one exception: changes of the limit by more than 2<sup>60</sup> permits, at the same
/// instant, may wait for one another.) If a thread is suspended for ever, at any instruction, all calls by
/// other threads still complete. What it withholds is limited to:
///
/// - the permits that it carries at that moment, and the wakes of the waiters whom they belong to. While it
///   is suspended, as many permits are missing at the end of the line. If one of these waiters is cancelled, its
///   permits are free when the thread goes on;
/// - its own place in the line;
/// - a constant amount of memory;
/// - in [`close`], one batch of wakes: wakers that it has taken out of the line and not woken yet. The
///   number of wakers in a batch is bounded by a small constant.
///
/// A waker that never returns counts as such a thread. If it happens in `close`, all waiters are refused
/// nevertheless, and those beyond the batch are woken by the next call that finds the semaphore closed:
/// another `close`, an acquire, the poll or drop of a future that was refused, the drop of a guard.
///
/// (An allocator that locks is beyond our reach. Only few of the waiters allocate, as they share their
/// memory in blocks.) Where nobody waits, an acquire takes one atomic read-modify-write, and so does
/// the drop of a guard.
///
/// # Wakers
///
/// A waker is user code. It is cloned, woken and dropped while nothing is held and everything is
/// consistent: it may use the same semaphore, drop other futures of it, or panic. If one panics while
/// several are woken, all others are woken nevertheless, no permit is lost, and the first panic comes
/// out of the call that woke it, unless that thread was panicking already.
///
/// # Closing
///
/// [`close`] is a point in the total order. Permits that were granted before it stay granted, whenever the
/// future is polled. All other requests are refused, and do not count any more: [`available_permits`]
/// is the number of free permits, whether or not the refused futures have been polled since. (Permits
/// that were kept for a request that wanted more come back when that future is polled or dropped.)
/// An acquire of a closed semaphore takes what it asks for until it is refused: for that moment,
/// `available_permits` and `forget_permits` may find as many fewer.
///
/// # Cooperative scheduling
///
/// With the feature `tokio`, which is on by default, acquiring takes part in the budget of tokio's tasks: a
/// task that acquires in a loop, and never has to wait, yields after a bounded number of acquires, so that
/// time-outs, `abort` and other tasks have their turn. The permits are taken before the task
/// yields and kept for it. Outside of a tokio runtime, an acquire of free permits is ready at its first poll.
///
/// # Differences from tokio
///
#[doc = include_str!("docs/differences.md")]
#[doc = include_str!("docs/traps.md")]
#[doc = include_str!("docs/examples.md")]
///
/// [`acquire`]: Semaphore::acquire
/// [`acquire_many`]: Semaphore::acquire_many
/// [`available_permits`]: Semaphore::available_permits
/// [`close`]: Semaphore::close
/// [`try_acquire`]: Semaphore::try_acquire
pub struct Semaphore {
    pub(crate) core: Core,
}

impl Semaphore {
    /// The most permits that a semaphore can have: `usize::MAX >> 3`.
    ///
    /// It bounds the [limit](Self::limit). A call that would raise the limit above it panics before anything has
    /// changed.
    pub const MAX_PERMITS: usize = balance::MAX_PERMITS;

    const_fn! {
        /// Creates a semaphore with the given number of permits.
        ///
        /// # Panics
        ///
        /// If `permits` exceeds [`MAX_PERMITS`](Self::MAX_PERMITS).
        ///
        /// # Examples
        ///
        /// ```
        /// use semafair::Semaphore;
        ///
        /// let semaphore = Semaphore::new(3);
        /// assert_eq!(semaphore.available_permits(), 3);
        /// ```
        #[must_use]
        #[track_caller]
        pub const fn new(permits: usize) -> Self {
            check_permits(permits);
            Self { core: Core::new(permits) }
        }
    }

    const_fn! {
        /// Creates a semaphore with the given number of permits. It is the same as [`new`](Self::new).
        ///
        /// # Panics
        ///
        /// If `permits` exceeds [`MAX_PERMITS`](Self::MAX_PERMITS).
        ///
        /// # Examples
        ///
        /// ```
        /// use semafair::Semaphore;
        ///
        /// static SEMAPHORE: Semaphore = Semaphore::const_new(3);
        /// ```
        #[must_use]
        #[track_caller]
        pub const fn const_new(permits: usize) -> Self {
            Self::new(permits)
        }
    }

    /// Returns the number of free permits.
    ///
    /// It is zero while somebody waits for permits that nobody has given back yet. It may be above zero
    /// beside a waiter to which another thread is just handing its permits. It may change at any time, so
    /// do not decide by it whether an acquire will have to wait: use [`try_acquire`](Self::try_acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::new(3);
    /// let permit = semaphore.try_acquire();
    /// assert_eq!(semaphore.available_permits(), 2);
    /// # drop(permit);
    /// ```
    #[must_use]
    pub fn available_permits(&self) -> usize {
        self.core.available()
    }

    /// Closes the semaphore: it grants no more permits, and all waiters are woken and get an error.
    ///
    /// Guards stay valid, and give their permits back as usual. A permit that was granted before stays
    /// granted, even if its future has not been polled since. A semaphore that is closed cannot be opened
    /// again, and closing it again changes nothing.
    ///
    /// # Panics
    ///
    /// If a waker panics. The semaphore is closed then, and all other waiters were woken.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use std::sync::Arc;
    /// use semafair::{Semaphore, TryAcquireError};
    ///
    /// let semaphore = Arc::new(Semaphore::new(1));
    /// let permit = semaphore.clone().try_acquire_owned().unwrap();
    /// let waiter = tokio::spawn(semaphore.clone().acquire_owned());
    ///
    /// semaphore.close();
    /// assert!(waiter.await.unwrap().is_err());
    /// assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::Closed);
    /// drop(permit);
    /// assert_eq!(semaphore.available_permits(), 1);
    /// # }
    /// ```
    pub fn close(&self) {
        self.core.close();
    }

    /// Returns whether the semaphore is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::new(1);
    /// assert!(!semaphore.is_closed());
    /// semaphore.close();
    /// assert!(semaphore.is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.core.is_closed()
    }
}
