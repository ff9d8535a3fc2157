//! The shape of an Atomas: what its `config.json` says.

use serde::{Deserialize, Serialize};

use super::alignment::HierarchyShape;
use crate::{
    config::{FORMAT_VERSION, LevelWeights},
    error::{EncoderError, Result},
    params::{Init, ParamSpec},
    t5::{self, T5Config},
};

/// How sequences of different lengths are brought together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// Every sequence is padded to `max_tokens`, and padding is computed with, as the released weights expect: it enters
    /// the global vector, takes part in clustering, and decides the number of clusters.
    Faithful,
    /// Sequences have their own lengths and padding changes nothing. The end mark is no token of any level.
    Masked,
}

/// Everything that decides the names and shapes of an Atomas's weights, and how its inputs are read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtomasConfig {
    /// Always `atomas`.
    pub kind: AtomasKind,
    /// Name of the model.
    pub name: String,
    /// Layout of the model directory.
    pub format_version: u32,
    /// The encoder and decoder that both modalities share.
    pub t5: T5Config,
    /// Treatment of padding.
    pub padding: Padding,
    /// Longest sequence in tokens, the end mark included; what is beyond is not read. Positions of the layer that sums
    /// tokens into the global vector.
    pub max_tokens: usize,
    /// Clusters per token from tokens to fragments, and per fragment from those to the third level.
    pub cluster_ratios: [f64; 2],
    /// Attention heads over clusters; must divide `t5.d_model`.
    pub cluster_heads: usize,
    /// Which level a search compares as fragments: 1 (finer) or 2.
    pub fragment_level: usize,
    /// Most atoms of a molecule that is taken in.
    pub max_atoms: usize,
    /// Default weights of the three levels in a reranked score, from validation.
    pub level_weights: LevelWeights,
}

/// The kind of a model directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AtomasKind {
    /// This one.
    #[default]
    #[serde(rename = "atomas")]
    Atomas,
}

impl AtomasConfig {
    /// Reads and checks a `config.json`.
    ///
    /// # Errors
    /// Names the field that is wrong.
    pub fn from_json(json: &str) -> Result<Self> {
        let config: Self =
            serde_json::from_str(json).map_err(|e| EncoderError::Config(e.to_string()))?;
        config.check()?;
        Ok(config)
    }

    /// Checks that the numbers fit together.
    ///
    /// # Errors
    /// Names the first field that does not, and its bound.
    pub fn check(&self) -> Result<()> {
        self.t5.check()?;
        let fail = |reason: String| Err(EncoderError::Config(reason));
        if self.format_version != FORMAT_VERSION {
            return fail(format!(
                "format_version is {}, this program reads {FORMAT_VERSION}; use the program that wrote the model",
                self.format_version
            ));
        }
        let (width, heads) = (self.t5.d_model, self.cluster_heads);
        if heads == 0 || width % heads != 0 {
            return fail(format!("cluster_heads is {heads}, must divide t5.d_model {width}"));
        }
        if let Some(ratio) = self.cluster_ratios.iter().find(|&&r| !(r > 0.0 && r <= 1.0)) {
            return fail(format!("a cluster ratio is {ratio}, must be above 0 and at most 1"));
        }
        if !(4..=1 << 16).contains(&self.max_tokens) {
            return fail(format!("max_tokens is {}, must be 4..=65536", self.max_tokens));
        }
        if !(1..=2).contains(&self.fragment_level) {
            return fail(format!("fragment_level is {}, must be 1 or 2", self.fragment_level));
        }
        if self.max_atoms == 0 {
            return fail("max_atoms must be positive".into());
        }
        Ok(())
    }

    pub(super) fn hierarchy(&self) -> HierarchyShape {
        HierarchyShape { heads: self.cluster_heads, ratios: self.cluster_ratios }
    }

    /// Weights of the T5 under `prefix`.
    pub(super) fn t5_specs(&self, prefix: &str) -> impl Iterator<Item = ParamSpec> {
        let specs = t5::weights::specs(&self.t5).into_iter();
        specs.map(move |spec| ParamSpec { name: format!("{prefix}{}", spec.name), ..spec })
    }

    /// Weights of the layer that sums the tokens of a sequence; it begins as their plain sum.
    pub(super) fn linear_specs(&self, name: &str) -> [ParamSpec; 2] {
        let even = Init::Value(1.0 / (self.max_tokens as f32).sqrt());
        [
            ParamSpec::new(format!("{name}.weight"), &[1, self.max_tokens], even),
            ParamSpec::new(format!("{name}.bias"), &[1], Init::Zeros),
        ]
    }
}
