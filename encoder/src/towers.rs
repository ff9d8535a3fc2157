//! Both towers together, and what they make of a batch.

use std::sync::Arc;

use candle_core::Tensor;

use crate::{
    config::ModelConfig,
    error::Result,
    molecule::{MoleculeInput, MoleculeTower, MoleculeVectors},
    params::{Init, ParamSpec, Params},
    parts::{Grouping, LevelTensors, group},
    ragged::Segments,
    text::{TextTower, TextVectors},
    tokenize::TextInput,
};

/// The two towers, over one set of weights.
#[derive(Clone, Debug)]
pub(crate) struct Towers {
    pub(crate) molecule: MoleculeTower,
    pub(crate) text: TextTower,
    /// Logarithms of the scales that the contrastive losses multiply cosines by: global, fragment, token.
    pub(crate) logit_scales: Tensor,
}

/// One side of a batch as tensors.
pub(crate) struct BatchEncoding {
    /// Unit vectors [items, global_dim].
    pub(crate) global: Tensor,
    /// Atoms or words.
    pub(crate) tokens: LevelTensors,
    /// Fragments or phrases.
    pub(crate) fragments: LevelTensors,
}

impl Towers {
    /// Every weight of a model of this config.
    pub(crate) fn specs(config: &ModelConfig) -> Vec<ParamSpec> {
        let mut specs = MoleculeTower::specs(config);
        specs.extend(TextTower::specs(config));
        // ln(1 / 0.07), as in CLIP.
        specs.push(ParamSpec::new("logit_scales", &[3], Init::Value(2.659_26)));
        specs
    }

    pub(crate) fn load(params: &Params, config: &ModelConfig) -> Result<Self> {
        Ok(Self {
            molecule: MoleculeTower::load(params, config)?,
            text: TextTower::load(params, config)?,
            logit_scales: params.get("logit_scales")?,
        })
    }

    /// From now on they only encode, on the CPU, and faster.
    pub(crate) fn pack(&mut self) -> Result<()> {
        self.molecule.pack()?;
        self.text.pack()
    }

    /// Encodes molecules; `fragments` holds each one's atom sets.
    pub(crate) fn molecules(
        &self,
        batch: &[&MoleculeInput],
        fragments: &[&[Vec<u32>]],
    ) -> Result<BatchEncoding> {
        let MoleculeVectors { global, parts, segments } = self.molecule.forward(batch)?;
        let (mut atoms, mut sets) = (Grouping::default(), Grouping::default());
        for (range, fragments) in segments.ranges().zip(fragments) {
            atoms.push(range.start, (0..range.len()).map(|atom| [atom]));
            sets.push(range.start, fragments.iter().map(|set| set.iter().map(|&a| a as usize)));
        }
        Ok(BatchEncoding {
            global,
            tokens: group(&parts, &atoms)?,
            fragments: group(&parts, &sets)?,
        })
    }

    /// Encodes texts.
    pub(crate) fn texts(&self, batch: &[&TextInput]) -> Result<BatchEncoding> {
        let ids: Vec<&[u32]> = batch.iter().map(|t| t.ids.as_slice()).collect();
        let (hidden, segments) = self.text.forward(&ids)?;
        self.text_levels(&hidden, &segments, batch)
    }

    /// The levels of texts whose hidden vectors are known.
    pub(crate) fn text_levels(
        &self,
        hidden: &Tensor,
        segments: &Arc<Segments>,
        batch: &[&TextInput],
    ) -> Result<BatchEncoding> {
        let TextVectors { global, parts } = self.text.vectors(hidden, segments, batch)?;
        let (mut words, mut phrases) = (Grouping::default(), Grouping::default());
        for (input, range) in batch.iter().zip(segments.ranges()) {
            words.push(range.start, input.words.iter().map(|w| w.pieces.clone()));
            phrases
                .push(range.start, input.phrases.iter().map(|phrase| input.pieces(phrase.clone())));
        }
        Ok(BatchEncoding {
            global,
            tokens: group(&parts, &words)?,
            fragments: group(&parts, &phrases)?,
        })
    }
}
