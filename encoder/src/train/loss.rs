//! The contrastive loss at three levels.

use candle_core::Tensor;

use crate::{
    contrastive::{info_nce, interaction, mask},
    error::Result,
    towers::{BatchEncoding, Towers},
};

/// Largest factor that cosines are multiplied by (CLIP, arXiv 2103.00020).
const MAX_SCALE: f64 = 100.0;

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
    let level =
        |cosines: Tensor, at: usize| info_nce(&cosines.broadcast_mul(&scale(at)?)?, Some(&mask));
    Ok(Losses {
        global: level(texts.global.matmul(&molecules.global.t()?)?, 0)?,
        fragment: level(interaction(&texts.fragments, &molecules.fragments)?, 1)?,
        token: level(interaction(&texts.tokens, &molecules.tokens)?, 2)?,
    })
}
