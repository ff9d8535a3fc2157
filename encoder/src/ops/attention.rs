//! Multi-head self-attention over batches without padding, with a learned bias per pair of positions.
//!
//! `softmax(q k^T / sqrt(d_h) + bias[bucket(i, j), head]) v` inside each sequence (Vaswani et al., arXiv 1706.03762; the
//! bias by graph distance is Graphormer's, arXiv 2106.05234). The bias is looked up, and its gradient summed, inside the
//! kernel: no [batch, heads, n, n] tensor is ever made.

use std::{ops::Range, sync::Arc};

use candle_core::{CpuStorage, CustomOp2, Device, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{
    composed::PaddedAttention,
    floats, has_kernels, math,
    matmul::{Matrix, product},
    with_floats,
};
use crate::ragged::Segments;

/// For every sequence of a batch, the bias bucket of every pair of its positions.
#[derive(Debug)]
pub(crate) struct BiasBuckets {
    /// One row-major `n * n` matrix after the other.
    ids: Vec<u8>,
    starts: Vec<usize>,
}

impl BiasBuckets {
    /// Joins the matrices of the sequences.
    pub(crate) fn new<'a>(matrices: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let (mut ids, mut starts) = (Vec::new(), Vec::new());
        for matrix in matrices {
            starts.push(ids.len());
            ids.extend_from_slice(matrix);
        }
        Self { ids, starts }
    }

    /// The matrix of one sequence of `n` positions.
    pub(super) fn of(&self, sequence: usize, n: usize) -> &[u8] {
        &self.ids[self.starts[sequence]..][..n * n]
    }

    /// The bias as a sequence of `n` positions sees it.
    fn view<'a>(
        &'a self,
        (sequence, n): (usize, usize),
        table: &'a [f32],
        heads: usize,
    ) -> BiasView<'a> {
        BiasView { ids: self.of(sequence, n), table, heads }
    }
}

/// How the rows of one batch attend to each other; made once, used by every layer.
#[derive(Clone, Debug)]
pub(crate) enum AttentionPlan {
    /// On the CPU: sequence by sequence, nothing is padded.
    Ragged {
        /// The sequences.
        segments: Arc<Segments>,
        /// Which bias each pair of positions gets.
        buckets: Option<Arc<BiasBuckets>>,
    },
    /// On other devices.
    Padded(PaddedAttention),
}

impl AttentionPlan {
    /// Plans a batch on the device of its tensors. `buckets` point into a bias table of so many rows.
    pub(crate) fn new(
        segments: &Arc<Segments>,
        buckets: Option<(BiasBuckets, usize)>,
        device: &Device,
    ) -> Result<Self> {
        if has_kernels(device) {
            let buckets = buckets.map(|(buckets, _)| Arc::new(buckets));
            return Ok(Self::Ragged { segments: segments.clone(), buckets });
        }
        let buckets = buckets.as_ref().map(|(buckets, rows)| (buckets, *rows));
        Ok(Self::Padded(PaddedAttention::new(segments, buckets, device)?))
    }

    /// Attention of `qkv` ([rows, 3 * heads * d_h]: queries, keys, values) within each sequence; returns
    /// [rows, heads * d_h].
    ///
    /// `bias` is [table rows, heads] and read where the plan has buckets.
    pub(crate) fn attend(
        &self,
        qkv: &Tensor,
        bias: Option<&Tensor>,
        heads: usize,
    ) -> Result<Tensor> {
        match self {
            Self::Ragged { segments, buckets } => {
                let unread = Tensor::zeros((1, heads), qkv.dtype(), qkv.device())?;
                let buckets = bias.and(buckets.clone());
                let segments = segments.clone();
                qkv.apply_op2(bias.unwrap_or(&unread), Attention { buckets, segments, heads })
            }
            Self::Padded(padded) => padded.attend(qkv, bias, heads),
        }
    }
}

