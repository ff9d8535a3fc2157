//! The shape of a T5: what a Hugging Face `config.json` says, and which of it is supported.

use serde::{Deserialize, Serialize};

use super::bias::Buckets;
use crate::error::{EncoderError, Result};

/// Most layers, heads or units of one dimension that a config may ask for; a guard against damaged files.
const MAX_DIMENSION: usize = 1 << 20;

/// Sizes and switches of a T5, under the names of Hugging Face's `config.json`; keys that do not change what is computed
/// are ignored.
///
/// Supported: T5 v1.1 (gated GELU in tanh form, output head of its own; MolT5 is one) and v1.0 (ReLU, output head tied to
/// the embedding and scaled by `1/sqrt(d_model)`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct T5Config {
    /// `t5`; other families (`umt5`, `longt5`) compute something else and are refused.
    #[serde(default = "t5")]
    pub model_type: String,
    /// Rows of the embedding; at least the tokenizer's vocabulary.
    pub vocab_size: usize,
    /// Width of the hidden vectors.
    pub d_model: usize,
    /// Width of one attention head; heads times this need not be `d_model`.
    pub d_kv: usize,
    /// Width inside the feed-forward sub-layer.
    pub d_ff: usize,
    /// Layers of the encoder.
    pub num_layers: usize,
    /// Layers of the decoder; as many as the encoder's when absent.
    #[serde(default)]
    pub num_decoder_layers: Option<usize>,
    /// Attention heads.
    pub num_heads: usize,
    /// Buckets of relative positions.
    #[serde(default = "buckets")]
    pub relative_attention_num_buckets: usize,
    /// Distance from which all positions share the last bucket.
    #[serde(default = "max_distance")]
    pub relative_attention_max_distance: usize,
    /// Probability of dropout in training.
    #[serde(default = "dropout")]
    pub dropout_rate: f64,
    /// Epsilon of the RMS norms.
    #[serde(default = "epsilon")]
    pub layer_norm_epsilon: f64,
    /// The feed-forward sub-layer.
    #[serde(default)]
    pub feed_forward_proj: FeedForwardKind,
    /// Whether the output head is the embedding itself. Hugging Face's default, when absent, is that it is.
    #[serde(default = "yes")]
    pub tie_word_embeddings: bool,
    /// Id of padding.
    #[serde(default)]
    pub pad_token_id: u32,
    /// Id that ends a sequence.
    #[serde(default = "eos")]
    pub eos_token_id: u32,
    /// Id with which the decoder begins.
    #[serde(default)]
    pub decoder_start_token_id: u32,
}

/// The feed-forward sub-layer of a T5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FeedForwardKind {
    /// `wo(relu(wi x))`: T5 v1.0.
    #[default]
    #[serde(rename = "relu")]
    Relu,
    /// `wo(gelu(wi_0 x) * wi_1 x)` with the tanh form of GELU: T5 v1.1 (Shazeer, arXiv 2002.05202).
    #[serde(rename = "gated-gelu")]
    GatedGelu,
}

impl T5Config {
    /// Reads a Hugging Face `config.json`.
    ///
    /// # Errors
    /// Names the key that is missing, out of range or not supported.
    pub fn from_json(json: &str) -> Result<Self> {
        let config: Self = serde_json::from_str(json).map_err(|e| {
            EncoderError::Config(format!("not the config of a T5 that this program reads: {e}"))
        })?;
        config.check()?;
        Ok(config)
    }

    /// Layers of the decoder.
    #[must_use]
    pub fn decoder_layers(&self) -> usize {
        self.num_decoder_layers.unwrap_or(self.num_layers)
    }

    /// Width of all heads together.
    #[must_use]
    pub fn inner(&self) -> usize {
        self.num_heads * self.d_kv
    }

    /// Buckets of the encoder (two-sided) or the decoder (one-sided).
    pub(crate) fn buckets(&self, two_sided: bool) -> Buckets {
        Buckets {
            two_sided,
            count: self.relative_attention_num_buckets,
            max_distance: self.relative_attention_max_distance,
        }
    }

