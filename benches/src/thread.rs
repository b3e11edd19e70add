//! What the system knows of the calling thread. Only Linux is asked.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// In which way a thread was made one that runs only when nobody else wants to.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum Starved {
    /// `SCHED_IDLE`: it has 3/1024 of the weight of a normal thread.
    Idle,
    /// Nice 19: it has 15/1024 of that weight.
    Nice19,
}

impl std::fmt::Display for Starved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Idle => "`SCHED_IDLE`",
            Self::Nice19 => "nice 19",
        })
    }
}

/// The processor time that the calling thread has spent.
pub(crate) fn cpu_time() -> Option<Duration> {
    system::cpu_time()
}

/// How often the calling thread has gone to sleep, as on a lock that another one holds. Having its
/// processor taken away is not counted.
#[must_use]
pub fn voluntary_switches() -> Option<u64> {
    system::voluntary_switches()
}

/// Makes the calling thread one that starves while there are normal ones. There is no way back.
/// Nothing is returned where the system does not allow it.
#[must_use]
pub fn starve() -> Option<Starved> {
    system::starve()
}

/// Keeps the calling thread on one of the processors that it may use, the first, second and so on. It
/// says whether the system allows that.
#[must_use]
pub fn stay_on(processor: usize) -> bool {
    system::stay_on(processor).is_some()
}

#[cfg(target_os = "linux")]
mod system {
    use std::time::Duration;

    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::time::{ClockId, clock_gettime};
    use nix::unistd::Pid;
    use thread_priority::{
        NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
        set_thread_priority_and_policy, thread_native_id,
    };

    use super::Starved;

    pub(super) fn cpu_time() -> Option<Duration> {
        clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).ok().map(Duration::from)
    }

    pub(super) fn voluntary_switches() -> Option<u64> {
        let usage = getrusage(UsageWho::RUSAGE_THREAD).ok()?;
        usage.voluntary_context_switches().try_into().ok()
    }

    pub(super) fn stay_on(processor: usize) -> Option<()> {
        // Not a process, but the calling thread.
        let this = Pid::from_raw(0);
        let allowed = sched_getaffinity(this).ok()?;
        let mut allowed = (0..CpuSet::count()).filter(|&it| allowed.is_set(it) == Ok(true));
        let mut one = CpuSet::new();
        one.set(allowed.nth(processor)?).ok()?;
        sched_setaffinity(this, &one).ok()
    }

    pub(super) fn starve() -> Option<Starved> {
        let set = |policy| {
            let policy = ThreadSchedulePolicy::Normal(policy);
            set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy).is_ok()
        };
        if set(NormalThreadSchedulePolicy::Idle) {
            Some(Starved::Idle)
        } else if set(NormalThreadSchedulePolicy::Other) {
            Some(Starved::Nice19)
        } else {
            None
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::time::Duration;

    use super::Starved;

    pub(super) fn cpu_time() -> Option<Duration> {
        None
    }

    pub(super) fn voluntary_switches() -> Option<u64> {
        None
    }

    pub(super) fn stay_on(_processor: usize) -> Option<()> {
        None
    }

    pub(super) fn starve() -> Option<Starved> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn each_sleep_is_a_switch_and_only_ones_own_count() {
        let before = voluntary_switches().expect("the system tells");
        thread::scope(|scope| {
            // Another thread's.
            scope.spawn(|| (0..1000).for_each(|_| thread::sleep(Duration::from_micros(1))));
            (0..20).for_each(|_| thread::sleep(Duration::from_micros(1)));
        });
        let slept = voluntary_switches().expect("the system tells") - before;
        // It may also wait for the other one to end.
        assert!((20..500).contains(&slept), "{slept}");
    }

    #[test]
    fn a_starved_thread_is_what_it_says() {
        let starved = thread::spawn(|| {
            let starved = starve();
            (starved, nice_and_policy())
        });
        let normal = nice_and_policy();
        match starved.join().expect("it does not panic") {
            (Some(Starved::Idle), (_, policy)) => assert_eq!(policy, SCHED_IDLE),
            (Some(Starved::Nice19), (nice, policy)) => assert_eq!((nice, policy), (19, 0)),
            (None, unchanged) => assert_eq!(unchanged, normal),
        }
        // It was that one alone.
        assert_eq!(nice_and_policy(), normal);
    }

    #[test]
    fn a_thread_stays_where_it_is_put_and_no_other_is_kept_there() {
        let processors = || thread::available_parallelism().map_or(1, usize::from);
        let all = processors();
        let staying = thread::spawn(move || (stay_on(0), processors(), stay_on(1)));
        // Its second processor is one too many when it may use but one.
        assert_eq!(staying.join().expect("it does not panic"), (true, 1, false));
        assert_eq!(processors(), all);
    }

    const SCHED_IDLE: i32 = 5;

    /// Fields 19 and 41 of what proc(5) calls `stat`, as the kernel has them for the calling thread.
    fn nice_and_policy() -> (i32, i32) {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("it is there");
        // The second field is a name in parentheses, which may hold spaces.
        let (_, third_on) = stat.rsplit_once(')').expect("it has a name");
        let fields: Vec<_> = third_on.split_whitespace().collect();
        let field = |number: usize| fields[number - 3].parse().expect("it is a number");
        (field(19), field(41))
    }
}
