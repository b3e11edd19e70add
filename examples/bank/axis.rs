//! Round numbers for the axes of both pictures.

use std::time::Duration;

/// The smallest of 1, 2, 5, 10, 20, 50, … that covers `range` in at most `steps` steps.
pub(crate) fn round_step(range: u64, steps: u64) -> u64 {
    (0..)
        .flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.pow(power)))
        .find(|step| step.saturating_mul(steps) >= range)
        .expect("ten to the power of 19 covers everything")
}

/// Round times from zero to `length`, in at most `steps` steps.
pub(crate) fn ticks(length: Duration, steps: u64) -> impl Iterator<Item = Duration> {
    let length = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
    let step = round_step(length, steps);
    (0..=length / step).map(move |tick| Duration::from_nanos(tick * step))
}

/// A tick's label, in the unit that suits it: `500ms`, `1.5s`.
pub(crate) fn label(tick: Duration) -> String {
    if tick.is_zero() { "0s".to_owned() } else { format!("{tick:?}") }
}
