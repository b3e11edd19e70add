//! The only place that frees segments: who may be looking at one, and where its memory goes.

mod hazards;
mod pool;

pub(super) use self::hazards::{Guard, Hazards, Head, Source};
