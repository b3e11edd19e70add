//! The semaphore: its contract, and its counts.

use core::fmt;

use crate::core::Core;
use crate::core::balance::{self, check_permits};
use crate::sync::const_fn;

/// A counting semaphore for async code: lock-free, strictly fair, weighted, cancel-safe.
///
/// It has a number of permits. [`acquire`] waits for one, [`acquire_many`] for several, and the
/// guard that they return gives them back when it is dropped. It takes 16 bytes, can be made in a
/// `static`, and allocates nothing until somebody has to wait.
///
/// Names and meanings are those of `tokio::sync::Semaphore`; see [where they
/// differ](#differences-from-tokio).
///
/// # Fairness
///
/// Waiters are served in the order in which they were first polled, whatever they ask for; first
/// polls that overlap count in either order. Permits that come back are put aside for whoever
/// stands at the head of the line until it has all it asked for, so nobody is starved by others
/// that ask for fewer. Nobody who comes later is served before, [`try_acquire`] included.
///
/// # Cancel safety
///
/// Dropping an acquire future takes constant time. It leaves the line at once, and hands on to
/// others whatever it had. Constant, that is, on average: one drop in very many tidies up after the
/// others, in time proportional to the number of waiters.
///
/// Memory of those who left goes back without waiting for the head of the line, or for a release: in
/// blocks of 31 places, when all 31 have been left and such blocks are a third of the line. So what a
/// line takes is bounded by who was in it when last a block was left: 816 bytes for each block with
/// somebody in it, half as much again, and up to three blocks.
///
/// A future that is forgotten ([`mem::forget`](core::mem::forget)) while it waits keeps its place,
/// and has its turn: then the permits are lost, and so are 816 bytes.
///
/// # Memory ordering
///
/// Acquiring, releasing, adding, forgetting and closing are one total order for each semaphore,
/// with acquire–release semantics: whatever a thread did before one of them is visible after every
/// later one. A failed `try_acquire` has a place in that order too.
///
/// # Progress
///
/// All operations are lock-free in the formal sense: there is no mutex and no waiting loop, and a
/// thread that is stopped for ever at any instruction keeps no call of another from coming to its
/// end. It withholds at most the permits that it carries at that moment, its own place, the wakes
/// that it was about to give (to those to whom these permits go, or, in `close`, to up to 32), and a
/// constant amount of memory. Permits that are on their way to waiters are theirs, and they learn of
/// it from the thread that carries them: while it is stopped, so many permits are missing at the end
/// of the line. (An allocator that locks is beyond our reach: at most one waiter in 31 allocates, and
/// one frees.) Where nobody waits, an acquire takes one atomic read-modify-write, and so does the
/// drop of a guard.
///
/// # Wakers
///
/// A waker is user code, and is cloned, woken and dropped with nothing held and everything in a
/// consistent state: it may use the same semaphore, drop other futures of it, or panic. If one
/// panics while several are woken, all others are woken nevertheless, no permit is lost, and the
/// first panic comes out of the call that woke it, unless that thread was panicking already.
///
/// # Closing
///
/// [`close`] is a point in the total order. Permits that were granted before it are granted,
/// whenever the future is polled (tokio returns an error then); all others are refused. Requests
/// that ended by it no longer count: [`available_permits`] tells what is free, whether or not their
/// futures have been polled since. (What had been put aside for one that wanted more comes back when
/// that one is polled or dropped.) An acquire of a closed semaphore has what it asks for until it is
/// refused: for that moment, `available_permits` and `forget_permits` may find as many fewer.
///
/// # Differences from tokio
///
/// - `acquire` and the like are no `async fn`s: they return named types, [`Acquire`] and
///   [`AcquireOwned`], which are `Unpin` and may be stored and moved.
/// - A permit that was granted before `close` stays granted.
/// - A waker that panics loses no permit, and leaves nobody else asleep.
/// - Adding or merging beyond [`MAX_PERMITS`](Self::MAX_PERMITS) is found before anything changes.
/// - More than 2<sup>59</sup> permits cannot be waited for at a time.
/// - It takes no part in tokio's cooperative scheduling: a task that acquires in a loop, and never
///   has to wait, never yields by that. `tokio::task::consume_budget` in the loop does.
/// - It reports nothing to `tracing`, and so to `tokio-console`.
///
/// [`Acquire`]: crate::Acquire
/// [`AcquireOwned`]: crate::AcquireOwned
///
/// # Examples
///
/// Never more than two at once:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use std::sync::Arc;
/// use semafair::Semaphore;
///
/// let tellers = Arc::new(Semaphore::new(2));
/// let customers: Vec<_> = (1..=5)
///     .map(|customer| {
///         let tellers = tellers.clone();
///         tokio::spawn(async move {
///             let _teller = tellers.acquire().await?;
///             println!("customer {customer} is being served");
///             Ok::<_, semafair::AcquireError>(())
///         })
///     })
///     .collect();
/// for customer in customers {
///     customer.await.unwrap().unwrap();
/// }
/// # }
/// ```
///
/// In a `static`, for a limit on the whole program:
///
/// ```
/// use semafair::Semaphore;
///
/// static DESCRIPTORS: Semaphore = Semaphore::new(100);
///
/// let one = DESCRIPTORS.try_acquire().unwrap();
/// assert_eq!(DESCRIPTORS.available_permits(), 99);
/// # drop(one);
/// ```
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
    /// Whatever would exceed it panics before anything has changed. The drop of a guard panics, too,
    /// if more would be free by it, since permits were added while some were held: its own are lost
    /// then.
    pub const MAX_PERMITS: usize = balance::MAX_PERMITS;

    const_fn! {
        /// Creates a semaphore with so many permits.
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
        /// Creates a semaphore, as [`new`](Self::new) does, which is `const` as well.
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

    /// Returns the number of free permits: zero where somebody waits.
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
        usize::try_from(self.core.balance.load().free()).unwrap_or(usize::MAX)
    }

    /// Adds `n` new permits, and wakes those who have all they asked for by that.
    ///
    /// # Panics
    ///
    /// If more than [`MAX_PERMITS`](Self::MAX_PERMITS) were free then; nothing has changed. If a
    /// waker panics; all permits were added, and everybody was woken.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::new(3);
    /// semaphore.add_permits(2);
    /// assert_eq!(semaphore.available_permits(), 5);
    /// ```
    #[track_caller]
    pub fn add_permits(&self, n: usize) {
        if let Err(overflow) = self.core.add(n) {
            overflow.panic(n);
        }
    }

    /// Takes up to `n` free permits out of circulation, and returns how many.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::new(3);
    /// assert_eq!(semaphore.forget_permits(2), 2);
    /// assert_eq!(semaphore.forget_permits(2), 1);
    /// assert_eq!(semaphore.available_permits(), 0);
    /// ```
    #[allow(clippy::must_use_candidate, reason = "tokio's is not, and code moves over unchanged")]
    pub fn forget_permits(&self, n: usize) -> usize {
        self.core.balance.forget(n)
    }

    /// Closes the semaphore: it issues no more permits, and everybody who waits is woken and gets
    /// an error. Guards stay valid. Closing again does nothing.
    ///
    /// # Panics
    ///
    /// If a waker panics; the semaphore is closed, and everybody was woken.
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

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available_permits", &self.available_permits())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
