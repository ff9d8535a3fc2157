//! Weighted late interaction between every pair of a batch: the score of `METHOD`'s weighted alignment module.
//!
//! `score(i, j) = (sum_t u_t max_s c[t, s] + sum_s w_s max_t c[t, s]) / 2` over the parts t of i and s of j, with c their
//! cosines and u, w weights that sum to one (Atomas, arXiv 2404.16880, section 3.3; MaxSim of ColBERT, arXiv 2004.12832).

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{composed, floats, has_kernels, math, with_floats};
use crate::ragged::Segments;

/// Scores [left segments, right segments] from all cosines ([left rows, right rows]) and the weights of both sides.
pub(crate) fn weighted_max_sim(
    cosines: &Tensor,
    left_weights: &Tensor,
    right_weights: &Tensor,
    left: &Arc<Segments>,
    right: &Arc<Segments>,
) -> Result<Tensor> {
    if !has_kernels(cosines.device()) {
        return composed::weighted_max_sim(cosines, left_weights, right_weights, left, right);
    }
    cosines.apply_op3(
        left_weights,
        right_weights,
        MaxSim { left: left.clone(), right: right.clone() },
    )
}

struct MaxSim {
    left: Arc<Segments>,
    right: Arc<Segments>,
}

/// The block of cosines between one left and one right sequence.
struct Block<'a> {
    /// The left sequence's rows, all columns.
    rows: &'a [f32],
    width: usize,
    left: usize,
    columns: std::ops::Range<usize>,
}

impl Block<'_> {
    /// For every left part, the column of its best right part and that cosine.
    fn best_columns(&self) -> impl Iterator<Item = (usize, f32)> + '_ {
        (0..self.left).map(|t| {
            let row = &self.rows[t * self.width..][self.columns.clone()];
            let best = row.iter().fold(f32::NEG_INFINITY, |m, &x| if x > m { x } else { m });
            let at = row.iter().position(|&x| x == best).unwrap_or(0);
            (self.columns.start + at, best)
        })
    }

    /// For every right part, the row of its best left part and that cosine.
    fn best_rows(&self) -> Vec<(usize, f32)> {
        let mut best = vec![(0, f32::NEG_INFINITY); self.columns.len()];
        for t in 0..self.left {
            let row = &self.rows[t * self.width..][self.columns.clone()];
            for (best, &x) in best.iter_mut().zip(row) {
                if x > best.1 {
                    *best = (t, x);
                }
            }
        }
        best
    }
}

impl MaxSim {
    fn blocks<'a>(&'a self, cosines: &'a [f32], i: usize) -> impl Iterator<Item = Block<'a>> + 'a {
        let width = self.right.rows();
        let range = self.left.range(i);
        let rows = &cosines[range.start * width..range.end * width];
        self.right.ranges().map(move |columns| Block { rows, width, left: range.len(), columns })
    }

    fn scores(&self, cosines: &[f32], u: &[f32], w: &[f32], i: usize, out: &mut [f32]) {
        let u = &u[self.left.range(i)];
        for (out, block) in out.iter_mut().zip(self.blocks(cosines, i)) {
            let forth: f32 = block.best_columns().zip(u).map(|((_, best), u)| u * best).sum();
            let back: f32 = block
                .best_rows()
                .iter()
                .zip(&w[block.columns.clone()])
                .map(|((_, best), w)| w * best)
                .sum();
            *out = 0.5 * (forth + back);
        }
    }

    /// Gradients of one left sequence: into its rows of the cosines, its weights, and a partial sum for the right weights.
    fn backward(
        &self,
        cosines: &[f32],
        weights: (&[f32], &[f32]),
        i: usize,
        grad: &[f32],
        into: Gradients,
    ) {
        let u = &weights.0[self.left.range(i)];
        let width = self.right.rows();
        for (grad, block) in grad.iter().zip(self.blocks(cosines, i)) {
            let half = 0.5 * grad;
            for (t, (column, best)) in block.best_columns().enumerate() {
                into.cosines[t * width + column] += half * u[t];
                into.left[t] += half * best;
            }
            for (column, (t, best)) in block.columns.clone().zip(block.best_rows()) {
                into.cosines[t * width + column] += half * weights.1[column];
                into.right[column] += half * best;
            }
        }
    }
}

