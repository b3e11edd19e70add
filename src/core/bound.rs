//! Requests that are refused although the semaphore is open.

use super::Core;
use super::balance::TakeError;

impl Core {
    /// Whether a request for `n` permits is to be refused, as it exceeds the limit.
    pub(crate) fn is_oversized(&self, n: u32) -> bool {
        let word = self.limit.load();
        word.fails_oversized() && u64::from(n) > word.limit() && !self.is_closed()
    }

    /// Takes `n` permits if that many are free and nobody waits. If not, asks for `n` units, unless
    /// more would be waited for then than the bound allows.
    ///
    /// That is decided by one change of the balance. So it is exact while there is no debt: if
    /// there is, the balance counts it among the units owed, and it is read before.
    pub(super) fn take_bounded(&self, n: u32) -> Result<(), TakeError> {
        let bound = self.settings().queue_limit();
        self.balance.take_if(n, |seen| {
            let waited_for = seen.owed().saturating_sub(self.debt());
            // A request for nothing never waits, however much is waited for.
            n == 0 || waited_for + u64::from(n) - seen.free() <= bound
        })
    }
}
