//! Running a future under permits.

use core::fmt;
use core::future::{Future, IntoFuture};
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::acquire::Acquire;
use crate::error::AcquireError;
use crate::permit::SemaphorePermit;
use crate::semaphore::Semaphore;

pin_project! {
    /// Runs a future under permits; made by [`Semaphore::run`] and [`Semaphore::run_many`].
    ///
    /// It takes its place in the line when it is first polled. When it has its permits, it polls the future
    /// inside. When that ends, is dropped or panics, it is gone before the permits go back.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the future inside, and then gives back the permits, or gives up the place in the
    /// line. A new request starts at the end of the line.
    ///
    /// # Panics
    ///
    /// The first poll panics if the request exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit
    /// machines only, and may panic if more than 2<sup>59</sup> permits are waited for. A poll after it returned
    /// [`Poll::Ready`] panics, and so does a poll after the future inside has panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), semafair::AcquireError> {
    /// use std::future::{Ready, ready};
    /// use semafair::{Run, Semaphore};
    ///
    /// let semaphore = Semaphore::new(1);
    /// let run: Run<'_, Ready<u32>> = semaphore.run(ready(7));
    /// assert_eq!(run.await?, 7);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<'a, F> {
        // The fields are dropped in this order.
        // `None` once it has ended.
        #[pin]
        future: Option<F>,
        // `Some` while `future` runs.
        permits: Option<SemaphorePermit<'a>>,
        acquire: Acquire<'a>,
    }
}

/// Ends a run when it is dropped: drops the future inside, and then gives back the permits, even if
/// the future panics as it is dropped.
struct End<'p, 'a, F> {
    future: Pin<&'p mut Option<F>>,
    permits: &'p mut Option<SemaphorePermit<'a>>,
}

impl<F> Drop for End<'_, '_, F> {
    fn drop(&mut self) {
        let _given_back_last = self.permits.take();
        self.future.set(None);
    }
}

impl<F: Future> Future for Run<'_, F> {
    type Output = Result<F::Output, AcquireError>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        assert!(this.future.is_some(), "`Run` polled after completion");
        if this.permits.is_none() {
            match ready!(Pin::new(this.acquire).poll(cx)) {
                Ok(permits) => *this.permits = Some(permits),
                Err(refused) => {
                    this.future.set(None);
                    return Poll::Ready(Err(refused));
                }
            }
        }
        // The caller may keep `self` after a panic, and permits are not to wait for that.
        let mut end = End { future: this.future, permits: this.permits };
        let Some(future) = end.future.as_mut().as_pin_mut() else {
            unreachable!("it was there a moment ago")
        };
        match future.poll(cx) {
            Poll::Pending => {
                mem::forget(end);
                Poll::Pending
            }
            Poll::Ready(output) => {
                drop(end);
                Poll::Ready(Ok(output))
            }
        }
    }
}

impl<F> Run<'_, F> {
    /// Takes its place in the line now, before the first poll; or the permits, if they are free and nobody
    /// waits. The future inside is not polled.
    ///
    /// Requests are served in the order in which they asked: by this call, or else by their first poll. Does
    /// nothing if it has asked already. Permits that are granted before the next poll are kept for it, and
    /// nobody else can use them. So poll it soon, or drop it.
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives up its place in the line, also if it was never polled. Permits that it had already go
    /// to others.
    ///
    /// # Panics
    ///
    /// If the request exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit machines only, or if more
    /// than 2<sup>59</sup> permits are waited for.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), semafair::AcquireError> {
    /// use std::pin::pin;
    /// use semafair::Semaphore;
    ///
    /// let semaphore = Semaphore::new(1);
    /// let mut run = pin!(semaphore.run(async { 1 + 1 }));
    /// run.as_mut().enqueue();
    /// assert_eq!(semaphore.available_permits(), 0);
    /// assert_eq!(run.await?, 2);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn enqueue(self: Pin<&mut Self>) {
        self.project().acquire.enqueue();
    }

    /// Returns whether it waits in the line, and was neither granted nor refused yet.
    ///
    /// Another thread may serve it at any time. It is `false` before it has asked, and while the future inside
    /// runs.
    #[must_use]
    pub fn is_queued(&self) -> bool {
        self.acquire.is_queued()
    }
}

impl<F> fmt::Debug for Run<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("acquire", &self.acquire)
            .field("runs", &self.permits.is_some())
            .finish_non_exhaustive()
    }
}

impl Semaphore {
    /// Runs `future` under a permit.
    ///
    /// The returned future waits for a permit, and then runs `future`. When that ends, panics or is dropped,
    /// the permit goes back. `future` is dropped before that, so what it uses is free when the next in line runs.
    ///
    /// It takes its place in the line when it is first polled, as [`acquire`](Self::acquire) does, and `future`
    /// is not polled before the permit is there.
    ///
    /// # Cancel safety
    ///
    /// Dropping the returned future drops `future`, wherever it is, and then gives back the permit, or gives up
    /// the place in the line. A new call starts at the end of the line.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] if the semaphore is closed before the permit is granted. Then `future` is dropped, and
    /// was never polled. A `close` while `future` runs does not concern it.
    ///
    /// # Panics
    ///
    /// The first poll may panic if more than 2<sup>59</sup> permits are waited for. A poll after the
    /// returned future has returned, or after `future` has panicked, panics, too.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), semafair::AcquireError> {
    /// use semafair::Semaphore;
    ///
    /// let connections = Semaphore::new(2);
    /// let answer = connections.run(async {
    ///     assert_eq!(connections.available_permits(), 1);
    ///     42
    /// });
    /// assert_eq!(answer.await?, 42);
    /// assert_eq!(connections.available_permits(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn run<F: IntoFuture>(&self, future: F) -> Run<'_, F::IntoFuture> {
        self.run_many(1, future)
    }

    /// Runs `future` under `n` permits.
    ///
    /// The returned future waits for `n` permits, and then runs `future`. When that ends, panics or is dropped,
    /// the permits go back. `future` is dropped before that, so what it uses is free when the next in line runs.
    ///
    /// It takes its place in the line when it is first polled, as [`acquire_many`](Self::acquire_many) does, and
    /// `future` is not polled before all permits are there. `n == 0` does not wait, even behind others; it is
    /// refused if the semaphore is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the returned future drops `future`, wherever it is, and then gives back the permits, or gives up
    /// the place in the line. A new call starts at the end of the line.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] if the semaphore is closed before the permits are granted. Then `future` is dropped, and
    /// was never polled. A `close` while `future` runs does not concern it.
    ///
    /// # Panics
    ///
    /// The first poll panics if `n` exceeds [`Semaphore::MAX_PERMITS`], which is possible on 32-bit machines
    /// only, and may panic if more than 2<sup>59</sup> permits are waited for. A poll after the returned future has
    /// returned, or after `future` has panicked, panics, too.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), semafair::AcquireError> {
    /// use semafair::Semaphore;
    ///
    /// // Memory, in bytes.
    /// let memory = Semaphore::new(1 << 20);
    /// let sum = memory.run_many(1 << 10, async { vec![1_u8; 1 << 10].iter().map(|b| u32::from(*b)).sum() });
    /// let sum: u32 = sum.await?;
    /// assert_eq!(sum, 1 << 10);
    /// # Ok(())
    /// # }
    /// ```
    pub fn run_many<F: IntoFuture>(&self, n: u32, future: F) -> Run<'_, F::IntoFuture> {
        Run { future: Some(future.into_future()), permits: None, acquire: self.acquire_many(n) }
    }
}
