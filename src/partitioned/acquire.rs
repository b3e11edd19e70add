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
use crate::partitioned::tenant::TenantEntry;
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
    tenant: Arc<TenantEntry<K>>,
    permits: u32,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    New,
    Waits(Ticket),
    /// Granted, but tokio has asked the task to yield first.
    Granted,
    Done,
}

impl<K> PartitionedAcquire<K> {
    pub(super) const fn new(tenant: Arc<TenantEntry<K>>, permits: u32) -> Self {
        Self { tenant, permits, stage: Stage::New }
    }
}

impl<K> Future for PartitionedAcquire<K> {
    type Output = Result<PartitionedPermit<K>, AcquireError>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let tenant = this.tenant.value();
        let refuse = |reason| Poll::Ready(Err(AcquireError::new(reason, None)));
        // A waker is cloned before the lock is taken, as that is user code.
        match this.stage {
            Stage::New => {
                if tenant.is_oversized(this.permits) && !tenant.pool.is_closed() {
                    this.stage = Stage::Done;
                    return refuse(Reason::Oversized);
                }
                let waker = cx.waker().clone();
                match tenant.pool.ask(tenant.id(), tenant.terms, this.permits, waker) {
                    Asked::Granted => this.stage = Stage::Granted,
                    Asked::Waits(ticket) => {
                        this.stage = Stage::Waits(ticket);
                        return Poll::Pending;
                    }
                    Asked::Closed => {
                        this.stage = Stage::Done;
                        return refuse(Reason::Closed);
                    }
                }
            }
            Stage::Waits(ticket) => {
                match tenant.pool.look(tenant.id(), ticket, cx.waker().clone()) {
                    Outcome::Granted => this.stage = Stage::Granted,
                    Outcome::Waits => return Poll::Pending,
                    Outcome::Refused => {
                        this.stage = Stage::Done;
                        return refuse(Reason::Closed);
                    }
                }
            }
            Stage::Granted => {}
            Stage::Done => panic!("`PartitionedAcquire` polled after completion"),
        }
        if budget::is_due() {
            ready!(budget::poll(cx));
        }
        this.stage = Stage::Done;
        Poll::Ready(Ok(PartitionedPermit::new(this.tenant.clone(), this.permits)))
    }
}

impl<K> Drop for PartitionedAcquire<K> {
    fn drop(&mut self) {
        let tenant = self.tenant.value();
        match self.stage {
            Stage::New | Stage::Done => {}
            Stage::Waits(ticket) => tenant.pool.leave(tenant.id(), ticket, self.permits),
            Stage::Granted => tenant.release(self.permits as usize),
        }
    }
}

impl<K: fmt::Debug> fmt::Debug for PartitionedAcquire<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionedAcquire")
            .field("key", self.tenant.key())
            .field("permits", &self.permits)
            .field("stage", &self.stage)
            .finish()
    }
}
