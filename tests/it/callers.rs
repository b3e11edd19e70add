//! Who passes bad input is named: the panic's location is the call, and not a line of the library.

use std::cell::RefCell;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Once};
use std::task::{Context, Waker};

use semafair::{PollSemaphore, Semaphore};

use crate::support::watch;

/// Longer than a name may be.
const LONG: &str = match std::str::from_utf8(&[b'x'; 128]) {
    Ok(text) => text,
    Err(_) => panic!("it is ASCII"),
};

const TOO_MANY: usize = Semaphore::MAX_PERMITS + 1;

thread_local! {
    /// The file of the last panic of this thread.
    static FILE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The file that the panic of `f` names.
fn file_of_panic(f: impl FnOnce()) -> Option<String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            FILE.set(info.location().map(|location| location.file().to_owned()));
            before(info);
        }));
    });
    FILE.set(None);
    catch_unwind(AssertUnwindSafe(f)).expect_err("it should have panicked");
    FILE.take()
}

/// A call with bad input, and what it is.
type Case<'a> = (&'static str, Box<dyn FnOnce() + 'a>);

/// All of them, before the first of them fails.
#[track_caller]
fn each_names_its_caller(cases: Vec<Case<'_>>) {
    watch();
    let elsewhere: Vec<_> = cases
        .into_iter()
        .map(|(name, call)| (name, file_of_panic(call)))
        .filter(|(_, file)| !file.as_deref().is_some_and(|file| file.ends_with("callers.rs")))
        .collect();
    assert!(elsewhere.is_empty(), "{elsewhere:#?}");
}

fn boxed<'a, T>(call: impl FnOnce() -> T + 'a) -> Box<dyn FnOnce() + 'a> {
    Box::new(|| drop(call()))
}

macro_rules! cases {
    ($($call:expr),+ $(,)?) => {
        vec![$((stringify!($call), boxed(|| $call))),+]
    };
}

/// Polls a future once more than it may be polled.
macro_rules! polls_twice {
    ($future:expr) => {{
        let mut future = pin!($future);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut cx).is_ready());
        future.as_mut().poll(&mut cx).is_ready()
    }};
}

fn arc(permits: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(permits))
}

#[test]
fn of_a_semaphore() {
    let (sem, other) = (arc(9), arc(9));
    let empty = || {
        let (least, most) = (3, 2);
        least..=most
    };
    each_names_its_caller(cases![
        Semaphore::new(TOO_MANY),
        Semaphore::const_new(TOO_MANY),
        Semaphore::builder(TOO_MANY),
        Semaphore::builder(1).acquired(2),
        Semaphore::builder(1).name(LONG),
        sem.add_permits(TOO_MANY),
        sem.set_limit(TOO_MANY),
        sem.adopt(1),
        sem.clone().adopt_owned(1),
        sem.acquire_between(empty()),
        sem.clone().acquire_between_owned(empty()),
        sem.try_acquire_between(empty()),
        sem.clone().try_acquire_between_owned(empty()),
        Semaphore::acquire_all([(&*sem, u32::MAX), (&*sem, u32::MAX)]),
        Semaphore::acquire_all_owned([(sem.clone(), u32::MAX), (sem.clone(), u32::MAX)]),
        PollSemaphore::new(sem.clone()).add_permits(TOO_MANY),
        sem.try_acquire().unwrap().merge(other.try_acquire().unwrap()),
        sem.clone().try_acquire_owned().unwrap().merge(other.clone().try_acquire_owned().unwrap()),
        Semaphore::try_acquire_in(sem.clone())
            .unwrap()
            .merge(Semaphore::try_acquire_in(other.clone()).unwrap()),
    ]);
    assert_eq!(sem.available_permits(), 9);
}

#[test]
fn of_a_future_that_was_ready() {
    let sem = arc(9);
    each_names_its_caller(cases![
        polls_twice!(sem.acquire()),
        polls_twice!(sem.clone().acquire_owned()),
        polls_twice!(sem.acquire_between(1..=2)),
        polls_twice!(sem.clone().acquire_between_owned(1..=2)),
        polls_twice!(Semaphore::acquire_in(sem.clone())),
        polls_twice!(Semaphore::acquire_all([(&*sem, 1)])),
        polls_twice!(Semaphore::acquire_all_owned([(sem.clone(), 1)])),
        polls_twice!(sem.run(async {})),
    ]);
    assert_eq!(sem.available_permits(), 9);
}

/// On 64 bits, a `u32` is never too many.
#[cfg(target_pointer_width = "32")]
#[test]
fn of_a_request_for_too_many() {
    let n = u32::try_from(TOO_MANY).unwrap();
    let sem = arc(9);
    let mut cx = Context::from_waker(Waker::noop());
    let mut poll_semaphore = PollSemaphore::new(sem.clone());
    each_names_its_caller(cases![
        sem.try_acquire_many(n),
        sem.clone().try_acquire_many_owned(n),
        sem.try_acquire_between(n..=n),
        sem.clone().try_acquire_between_owned(n..=n),
        Semaphore::try_acquire_many_in(sem.clone(), n),
        Semaphore::acquire_all([(&*sem, n)]),
        Semaphore::acquire_all_owned([(sem.clone(), n)]),
        sem.blocking_acquire_many(n),
        sem.clone().blocking_acquire_many_owned(n),
        sem.blocking_acquire_many_timeout(n, std::time::Duration::ZERO),
        sem.clone().blocking_acquire_many_owned_timeout(n, std::time::Duration::ZERO),
        // At the first poll.
        polls_twice!(sem.acquire_many(n)),
        polls_twice!(sem.clone().acquire_many_owned(n)),
        polls_twice!(sem.acquire_between(n..=n)),
        polls_twice!(sem.clone().acquire_between_owned(n..=n)),
        polls_twice!(Semaphore::acquire_many_in(sem.clone(), n)),
        polls_twice!(sem.run_many(n, async {})),
        sem.acquire_many(n).enqueue(),
        sem.clone().acquire_many_owned(n).enqueue(),
        sem.acquire_between(n..=n).enqueue(),
        sem.clone().acquire_between_owned(n..=n).enqueue(),
        Semaphore::acquire_many_in(sem.clone(), n).enqueue(),
        pin!(sem.run_many(n, async {})).enqueue(),
        poll_semaphore.poll_acquire_many(&mut cx, n).is_ready(),
    ]);
    assert_eq!(sem.available_permits(), 9);
}