/// Attention of the chosen rows of a batch, as [`AttentionPlan::attend`] has it, on the thread that asks: `qkv` is of all
/// rows, `out` is [rows.len(), heads * d_h].
pub(crate) fn attend_rows(
    (segments, buckets): (&Segments, Option<(&BiasBuckets, &[f32])>),
    heads: usize,
    qkv: &[f32],
    rows: Range<usize>,
    out: &mut [f32],
) {
    let width = qkv.len() / segments.rows().max(1);
    let d = width / 3;
    for (i, all) in segments.ranges().enumerate() {
        let chosen = all.start.max(rows.start)..all.end.min(rows.end);
        if chosen.is_empty() {
            continue;
        }
        let bias = buckets.map(|(buckets, table)| buckets.view((i, all.len()), table, heads));
        let out = &mut out[(chosen.start - rows.start) * d..(chosen.end - rows.start) * d];
        let qkv = &qkv[all.start * width..all.end * width];
        let inside = chosen.start - all.start..chosen.end - all.start;
        Pass::new(bias, all.len(), d / heads).forward_all(qkv, inside, out);
    }
}

struct Attention {
    buckets: Option<Arc<BiasBuckets>>,
    segments: Arc<Segments>,
    heads: usize,
}

impl CustomOp2 for Attention {
    fn name(&self) -> &'static str {
        "ragged-attention"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (qkv, bias) = (floats(s1, l1)?, floats(s2, l2)?);
        let (rows, width) = l1.shape().dims2()?;
        let d = width / 3;
        let mut out = vec![0.0; rows * d];
        self.segments.split_mut(&mut out, d).into_par_iter().enumerate().for_each(|(i, out)| {
            let range = self.segments.range(i);
            let mut pass = Pass::new(self.view(i, bias), range.len(), d / self.heads);
            let qkv = &qkv[range.start * width..range.end * width];
            pass.forward_all(qkv, 0..range.len(), out);
        });
        Ok((CpuStorage::F32(out), (rows, d).into()))
    }

    fn bwd(
        &self,
        qkv: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (rows, width) = qkv.dims2()?;
        let (mut dqkv, mut dbias) = (vec![0.0; rows * width], vec![0.0; bias.elem_count()]);
        with_floats(qkv, |qkv| {
            with_floats(bias, |bias| {
                with_floats(grad, |grad| {
                    self.backward(qkv, bias, grad, &mut dqkv, &mut dbias);
                    Ok(())
                })
            })
        })?;
        let dbias = match self.buckets {
            Some(_) => Some(Tensor::from_vec(dbias, bias.shape(), bias.device())?),
            None => None,
        };
        Ok((Some(Tensor::from_vec(dqkv, (rows, width), qkv.device())?), dbias))
    }
}

impl Attention {
    fn view<'a>(&'a self, segment: usize, bias: &'a [f32]) -> Option<BiasView<'a>> {
        let buckets = self.buckets.as_ref()?;
        let n = self.segments.range(segment).len();
        Some(buckets.view((segment, n), bias, self.heads))
    }

    fn backward(
        &self,
        qkv: &[f32],
        bias: &[f32],
        grad: &[f32],
        dqkv: &mut [f32],
        dbias: &mut [f32],
    ) {
        let width = qkv.len() / self.segments.rows().max(1);
        let d = width / 3;
        let partial: Vec<Vec<f32>> = self
            .segments
            .split_mut(dqkv, width)
            .into_par_iter()
            .enumerate()
            .map(|(i, dqkv)| {
                let range = self.segments.range(i);
                let mut dbias = vec![0.0; if self.buckets.is_some() { bias.len() } else { 0 }];
                let mut pass = Pass::new(self.view(i, bias), range.len(), d / self.heads);
                let qkv = &qkv[range.start * width..range.end * width];
                let grad = &grad[range.start * d..range.end * d];
                pulp::Arch::new().dispatch(
                    #[inline(always)]
                    || pass.backward_all(qkv, grad, dqkv, &mut dbias),
                );
                dbias
            })
            .collect();
        for part in &partial {
            math::axpy(1.0, part, dbias);
        }
    }
}