struct Gradients<'a> {
    cosines: &'a mut [f32],
    left: &'a mut [f32],
    right: &'a mut [f32],
}

impl CustomOp3 for MaxSim {
    fn name(&self) -> &'static str {
        "weighted-max-sim"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (cosines, u, w) = (floats(s1, l1)?, floats(s2, l2)?, floats(s3, l3)?);
        let columns = self.right.len();
        let mut out = vec![0.0; self.left.len() * columns];
        out.par_chunks_mut(columns)
            .enumerate()
            .for_each(|(i, out)| self.scores(cosines, u, w, i, out));
        Ok((CpuStorage::F32(out), (self.left.len(), columns).into()))
    }

    fn bwd(
        &self,
        cosines: &Tensor,
        u: &Tensor,
        w: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let width = self.right.rows();
        let (mut dc, mut du, mut dw) =
            (vec![0.0; cosines.elem_count()], vec![0.0; self.left.rows()], vec![0.0; width]);
        with_floats(cosines, |cosines| {
            with_floats(u, |u| {
                with_floats(w, |w| {
                    with_floats(grad, |grad| {
                        let parts: Vec<Vec<f32>> = self
                            .left
                            .split_mut(&mut dc, width)
                            .into_par_iter()
                            .zip(self.left.split_mut(&mut du, 1))
                            .enumerate()
                            .map(|(i, (dc, du))| {
                                let mut right = vec![0.0; width];
                                let grad = &grad[i * self.right.len()..][..self.right.len()];
                                let into = Gradients { cosines: dc, left: du, right: &mut right };
                                self.backward(cosines, (u, w), i, grad, into);
                                right
                            })
                            .collect();
                        parts.iter().for_each(|part| math::axpy(1.0, part, &mut dw));
                        Ok(())
                    })
                })
            })
        })?;
        let device = cosines.device();
        Ok((
            Some(Tensor::from_vec(dc, cosines.shape(), device)?),
            Some(Tensor::from_vec(du, u.shape(), device)?),
            Some(Tensor::from_vec(dw, w.shape(), device)?),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree, gradients_agree, noise};
    use super::*;

    #[test]
    fn score_is_the_mean_of_both_directions() {
        let cosines =
            Tensor::new(&[[0.1f32, 0.9], [0.4, -0.2]], &candle_core::Device::Cpu).expect("cosines");
        let (u, w) =
            (cosines.zeros_like(), Tensor::new(&[0.5f32, 0.5], cosines.device()).expect("weights"));
        let u = u
            .and_then(|z| z.sum(0)? + &Tensor::new(&[0.25f32, 0.75], cosines.device())?)
            .expect("weights");
        let one = Arc::new(Segments::from_lengths([2]));
        let score = weighted_max_sim(&cosines, &u, &w, &one, &one)
            .and_then(|s| s.to_vec2::<f32>())
            .expect("op");
        let by_hand = 0.5 * ((0.25 * 0.9 + 0.75 * 0.4) + (0.5 * 0.4 + 0.5 * 0.9));
        assert!((score[0][0] - by_hand).abs() < 1e-6);
    }

    #[test]
    fn gradients_reach_cosines_and_both_weights() {
        let (left, right) =
            (Arc::new(Segments::from_lengths([2, 3])), Arc::new(Segments::from_lengths([1, 3])));
        gradients_agree(&[noise(&[5, 4], 8), noise(&[5], 2), noise(&[4], 3)], |t| {
            weighted_max_sim(&t[0], &t[1], &t[2], &left, &right)
        });
    }

    #[test]
    fn composed_interaction_is_the_interaction() {
        let (left, right) = (
            Arc::new(Segments::from_lengths([2, 30, 1, 9])),
            Arc::new(Segments::from_lengths([1, 3, 20, 4, 19])),
        );
        let inputs = [
            noise(&[left.rows(), right.rows()], 8),
            noise(&[left.rows()], 2),
            noise(&[right.rows()], 3),
        ];
        agree(
            &inputs,
            |t| weighted_max_sim(&t[0], &t[1], &t[2], &left, &right),
            |t| composed::weighted_max_sim(&t[0], &t[1], &t[2], &left, &right),
        );
    }
}
