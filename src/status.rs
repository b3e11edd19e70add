//! What a semaphore looks like at one moment.

use core::fmt;

use crate::semaphore::Semaphore;

/// The state of a [`Semaphore`] at one moment; made by [`Semaphore::status`].
///
/// Its `Display` is one line for a log. With the feature `serde` it can be serialized.
///
/// # Examples
///
/// ```
/// use semafair::Semaphore;
///
/// let semaphore = Semaphore::builder(3).name("database").build();
/// let permit = semaphore.try_acquire();
/// let status = semaphore.status();
/// assert_eq!((status.limit, status.available, status.outstanding), (3, 2, 1));
/// assert_eq!(
///     status.to_string(),
///     "database: limit 3, available 2, outstanding 1, debt 0, queued 0"
/// );
/// # drop(permit);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Status {
    /// The [name](crate::Builder::name) of the semaphore.
    pub name: Option<&'static str>,
    /// How many permits exist: [`Semaphore::limit`].
    pub limit: usize,
    /// How many permits are free: [`Semaphore::available_permits`].
    pub available: usize,
    /// How many permits have guards, or are on their way to a waiter: [`Semaphore::outstanding`].
    pub outstanding: usize,
    /// How many permits that come back will vanish, as the limit has fallen below what is
    /// outstanding.
    pub debt: usize,
    /// How many permits are waited for and not on their way yet. 0 once the semaphore is closed. On 32-bit machines, many
    /// requests may add up to more than `usize::MAX`, which is shown then.
    pub queued: usize,
    /// Whether the semaphore is closed.
    pub is_closed: bool,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, limit, available, outstanding, debt, queued, is_closed } = *self;
        if let Some(name) = name {
            write!(f, "{name}: ")?;
        }
        write!(f, "limit {limit}, available {available}, outstanding {outstanding}, ")?;
        write!(f, "debt {debt}, queued {queued}")?;
        if is_closed { f.write_str(", closed") } else { Ok(()) }
    }
}

impl Semaphore {
    /// Returns what the semaphore looks like.
    ///
    /// It takes constant time, and slows nobody down. Three words are read, one after the other.
    /// Each field is exact if nothing changes meanwhile. Otherwise:
    ///
    /// - `limit`, `is_closed`, and `available` while the semaphore is open are values that were right at one
    ///   instant of the call, each at its own.
    /// - `debt` is larger by the permits that have come back, and that are just being handed over.
    ///   `queued` is smaller by as many.
    /// - `outstanding` is computed from `limit`, `available` and `debt`, and so is `available` once the semaphore is
    ///   closed. They are off by at most the sum of what changed during the call, and of what threads hold that are in the middle
    ///   of another call; and never negative.
    ///
    /// # Examples
    ///
    /// ```
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::new(2);
    /// let permits = semaphore.try_acquire_many(2).unwrap();
    /// semaphore.set_limit(1);
    /// let status = semaphore.status();
    /// assert_eq!((status.limit, status.outstanding, status.debt), (1, 2, 1));
    /// # drop(permits);
    /// ```
    #[must_use]
    pub fn status(&self) -> Status {
        let counts = self.core.counts();
        Status {
            name: self.core.name(),
            limit: counts.limit(),
            available: counts.available(),
            outstanding: counts.outstanding(),
            debt: counts.debt(),
            queued: counts.queued(),
            is_closed: counts.is_closed(),
        }
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Status { name, limit, available, outstanding, debt, queued, is_closed } = self.status();
        let mut out = f.debug_struct("Semaphore");
        if let Some(name) = name {
            out.field("name", &name);
        }
        out.field("limit", &limit)
            .field("available", &available)
            .field("outstanding", &outstanding)
            .field("debt", &debt)
            .field("queued", &queued)
            .field("is_closed", &is_closed)
            .finish()
    }
}
