//! Layer normalisation over the last axis (Ba et al., arXiv 1607.06450), with a gradient.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{composed, floats, has_kernels, math, rows_per_task, with_floats};

/// `(x - mean) / sqrt(var + eps) * weight + bias` for every row of `x` ([rows, n]).
pub(crate) fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f32) -> Result<Tensor> {
    if !has_kernels(x.device()) {
        return composed::layer_norm(x, weight, bias, eps);
    }
    x.apply_op3(weight, bias, LayerNorm { eps })
}

struct LayerNorm {
    eps: f32,
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
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
        let (x, weight, bias) = (floats(s1, l1)?, floats(s2, l2)?, floats(s3, l3)?);
        let n = weight.len();
        let mut out = vec![0.0; x.len()];
        let block = rows_per_task(n) * n;
        out.par_chunks_mut(block).zip(x.par_chunks(block)).for_each(|(out, x)| {
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || forward(x, weight, bias, self.eps, out),
            );
        });
        Ok((CpuStorage::F32(out), l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _bias: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (dx, dw, db) = with_floats(x, |x| {
            with_floats(weight, |weight| {
                with_floats(grad, |grad| Ok(backward_all(x, weight, grad, self.eps)))
            })
        })?;
        let n = weight.dims1()?;
        let device = x.device();
        Ok((
            Some(Tensor::from_vec(dx, x.shape(), device)?),
            Some(Tensor::from_vec(dw, n, device)?),
            Some(Tensor::from_vec(db, n, device)?),
        ))
    }
}

/// Normalises every row of `x` into `out`, on the thread that asks.
pub(crate) fn layer_norm_rows(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || forward(x, weight, bias, eps, out),
    );
}

#[inline(always)]
fn moments(row: &[f32], eps: f32) -> (f32, f32) {
    let n = row.len() as f32;
    let mean = math::sum(row, |x| x) / n;
    let var = math::sum(row, |x| (x - mean) * (x - mean)) / n;
    (mean, 1.0 / (var + eps).sqrt())
}

#[inline(always)]
fn forward(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) {
    let n = weight.len();
    for (row, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
        let (mean, rstd) = moments(row, eps);
        for i in 0..n {
            out[i] = (row[i] - mean) * rstd * weight[i] + bias[i];
        }
    }
}

fn backward_all(
    x: &[f32],
    weight: &[f32],
    grad: &[f32],
    eps: f32,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let n = weight.len();
    let mut dx = vec![0.0; x.len()];
    // Few large tasks, so that the partial sums of dw and db stay few and their order fixed.
    let block = (x.len() / n).div_ceil(8).max(1) * n;
    let partial: Vec<(Vec<f32>, Vec<f32>)> = dx
        .par_chunks_mut(block)
        .zip(x.par_chunks(block).zip(grad.par_chunks(block)))
        .map(|(dx, (x, grad))| {
            let (mut dw, mut db) = (vec![0.0; n], vec![0.0; n]);
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || backward(x, weight, grad, eps, dx, &mut dw, &mut db),
            );
            (dw, db)
        })
        .collect();
    let (mut dw, mut db) = (vec![0.0; n], vec![0.0; n]);
    for (w, b) in &partial {
        math::axpy(1.0, w, &mut dw);
        math::axpy(1.0, b, &mut db);
    }
    (dx, dw, db)
}

/// With y = x_hat * w + b: dx = rstd * (g w - mean(g w) - x_hat mean(g w x_hat)).
#[inline(always)]
fn backward(
    x: &[f32],
    weight: &[f32],
    grad: &[f32],
    eps: f32,
    dx: &mut [f32],
    dw: &mut [f32],
    db: &mut [f32],
) {
    let n = weight.len();
    let mut hat = vec![0.0; n];
    for ((row, grad), dx) in x.chunks_exact(n).zip(grad.chunks_exact(n)).zip(dx.chunks_exact_mut(n))
    {
        let (mean, rstd) = moments(row, eps);
        for i in 0..n {
            hat[i] = (row[i] - mean) * rstd;
            dx[i] = grad[i] * weight[i];
            dw[i] += grad[i] * hat[i];
            db[i] += grad[i];
        }
        let mean = math::sum(dx, |g| g) / n as f32;
        let mean_hat = math::dot(dx, &hat) / n as f32;
        for i in 0..n {
            dx[i] = rstd * (dx[i] - mean - hat[i] * mean_hat);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree, gap, gradients_agree, noise};
    use super::*;

    #[test]
    fn layer_norm_equals_candle_and_its_gradient_the_differences() {
        let (x, w, b) = (noise(&[4, 6], 1), noise(&[6], 2), noise(&[6], 3));
        let ours = layer_norm(&x, &w, &b, 1e-5).expect("op");
        let theirs = candle_nn::ops::layer_norm_slow(&x, &w, &b, 1e-5).expect("candle");
        assert!(gap(&ours, &theirs) < 1e-5);
        gradients_agree(&[x, w, b], |t| layer_norm(&t[0], &t[1], &t[2], 1e-5));
    }

    #[test]
    fn composed_norm_is_the_norm() {
        agree(
            &[noise(&[30, 24], 1), noise(&[24], 2), noise(&[24], 3)],
            |t| layer_norm(&t[0], &t[1], &t[2], 1e-5),
            |t| composed::layer_norm(&t[0], &t[1], &t[2], 1e-5),
        );
    }
}
