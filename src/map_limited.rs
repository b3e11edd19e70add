//! Running a function on the items of a stream, under permits.

use alloc::collections::VecDeque;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::stream::{FusedStream, Stream};
use futures_util::stream::FuturesUnordered;
use pin_project_lite::pin_project;

use crate::acquire::Acquire;
use crate::error::AcquireError;
use crate::permit::SemaphorePermit;
use crate::semaphore::Semaphore;

/// Runs a function on each item of a stream, as many at a time as a [`Semaphore`] allows.
///
/// The [semaphore](Semaphore) is the only limit, so several streams and other work can share it. Each item waits in its
/// line, and `f` is called with the item when it has its permit. The permit is kept while the future of `f` runs.
///
/// # The consumer may take the same semaphore
///
/// The streams of `buffered` and `buffer_unordered` give an output while other futures are in the middle of their work. If
/// these have permits, and the consumer waits for one, nobody polls them, and all wait for ever ([futures-rs
/// #2387](https://github.com/rust-lang/futures-rs/issues/2387)).
///
/// Here, **whenever the stream returns an output, it has no permit and no place in the line**. So the items run in groups:
///
/// 1. Items are taken and started, as long as there are permits and none has ended.
/// 2. When the first has ended, no more are started. An item that still waits leaves the line, and is kept.
/// 3. When all that were started have ended, their outputs are returned, one for each poll. Then it begins anew.
///
/// This has a price: an output waits for the slowest of its group. If that is too much, spawn each item as a task that has
/// its permit ([`Semaphore::acquire_owned`]).
///
/// # Traps
///
/// - After a poll that returned `Pending`, the stream may have permits. If another branch of a `select!` wins then, and waits
///   for the same semaphore, nobody polls the stream. Drop the stream first, or use another semaphore.
/// - `f` may not wait until the consumer has seen the output of another item: both may be in one group.
///
/// # Cancel safety
///
/// Dropping the future of `next` loses nothing. Dropping the stream drops the futures of `f`, then their permits, and
/// leaves the line. Items that were taken from the inner stream are gone then; of these, at most one was not
/// started.
///
/// # Errors
///
/// The output of an item that is refused is [`AcquireError`], and `f` is not called for it. If the semaphore is
/// closed, the stream ends after that error.
///
/// # Panics
///
/// If [`weight`](MapLimited::weight) exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit machines only, and
/// possibly if more than 2<sup>59</sup> permits are waited for: the poll that has the item panics. A panic of `f` or of its future gives back its permit.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), semafair::AcquireError> {
/// use futures_util::{StreamExt, stream};
/// use semafair::{LimitedStreamExt, Semaphore};
///
/// let connections = Semaphore::new(2);
/// let mut pages = stream::iter(1..=5).map_limited(&connections, async |page| {
///     tokio::task::yield_now().await; // downloads it
///     10 * page
/// });
/// let mut sum = 0;
/// while let Some(page) = pages.next().await {
///     let _connection = connections.acquire().await?; // does not deadlock
///     sum += page?;
/// }
/// assert_eq!(sum, 150);
/// # Ok(())
/// # }
/// ```
pub trait LimitedStreamExt: Stream {
    /// Runs `f` on each item under a permit of `semaphore`, and returns the outputs in the order of the items.
    ///
    /// [`LimitedStreamExt`] has the contract.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use futures_util::{TryStreamExt, stream};
    /// use semafair::{LimitedStreamExt, Semaphore};
    ///
    /// let semaphore = Semaphore::new(2);
    /// let doubled = stream::iter([1, 2, 3]).map_limited(&semaphore, async |n| 2 * n);
    /// assert_eq!(doubled.try_collect::<Vec<_>>().await.unwrap(), [2, 4, 6]);
    /// # }
    /// ```
    fn map_limited<F, Fut>(self, semaphore: &Semaphore, f: F) -> MapLimited<'_, Self, F, Fut>
    where
        Self: Sized,
        F: FnMut(Self::Item) -> Fut,
        Fut: Future,
    {
        MapLimited::new(self, semaphore, f, true)
    }

    /// Runs `f` on each item under a permit of `semaphore`, and returns the outputs of a group in the order in which
    /// they ended.
    ///
    /// [`LimitedStreamExt`] has the contract.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use futures_util::{TryStreamExt, stream};
    /// use semafair::{LimitedStreamExt, Semaphore};
    ///
    /// let memory = Semaphore::new(100);
    /// let sizes = stream::iter([60, 70, 10])
    ///     .map_limited_unordered(&memory, async |size| size)
    ///     .weight(|size| *size);
    /// assert_eq!(sizes.try_fold(0, async |sum, size| Ok(sum + size)).await.unwrap(), 140);
    /// # }
    /// ```
    fn map_limited_unordered<F, Fut>(
        self,
        semaphore: &Semaphore,
        f: F,
    ) -> MapLimited<'_, Self, F, Fut>
    where
        Self: Sized,
        F: FnMut(Self::Item) -> Fut,
        Fut: Future,
    {
        MapLimited::new(self, semaphore, f, false)
    }
}

impl<St: Stream> LimitedStreamExt for St {}

