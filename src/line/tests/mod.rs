//! White-box tests of the line by itself; children of the line, to reach into it.

#[cfg(any(semafair_loom, semafair_shuttle))]
mod cell_races;
#[cfg(semafair_loom)]
mod delivery_races;
#[cfg(not(any(semafair_loom, semafair_shuttle)))]
mod edges;
#[cfg(semafair_loom)]
mod list_races;
