//! Adaptive polymerisation: tokens become fewer, larger ones (Atomas, arXiv 2404.16880, section 3.3).
//!
//! Tokens look at their neighbours, are scored and clustered, and each cluster becomes the mean of its tokens weighted by
//! score. The new tokens then attend once to the old ones, where the scores count again.

use std::sync::Arc;

use candle_core::{D, Tensor};

use super::{
    cluster::{Clusters, cluster, cluster_count},
    linear::Linear,
};
use crate::{
    error::Result,
    layers::LayerNorm,
    ops,
    params::{Init, ParamSpec, Params},
    parts::{Grouping, sum_within},
    ragged::Segments,
    text::index,
};

/// PyTorch's epsilon of layer normalisation.
const NORM_EPS: f32 = 1e-5;
/// Added to the weight of a cluster before it divides.
const WEIGHT_EPS: f64 = 1e-6;

/// Rows of a level: [rows, width], those of each sequence in a run.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    pub(crate) x: Tensor,
    pub(crate) segments: Arc<Segments>,
    /// True where a row is padding; absent where there is none.
    pub(crate) pads: Option<Arc<[bool]>>,
}

/// One step from a level to the next.
#[derive(Clone, Debug)]
pub(super) struct Polymeriser {
    /// [out, in, 3].
    kernel: Tensor,
    norm: LayerNorm,
    score: Linear,
    block: AttentionBlock,
    ratio: f64,
}

/// Tokens as a step sees them before it groups them.
pub(super) struct Scored {
    /// [rows, width].
    pub(super) x: Tensor,
    /// [rows], -inf at pads.
    pub(super) scores: Tensor,
}

/// The next level, and the clusters of each sequence that became its tokens, in their order.
pub(super) struct Polymerised {
    pub(super) rows: Rows,
    pub(super) clusters: Vec<Clusters>,
}

impl Polymeriser {
    /// Weights of step `level` (1 or 2) of a modality, `t` or `s`, under the released names.
    pub(super) fn specs(modality: &str, level: usize, width: usize) -> Vec<ParamSpec> {
        let ctm = format!("{modality}_ctm{level}");
        let deviation = 1.0 / (9.0 * width as f32).sqrt();
        let kernel = [width, width, 3];
        let mut specs = vec![ParamSpec::new(
            format!("{ctm}.conv.conv.weight"),
            &kernel,
            Init::Normal(deviation),
        )];
        specs.extend(LayerNorm::specs(&format!("{ctm}.norm"), width));
        specs.extend(Linear::specs(&format!("{ctm}.score"), width, 1));
        specs.extend(AttentionBlock::specs(&format!("{modality}_block{level}"), width));
        specs
    }

    pub(super) fn load(
        params: &Params,
        (modality, level): (&str, usize),
        ratio: f64,
        heads: usize,
    ) -> Result<Self> {
        let ctm = format!("{modality}_ctm{level}");
        Ok(Self {
            kernel: params.get(&format!("{ctm}.conv.conv.weight"))?,
            norm: LayerNorm::load(params, &format!("{ctm}.norm"), NORM_EPS)?,
            score: Linear::load(params, &format!("{ctm}.score"))?,
            block: AttentionBlock::load(params, &format!("{modality}_block{level}"), heads)?,
            ratio,
        })
    }

    /// The next level. Pads are tokens like others there, as the released code has it.
    pub(super) fn forward(&self, rows: &Rows) -> Result<Polymerised> {
        let scored = self.score(rows)?;
        let clusters = self.cluster(&scored.x, rows)?;
        let (merged, segments) = merge(&scored, &clusters, &rows.segments)?;
        let x = self.block.forward(&merged, &segments, &scored, &rows.segments)?;
        Ok(Polymerised { rows: Rows { x, segments, pads: None }, clusters })
    }

    /// Adds what a convolution of width 3 sees, normalises, and scores.
    pub(super) fn score(&self, rows: &Rows) -> Result<Scored> {
        let x = self.norm.forward(&(&rows.x + self.convolve(rows)?)?)?;
        let scores = self.score.forward(&x)?.squeeze(1)?;
        let Some(pads) = &rows.pads else { return Ok(Scored { x, scores }) };
        let mask = pads.iter().map(|&pad| if pad { f32::NEG_INFINITY } else { 0.0 });
        let mask = Tensor::from_iter(mask, x.device())?;
        Ok(Scored { scores: (scores + mask)?, x })
    }

