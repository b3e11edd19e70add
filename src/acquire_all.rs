//! Acquiring from several semaphores, without holding one while waiting for another.

use alloc::sync::Arc;
use core::array;
use core::fmt;
use core::future::Future;
use core::ops::Deref;
use core::pin::Pin;
use core::ptr;
use core::task::{Context, Poll, ready};

use crate::acquire::{Acquire, AcquireOwned};
use crate::core::budget;
use crate::error::{AcquireError, TryAcquireError};
use crate::permit::{OwnedSemaphorePermit, SemaphorePermit};
use crate::semaphore::Semaphore;

/// How often it waits in vain in one poll. Then it lets others run.
const ROUNDS: usize = 16;

/// Waits for permits of several semaphores; made by [`Semaphore::acquire_all`], which has the contract.
///
/// It may be moved while it waits, and stored in a struct.
#[must_use = "futures do nothing unless polled"]
pub struct AcquireAll<'a, const N: usize> {
    all: All<&'a Semaphore, Acquire<'a>, N>,
}

/// Waits for permits of several semaphores, and keeps these alive; made by [`Semaphore::acquire_all_owned`].
///
/// It may be moved while it waits, stored in a struct, and spawned as a task. It holds the semaphores until it has
/// returned. [`Semaphore::acquire_all`] has the contract.
#[must_use = "futures do nothing unless polled"]
pub struct AcquireAllOwned<const N: usize> {
    all: All<Arc<Semaphore>, AcquireOwned, N>,
}

/// A reference to a semaphore, of the kind that its futures and guards have as well.
trait Reference: Deref<Target = Semaphore> + Clone {
    type Acquire: Future<Output = Result<Self::Permit, AcquireError>> + Unpin;
    type Permit;

    fn acquire(self, permits: u32) -> Self::Acquire;
    fn try_acquire(self, permits: u32) -> Result<Self::Permit, TryAcquireError>;
    fn split(permit: &mut Self::Permit, permits: u32) -> Option<Self::Permit>;

    fn is_same(&self, other: &Self) -> bool {
        ptr::eq::<Semaphore>(&**self, &**other)
    }
}

impl<'a> Reference for &'a Semaphore {
    type Acquire = Acquire<'a>;
    type Permit = SemaphorePermit<'a>;

    fn acquire(self, permits: u32) -> Acquire<'a> {
        self.acquire_many(permits)
    }

    fn try_acquire(self, permits: u32) -> Result<SemaphorePermit<'a>, TryAcquireError> {
        self.try_acquire_many(permits)
    }

    fn split(permit: &mut SemaphorePermit<'a>, permits: u32) -> Option<SemaphorePermit<'a>> {
        permit.split(permits as usize)
    }
}

impl Reference for Arc<Semaphore> {
    type Acquire = AcquireOwned;
    type Permit = OwnedSemaphorePermit;

    fn acquire(self, permits: u32) -> AcquireOwned {
        self.acquire_many_owned(permits)
    }

    fn try_acquire(self, permits: u32) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.try_acquire_many_owned(permits)
    }

    fn split(permit: &mut OwnedSemaphorePermit, permits: u32) -> Option<OwnedSemaphorePermit> {
        permit.split(permits as usize)
    }
}

/// What both futures do. `A` is the future of `R`: a parameter, since no borrow inside of an associated type can be shortened.
struct All<R, A, const N: usize> {
    /// In the order of the call. `None` once it has returned.
    wanted: Option<[Wanted<R>; N]>,
    /// The place in the line of one of them; `None` when all are to be tried.
    waiting: Option<Waiting<A>>,
}

struct Wanted<R> {
    semaphore: R,
    permits: u32,
    /// The permits of all that name this semaphore, if this is the first of them; `None` otherwise.
    together: Option<u32>,
}

struct Waiting<A> {
    index: usize,
    acquire: A,
}

impl<R: Reference, const N: usize> All<R, R::Acquire, N> {
    #[track_caller]
    fn new(semaphores: [(R, u32); N]) -> Self {
        let is_same = |one: usize, other: usize| semaphores[one].0.is_same(&semaphores[other].0);
        let sum = |index: usize| {
            let mut same = (0..N).filter(|other| is_same(index, *other));
            let sum = same.try_fold(0, |sum: u32, other| sum.checked_add(semaphores[other].1));
            sum.filter(|sum| *sum as usize <= Semaphore::MAX_PERMITS)
        };
        let fits = (0..N).all(|index| sum(index).is_some());
        assert!(fits, "number of permits of one semaphore overflowed");
        let wanted = array::from_fn(|index| {
            let (semaphore, permits) = (semaphores[index].0.clone(), semaphores[index].1);
            let is_first = !(0..index).any(|before| is_same(index, before));
            let together = if is_first { sum(index) } else { None };
            Wanted { semaphore, permits, together }
        });
        Self { wanted: Some(wanted), waiting: None }
    }

