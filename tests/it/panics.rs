//! A waker that panics loses no permit and keeps nobody else asleep, and its panic reaches whoever
//! woke it.

use std::mem;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use semafair::{
    Acquire, AcquireError, OwnedSemaphorePermit, PollSemaphore, Semaphore, SemaphorePermit,
};

use crate::support::hooks::Hooked;
use crate::support::{Wakes, panic_of, poll};

type Answer<'a> = Poll<Result<SemaphorePermit<'a>, AcquireError>>;

/// A line for one permit each, in which the wakers at `bad` panic with their own number.
fn line<'a>(sem: &'a Semaphore, len: usize, bad: &[usize]) -> Vec<(Acquire<'a>, Arc<Wakes>)> {
    let mut line = Vec::new();
    for i in 0..len {
        let wakes = Wakes::new();
        let mut future = sem.acquire();
        if bad.contains(&i) {
            let hooked = Hooked::new();
            let seen = wakes.waker();
            hooked.on_wake(move || {
                seen.wake();
                panic!("waker {i}");
            });
            assert!(poll(&mut future, &hooked.waker()).is_pending());
        } else {
            assert!(wakes.poll(&mut future).is_pending());
        }
        line.push((future, wakes));
    }
    line
}

/// Does `wake`, which must wake the whole line, and collects what the futures are then told.
fn all_woken<'a>(
    mut line: Vec<(Acquire<'a>, Arc<Wakes>)>,
    bad: &[usize],
    wake: impl FnOnce(),
) -> Vec<Answer<'a>> {
    let text = panic_of(wake);
    assert_eq!(text, format!("waker {}", bad[0]), "the first of the panics");
    for (i, (_, wakes)) in line.iter().enumerate() {
        assert_eq!(wakes.count(), 1, "number {i}, bad are {bad:?}");
    }
    line.iter_mut().map(|(future, _)| poll(future, Waker::noop())).collect()
}

fn each_case(f: impl Fn(usize, &[usize])) {
    for bad in [&[0][..], &[1], &[2], &[4], &[0, 1], &[1, 3], &[0, 1, 2, 3, 4]] {
        f(5, bad);
    }
    // More than any batch of wakers, and more than one segment.
    for bad in [&[5][..], &[31], &[32], &[33, 34], &[5, 50, 150, 199]] {
        f(200, bad);
    }
}

