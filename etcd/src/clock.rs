//! The clock that leases are measured by.

use std::time::Duration;

/// The time since the machine was started. It goes on while the machine is suspended: `Instant` stands still
/// then on Linux, and a lease does not wait.
pub(crate) fn now() -> Duration {
    let now = system();
    #[cfg(test)]
    let now = now + SUSPENDED.get();
    now
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn system() -> Duration {
    use rustix::time::{ClockId, clock_gettime};

    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// The time since the first call. Whether it goes on while the machine is suspended is up to `Instant`.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn system() -> Duration {
    use std::sync::OnceLock;
    use std::time::Instant;

    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

#[cfg(test)]
thread_local! {
    /// For how long the machine was suspended, as far as this thread knows.
    static SUSPENDED: std::cell::Cell<Duration> = const { std::cell::Cell::new(Duration::ZERO) };
}

/// What a suspend does to all that runs on this thread: this clock has gone on, and no timer of tokio has.
#[cfg(test)]
pub(crate) fn suspend(time: Duration) {
    SUSPENDED.set(SUSPENDED.get() + time);
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::process::Command;

    use crate::clock::*;

    #[test]
    fn it_goes_on() {
        let before = now();
        std::thread::sleep(Duration::from_millis(2));
        assert!(now() > before);
    }

    /// For the test below, which runs it in another world.
    #[test]
    fn it_says_the_time() {
        println!("it is {}.", now().as_secs());
    }

    /// In a namespace of the kernel in which the machine was suspended for a day: so much is added to the clock that
    /// counts suspends, and nothing to the one that stands still.
    #[cfg(target_os = "linux")]
    #[test]
    fn it_goes_on_in_suspend() {
        let day = 24 * 60 * 60;
        let tests = env::current_exe().unwrap();
        let output = Command::new("unshare")
            .args(["--map-root-user", "--time", "--boottime", &day.to_string(), "--fork"])
            .arg(tests)
            .args(["--exact", "clock::tests::it_says_the_time", "--nocapture"])
            .output()
            .expect("unshare, of util-linux, can be started");
        let said = String::from_utf8_lossy(&output.stdout);
        let error = String::from_utf8_lossy(&output.stderr);
        // As in most containers.
        if error.contains("Operation not permitted") {
            println!("not tested: this user may not make namespaces of time and of users");
            return;
        }
        let (_, time) = said.split_once("it is ").unwrap_or_else(|| panic!("{error}"));
        let (time, _) = time.split_once('.').unwrap();
        let (there, here) = (time.parse::<u64>().unwrap(), system().as_secs());
        assert!((here + day - 600..=here + day).contains(&there), "{there} there, {here} here");
    }
}
