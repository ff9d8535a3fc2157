//! Bias and GELU in one pass: `gelu(x + b)`, the exact (erf) form of Hendrycks and Gimpel, arXiv 1606.08415.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{composed, floats, has_kernels, math, rows_per_task, with_floats};

/// `gelu(x + bias)` for `x` of shape [rows, n] and `bias` of shape [n].
pub(crate) fn bias_gelu(x: &Tensor, bias: &Tensor) -> Result<Tensor> {
    if !has_kernels(x.device()) {
        return composed::bias_gelu(x, bias);
    }
    x.apply_op2(bias, BiasGelu)
}

struct BiasGelu;

impl CustomOp2 for BiasGelu {
    fn name(&self) -> &'static str {
        "bias-gelu"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, bias) = (floats(s1, l1)?, floats(s2, l2)?);
        let mut out = vec![0.0; x.len()];
        let block = rows_per_task(bias.len()) * bias.len();
        out.par_chunks_mut(block).zip(x.par_chunks(block)).for_each(|(out, x)| {
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || forward(x, bias, out),
            );
        });
        Ok((CpuStorage::F32(out), l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dx = with_floats(x, |x| {
            with_floats(bias, |bias| {
                with_floats(grad, |grad| {
                    let mut dx = grad.to_vec();
                    let block = rows_per_task(bias.len()) * bias.len();
                    dx.par_chunks_mut(block).zip(x.par_chunks(block)).for_each(|(dx, x)| {
                        pulp::Arch::new().dispatch(
                            #[inline(always)]
                            || backward(x, bias, dx),
                        );
                    });
                    Ok(dx)
                })
            })
        })?;
        let dx = Tensor::from_vec(dx, x.shape(), x.device())?;
        let db = dx.sum(0)?;
        Ok((Some(dx), Some(db)))
    }
}

#[inline(always)]
fn forward(x: &[f32], bias: &[f32], out: &mut [f32]) {
    for (out, x) in out.chunks_exact_mut(bias.len()).zip(x.chunks_exact(bias.len())) {
        for ((out, x), b) in out.iter_mut().zip(x).zip(bias) {
            *out = gelu(x + b);
        }
    }
}

/// Replaces every number by its GELU, on the thread that asks.
pub(crate) fn gelu_in_place(numbers: &mut [f32]) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            for z in numbers {
                *z = gelu(*z);
            }
        },
    );
}

#[inline(always)]
fn gelu(z: f32) -> f32 {
    0.5 * z * (1.0 + math::erf(z * std::f32::consts::FRAC_1_SQRT_2))
}

/// Multiplies the incoming gradient by gelu'(z) = Phi(z) + z phi(z).
#[inline(always)]
fn backward(x: &[f32], bias: &[f32], grad: &mut [f32]) {
    const INV_SQRT_TAU: f32 = 0.398_942_3;
    for (grad, x) in grad.chunks_exact_mut(bias.len()).zip(x.chunks_exact(bias.len())) {
        for ((grad, x), b) in grad.iter_mut().zip(x).zip(bias) {
            let z = x + b;
            let cdf = 0.5 * (1.0 + math::erf(z * std::f32::consts::FRAC_1_SQRT_2));
            *grad *= cdf + z * INV_SQRT_TAU * math::exp(-0.5 * z * z);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree, gap, gradients_agree, noise};
    use super::*;

    #[test]
    fn bias_gelu_equals_candle_and_its_gradient_the_differences() {
        let (x, b) = (noise(&[5, 7], 1), noise(&[7], 2));
        let ours = bias_gelu(&x, &b).expect("op");
        let theirs = x.broadcast_add(&b).and_then(|z| z.gelu_erf()).expect("candle");
        assert!(gap(&ours, &theirs) < 1e-6);
        gradients_agree(&[x, b], |t| bias_gelu(&t[0], &t[1]));
    }

    #[test]
    fn composed_gelu_is_the_gelu() {
        let inputs = [(noise(&[40, 9], 1) * 6.0).expect("scaled"), noise(&[9], 2)];
        agree(&inputs, |t| bias_gelu(&t[0], &t[1]), |t| composed::bias_gelu(&t[0], &t[1]));
    }
}