fn granted(answers: &[Answer<'_>]) {
    assert!(answers.iter().all(|answer| matches!(answer, Poll::Ready(Ok(_)))));
}

#[test]
fn in_add_permits() {
    each_case(|len, bad| {
        let sem = Semaphore::new(0);
        let answers = all_woken(line(&sem, len, bad), bad, || sem.add_permits(len + 2));
        granted(&answers);
        assert_eq!(sem.available_permits(), 2);
        drop(answers);
        assert_eq!(sem.available_permits(), len + 2);
    });
}

#[test]
fn in_the_drop_of_a_permit() {
    each_case(|len, bad| {
        let sem = Semaphore::new(len);
        let permit = sem.try_acquire_many(u32::try_from(len).unwrap()).unwrap();
        let answers = all_woken(line(&sem, len, bad), bad, || drop(permit));
        granted(&answers);
        drop(answers);
        assert_eq!(sem.available_permits(), len);
    });
}

#[test]
fn in_the_drop_of_an_owned_permit() {
    each_case(|len, bad| {
        let sem = Arc::new(Semaphore::new(len));
        let permit = sem.clone().try_acquire_many_owned(u32::try_from(len).unwrap()).unwrap();
        let answers = all_woken(line(&sem, len, bad), bad, || drop(permit));
        granted(&answers);
        drop(answers);
        assert_eq!(sem.available_permits(), len);
        assert_eq!(Arc::strong_count(&sem), 1, "the permit let the semaphore go");
    });
}

#[test]
fn in_the_drop_of_a_future_that_was_partly_filled() {
    each_case(|len, bad| {
        let sem = Semaphore::new(len);
        let mut head = sem.acquire_many(u32::try_from(len + 1).unwrap());
        assert!(poll(&mut head, Waker::noop()).is_pending());
        let answers = all_woken(line(&sem, len, bad), bad, || drop(head));
        granted(&answers);
        drop(answers);
        assert_eq!(sem.available_permits(), len);
    });
}

#[test]
fn in_the_drop_of_a_future_that_was_granted() {
    each_case(|len, bad| {
        let sem = Arc::new(Semaphore::new(0));
        let mut head = sem.clone().acquire_many_owned(u32::try_from(len).unwrap());
        assert!(poll(&mut head, Waker::noop()).is_pending());
        let line = line(&sem, len, bad);
        sem.add_permits(len);
        let answers = all_woken(line, bad, || drop(head));
        granted(&answers);
        drop(answers);
        assert_eq!(sem.available_permits(), len);
        assert_eq!(Arc::strong_count(&sem), 1, "the future let the semaphore go");
    });
}

#[test]
fn in_close() {
    each_case(|len, bad| {
        let sem = Semaphore::new(0);
        let answers = all_woken(line(&sem, len, bad), bad, || sem.close());
        assert!(answers.iter().all(|answer| matches!(answer, Poll::Ready(Err(_)))));
        assert!(sem.is_closed());
        sem.add_permits(1);
        assert_eq!(sem.available_permits(), 1);
    });
}

#[test]
fn in_a_poll_semaphore_that_asks_for_less() {
    each_case(|len, bad| {
        let sem = Arc::new(Semaphore::new(len));
        let mut handle = PollSemaphore::new(sem.clone());
        let cx = &mut Context::from_waker(Waker::noop());
        let more = u32::try_from(len + 1).unwrap();
        assert!(handle.poll_acquire_many(cx, more).is_pending());
        // It gives up its place, and with it what it had so far.
        let answers = all_woken(line(&sem, len, bad), bad, || drop(handle.poll_acquire(cx)));
        granted(&answers);
        drop(answers);
        assert!(matches!(handle.poll_acquire(cx), Poll::Ready(Some(_))));
        assert_eq!(sem.available_permits(), len);
    });
}

#[test]
fn those_behind_a_panic_keep_their_places() {
    let sem = Semaphore::new(0);
    let mut line = line(&sem, 4, &[0]);
    assert_eq!(panic_of(|| sem.add_permits(2)), "waker 0");
    let woken: Vec<_> = line.iter().map(|(_, wakes)| wakes.count()).collect();
    assert_eq!(woken, [1, 1, 0, 0]);
    // The permit of the one that panicked is passed on when its future is dropped.
    drop(line.remove(0));
    let woken: Vec<_> = line.iter().map(|(_, wakes)| wakes.count()).collect();
    assert_eq!(woken, [1, 1, 0]);
    drop(line);
    assert_eq!(sem.available_permits(), 2);
}

#[test]
fn while_unwinding_it_is_not_a_second_panic() {
    let sem = Semaphore::new(5);
    let permit = sem.try_acquire_many(5).unwrap();
    let mut line = line(&sem, 5, &[0, 2]);
    // Were the waker's panic to leave the drop as well, the process would abort.
    let text = panic_of(move || {
        let _held = permit;
        panic!("for another reason");
    });
    assert_eq!(text, "for another reason");
    for (future, wakes) in &mut line {
        assert_eq!(wakes.count(), 1);
        assert!(matches!(poll(future, Waker::noop()), Poll::Ready(Ok(_))));
    }
    assert_eq!(sem.available_permits(), 5);
}

/// A waker that panics when it is cloned next.
fn no_clone() -> Waker {
    let hooked = Hooked::new();
    let waker = hooked.waker();
    hooked.on_clone(|| panic!("no clone"));
    waker
}

#[test]
fn a_clone_that_panics_at_the_first_poll_loses_nothing() {
    let sem = Semaphore::new(1);
    let mut future = sem.acquire_many(2);
    assert_eq!(panic_of(|| poll(&mut future, &no_clone())), "no clone");
    assert_eq!(sem.available_permits(), 1);
    drop(sem.try_acquire().unwrap());
    // It may be polled again.
    let wakes = Wakes::new();
    assert!(wakes.poll(&mut future).is_pending());
    sem.add_permits(1);
    assert_eq!(wakes.count(), 1);
    let Poll::Ready(Ok(permits)) = wakes.poll(&mut future) else { panic!("granted") };
    assert_eq!(permits.num_permits(), 2);
    drop(permits);
    assert_eq!(sem.available_permits(), 2);
}

#[test]
fn a_clone_that_panics_at_the_first_poll_can_be_dropped() {
    let sem = Semaphore::new(1);
    let mut future = sem.acquire_many(2);
    assert_eq!(panic_of(|| poll(&mut future, &no_clone())), "no clone");
    let wakes = Wakes::new();
    let mut behind = sem.acquire_many(2);
    assert!(wakes.poll(&mut behind).is_pending());
    drop(future);
    sem.add_permits(1);
    assert_eq!(wakes.count(), 1);
    assert!(matches!(wakes.poll(&mut behind), Poll::Ready(Ok(_))));
    assert_eq!(sem.available_permits(), 2);
}

/// The clone is not needed, since the permit comes while it is made.
#[test]
fn a_clone_that_panics_when_it_is_dropped_at_the_first_poll_loses_nothing() {
    let sem = Arc::new(Semaphore::new(0));
    let hooked = Hooked::new();
    let adds = Arc::clone(&sem);
    hooked.on_clone(move || adds.add_permits(1));
    hooked.on_drop(|| panic!("dropped"));
    let mut future = sem.acquire();
    let waker = hooked.waker();
    assert_eq!(panic_of(|| drop(poll(&mut future, &waker))), "dropped");
    drop(future);
    assert_eq!(sem.available_permits(), 1);
}

#[test]
fn a_clone_that_panics_when_nobody_needs_it_does_not_matter() {
    let sem = Semaphore::new(2);
    assert!(matches!(poll(&mut sem.acquire(), &no_clone()), Poll::Ready(Ok(_))));
    assert!(matches!(poll(&mut sem.acquire_many(0), &no_clone()), Poll::Ready(Ok(_))));
    sem.close();
    assert!(matches!(poll(&mut sem.acquire(), &no_clone()), Poll::Ready(Err(_))));
}

#[test]
fn a_clone_that_panics_at_a_later_poll_keeps_the_place() {
    let sem = Semaphore::new(1);
    let (first, second) = (Wakes::new(), Wakes::new());
    let mut a = sem.acquire_many(2);
    let mut b = sem.acquire();
    assert!(first.poll(&mut a).is_pending());
    assert!(second.poll(&mut b).is_pending());
    assert_eq!(panic_of(|| poll(&mut a, &no_clone())), "no clone");
    assert_eq!(second.count(), 0);
    sem.add_permits(1);
    assert_eq!(second.count(), 0, "it was the other's turn");
    let Poll::Ready(Ok(permits)) = first.poll(&mut a) else { panic!("granted") };
    drop(permits);
    assert_eq!(second.count(), 1);
    assert!(matches!(second.poll(&mut b), Poll::Ready(Ok(_))));
    assert_eq!(sem.available_permits(), 2);
}

#[test]
fn a_clone_that_panics_at_a_later_poll_passes_on_when_dropped() {
    for granted in [false, true] {
        let sem = Semaphore::new(1);
        let wakes = Wakes::new();
        let mut a = sem.acquire_many(2);
        let mut b = sem.acquire();
        assert!(poll(&mut a, Waker::noop()).is_pending());
        assert!(wakes.poll(&mut b).is_pending());
        assert_eq!(panic_of(|| poll(&mut a, &no_clone())), "no clone");
        sem.add_permits(usize::from(granted));
        drop(a);
        assert_eq!(wakes.count(), 1);
        assert!(matches!(wakes.poll(&mut b), Poll::Ready(Ok(_))));
        assert_eq!(sem.available_permits(), 1 + usize::from(granted));
    }
}

#[test]
fn a_clone_that_panics_at_a_later_poll_can_be_polled_again() {
    let sem = Semaphore::new(0);
    let mut future = sem.acquire();
    assert!(poll(&mut future, Waker::noop()).is_pending());
    for _ in 0..3 {
        assert_eq!(panic_of(|| poll(&mut future, &no_clone())), "no clone");
    }
    let wakes = Wakes::new();
    assert!(wakes.poll(&mut future).is_pending());
    sem.add_permits(1);
    assert_eq!(wakes.count(), 1);
    assert!(matches!(wakes.poll(&mut future), Poll::Ready(Ok(_))));
}

#[test]
fn a_close_reaches_one_whose_clone_panicked() {
    let sem = Semaphore::new(0);
    let mut future = sem.acquire();
    assert!(poll(&mut future, Waker::noop()).is_pending());
    assert_eq!(panic_of(|| poll(&mut future, &no_clone())), "no clone");
    sem.close();
    assert!(matches!(poll(&mut future, Waker::noop()), Poll::Ready(Err(_))));
}

/// A waker whose wake panics.
fn panics_when_woken(text: &'static str) -> Rc<Hooked> {
    let hooked = Hooked::new();
    hooked.on_wake(move || panic!("{text}"));
    hooked
}

/// Polls `future` for the first time, with a waker whose drop panics from then on.
fn waits_with_bad_drop(future: &mut Acquire<'_>, text: &'static str) -> Rc<Hooked> {
    let hooked = Hooked::new();
    assert!(poll(future, &hooked.waker()).is_pending());
    hooked.on_drop(move || panic!("{text}"));
    hooked
}

/// Two panics at a time would end the process.
#[test]
fn the_drop_of_a_waker_and_a_wake_panic_in_one_cancel() {
    let sem = Semaphore::new(1);
    let behind = panics_when_woken("woken");
    let wakes = Wakes::new();
    let mut a = sem.acquire_many(3);
    let mut b = sem.acquire();
    let mut c = sem.acquire();
    let head = waits_with_bad_drop(&mut a, "dropped");
    assert!(poll(&mut b, &behind.waker()).is_pending());
    assert!(wakes.poll(&mut c).is_pending());
    sem.add_permits(1);
    assert_eq!(panic_of(|| drop(a)), "dropped");
    assert_eq!(behind.wakes(), 1);
    assert_eq!(wakes.count(), 1);
    assert_eq!(head.live(), 0);
    granted(&[poll(&mut b, Waker::noop()), wakes.poll(&mut c)]);
    drop((b, c));
    assert_eq!(sem.available_permits(), 2);
}

#[test]
fn the_drop_of_a_waker_and_a_wake_panic_in_one_poll() {
    let sem = Arc::new(Semaphore::new(0));
    let (own, behind) = (Hooked::new(), panics_when_woken("woken"));
    let mut b = sem.acquire();
    // The permits come while the waker is cloned, two more than are asked for; so the clone is not
    // needed, and whoever comes next is woken.
    let adds = Arc::clone(&sem);
    own.on_clone(move || adds.add_permits(2));
    own.on_drop(|| panic!("dropped"));
    let mut a = sem.acquire();
    let waker = own.waker();
    let text = panic_of(|| {
        let _ready = poll(&mut a, &waker).is_ready();
    });
    assert_eq!(text, "dropped");
    assert!(matches!(poll(&mut b, &behind.waker()), Poll::Ready(Ok(_))));
    drop((a, b));
    assert_eq!(sem.available_permits(), 2);
}

#[test]
fn a_replaced_waker_that_panics_when_it_is_dropped_keeps_the_place() {
    let sem = Semaphore::new(0);
    let wakes = Wakes::new();
    let mut future = sem.acquire();
    let _old = waits_with_bad_drop(&mut future, "old");
    assert_eq!(panic_of(|| wakes.poll(&mut future).is_pending()), "old");
    sem.add_permits(1);
    assert_eq!(wakes.count(), 1, "the new waker is registered");
    assert!(matches!(wakes.poll(&mut future), Poll::Ready(Ok(_))));
}

/// Futures that were forgotten leave their wakers to the drop of the semaphore.
#[test]
fn all_wakers_are_dropped_with_the_semaphore_though_some_panic() {
    const ALL: usize = 310;
    for bad in [&[0][..], &[30], &[31, 32], &[0, 100, 309]] {
        let sem = Semaphore::new(0);
        let wakers: Vec<_> = (0..ALL)
            .map(|i| {
                let hooked = Hooked::new();
                let mut future = sem.acquire();
                assert!(poll(&mut future, &hooked.waker()).is_pending());
                if bad.contains(&i) {
                    hooked.on_drop(move || panic!("waker {i}"));
                }
                mem::forget(future);
                hooked
            })
            .collect();
        assert_eq!(panic_of(|| drop(sem)), format!("waker {}", bad[0]), "the first of the panics");
        assert_eq!(wakers.iter().map(|hooked| hooked.live()).sum::<usize>(), 0, "{bad:?}");
    }
}

/// It is refused while its waker is cloned, and says so at its next poll: it has not said it yet.
#[test]
fn one_who_is_refused_while_its_waker_panics_is_refused_later() {
    let sem = Arc::new(Semaphore::new(0));
    let hooked = Hooked::new();
    let closes = Arc::clone(&sem);
    hooked.on_clone(move || closes.close());
    hooked.on_drop(|| panic!("dropped"));
    let mut future = sem.acquire();
    let waker = hooked.waker();
    assert_eq!(panic_of(|| drop(poll(&mut future, &waker))), "dropped");
    assert!(matches!(poll(&mut future, Waker::noop()), Poll::Ready(Err(_))));
    assert_eq!(sem.available_permits(), 0);
}

/// Wherever a waker panics in a poll of a `PollSemaphore`, the request is there for the next poll.
#[test]
fn a_poll_semaphore_goes_on_after_a_panic() {
    let sem = Arc::new(Semaphore::new(0));
    let mut handle = PollSemaphore::new(Arc::clone(&sem));
    let cx = &mut Context::from_waker(Waker::noop());
    let panics = |handle: &mut PollSemaphore, waker: &Waker| {
        panic_of(|| handle.poll_acquire(&mut Context::from_waker(waker)).is_pending())
    };

    // The clone, at the first poll and at a later one.
    assert_eq!(panics(&mut handle, &no_clone()), "no clone");
    assert!(handle.poll_acquire(cx).is_pending());
    assert_eq!(panics(&mut handle, &no_clone()), "no clone");
    // The drop of the waker that a later poll replaces.
    let replaced = Hooked::new();
    assert!(handle.poll_acquire(&mut Context::from_waker(&replaced.waker())).is_pending());
    replaced.on_drop(|| panic!("replaced"));
    assert_eq!(panics(&mut handle, Waker::noop()), "replaced");
    sem.add_permits(1);
    got(handle.poll_acquire(cx)).forget();

    // The drop of a waker that is not needed: as the permit comes, and as it is refused.
    let granted = unneeded({
        let sem = Arc::clone(&sem);
        move || sem.add_permits(1)
    });
    assert_eq!(panics(&mut handle, &granted.waker()), "dropped");
    assert_eq!(sem.available_permits(), 0, "it is granted");
    drop(got(handle.poll_acquire(cx)));
    assert_eq!(sem.available_permits(), 1);
    sem.forget_permits(1);
    let refused = unneeded({
        let sem = Arc::clone(&sem);
        move || sem.close()
    });
    assert_eq!(panics(&mut handle, &refused.waker()), "dropped");
    for _ in 0..3 {
        assert!(matches!(handle.poll_acquire(cx), Poll::Ready(None)), "it is closed");
    }
}

/// Whoever else is woken by the close, and panics, it learns that it is closed.
#[test]
fn a_poll_semaphore_is_refused_though_another_waker_panicked() {
    let sem = Arc::new(Semaphore::new(1));
    let mut handle = PollSemaphore::new(Arc::clone(&sem));
    let mut waits = sem.acquire_many(2);
    let woken = panics_when_woken("woken");
    assert!(poll(&mut waits, &woken.waker()).is_pending());
    assert_eq!(panic_of(|| sem.close()), "woken");
    for _ in 0..3 {
        let answer = handle.poll_acquire(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(answer, Poll::Ready(None)), "it is closed");
    }
}

/// A waker whose clone does `end`, after which it is not needed any more. The drop of that clone panics.
fn unneeded(end: impl FnOnce() + 'static) -> Rc<Hooked> {
    let hooked = Hooked::new();
    hooked.on_clone(end);
    hooked.on_drop(|| panic!("dropped"));
    hooked
}

#[track_caller]
fn got(answer: Poll<Option<OwnedSemaphorePermit>>) -> OwnedSemaphorePermit {
    let Poll::Ready(Some(permit)) = answer else { panic!("granted") };
    permit
}
