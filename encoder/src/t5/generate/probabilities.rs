//! From logits to log-probabilities, and the largest of many numbers.

use std::ops::Range;

use crate::error::{EncoderError, Result};

/// Turns a row of logits into log-probabilities among the `allowed` ids and the end id; others become minus infinity.
pub(super) fn log_probabilities(
    row: &mut [f32],
    allowed: Option<&Range<u32>>,
    eos: u32,
) -> Result<()> {
    if let Some(allowed) = allowed {
        for (id, logit) in row.iter_mut().enumerate() {
            if !allowed.contains(&(id as u32)) && id as u32 != eos {
                *logit = f32::NEG_INFINITY;
            }
        }
    }
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f64 = row.iter().map(|x| f64::from(x - max).exp()).sum();
    let shift = max + total.ln() as f32;
    if !shift.is_finite() {
        return Err(EncoderError::Config(
            "the model computed logits that are not finite; its weights are damaged".into(),
        ));
    }
    row.iter_mut().for_each(|x| *x -= shift);
    Ok(())
}

/// The `n` largest of `values` with their places, largest first; among equals the earlier place first.
pub(super) fn largest(values: impl Iterator<Item = f32>, n: usize) -> Vec<(usize, f32)> {
    let mut best: Vec<(usize, f32)> = Vec::with_capacity(n + 1);
    for (place, value) in values.enumerate() {
        if best.len() == n && best.last().is_none_or(|&(_, least)| value <= least) {
            continue;
        }
        let at = best.partition_point(|&(_, other)| other >= value);
        best.insert(at, (place, value));
        best.truncate(n);
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_among_the_allowed() {
        let mut row = vec![1.0, 2.0, 3.0, 4.0];
        log_probabilities(&mut row, Some(&(2..4)), 0).expect("finite");
        assert_eq!(row[1], f32::NEG_INFINITY);
        let total: f32 = row.iter().map(|x| x.exp()).sum();
        assert!((total - 1.0).abs() < 1e-6);
        assert!((row[3] - row[2] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn logits_that_are_not_finite_are_an_error() {
        for bad in [f32::NAN, f32::INFINITY] {
            assert!(log_probabilities(&mut [0.0, bad], None, 0).is_err());
        }
    }

    #[test]
    fn the_largest_come_first_and_ties_keep_their_order() {
        let values = [1.0, 5.0, 3.0, 5.0, 4.0];
        assert_eq!(largest(values.into_iter(), 3), vec![(1, 5.0), (3, 5.0), (4, 4.0)]);
        assert_eq!(largest(values.into_iter(), 9).len(), 5);
        assert!(largest(values.into_iter(), 0).is_empty());
    }
}
