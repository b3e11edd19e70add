//! A waker's own code may come back to the same semaphore, whenever it runs: nothing hangs, nobody
//! is forgotten, and the permits still add up.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use semafair::{AcquireOwned, OwnedSemaphorePermit, Semaphore};

use crate::support::hooks::Hooked;
use crate::support::{Wakes, poll, watch};

/// One who waits, and whose task polls it only when it was woken.
struct Waiter {
    future: Option<AcquireOwned>,
    wakes: Arc<Wakes>,
    seen: usize,
}

impl Waiter {
    fn new(sem: &Arc<Semaphore>, n: u32) -> Self {
        let future = Some(Arc::clone(sem).acquire_many_owned(n));
        Self { future, wakes: Wakes::new(), seen: 0 }
    }

    fn poll(&mut self) {
        if let Some(mut future) = self.future.take() {
            if self.wakes.poll(&mut future).is_pending() {
                self.future = Some(future);
            }
        }
    }

    fn poll_if_woken(&mut self) {
        if self.wakes.count() > self.seen {
            self.seen = self.wakes.count();
            self.poll();
        }
    }
}

/// The semaphore, the subject's permit-holder, and those who stand before and behind the subject.
struct World {
    sem: Arc<Semaphore>,
    held: RefCell<Option<OwnedSemaphorePermit>>,
    before: RefCell<Waiter>,
    behind: [RefCell<Waiter>; 2],
    /// How many permits there must be at the end.
    total: Cell<usize>,
    acted: Cell<bool>,
}

