//! How large the parts of a line are. Small ones in builds for white-box tests, so that these cross each
//! border all the time.

/// One value in builds for white-box tests, and another that ships.
const fn tested(in_tests: usize, shipped: usize) -> usize {
    if cfg!(test) { in_tests } else { shipped }
}

/// Cells of a segment.
pub(crate) const CELLS: usize = if !cfg!(test) {
    63
} else if option_env!("SEMAFAIR_ONE_CELL").is_some() {
    1
} else if cfg!(any(semafair_loom, semafair_shuttle)) {
    2
} else {
    3
};

/// Places of the first segment of a line.
pub(crate) const FIRST_PLACES: usize = if !cfg!(test) {
    3
} else if cfg!(semafair_shuttle) {
    1
} else {
    CELLS
};

/// How many wakers are collected before some are woken.
pub(crate) const BATCH: usize = tested(2, 32);

/// Hazard slots of the line itself.
pub(crate) const FIRST_HAZARDS: usize = tested(2, 1);

/// Hazard slots of each block that is made when those before it are taken.
pub(crate) const MORE_HAZARDS: usize = tested(2, 2);
