//! Batches without padding: sequences laid end to end, with the offsets where each begins.

use std::ops::Range;

/// The boundaries of the sequences of a batch: sequence `i` is the rows `offsets[i]..offsets[i + 1]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segments {
    offsets: Vec<usize>,
}

impl Segments {
    /// Segments of these lengths, in order.
    pub(crate) fn from_lengths(lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut offsets = vec![0];
        let mut end = 0;
        for length in lengths {
            end += length;
            offsets.push(end);
        }
        Self { offsets }
    }

    /// Number of sequences.
    pub(crate) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Rows of all sequences together.
    pub(crate) fn rows(&self) -> usize {
        self.offsets[self.len()]
    }

    /// The rows of sequence `i`.
    pub(crate) fn range(&self, i: usize) -> Range<usize> {
        self.offsets[i]..self.offsets[i + 1]
    }

    /// The row ranges of all sequences.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.offsets.windows(2).map(|pair| pair[0]..pair[1])
    }

    /// Cuts `data` (`rows() * width` numbers) into one mutable slice per sequence.
    pub(crate) fn split_mut<'a, T>(&self, data: &'a mut [T], width: usize) -> Vec<&'a mut [T]> {
        let mut rest = data;
        self.ranges()
            .map(|range| {
                let (head, tail) = std::mem::take(&mut rest).split_at_mut(range.len() * width);
                rest = tail;
                head
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_cover_every_row_once() {
        let segments = Segments::from_lengths([2, 0, 3]);
        let mut data = [0, 1, 2, 3, 4];
        let parts = segments.split_mut(&mut data, 1);
        assert_eq!(segments.rows(), 5);
        assert_eq!(
            parts.iter().map(|p| p.to_vec()).collect::<Vec<_>>(),
            [vec![0, 1], vec![], vec![2, 3, 4]]
        );
    }
}
