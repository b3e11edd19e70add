//! The guard of permits of the pool.

use alloc::sync::Arc;
use core::fmt;
use core::mem;

use crate::partitioned::tenant::TenantEntry;

/// Permits of a [`PartitionedSemaphore`](crate::PartitionedSemaphore), given back when dropped.
///
/// It keeps its key in use, so it can move into a spawned task. Dropping it takes the lock of the pool for a moment.
///
/// # Panics
///
/// Dropping it wakes the waiters that are granted its permits. If one of their wakers panics, all others are woken
/// nevertheless, all permits are accounted for, and then the panic comes out; it is swallowed if the thread was panicking
/// already.
///
/// # Examples
///
/// ```
/// use semafair::PartitionedSemaphore;
///
/// let workers = PartitionedSemaphore::new(4);
/// let permit = workers.try_acquire_many("ann", 3).unwrap();
/// assert_eq!((*permit.key(), permit.num_permits()), ("ann", 3));
/// drop(permit);
/// assert_eq!(workers.status().available, 4);
/// ```
#[must_use = "the permits are given back at once if this is dropped"]
#[clippy::has_significant_drop]
pub struct PartitionedPermit<K> {
    tenant: Arc<TenantEntry<K>>,
    permits: usize,
}

impl<K> PartitionedPermit<K> {
    pub(super) const fn new(tenant: Arc<TenantEntry<K>>, permits: u32) -> Self {
        Self { tenant, permits: permits as usize }
    }

    /// Returns the key for which the permits were taken.
    #[must_use]
    pub fn key(&self) -> &K {
        self.tenant.key()
    }

    /// Returns the number of permits in this guard.
    #[must_use]
    pub const fn num_permits(&self) -> usize {
        self.permits
    }

    /// Moves `n` permits of this guard into a new guard.
    ///
    /// Returns `None`, and changes nothing, if this guard has fewer than `n` permits.
    pub fn split(&mut self, n: usize) -> Option<Self> {
        self.permits = self.permits.checked_sub(n)?;
        Some(Self { tenant: self.tenant.clone(), permits: n })
    }
}

impl<K> Drop for PartitionedPermit<K> {
    fn drop(&mut self) {
        self.tenant.value().release(mem::take(&mut self.permits));
    }
}

impl<K: fmt::Debug> fmt::Debug for PartitionedPermit<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionedPermit")
            .field("key", self.key())
            .field("permits", &self.permits)
            .finish()
    }
}
