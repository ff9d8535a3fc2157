//! From SMILES and text to ids and back.
//!
//! [`T5Tokenizer`] reads the unigram vocabulary of a released T5; its alphabet has no backslash, so some stereo bonds are
//! lost on the way. [`JointTokenizer`] is our own, for models trained here: it loses nothing, of a SMILES or of a text.

mod either;
mod joint;
mod learn;
mod smiles;
mod unigram;

use std::ops::Range;

use candle_core::{Device, Tensor};

pub use self::{
    either::ModelTokenizer, joint::JointTokenizer, learn::learn_text_pieces, unigram::T5Tokenizer,
};
use crate::error::{EncoderError, Result};

/// Longest input in bytes that is read; what a model can take in is far below.
pub const MAX_INPUT_BYTES: usize = 1 << 20;

/// A SMILES or a text as a model reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Ids, the end id last.
    pub ids: Vec<u32>,
    /// For each id the bytes of the input that it stands for, on character borders; empty for the end id.
    pub spans: Vec<Range<usize>>,
    /// For each id of a SMILES the atom that it is a part of, counted as atoms are written, explicit hydrogens included;
    /// none for bonds, rings and branches, and in texts.
    pub atoms: Vec<Option<u32>>,
    /// Whether the input was longer than allowed and its tail is missing.
    pub truncated: bool,
}

impl Tokens {
    /// Ids and spans that end with the end id, cut so that with it there are at most `max_tokens`.
    fn closed(mut self, max_tokens: usize, end: u32) -> Self {
        let kept = max_tokens.saturating_sub(1);
        self.truncated = self.ids.len() > kept;
        self.ids.truncate(kept);
        self.spans.truncate(kept);
        self.atoms.resize(kept.min(self.ids.len()), None);
        let last = self.spans.last().map_or(0, |span| span.end);
        self.ids.push(end);
        self.spans.push(last..last);
        self.atoms.push(None);
        self
    }
}

/// Rows of ids padded to one length, and their mask.
#[derive(Clone, Debug)]
pub struct PaddedBatch {
    /// [rows, n] u32.
    pub ids: Tensor,
    /// [rows, n] u8: 1 for ids, 0 for padding.
    pub mask: Tensor,
}

impl PaddedBatch {
    /// Pads rows to `length`, or to the longest of them.
    ///
    /// # Errors
    /// When there is no row, a row is empty or one is longer than `length`.
    pub fn new<S: AsRef<[u32]>>(
        rows: &[S],
        length: Option<usize>,
        pad: u32,
        device: &Device,
    ) -> Result<Self> {
        let longest = rows.iter().map(|row| row.as_ref().len()).max().unwrap_or(0);
        let n = length.unwrap_or(longest);
        if longest == 0 || longest > n || rows.iter().any(|row| row.as_ref().is_empty()) {
            return Err(EncoderError::Request(format!(
                "a batch needs rows of 1..={n} ids, the longest has {longest}"
            )));
        }
        let (mut ids, mut mask) = (Vec::new(), Vec::new());
        for row in rows.iter().map(AsRef::as_ref) {
            let padding = n - row.len();
            ids.extend_from_slice(row);
            ids.extend(std::iter::repeat_n(pad, padding));
            mask.extend(std::iter::repeat_n(1u8, row.len()));
            mask.extend(std::iter::repeat_n(0u8, padding));
        }
        let shape = (rows.len(), n);
        Ok(Self {
            ids: Tensor::from_vec(ids, shape, device)?,
            mask: Tensor::from_vec(mask, shape, device)?,
        })
    }
}

/// Refuses what is too long to be read at all.
fn check_length(input: &str, index: usize) -> Result<()> {
    if input.len() <= MAX_INPUT_BYTES {
        return Ok(());
    }
    let reason = format!("has {} bytes, at most {MAX_INPUT_BYTES} are read", input.len());
    Err(EncoderError::Text { index, reason })
}
