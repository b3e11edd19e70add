//! Sizes, bounds on the number of permits, and which auto traits hold.

use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use semafair::{
    Acquire, AcquireError, AcquireOwned, Builder, OwnedSemaphorePermit, PollSemaphore, Semaphore,
    SemaphorePermit, Status, TooManyPermitsError, TryAcquireError,
};

use crate::support::{panic_of, served, wait, waits};

const MAX: usize = Semaphore::MAX_PERMITS;

/// The biggest request: for all that there can be, as far as a `u32` goes.
#[expect(clippy::cast_possible_truncation, reason = "on 64 bits it is not the value that is cast")]
pub(crate) const BIGGEST: u32 = if MAX < u32::MAX as usize { MAX as u32 } else { u32::MAX };

/// Compiles only for a type that may be sent, shared, moved, and kept across a panic.
fn auto_traits<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe>() {}

#[test]
fn every_public_type_has_all_auto_traits() {
    auto_traits::<Semaphore>();
    auto_traits::<SemaphorePermit<'_>>();
    auto_traits::<OwnedSemaphorePermit>();
    auto_traits::<Acquire<'_>>();
    auto_traits::<AcquireOwned>();
    auto_traits::<PollSemaphore>();
    auto_traits::<AcquireError>();
    auto_traits::<TryAcquireError>();
    auto_traits::<TooManyPermitsError>();
    auto_traits::<Builder>();
    auto_traits::<Status>();
    #[cfg(feature = "monitor")]
    {
        use semafair::monitor::{Monitored, MonitoredAcquire, MonitoredPermit};
        auto_traits::<Monitored>();
        auto_traits::<MonitoredAcquire>();
        auto_traits::<MonitoredPermit>();
    }
}

/// Compiles only if the borrow of a permit or future can be shortened.
fn shorter<'short>(
    permit: SemaphorePermit<'static>,
    future: Acquire<'static>,
    _: &'short (),
) -> (SemaphorePermit<'short>, Acquire<'short>) {
    (permit, future)
}

#[test]
fn a_semaphore_can_be_a_constant() {
    static NEW: Semaphore = Semaphore::new(2);
    static CONST_NEW: Semaphore = Semaphore::const_new(2);
    let (mut permit, future) = shorter(NEW.try_acquire().unwrap(), NEW.acquire(), &());
    assert_eq!(NEW.available_permits(), 1);
    let mut big = wait(CONST_NEW.acquire_many(3));
    CONST_NEW.add_permits(1);
    drop(served(&mut big).unwrap());
    assert!(permit.split(1).is_some());
    drop(future);
    assert_eq!(NEW.available_permits(), 2);
}

