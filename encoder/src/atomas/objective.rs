//! What Atomas minimises (arXiv 2404.16880, sections 3.2 to 3.4): contrast of the global vectors against a queue with soft
//! targets, alignment at three levels, and writing each modality from the other.

use candle_core::{D, Device, Tensor};
use serde::{Deserialize, Serialize};

use super::{
    alignment::{LEVELS, Levels, Modality},
    batch::TokenBatch,
    config::AtomasConfig,
    momentum::Momentum,
    network::{Encoded, Network},
};
use crate::{
    contrastive::{info_nce, interaction},
    error::Result,
    t5::{Dropout, Targets},
};

/// How much each part of the loss counts, and the softness of its targets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossWeights {
    /// Contrast of the global vectors (the release: 1).
    pub contrast: f64,
    /// Alignment at the three levels together (1).
    pub alignment: f64,
    /// Writing the SMILES that a text describes (10 where that is the task, else 0).
    pub molecule_generation: f64,
    /// Writing the text that describes a molecule (10 where that is the task, else 0).
    pub text_generation: f64,
    /// Share of the slow copy's opinion in the targets of the contrast (0.4).
    pub soft_targets: f64,
}

/// One batch of pairs: row `i` of the texts belongs to row `i` of the molecules.
pub(crate) struct PairBatch {
    pub(crate) texts: TokenBatch,
    pub(crate) smiles: TokenBatch,
    /// The same, as something to write.
    pub(crate) text_targets: Targets,
    pub(crate) smiles_targets: Targets,
    /// What to add to the logits of pairs that are no negatives [b, b], if there are such.
    pub(crate) mask: Option<Tensor>,
}

impl PairBatch {
    /// Pads ids (with their end marks) as the config says.
    pub(crate) fn new<S: AsRef<[u32]>>(
        texts: &[S],
        smiles: &[S],
        config: &AtomasConfig,
        device: &Device,
    ) -> Result<Self> {
        Ok(Self {
            texts: TokenBatch::new(texts, config, device)?,
            smiles: TokenBatch::new(smiles, config, device)?,
            text_targets: Targets::new(texts, &config.t5, device)?,
            smiles_targets: Targets::new(smiles, &config.t5, device)?,
            mask: None,
        })
    }
}

/// The parts of the loss, each a scalar before its weight.
pub(crate) struct Losses {
    pub(crate) contrast: Tensor,
    pub(crate) alignment: [Tensor; LEVELS],
    /// Texts to SMILES, when it is asked for.
    pub(crate) molecule_generation: Option<Tensor>,
    /// SMILES to texts, when it is asked for.
    pub(crate) text_generation: Option<Tensor>,
    /// Clusters of texts and of molecules.
    #[cfg(test)]
    pub(crate) clusters: [[Vec<super::cluster::Clusters>; 2]; 2],
    /// The slow copy's global vectors of texts and of molecules.
    pub(crate) slow: [Tensor; 2],
}

impl Losses {
    /// Losses of a batch, for as long as the weights stay as they are.
    pub(crate) fn of(
        network: &Network,
        momentum: &Momentum,
        batch: &PairBatch,
        weights: &LossWeights,
        dropout: &mut Dropout,
    ) -> Result<Self> {
        let mut slow = |modality, tokens| -> Result<Tensor> {
            Ok(momentum.encoder.encode(modality, tokens, dropout)?.global)
        };
        let slow = [slow(Modality::Text, &batch.texts)?, slow(Modality::Smiles, &batch.smiles)?];
        let texts = network.encoder.encode(Modality::Text, &batch.texts, dropout)?;
        let smiles = network.encoder.encode(Modality::Smiles, &batch.smiles, dropout)?;
        let levels = [
            network.levels(Modality::Text, &batch.texts, &texts.hidden)?,
            network.levels(Modality::Smiles, &batch.smiles, &smiles.hidden)?,
        ];
        let mut write = |weight: f64, targets: &Targets, from: &Encoded, tokens: &TokenBatch| {
            if weight == 0.0 {
                return Ok(None);
            }
            let loss = network.encoder.t5.lm_loss(targets, &from.hidden, &tokens.mask, dropout)?;
            Ok::<_, crate::EncoderError>(Some(loss.mean))
        };
        Ok(Self {
            molecule_generation: write(
                weights.molecule_generation,
                &batch.smiles_targets,
                &texts,
                &batch.texts,
            )?,
            text_generation: write(
                weights.text_generation,
                &batch.text_targets,
                &smiles,
                &batch.smiles,
            )?,
            contrast: contrast(
                network,
                momentum,
                [&texts.global, &smiles.global],
                &slow,
                (batch.mask.as_ref(), weights.soft_targets),
            )?,
            alignment: alignment(network, &levels, batch.mask.as_ref())?,
            #[cfg(test)]
            clusters: levels.map(|levels| levels.clusters),
            slow,
        })
    }

