//! The contrastive loss at three levels.

use candle_core::{D, Device, Tensor};

use crate::{
    error::Result,
    ops,
    parts::LevelTensors,
    towers::{BatchEncoding, Towers},
};

/// Largest factor that cosines are multiplied by (CLIP, arXiv 2103.00020).
const MAX_SCALE: f64 = 100.0;
/// Added to the logit of a pair that is no negative.
const NOT_A_NEGATIVE: f32 = -1e4;

/// The losses of one batch, each a mean over both directions.
pub(super) struct Losses {
    pub(super) global: Tensor,
    pub(super) fragment: Tensor,
    pub(super) token: Tensor,
}

/// Losses of texts against molecules, row `i` of one belonging to row `i` of the other. Pairs that share
/// a molecule or a text (`same`) are not each other's negatives.
pub(super) fn losses(
    towers: &Towers,
    texts: &BatchEncoding,
    molecules: &BatchEncoding,
    same: impl Fn(usize, usize) -> bool,
) -> Result<Losses> {
    let mask = mask(texts.global.dim(0)?, same)?;
    let scale = |level: usize| -> Result<Tensor> {
        Ok(towers.logit_scales.narrow(0, level, 1)?.minimum(MAX_SCALE.ln())?.exp()?)
    };
    let level = |cosines: Tensor, at: usize| info_nce(&cosines.broadcast_mul(&scale(at)?)?, &mask);
    Ok(Losses {
        global: level(texts.global.matmul(&molecules.global.t()?)?, 0)?,
        fragment: level(interaction(&texts.fragments, &molecules.fragments)?, 1)?,
        token: level(interaction(&texts.tokens, &molecules.tokens)?, 2)?,
    })
}

/// Weighted late interaction of every left item with every right one.
fn interaction(left: &LevelTensors, right: &LevelTensors) -> Result<Tensor> {
    let cosines = left.vectors.matmul(&right.vectors.t()?)?;
    Ok(ops::weighted_max_sim(&cosines, &left.weights, &right.weights, &left.items, &right.items)?)
}

fn mask(n: usize, same: impl Fn(usize, usize) -> bool) -> Result<Tensor> {
    let mask: Vec<f32> = (0..n * n)
        .map(|at| (at / n, at % n))
        .map(|(i, j)| if i != j && same(i, j) { NOT_A_NEGATIVE } else { 0.0 })
        .collect();
    Ok(Tensor::from_vec(mask, (n, n), &Device::Cpu)?)
}

/// Mean cross-entropy of the diagonal, over rows and over columns (InfoNCE, arXiv 1807.03748).
fn info_nce(logits: &Tensor, mask: &Tensor) -> Result<Tensor> {
    let logits = (logits + mask)?;
    let by_row = diagonal_mean(&candle_nn::ops::log_softmax(&logits, D::Minus1)?)?;
    let by_column = diagonal_mean(&candle_nn::ops::log_softmax(&logits, 0)?)?;
    Ok(((by_row + by_column)? * -0.5)?)
}

fn diagonal_mean(x: &Tensor) -> Result<Tensor> {
    let n = x.dim(0)?;
    let eye = Tensor::eye(n, x.dtype(), x.device())?;
    Ok((x * eye)?.sum_all()?.affine(1.0 / n as f64, 0.0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_zero_when_every_pair_finds_itself_and_ln_n_when_none_stands_out() {
        let none = mask(2, |_, _| false).expect("mask");
        let value = |logits: &Tensor, mask: &Tensor| {
            info_nce(logits, mask).and_then(|l| Ok(l.to_scalar::<f32>()?))
        };
        let eye = (Tensor::eye(2, candle_core::DType::F32, &Device::Cpu).expect("eye") * 100.0)
            .expect("scaled");
        assert!(value(&eye, &none).expect("loss") < 1e-6);
        let flat = eye.zeros_like().expect("zeros");
        assert!((value(&flat, &none).expect("loss") - 2f32.ln()).abs() < 1e-6);
        assert!(value(&flat, &mask(2, |_, _| true).expect("mask")).expect("loss") < 1e-6);
    }
}
