//! T5, an encoder-decoder transformer (Raffel et al., arXiv 1910.10683), as Hugging Face's checkpoints describe it.
//!
//! Weights stand under Hugging Face's names. Every operation is plain candle, so a model built from variables can be
//! trained. Padding is masked as a key and still computed as a query, so outputs at padded positions exist.

mod attention;
mod bias;
mod config;
mod decoder;
mod encoder;
pub mod generate;
mod layers;
mod loss;
pub mod tokenizer;
pub mod translate;
pub(crate) mod weights;

use std::{collections::HashMap, path::Path};

use candle_core::{DType, Device, Tensor};

pub use self::{
    bias::Buckets,
    config::{FeedForwardKind, T5Config},
    decoder::DecoderCache,
    layers::Dropout,
    loss::{IGNORED, LmLoss, Targets},
};
use self::{
    decoder::DecoderStack, encoder::EncoderStack, layers::Linear, tokenizer::ModelTokenizer,
};
use crate::{
    error::{EncoderError, Result},
    fingerprint,
};

/// A T5 with its weights, in f32.
///
/// In all shapes `b` counts rows, `n` source positions, `t` target positions, `d` is `d_model`. Ids are u32 tensors; masks
/// are 1 for tokens and 0 for padding, of any dtype.
#[derive(Clone, Debug)]
pub struct T5 {
    config: T5Config,
    embedding: Tensor,
    encoder: EncoderStack,
    decoder: DecoderStack,
    head: Linear,
}

impl T5 {
    /// Builds the model from wherever `source` finds each weight, by its Hugging Face name and shape.
    ///
    /// # Errors
    /// What `source` says, or the config's own error.
    pub fn load(
        config: &T5Config,
        mut source: impl FnMut(&str, &[usize]) -> Result<Tensor>,
    ) -> Result<Self> {
        config.check()?;
        let source = &mut source;
        let shape = [config.vocab_size, config.d_model];
        let embedding = source("shared.weight", &shape)?;
        let encoder = EncoderStack::load(source, config)?;
        let decoder = DecoderStack::load(source, config)?;
        let head = match config.tie_word_embeddings {
            true => embedding.clone(),
            false => source("lm_head.weight", &shape)?,
        };
        let head = Linear::from_weight(head);
        Ok(Self { config: config.clone(), embedding, encoder, decoder, head })
    }

    /// Builds the model from tensors (or `Var::as_tensor().clone()`, to train) by Hugging Face's names.
    ///
    /// # Errors
    /// Names the weight that is missing or has another shape.
    pub fn from_tensors(config: &T5Config, tensors: &HashMap<String, Tensor>) -> Result<Self> {
        Self::load(config, |name, shape| match tensors.get(name) {
            Some(tensor) if tensor.dims() == shape => Ok(tensor.clone()),
            Some(tensor) => Err(EncoderError::Config(format!(
                "weight `{name}` has shape {:?}, the config says {shape:?}",
                tensor.dims()
            ))),
            None => Err(EncoderError::Config(format!("no weight named `{name}`"))),
        })
    }

    /// Reads a Hugging Face safetensors checkpoint. Copies of the embedding under its other names are accepted when they
    /// are equal to it.
    ///
    /// # Errors
    /// Names the weight that is missing, extra, or of another shape or dtype than the config says.
    pub fn from_safetensors(config: &T5Config, path: &Path) -> Result<Self> {
        let params = weights::read(path, config)?;
        Self::load(config, |name, _| params.get(name))
    }

    /// Opens a model directory (`config.json`, `model.safetensors`, `tokenizer.json`, `SHA256SUMS`), as
    /// [`crate::convert`] writes it.
    ///
    /// # Errors
    /// Names the file, and the weight or key, that is missing or differs.
    pub fn open(dir: &Path) -> Result<(Self, ModelTokenizer)> {
        fingerprint::verify(dir)?;
        let path = dir.join("config.json");
        let json = std::fs::read_to_string(&path)
            .map_err(|source| EncoderError::Io { path: path.clone(), source })?;
        let config = T5Config::from_json(&json)
            .map_err(|e| EncoderError::Model { path, reason: e.to_string() })?;
        let tokenizer = ModelTokenizer::load(&dir.join("tokenizer.json"), &config)?;
        Ok((Self::from_safetensors(&config, &dir.join("model.safetensors"))?, tokenizer))
    }

    /// Where the weights are.
    #[must_use]
    pub fn device(&self) -> &Device {
        self.embedding.device()
    }

    /// The model's shape.
    #[must_use]
    pub fn config(&self) -> &T5Config {
        &self.config
    }

    /// Hidden vectors [b, n, d] of `ids` [b, n] under `mask` [b, n].
    ///
    /// # Errors
    /// When shapes do not fit or the tensor library fails.
    pub fn encode(&self, ids: &Tensor, mask: &Tensor) -> Result<Tensor> {
        self.encode_with_dropout(ids, mask, &mut Dropout::off())
    }

