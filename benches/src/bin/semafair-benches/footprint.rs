//! How much memory everything takes.

use std::mem::size_of_val;

use semafair_benches::{ForEach, Operation, Places, Semaphore, for_each};

/// The word that selects it.
pub(crate) const NAME: &str = "sizes";

const WAITERS: u32 = 10_000;

/// Bytes.
pub(crate) struct Footprint {
    pub(crate) name: &'static str,
    pub(crate) semaphore: usize,
    pub(crate) future: usize,
    pub(crate) permit: usize,
    /// Heap, beside the future, that one waiter takes if it is alone.
    pub(crate) first: i64,
    /// ... and each of ten thousand on average.
    pub(crate) each: f64,
    /// Heap that is still held when the ten thousand have left.
    pub(crate) left: i64,
}

pub(crate) const ABOUT: &str = "Bytes. Heap is counted beside the futures, which lie where their tasks do: what the first \
    waiter takes, what each of ten thousand takes on average, and what is still held when they have \
    left in the order in which they came.";

pub(crate) fn measure() -> Vec<Footprint> {
    for_each(&Visit).into_iter().flatten().collect()
}

struct Visit;

impl ForEach for Visit {
    type Outcome = Option<Footprint>;

    fn visit<S: Semaphore>(&self) -> Self::Outcome {
        let lacks = |operation| S::LACKS.contains(&operation);
        let able = !lacks(Operation::Wait) && !lacks(Operation::Leave);
        able.then(Footprint::of::<S>)
    }
}

impl Footprint {
    fn of<S: Semaphore>() -> Self {
        let [(first, _), (all, left)] = [1, WAITERS].map(heap::<S>);
        Self {
            name: S::NAME,
            semaphore: size_of::<S>(),
            future: size_of_val(&S::with_permits(0).acquire()),
            permit: size_of::<S::Permit<'static>>(),
            first,
            each: all as f64 / f64::from(WAITERS),
            left,
        }
    }
}

/// The heap that so many waiters take, and what is held of it when they have left.
fn heap<S: Semaphore>(waiters: u32) -> (i64, i64) {
    let semaphore = S::with_permits(0);
    let mut places = Places::new(waiters);
    let held = allocation_counter::measure(|| places.fill(|| semaphore.acquire())).bytes_current;
    let freed = allocation_counter::measure(|| places.clear()).bytes_current;
    (held, held + freed)
}