type Action = (&'static str, fn(&World));
type Event = (&'static str, fn(&World, &Rc<Hooked>, &mut Option<AcquireOwned>, &dyn Fn()));

const ACTIONS: [Action; 12] = [
    ("looks", |world| {
        assert!(world.sem.available_permits() <= world.total.get());
    }),
    ("tries", |world| drop(world.sem.try_acquire())),
    ("adds", |world| {
        world.total.set(world.total.get() + 1);
        world.sem.add_permits(1);
    }),
    ("adds enough for all", |world| {
        world.total.set(world.total.get() + 10);
        world.sem.add_permits(10);
    }),
    ("releases", |world| drop(world.held.take())),
    ("forgets", |world| {
        let gone = world.sem.forget_permits(1);
        world.total.set(world.total.get() - gone);
    }),
    ("cancels the one before", |world| drop(world.before.borrow_mut().future.take())),
    ("cancels those behind", |world| {
        for waiter in &world.behind {
            drop(waiter.borrow_mut().future.take());
        }
    }),
    ("polls another again", |world| world.behind[0].borrow_mut().poll()),
    ("waits and leaves", |world| {
        let mut future = world.sem.acquire_many(3);
        drop(poll(&mut future, Waker::noop()));
    }),
    ("asks for nothing", |world| drop(poll(&mut world.sem.acquire_many(0), Waker::noop()))),
    ("closes", |world| world.sem.close()),
];

fn poll_subject(subject: &mut Option<AcquireOwned>, waker: &Waker) {
    if let Some(mut future) = subject.take() {
        if poll(&mut future, waker).is_pending() {
            *subject = Some(future);
        }
    }
}

/// What happens to the subject, with the hook set just before it.
const EVENTS: [Event; 12] = [
    ("clone at the first poll", |_, hooked, subject, set| {
        set();
        poll_subject(subject, &hooked.waker());
    }),
    ("clone at a later poll", |_, hooked, subject, set| {
        poll_subject(subject, Waker::noop());
        set();
        poll_subject(subject, &hooked.waker());
    }),
    ("drop of a replaced waker", |_, hooked, subject, set| {
        poll_subject(subject, &hooked.waker());
        set();
        let wakes = Wakes::new();
        poll_subject(subject, &wakes.waker());
        // Back to the waker that is looked at in the end.
        if wakes.count() == 0 {
            poll_subject(subject, &hooked.waker());
        } else {
            hooked.waker().wake();
        }
    }),
    ("wake in a release", |world, hooked, subject, set| {
        poll_subject(subject, &hooked.waker());
        set();
        drop(world.held.take());
        world.add(3);
    }),
    ("wake in a big release", |world, hooked, subject, set| {
        poll_subject(subject, &hooked.waker());
        set();
        world.add(20);
    }),
    ("wake in a small release", |world, hooked, subject, set| {
        poll_subject(subject, &hooked.waker());
        set();
        world.add(1);
        world.add(1);
    }),
    ("wake in close", |world, hooked, subject, set| {
        poll_subject(subject, &hooked.waker());
        set();
        world.sem.close();
    }),
    ("wake in the cancel of a head", |world, hooked, subject, set| {
        poll_subject(subject, &hooked.waker());
        world.add(1);
        set();
        let head = world.before.borrow_mut().future.take();
        drop(head);
    }),
    ("drop in a cancel", |_, hooked, subject, set| {
        poll_subject(subject, &hooked.waker());
        set();
        drop(subject.take());
    }),
    ("drop in a cancel, partly filled", |world, hooked, subject, set| {
        drop(world.before.borrow_mut().future.take());
        poll_subject(subject, &hooked.waker());
        world.add(1);
        set();
        drop(subject.take());
    }),
    ("cancel after a grant", |world, hooked, subject, set| {
        poll_subject(subject, &hooked.waker());
        set();
        world.add(4);
        drop(subject.take());
    }),
    ("drop of an unpolled future after close", |world, hooked, subject, set| {
        poll_subject(subject, &hooked.waker());
        set();
        world.sem.close();
        drop(subject.take());
    }),
];

impl World {
    fn add(&self, n: usize) {
        self.total.set(self.total.get() + n);
        self.sem.add_permits(n);
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Hook {
    Clone,
    Wake,
    Drop,
}

fn run(event: Event, hook: Hook, action: Action) -> bool {
    let sem = Arc::new(Semaphore::new(1));
    let held = Arc::clone(&sem).try_acquire_owned().unwrap();
    let world = Rc::new(World {
        held: RefCell::new(Some(held)),
        before: RefCell::new(Waiter::new(&sem, 2)),
        // These join when the hook is set: most events have the subject in the line by then.
        behind: [1, 3].map(|n| RefCell::new(Waiter::new(&sem, n))),
        total: Cell::new(1),
        acted: Cell::new(false),
        sem,
    });
    world.before.borrow_mut().poll();
    let hooked = Hooked::new();
    let mut subject = Some(Arc::clone(&world.sem).acquire_many_owned(2));

    let set = || {
        for waiter in &world.behind {
            waiter.borrow_mut().poll();
        }
        let inner = Rc::clone(&world);
        let act = move || {
            inner.acted.set(true);
            action.1(&inner);
        };
        match hook {
            Hook::Clone => hooked.on_clone(act),
            Hook::Wake => hooked.on_wake(act),
            Hook::Drop => hooked.on_drop(act),
        }
    };
    event.1(&world, &hooked, &mut subject, &set);
    hooked.no_more_hooks();

    // Enough for everyone. From here on, tasks run only when they are woken.
    drop(world.held.take());
    world.add(3);
    let mut seen = 0;
    for _ in 0..10 {
        if hooked.wakes() > seen {
            seen = hooked.wakes();
            poll_subject(&mut subject, &hooked.waker());
        }
        world.before.borrow_mut().poll_if_woken();
        for waiter in &world.behind {
            waiter.borrow_mut().poll_if_woken();
        }
    }
    let what = format!("{}, whose hook {}", event.0, action.0);
    assert!(subject.is_none(), "the subject is stranded: {what}");
    assert!(world.before.borrow().future.is_none(), "the one before is stranded: {what}");
    for waiter in &world.behind {
        assert!(waiter.borrow().future.is_none(), "one behind is stranded: {what}");
    }
    assert_eq!(world.sem.available_permits(), world.total.get(), "{what}");
    assert_eq!(hooked.live(), 0, "a waker is kept: {what}");
    world.acted.get()
}

fn every_event_and_action(hook: Hook) {
    watch();
    let mut acted = 0;
    for event in EVENTS {
        for action in ACTIONS {
            acted += usize::from(run(event, hook, action));
        }
    }
    assert!(acted >= 2 * ACTIONS.len(), "the hooks hardly ran: {acted}");
}

#[test]
fn when_a_waker_is_cloned() {
    every_event_and_action(Hook::Clone);
}

#[test]
fn when_a_waker_is_woken() {
    every_event_and_action(Hook::Wake);
}

#[test]
fn when_a_waker_is_dropped() {
    every_event_and_action(Hook::Drop);
}

#[test]
fn a_wake_may_drop_its_own_future() {
    let sem = Arc::new(Semaphore::new(0));
    let hooked = Hooked::new();
    let mut future = Arc::clone(&sem).acquire_owned();
    assert!(poll(&mut future, &hooked.waker()).is_pending());
    let slot = Rc::new(RefCell::new(Some(future)));
    let behind = Wakes::new();
    let mut next = sem.acquire();
    assert!(behind.poll(&mut next).is_pending());
    let inner = Rc::clone(&slot);
    hooked.on_wake(move || drop(inner.take()));
    sem.add_permits(1);
    assert_eq!(behind.count(), 1, "passed on");
    assert!(behind.poll(&mut next).is_ready());
    assert_eq!(hooked.live(), 0);
}

#[test]
fn a_chain_of_wakes_that_each_release_serves_everyone() {
    let sem = Arc::new(Semaphore::new(0));
    let mut line = Vec::new();
    for _ in 0..100 {
        let hooked = Hooked::new();
        let mut future = sem.acquire();
        assert!(poll(&mut future, &hooked.waker()).is_pending());
        let sem = Arc::clone(&sem);
        hooked.on_wake(move || sem.add_permits(1));
        line.push((future, hooked));
    }
    sem.add_permits(1);
    for (future, hooked) in &mut line {
        assert_eq!(hooked.wakes(), 1);
        let Poll::Ready(Ok(permit)) = poll(future, Waker::noop()) else { panic!("granted") };
        permit.forget();
    }
    assert_eq!(sem.available_permits(), 1);
}

#[test]
fn the_last_waker_may_own_the_semaphore() {
    let sem = Arc::new(Semaphore::new(0));
    let weak = Arc::downgrade(&sem);
    let hooked = Hooked::new();
    let mut future = Arc::clone(&sem).acquire_owned();
    assert!(poll(&mut future, &hooked.waker()).is_pending());
    // When the future goes, its waker's drop lets the last handle go.
    hooked.on_drop(move || drop(sem));
    drop(future);
    assert!(weak.upgrade().is_none());
}
