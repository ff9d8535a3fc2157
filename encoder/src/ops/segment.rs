//! Softmax and weighted sums within the sequences of a batch.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{composed, floats, has_kernels, math, with_floats};
use crate::ragged::Segments;

/// Softmax of `logits` ([rows]) within each segment.
pub(crate) fn segment_softmax(logits: &Tensor, segments: &Arc<Segments>) -> Result<Tensor> {
    if !has_kernels(logits.device()) {
        return composed::segment_softmax(logits, segments);
    }
    logits.apply_op1(SegmentSoftmax(segments.clone()))
}

/// Row `i` of the result ([segments, width]) is the sum over segment `i` of `weights[r] * x[r]`.
pub(crate) fn segment_weighted_sum(
    x: &Tensor,
    weights: &Tensor,
    segments: &Arc<Segments>,
) -> Result<Tensor> {
    if !has_kernels(x.device()) {
        return composed::segment_weighted_sum(x, weights, segments);
    }
    x.apply_op2(weights, SegmentWeightedSum(segments.clone()))
}

struct SegmentSoftmax(Arc<Segments>);

impl CustomOp1 for SegmentSoftmax {
    fn name(&self) -> &'static str {
        "segment-softmax"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut out = floats(storage, layout)?.to_vec();
        for row in self.0.split_mut(&mut out, 1) {
            math::softmax(row);
        }
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, arg: &Tensor, res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let mut out = vec![0.0; self.0.rows()];
        with_floats(res, |p| {
            with_floats(grad, |grad| {
                for range in self.0.ranges() {
                    let (p, g) = (&p[range.clone()], &grad[range.clone()]);
                    let inner = math::dot(p, g);
                    for (out, (p, g)) in out[range].iter_mut().zip(p.iter().zip(g)) {
                        *out = p * (g - inner);
                    }
                }
                Ok(())
            })
        })?;
        Ok(Some(Tensor::from_vec(out, arg.shape(), arg.device())?))
    }
}

struct SegmentWeightedSum(Arc<Segments>);

impl CustomOp2 for SegmentWeightedSum {
    fn name(&self) -> &'static str {
        "segment-weighted-sum"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weights) = (floats(s1, l1)?, floats(s2, l2)?);
        let width = l1.shape().dims2()?.1;
        let mut out = vec![0.0; self.0.len() * width];
        out.par_chunks_mut(width).enumerate().with_min_len(16).for_each(|(i, out)| {
            for r in self.0.range(i) {
                math::axpy(weights[r], &x[r * width..][..width], out);
            }
        });
        Ok((CpuStorage::F32(out), (self.0.len(), width).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weights: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (rows, width) = x.dims2()?;
        let (mut dx, mut dw) = (vec![0.0; rows * width], vec![0.0; rows]);
        with_floats(x, |x| {
            with_floats(weights, |weights| {
                with_floats(grad, |grad| {
                    for (i, range) in self.0.ranges().enumerate() {
                        let grad = &grad[i * width..][..width];
                        for r in range {
                            math::axpy(weights[r], grad, &mut dx[r * width..][..width]);
                            dw[r] = math::dot(grad, &x[r * width..][..width]);
                        }
                    }
                    Ok(())
                })
            })
        })?;
        let device = x.device();
        Ok((
            Some(Tensor::from_vec(dx, (rows, width), device)?),
            Some(Tensor::from_vec(dw, rows, device)?),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree, gradients_agree, noise};
    use super::*;

    #[test]
    fn softmax_sums_to_one_in_every_segment() {
        let segments = Arc::new(Segments::from_lengths([2, 1, 4]));
        let logits = noise(&[7], 3);
        let p = segment_softmax(&logits, &segments).and_then(|p| p.to_vec1::<f32>()).expect("op");
        for range in segments.ranges() {
            assert!((p[range].iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
        gradients_agree(&[logits], |t| segment_softmax(&t[0], &segments));
    }

    #[test]
    fn weighted_sum_passes_gradients_to_rows_and_weights() {
        let segments = Arc::new(Segments::from_lengths([3, 2]));
        gradients_agree(&[noise(&[5, 4], 1), noise(&[5], 2)], |t| {
            segment_weighted_sum(&t[0], &t[1], &segments)
        });
    }

    #[test]
    fn composed_softmax_and_sum_are_the_softmax_and_the_sum() {
        let segments = Arc::new(Segments::from_lengths([3, 0, 1, 40, 2]));
        agree(
            &[noise(&[46], 1)],
            |t| segment_softmax(&t[0], &segments),
            |t| composed::segment_softmax(&t[0], &segments),
        );
        agree(
            &[noise(&[46, 3], 1), noise(&[46], 2)],
            |t| segment_weighted_sum(&t[0], &t[1], &segments),
            |t| composed::segment_weighted_sum(&t[0], &t[1], &segments),
        );
    }
}
