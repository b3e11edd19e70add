//! A lease, by this side's clock: it is over here before it is over in etcd.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::keys::SessionId;

/// What of its lifetime is left to etcd: a clock that runs at another speed, and the time between a look at
/// `is_lost` and what is done then.
const MARGIN: u32 = 10;

#[derive(Debug)]
pub(crate) struct Lease {
    id: SessionId,
    lifetime: Duration,
    validity: Mutex<Validity>,
    ended: CancellationToken,
}

#[derive(Debug)]
struct Validity {
    until: Duration,
    /// Once lost, it is lost for good, though an answer may come late that says otherwise.
    is_lost: bool,
}

impl Lease {
    /// A lease that was asked for at the time `sent`.
    pub(crate) fn new(id: SessionId, lifetime: Duration, sent: Duration) -> Self {
        let validity = Mutex::new(Validity { until: until(sent, lifetime), is_lost: false });
        Self { id, lifetime, validity, ended: CancellationToken::new() }
    }

    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    pub(crate) fn id(&self) -> SessionId {
        self.id
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.validity().is_lost
    }

    /// Counts its lifetime anew, from when the renewal was sent: when it arrived is not known.
    pub(crate) fn renew(&self, sent: Duration) {
        let mut validity = self.validity();
        validity.until = validity.until.max(until(sent, self.lifetime));
    }

    /// Ends it, whatever the clock says.
    pub(crate) fn end(&self) {
        self.validity().is_lost = true;
        self.ended.cancel();
    }

    /// Waits until `end` was called.
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Waits until the clock says that it is lost.
    pub(crate) async fn expired(&self) {
        while let Some(left) = self.left() {
            // The timer stands still in suspend, so it is to be a short one.
            time::sleep(left.min(self.lifetime / MARGIN)).await;
        }
    }

    fn left(&self) -> Option<Duration> {
        let validity = self.validity();
        let left = validity.until.saturating_sub(clock::now());
        (!validity.is_lost).then_some(left)
    }

    /// Looks at the clock and decides, under the lock: what one thread calls lost, no other renews.
    fn validity(&self) -> MutexGuard<'_, Validity> {
        let mut validity = self.validity.lock().unwrap_or_else(PoisonError::into_inner);
        validity.is_lost |= clock::now() >= validity.until;
        validity
    }
}

fn until(sent: Duration, lifetime: Duration) -> Duration {
    sent + lifetime - lifetime / MARGIN
}

#[cfg(test)]
mod tests {
    use crate::lease::*;

    const LIFETIME: Duration = Duration::from_secs(1000);

    #[test]
    fn its_time_counts_from_when_the_request_was_sent() {
        let now = clock::now();
        assert!(!Lease::new(SessionId(1), LIFETIME, now).is_lost());
        // The answer came, but late.
        assert!(Lease::new(SessionId(1), Duration::from_millis(1), now).left() <= Some(LIFETIME));
        let short = Lease::new(SessionId(1), Duration::from_nanos(1), now);
        assert!(short.is_lost());
    }

    #[test]
    fn what_is_lost_is_never_renewed() {
        let lease = Lease::new(SessionId(1), Duration::ZERO, clock::now());
        assert!(lease.is_lost());
        lease.renew(clock::now() + LIFETIME);
        assert!(lease.is_lost());
    }

    #[test]
    fn a_renewal_of_long_ago_takes_nothing_away() {
        let now = clock::now();
        let lease = Lease::new(SessionId(1), LIFETIME, now);
        let before = lease.validity().until;
        lease.renew(Duration::ZERO);
        assert_eq!(lease.validity().until, before);
    }

    /// No timer has gone on meanwhile, and none has to fire.
    #[test]
    fn after_a_suspend_it_is_lost_at_once() {
        let lease = Lease::new(SessionId(1), LIFETIME, clock::now());
        clock::suspend(LIFETIME / 2);
        assert!(!lease.is_lost());
        clock::suspend(LIFETIME / 2);
        assert!(lease.is_lost());
    }

    #[test]
    fn a_renewal_that_was_sent_before_a_suspend_comes_too_late() {
        let lease = Lease::new(SessionId(1), LIFETIME, clock::now());
        clock::suspend(LIFETIME / 2);
        let sent = clock::now();
        clock::suspend(LIFETIME / 2);
        // By its own time, it would be good until the lifetime is over once more.
        lease.renew(sent);
        assert!(lease.is_lost());
    }

    /// By tokio's time, which stands still in suspend, and in this test goes on whenever all wait.
    #[tokio::test(start_paused = true)]
    async fn after_a_suspend_those_who_wait_for_its_end_learn_of_it_soon() {
        let lease = Lease::new(SessionId(1), LIFETIME, clock::now());
        let mut expired = std::pin::pin!(lease.expired());
        assert!(time::timeout(LIFETIME / 4, &mut expired).await.is_err());
        clock::suspend(LIFETIME);
        time::timeout(LIFETIME / MARGIN, expired).await.expect("it is over");
    }

    #[tokio::test]
    async fn an_end_is_seen_by_all() {
        let lease = Lease::new(SessionId(1), LIFETIME, clock::now());
        lease.end();
        lease.ended().await;
        lease.expired().await;
        assert!(lease.is_lost());
    }
}
