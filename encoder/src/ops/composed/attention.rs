//! Multi-head self-attention over padded groups of like lengths.

use candle_core::{Device, Result, Tensor};

use super::{
    padded::{PaddedGroup, places_of_rows},
    pointwise::softmax,
    row_sums::{RowLists, RowSums},
};
use crate::{ops::BiasBuckets, ragged::Segments};

/// Where the rows of one batch stand in its padded groups; made once, used by every layer.
#[derive(Clone, Debug)]
pub(crate) struct PaddedAttention {
    groups: Vec<Group>,
    /// From the places of all groups back to the batch's rows.
    unpad: RowSums,
}

#[derive(Clone, Debug)]
struct Group {
    members: usize,
    places: usize,
    /// From the batch's rows to the group's places.
    pad: RowSums,
    /// Added to the scores: [members, 1, 1, places].
    mask: Tensor,
    /// From the rows of the bias table to the group's pairs of places.
    bias: Option<RowSums>,
}

impl PaddedAttention {
    /// Lays out a batch on a device. `buckets` come with the number of rows of the table that they point into.
    pub(crate) fn new(
        segments: &Segments,
        buckets: Option<(&BiasBuckets, usize)>,
        device: &Device,
    ) -> Result<Self> {
        let padded = PaddedGroup::of(segments);
        let places = RowLists::selection(places_of_rows(&padded, segments));
        let count = padded.iter().map(|group| group.members.len() * group.places).sum();
        let groups = padded.iter().map(|group| {
            let (members, places) = (group.members.len(), group.places);
            let pad = RowLists::selection(group.rows(segments));
            let bias = buckets.map(|(buckets, rows)| {
                RowSums::new(&pairs(group, segments, buckets), rows, device)
            });
            Ok(Group {
                members,
                places,
                pad: RowSums::new(&pad, segments.rows(), device)?,
                mask: group.mask(segments, device)?.reshape((members, 1, 1, places))?,
                bias: bias.transpose()?,
            })
        });
        Ok(Self {
            groups: groups.collect::<Result<_>>()?,
            unpad: RowSums::new(&places, count, device)?,
        })
    }

    /// As [`crate::ops::AttentionPlan::attend`].
    pub(crate) fn attend(
        &self,
        qkv: &Tensor,
        bias: Option<&Tensor>,
        heads: usize,
    ) -> Result<Tensor> {
        let attended: Result<Vec<Tensor>> =
            self.groups.iter().map(|group| group.attend(qkv, bias, heads)).collect();
        self.unpad.apply(&Tensor::cat(&attended?, 0)?)
    }
}

impl Group {
    /// Attended places of this group: [members * places, heads * d_h].
    fn attend(&self, qkv: &Tensor, bias: Option<&Tensor>, heads: usize) -> Result<Tensor> {
        let (members, places) = (self.members, self.places);
        let d_h = qkv.dim(1)? / (3 * heads);
        let padded = self.pad.apply(qkv)?.reshape((members, places, 3, heads, d_h))?;
        let part = |i: usize| padded.narrow(2, i, 1)?.squeeze(2)?.transpose(1, 2)?.contiguous();
        let (q, k, v) = (part(0)?, part(1)?, part(2)?);
        let q = (q * (1.0 / (d_h as f64).sqrt()))?;
        let mut scores = q.matmul(&k.t()?)?.broadcast_add(&self.mask)?;
        if let (Some(pairs), Some(bias)) = (&self.bias, bias) {
            let bias = pairs.apply(bias)?.reshape((members, places, places, heads))?;
            scores = (scores + bias.permute((0, 3, 1, 2))?)?;
        }
        let attended = softmax(&scores)?.matmul(&v)?;
        attended.transpose(1, 2)?.reshape((members * places, heads * d_h))
    }
}

/// The bias bucket of every pair of places: none where one of them is padding.
fn pairs(group: &PaddedGroup, segments: &Segments, buckets: &BiasBuckets) -> RowLists {
    let places = group.places;
    RowLists::selection(group.members.iter().flat_map(|&member| {
        let n = segments.range(member).len();
        let ids = buckets.of(member, n);
        (0..places * places).map(move |pair| {
            let (i, j) = (pair / places, pair % places);
            (i < n && j < n).then(|| u32::from(ids[i * n + j]))
        })
    }))
}
