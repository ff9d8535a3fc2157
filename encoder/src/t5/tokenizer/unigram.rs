//! The tokenizer of a released T5: SentencePiece's unigram pieces, as a Hugging Face `tokenizer.json` holds them.

use std::path::Path;

use tokenizers::Tokenizer;

use super::{Tokens, check_length};
use crate::{
    error::{EncoderError, Result},
    t5::T5Config,
};

/// A released T5's tokenizer. SMILES and texts go through the same pieces.
///
/// The published vocabulary has no backslash (nor `{ } ~ < ^` and backtick); such characters become the unknown id, so
/// `C/C=C\C` and `C/C=C^C` read the same.
pub struct T5Tokenizer {
    tokenizer: Tokenizer,
    end: u32,
    unknown: Option<u32>,
}

impl T5Tokenizer {
    /// Reads a `tokenizer.json` and checks it against the model's shape.
    ///
    /// # Errors
    /// When the file is no tokenizer, holds more pieces than the model has rows, or names another end or padding id.
    pub fn load(path: &Path, config: &T5Config) -> Result<Self> {
        let fail = |reason: String| EncoderError::Model { path: path.to_path_buf(), reason };
        let mut tokenizer =
            Tokenizer::from_file(path).map_err(|e| fail(format!("not a tokenizer: {e}")))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|e| fail(e.to_string()))?;
        let (found, rows) = (tokenizer.get_vocab_size(true), config.vocab_size);
        if found > rows {
            return Err(fail(format!("has {found} pieces, the model has {rows} rows for them")));
        }
        for (piece, id) in [("</s>", config.eos_token_id), ("<pad>", config.pad_token_id)] {
            let found = tokenizer.token_to_id(piece);
            if found != Some(id) {
                return Err(fail(format!("`{piece}` is {found:?}, the config says {id}")));
            }
        }
        let unknown = tokenizer.token_to_id("<unk>");
        Ok(Self { tokenizer, end: config.eos_token_id, unknown })
    }

    /// The id of everything outside the vocabulary.
    #[must_use]
    pub fn unknown(&self) -> Option<u32> {
        self.unknown
    }

    /// Ids of a SMILES or text with the end id, at most `max_tokens` of them.
    ///
    /// # Errors
    /// When the input is over the bound of bytes or the tokenizer fails.
    pub fn encode(&self, input: &str, max_tokens: usize) -> Result<Tokens> {
        check_length(input, 0)?;
        let fail = |e: tokenizers::Error| EncoderError::Text { index: 0, reason: e.to_string() };
        let encoding = self.tokenizer.encode(input, false).map_err(fail)?;
        let tokens = Tokens {
            ids: encoding.get_ids().to_vec(),
            spans: encoding.get_offsets().iter().map(|&(start, end)| start..end).collect(),
            atoms: Vec::new(),
            truncated: false,
        };
        Ok(tokens.closed(max_tokens, self.end))
    }

    /// The text of ids; padding, end and unknown ids are left out.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.tokenizer
            .decode(ids, true)
            .map_err(|e| EncoderError::Request(format!("ids cannot be decoded: {e}")))
    }
}
