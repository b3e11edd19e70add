//! How long work takes: by the wall clock, and in processor time.

use std::iter::Sum;
use std::ops::Add;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::thread;

/// What some work took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// By the wall clock.
    pub wall: Duration,
    /// The time that the thread had a processor. There is none if several threads worked, or if the
    /// system does not tell.
    pub cpu: Option<Duration>,
}

impl Time {
    const ZERO: Self = Self { wall: Duration::ZERO, cpu: Some(Duration::ZERO) };

    /// The time of several threads, which have no processor time in common.
    pub(crate) fn of_threads(wall: Duration) -> Self {
        Self { wall, cpu: None }
    }
}

impl Add for Time {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let cpu = self.cpu.zip(other.cpu).map(|(a, b)| a + b);
        Self { wall: self.wall + other.wall, cpu }
    }
}

impl Sum for Time {
    fn sum<I: Iterator<Item = Self>>(times: I) -> Self {
        times.fold(Self::ZERO, Add::add)
    }
}

/// Both clocks of the calling thread.
pub(crate) struct Stopwatch {
    cpu: Option<Duration>,
    wall: Instant,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        // What is measured once must not be measured between a start and a stop.
        reading();
        Self::now()
    }

    fn now() -> Self {
        // The wall clock is read inside: it is cheap, and the other one is a system call.
        let cpu = thread::cpu_time();
        Self { cpu, wall: Instant::now() }
    }

    /// The time since the start; on the thread that started it.
    fn read(&self) -> Time {
        let wall = self.wall.elapsed();
        let cpu = thread::cpu_time().zip(self.cpu).map(|(end, start)| end.saturating_sub(start));
        Time { wall, cpu }
    }

    /// The time since the start, without what it takes to read the clocks.
    pub(crate) fn stop(self) -> Time {
        let Time { wall, cpu } = self.read();
        Time { wall, cpu: cpu.map(|cpu| cpu.saturating_sub(reading())) }
    }
}

/// The processor time between a start and a stop with nothing between them: the mean over a few in a
/// row, of those that were held up least.
///
/// It takes the same instructions each time, as those who count instructions need it to: nothing is
/// sorted.
fn reading() -> Duration {
    const IN_A_ROW: u32 = 20;
    static READING: OnceLock<Duration> = OnceLock::new();
    *READING.get_or_init(|| {
        let read = |_| Stopwatch::now().read().cpu.unwrap_or_default();
        let in_a_row = |_| (0..IN_A_ROW).map(read).sum::<Duration>() / IN_A_ROW;
        (0..10).map(in_a_row).min().unwrap_or_default()
    })
}

/// Times work on the calling thread.
pub(crate) fn timed(work: impl FnOnce()) -> Time {
    let stopwatch = Stopwatch::start();
    work();
    stopwatch.stop()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_times_has_no_processor_time_if_one_has_none() {
        let ms = Duration::from_millis;
        let one = Time { wall: ms(3), cpu: Some(ms(2)) };
        let both = [one, one].into_iter().sum();
        assert_eq!(Time { wall: ms(6), cpu: Some(ms(4)) }, both);
        assert_eq!([one, Time::of_threads(ms(5))].into_iter().sum::<Time>().cpu, None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn who_works_spends_processor_time_and_who_sleeps_does_not() {
        let work = Duration::from_millis(20);
        let works = timed(|| {
            let end = thread::cpu_time().map(|start| start + work);
            while thread::cpu_time() < end {}
        });
        assert!(works.cpu >= Some(work * 9 / 10), "{works:?}");
        // What was spent before does not count.
        let sleeps = timed(|| std::thread::sleep(work));
        assert!(sleeps.wall >= work, "{sleeps:?}");
        assert!(sleeps.cpu.is_some_and(|cpu| cpu < work / 2), "{sleeps:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn reading_the_clocks_takes_no_time() {
        let nothing = || (0..1000).map(|_| timed(|| {})).sum::<Time>().cpu.expect("it tells");
        // Few are read more slowly, so that this is far below what the readings took.
        let least = (0..10).map(|_| nothing()).min().expect("there are ten");
        assert!(least < reading() * 1000 / 2, "{least:?}, {:?} each", reading());
    }
}