    /// Checks that the numbers fit together.
    ///
    /// # Errors
    /// Names the first key that does not, and its bound.
    pub fn check(&self) -> Result<()> {
        let fail = |reason: String| Err(EncoderError::Config(reason));
        if self.model_type != "t5" {
            let found = &self.model_type;
            return fail(format!("model_type is `{found}`, only `t5` is supported"));
        }
        for (key, value) in [
            ("vocab_size", self.vocab_size),
            ("d_model", self.d_model),
            ("d_kv", self.d_kv),
            ("d_ff", self.d_ff),
            ("num_layers", self.num_layers),
            ("num_decoder_layers", self.decoder_layers()),
            ("num_heads", self.num_heads),
        ] {
            if value == 0 || value > MAX_DIMENSION {
                return fail(format!("{key} is {value}, must be 1..={MAX_DIMENSION}"));
            }
        }
        let (buckets, distance) =
            (self.relative_attention_num_buckets, self.relative_attention_max_distance);
        if buckets < 4 || buckets % 4 != 0 || distance <= buckets / 2 || distance > MAX_DIMENSION {
            return fail(format!(
                "relative_attention_num_buckets is {buckets} and relative_attention_max_distance {distance}; the first \
                 must be a multiple of 4, the second more than half of it"
            ));
        }
        let epsilons = f64::MIN_POSITIVE..1.0;
        if !(0.0..1.0).contains(&self.dropout_rate) || !epsilons.contains(&self.layer_norm_epsilon)
        {
            return fail(
                "dropout_rate must be in 0..1 and layer_norm_epsilon positive and below 1".into(),
            );
        }
        let ids = [self.pad_token_id, self.eos_token_id, self.decoder_start_token_id];
        match ids.into_iter().find(|&id| id as usize >= self.vocab_size) {
            Some(id) => fail(format!("token id {id} is not below vocab_size {}", self.vocab_size)),
            None => Ok(()),
        }
    }
}

fn t5() -> String {
    "t5".into()
}
fn buckets() -> usize {
    32
}
fn max_distance() -> usize {
    128
}
fn dropout() -> f64 {
    0.1
}
fn epsilon() -> f64 {
    1e-6
}
fn yes() -> bool {
    true
}
fn eos() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1_1: &str = r#"{"architectures":["T5ForConditionalGeneration"],"d_ff":2048,"d_kv":64,"d_model":768,
        "decoder_start_token_id":0,"dropout_rate":0.1,"eos_token_id":1,"feed_forward_proj":"gated-gelu",
        "initializer_factor":1.0,"is_encoder_decoder":true,"layer_norm_epsilon":1e-06,"model_type":"t5",
        "num_decoder_layers":12,"num_heads":12,"num_layers":12,"output_past":true,"pad_token_id":0,
        "relative_attention_num_buckets":32,"tie_word_embeddings":false,"use_cache":true,"vocab_size":32128}"#;

    #[test]
    fn a_v1_1_config_is_read_and_what_is_absent_has_the_published_default() {
        let config = T5Config::from_json(V1_1).expect("valid");
        assert_eq!((config.inner(), config.relative_attention_max_distance), (768, 128));
        assert!(!config.tie_word_embeddings);
        let old = V1_1.replace(r#""feed_forward_proj":"gated-gelu","#, "");
        let old = T5Config::from_json(&old.replace(r#""tie_word_embeddings":false,"#, ""));
        let old = old.expect("valid");
        assert_eq!((old.feed_forward_proj, old.tie_word_embeddings), (FeedForwardKind::Relu, true));
    }

    #[test]
    fn what_is_not_supported_is_named() {
        for (from, to, word) in [
            ("gated-gelu", "gated-silu", "gated-silu"),
            (r#""model_type":"t5""#, r#""model_type":"umt5""#, "umt5"),
            (r#""d_kv":64"#, r#""d_kv":0"#, "d_kv"),
            (r#""num_layers":12"#, r#""num_layers":99999999999"#, "num_layers"),
            (r#""eos_token_id":1"#, r#""eos_token_id":32128"#, "32128"),
            (r#"buckets":32"#, r#"buckets":3"#, "buckets"),
            (r#""d_model":768,"#, "", "d_model"),
        ] {
            let error = T5Config::from_json(&V1_1.replace(from, to)).expect_err(word).to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
