//! The semaphores under test, behind one trait.

mod adapters;
mod limits;

use std::future::Future;

pub use adapters::{
    AsyncLock, AsyncWeighted, Asyncband, FuturesIntrusive, Maitake, Saa, SaaPermit, Semafair, Tokio,
};
pub use limits::{AddedPermit, FetchAdd, Mutex, Unshared, UnsharedPermit};

/// What a workload asks of a semaphore.
///
/// An adapter forwards and does nothing else. The futures are associated types (that is what
/// `impl Future` means here), so that nobody is measured with a box or a wrapper around theirs;
/// what they give becomes a permit in a step of its own, which compiles to nothing.
pub trait Semaphore: Send + Sync + Sized + 'static {
    /// The name in the tables; for a crate, that of the crate.
    const NAME: &'static str;

    /// What it has no means for. Workloads that need one of these leave it out.
    const LACKS: &'static [Operation] = &[];

    /// What its futures give.
    type Granted<'a>;

    /// Gives its permits back when it is dropped.
    type Permit<'a>: Send;

    /// Creates a semaphore with so many free permits.
    fn with_permits(permits: usize) -> Self;

    /// Takes one permit, in turn.
    fn acquire(&self) -> impl Future<Output = Self::Granted<'_>> + Send;

    /// Takes `n` permits, in turn.
    fn acquire_many(&self, _n: u32) -> impl Future<Output = Self::Granted<'_>> + Send {
        async { lacking::<Self>() }
    }

    /// Makes a permit of what a future for `n` permits gave.
    fn permit<'a>(&'a self, granted: Self::Granted<'a>, n: u32) -> Self::Permit<'a>;

    /// Takes one permit if it is free now.
    fn try_acquire(&self) -> Option<Self::Permit<'_>>;

    /// Adds new permits.
    fn add_permits(&self, _n: usize) {
        lacking::<Self>()
    }
}

/// What some semaphores cannot do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// To keep a future waiting, and wake it.
    Wait,
    /// To take several permits at once.
    Many,
    /// To add as many permits as one likes.
    Add,
    /// To have a permit free again when its drop returns, and not when another thread is done.
    FreeAtOnce,
    /// To be used by several threads.
    Threads,
    /// To be one of several semaphores on a thread.
    Several,
    /// To let a waiter leave before it was served.
    Leave,
}

fn lacking<S: Semaphore>() -> ! {
    unreachable!("{} is asked for what it lacks", S::NAME)
}

/// Something to be done with each semaphore.
pub trait ForEach {
    /// What comes of it.
    type Outcome;

    /// Does it with this one.
    fn visit<S: Semaphore>(&self) -> Self::Outcome;
}

/// Visits every semaphore: the baseline of all ratios, ours, the peers by name, and the limits.
pub fn for_each<V: ForEach>(visitor: &V) -> Vec<V::Outcome> {
    vec![
        visitor.visit::<Tokio>(),
        visitor.visit::<Semafair>(),
        visitor.visit::<AsyncLock>(),
        visitor.visit::<AsyncWeighted>(),
        visitor.visit::<Asyncband>(),
        visitor.visit::<FuturesIntrusive>(),
        visitor.visit::<Maitake>(),
        visitor.visit::<Saa>(),
        visitor.visit::<Unshared>(),
        visitor.visit::<FetchAdd>(),
        visitor.visit::<Mutex>(),
    ]
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    struct KeepsCount;

    impl ForEach for KeepsCount {
        type Outcome = ();

        fn visit<S: Semaphore>(&self) {
            if S::LACKS.contains(&Operation::Wait) {
                return;
            }
            let cx = &mut Context::from_waker(Waker::noop());
            let semaphore = S::with_permits(2);
            let all = [semaphore.try_acquire(), semaphore.try_acquire()];
            assert!(all.iter().all(Option::is_some), "{} has two permits", S::NAME);
            assert!(semaphore.try_acquire().is_none(), "{} has no third", S::NAME);

            let mut waiter = pin!(semaphore.acquire());
            assert!(waiter.as_mut().poll(cx).is_pending(), "{} makes wait", S::NAME);
            drop(all);
            let Poll::Ready(granted) = waiter.as_mut().poll(cx) else {
                panic!("{} hands over", S::NAME);
            };
            drop(semaphore.permit(granted, 1));

            if !S::LACKS.contains(&Operation::Many) {
                let Poll::Ready(granted) = pin!(semaphore.acquire_many(2)).poll(cx) else {
                    panic!("{} gives both at once", S::NAME);
                };
                let both = semaphore.permit(granted, 2);
                assert!(semaphore.try_acquire().is_none(), "{} gave both", S::NAME);
                drop(both);
            }
            if !S::LACKS.contains(&Operation::Add) {
                semaphore.add_permits(1);
            }
            let all: Vec<_> = std::iter::from_fn(|| semaphore.try_acquire()).collect();
            let added = usize::from(!S::LACKS.contains(&Operation::Add));
            assert_eq!(all.len(), 2 + added, "{} has all permits again", S::NAME);
        }
    }

    #[test]
    fn every_adapter_keeps_count() {
        for_each(&KeepsCount);
    }
}