pin_project! {
    /// The stream of [`map_limited`](LimitedStreamExt::map_limited) and
    /// [`map_limited_unordered`](LimitedStreamExt::map_limited_unordered).
    ///
    /// [`LimitedStreamExt`] has the contract.
    #[must_use = "streams do nothing unless polled"]
    pub struct MapLimited<'a, St, F, Fut, W = fn(&<St as Stream>::Item) -> u32>
    where
        St: Stream,
        Fut: Future,
    {
        #[pin]
        stream: St,
        // Whether the inner stream has ended, or the semaphore was closed.
        ended: bool,
        semaphore: &'a Semaphore,
        weight: W,
        f: F,
        // An item that has no permit yet.
        item: Option<St::Item>,
        // Its place in the line.
        acquire: Option<Acquire<'a>>,
        // How many items of this group were started or refused.
        started: usize,
        running: FuturesUnordered<Job<'a, Fut>>,
        // Not returned before all of the group have ended.
        outputs: VecDeque<(usize, Result<Fut::Output, AcquireError>)>,
        ordered: bool,
    }
}

pin_project! {
    /// The future of an item, and its number in the group.
    struct Job<'a, Fut> {
        // The fields are dropped in this order.
        #[pin]
        future: Fut,
        permit: SemaphorePermit<'a>,
        number: usize,
    }
}

impl<Fut: Future> Future for Job<'_, Fut> {
    type Output = (usize, Fut::Output);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let output = ready!(this.future.poll(cx));
        Poll::Ready((*this.number, output))
    }
}

impl<'a, St: Stream, F, Fut: Future> MapLimited<'a, St, F, Fut> {
    fn new(stream: St, semaphore: &'a Semaphore, f: F, ordered: bool) -> Self {
        Self {
            stream,
            ended: false,
            semaphore,
            weight: |_| 1,
            f,
            item: None,
            acquire: None,
            started: 0,
            running: FuturesUnordered::new(),
            outputs: VecDeque::new(),
            ordered,
        }
    }

    /// Lets each item take as many permits as `weight` says. Without it, each takes one.
    ///
    /// An item with a weight of 0 does not wait, even behind others, and no limit holds for it. If a weight exceeds the permits that there will
    /// ever be, the item waits for ever, and so do all behind it in the line; a semaphore may
    /// [refuse](crate::Builder::fail_oversized) it instead.
    pub fn weight<W: FnMut(&St::Item) -> u32>(self, weight: W) -> MapLimited<'a, St, F, Fut, W> {
        let Self { stream, ended, semaphore, weight: _, f, item, acquire, .. } = self;
        let Self { started, running, outputs, ordered, .. } = self;
        MapLimited {
            stream,
            ended,
            semaphore,
            weight,
            f,
            item,
            acquire,
            started,
            running,
            outputs,
            ordered,
        }
    }
}

impl<St, F, Fut, W> Stream for MapLimited<'_, St, F, Fut, W>
where
    St: Stream,
    F: FnMut(St::Item) -> Fut,
    Fut: Future,
    W: FnMut(&St::Item) -> u32,
{
    type Item = Result<Fut::Output, AcquireError>;

    #[track_caller]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        loop {
            while let Poll::Ready(Some((number, output))) =
                Pin::new(&mut *this.running).poll_next(cx)
            {
                this.outputs.push_back((number, Ok(output)));
            }
            if !this.outputs.is_empty() {
                // What would be granted to it might be what the consumer waits for.
                *this.acquire = None;
                if !this.running.is_empty() {
                    return Poll::Pending;
                }
                // At its first output, the group is over.
                if *this.started > 0 {
                    *this.started = 0;
                    if *this.ordered {
                        this.outputs.make_contiguous().sort_unstable_by_key(|(number, _)| *number);
                    }
                }
                return Poll::Ready(this.outputs.pop_front().map(|(_, output)| output));
            }

            if this.item.is_none() && !*this.ended {
                match this.stream.as_mut().poll_next(cx) {
                    Poll::Ready(Some(item)) => *this.item = Some(item),
                    Poll::Ready(None) => *this.ended = true,
                    Poll::Pending => return Poll::Pending,
                }
            }
            let Some(item) = &*this.item else {
                // It has ended.
                return if this.running.is_empty() { Poll::Ready(None) } else { Poll::Pending };
            };
            if this.acquire.is_none() {
                let permits = (this.weight)(item);
                *this.acquire = Some(this.semaphore.acquire_many(permits));
            }
            let Some(acquire) = this.acquire else { unreachable!("it was made just now") };
            let granted = ready!(Pin::new(acquire).poll(cx));
            *this.acquire = None;
            let Some(item) = this.item.take() else { unreachable!("it waited for its permit") };
            let number = *this.started;
            *this.started += 1;
            match granted {
                Ok(permit) => {
                    let future = (this.f)(item);
                    this.running.push(Job { future, permit, number });
                }
                Err(refused) => {
                    *this.ended |= refused.is_closed();
                    this.outputs.push_back((number, Err(refused)));
                }
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let here = self.outputs.len() + self.running.len() + usize::from(self.item.is_some());
        let (_, upper) = if self.ended { (0, Some(0)) } else { self.stream.size_hint() };
        // It ends early if the semaphore is closed.
        (self.outputs.len(), upper.and_then(|upper| upper.checked_add(here)))
    }
}

impl<St, F, Fut, W> FusedStream for MapLimited<'_, St, F, Fut, W>
where
    Self: Stream,
    St: Stream,
    Fut: Future,
{
    fn is_terminated(&self) -> bool {
        self.ended && self.running.is_empty() && self.outputs.is_empty()
    }
}

impl<St: Stream, F, Fut: Future, W> fmt::Debug for MapLimited<'_, St, F, Fut, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapLimited")
            .field("acquire", &self.acquire)
            .field("running", &self.running.len())
            .field("outputs", &self.outputs.len())
            .finish_non_exhaustive()
    }
}
