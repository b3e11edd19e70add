//! The future that waits for permits of the pool.

use alloc::sync::Arc;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use crate::core::budget;
use crate::error::{AcquireError, Reason};
use crate::partitioned::permit::PartitionedPermit;
use crate::partitioned::pool::Asked;
use crate::partitioned::tenant::{Tenant, TenantEntry};
use crate::partitioned::turns::{Outcome, Ticket};

/// Waits for permits of a [`PartitionedSemaphore`](crate::PartitionedSemaphore), in the line of its key.
///
/// It takes its place when it is first polled, and keeps it until it returns or is dropped. It may be polled with a
/// different waker each time; the last one is woken. It may be moved while it waits, stored in a struct, and spawned as a
/// task. Its key is in use as long as it exists.
///
/// # Cancel safety
///
/// Dropping it before it has returned gives up its place in the line, and permits that it was granted go to others.
/// A new request starts at the end of the line.
///
/// # Panics
///
/// A poll after it returned [`Poll::Ready`] panics. A poll or a drop may wake others. If one of their wakers panics, all
/// others are woken nevertheless, no permit is lost, and then the panic comes out.
#[must_use = "futures do nothing unless polled"]
pub struct PartitionedAcquire<K> {
    /// `None` once it has returned.
    tenant: Option<Arc<TenantEntry<K>>>,
    permits: u32,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    New,
    Waits(Ticket),
    /// The permits are there. It may be that tokio has asked the task to yield first.
    Granted,
}

impl<K> PartitionedAcquire<K> {
    pub(super) const fn new(tenant: Arc<TenantEntry<K>>, permits: u32) -> Self {
        Self { tenant: Some(tenant), permits, stage: Stage::New }
    }

    /// Asks, or looks what has become of the request. `Ready` if it was granted or refused.
    fn poll_stage(
        tenant: &Tenant,
        permits: u32,
        stage: &mut Stage,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Reason>> {
        // Wakers are user code. This one is cloned before the lock is taken. What is left of it, or of a former one, is dropped
        // when the answer is noted.
        let mut waker;
        let outcome = match *stage {
            Stage::New => {
                if tenant.is_oversized(permits) && !tenant.pool.is_closed() {
                    return Poll::Ready(Err(Reason::Oversized));
                }
                waker = cx.waker().clone();
                match tenant.pool.ask(tenant.id(), tenant.terms, permits, &mut waker) {
                    Asked::Granted => Outcome::Granted,
                    Asked::Waits(ticket) => {
                        *stage = Stage::Waits(ticket);
                        Outcome::Waits
                    }
                    Asked::Closed => Outcome::Refused,
                }
            }
            Stage::Waits(ticket) => {
                waker = cx.waker().clone();
                tenant.pool.look(tenant.id(), ticket, &mut waker)
            }
            Stage::Granted => Outcome::Granted,
        };
        match outcome {
            Outcome::Waits => Poll::Pending,
            Outcome::Refused => Poll::Ready(Err(Reason::Closed)),
            Outcome::Granted => {
                *stage = Stage::Granted;
                if budget::is_due() {
                    ready!(budget::poll(cx));
                }
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl<K> Future for PartitionedAcquire<K> {
    type Output = Result<PartitionedPermit<K>, AcquireError>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Some(tenant) = &this.tenant else {
            panic!("`PartitionedAcquire` polled after completion")
        };
        let result = ready!(Self::poll_stage(tenant.value(), this.permits, &mut this.stage, cx));
        let Some(tenant) = this.tenant.take() else { unreachable!("it was there a moment ago") };
        Poll::Ready(match result {
            Ok(()) => Ok(PartitionedPermit::new(tenant, this.permits)),
            Err(reason) => Err(AcquireError::new(reason, None)),
        })
    }
}

impl<K> Drop for PartitionedAcquire<K> {
    fn drop(&mut self) {
        let Some(tenant) = self.tenant.as_deref().map(TenantEntry::value) else { return };
        match self.stage {
            Stage::New => {}
            Stage::Waits(ticket) => tenant.pool.leave(tenant.id(), ticket, self.permits),
            Stage::Granted => tenant.release(self.permits as usize),
        }
    }
}

impl<K: fmt::Debug> fmt::Debug for PartitionedAcquire<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionedAcquire")
            .field("key", &self.tenant.as_deref().map(TenantEntry::key))
            .field("permits", &self.permits)
            .field("stage", &self.stage)
            .finish()
    }
}
