//! Softmax and weighted sums within the sequences of a batch.

use candle_core::{Result, Tensor};

use super::{
    padded::{PaddedGroup, places_of_rows},
    pointwise::softmax,
    row_sums::{RowLists, RowSums},
};
use crate::ragged::Segments;

pub(crate) fn segment_softmax(logits: &Tensor, segments: &Segments) -> Result<Tensor> {
    let device = logits.device();
    let all = PaddedGroup::whole(segments);
    let shape = (all.members.len(), all.places);
    let pad = RowLists::selection(all.rows(segments));
    let padded = RowSums::new(&pad, segments.rows(), device)?.apply(&logits.unsqueeze(1)?)?;
    let p = softmax(&(padded.reshape(shape)? + all.mask(segments, device)?)?)?;
    let count = p.elem_count();
    let places = RowLists::selection(places_of_rows(&[all], segments));
    RowSums::new(&places, count, device)?.apply(&p.reshape((count, 1))?)?.squeeze(1)
}

pub(crate) fn segment_weighted_sum(
    x: &Tensor,
    weights: &Tensor,
    segments: &Segments,
) -> Result<Tensor> {
    let weighted = x.broadcast_mul(&weights.unsqueeze(1)?)?;
    RowSums::new(&RowLists::segments(segments), segments.rows(), x.device())?.apply(&weighted)
}
