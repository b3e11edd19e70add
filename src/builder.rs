//! Semaphores with more than a number of permits.

use crate::core::Core;
use crate::core::balance::check_permits;
use crate::core::settings::LONGEST_NAME;
use crate::semaphore::Semaphore;
use crate::sync::const_fn;

/// Makes a [`Semaphore`] that has a bounded line, a name, or permits that are taken already.
///
/// Made by [`Semaphore::builder`]. All its methods are `const`, so it works in a `static`.
///
/// # Examples
///
/// ```
/// use semafair::Semaphore;
///
/// static DATABASE: Semaphore = Semaphore::builder(8).queue_limit(100).name("database").build();
///
/// assert_eq!(DATABASE.limit(), 8);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing unless `build` is called"]
pub struct Builder {
    permits: usize,
    acquired: usize,
    queue_limit: Option<usize>,
    fail_oversized: bool,
    name: Option<&'static str>,
}

impl Builder {
    /// Sets how many permits may be waited for, by all waiters together.
    ///
    /// A request that would exceed it fails at its first poll with an error for which
    /// [`is_queue_full`](crate::AcquireError::is_queue_full) holds. It has no effect then: it took no place, and
    /// nobody was woken. With a bound of 0, a request is granted at once or refused. Free permits are
    /// given out whatever the bound.
    ///
    /// Only permits that are not on their way yet count. So a request for 3 permits of which 1 is
    /// free counts as 2.
    ///
    /// The bound is exact, also if many requests come at the same instant: it is never exceeded, and
    /// no request is refused that would fit. While the semaphore is in
    /// [debt](Semaphore::set_limit), a release that comes at the same instant may make it inexact by as many
    /// permits as that release pays.
    ///
    /// A bound of 2<sup>55</sup> − 1 or more is none, which is the default.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::builder(1).queue_limit(0).build();
    /// let permit = semaphore.acquire().await.unwrap();
    /// assert!(semaphore.acquire().await.unwrap_err().is_queue_full());
    /// drop(permit);
    /// assert!(semaphore.acquire().await.is_ok());
    /// # }
    /// ```
    pub const fn queue_limit(mut self, n: usize) -> Self {
        self.queue_limit = Some(n);
        self
    }

    /// Makes a request fail at its first poll if it asks for more permits than the
    /// [limit](Semaphore::limit) is at that moment.
    ///
    /// [`is_oversized`](crate::AcquireError::is_oversized) holds for the error. Otherwise such a request waits
    /// until the limit is raised, and so do all behind it. A request that was let in stays, even if
    /// the limit falls later.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::builder(4).fail_oversized().build();
    /// assert!(semaphore.acquire_many(5).await.unwrap_err().is_oversized());
    /// # }
    /// ```
    pub const fn fail_oversized(mut self) -> Self {
        self.fail_oversized = true;
        self
    }

    /// Lets the semaphore start with `n` of its permits taken.
    ///
    /// They count as [outstanding](Semaphore::outstanding), and have no guard.
    /// [`Semaphore::adopt`] makes one.
    ///
    /// # Panics
    ///
    /// If `n` exceeds the permits of the semaphore.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::builder(3).acquired(2).build();
    /// assert_eq!(semaphore.available_permits(), 1);
    /// drop(semaphore.adopt(2));
    /// assert_eq!(semaphore.available_permits(), 3);
    /// ```
    #[track_caller]
    pub const fn acquired(mut self, n: usize) -> Self {
        assert!(n <= self.permits, "more permits are acquired than there are");
        self.acquired = n;
        self
    }

    /// Sets a name, which [`Status`](crate::Status), the `Debug` output of the semaphore and
    /// [`AcquireError`](crate::AcquireError) show.
    ///
    /// # Panics
    ///
    /// If the name is longer than 127 bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::builder(1).name("uploads").build();
    /// semaphore.close();
    /// let error = semaphore.acquire().await.unwrap_err();
    /// assert_eq!(error.to_string(), "semaphore `uploads` closed");
    /// # }
    /// ```
    #[track_caller]
    pub const fn name(mut self, name: &'static str) -> Self {
        assert!(name.len() <= LONGEST_NAME, "the name of a semaphore is longer than 127 bytes");
        self.name = Some(name);
        self
    }

    const_fn! {
        /// Makes the semaphore.
        ///
        /// # Examples
        ///
        /// ```
        /// use semafair::Semaphore;
        ///
        /// static SEMAPHORE: Semaphore = Semaphore::builder(3).build();
        /// assert_eq!(SEMAPHORE.available_permits(), 3);
        /// ```
        #[must_use]
        pub const fn build(self) -> Semaphore {
            let Self { permits, acquired, queue_limit, fail_oversized, name } = self;
            Semaphore { core: Core::build(permits, acquired, queue_limit, fail_oversized, name) }
        }
    }
}

impl Semaphore {
    /// Starts to make a semaphore with the given number of permits, and more settings than
    /// [`new`](Self::new) has.
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
    /// let semaphore = Semaphore::builder(3).queue_limit(10).build();
    /// assert_eq!(semaphore.available_permits(), 3);
    /// ```
    #[track_caller]
    pub const fn builder(permits: usize) -> Builder {
        check_permits(permits);
        Builder { permits, acquired: 0, queue_limit: None, fail_oversized: false, name: None }
    }
}