#[test]
fn sizes() {
    assert!(size_of::<Semaphore>() <= 32);
    assert!(size_of::<Acquire<'_>>() <= 32);
    assert_eq!(size_of::<SemaphorePermit<'_>>(), 2 * size_of::<usize>());
}

#[test]
fn max_permits_is_that_of_tokio() {
    assert_eq!(MAX, usize::MAX >> 3);
    assert_eq!(MAX, tokio::sync::Semaphore::MAX_PERMITS);
}

#[test]
fn as_many_as_max_permits_can_be_made() {
    assert_eq!(Semaphore::new(MAX).available_permits(), MAX);
    assert_eq!(Semaphore::const_new(MAX).available_permits(), MAX);
    assert_eq!(Semaphore::new(0).available_permits(), 0);
    let limit = format!("MAX_PERMITS permits ({MAX})");
    assert!(panic_of(|| Semaphore::new(MAX + 1)).contains(&limit));
    assert!(panic_of(|| Semaphore::const_new(MAX + 1)).contains("MAX_PERMITS"));
    assert!(panic_of(|| Semaphore::new(usize::MAX)).contains("MAX_PERMITS"));
}

#[test]
fn a_full_semaphore_works() {
    let sem = Semaphore::new(MAX);
    let one = sem.try_acquire().unwrap();
    let many = sem.try_acquire_many(1 << 20).unwrap();
    assert_eq!(sem.available_permits(), MAX - 1 - (1 << 20));
    drop(one);
    drop(many);
    assert_eq!(sem.available_permits(), MAX);
    assert_eq!(sem.forget_permits(usize::MAX), MAX);
    sem.add_permits(MAX);
    sem.close();
    assert_eq!(sem.available_permits(), MAX);
}

#[test]
fn add_permits_beyond_the_limit_after_close_changes_nothing() {
    let sem = Semaphore::new(3);
    sem.close();
    assert!(panic_of(|| sem.add_permits(MAX)).contains("MAX_PERMITS"));
    assert_eq!(sem.available_permits(), 3);
    assert!(sem.is_closed());
}

#[test]
fn add_permits_beyond_the_limit_serves_nobody() {
    let sem = Semaphore::new(1);
    let mut first = wait(sem.acquire_many(2));
    let mut second = wait(sem.acquire());
    for too_many in [MAX + 1, usize::MAX] {
        assert!(panic_of(|| sem.add_permits(too_many)).contains("MAX_PERMITS"));
        waits(&mut first);
        waits(&mut second);
    }
    assert!(panic_of(|| sem.add_permits(MAX)).contains("MAX_PERMITS"), "one is there already");
    assert_eq!(sem.limit(), 1);
    sem.add_permits(MAX - 1);
    served(&mut second).unwrap().forget();
    assert_eq!(sem.available_permits(), MAX - 3);
    drop(served(&mut first).unwrap());
    assert_eq!(sem.available_permits(), MAX - 1);
}

#[test]
fn the_biggest_request_waits_for_all_of_it() {
    let sem = Arc::new(Semaphore::new(0));
    let mut biggest = wait(sem.acquire_many(BIGGEST));
    let mut owned = wait(Arc::clone(&sem).acquire_many_owned(BIGGEST));
    sem.add_permits(BIGGEST as usize - 1);
    waits(&mut biggest);
    sem.add_permits(1);
    let permits = served(&mut biggest).unwrap();
    assert_eq!(permits.num_permits(), BIGGEST as usize);
    waits(&mut owned);
    drop(permits);
    drop(served(&mut owned).unwrap());
    assert_eq!(sem.available_permits(), BIGGEST as usize);
}

#[test]
#[cfg(target_pointer_width = "32")]
fn a_request_for_more_than_there_can_be_panics() {
    let sem = Semaphore::new(MAX);
    for too_many in [BIGGEST + 1, 1 << 31, u32::MAX] {
        assert!(panic_of(|| sem.try_acquire_many(too_many)).contains("MAX_PERMITS"));
        assert!(panic_of(|| wait(sem.acquire_many(too_many))).contains("MAX_PERMITS"));
        assert!(panic_of(|| sem.blocking_acquire_many(too_many)).contains("MAX_PERMITS"));
        assert_eq!(sem.available_permits(), MAX, "nothing has changed");
    }
}

/// All of them ask for more together than a `usize` of 32 bits holds.
#[test]
fn many_of_the_biggest_requests_are_served_one_by_one() {
    let sem = Semaphore::new(0);
    let mut line: Vec<_> = (0..10_000).map(|_| wait(sem.acquire_many(BIGGEST))).collect();
    for task in &mut line {
        sem.add_permits(BIGGEST as usize - 1);
        waits(task);
        sem.add_permits(1);
        served(task).unwrap().forget();
    }
    assert_eq!(sem.available_permits(), 0);
}

#[test]
#[cfg(target_pointer_width = "64")]
fn many_of_the_biggest_requests_can_wait() {
    let sem = Semaphore::new(0);
    let mut line: Vec<_> = (0..10_000).map(|_| wait(sem.acquire_many(u32::MAX))).collect();
    assert_eq!(sem.available_permits(), 0);
    let all = line.len() * (u32::MAX as usize) + 7;
    sem.add_permits(all);
    assert_eq!(sem.available_permits(), 7);
    for task in &mut line {
        drop(served(task).unwrap());
    }
    assert_eq!(sem.available_permits(), all);
}
