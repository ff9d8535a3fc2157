//! Weighted late interaction by selection: where the best parts are is found without a gradient, their cosines are then
//! gathered with one. No second tensor of the size of all cosines is kept for the backward pass.

use candle_core::{D, Result, Tensor};

use super::{padded::PaddedGroup, segment::segment_weighted_sum};
use crate::ragged::Segments;

pub(crate) fn weighted_max_sim(
    cosines: &Tensor,
    left_weights: &Tensor,
    right_weights: &Tensor,
    left: &Segments,
    right: &Segments,
) -> Result<Tensor> {
    let forth = one_way(cosines, left_weights, left, right)?;
    let back = one_way(&cosines.t()?.contiguous()?, right_weights, right, left)?;
    (forth + back.t()?)? * 0.5
}

/// `sum_t weights[t] max_s cosines[t, s]` over the parts t of each left and s of each right sequence: [left, right].
fn one_way(
    cosines: &Tensor,
    weights: &Tensor,
    left: &Segments,
    right: &Segments,
) -> Result<Tensor> {
    let best = cosines.gather(&best_columns(&cosines.detach(), right)?, 1)?;
    segment_weighted_sum(&best, weights, left)
}

/// The column of the largest number of each row within each segment of the columns: [rows, segments].
fn best_columns(cosines: &Tensor, segments: &Segments) -> Result<Tensor> {
    let (rows, device) = (cosines.dim(0)?, cosines.device());
    let groups = PaddedGroup::of(segments);
    let mut best = Vec::new();
    let mut order = vec![0u32; segments.len()];
    for (place, &member) in groups.iter().flat_map(|group| &group.members).enumerate() {
        order[member] = place as u32;
    }
    for group in &groups {
        let (members, places) = (group.members.len(), group.places);
        let columns = Tensor::from_vec(columns(group, segments), members * places, device)?;
        let candidates = cosines.index_select(&columns, 1)?.reshape((rows, members, places))?;
        let firsts: Vec<u32> = (0..members).map(|member| (member * places) as u32).collect();
        let firsts = Tensor::from_vec(firsts, (1, members), device)?;
        let at = candidates.argmax(D::Minus1)?.broadcast_add(&firsts)?.flatten_all()?;
        best.push(columns.index_select(&at, 0)?.reshape((rows, members))?);
    }
    let order = Tensor::from_vec(order, segments.len(), device)?;
    Tensor::cat(&best, 1)?.contiguous()?.index_select(&order, 1)
}

/// The column at every place of a group; padding repeats the sequence's last one, which changes no maximum.
fn columns(group: &PaddedGroup, segments: &Segments) -> Vec<u32> {
    let mut last = 0;
    let repeat = |row: Option<u32>| {
        last = row.unwrap_or(last);
        last
    };
    group.rows(segments).map(repeat).collect()
}