    fn convolve(&self, rows: &Rows) -> Result<Tensor> {
        let kernel = self.kernel.permute((2, 1, 0))?.contiguous()?.flatten_to(1)?;
        Ok(windows(&rows.x, &rows.segments)?.matmul(&kernel)?)
    }

    /// Clusters of tokens; no gradient flows through the choice.
    pub(super) fn cluster(&self, x: &Tensor, rows: &Rows) -> Result<Vec<Clusters>> {
        let width = x.dim(1)?;
        let x = x.detach().flatten_all()?.to_vec1::<f32>()?;
        let ranges = rows.segments.ranges();
        let counts: Vec<usize> = ranges.map(|r| cluster_count(r.len(), self.ratio)).collect();
        Ok(cluster(&x, width, &rows.segments, rows.pads.as_deref(), &counts))
    }
}

/// Each row between the one before and the one after it, zeros beyond the ends: [rows, 3 * width].
fn windows(x: &Tensor, segments: &Segments) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    let nothing = rows as u32;
    let (mut before, mut after) = (vec![nothing; rows], vec![nothing; rows]);
    for range in segments.ranges() {
        for row in range.start + 1..range.end {
            before[row] = row as u32 - 1;
            after[row - 1] = row as u32;
        }
    }
    let padded = x.pad_with_zeros(0, 0, 1)?;
    let at = |rows: Vec<u32>| -> Result<Tensor> {
        Ok(padded.index_select(&Tensor::new(rows, x.device())?, 0)?)
    };
    let windows = Tensor::cat(&[&at(before)?, x, &at(after)?], 1)?;
    Ok(windows.reshape((rows, 3 * width))?)
}

/// The mean of each cluster's tokens under the exponentials of their scores: [clusters of all sequences, width].
pub(super) fn merge(
    tokens: &Scored,
    clusters: &[Clusters],
    segments: &Segments,
) -> Result<(Tensor, Arc<Segments>)> {
    let mut grouping = Grouping::default();
    for (clusters, range) in clusters.iter().zip(segments.ranges()) {
        grouping.push(range.start, clusters.members());
    }
    let rows = index(grouping.rows.clone())?.to_device(tokens.x.device())?;
    let groups = Arc::new(Segments::from_lengths(grouping.group_lengths.iter().copied()));
    let weights = tokens.scores.exp()?.index_select(&rows, 0)?;
    let sums = ops::segment_weighted_sum(&tokens.x.index_select(&rows, 0)?, &weights, &groups)?;
    let totals = sum_within(&weights, &groups)?.affine(1.0, WEIGHT_EPS)?;
    Ok((sums.broadcast_div(&totals.unsqueeze(1)?)?, grouping.items()))
}

/// Attention from merged tokens to those before the merge, whose scores are added to the logits; no feed-forward layer.
#[derive(Clone, Debug)]
struct AttentionBlock {
    norm: LayerNorm,
    query: Linear,
    key_value: Linear,
    projection: Linear,
    heads: usize,
}

impl AttentionBlock {
    fn specs(name: &str, width: usize) -> Vec<ParamSpec> {
        let mut specs = LayerNorm::specs(&format!("{name}.norm1"), width).to_vec();
        specs.extend(Linear::specs(&format!("{name}.attn.q"), width, width));
        specs.extend(Linear::specs(&format!("{name}.attn.kv"), width, 2 * width));
        specs.extend(Linear::specs(&format!("{name}.attn.proj"), width, width));
        specs
    }

    fn load(params: &Params, name: &str, heads: usize) -> Result<Self> {
        Ok(Self {
            norm: LayerNorm::load(params, &format!("{name}.norm1"), NORM_EPS)?,
            query: Linear::load(params, &format!("{name}.attn.q"))?,
            key_value: Linear::load(params, &format!("{name}.attn.kv"))?,
            projection: Linear::load(params, &format!("{name}.attn.proj"))?,
            heads,
        })
    }

