//! The only place that frees segments: which threads may be looking at one, and where its memory
//! goes.

mod hazards;
mod pool;

pub(super) use self::hazards::{Guard, Hazards, Head, Source, append};
