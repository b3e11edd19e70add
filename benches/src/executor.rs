//! The least that runs tasks: a queue of those that are ready, and wakers that put them there.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

thread_local! {
    // A task is woken on the thread that runs it, so the queue needs no lock, whose cost would
    // hide part of the difference between two semaphores.
    static READY: RefCell<VecDeque<usize>> = const { RefCell::new(VecDeque::new()) };
}

/// Tasks that take turns on the calling thread.
pub(crate) struct Executor<F> {
    tasks: Vec<Pin<Box<Option<F>>>>,
    wakers: Vec<Waker>,
}

impl<F: Future<Output = ()>> Executor<F> {
    pub(crate) fn new(tasks: impl Iterator<Item = F>) -> Self {
        let tasks: Vec<_> = tasks.map(|task| Box::pin(Some(task))).collect();
        let wakers = (0..tasks.len()).map(|index| Waker::from(Arc::new(Ready(index)))).collect();
        Self { tasks, wakers }
    }

    /// Polls each task once, and then whoever is woken, until nobody is.
    ///
    /// # Panics
    ///
    /// If a task is left over: somebody slept through their turn.
    pub(crate) fn run(&mut self) {
        READY.with_borrow_mut(|ready| ready.extend(0..self.tasks.len()));
        while let Some(index) = READY.with_borrow_mut(VecDeque::pop_front) {
            let task = &mut self.tasks[index];
            let Some(running) = task.as_mut().as_pin_mut() else {
                continue;
            };
            let waker = &self.wakers[index];
            if running.poll(&mut Context::from_waker(waker)).is_ready() {
                task.set(None);
            }
        }
        assert!(self.tasks.iter().all(|task| task.is_none()), "a task was never woken");
    }
}

/// Wakes the task with this index.
struct Ready(usize);

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        READY.with_borrow_mut(|ready| ready.push_back(self.0));
    }
}

/// Lets every other ready task run first.
pub(crate) fn yield_now() -> impl Future<Output = ()> {
    let mut yielded = false;
    poll_fn(move |cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}
