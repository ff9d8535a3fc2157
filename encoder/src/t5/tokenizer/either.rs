//! The tokenizer of a model directory, whichever of the two it is.

use std::{ops::Range, path::Path};

use super::{JointTokenizer, T5Tokenizer, Tokens};
use crate::{
    error::{EncoderError, Result},
    t5::T5Config,
};

/// A model's tokenizer. A `tokenizer.json` of unigram pieces is a released T5's; one of byte-level pairs is the text part of
/// our own.
pub enum ModelTokenizer {
    /// One vocabulary of pieces for SMILES and text alike.
    Released(T5Tokenizer),
    /// SMILES and text have ids of their own.
    Joint(JointTokenizer),
}

impl ModelTokenizer {
    /// Reads a `tokenizer.json` and checks it against the model's shape.
    ///
    /// # Errors
    /// When the file is no tokenizer of the two kinds, or does not fit the config.
    pub fn load(path: &Path, config: &T5Config) -> Result<Self> {
        let fail = |reason: String| EncoderError::Model { path: path.to_path_buf(), reason };
        let json = std::fs::read_to_string(path)
            .map_err(|source| EncoderError::Io { path: path.to_path_buf(), source })?;
        let value: serde_json::Value =
            serde_json::from_str(&json).map_err(|e| fail(format!("not JSON: {e}")))?;
        match value.pointer("/model/type").and_then(|kind| kind.as_str()) {
            Some("Unigram") => Ok(Self::Released(T5Tokenizer::load(path, config)?)),
            Some("BPE") => {
                let joint = JointTokenizer::from_json(&json).map_err(|e| fail(e.to_string()))?;
                fits(&joint, config).map_err(fail)?;
                Ok(Self::Joint(joint))
            }
            other => {
                let found = other.unwrap_or("nothing");
                Err(fail(format!("its model is {found}, expected Unigram or BPE")))
            }
        }
    }

    /// Ids of a SMILES with the end id, at most `max_tokens` of them.
    ///
    /// # Errors
    /// When the input is too long to be read at all.
    pub fn smiles(&self, smiles: &str, max_tokens: usize) -> Result<Tokens> {
        match self {
            Self::Released(tokenizer) => tokenizer.encode(smiles, max_tokens),
            Self::Joint(tokenizer) => tokenizer.smiles(smiles, max_tokens),
        }
    }

    /// Ids of a text with the end id, at most `max_tokens` of them.
    ///
    /// # Errors
    /// When the input is too long to be read at all.
    pub fn text(&self, text: &str, max_tokens: usize) -> Result<Tokens> {
        match self {
            Self::Released(tokenizer) => tokenizer.encode(text, max_tokens),
            Self::Joint(tokenizer) => tokenizer.text(text, max_tokens),
        }
    }

    /// The id of everything outside the vocabulary, where there is such a thing.
    #[must_use]
    pub fn unknown(&self) -> Option<u32> {
        match self {
            Self::Released(tokenizer) => tokenizer.unknown(),
            Self::Joint(_) => None,
        }
    }

    /// What ids stand for; padding and end are left out.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        match self {
            Self::Released(tokenizer) => tokenizer.decode(ids),
            Self::Joint(tokenizer) => tokenizer.decode(ids),
        }
    }

    /// Ids that a SMILES is made of, where they are not those of texts too.
    #[must_use]
    pub fn smiles_ids(&self) -> Option<Range<u32>> {
        match self {
            Self::Released(_) => None,
            Self::Joint(tokenizer) => Some(tokenizer.smiles_ids()),
        }
    }

    /// Ids that a text is made of, where they are not those of SMILES too.
    #[must_use]
    pub fn text_ids(&self) -> Option<Range<u32>> {
        match self {
            Self::Released(_) => None,
            Self::Joint(tokenizer) => Some(tokenizer.text_ids()),
        }
    }
}

fn fits(joint: &JointTokenizer, config: &T5Config) -> std::result::Result<(), String> {
    let (found, rows) = (joint.vocabulary(), config.vocab_size);
    if found > rows {
        return Err(format!("needs {found} ids, the model has {rows} rows for them"));
    }
    for (key, wanted, found) in [
        ("eos_token_id", joint.end(), config.eos_token_id),
        ("pad_token_id", joint.pad(), config.pad_token_id),
        ("decoder_start_token_id", joint.pad(), config.decoder_start_token_id),
    ] {
        if wanted != found {
            return Err(format!("needs {key} {wanted}, the config says {found}"));
        }
    }
    Ok(())
}
