//! The pieces of a T5 block: RMS norm, linear maps without bias, the feed-forward sub-layer, dropout.
//!
//! Everything here is plain candle operations, so it runs on every device and has a gradient. Where no gradient is asked
//! for, the fused kernels of candle take over; they compute the same.

use candle_core::{D, Tensor};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{FeedForwardKind, T5Config, weights::Source};
use crate::error::Result;

/// `x W^T`, with `W` stored as [out, in], the order of the checkpoints.
#[derive(Clone, Debug)]
pub(super) struct Linear {
    weight: Tensor,
}

impl Linear {
    pub(super) fn load(
        source: &mut Source<'_>,
        name: &str,
        output: usize,
        input: usize,
    ) -> Result<Self> {
        Ok(Self { weight: source(&format!("{name}.weight"), &[output, input])? })
    }

    pub(super) fn from_weight(weight: Tensor) -> Self {
        Self { weight }
    }

    /// Maps the last axis of `x` [a, b, in] to [a, b, out].
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (a, b, input) = x.dims3()?;
        // One product of two matrices: a broadcast product would copy the weight for every `a`.
        let flat = x.reshape((a * b, input))?.matmul(&self.weight.t()?)?;
        Ok(flat.reshape((a, b, self.weight.dim(0)?))?)
    }
}

/// `x / sqrt(mean(x²) + eps) * w` over the last axis (Zhang and Sennrich, arXiv 1910.07467).
#[derive(Clone, Debug)]
pub(super) struct RmsNorm {
    weight: Tensor,
    eps: f64,
}

impl RmsNorm {
    pub(super) fn load(source: &mut Source<'_>, name: &str, config: &T5Config) -> Result<Self> {
        let weight = source(&format!("{name}.weight"), &[config.d_model])?;
        Ok(Self { weight, eps: config.layer_norm_epsilon })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if !x.track_op() && !self.weight.track_op() {
            let x = x.contiguous()?;
            return Ok(candle_nn::ops::rms_norm(&x, &self.weight, self.eps as f32)?);
        }
        let mean = x.sqr()?.mean_keepdim(D::Minus1)?;
        let inverse = mean.affine(1.0, self.eps)?.sqrt()?.recip()?;
        Ok(x.broadcast_mul(&inverse)?.broadcast_mul(&self.weight)?)
    }
}

/// Softmax over the last axis.
pub(super) fn softmax(x: &Tensor) -> Result<Tensor> {
    if !x.track_op() {
        return Ok(candle_nn::ops::softmax_last_dim(&x.contiguous()?)?);
    }
    // The shift cancels, so no gradient need flow through it.
    let shift = x.detach().max_keepdim(D::Minus1)?;
    let weights = x.broadcast_sub(&shift)?.exp()?;
    let total = weights.sum_keepdim(D::Minus1)?;
    Ok(weights.broadcast_div(&total)?)
}

/// The feed-forward sub-layer without its norm.
#[derive(Clone, Debug)]
pub(super) enum FeedForward {
    Relu { wi: Linear, wo: Linear },
    GatedGelu { gate: Linear, value: Linear, wo: Linear },
}

impl FeedForward {
    pub(super) fn load(source: &mut Source<'_>, name: &str, config: &T5Config) -> Result<Self> {
        let (d, ff) = (config.d_model, config.d_ff);
        let wo = |source: &mut Source<'_>| Linear::load(source, &format!("{name}.wo"), d, ff);
        Ok(match config.feed_forward_proj {
            FeedForwardKind::Relu => Self::Relu {
                wi: Linear::load(source, &format!("{name}.wi"), ff, d)?,
                wo: wo(source)?,
            },
            FeedForwardKind::GatedGelu => Self::GatedGelu {
                gate: Linear::load(source, &format!("{name}.wi_0"), ff, d)?,
                value: Linear::load(source, &format!("{name}.wi_1"), ff, d)?,
                wo: wo(source)?,
            },
        })
    }

    pub(super) fn forward(&self, x: &Tensor, dropout: &mut Dropout) -> Result<Tensor> {
        match self {
            Self::Relu { wi, wo } => wo.forward(&dropout.apply(wi.forward(x)?.relu()?)?),
            Self::GatedGelu { gate, value, wo } => {
                // candle's `gelu` is the tanh form, which T5 v1.1 uses.
                let hidden = (gate.forward(x)?.gelu()? * value.forward(x)?)?;
                wo.forward(&dropout.apply(hidden)?)
            }
        }
    }
}

/// Seeded dropout; off outside of training.
#[derive(Debug)]
pub struct Dropout {
    rate: f32,
    rng: StdRng,
}

impl Dropout {
    /// No dropout.
    #[must_use]
    pub fn off() -> Self {
        Self::new(0.0, 0)
    }

    /// Zeroes numbers with probability `rate` (clamped to 0..=0.99) and scales the others to keep the mean.
    #[must_use]
    pub fn new(rate: f32, seed: u64) -> Self {
        Self { rate: rate.clamp(0.0, 0.99), rng: StdRng::seed_from_u64(seed) }
    }

    pub(super) fn apply(&mut self, x: Tensor) -> Result<Tensor> {
        if self.rate == 0.0 {
            return Ok(x);
        }
        let kept = 1.0 / (1.0 - self.rate);
        let mask: Vec<f32> = (0..x.elem_count())
            .map(|_| if self.rng.random::<f32>() < self.rate { 0.0 } else { kept })
            .collect();
        Ok((&x * Tensor::from_vec(mask, x.shape(), x.device())?)?)
    }
}
