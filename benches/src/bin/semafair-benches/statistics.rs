//! What is made of samples.

/// The sample below which this part of all samples lies.
pub(crate) fn quantile(samples: &[f64], part: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    let index = (sorted.len().checked_sub(1)? as f64 * part).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of a length is an index"
    )]
    Some(*sorted.select_nth_unstable_by(index as usize, f64::total_cmp).1)
}

pub(crate) fn median(samples: &[f64]) -> Option<f64> {
    quantile(samples, 0.5)
}

/// The middle of some samples, and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) greatest: f64,
}

impl Spread {
    /// Nothing if there are no samples.
    pub(crate) fn of(samples: &[f64]) -> Option<Self> {
        Some(Self {
            least: quantile(samples, 0.0)?,
            median: median(samples)?,
            greatest: quantile(samples, 1.0)?,
        })
    }
}

/// The mean of ratios: twice as much and half as much make one.
pub(crate) fn geometric_mean(ratios: &[f64]) -> Option<f64> {
    let logarithms: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
    (!ratios.is_empty()).then(|| (logarithms / ratios.len() as f64).exp())
}

/// The ratios of samples that were taken next to each other; a round in which one of the two is
/// missing gives none.
pub(crate) fn ratios(of: &[Option<f64>], to: &[Option<f64>]) -> Vec<f64> {
    of.iter().zip(to).filter_map(|(of, to)| Some((*of)? / (*to)?)).collect()
}

/// Jain's index of shares: 1 if all are equal, 1/n if one of n has everything.
pub(crate) fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    sum * sum / (shares.len() as f64 * squares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_samples() {
        let samples = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(quantile(&samples, 0.0), Some(1.0));
        assert_eq!(quantile(&samples, 0.25), Some(2.0));
        assert_eq!(median(&samples), Some(3.0));
        assert_eq!(quantile(&samples, 0.99), Some(5.0));
        assert_eq!(quantile(&samples, 1.0), Some(5.0));
        assert_eq!(median(&[7.0]), Some(7.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_spread_goes_from_the_least_to_the_greatest() {
        let spread = Spread::of(&[3.0, 9.0, 1.0]);
        assert_eq!(spread, Some(Spread { least: 1.0, median: 3.0, greatest: 9.0 }));
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn twice_and_half_cancel_out_in_a_mean_of_ratios() {
        let mean = geometric_mean(&[0.5, 2.0, 4.0, 0.25]).expect("there are ratios");
        assert!((mean - 1.0).abs() < 1e-12, "{mean}");
        assert_eq!(geometric_mean(&[]), None);
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let base = [Some(1.0), Some(2.0), None, Some(10.0)];
        let other = [Some(3.0), None, Some(5.0), Some(5.0)];
        assert_eq!(ratios(&other, &base), [3.0, 0.5]);
        // Not the ratio of the medians, which a change of speed between rounds would spoil.
        let slower_and_slower = [Some(1.0), Some(10.0), Some(100.0)];
        let half = [Some(0.5), Some(5.0), Some(50.0)];
        assert_eq!(median(&ratios(&half, &slower_and_slower)), Some(0.5));
    }

    #[test]
    fn jains_index_is_one_for_equals_and_least_for_a_monopoly() {
        assert_eq!(jain(&[3.0; 4]), 1.0);
        assert_eq!(jain(&[8.0, 0.0, 0.0, 0.0]), 0.25);
        assert_eq!(jain(&[1.0, 1.0, 0.0, 0.0]), 0.5);
    }
}
