//! The hierarchy of one modality, from the encoder's tokens to the three levels that are aligned with the other modality
//! (Atomas, arXiv 2404.16880, section 3.3): tokens, their clusters, and the clusters of those.

use std::sync::Arc;

use candle_core::Tensor;

use super::{
    cluster::Clusters,
    linear::Linear,
    polymerise::{Polymeriser, Rows},
};
use crate::{
    error::Result,
    layers::unit_rows,
    ops,
    params::{ParamSpec, Params},
    parts::LevelTensors,
    ragged::Segments,
};

/// Levels that are aligned.
pub(crate) const LEVELS: usize = 3;

/// What a token sequence stands for; each has weights of its own above the shared encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Modality {
    /// Natural language.
    Text,
    /// Molecules written as SMILES.
    Smiles,
}

impl Modality {
    /// Both, texts first.
    pub(crate) const BOTH: [Self; 2] = [Self::Text, Self::Smiles];

    /// Its name in the names of weights.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Smiles => "smiles",
        }
    }

    fn letter(self) -> &'static str {
        &self.name()[..1]
    }
}

/// Sizes of a hierarchy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HierarchyShape {
    pub(crate) heads: usize,
    /// Clusters per token from level 0 to 1 and from 1 to 2.
    pub(crate) ratios: [f64; 2],
}

/// The weights of one modality's hierarchy.
#[derive(Clone, Debug)]
pub(crate) struct Hierarchy {
    polymerisers: [Polymeriser; 2],
    weights: [TokenWeights; LEVELS],
}

/// The three levels of a batch, and how each sequence's tokens became clusters.
pub(crate) struct Levels {
    pub(crate) levels: [LevelTensors; LEVELS],
    pub(crate) clusters: [Vec<Clusters>; 2],
}

impl Hierarchy {
    /// Its weights under the released names.
    pub(crate) fn specs(modality: Modality, width: usize) -> Vec<ParamSpec> {
        let weights = (0..LEVELS).flat_map(|l| TokenWeights::specs(modality, l, width));
        let steps = (1..LEVELS).flat_map(|l| Polymeriser::specs(modality.letter(), l, width));
        weights.chain(steps).collect()
    }

    pub(crate) fn load(
        params: &Params,
        modality: Modality,
        shape: &HierarchyShape,
    ) -> Result<Self> {
        let step = |level: usize| {
            let ratio = shape.ratios[level - 1];
            Polymeriser::load(params, (modality.letter(), level), ratio, shape.heads)
        };
        let weights = |level| TokenWeights::load(params, modality, level);
        Ok(Self {
            polymerisers: [step(1)?, step(2)?],
            weights: [weights(0)?, weights(1)?, weights(2)?],
        })
    }

    /// The step to `level` (1 or 2).
    #[cfg(test)]
    pub(super) fn polymeriser(&self, level: usize) -> &Polymeriser {
        &self.polymerisers[level - 1]
    }

    /// The levels of the encoder's `tokens`. Pads have a weight, but at level 0 nothing is like them: their vectors are
    /// zero there.
    pub(crate) fn forward(&self, tokens: &Rows) -> Result<Levels> {
        let first = self.polymerisers[0].forward(tokens)?;
        let second = self.polymerisers[1].forward(&first.rows)?;
        let level = |l: usize, rows: &Rows| self.weights[l].level(rows);
        Ok(Levels {
            levels: [level(0, tokens)?, level(1, &first.rows)?, level(2, &second.rows)?],
            clusters: [first.clusters, second.clusters],
        })
    }
}

/// How much each token of a level counts: a softmax over its sequence of what a small network says.
#[derive(Clone, Debug)]
pub(super) struct TokenWeights {
    hidden: Linear,
    out: Linear,
}

impl TokenWeights {
    fn name(modality: Modality, level: usize) -> String {
        format!("{}_weight_fc_{level}", modality.name())
    }

    fn specs(modality: Modality, level: usize, width: usize) -> Vec<ParamSpec> {
        let name = Self::name(modality, level);
        let mut specs = Linear::specs(&format!("{name}.0"), width, 2 * width).to_vec();
        specs.extend(Linear::specs(&format!("{name}.2"), 2 * width, 1));
        specs
    }

