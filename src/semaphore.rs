//! The semaphore: its contract, its counts, and how permits go back.

use core::fmt;

use crate::balance::{self, Balance, Overflow, Snapshot};
use crate::line::{Ended, LazyBox, Line};
use crate::sync::const_fn;
use crate::wakes::{Wakes, wake_one, waking};

/// What tokio says, number included; a `const` panic cannot format one.
const TOO_MANY: &str = match usize::BITS {
    64 => "a semaphore may not have more than MAX_PERMITS permits (2305843009213693951)",
    32 => "a semaphore may not have more than MAX_PERMITS permits (536870911)",
    _ => "a semaphore may not have more than MAX_PERMITS permits",
};

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
    pub(crate) balance: Balance,
    /// Made when somebody first has to wait.
    pub(crate) line: LazyBox<Line>,
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
            if permits > Self::MAX_PERMITS {
                Self::too_many();
            }
            Self { balance: Balance::new(permits), line: LazyBox::new() }
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
        usize::try_from(self.balance.load().free()).unwrap_or(usize::MAX)
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
        match self.balance.add(n) {
            Ok(seen) => self.after_give(seen, n),
            Err(Overflow) => Self::overflow(n),
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
        self.balance.forget(n)
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
        self.balance.close();
        if let Some(line) = self.line.shut() {
            waking(|wakes| self.close_line(line, wakes));
        }
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
        self.balance.load().is_closed()
    }

    /// Refuses requests that no semaphore could ever grant; there are some on 32 bits only.
    #[inline]
    #[track_caller]
    pub(crate) fn check_request(permits: u32) {
        if permits as usize > Self::MAX_PERMITS {
            Self::too_many();
        }
    }

    /// Gives back `n` permits, and wakes whoever has all it asked for by that.
    #[inline]
    pub(crate) fn release(&self, n: usize) {
        if let Err(seen) = self.balance.give(n) {
            self.after_give(seen, n);
        }
    }

    /// Delivers units that are owed, and gives back permits, before anybody is woken.
    #[cold]
    pub(crate) fn hand_on(&self, owed: u64, permits: u32) {
        waking(|wakes| {
            if owed > 0 {
                self.deliver(owed, wakes);
                wakes.make_room();
            }
            if permits > 0 {
                if let Err(seen) = self.balance.give(permits as usize) {
                    self.settle_give(seen, permits as usize, wakes);
                }
            }
        });
    }

    /// The rest of a release of `n` that found the balance as `seen`.
    #[cold]
    fn after_give(&self, seen: Snapshot, n: usize) {
        let units = seen.owed().min(n as u64);
        let line = if units > 0 { self.line.get() } else { None };
        match line.and_then(|line| line.deliver_at_once(units)) {
            Some(waker) => wake_one(waker),
            None => self.after_give_in_any_state(seen, n),
        }
    }

    #[cold]
    fn after_give_in_any_state(&self, seen: Snapshot, n: usize) {
        waking(|wakes| self.settle_give(seen, n, wakes));
    }

    fn settle_give(&self, seen: Snapshot, n: usize, wakes: &mut Wakes) {
        let units = seen.owed().min(n as u64);
        if units > 0 {
            self.deliver(units, wakes);
        } else if Balance::overflows(seen, n) {
            // What is not free any more is no excess.
            self.balance.forget(n);
            Self::overflow(n);
        } else if seen.is_closed() {
            self.help_close_collecting(wakes);
        }
    }

    /// Hands out units that are owed; what nobody in a shut line wants any more is free.
    fn deliver(&self, units: u64, wakes: &mut Wakes) {
        let back = match self.line.get_or_init(Line::new) {
            Some(line) => line.deliver(units, wakes),
            None => units,
        };
        if back > 0 {
            self.balance.settle(i64::try_from(back).unwrap_or(i64::MAX));
        }
    }

    /// Brings a close to its end whose thread may have been stopped.
    #[cold]
    pub(crate) fn help_close(&self) {
        waking(|wakes| self.help_close_collecting(wakes));
    }

    #[cold]
    fn help_close_collecting(&self, wakes: &mut Wakes) {
        if let Some(line) = self.line.get() {
            if !line.is_closed() {
                self.close_line(line, wakes);
            }
        }
    }

    fn close_line(&self, line: &Line, wakes: &mut Wakes) {
        loop {
            let (correction, all) = line.close(wakes);
            self.balance.settle(correction);
            if all {
                return;
            }
            wakes.wake();
        }
    }

    /// Draws the consequence of a place's end: mostly there is none.
    #[inline]
    pub(crate) fn ended(&self, ended: Ended) {
        if !matches!(ended, Ended::No) {
            self.line().ended(ended);
        }
    }

    /// The line in which somebody has a place.
    pub(crate) fn line(&self) -> &Line {
        match self.line.get() {
            Some(line) => line,
            None => unreachable!("a place outside of the line"),
        }
    }

    #[cold]
    #[track_caller]
    const fn too_many() -> ! {
        panic!("{}", TOO_MANY)
    }

    #[cold]
    #[track_caller]
    fn overflow(n: usize) -> ! {
        panic!("number of added permits ({n}) would overflow MAX_PERMITS ({})", Self::MAX_PERMITS)
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
