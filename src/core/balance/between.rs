//! Taking as many permits as are free.

use super::{Balance, Snapshot};

impl Balance {
    /// Takes as many permits as are free, up to `max`, if these are at least `min`; says how many.
    /// `Err` if fewer are free, or the semaphore is closed: then nothing was done.
    ///
    /// ```text
    /// count -> count - min(free, max)     if open and free >= min, where free = max(count, 0)
    /// ```
    pub(crate) fn try_take_between(&self, min: u32, max: u32) -> Result<u32, Snapshot> {
        let part = |seen: Snapshot| u32::try_from(seen.free()).unwrap_or(u32::MAX).min(max);
        let taken = self.update(|seen| {
            if seen.is_closed() || part(seen) < min {
                None
            } else {
                Some(seen.0 - i64::from(part(seen)))
            }
        });
        match taken {
            Ok(before) => Ok(part(before)),
            Err(seen) => Err(seen),
        }
    }
}
