//! The errors of acquiring.

use alloc::boxed::Box;
use core::error::Error;
use core::fmt;

/// Why a request was refused.
///
/// Returned by the `acquire` futures and by the `blocking_acquire` methods. A semaphore that was made by
/// [`Semaphore::new`](crate::Semaphore::new) refuses only after it was [closed](crate::Semaphore::close). One
/// with a bounded line ([`Builder`](crate::Builder)) may refuse for other reasons.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use semafair::Semaphore;
///
/// let semaphore = Semaphore::new(1);
/// semaphore.close();
/// let error = semaphore.acquire().await.unwrap_err();
/// assert!(error.is_closed());
/// assert_eq!(error.to_string(), "semaphore closed");
/// # }
/// ```
pub struct AcquireError(
    /// `None`: a semaphore without a name is closed. What is rare is boxed, so that the result of an
    /// acquire stays as small as a guard: most of its cost is moving it.
    Option<Box<Details>>,
);

#[derive(Debug)]
struct Details {
    reason: Reason,
    name: Option<&'static str>,
}

/// What an [`AcquireError`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Closed,
    QueueFull,
    Oversized,
}

impl AcquireError {
    /// By the semaphore called `name`.
    pub(crate) fn new(reason: Reason, name: Option<&'static str>) -> Self {
        let is_plain = reason == Reason::Closed && name.is_none();
        Self((!is_plain).then(|| Box::new(Details { reason, name })))
    }

    fn reason(&self) -> Reason {
        self.0.as_ref().map_or(Reason::Closed, |details| details.reason)
    }

    fn name(&self) -> Option<&'static str> {
        self.0.as_ref().and_then(|details| details.name)
    }

    /// Returns whether the semaphore was [closed](crate::Semaphore::close) before the permits were
    /// granted.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::new(0);
    /// semaphore.close();
    /// assert!(semaphore.acquire().await.unwrap_err().is_closed());
    /// # }
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.reason(), Reason::Closed)
    }

    /// Returns whether too many permits were waited for already: more than
    /// [`Builder::queue_limit`](crate::Builder::queue_limit) allows.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::builder(0).queue_limit(0).build();
    /// let error = semaphore.acquire().await.unwrap_err();
    /// assert!(error.is_queue_full());
    /// assert_eq!(error.to_string(), "semaphore queue full");
    /// # }
    /// ```
    #[must_use]
    pub fn is_queue_full(&self) -> bool {
        matches!(self.reason(), Reason::QueueFull)
    }

    /// Returns whether the request was for more permits than existed, and the semaphore was told to
    /// refuse such requests by [`Builder::fail_oversized`](crate::Builder::fail_oversized).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::builder(2).fail_oversized().build();
    /// let error = semaphore.acquire_many(3).await.unwrap_err();
    /// assert!(error.is_oversized());
    /// assert_eq!(error.to_string(), "request exceeds the limit of the semaphore");
    /// # }
    /// ```
    #[must_use]
    pub fn is_oversized(&self) -> bool {
        matches!(self.reason(), Reason::Oversized)
    }
}

impl fmt::Debug for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("AcquireError");
        out.field("reason", &self.reason());
        if let Some(name) = self.name() {
            out.field("name", &name);
        }
        out.finish()
    }
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = match self.reason() {
            Reason::Closed => ("semaphore", " closed"),
            Reason::QueueFull => ("semaphore", " queue full"),
            Reason::Oversized => ("request exceeds the limit of the semaphore", ""),
        };
        match self.name() {
            None => write!(f, "{before}{after}"),
            Some(name) => write!(f, "{before} `{name}`{after}"),
        }
    }
}

impl Error for AcquireError {}

/// Why a `try_acquire` method returned no permit.
///
/// # Examples
///
/// ```
/// use semafair::{Semaphore, TryAcquireError};
///
/// let semaphore = Semaphore::new(0);
/// match semaphore.try_acquire() {
///     Ok(_permit) => println!("do it now"),
///     Err(TryAcquireError::NoPermits) => println!("come back later"),
///     Err(TryAcquireError::Closed) => println!("it is over"),
/// }
/// ```
#[derive(Debug, PartialEq, Eq)]
pub enum TryAcquireError {
    /// The semaphore is [closed](crate::Semaphore::close) and issues no more permits.
    Closed,

    /// Fewer permits are free than were asked for. While somebody waits, none is free.
    NoPermits,
}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "semaphore closed",
            Self::NoPermits => "no permits available",
        })
    }
}

impl Error for TryAcquireError {}

/// More permits would exist than [`Semaphore::MAX_PERMITS`](crate::Semaphore::MAX_PERMITS).
///
/// Returned by [`Semaphore::try_add_permits`](crate::Semaphore::try_add_permits).
///
/// # Examples
///
/// ```
/// use semafair::Semaphore;
///
/// let semaphore = Semaphore::new(Semaphore::MAX_PERMITS);
/// let error = semaphore.try_add_permits(1).unwrap_err();
/// assert_eq!(error.to_string(), "too many permits");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyPermitsError(());

impl TooManyPermitsError {
    pub(crate) const fn new() -> Self {
        Self(())
    }
}

impl fmt::Display for TooManyPermitsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many permits")
    }
}

impl Error for TooManyPermitsError {}
