//! The language model loss.

use candle_core::{D, DType, Device, Tensor};

use super::T5Config;
use crate::error::{EncoderError, Result};

/// Label of a position that does not count.
pub const IGNORED: i64 = -100;

/// The negative log-likelihood of labels.
#[derive(Clone, Debug)]
pub struct LmLoss {
    /// [rows, t]; 0 where the label is ignored.
    pub token_nll: Tensor,
    /// Mean over the labels that count; 0 when none does. A scalar.
    pub mean: Tensor,
}

impl LmLoss {
    /// Loss of `logits` [rows, t, vocabulary] for `labels` [rows, t] (i64, -100 where nothing counts).
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn of(logits: &Tensor, labels: &Tensor) -> Result<Self> {
        let counts = labels.ge(0i64)?;
        let mask = counts.to_dtype(DType::F32)?;
        let zeros = labels.zeros_like()?;
        let chosen = counts.where_cond(labels, &zeros)?.unsqueeze(D::Minus1)?.contiguous()?;
        // log sum exp - logit; the shift cancels, so no gradient need flow through it.
        let shift = logits.detach().max_keepdim(D::Minus1)?;
        let shifted = logits.broadcast_sub(&shift)?;
        let total = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
        let nll = (total - shifted.gather(&chosen, D::Minus1)?)?.squeeze(D::Minus1)?;
        let token_nll = (nll * &mask)?;
        let count = mask.sum_all()?.maximum(1.0)?;
        let mean = (token_nll.sum_all()? / count)?;
        Ok(Self { token_nll, mean })
    }
}

/// Decoder input and labels for target sequences (ids with the end id, no padding).
#[derive(Clone, Debug)]
pub struct Targets {
    /// [rows, t] u32: the start id, then the target without its last id, then padding.
    pub decoder_ids: Tensor,
    /// [rows, t] i64: the target, then -100.
    pub labels: Tensor,
}

impl Targets {
    /// Pads the targets to the longest of them.
    ///
    /// # Errors
    /// When there is no target, one is empty, or an id is not below the vocabulary size.
    pub fn new<S: AsRef<[u32]>>(targets: &[S], config: &T5Config, device: &Device) -> Result<Self> {
        let longest = targets.iter().map(|ids| ids.as_ref().len()).max().unwrap_or(0);
        let mut decoder_ids = Vec::with_capacity(targets.len() * longest);
        let mut labels = Vec::with_capacity(targets.len() * longest);
        for (index, ids) in targets.iter().map(AsRef::as_ref).enumerate() {
            let fail = |reason: String| EncoderError::Text { index, reason };
            let Some((_, all_but_last)) = ids.split_last() else {
                return Err(fail("the target is empty; it needs at least the end id".into()));
            };
            if let Some(id) = ids.iter().find(|&&id| id as usize >= config.vocab_size) {
                return Err(fail(format!(
                    "id {id} is not below the vocabulary size {}",
                    config.vocab_size
                )));
            }
            let padding = longest - ids.len();
            decoder_ids.push(config.decoder_start_token_id);
            decoder_ids.extend_from_slice(all_but_last);
            decoder_ids.extend(std::iter::repeat_n(config.pad_token_id, padding));
            labels.extend(ids.iter().map(|&id| i64::from(id)));
            labels.extend(std::iter::repeat_n(IGNORED, padding));
        }
        if longest == 0 {
            return Err(EncoderError::Config("there is no target to learn".into()));
        }
        let shape = (targets.len(), longest);
        Ok(Self {
            decoder_ids: Tensor::from_vec(decoder_ids, shape, device)?,
            labels: Tensor::from_vec(labels, shape, device)?,
        })
    }
}
