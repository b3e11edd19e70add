//! The clock that leases are measured by.

use std::time::Duration;

/// The time since the machine was started. It goes on while the machine is suspended: `Instant` stands still
/// then on Linux, and a lease does not wait.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn now() -> Duration {
    use rustix::time::{ClockId, clock_gettime};

    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// The time since the first call. Whether it goes on while the machine is suspended is up to `Instant`.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn now() -> Duration {
    use std::sync::OnceLock;
    use std::time::Instant;

    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_goes_on() {
        let before = crate::clock::now();
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(crate::clock::now() > before);
    }
}
