//! Wakers that run a test's own code when they are cloned, woken or dropped.
//!
//! `std::task::Wake` has no hook for a clone, so this is a raw waker. Its pointer is not one: it is
//! the number of an entry in a list of the thread, so that nothing here can be used after its end.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::rc::Rc;
use std::task::{RawWaker, RawWakerVTable, Waker};

use crate::support::watch;

type Hook = RefCell<Option<Box<dyn FnOnce()>>>;

/// The events of one waker and all its clones. Each hook runs once, at the next such event.
#[derive(Default)]
pub(crate) struct Hooked {
    id: usize,
    live: Cell<usize>,
    wakes: Cell<usize>,
    on_clone: Hook,
    on_wake: Hook,
    on_drop: Hook,
}

thread_local! {
    static LIST: RefCell<Vec<Rc<Hooked>>> = const { RefCell::new(Vec::new()) };
}

static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_raw);

impl Hooked {
    pub(crate) fn new() -> Rc<Self> {
        watch();
        LIST.with_borrow_mut(|list| {
            let id = list.len();
            list.push(Rc::new(Self { id, ..Self::default() }));
            Rc::clone(&list[id])
        })
    }

    #[expect(unsafe_code, reason = "the standard library has no safe waker with a hook for clone")]
    pub(crate) fn waker(&self) -> Waker {
        self.live.set(self.live.get() + 1);
        let data = ptr::without_provenance(self.id);
        // SAFETY: the functions of the table never follow the pointer, take it as a number from any
        // thread, and `clone` gives the same number and the same table.
        unsafe { Waker::from_raw(RawWaker::new(data, &TABLE)) }
    }

    /// How many wakers of this kind are neither dropped nor consumed.
    pub(crate) fn live(&self) -> usize {
        self.live.get()
    }

    pub(crate) fn wakes(&self) -> usize {
        self.wakes.get()
    }

    pub(crate) fn on_clone(&self, f: impl FnOnce() + 'static) {
        *self.on_clone.borrow_mut() = Some(Box::new(f));
    }

    pub(crate) fn on_wake(&self, f: impl FnOnce() + 'static) {
        *self.on_wake.borrow_mut() = Some(Box::new(f));
    }

    pub(crate) fn on_drop(&self, f: impl FnOnce() + 'static) {
        *self.on_drop.borrow_mut() = Some(Box::new(f));
    }

    pub(crate) fn no_more_hooks(&self) {
        for hook in [&self.on_clone, &self.on_wake, &self.on_drop] {
            drop(hook.take());
        }
    }
}

/// Runs a hook with nothing borrowed, so that it may come back here.
fn run(hook: &Hook) {
    let f = hook.take();
    if let Some(f) = f {
        f();
    }
}

fn entry(data: *const ()) -> Rc<Hooked> {
    let entry = LIST.with_borrow(|list| list.get(data.addr()).cloned());
    entry.expect("a hooked waker stays on its thread")
}

fn clone(data: *const ()) -> RawWaker {
    let hooked = entry(data);
    run(&hooked.on_clone);
    hooked.live.set(hooked.live.get() + 1);
    RawWaker::new(data, &TABLE)
}

fn wake(data: *const ()) {
    let hooked = entry(data);
    hooked.live.set(hooked.live.get() - 1);
    hooked.wakes.set(hooked.wakes.get() + 1);
    run(&hooked.on_wake);
    run(&hooked.on_drop);
}

fn wake_by_ref(data: *const ()) {
    let hooked = entry(data);
    hooked.wakes.set(hooked.wakes.get() + 1);
    run(&hooked.on_wake);
}

fn drop_raw(data: *const ()) {
    let hooked = entry(data);
    hooked.live.set(hooked.live.get() - 1);
    run(&hooked.on_drop);
}