#[cfg(feature = "keyed")]
#[test]
fn of_limits_and_pools_by_key() {
    use std::hash::RandomState;

    use semafair::{KeyedSemaphore, PartitionedSemaphore};

    let keys = KeyedSemaphore::with(|key: &usize| *key);
    let nine = KeyedSemaphore::new(9);
    let pool = PartitionedSemaphore::builder(9).weight(|key: &u32| *key).build();
    each_names_its_caller(cases![
        KeyedSemaphore::<u32>::new(TOO_MANY),
        KeyedSemaphore::<u32>::with_hasher(TOO_MANY, RandomState::new()),
        keys.acquire(TOO_MANY),
        keys.acquire_many(TOO_MANY, 1),
        keys.try_acquire(TOO_MANY),
        keys.try_acquire_many(TOO_MANY, 1),
        keys.handle(TOO_MANY),
        nine.try_acquire("a").unwrap().merge(nine.try_acquire("b").unwrap()),
        polls_twice!(nine.acquire("a")),
        PartitionedSemaphore::<u32>::new(TOO_MANY),
        PartitionedSemaphore::<u32>::builder(TOO_MANY),
        pool.acquire(0),
        pool.acquire_many(0, 1),
        pool.try_acquire(0),
        pool.try_acquire_many(0, 1),
        polls_twice!(pool.acquire(1)),
    ]);
    assert!(keys.is_empty() && nine.is_empty() && pool.is_empty());

    #[cfg(target_pointer_width = "32")]
    {
        let n = u32::try_from(TOO_MANY).unwrap();
        each_names_its_caller(cases![
            nine.try_acquire_many("a", n),
            nine.acquire_many("a", n).enqueue(),
            polls_twice!(nine.acquire_many("a", n)),
        ]);
    }
}

#[cfg(feature = "tower")]
#[test]
fn of_a_layer() {
    use semafair::tower::{ConcurrencyLimit, ConcurrencyLimitLayer};
    use tower::{Service, service_fn};

    let echo = service_fn(async |request: u32| Ok::<_, ()>(request));
    let mut service = ConcurrencyLimit::new(echo, 1);
    each_names_its_caller(cases![
        ConcurrencyLimitLayer::new(TOO_MANY),
        ConcurrencyLimit::new((), TOO_MANY),
        polls_twice!(service.call(1)),
    ]);

    #[cfg(target_pointer_width = "32")]
    {
        use tower::Layer;

        let n = u32::try_from(TOO_MANY).unwrap();
        let weighted = ConcurrencyLimitLayer::new(1).weight(move |_: &u32| n);
        let mut fails_fast = weighted.clone().fail_fast().layer(echo);
        let mut waits = weighted.layer(echo);
        each_names_its_caller(cases![waits.call(1), fails_fast.call(1)]);
    }
}

#[cfg(all(feature = "futures", target_pointer_width = "32"))]
#[test]
fn of_a_weighted_stream() {
    use futures::{Stream, stream};
    use semafair::LimitedStreamExt;

    let n = u32::try_from(TOO_MANY).unwrap();
    let sem = Semaphore::new(1);
    let mapped = stream::iter([1]).map_limited(&sem, async |item| item).weight(move |_| n);
    let mut mapped = pin!(mapped);
    let mut cx = Context::from_waker(Waker::noop());
    each_names_its_caller(cases![mapped.as_mut().poll_next(&mut cx).is_ready()]);
}

#[cfg(feature = "monitor")]
#[test]
fn of_a_monitored_semaphore() {
    use semafair::monitor::Monitored;

    let monitored = Arc::new(Monitored::new("database", Semaphore::new(9)));
    let other = Monitored::new("other", Semaphore::new(9));
    let empty = || {
        let (least, most) = (3, 2);
        least..=most
    };
    each_names_its_caller(cases![
        monitored.add_permits(TOO_MANY),
        monitored.set_limit(TOO_MANY),
        monitored.acquire_between(empty()),
        monitored.clone().acquire_between_owned(empty()),
        monitored.try_acquire_between(empty()),
        monitored.try_acquire().unwrap().merge(other.try_acquire().unwrap()),
        polls_twice!(monitored.acquire()),
        polls_twice!(monitored.acquire_between(1..=2)),
    ]);

    #[cfg(target_pointer_width = "32")]
    {
        use std::time::Duration;

        let n = u32::try_from(TOO_MANY).unwrap();
        each_names_its_caller(cases![
            monitored.try_acquire_many(n),
            monitored.clone().try_acquire_many_owned(n),
            monitored.try_acquire_between(n..=n),
            monitored.acquire_many(n),
            monitored.clone().acquire_many_owned(n),
            monitored.acquire_between(n..=n),
            monitored.clone().acquire_between_owned(n..=n),
            monitored.run_many(n, async {}),
            monitored.blocking_acquire_many(n),
            monitored.blocking_acquire_many_timeout(n, Duration::ZERO),
        ]);
    }
    let report = monitored.report();
    assert_eq!(report.status.available, 9);
    assert!(report.holders.is_empty() && report.waiters.is_empty());
}