/// The bias table as one sequence sees it.
#[derive(Clone, Copy)]
struct BiasView<'a> {
    ids: &'a [u8],
    table: &'a [f32],
    heads: usize,
}

/// One sequence's work, with the scratch that its heads share.
struct Pass<'a> {
    bias: Option<BiasView<'a>>,
    n: usize,
    dh: usize,
    /// Attention probabilities of one head, a row of n for each row asked for.
    p: Vec<f32>,
}

impl<'a> Pass<'a> {
    fn new(bias: Option<BiasView<'a>>, n: usize, dh: usize) -> Self {
        Self { bias, n, dh, p: Vec::new() }
    }

    fn scale(&self) -> f32 {
        1.0 / (self.dh as f32).sqrt()
    }

    /// All heads of the chosen rows, [rows.len(), heads * d_h].
    fn forward_all(&mut self, qkv: &[f32], rows: Range<usize>, out: &mut [f32]) {
        if rows.is_empty() {
            return;
        }
        let d = out.len() / rows.len();
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                for head in 0..d / self.dh {
                    let [_, _, v] = self.probabilities(qkv, head, rows.clone());
                    let p = Matrix::columns(&self.p, self.n, 0, self.n);
                    product(1.0, p, v, 0.0, (&mut out[head * self.dh..], d));
                }
            },
        );
    }

    /// Leaves one head's attention probabilities of the chosen rows in `p`; returns their queries, [rows.len(), d_h], and the
    /// keys and values, [n, d_h] each.
    #[inline(always)]
    fn probabilities<'q>(
        &mut self,
        qkv: &'q [f32],
        head: usize,
        rows: Range<usize>,
    ) -> [Matrix<'q>; 3] {
        let (n, dh) = (self.n, self.dh);
        let width = qkv.len() / n;
        let part =
            |of: &'q [f32], i: usize| Matrix::columns(of, width, i * width / 3 + head * dh, dh);
        let q = part(&qkv[rows.start * width..rows.end * width], 0);
        let (k, v) = (part(qkv, 1), part(qkv, 2));
        self.p.resize(rows.len() * n, 0.0);
        if let Some(b) = self.bias {
            for (x, &id) in self.p.iter_mut().zip(&b.ids[rows.start * n..]) {
                *x = b.table[id as usize * b.heads + head];
            }
        }
        let keep = if self.bias.is_some() { 1.0 } else { 0.0 };
        product(self.scale(), q, k.transposed(), keep, (&mut self.p, n));
        self.p.chunks_exact_mut(n).for_each(math::softmax);
        [q, k, v]
    }

    #[inline(always)]
    fn backward_all(&mut self, qkv: &[f32], grad: &[f32], dqkv: &mut [f32], dbias: &mut [f32]) {
        if self.n == 0 {
            return;
        }
        let (n, dh, scale) = (self.n, self.dh, self.scale());
        let d = grad.len() / n;
        let mut ds = vec![0.0; n * n];
        for head in 0..d / dh {
            let [q, k, v] = self.probabilities(qkv, head, 0..n);
            let grad = Matrix::columns(grad, d, head * dh, dh);
            let p = Matrix::columns(&self.p, n, 0, n);
            let mut into = |part: usize, scale: f32, a: Matrix, b: Matrix| {
                product(scale, a, b, 0.0, (&mut dqkv[part * d + head * dh..], 3 * d));
            };
            into(2, 1.0, p.transposed(), grad);
            product(1.0, grad, v.transposed(), 0.0, (&mut ds, n));
            self.score_gradients(&mut ds);
            if let Some(b) = self.bias {
                for (&id, ds) in b.ids.iter().zip(&ds) {
                    dbias[id as usize * b.heads + head] += ds;
                }
            }
            let ds = Matrix::columns(&ds, n, 0, n);
            into(0, scale, ds, k);
            into(1, scale, ds.transposed(), q);
        }
    }

    /// From gradients of the probabilities to those of the scores, row by row: ds = p (dp - p . dp).
    #[inline(always)]
    fn score_gradients(&self, dp: &mut [f32]) {
        for (dp, p) in dp.chunks_exact_mut(self.n).zip(self.p.chunks_exact(self.n)) {
            let inner = math::dot(p, dp);
            for (dp, p) in dp.iter_mut().zip(p) {
                *dp = p * (*dp - inner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree, device, gap, gradients_agree, noise};
    use super::*;

    fn buckets() -> BiasBuckets {
        BiasBuckets::new([&[0, 1, 1, 0][..], &[0], &[], &[0, 1, 2, 1, 0, 1, 2, 1, 0]])
    }

    fn segments() -> Arc<Segments> {
        Arc::new(Segments::from_lengths([2, 1, 0, 3]))
    }

    /// The textbook formula on one sequence with candle's own operations.
    fn reference(qkv: &Tensor, heads: usize) -> Result<Tensor> {
        let (n, width) = qkv.dims2()?;
        let d = width / 3;
        let part = |i: usize| {
            qkv.narrow(1, i * d, d)?.reshape((n, heads, d / heads))?.transpose(0, 1)?.contiguous()
        };
        let (q, k, v) = (part(0)?, part(1)?, part(2)?);
        let scores = (q.matmul(&k.t()?)? / ((d / heads) as f64).sqrt())?;
        candle_nn::ops::softmax(&scores, 2)?.matmul(&v)?.transpose(0, 1)?.reshape((n, d))
    }

    #[test]
    fn sequences_of_a_batch_do_not_see_each_other() {
        let segments = segments();
        let qkv = noise(&[6, 24], 1);
        let plan = AttentionPlan::new(&segments, None, &Device::Cpu).expect("plan");
        let ours = plan.attend(&qkv, None, 2).expect("op");
        for range in segments.ranges().filter(|range| !range.is_empty()) {
            let (rows, ours) = (
                qkv.narrow(0, range.start, range.len()).expect("rows"),
                ours.narrow(0, range.start, range.len()).expect("rows"),
            );
            assert!(gap(&ours, &reference(&rows, 2).expect("reference")) < 1e-6);
        }
    }

    #[test]
    fn gradients_reach_queries_keys_values_and_biases() {
        let plan =
            AttentionPlan::new(&segments(), Some((buckets(), 3)), &Device::Cpu).expect("plan");
        gradients_agree(&[noise(&[6, 12], 1), noise(&[3, 2], 2)], |t| {
            plan.attend(&t[0], Some(&t[1]), 2)
        });
    }

    #[test]
    fn padded_attention_is_ragged_attention() {
        let segments = Arc::new(Segments::from_lengths([12, 1, 0, 40, 9, 11, 3]));
        let matrices: Vec<Vec<u8>> = segments
            .ranges()
            .map(|r| (0..r.len() * r.len()).map(|i| (i % 5) as u8).collect())
            .collect();
        let buckets = || Some((BiasBuckets::new(matrices.iter().map(Vec::as_slice)), 5));
        for (buckets, table) in [(buckets(), Some(noise(&[5, 4], 2))), (None, None)] {
            let ragged = AttentionPlan::Ragged {
                segments: segments.clone(),
                buckets: buckets
                    .as_ref()
                    .map(|_| Arc::new(BiasBuckets::new(matrices.iter().map(Vec::as_slice)))),
            };
            let rows = buckets.as_ref().map(|(buckets, rows)| (buckets, *rows));
            let padded = PaddedAttention::new(&segments, rows, &device()).expect("plan");
            let inputs: Vec<Tensor> =
                [noise(&[segments.rows(), 48], 1)].into_iter().chain(table).collect();
            agree(
                &inputs,
                |t| ragged.attend(&t[0], t.get(1), 4),
                |t| padded.attend(&t[0], t.get(1), 4),
            );
        }
    }
}