    fn load(params: &Params, modality: Modality, level: usize) -> Result<Self> {
        Self::load_from(params, &Self::name(modality, level))
    }

    fn load_from(params: &Params, name: &str) -> Result<Self> {
        Ok(Self {
            hidden: Linear::load(params, &format!("{name}.0"))?,
            out: Linear::load(params, &format!("{name}.2"))?,
        })
    }

    /// [rows], summing to one in each sequence.
    fn weights(&self, x: &Tensor, segments: &Arc<Segments>) -> Result<Tensor> {
        let logits = self.out.forward(&self.hidden.forward(x)?.relu()?)?.squeeze(1)?;
        Ok(ops::segment_softmax(&logits, segments)?)
    }

    /// Rows ready to be compared.
    fn level(&self, rows: &Rows) -> Result<LevelTensors> {
        let weights = self.weights(&rows.x, &rows.segments)?;
        let mut vectors = unit_rows(&rows.x)?;
        if let Some(pads) = &rows.pads {
            let kept = pads.iter().map(|&pad| if pad { 0f32 } else { 1.0 });
            let kept = Tensor::from_iter(kept, vectors.device())?;
            vectors = vectors.broadcast_mul(&kept.unsqueeze(1)?)?;
        }
        Ok(LevelTensors { vectors, weights, items: rows.segments.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{atomas::fixture::Fixture, contrastive};

    fn rows(x: &Tensor, mask: Option<&[usize]>) -> Rows {
        let (items, tokens, _) = x.dims3().expect("rank 3");
        Rows {
            x: x.flatten_to(1).expect("rows"),
            segments: Arc::new(Segments::from_lengths(vec![tokens; items])),
            pads: mask.map(|mask| mask.iter().map(|&m| m == 0).collect()),
        }
    }

    /// Scores with the weights of one side only: that side's half.
    fn half(text: &LevelTensors, smiles: &LevelTensors, of_text: bool) -> Tensor {
        let zero = |level: &LevelTensors| LevelTensors {
            vectors: level.vectors.clone(),
            weights: level.weights.zeros_like().expect("zeros"),
            items: level.items.clone(),
        };
        let scores = match of_text {
            true => contrastive::interaction(text, &zero(smiles)),
            false => contrastive::interaction(&zero(text), smiles),
        };
        scores.and_then(|s| Ok((s * 2.0)?)).expect("scores")
    }

    #[test]
    fn weighted_alignment_is_that_of_the_released_code() {
        let fixture = Fixture::load("wti");
        for case in 0..10 {
            let at = |part: &str| format!("case{case:02}.{part}");
            let level = |side: &str| {
                let mask = format!("{}_mask", at(side));
                let mask = fixture.has(&mask).then(|| fixture.indices(&mask));
                let rows = rows(fixture.tensor(&at(side)), mask.as_deref());
                let mut params = Params::default();
                for part in ["0.weight", "0.bias", "2.weight", "2.bias"] {
                    let name = format!("fc.{part}");
                    let tensor = fixture.tensor(&at(&format!("{side}_weight_{name}")));
                    params.insert(&name, tensor.clone());
                }
                let weights = TokenWeights::load_from(&params, "fc").expect("weights");
                weights.level(&rows).expect("level")
            };
            let (text, smiles) = (level("text"), level("smiles"));
            fixture.assert_close(&at("text_weight"), &text.weights, 1e-5);
            fixture.assert_close(&at("smiles_weight"), &smiles.weights, 1e-5);
            let logits = contrastive::interaction(&text, &smiles).expect("scores");
            fixture.assert_close(&at("logits"), &logits, 1e-4);
            fixture.assert_close(&at("t2s"), &half(&text, &smiles, true), 1e-4);
            fixture.assert_close(&at("s2t"), &half(&text, &smiles, false), 1e-4);
            if fixture.has(&at("loss")) {
                let logits = (logits / 0.07).expect("scaled");
                let loss = contrastive::info_nce(&logits, None).expect("loss");
                fixture.assert_close(&at("loss"), &loss, 2e-5);
            }
        }
    }
}
