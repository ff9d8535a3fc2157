//! The contrastive loss at three levels.

use candle_core::Tensor;

use super::past::PastPairs;
use crate::{
    contrastive::{info_nce, interaction, mask, mask_where, row_nce},
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

/// Pairs of earlier steps, and which of them (by number) is the same as item `i` of the batch.
pub(super) struct Past<'a> {
    pub(super) pairs: PastPairs,
    pub(super) same: &'a dyn Fn(usize, usize) -> bool,
}

/// Losses of texts against molecules, row `i` of one belonging to row `i` of the other. Pairs that share
/// a molecule or a text (`same`) are not each other's negatives; `past` brings more negatives for the global level.
pub(super) fn losses(
    towers: &Towers,
    texts: &BatchEncoding,
    molecules: &BatchEncoding,
    same: impl Fn(usize, usize) -> bool,
    past: Option<&Past<'_>>,
) -> Result<Losses> {
    let mask = mask(texts.global.dim(0)?, texts.global.device(), same)?;
    let scale = |level: usize| -> Result<Tensor> {
        Ok(towers.logit_scales.narrow(0, level, 1)?.minimum(MAX_SCALE.ln())?.exp()?)
    };
    let level =
        |cosines: Tensor, at: usize| info_nce(&cosines.broadcast_mul(&scale(at)?)?, Some(&mask));
    Ok(Losses {
        global: match past {
            None => level(texts.global.matmul(&molecules.global.t()?)?, 0)?,
            Some(past) => {
                global_with_past(&texts.global, &molecules.global, &scale(0)?, &mask, past)?
            }
        },
        fragment: level(interaction(&texts.fragments, &molecules.fragments)?, 1)?,
        token: level(interaction(&texts.tokens, &molecules.tokens)?, 2)?,
    })
}

/// The global loss of a batch that must also stand out among the pairs of earlier steps.
fn global_with_past(
    texts: &Tensor,
    molecules: &Tensor,
    scale: &Tensor,
    mask: &Tensor,
    past: &Past<'_>,
) -> Result<Tensor> {
    let PastPairs { pairs, texts: past_texts, molecules: past_molecules } = &past.pairs;
    let excluded = |i: usize, j: usize| (past.same)(i, pairs[j]);
    let past_mask = mask_where((mask.dim(0)?, pairs.len()), mask.device(), excluded)?;
    let mask = Tensor::cat(&[mask, &past_mask], 1)?;
    let direction = |queries: &Tensor, targets: &Tensor, past: &Tensor| {
        let targets = Tensor::cat(&[targets, past], 0)?;
        let logits = queries.matmul(&targets.t()?)?.broadcast_mul(scale)?;
        row_nce(&(logits + &mask)?)
    };
    let to_molecule = direction(texts, molecules, past_molecules)?;
    let to_text = direction(molecules, texts, past_texts)?;
    Ok(((to_molecule + to_text)? * 0.5)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use candle_core::Device;

    use super::*;
    use crate::{
        config::{LevelWeights, ModelConfig, MoleculeConfig, TextConfig},
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
        }
    }

    /// A text of `words` words of one and two pieces in turn, in phrases of three.
    fn text(words: usize) -> TextInput {
        let pieces = |i: usize| 1 + i + i / 2..2 + i + i.div_ceil(2);
        let count = pieces(words - 1).end;
        let ids = (0..=count).map(|i| ((7 * i + words) % 48) as u32).collect();
        let word = |i: usize| Word { bytes: 0..0, pieces: pieces(i) };
        let phrases = (0..words).step_by(3).map(|i| i..(i + 3).min(words)).collect();
        TextInput { ids, words: (0..words).map(word).collect(), phrases }
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
        let graphs: Vec<_> =
            molecules.iter().map(|m| MoleculeInput::new(m, &config.molecule)).collect();
        let fragments: Vec<_> = molecules.iter().map(|m| m.fragments()).collect();
        let rows = graphs.iter().flat_map(|m| m.rows.iter().copied()).collect();
        let encoded = towers.molecules(
            rows,
            &graphs.iter().collect::<Vec<_>>(),
            &fragments.iter().map(Vec::as_slice).collect::<Vec<_>>(),
        )?;
        let texts = [9, 1, 4, 7, 2].map(text);
        let texts = towers.texts(&texts.iter().collect::<Vec<_>>())?;
        let losses =
            losses(&towers, &texts, &encoded, |i, j| (i, j) == (0, 3) || (j, i) == (0, 3), None)?;
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

    #[test]
    fn earlier_pairs_are_negatives_unless_they_are_the_same() {
        // A batch of two orthogonal pairs, and an earlier one between them.
        let loss = |same: &dyn Fn(usize, usize) -> bool| -> f32 {
            let device = Device::Cpu;
            let global = Tensor::new(&[[1f32, 0.0], [0.0, 1.0]], &device).expect("unit rows");
            let between = Tensor::new(&[[0.6f32, 0.8]], &device).expect("a unit row");
            let pairs = PastPairs { pairs: vec![9], texts: between.clone(), molecules: between };
            let scale = Tensor::new(&[2f32], &device).expect("a scale");
            let mask = mask(2, &device, |_, _| false).expect("mask");
            let past = Past { pairs, same };
            let loss = global_with_past(&global, &global, &scale, &mask, &past);
            loss.and_then(|loss| Ok(loss.to_scalar()?)).expect("loss")
        };
        let of = |past: &[f32]| {
            let others: f32 = past.iter().map(|cosine| (2.0 * cosine).exp()).sum();
            (1.0 + 2f32.exp() + others).ln() - 2.0
        };
        let close = |a: f32, b: f32| assert!((a - b).abs() < 1e-5, "{a} {b}");
        close(loss(&|_, _| true), of(&[]));
        close(loss(&|_, _| false), (of(&[0.6]) + of(&[0.8])) / 2.0);
        close(loss(&|i, pair| i == 0 && pair == 9), (of(&[]) + of(&[0.8])) / 2.0);
    }
}