    /// Waits for all of them, for the future called `name`.
    #[track_caller]
    fn poll(
        &mut self,
        name: &str,
        cx: &mut Context<'_>,
    ) -> Poll<Result<[R::Permit; N], AcquireError>> {
        let Some(wanted) = &self.wanted else { panic!("`{name}` polled after completion") };
        // While it holds nothing: where nothing has to be waited for, attempts alone would never let others run.
        if self.waiting.is_none() && budget::is_due() {
            ready!(budget::poll(cx));
        }
        for _ in 0..ROUNDS {
            let granted = match &mut self.waiting {
                None => Ok(None),
                Some(Waiting { index, acquire }) => {
                    let (index, result) = (*index, ready!(Pin::new(acquire).poll(cx)));
                    self.waiting = None;
                    result.map(|permit| Some((index, permit)))
                }
            };
            let result = match granted {
                Ok(granted) => match Wanted::try_all(wanted, granted) {
                    Ok(permits) => Ok(permits),
                    Err(waiting) => {
                        self.waiting = Some(waiting);
                        continue;
                    }
                },
                Err(refused) => Err(refused),
            };
            self.wanted = None;
            return Poll::Ready(result);
        }
        // Gives up its place, which may have been granted, as it must not keep permits.
        self.waiting = None;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn fmt_as(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("waits_for", &self.waiting.as_ref().map(|waiting| waiting.index))
            .finish_non_exhaustive()
    }
}

impl<R: Reference> Wanted<R> {
    /// Takes all permits, beside those that were `granted`; or has none, and a request for those that
    /// were missing.
    fn try_all<const N: usize>(
        all: &[Self; N],
        mut granted: Option<(usize, R::Permit)>,
    ) -> Result<[R::Permit; N], Waiting<R::Acquire>> {
        let mut taken: [Option<R::Permit>; N] = [const { None }; N];
        if let Some((index, permit)) = granted.take() {
            taken[index] = Some(permit);
        }
        for (index, wanted) in all.iter().enumerate() {
            if let (Some(together), None) = (wanted.together, &taken[index]) {
                // Those that were taken go back when this returns.
                let Ok(permit) = wanted.semaphore.clone().try_acquire(together) else {
                    let acquire = wanted.semaphore.clone().acquire(together);
                    return Err(Waiting { index, acquire });
                };
                taken[index] = Some(permit);
            }
        }
        // The permits of a semaphore that was named before are part of those of its first.
        for index in 0..N {
            if taken[index].is_none() {
                let Self { semaphore, permits, .. } = &all[index];
                let mut before = all[..index].iter();
                let first = before.position(|other| other.semaphore.is_same(semaphore));
                taken[index] = first
                    .and_then(|first| taken[first].as_mut())
                    .and_then(|together| R::split(together, *permits));
            }
        }
        Ok(taken.map(|permit| permit.unwrap_or_else(|| unreachable!("all were taken"))))
    }
}

impl<'a, const N: usize> Future for AcquireAll<'a, N> {
    type Output = Result<[SemaphorePermit<'a>; N], AcquireError>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().all.poll("AcquireAll", cx)
    }
}

impl<const N: usize> Future for AcquireAllOwned<N> {
    type Output = Result<[OwnedSemaphorePermit; N], AcquireError>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().all.poll("AcquireAllOwned", cx)
    }
}

impl<const N: usize> fmt::Debug for AcquireAll<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.all.fmt_as("AcquireAll", f)
    }
}

impl<const N: usize> fmt::Debug for AcquireAllOwned<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.all.fmt_as("AcquireAllOwned", f)
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
        AcquireAll { all: All::new(semaphores) }
    }

    /// Waits for permits of several semaphores, takes them all at once, and keeps the semaphores alive.
    ///
    /// The same as [`acquire_all`](Self::acquire_all), except that the future and the guards each have an [`Arc`] of their
    /// semaphore. So they can go to another task or thread.
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
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::sync::Arc;
    /// use semafair::Semaphore;
    ///
    /// let (processors, memory) = (Arc::new(Semaphore::new(4)), Arc::new(Semaphore::new(1024)));
    /// let both = Semaphore::acquire_all_owned([(processors, 1), (memory.clone(), 256)]);
    /// let permits = tokio::spawn(both).await??;
    /// assert_eq!(memory.available_permits(), 768);
    /// # drop(permits);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn acquire_all_owned<const N: usize>(
        semaphores: [(Arc<Self>, u32); N],
    ) -> AcquireAllOwned<N> {
        AcquireAllOwned { all: All::new(semaphores) }
    }
}
