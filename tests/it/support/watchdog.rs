//! Ends the run when a test hangs. Shared by all binaries of tests.

use std::cell::RefCell;
use std::io::{self, Write};
use std::str::FromStr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How long one test may take, once. Each needs a fraction of it, also where many others run on the
/// same cores; under a tool that makes them slow, `SEMAFAIR_LIMIT` takes its place.
const LIMIT: u64 = 240;

/// How many times as many rounds as usual the tests that leave something to chance are to run.
pub(crate) fn times() -> usize {
    number("SEMAFAIR_TIMES").unwrap_or(1)
}

fn number<N: FromStr>(variable: &str) -> Option<N> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

/// Ends the whole run, naming the test, when it is not dropped in time.
///
/// A test that hangs in a loop of the crate cannot be unwound from outside, so the process ends.
struct Watchdog(Arc<(Mutex<bool>, Condvar)>);

impl Watchdog {
    fn new() -> Self {
        let over = Arc::new((Mutex::new(false), Condvar::new()));
        let name = thread::current().name().unwrap_or("a test").to_owned();
        let seen = Arc::clone(&over);
        let once = Duration::from_secs(number("SEMAFAIR_LIMIT").unwrap_or(LIMIT));
        let limit = once * u32::try_from(times()).expect("SEMAFAIR_TIMES is not that big");
        thread::spawn(move || {
            let guard = seen.0.lock().unwrap_or_else(PoisonError::into_inner);
            let (guard, wait) = seen
                .1
                .wait_timeout_while(guard, limit, |over| !*over)
                .unwrap_or_else(PoisonError::into_inner);
            drop(guard);
            if wait.timed_out() {
                // Not `eprintln`, which libtest would keep to itself.
                let _said = writeln!(io::stderr(), "{name} hangs: not over after {limit:?}");
                std::process::exit(101);
            }
        });
        Self(over)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }
}

thread_local! {
    /// Armed by the functions below, and let go when the thread of the test ends.
    static WATCHDOG: RefCell<Option<Watchdog>> = const { RefCell::new(None) };
}

/// Watches the calling test until its thread ends.
pub(crate) fn watch() {
    // `--test-threads=1` runs every test on the main thread: there is no end to wait for there.
    if thread::current().name() != Some("main") {
        WATCHDOG.with_borrow_mut(|dog| {
            dog.get_or_insert_with(Watchdog::new);
        });
    }
}
