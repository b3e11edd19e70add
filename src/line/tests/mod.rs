//! White-box tests of the line by itself; children of the line, to reach into it.

#[cfg(any(semafair_loom, semafair_shuttle))]
mod cell_races;
#[cfg(semafair_loom)]
mod debt_races;
#[cfg(semafair_loom)]
mod delivery_races;
#[cfg(not(any(semafair_loom, semafair_shuttle)))]
mod edges;
#[cfg(semafair_loom)]
mod list_races;

#[cfg(not(semafair_shuttle))]
use super::Line;
#[cfg(not(semafair_shuttle))]
use crate::wakes::Wakes;

/// Delivers, wakes fewer than a batch, and says how many units came back.
#[cfg(not(semafair_shuttle))]
fn deliver(line: &Line, units: u64) -> u64 {
    let delivered = line.deliver(units, &mut Wakes::default());
    assert_eq!(delivered.left, 0, "the batch was full");
    delivered.returned
}