    /// As [`Self::encode`], in training.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_with_dropout(
        &self,
        ids: &Tensor,
        mask: &Tensor,
        dropout: &mut Dropout,
    ) -> Result<Tensor> {
        let embedded = self.embed(ids)?;
        let mut states = self.encoder.forward(embedded, &mask_bias(mask)?, dropout)?;
        Ok(states.pop().expect("a stack has an output"))
    }

    /// The input of each encoder layer and, last, the encoder's normed output; each [b, n, d].
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_layers(&self, ids: &Tensor, mask: &Tensor) -> Result<Vec<Tensor>> {
        self.encoder.forward(self.embed(ids)?, &mask_bias(mask)?, &mut Dropout::off())
    }

    /// Decoder's normed hidden vectors [b, t, d] for `decoder_ids` [b, t] (from the start id on), each position seeing
    /// itself and those before it, and the encoder's `hidden` [b, n, d] where `mask` [b, n] allows.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn decode(&self, decoder_ids: &Tensor, hidden: &Tensor, mask: &Tensor) -> Result<Tensor> {
        self.decode_with(decoder_ids, None, hidden, mask, &mut Dropout::off())
    }

    /// As [`Self::decode`], in training, and with a mask [b, t] over the decoder's own ids where one is given. Such a mask
    /// changes only what is computed at masked positions, since padding stands last.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn decode_with(
        &self,
        decoder_ids: &Tensor,
        decoder_mask: Option<&Tensor>,
        hidden: &Tensor,
        mask: &Tensor,
        dropout: &mut Dropout,
    ) -> Result<Tensor> {
        let own = decoder_mask.map(mask_bias).transpose()?;
        let mut cache = self.start(hidden, mask)?;
        self.decoder.forward(self.embed(decoder_ids)?, own.as_ref(), &mut cache, dropout)
    }

    /// Logits [b, t, vocabulary] of the decoder's hidden vectors [b, t, d].
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn logits(&self, decoded: &Tensor) -> Result<Tensor> {
        if !self.config.tie_word_embeddings {
            return self.head.forward(decoded);
        }
        // A head tied to the embedding, whose rows have length sqrt(d), expects inputs scaled by its inverse.
        self.head.forward(&decoded.affine((self.config.d_model as f64).powf(-0.5), 0.0)?)
    }

    /// Loss of the targets given the encoder's output: decode, logits, mean over the labels that count.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn lm_loss(
        &self,
        targets: &Targets,
        hidden: &Tensor,
        mask: &Tensor,
        dropout: &mut Dropout,
    ) -> Result<LmLoss> {
        let decoded = self.decode_with(&targets.decoder_ids, None, hidden, mask, dropout)?;
        LmLoss::of(&self.logits(&decoded)?, &targets.labels)
    }

    /// A cache for decoding step by step, over the encoder's `hidden` [b, n, d] and `mask` [b, n].
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn start(&self, hidden: &Tensor, mask: &Tensor) -> Result<DecoderCache> {
        self.decoder.start(hidden, mask_bias(mask)?)
    }

    /// Logits [rows, vocabulary] after one more id for every row; the rows are `b`, or a multiple of it with the rows of
    /// one source in a run.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn step(&self, ids: &[u32], cache: &mut DecoderCache) -> Result<Tensor> {
        let ids = Tensor::from_vec(ids.to_vec(), (ids.len(), 1), self.device())?;
        let decoded = self.decoder.forward(self.embed(&ids)?, None, cache, &mut Dropout::off())?;
        Ok(self.logits(&decoded)?.squeeze(1)?)
    }

    /// Learned attention bias [1, heads, n, n] of the encoder's position pairs.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn encoder_position_bias(&self, n: usize) -> Result<Tensor> {
        self.encoder.position_bias(n)
    }

    /// Learned attention bias [1, heads, n, n] of the decoder's position pairs, before the causal mask.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn decoder_position_bias(&self, n: usize) -> Result<Tensor> {
        self.decoder.position_bias(n)
    }

    fn embed(&self, ids: &Tensor) -> Result<Tensor> {
        let (rows, positions) = ids.dims2()?;
        let flat = self.embedding.index_select(&ids.flatten_all()?, 0)?;
        Ok(flat.reshape((rows, positions, self.config.d_model))?)
    }
}

/// Additive mask [b, 1, 1, n]: 0 for tokens, the least f32 for padding.
fn mask_bias(mask: &Tensor) -> Result<Tensor> {
    let (rows, positions) = mask.dims2()?;
    let hidden = mask.to_dtype(DType::F32)?.affine(f64::from(f32::MAX), f64::from(f32::MIN))?;
    Ok(hidden.reshape((rows, 1, 1, positions))?)
}
