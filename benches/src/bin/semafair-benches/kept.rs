//! How much heap a semaphore keeps when nobody holds a permit or waits any more.

use std::time::{Duration, Instant};

use semafair_benches::{ForEach, Operation, Places, Semaphore, for_each};

/// The word that selects it.
pub(crate) const NAME: &str = "kept";

/// How many semaphores there are, if the time allows.
const SEMAPHORES: usize = 100_000;

/// What all semaphores go through once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Burst {
    waiters: u32,
    end: End,
}

/// How waiters leave.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The permit goes down the line, and is dropped by the last.
    Served,
    /// They are dropped, first in first out, and then the permit.
    Cancelled,
}

pub(crate) const BURSTS: [Burst; 6] = [
    Burst { waiters: 1, end: End::Served },
    Burst { waiters: 10, end: End::Served },
    Burst { waiters: 1000, end: End::Served },
    Burst { waiters: 1, end: End::Cancelled },
    Burst { waiters: 10, end: End::Cancelled },
    Burst { waiters: 1000, end: End::Cancelled },
];

impl Burst {
    /// The head of its column.
    pub(crate) fn name(self) -> String {
        let end = match self.end {
            End::Served => "served",
            End::Cancelled => "cancelled",
        };
        format!("{} {end}", self.waiters)
    }
}

pub(crate) const ABOUT: &str = "Bytes of heap for each of 100 000 semaphores, as for one per key: each was \
    contended once, and is idle. One permit was held while so many waiters queued up; then either the \
    permit went to one after the other, or all of them were cancelled in the order in which they came. \
    Everything but the semaphores was dropped. The column *itself* is the size of the type, which comes \
    on top. Where 100 000 would take too long, there are fewer.";

/// Bytes for each semaphore.
pub(crate) struct Kept {
    pub(crate) name: &'static str,
    /// The type's size.
    pub(crate) itself: usize,
    /// Heap that is kept after each of the bursts.
    pub(crate) heap: [f64; BURSTS.len()],
}

/// Spends about so much time, at most, on each burst of each semaphore.
pub(crate) fn measure(budget: Duration) -> Vec<Kept> {
    for_each(&Visit(budget)).into_iter().flatten().collect()
}

struct Visit(Duration);

impl ForEach for Visit {
    type Outcome = Option<Kept>;

    fn visit<S: Semaphore>(&self) -> Self::Outcome {
        let lacks = |operation| S::LACKS.contains(&operation);
        let able = !lacks(Operation::Wait) && !lacks(Operation::Leave);
        able.then(|| Kept {
            name: S::NAME,
            itself: size_of::<S>(),
            heap: BURSTS.map(|burst| heap::<S>(burst, self.0)),
        })
    }
}

/// The heap that each of many semaphores keeps after a burst.
fn heap<S: Semaphore>(burst: Burst, budget: Duration) -> f64 {
    let mut semaphores = Vec::with_capacity(SEMAPHORES);
    let made = allocation_counter::measure(|| {
        semaphores.extend((0..SEMAPHORES).map(|_| S::with_permits(1)));
    });
    let mut places = Places::new(burst.waiters);
    let mut contended = 0;
    let start = Instant::now();
    let kept = allocation_counter::measure(|| {
        for semaphore in &semaphores {
            let mut held = semaphore.try_acquire().expect("the permit is free");
            places.fill(|| semaphore.acquire());
            match burst.end {
                End::Served => {
                    for index in 0..places.count() {
                        drop(held);
                        held = semaphore.permit(places.take(index), 1);
                    }
                }
                End::Cancelled => places.clear(),
            }
            drop(held);
            contended += 1;
            if start.elapsed() > budget {
                break;
            }
        }
    });
    made.bytes_current as f64 / SEMAPHORES as f64 + kept.bytes_current as f64 / f64::from(contended)
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use semafair_benches::{AsyncLock, Tokio};

    use super::*;

    /// Keeps a box of 64 bytes from its start, and another for each waiter that came.
    struct Hoarder(
        tokio::sync::Semaphore,
        #[expect(dead_code, reason = "it is kept")] Box<[u8; 64]>,
    );

    impl Semaphore for Hoarder {
        const NAME: &'static str = "hoarder";
        type Granted<'a> = Self::Permit<'a>;
        type Permit<'a> = tokio::sync::SemaphorePermit<'a>;

        fn with_permits(permits: usize) -> Self {
            Self(tokio::sync::Semaphore::new(permits), Box::new([0; 64]))
        }

        fn acquire(&self) -> impl Future<Output = Self::Granted<'_>> + Send {
            std::mem::forget(Box::new([0_u8; 64]));
            async { self.0.acquire().await.expect("nobody closes it") }
        }

        fn permit<'a>(&'a self, granted: Self::Granted<'a>, _n: u32) -> Self::Permit<'a> {
            granted
        }

        fn try_acquire(&self) -> Option<Self::Permit<'_>> {
            self.0.try_acquire().ok()
        }
    }

    #[test]
    fn what_is_kept_is_counted_for_each_semaphore_and_each_waiter() {
        for (burst, blocks) in BURSTS.iter().zip([2.0, 11.0, 1001.0, 2.0, 11.0, 1001.0]) {
            let heap = heap::<Hoarder>(*burst, Duration::ZERO);
            assert_eq!(heap, blocks * 64.0, "{}", burst.name());
        }
    }

    #[test]
    fn what_is_given_back_is_not_counted() {
        for burst in BURSTS {
            assert_eq!(heap::<Tokio>(burst, Duration::ZERO), 0.0, "{}", burst.name());
        }
        // It makes its list with the first waiter, and keeps it.
        assert!(heap::<AsyncLock>(BURSTS[0], Duration::ZERO) > 0.0);
    }
}
