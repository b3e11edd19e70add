//! One adapter for each crate.

use std::fmt::{self, Debug, Formatter};
use std::future::Future;

use super::{Operation, Semaphore};

/// `#[derive(Debug)]`, also around what has none.
macro_rules! adapter {
    ($(#[$doc:meta])* $adapter:ident, $inner:ty) => {
        $(#[$doc])*
        pub struct $adapter($inner);

        impl Debug for $adapter {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str(Self::NAME)
            }
        }
    };
}

/// The adapter of a crate or module with tokio's names.
macro_rules! tokio_like {
    ($(#[$doc:meta])* $adapter:ident, $name:literal, $($krate:ident)::+) => {
        adapter!($(#[$doc])* $adapter, $($krate)::+::Semaphore);

        impl Semaphore for $adapter {
            const NAME: &'static str = $name;
            type Granted<'a> = Result<Self::Permit<'a>, $($krate)::+::AcquireError>;
            type Permit<'a> = $($krate)::+::SemaphorePermit<'a>;

            #[inline]
            fn with_permits(permits: usize) -> Self {
                Self($($krate)::+::Semaphore::new(permits))
            }

            #[inline]
            fn acquire(&self) -> impl Future<Output = Self::Granted<'_>> + Send {
                self.0.acquire()
            }

            #[inline]
            fn acquire_many(&self, n: u32) -> impl Future<Output = Self::Granted<'_>> + Send {
                self.0.acquire_many(n)
            }

            #[inline]
            fn permit<'a>(&'a self, granted: Self::Granted<'a>, _n: u32) -> Self::Permit<'a> {
                granted.expect("nobody closes it")
            }

            #[inline]
            fn try_acquire(&self) -> Option<Self::Permit<'_>> {
                self.0.try_acquire().ok()
            }

            #[inline]
            fn add_permits(&self, n: usize) {
                self.0.add_permits(n);
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

adapter!(
    /// `async_lock::Semaphore`.
    AsyncLock,
    async_lock::Semaphore
);

impl Semaphore for AsyncLock {
    const NAME: &'static str = "async-lock";
    const LACKS: &'static [Operation] = &[Operation::Many];
    type Granted<'a> = Self::Permit<'a>;
    type Permit<'a> = async_lock::SemaphoreGuard<'a>;

    #[inline]
    fn with_permits(permits: usize) -> Self {
        Self(async_lock::Semaphore::new(permits))
    }

    #[inline]
    fn acquire(&self) -> impl Future<Output = Self::Granted<'_>> + Send {
        self.0.acquire()
    }

    #[inline]
    fn permit<'a>(&'a self, granted: Self::Granted<'a>, _n: u32) -> Self::Permit<'a> {
        granted
    }

    #[inline]
    fn try_acquire(&self) -> Option<Self::Permit<'_>> {
        self.0.try_acquire()
    }

    #[inline]
    fn add_permits(&self, n: usize) {
        self.0.add_permits(n);
    }
}

/// The adapter of a crate whose every operation takes a number of permits.
macro_rules! weighted {
    (
        $(#[$doc:meta])* $adapter:ident, $name:literal, $inner:ty,
        lacks: $lacks:expr,
        new: $new:expr,
        granted: $granted:ty,
        permit: $permit:ty = $into_permit:expr,
        try_acquire: $into_option:expr,
        add_permits: $add:ident
    ) => {
        adapter!($(#[$doc])* $adapter, $inner);

        impl Semaphore for $adapter {
            const NAME: &'static str = $name;
            const LACKS: &'static [Operation] = &$lacks;
            type Granted<'a> = $granted;
            type Permit<'a> = $permit;

            #[inline]
            fn with_permits(permits: usize) -> Self {
                Self($new(permits))
            }

            #[inline]
            fn acquire(&self) -> impl Future<Output = Self::Granted<'_>> + Send {
                self.0.acquire(1)
            }

            #[inline]
            fn acquire_many(&self, n: u32) -> impl Future<Output = Self::Granted<'_>> + Send {
                self.0.acquire(n as usize)
            }

            #[inline]
            fn permit<'a>(&'a self, granted: Self::Granted<'a>, _n: u32) -> Self::Permit<'a> {
                $into_permit(granted)
            }

            #[inline]
            fn try_acquire(&self) -> Option<Self::Permit<'_>> {
                $into_option(self.0.try_acquire(1))
            }

            #[inline]
            fn add_permits(&self, n: usize) {
                self.0.$add(n);
            }
        }
    };
}

weighted!(
    /// `async_weighted_semaphore::Semaphore`.
    AsyncWeighted,
    "async-weighted-semaphore",
    async_weighted_semaphore::Semaphore,
    // A release that meets another leaves its permits to that, and returns.
    lacks: [Operation::FreeAtOnce],
    new: async_weighted_semaphore::Semaphore::new,
    granted: Result<Self::Permit<'a>, async_weighted_semaphore::PoisonError>,
    permit: async_weighted_semaphore::SemaphoreGuard<'a> = Result::unwrap,
    try_acquire: Result::ok,
    add_permits: release
);
weighted!(
    /// `asyncband::semaphore::Semaphore`.
    Asyncband,
    "asyncband",
    asyncband::semaphore::Semaphore,
    lacks: [],
    new: asyncband::semaphore::Semaphore::new,
    granted: Self::Permit<'a>,
    permit: asyncband::semaphore::SemaphorePermit<'a> = std::convert::identity,
    try_acquire: std::convert::identity,
    add_permits: release
);
weighted!(
    /// `futures_intrusive::sync::Semaphore`, the fair one.
    FuturesIntrusive,
    "futures-intrusive",
    futures_intrusive::sync::Semaphore,
    lacks: [],
    new: |permits| futures_intrusive::sync::Semaphore::new(true, permits),
    granted: Self::Permit<'a>,
    permit: futures_intrusive::sync::SemaphoreReleaser<'a> = std::convert::identity,
    try_acquire: std::convert::identity,
    add_permits: release
);
weighted!(
    /// `maitake_sync::Semaphore`.
    Maitake,
    "maitake-sync",
    maitake_sync::Semaphore,
    lacks: [],
    new: maitake_sync::Semaphore::new,
    granted: Result<Self::Permit<'a>, maitake_sync::Closed>,
    permit: maitake_sync::semaphore::Permit<'a> = Result::unwrap,
    try_acquire: Result::ok,
    add_permits: add_permits
);

adapter!(
    /// `saa::Semaphore`.
    Saa,
    saa::Semaphore
);

impl Semaphore for Saa {
    const NAME: &'static str = "saa";
    // It has 63 permits at most, and those that it has not are taken.
    const LACKS: &'static [Operation] = &[Operation::Add];
    type Granted<'a> = bool;
    type Permit<'a> = SaaPermit<'a>;

    #[inline]
    fn with_permits(permits: usize) -> Self {
        assert!(permits <= saa::Semaphore::MAX_PERMITS, "it would take fewer, and say nothing");
        Self(saa::Semaphore::with_permits(permits))
    }

    #[inline]
    fn acquire(&self) -> impl Future<Output = Self::Granted<'_>> + Send {
        // What `acquire_async` does too.
        self.0.acquire_many_async(1)
    }

    #[inline]
    fn acquire_many(&self, n: u32) -> impl Future<Output = Self::Granted<'_>> + Send {
        self.0.acquire_many_async(n as usize)
    }

    #[inline]
    fn permit<'a>(&'a self, granted: Self::Granted<'a>, n: u32) -> Self::Permit<'a> {
        assert!(granted, "so many permits there never are");
        SaaPermit { semaphore: &self.0, n }
    }

    #[inline]
    fn try_acquire(&self) -> Option<Self::Permit<'_>> {
        self.0.try_acquire().then(|| SaaPermit { semaphore: &self.0, n: 1 })
    }
}

/// saa has no guard; this is the least that can be one.
#[derive(Debug)]
pub struct SaaPermit<'a> {
    semaphore: &'a saa::Semaphore,
    n: u32,
}

impl Drop for SaaPermit<'_> {
    #[inline]
    fn drop(&mut self) {
        self.semaphore.release_many(self.n as usize);
    }
}