    fn forward(
        &self,
        merged: &Tensor,
        segments: &Arc<Segments>,
        tokens: &Scored,
        token_segments: &Arc<Segments>,
    ) -> Result<Tensor> {
        let width = merged.dim(1)?;
        let query = self.query.forward(&self.norm.forward(merged)?)?;
        let key_value = self.key_value.forward(&self.norm.forward(&tokens.x)?)?;
        let (queries, keys) = (Rectangle::of(segments)?, Rectangle::of(token_segments)?);
        let key = self.split(&keys.fill(&key_value.narrow(1, 0, width)?)?)?;
        let value = self.split(&keys.fill(&key_value.narrow(1, width, width)?)?)?;
        let query = self.split(&queries.fill(&query)?)?;
        let scale = 1.0 / ((width / self.heads) as f64).sqrt();
        let logits = (query.matmul(&key.t()?)? * scale)?;
        let bias = keys.fill_scores(&tokens.scores)?;
        let weights = softmax(&logits.broadcast_add(&bias)?)?;
        let attended = weights.matmul(&value)?.transpose(1, 2)?.flatten_from(2)?;
        Ok((merged + self.projection.forward(&queries.rows(&attended)?)?)?)
    }

    /// [sequences, longest, width] to [sequences, heads, longest, width / heads].
    fn split(&self, x: &Tensor) -> Result<Tensor> {
        let (sequences, longest, width) = x.dims3()?;
        let x = x.reshape((sequences, longest, self.heads, width / self.heads))?;
        Ok(x.transpose(1, 2)?.contiguous()?)
    }
}

/// Softmax over the last axis; -inf becomes zero.
fn softmax(x: &Tensor) -> Result<Tensor> {
    // The shift cancels, so no gradient need flow through it.
    let weights = x.broadcast_sub(&x.detach().max_keepdim(D::Minus1)?)?.exp()?;
    let total = weights.sum_keepdim(D::Minus1)?;
    Ok(weights.broadcast_div(&total)?)
}

/// Where the rows of a ragged batch lie in one that is as wide as its longest sequence.
struct Rectangle {
    sequences: usize,
    longest: usize,
    /// For every place the row that lies there, or the number of rows where none does.
    row_at: Vec<u32>,
    /// For every row its place.
    place_of: Vec<u32>,
}

impl Rectangle {
    fn of(segments: &Segments) -> Result<Self> {
        let longest = segments.ranges().map(|range| range.len()).max().unwrap_or(0);
        let mut row_at = vec![segments.rows() as u32; segments.len() * longest];
        let mut place_of = Vec::with_capacity(segments.rows());
        for (i, range) in segments.ranges().enumerate() {
            for (j, row) in range.enumerate() {
                row_at[i * longest + j] = row as u32;
                place_of.push((i * longest + j) as u32);
            }
        }
        Ok(Self { sequences: segments.len(), longest, row_at, place_of })
    }

    /// Rows [rows, width] at their places, zeros elsewhere: [sequences, longest, width].
    fn fill(&self, rows: &Tensor) -> Result<Tensor> {
        let width = rows.dim(1)?;
        let places = Tensor::new(self.row_at.as_slice(), rows.device())?;
        let filled = rows.contiguous()?.pad_with_zeros(0, 0, 1)?.index_select(&places, 0)?;
        Ok(filled.reshape((self.sequences, self.longest, width))?)
    }

    /// Scores [rows] at their places, -inf elsewhere, ready to be added to logits: [sequences, 1, 1, longest].
    fn fill_scores(&self, scores: &Tensor) -> Result<Tensor> {
        let nothing = Tensor::full(f32::NEG_INFINITY, 1, scores.device())?;
        let places = Tensor::new(self.row_at.as_slice(), scores.device())?;
        let filled = Tensor::cat(&[scores, &nothing], 0)?.index_select(&places, 0)?;
        Ok(filled.reshape((self.sequences, 1, 1, self.longest))?)
    }

    /// What lies at the rows' places of `filled` ([sequences, longest, width]): [rows, width].
    fn rows(&self, filled: &Tensor) -> Result<Tensor> {
        let places = Tensor::new(self.place_of.as_slice(), filled.device())?;
        Ok(filled.flatten_to(1)?.index_select(&places, 0)?)
    }
}
