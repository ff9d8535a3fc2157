//! Input columns at mean 0 and deviation 1, so that one learning rate serves them all.

use super::features::{Block, Features};

/// Standardised numbers are clipped here: a molecule beyond anything seen must not shoot off along one column.
pub(super) const CLIP: f32 = 5.0;
/// Columns that vary less than this are left out.
const LEAST_DEVIATION: f64 = 1e-6;

/// What is taken off each column, and what it is multiplied by.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Standard {
    pub(super) mean: Vec<f32>,
    pub(super) scale: Vec<f32>,
}

impl Standard {
    /// Measured on the given rows; fingerprint bits stay as they are, and missing numbers are not counted.
    pub(super) fn of_features(features: &Features, rows: &[usize], blocks: &[Block]) -> Self {
        let mut standard = Self::of_rows(rows, |row, out| features.extend(row, blocks, out));
        if blocks.contains(&Block::Fingerprint) {
            let bits = standard.mean.len() - moiety_chem::FINGERPRINT_BITS;
            standard.mean[bits..].fill(0.0);
            standard.scale[bits..].fill(1.0);
        }
        standard
    }

    /// Measured on rows that `read` appends.
    pub(super) fn of_rows(rows: &[usize], read: impl Fn(usize, &mut Vec<f32>)) -> Self {
        let (mut count, mut sum, mut squares) = (Vec::new(), Vec::new(), Vec::new());
        let mut row_numbers = Vec::new();
        // The first row is taken off before squaring, so that large means do not drown small deviations.
        let mut origin: Vec<f64> = Vec::new();
        for &row in rows {
            row_numbers.clear();
            read(row, &mut row_numbers);
            let width = row_numbers.len();
            if origin.is_empty() {
                origin =
                    row_numbers.iter().map(|&x| if x.is_nan() { 0.0 } else { x.into() }).collect();
                (count, sum, squares) = (vec![0.0; width], vec![0.0; width], vec![0.0; width]);
            }
            for (column, &x) in row_numbers.iter().enumerate().filter(|(_, x)| !x.is_nan()) {
                let x = f64::from(x) - origin[column];
                count[column] += 1.0;
                sum[column] += x;
                squares[column] += x * x;
            }
        }
        let columns = 0..origin.len();
        let mean = |column: usize| sum[column] / f64::max(count[column], 1.0);
        let deviation = |column: usize| {
            (squares[column] / f64::max(count[column], 1.0) - mean(column).powi(2)).max(0.0).sqrt()
        };
        let scale = |column| match deviation(column) {
            d if d > LEAST_DEVIATION => (1.0 / d) as f32,
            _ => 0.0,
        };
        Self {
            mean: columns.clone().map(|column| (origin[column] + mean(column)) as f32).collect(),
            scale: columns.map(scale).collect(),
        }
    }

    /// The number that is `z` when standardised; the mean where the column never varied.
    pub(super) fn undo(&self, column: usize, z: f32) -> f32 {
        match self.scale[column] {
            0.0 => self.mean[column],
            scale => self.mean[column] + z / scale,
        }
    }

    /// Standardises one row in place; a missing number becomes the mean.
    pub(super) fn apply(&self, row: &mut [f32]) {
        for ((x, mean), scale) in row.iter_mut().zip(&self.mean).zip(&self.scale) {
            *x = if x.is_nan() { 0.0 } else { ((*x - mean) * scale).clamp(-CLIP, CLIP) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_get_mean_zero_and_deviation_one_and_holes_the_mean() {
        let table = [[1000.0, 7.0, f32::NAN], [1002.0, 7.0, 4.0], [1004.0, 7.0, 6.0]];
        let standard = Standard::of_rows(&[0, 1, 2], |row, out| out.extend(table[row]));
        assert_eq!(standard.mean, [1002.0, 7.0, 5.0]);
        let mut row = [1004.0, 7.5, f32::NAN];
        standard.apply(&mut row);
        assert!((row[0] - 1.224_745).abs() < 1e-4, "{row:?}");
        assert_eq!(row[1..], [0.0, 0.0], "a constant column says nothing");
        let mut far = [1e9, 7.0, 5.0];
        standard.apply(&mut far);
        assert_eq!(far, [CLIP, 0.0, 0.0]);
    }
}
