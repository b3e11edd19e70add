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
