//! Scores of every pair of a batch and the loss that tells true pairs from the others.

use candle_core::{D, Device, Tensor};

use crate::{error::Result, ops, parts::LevelTensors};

/// Added to the logit of a pair that is no negative.
const NOT_A_NEGATIVE: f32 = -1e4;

/// Weighted late interaction of every left item with every right one: [left items, right items].
pub(crate) fn interaction(left: &LevelTensors, right: &LevelTensors) -> Result<Tensor> {
    let cosines = left.vectors.matmul(&right.vectors.t()?)?;
    Ok(ops::weighted_max_sim(&cosines, &left.weights, &right.weights, &left.items, &right.items)?)
}

/// What to add to logits [n, n] so that pairs of `same` items are not each other's negatives.
pub(crate) fn mask(
    n: usize,
    device: &Device,
    same: impl Fn(usize, usize) -> bool,
) -> Result<Tensor> {
    let mask: Vec<f32> = (0..n * n)
        .map(|at| (at / n, at % n))
        .map(|(i, j)| if i != j && same(i, j) { NOT_A_NEGATIVE } else { 0.0 })
        .collect();
    Ok(Tensor::from_vec(mask, (n, n), device)?)
}

/// Mean cross-entropy of the diagonal, over rows and over columns (InfoNCE, arXiv 1807.03748).
pub(crate) fn info_nce(logits: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
    let logits = match mask {
        Some(mask) => (logits + mask)?,
        None => logits.clone(),
    };
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
        let value = |logits: &Tensor, mask: Option<&Tensor>| {
            info_nce(logits, mask).and_then(|l| Ok(l.to_scalar::<f32>()?)).expect("loss")
        };
        let eye = (Tensor::eye(2, candle_core::DType::F32, &Device::Cpu).expect("eye") * 100.0)
            .expect("scaled");
        assert!(value(&eye, None) < 1e-6);
        let flat = eye.zeros_like().expect("zeros");
        assert!((value(&flat, None) - 2f32.ln()).abs() < 1e-6);
        let same = mask(2, &Device::Cpu, |_, _| true).expect("mask");
        assert!(value(&flat, Some(&same)) < 1e-6);
    }
}
