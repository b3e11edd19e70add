//! Acquiring from several semaphores, without holding one while waiting for another.

use core::array;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::ptr;
use core::task::{Context, Poll, ready};

use crate::acquire::Acquire;
use crate::core::budget;
use crate::error::AcquireError;
use crate::permit::SemaphorePermit;
use crate::semaphore::Semaphore;

/// How often it waits in vain in one poll. Then it lets others run.
const ROUNDS: usize = 16;

/// Waits for permits of several semaphores; made by [`Semaphore::acquire_all`], which has the contract.
///
/// It may be moved while it waits, and stored in a struct.
#[must_use = "futures do nothing unless polled"]
pub struct AcquireAll<'a, const N: usize> {
    /// In the order of the call.
    wanted: [Wanted<'a>; N],
    /// The place in the line of one of them; `None` when all are to be tried.
    waiting: Option<Waiting<'a>>,
    is_done: bool,
}

#[derive(Clone, Copy)]
struct Wanted<'a> {
    semaphore: &'a Semaphore,
    permits: u32,
    /// The permits of all that name this semaphore, if this is the first of them; `None` otherwise.
    together: Option<u32>,
}

struct Waiting<'a> {
    index: usize,
    acquire: Acquire<'a>,
}

impl<'a, const N: usize> AcquireAll<'a, N> {
    /// Takes all permits, beside those that were `granted`; or has none, and a request for those that
    /// were missing.
    fn try_all(
        &self,
        mut granted: Option<(usize, SemaphorePermit<'a>)>,
    ) -> Result<[SemaphorePermit<'a>; N], Waiting<'a>> {
        let mut taken: [Option<SemaphorePermit<'a>>; N] = [const { None }; N];
        if let Some((index, permit)) = granted.take() {
            taken[index] = Some(permit);
        }
        for (index, wanted) in self.wanted.iter().enumerate() {
            if let (Some(together), None) = (wanted.together, &taken[index]) {
                // Those that were taken go back when this returns.
                let Ok(permit) = wanted.semaphore.try_acquire_many(together) else {
                    return Err(Waiting {
                        index,
                        acquire: wanted.semaphore.acquire_many(together),
                    });
                };
                taken[index] = Some(permit);
            }
        }
        // The permits of a semaphore that was named before are part of those of its first.
        for index in 0..N {
            if taken[index].is_none() {
                let Wanted { semaphore, permits, .. } = self.wanted[index];
                let mut before = self.wanted[..index].iter();
                let first = before.position(|other| ptr::eq(other.semaphore, semaphore));
                taken[index] = first
                    .and_then(|first| taken[first].as_mut())
                    .and_then(|together| together.split(permits as usize));
            }
        }
        Ok(taken.map(|permit| permit.unwrap_or_else(|| unreachable!("all were taken"))))
    }
}

impl<'a, const N: usize> Future for AcquireAll<'a, N> {
    type Output = Result<[SemaphorePermit<'a>; N], AcquireError>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        assert!(!this.is_done, "`AcquireAll` polled after completion");
        // While it holds nothing: where nothing has to be waited for, attempts alone would never let others run.
        if this.waiting.is_none() && budget::is_due() {
            ready!(budget::poll(cx));
        }
        for _ in 0..ROUNDS {
            let granted = match &mut this.waiting {
                None => None,
                Some(Waiting { index, acquire }) => {
                    let (index, result) = (*index, ready!(Pin::new(acquire).poll(cx)));
                    this.waiting = None;
                    match result {
                        Ok(permit) => Some((index, permit)),
                        Err(refused) => {
                            this.is_done = true;
                            return Poll::Ready(Err(refused));
                        }
                    }
                }
            };
            match this.try_all(granted) {
                Ok(permits) => {
                    this.is_done = true;
                    return Poll::Ready(Ok(permits));
                }
                Err(waiting) => this.waiting = Some(waiting),
            }
        }
        // Gives up its place, which may have been granted, as it must not keep permits.
        this.waiting = None;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<const N: usize> fmt::Debug for AcquireAll<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcquireAll")
            .field("waits_for", &self.waiting.as_ref().map(|waiting| waiting.index))
            .finish_non_exhaustive()
    }
}

impl Semaphore {
    /// Waits for permits of several semaphores, and takes them all at once.
    ///
    /// Each semaphore comes with the number of permits that are wanted of it. The guards are returned in the same order.
    /// A semaphore may be named more than once; then the sum of its numbers is taken as one request.
    ///
    /// # It does not hold and wait
    ///
    /// Whoever has a permit of one semaphore and waits for one of another may deadlock with somebody who does it in the
    /// other order, and wastes the first permit meanwhile. This waits for one semaphore at a time, and holds nothing while it
    /// does. When it is served, it tries all others. If one of them has no permit to give, it gives back what it has at once, and
    /// waits for that one. So callers cannot deadlock, in whatever order each names the semaphores.
    ///
    /// (Permits that are granted are kept for the future until it is polled, or dropped. So poll it soon, or drop it: this is
    /// true of all futures that acquire.)
    ///
    /// # Fairness
    ///
    /// In each line, it waits as everybody does: nobody who comes later to that line is served before it, and it overtakes
    /// nobody who waits. **But each new attempt starts at the end of a line, so it may starve**: if of two
    /// semaphores each always has somebody waiting, it is served by one only to find that it must wait for the other. It
    /// succeeds when it is served by one while all others have permits to give. So use it where at most one semaphore of the list is
    /// contended for long: a limit for each tenant, most of which are idle, and one for all. If several are, acquire them one
    /// after the other, in the same order everywhere: that is fair, and holds while it waits.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up its place in the line, and gives back what was granted.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] if it has to wait for a semaphore that is closed, or that refuses the request.
    ///
    /// # Panics
    ///
    /// If the numbers of one semaphore add up to more than `u32::MAX` or [`MAX_PERMITS`](Self::MAX_PERMITS). The poll
    /// may panic if more than 2<sup>59</sup> permits are waited for, and panics after the future has returned.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), semafair::AcquireError> {
    /// use semafair::Semaphore;
    ///
    /// let (processors, memory) = (Semaphore::new(4), Semaphore::new(1024));
    /// let [processor, buffer] = Semaphore::acquire_all([(&processors, 1), (&memory, 256)]).await?;
    /// assert_eq!(memory.available_permits(), 768);
    /// # drop((processor, buffer));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn acquire_all<const N: usize>(semaphores: [(&Self, u32); N]) -> AcquireAll<'_, N> {
        let is_same = |one: usize, other: usize| ptr::eq(semaphores[one].0, semaphores[other].0);
        let sum = |index: usize| {
            let mut same = (0..N).filter(|other| is_same(index, *other));
            let sum = same.try_fold(0, |sum: u32, other| sum.checked_add(semaphores[other].1));
            sum.filter(|sum| *sum as usize <= Self::MAX_PERMITS)
        };
        let fits = (0..N).all(|index| sum(index).is_some());
        assert!(fits, "number of permits of one semaphore overflowed");
        let wanted = array::from_fn(|index| {
            let (semaphore, permits) = semaphores[index];
            let is_first = !(0..index).any(|before| is_same(index, before));
            let together = if is_first { sum(index) } else { None };
            Wanted { semaphore, permits, together }
        });
        AcquireAll { wanted, waiting: None, is_done: false }
    }
}
