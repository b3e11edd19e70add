//! The guard of a monitored semaphore.

use alloc::borrow::Cow;
use core::fmt;
use core::panic::Location;

use super::roster::Registered;
use super::trace::Returned;
use crate::permit::OwnedSemaphorePermit;
use crate::semaphore::Semaphore;

/// Permits of a [`Monitored`](super::Monitored) semaphore, given back when dropped.
///
/// As long as it exists, it is a holder in the [report](super::Monitored::report), under the call that acquired it; also
/// if it was lost by [`mem::forget`](core::mem::forget).
#[must_use = "the permits are given back at once if this is dropped"]
#[clippy::has_significant_drop]
pub struct MonitoredPermit {
    // In this order: what is free has no holder in the report any more.
    registered: Registered,
    permit: OwnedSemaphorePermit,
    returned: Returned,
}

impl MonitoredPermit {
    /// Of a request that has ended so: it is a holder already.
    pub(super) fn new(registered: Registered, permit: OwnedSemaphorePermit) -> Self {
        registered.entry().set_permits(permit.num_permits());
        let returned = registered.returned();
        Self { registered, permit, returned }
    }

    /// Gives it a label, or another, which shows in reports beside the call site.
    pub fn set_label(&self, label: impl Into<Cow<'static, str>>) {
        self.registered.entry().set_label(Some(label.into()));
    }

    /// Returns where the call is that acquired it.
    #[must_use]
    pub fn site(&self) -> &'static Location<'static> {
        self.registered.entry().site()
    }

    /// Returns the number of permits in this guard.
    #[must_use]
    pub const fn num_permits(&self) -> usize {
        self.permit.num_permits()
    }

    /// Returns the semaphore to which the permits go back.
    #[must_use]
    pub fn semaphore(&self) -> &Semaphore {
        self.permit.semaphore()
    }

    /// Drops the guard without giving its permits back: the semaphore has fewer from now on. See
    /// [`SemaphorePermit::forget`](crate::SemaphorePermit::forget).
    pub fn forget(self) {
        let Self { registered, permit, returned } = self;
        permit.forget();
        drop(registered);
        returned.forgotten();
    }

    /// Takes over the permits of another guard of the same semaphore.
    ///
    /// # Panics
    ///
    /// If the guards are of different semaphores. This guard is as before then, and `other` is dropped, which gives
    /// its permits back.
    #[track_caller]
    pub fn merge(&mut self, other: Self) {
        self.permit.merge(other.permit);
        self.registered.entry().set_permits(self.permit.num_permits());
    }

    /// Moves `n` permits of this guard into a new guard, which is a holder of its own in the report. Returns
    /// `None`, and changes nothing, if this guard has fewer than `n` permits.
    pub fn split(&mut self, n: usize) -> Option<Self> {
        let permit = self.permit.split(n)?;
        self.registered.entry().set_permits(self.permit.num_permits());
        let registered = self.registered.split(n);
        let returned = registered.returned();
        Some(Self { registered, permit, returned })
    }
}

impl fmt::Debug for MonitoredPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MonitoredPermit")
            .field("site", &format_args!("{}", self.site()))
            .field("label", &self.registered.entry().label())
            .field("permits", &self.num_permits())
            .finish_non_exhaustive()
    }
}
