//! The shape of a two-tower model: what its `config.json` says.

use serde::{Deserialize, Serialize};

use crate::error::{EncoderError, Result};

/// Version of the model directory's layout that this code writes and reads.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// Everything that decides the names and shapes of a model's weights, and how its inputs are read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Name of the model.
    pub name: String,
    /// Layout of the model directory.
    pub format_version: u32,
    /// Length of the global vector.
    pub global_dim: usize,
    /// Length of fragment and token vectors.
    pub part_dim: usize,
    /// Default weights of the three levels in a reranked score, from validation.
    pub level_weights: LevelWeights,
    /// The graph transformer over atoms.
    pub molecule: MoleculeConfig,
    /// The transformer over word pieces.
    pub text: TextConfig,
    /// Tables of hashed features beside the transformers; a model may have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<FeatureConfig>,
}

/// The tables of hashed features.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureConfig {
    /// Rows of the tables of texts: words, their neighbours and n-grams.
    pub text_rows: u32,
    /// Rows of the table of molecules: environments and counts.
    pub molecule_rows: u32,
}

/// How much each level counts in a reranked score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelWeights {
    /// Weight of the cosine of the global vectors.
    pub global: f32,
    /// Weight of the late interaction between fragments and phrases.
    pub fragment: f32,
    /// Weight of the late interaction between atoms and words.
    pub token: f32,
}

/// The molecule tower.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoleculeConfig {
    /// Transformer layers (norm before each sub-layer).
    pub layers: usize,
    /// Width of the hidden vectors.
    pub width: usize,
    /// Attention heads; must divide the width.
    pub heads: usize,
    /// Width inside the feed-forward sub-layer.
    pub ffn: usize,
    /// Rows of the hashed tables for Morgan environments of radius 0, 1 and 2.
    pub environment_rows: [u32; 3],
    /// Rows of the hashed table for environments that carry stereo.
    pub stereo_rows: u32,
    /// Most heavy atoms of one molecule.
    pub max_atoms: usize,
}

/// The text tower.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextConfig {
    /// Word pieces in the vocabulary.
    pub vocabulary: usize,
    /// Learned absolute positions.
    pub positions: usize,
    /// Transformer layers (norm after each sub-layer, as in BERT).
    pub layers: usize,
    /// Width of the hidden vectors.
    pub width: usize,
    /// Attention heads; must divide the width.
    pub heads: usize,
    /// Width inside the feed-forward sub-layer.
    pub ffn: usize,
    /// Longest text in word pieces, the two markers included; at most `positions`.
    pub max_tokens: usize,
}

impl ModelConfig {
    /// Checks that the numbers fit together.
    ///
    /// # Errors
    /// Names the first field that does not, and its bound.
    pub fn check(&self) -> Result<()> {
        let fail = |reason: String| Err(EncoderError::Config(reason));
        if self.format_version != FORMAT_VERSION {
            return fail(format!(
                "format_version is {}, this program reads {FORMAT_VERSION}; use the program that wrote the model",
                self.format_version
            ));
        }
        for (room, width, heads, ffn) in [
            ("molecule", self.molecule.width, self.molecule.heads, self.molecule.ffn),
            ("text", self.text.width, self.text.heads, self.text.ffn),
        ] {
            if ffn == 0 {
                return fail(format!("{room}.ffn must be positive"));
            }
            if heads == 0 || width == 0 || width % heads != 0 {
                return fail(format!(
                    "{room}.width {width} must be a positive multiple of {room}.heads {heads}"
                ));
            }
        }
        if self.text.max_tokens > self.text.positions || self.text.max_tokens < 3 {
            let bound = self.text.positions;
            return fail(format!(
                "text.max_tokens is {}, must be 3..={bound}",
                self.text.max_tokens
            ));
        }
        if self.molecule.environment_rows.contains(&0) || self.molecule.stereo_rows == 0 {
            return fail(
                "molecule.environment_rows and molecule.stereo_rows must be positive".into(),
            );
        }
        if self.features.is_some_and(|f| f.text_rows == 0 || f.molecule_rows == 0) {
            return fail("features.text_rows and features.molecule_rows must be positive".into());
        }
        if self.global_dim == 0 || self.part_dim == 0 || self.molecule.max_atoms == 0 {
            return fail("global_dim, part_dim and molecule.max_atoms must be positive".into());
        }
        Ok(())
    }
}
