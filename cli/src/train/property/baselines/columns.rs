//! The columns that baselines read: fingerprint bits as lists of those that are set, descriptors in bins.

use moiety_encoder::property::{DESCRIPTORS, Features};

/// Most bins of a numeric column.
pub(super) const BINS: usize = 64;

/// Bits and bins of every row of a set.
pub(super) struct Columns {
    bits: Vec<Vec<u16>>,
    /// `rows * numeric` bins.
    bins: Vec<u8>,
    /// Number of numeric columns.
    pub(super) numeric: usize,
}

impl Columns {
    /// Columns from the set bits and the numeric values of each row; bins are quantiles of the `train` rows.
    pub(super) fn new(bits: Vec<Vec<u16>>, numbers: &[Vec<f32>], train: &[usize]) -> Self {
        let numeric = numbers.first().map_or(0, Vec::len);
        let cuts: Vec<Vec<f32>> = (0..numeric).map(|column| cuts(numbers, train, column)).collect();
        let bin = |column: usize, x: f32| cuts[column].partition_point(|&cut| cut <= x) as u8;
        let bins = numbers.iter().flat_map(|row| row.iter().enumerate().map(|(c, &x)| bin(c, x)));
        Self { bins: bins.collect(), bits, numeric }
    }

    pub(super) fn bits_of(features: &Features) -> Self {
        Self::new(set_bits(features), &[], &[])
    }

    pub(super) fn bits_and_descriptors_of(features: &Features, train: &[usize]) -> Self {
        let row = |row: usize| features.descriptors(row).to_vec();
        let numbers: Vec<Vec<f32>> = (0..features.rows()).map(row).collect();
        debug_assert!(numbers.iter().all(|row| row.len() == DESCRIPTORS.len()));
        Self::new(set_bits(features), &numbers, train)
    }

    /// Bits that are set in a row, ascending.
    pub(super) fn bits(&self, row: usize) -> &[u16] {
        &self.bits[row]
    }

    /// Bins of a row's numeric columns.
    pub(super) fn bins(&self, row: usize) -> &[u8] {
        &self.bins[row * self.numeric..][..self.numeric]
    }

    /// One more than the highest bit that is set anywhere.
    pub(super) fn width(&self) -> usize {
        self.bits.iter().flatten().max().map_or(0, |&bit| usize::from(bit) + 1)
    }
}

fn set_bits(features: &Features) -> Vec<Vec<u16>> {
    let row = |row: usize| {
        let bytes = features.fingerprint(row).to_bytes();
        let is_set = |bit: &u16| bytes[usize::from(bit / 8)] >> (bit % 8) & 1 == 1;
        (0..bytes.len() as u16 * 8).filter(is_set).collect()
    };
    (0..features.rows()).map(row).collect()
}

/// Where a column is cut: between its values where they are few, at quantiles where they are many. A missing number
/// lies below every cut.
fn cuts(numbers: &[Vec<f32>], train: &[usize], column: usize) -> Vec<f32> {
    let mut values: Vec<f32> =
        train.iter().map(|&row| numbers[row][column]).filter(|x| !x.is_nan()).collect();
    values.sort_by(f32::total_cmp);
    let mut distinct = values.clone();
    distinct.dedup();
    let between = |pair: &[f32]| pair[0] + (pair[1] - pair[0]) / 2.0;
    if distinct.len() <= BINS {
        return distinct.windows(2).map(between).collect();
    }
    let mut cuts: Vec<f32> = (1..BINS).map(|k| values[k * values.len() / BINS]).collect();
    cuts.dedup();
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_have_a_bin_each_and_many_share_by_quantiles() {
        let numbers: Vec<Vec<f32>> = (0..1_000).map(|i| vec![(i % 3) as f32, i as f32]).collect();
        let rows: Vec<usize> = (0..1_000).collect();
        let columns = Columns::new(vec![Vec::new(); 1_000], &numbers, &rows);
        assert_eq!((columns.bins(0)[0], columns.bins(1)[0], columns.bins(2)[0]), (0, 1, 2));
        let share = rows.iter().filter(|&&row| columns.bins(row)[1] == 10).count();
        assert!((14..=17).contains(&share), "{share}");
        assert_eq!(usize::from(columns.bins(999)[1]), BINS - 1);
    }
}
