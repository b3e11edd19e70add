//! Why a call failed.

use core::error;
use core::fmt;

use crate::error::AcquireError;

/// Why a call through a [`ConcurrencyLimit`](super::ConcurrencyLimit) failed.
///
/// # Examples
///
/// ```
/// use semafair::tower::Error;
///
/// fn status<E>(error: &Error<E>) -> u16 {
///     match error {
///         Error::Refused(_) => 503, // the service was not called: try again later
///         Error::Inner(_) => 500,
///     }
/// }
/// # assert_eq!(status(&Error::Inner(())), 500);
/// ```
#[derive(Debug)]
pub enum Error<E> {
    /// The semaphore refused the request. The service inside was not called.
    Refused(AcquireError),

    /// The service inside failed, with this error.
    Inner(E),
}

impl<E> Error<E> {
    /// Returns whether the semaphore refused the request.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::tower::Error;
    ///
    /// assert!(!Error::Inner("no such file").is_refused());
    /// ```
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    /// Turns it into a boxed error, which is the [`AcquireError`] or the error of the service inside, and nothing around
    /// it.
    ///
    /// Many services of tower have boxed errors, which do not implement [`core::error::Error`] themselves. Then
    /// `Error<E>` does not either, and a layer outside may need this, by `ServiceBuilder::map_err(Error::into_boxed)`.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::tower::Error;
    ///
    /// let inside: Box<dyn std::error::Error + Send + Sync> = "no such file".into();
    /// let boxed = Error::Inner(inside).into_boxed();
    /// assert_eq!(boxed.to_string(), "no such file");
    /// ```
    #[must_use]
    pub fn into_boxed(self) -> Box<dyn error::Error + Send + Sync>
    where
        E: Into<Box<dyn error::Error + Send + Sync>>,
    {
        match self {
            Self::Refused(refused) => refused.into(),
            Self::Inner(inner) => inner.into(),
        }
    }
}

/// The text is that of the error inside.
impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => refused.fmt(f),
            Self::Inner(inner) => inner.fmt(f),
        }
    }
}

/// Since the text is that of the error inside, the source is the source of that.
impl<E: error::Error + 'static> error::Error for Error<E> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Refused(refused) => refused.source(),
            Self::Inner(inner) => inner.source(),
        }
    }
}
