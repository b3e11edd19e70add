//! Weights and ceilings of the keys.

use alloc::boxed::Box;
use core::fmt;

use crate::core::balance::check_permits;
use crate::partitioned::turns::Terms;

/// Makes a [`PartitionedSemaphore`](crate::PartitionedSemaphore) with weights and ceilings; made by
/// [`PartitionedSemaphore::builder`](crate::PartitionedSemaphore::builder).
///
/// # Examples
///
/// ```
/// use semafair::PartitionedSemaphore;
///
/// let workers = PartitionedSemaphore::builder(8)
///     .weight(|tenant: &String| if tenant == "paying" { 4 } else { 1 })
///     .ceiling(|_| 6)
///     .build();
/// assert!(workers.try_acquire_many("ann".to_owned(), 6).is_ok());
/// assert!(workers.try_acquire_many("ann".to_owned(), 7).is_err());
/// ```
#[must_use = "a builder does nothing before `build`"]
pub struct PartitionedBuilder<K> {
    permits: usize,
    weight: Box<dyn Fn(&K) -> u32 + Send + Sync>,
    ceiling: Box<dyn Fn(&K) -> usize + Send + Sync>,
}

impl<K> PartitionedBuilder<K> {
    #[track_caller]
    pub(super) fn new(permits: usize) -> Self {
        check_permits(permits);
        Self { permits, weight: Box::new(|_| 1), ceiling: Box::new(|_| usize::MAX) }
    }

    /// Sets how many permits a key may have in each of its turns. Without it, 1 for each key.
    ///
    /// A key with weight 3 gets three times as many permits as one with weight 1, as long as both wait. The function is called
    /// when a key comes into use. If it returns 0, the call that needed it panics.
    pub fn weight(self, weight: impl Fn(&K) -> u32 + Send + Sync + 'static) -> Self {
        Self { weight: Box::new(weight), ..self }
    }

    /// Sets the most permits that a key may have at a time. Without it, as many as there are.
    ///
    /// A key that is at its ceiling does not take part in the turns, and keeps nobody waiting. The function is called when a
    /// key comes into use.
    pub fn ceiling(self, ceiling: impl Fn(&K) -> usize + Send + Sync + 'static) -> Self {
        Self { ceiling: Box::new(ceiling), ..self }
    }

    pub(super) const fn permits(&self) -> usize {
        self.permits
    }

    /// Those of a key.
    #[track_caller]
    pub(super) fn terms(&self, key: &K) -> Terms {
        let weight = (self.weight)(key);
        assert!(weight > 0, "the weight of a key must not be 0");
        Terms { weight, ceiling: (self.ceiling)(key) }
    }
}

impl<K> fmt::Debug for PartitionedBuilder<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionedBuilder").field("permits", &self.permits).finish_non_exhaustive()
    }
}
