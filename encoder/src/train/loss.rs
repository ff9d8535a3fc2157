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
    let mask = mask(texts.global.dim(0)?, texts.global.device(), same)?;
    let level = |cosines: Tensor, at: usize| {
        info_nce(&cosines.broadcast_mul(&scale(towers, at)?)?, Some(&mask))
    };
    Ok(Losses {
        global: level(texts.global.matmul(&molecules.global.t()?)?, 0)?,
        fragment: level(interaction(&texts.fragments, &molecules.fragments)?, 1)?,
        token: level(interaction(&texts.tokens, &molecules.tokens)?, 2)?,
    })
}

/// The loss of unit global vectors alone, by the rules of [`losses`].
pub(super) fn global_loss(
    towers: &Towers,
    texts: &Tensor,
    molecules: &Tensor,
    same: impl Fn(usize, usize) -> bool,
) -> Result<Tensor> {
    let mask = mask(texts.dim(0)?, texts.device(), same)?;
    let cosines = texts.matmul(&molecules.t()?)?;
    info_nce(&cosines.broadcast_mul(&scale(towers, 0)?)?, Some(&mask))
}

/// What the cosines of a level are multiplied by.
fn scale(towers: &Towers, level: usize) -> Result<Tensor> {
    Ok(towers.logit_scales.narrow(0, level, 1)?.minimum(MAX_SCALE.ln())?.exp()?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use candle_core::Device;

    use super::*;
    use crate::{
        config::{FeatureConfig, LevelWeights, ModelConfig, MoleculeConfig, TextConfig},
        features::text_features,
        molecule::MoleculeInput,
        ops::check::{device, gap, with_compositions},
        params::Params,
        phrases::Word,
        tokenize::TextInput,
    };

    fn model() -> ModelConfig {
        ModelConfig {
            name: "small".into(),
            format_version: 1,
            global_dim: 12,
            part_dim: 8,
            level_weights: LevelWeights { global: 1.0, fragment: 1.0, token: 1.0 },
            molecule: MoleculeConfig {
                layers: 2,
                width: 16,
                heads: 2,
                ffn: 32,
                environment_rows: [32, 64, 64],
                stereo_rows: 32,
                max_atoms: 40,
            },
            text: TextConfig {
                vocabulary: 48,
                positions: 32,
                layers: 2,
                width: 16,
                heads: 2,
                ffn: 32,
                max_tokens: 24,
            },
            features: Some(FeatureConfig { text_rows: 40, molecule_rows: 40 }),
        }
    }

    /// A text of `words` words of one and two pieces in turn, in phrases of three.
    fn text(words: usize) -> TextInput {
        let pieces = |i: usize| 1 + i + i / 2..2 + i + i.div_ceil(2);
        let count = pieces(words - 1).end;
        let ids = (0..=count).map(|i| ((7 * i + words) % 48) as u32).collect();
        let word = |i: usize| Word { bytes: 0..0, pieces: pieces(i) };
        let phrases = (0..words).step_by(3).map(|i| i..(i + 3).min(words)).collect();
        TextInput {
            ids,
            words: (0..words).map(word).collect(),
            phrases,
            features: text_features(&format!("octan-{words}-ol"), 40),
        }
    }

    /// The sum of a batch's three losses and its gradient by every weight.
    fn loss_and_gradients(device: &Device) -> Result<(Tensor, BTreeMap<String, Tensor>)> {
        let config = model();
        let mut params = Params::initialise(&Towers::specs(&config), 5)?;
        params.move_to(device)?;
        params.make_trainable(|_| true)?;
        let towers = Towers::load(&params, &config)?;
        let molecules = ["CCO", "C", "CC(=O)Oc1ccccc1C(=O)O", "[Na+].[Cl-]", "N[C@@H](C)C(=O)O"]
            .map(|smiles| moiety_chem::Molecule::from_smiles(smiles).expect("a valid SMILES"));
        let graphs: Vec<_> = molecules.iter().map(|m| MoleculeInput::new(m, &config)).collect();
        let fragments: Vec<_> = molecules.iter().map(|m| m.fragments()).collect();
        let encoded = towers.molecules(
            &graphs.iter().collect::<Vec<_>>(),
            &fragments.iter().map(Vec::as_slice).collect::<Vec<_>>(),
        )?;
        let texts = [9, 1, 4, 7, 2].map(text);
        let texts = towers.texts(&texts.iter().collect::<Vec<_>>())?;
        let losses =
            losses(&towers, &texts, &encoded, |i, j| (i, j) == (0, 3) || (j, i) == (0, 3))?;
        let sum = ((losses.global + losses.fragment)? + losses.token)?;
        let grads = sum.backward()?;
        let grads =
            params.vars().filter_map(|(name, v)| Some((name.clone(), grads.get(v)?.clone())));
        Ok((sum.clone(), grads.collect()))
    }

    #[test]
    fn loss_and_gradients_of_both_towers_are_the_same_on_every_device() {
        let (loss, grads) = loss_and_gradients(&Device::Cpu).expect("custom operations");
        let (same, others) =
            with_compositions(|| loss_and_gradients(&device())).expect("compositions");
        assert!(gap(&loss, &same) < 1e-5);
        assert!(grads.keys().eq(others.keys()) && grads.len() > 50);
        for (name, grad) in &grads {
            let gap = gap(grad, &others[name]);
            assert!(gap < 2e-5, "{name}: {gap}");
        }
    }
}
