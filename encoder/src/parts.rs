//! From rows to parts: word pieces into words, words into phrases, atoms into fragments.

use std::sync::Arc;

use candle_core::Tensor;

use crate::{error::Result, head::Parts, layers::unit_rows, ops, ragged::Segments};

/// Rows of a level, grouped into the parts of the next one.
#[derive(Debug, Default)]
pub(crate) struct Grouping {
    /// Rows of the level below, in the order of the groups.
    pub(crate) rows: Vec<u32>,
    /// Rows in each group.
    pub(crate) group_lengths: Vec<usize>,
    /// Groups of each item of the batch.
    pub(crate) groups_per_item: Vec<usize>,
}

impl Grouping {
    /// Adds the groups of one item, whose rows begin at `first_row`.
    pub(crate) fn push<I: IntoIterator<Item = usize>>(
        &mut self,
        first_row: usize,
        groups: impl IntoIterator<Item = I>,
    ) {
        let before = self.group_lengths.len();
        for group in groups {
            let start = self.rows.len();
            self.rows.extend(group.into_iter().map(|row| (first_row + row) as u32));
            self.group_lengths.push(self.rows.len() - start);
        }
        self.groups_per_item.push(self.group_lengths.len() - before);
    }

    /// The groups of each item, as segments over groups.
    pub(crate) fn items(&self) -> Arc<Segments> {
        Arc::new(Segments::from_lengths(self.groups_per_item.iter().copied()))
    }
}

/// A level ready to be compared: unit vectors [groups, dim] and weights [groups] that sum to one in each item.
pub(crate) struct LevelTensors {
    pub(crate) vectors: Tensor,
    pub(crate) weights: Tensor,
    pub(crate) items: Arc<Segments>,
}

/// Each group's vector is the weighted sum of its rows, at unit length; its weight is their sum, as a share of its item's.
pub(crate) fn group(parts: &Parts, grouping: &Grouping) -> Result<LevelTensors> {
    let vectors = ops::select_rows(&parts.vectors, grouping.rows.clone())?;
    let weights = ops::select_rows(&parts.weights, grouping.rows.clone())?;
    let groups = Arc::new(Segments::from_lengths(grouping.group_lengths.iter().copied()));
    let items = grouping.items();
    let summed = ops::segment_weighted_sum(&vectors, &weights, &groups)?;
    let weights = sum_within(&weights, &groups)?;
    let totals = sum_within(&weights, &items)?;
    let owner: Vec<u32> =
        items.ranges().enumerate().flat_map(|(i, range)| range.map(move |_| i as u32)).collect();
    let weights = weights.div(&ops::select_rows(&totals, owner)?)?;
    Ok(LevelTensors { vectors: unit_rows(&summed)?, weights, items })
}

/// Sum of the values of each segment: [segments].
pub(crate) fn sum_within(values: &Tensor, segments: &Arc<Segments>) -> Result<Tensor> {
    let ones = values.ones_like()?;
    Ok(ops::segment_weighted_sum(&values.unsqueeze(1)?, &ones, segments)?.squeeze(1)?)
}
