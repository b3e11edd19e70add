//! What a key has while it is in use.

use alloc::sync::Arc;
use core::ptr;
use std::hash::RandomState;

use crate::error::TryAcquireError;
use crate::partitioned::pool::Pool;
use crate::partitioned::turns::{Id, Terms};
use crate::registry::Entry;
use crate::status::Status;

/// The share of a key.
pub(crate) struct Tenant {
    pub(super) pool: Arc<Pool>,
    pub(super) terms: Terms,
}

/// A key in use, and its share.
pub(crate) type TenantEntry<K> = Entry<K, Tenant, RandomState>;

impl Tenant {
    /// Its address: no other tenant has it while this one is in use.
    pub(super) fn id(&self) -> Id {
        ptr::from_ref(self).addr()
    }

    pub(super) fn try_take(&self, permits: u32) -> Result<(), TryAcquireError> {
        self.pool.try_take(self.id(), self.terms, permits)
    }

    pub(super) fn release(&self, permits: usize) {
        self.pool.release(self.id(), permits);
    }

    /// Whether it can never have so many permits.
    pub(super) fn is_oversized(&self, permits: u32) -> bool {
        permits as usize > self.terms.ceiling.min(self.pool.limit())
    }

    pub(super) fn status(&self) -> Status {
        self.pool.status_of(self.id(), self.terms)
    }
}
