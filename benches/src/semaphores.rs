//! The semaphores under test, behind one trait.

use std::fmt::Debug;
use std::future::Future;

/// What a workload asks of a semaphore.
///
/// An adapter forwards and does nothing else. The futures are associated types (that is what
/// `impl Future` means here), so that nobody is measured with a box or a wrapper around theirs.
pub trait Semaphore: Send + Sync + 'static {
    /// The name in the tables.
    const NAME: &'static str;

    /// Gives its permits back when it is dropped.
    type Permit<'a>: Send;

    /// Why there is no permit.
    type Error: Debug;

    /// Creates a semaphore with so many free permits.
    fn with_permits(permits: usize) -> Self;

    /// Takes one permit, in turn.
    fn acquire(&self) -> impl Future<Output = Result<Self::Permit<'_>, Self::Error>> + Send;

    /// Takes `n` permits, in turn.
    fn acquire_many(
        &self,
        n: u32,
    ) -> impl Future<Output = Result<Self::Permit<'_>, Self::Error>> + Send;

    /// Takes one permit if it is free now.
    fn try_acquire(&self) -> Option<Self::Permit<'_>>;
}

/// The adapter of a crate or module with tokio's names.
macro_rules! tokio_like {
    ($(#[$doc:meta])* $adapter:ident, $name:literal, $($krate:ident)::+) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $adapter($($krate)::+::Semaphore);

        impl Semaphore for $adapter {
            const NAME: &'static str = $name;
            type Permit<'a> = $($krate)::+::SemaphorePermit<'a>;
            type Error = $($krate)::+::AcquireError;

            #[inline]
            fn with_permits(permits: usize) -> Self {
                Self($($krate)::+::Semaphore::new(permits))
            }

            #[inline]
            fn acquire(
                &self,
            ) -> impl Future<Output = Result<Self::Permit<'_>, Self::Error>> + Send {
                self.0.acquire()
            }

            #[inline]
            fn acquire_many(
                &self,
                n: u32,
            ) -> impl Future<Output = Result<Self::Permit<'_>, Self::Error>> + Send {
                self.0.acquire_many(n)
            }

            #[inline]
            fn try_acquire(&self) -> Option<Self::Permit<'_>> {
                self.0.try_acquire().ok()
            }
        }
    };
}

tokio_like!(
    /// `tokio::sync::Semaphore`.
    Tokio,
    "tokio",
    tokio::sync
);
tokio_like!(
    /// `semafair::Semaphore`.
    Semafair,
    "semafair",
    semafair
);
