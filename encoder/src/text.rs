//! The text tower: a BERT-like transformer over word pieces (all-MiniLM-L6-v2 is one).

use std::{ops::Range, sync::Arc};

use candle_core::{Device, Tensor};

use crate::{
    config::{ModelConfig, TextConfig},
    error::Result,
    features::FeatureTable,
    head::{Head, Parts, Pooling},
    layers::{LayerNorm, Layout, NormOrder, Stack, StackShape},
    ops::{self, AttentionPlan},
    params::{Init, ParamSpec, Params},
    ragged::Segments,
    tokenize::TextInput,
};

/// BERT's epsilon.
const EPS: f32 = 1e-12;
/// Names of the feature tables.
const GLOBAL_FEATURES: &str = "text.features.global";
pub(crate) const FEATURE_IDF: &str = "text.features.idf";

/// The text tower's weights.
#[derive(Clone, Debug)]
pub(crate) struct TextTower {
    words: Tensor,
    positions: Tensor,
    norm: LayerNorm,
    stack: Stack,
    head: Head,
    /// What stands beside the transformer, of whole texts.
    features: Option<FeatureTable>,
}

/// What the tower makes of texts whose hidden vectors are known.
pub(crate) struct TextVectors {
    /// Unit vectors [texts, global_dim].
    pub(crate) global: Tensor,
    /// Of every word piece.
    pub(crate) parts: Parts,
}

impl TextTower {
    fn shape(config: &TextConfig) -> StackShape {
        let TextConfig { layers, width, heads, ffn, .. } = *config;
        StackShape { layers, width, heads, ffn, order: NormOrder::Post, eps: EPS }
    }

    pub(crate) fn specs(config: &ModelConfig) -> Vec<ParamSpec> {
        let text = &config.text;
        let mut specs = vec![
            ParamSpec::new("text.words", &[text.vocabulary, text.width], Init::Normal(0.02)),
            ParamSpec::new("text.positions", &[text.positions, text.width], Init::Normal(0.02)),
        ];
        specs.extend(LayerNorm::specs("text.norm", text.width));
        specs.extend(Stack::specs("text", &Self::shape(text)));
        specs.extend(Head::specs(
            "text.head",
            text.width,
            Pooling::Mean,
            (config.global_dim, config.part_dim),
        ));
        if let Some(features) = &config.features {
            let rows = features.text_rows;
            specs.push(FeatureTable::spec(GLOBAL_FEATURES, rows, config.global_dim));
            specs.push(FeatureTable::idf_spec(FEATURE_IDF, rows));
        }
        specs
    }

    pub(crate) fn load(params: &Params, config: &ModelConfig) -> Result<Self> {
        Ok(Self {
            words: params.get("text.words")?,
            positions: params.get("text.positions")?,
            norm: LayerNorm::load(params, "text.norm", EPS)?,
            stack: Stack::load(params, "text", Self::shape(&config.text))?,
            head: Head::load(params, "text.head", Pooling::Mean)?,
            features: FeatureTable::load(params, &config.features, (GLOBAL_FEATURES, FEATURE_IDF))?,
        })
    }

    /// Where its weights are.
    pub(crate) fn device(&self) -> &Device {
        self.words.device()
    }

    pub(crate) fn layers(&self) -> usize {
        self.stack.layers()
    }

    /// Embedded word pieces of whole texts, normalised: [pieces of all texts, width].
    pub(crate) fn embed(&self, batch: &[&[u32]]) -> Result<Tensor> {
        let ids = batch.iter().flat_map(|ids| ids.iter().copied()).collect();
        let places = batch.iter().flat_map(|ids| 0..ids.len() as u32).collect();
        self.embed_at(ids, places)
    }

    /// Embedded word pieces at these places of their texts, normalised: [ids.len(), width].
    pub(crate) fn embed_at(&self, ids: Vec<u32>, places: Vec<u32>) -> Result<Tensor> {
        let words = ops::select_rows(&self.words, ids)?;
        let positions = ops::select_rows(&self.positions, places)?;
        self.norm.forward(&ops::add(&words, &positions)?)
    }

    /// Runs the chosen layers.
    pub(crate) fn layers_forward(
        &self,
        x: &Tensor,
        segments: &Arc<Segments>,
        layers: Range<usize>,
    ) -> Result<Tensor> {
        let plan = AttentionPlan::new(segments, None, x.device())?;
        self.stack.forward(x, &Layout { plan, bias: None }, layers)
    }

    /// Hidden vectors of all word pieces and the texts' segments.
    pub(crate) fn forward(&self, batch: &[&[u32]]) -> Result<(Tensor, Arc<Segments>)> {
        let segments = Arc::new(Segments::from_lengths(batch.iter().map(|ids| ids.len())));
        let x = self.embed(batch)?;
        Ok((self.layers_forward(&x, &segments, 0..self.layers())?, segments))
    }

    /// Vectors of texts from the hidden vectors of their pieces.
    pub(crate) fn vectors(
        &self,
        hidden: &Tensor,
        segments: &Arc<Segments>,
        batch: &[&TextInput],
    ) -> Result<TextVectors> {
        let global = self.global_features(batch)?;
        Ok(TextVectors {
            global: self.head.global(hidden, segments, global)?,
            parts: self.head.parts(hidden, segments)?,
        })
    }

    /// From now on it only encodes, on the CPU.
    pub(crate) fn pack(&mut self) -> Result<()> {
        self.stack.pack()
    }

    /// From now on the transformer stands alone.
    pub(crate) fn leave_features_out(&mut self) {
        self.features = None;
    }

    /// What the features of whole texts add, [texts, global_dim].
    pub(crate) fn global_features(&self, batch: &[&TextInput]) -> Result<Option<Tensor>> {
        let sum = |table: &FeatureTable| table.forward(batch.iter().map(|text| &text.features));
        self.features.as_ref().map(sum).transpose()
    }

    /// Unit global vectors [texts, global_dim] of the transformer alone.
    pub(crate) fn plain_global(&self, batch: &[&[u32]]) -> Result<Tensor> {
        let (hidden, segments) = self.forward(batch)?;
        self.head.global(&hidden, &segments, None)
    }
}

/// An index tensor on the CPU.
pub(crate) fn index(ids: Vec<u32>) -> Result<Tensor> {
    let count = ids.len();
    Ok(Tensor::from_vec(ids, count, &Device::Cpu)?)
}
