//! `core`'s atomics. Each use is a step: a test can count the steps, and stop a thread before any
//! of them.

use core::ops::Deref;
use core::sync::atomic;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

std::thread_local! {
    static ON_STEP: RefCell<Option<Rc<dyn Fn()>>> = const { RefCell::new(None) };
}

/// Calls `on_step` before each step that this thread takes in `run`.
pub(crate) fn watched<T>(on_step: impl Fn() + 'static, run: impl FnOnce() -> T) -> T {
    /// Also where `run` panics.
    struct Unwatch;
    impl Drop for Unwatch {
        fn drop(&mut self) {
            ON_STEP.set(None);
        }
    }

    ON_STEP.set(Some(Rc::new(on_step)));
    let _unwatch = Unwatch;
    run()
}

/// Runs `run`, and `between` before its step of that number. Says whether there is such a step.
pub(crate) fn before_step(number: usize, between: impl Fn() + 'static, run: impl FnOnce()) -> bool {
    let on_step = move |step| {
        if step == number {
            between();
        }
    };
    at_steps(on_step, run) >= number
}

/// Runs `run`, and `on_step` with its number before each of its steps. Says how many there are. The
/// steps of `on_step` do not count.
pub(crate) fn at_steps(on_step: impl Fn(usize) + 'static, run: impl FnOnce()) -> usize {
    let steps = Rc::new(Cell::new(0));
    let taken = steps.clone();
    let between = Cell::new(false);
    let next = move || {
        if !between.replace(true) {
            steps.set(steps.get() + 1);
            on_step(steps.get());
            between.set(false);
        }
    };
    watched(next, run);
    taken.get()
}

/// A step of this thread. Wakers of tests call it, too, as user code takes steps.
pub(crate) fn step() {
    // A step may panic, or take further steps.
    let on_step = ON_STEP.with_borrow(Clone::clone);
    if let Some(on_step) = on_step {
        on_step();
    }
}

/// One of `core`'s atomics. Each access to it is a step.
#[derive(Debug, Default)]
pub(crate) struct Stepping<A>(A);

impl<A> Deref for Stepping<A> {
    type Target = A;

    fn deref(&self) -> &A {
        step();
        &self.0
    }
}

macro_rules! stepping {
    ($($atomic:ident($value:ty)),*) => {
        $(
            pub(crate) type $atomic = Stepping<atomic::$atomic>;

            impl $atomic {
                pub(crate) const fn new(value: $value) -> Self {
                    Self(atomic::$atomic::new(value))
                }
            }
        )*
    };
}

stepping!(AtomicBool(bool), AtomicI64(i64), AtomicU32(u32), AtomicU64(u64));

pub(crate) type AtomicPtr<T> = Stepping<atomic::AtomicPtr<T>>;

impl<T> AtomicPtr<T> {
    pub(crate) const fn new(value: *mut T) -> Self {
        Self(atomic::AtomicPtr::new(value))
    }
}