    /// What is descended.
    pub(crate) fn total(&self, weights: &LossWeights) -> Result<Tensor> {
        let alignment = self.alignment.iter().try_fold(None, |sum: Option<Tensor>, level| {
            Ok::<_, crate::EncoderError>(Some(match sum {
                Some(sum) => (sum + level)?,
                None => level.clone(),
            }))
        })?;
        let parts = [
            (weights.contrast, Some(&self.contrast)),
            (weights.alignment, alignment.as_ref()),
            (weights.molecule_generation, self.molecule_generation.as_ref()),
            (weights.text_generation, self.text_generation.as_ref()),
        ];
        let mut total = self.contrast.zeros_like()?;
        for (weight, part) in parts {
            if let Some(part) = part {
                total = (total + (part * weight)?)?;
            }
        }
        Ok(total)
    }
}

/// Mean of both directions' [`Contrast::loss`].
fn contrast(
    network: &Network,
    momentum: &Momentum,
    online: [&Tensor; 2],
    slow: &[Tensor; 2],
    (mask, soft): (Option<&Tensor>, f64),
) -> Result<Tensor> {
    let direction = |from: Modality, to: Modality| {
        let keys = momentum.keys(to, &slow[to as usize])?;
        let vectors = [online[from as usize], &slow[from as usize]];
        let mask =
            mask.map(|mask| if from == Modality::Text { Ok(mask.clone()) } else { mask.t() });
        Contrast::of(vectors, &keys, &network.temperature, mask.transpose()?.as_ref(), soft)?.loss()
    };
    let there = direction(Modality::Text, Modality::Smiles)?;
    let back = direction(Modality::Smiles, Modality::Text)?;
    Ok(((there + back)? * 0.5)?)
}

/// Similarities to all keys, and what they should be like; both [b, keys].
pub(super) struct Contrast {
    pub(super) similarities: Tensor,
    /// A share of what the slow copy finds, the rest on the own pair.
    pub(super) targets: Tensor,
}

impl Contrast {
    /// From the learning and the slow copy's `vectors` [b, d] and `keys` [d, keys], of which the first b are the pairs'.
    pub(super) fn of(
        [online, slow]: [&Tensor; 2],
        keys: &Tensor,
        temperature: &Tensor,
        mask: Option<&Tensor>,
        soft: f64,
    ) -> Result<Self> {
        let (rows, count) = (online.dim(0)?, keys.dim(1)?);
        let mask = match mask {
            Some(mask) => mask.pad_with_zeros(1, 0, count - rows)?,
            None => Tensor::zeros((rows, count), online.dtype(), online.device())?,
        };
        let similarities = |vectors: &Tensor, temperature: &Tensor| -> Result<Tensor> {
            Ok((vectors.matmul(keys)?.broadcast_div(temperature)? + &mask)?)
        };
        let opinion = similarities(slow, &temperature.detach())?;
        let own = Tensor::eye(rows, online.dtype(), online.device())?;
        let own = own.pad_with_zeros(1, 0, count - rows)?;
        let opinion = candle_nn::ops::softmax_last_dim(&opinion)?;
        let targets = ((opinion * soft)? + (own * (1.0 - soft))?)?;
        Ok(Self { similarities: similarities(online, temperature)?, targets })
    }

    /// Mean cross-entropy of the similarities under the targets.
    pub(super) fn loss(&self) -> Result<Tensor> {
        let logs = candle_nn::ops::log_softmax(&self.similarities, D::Minus1)?;
        Ok((logs * &self.targets)?.sum(1)?.mean(0)?.neg()?)
    }
}

/// InfoNCE of the weighted late interaction at each level.
fn alignment(
    network: &Network,
    [texts, smiles]: &[Levels; 2],
    mask: Option<&Tensor>,
) -> Result<[Tensor; LEVELS]> {
    let scale = network.logit_scale.exp()?;
    let level = |l: usize| {
        let scores = interaction(&texts.levels[l], &smiles.levels[l])?;
        info_nce(&scores.broadcast_mul(&scale)?, mask)
    };
    Ok([level(0)?, level(1)?, level(2)?])
}
