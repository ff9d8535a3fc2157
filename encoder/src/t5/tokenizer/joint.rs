//! One vocabulary for SMILES and text in which nothing is lost.
//!
//! | ids | stand for |
//! |---|---|
//! | 0 | padding, and the start of the decoder |
//! | 1 | the end |
//! | 2..4 | reserved |
//! | 4..260 | the 256 bytes: what a SMILES holds outside its alphabet |
//! | 260..1024 | the SMILES alphabet, with room to grow |
//! | 1024.. | pieces of text: byte-level pairs (Sennrich et al., arXiv 1508.07909), learned from a corpus |
//!
//! SMILES and text share no id, so a decoder can be held to one of them by a range of ids.

use std::{ops::Range, path::Path};

use tokenizers::Tokenizer;

use super::{
    Tokens, check_length,
    smiles::{Piece, SmilesAlphabet, Symbol},
};
use crate::error::{EncoderError, Result};

/// Id of padding and of the decoder's start.
const PAD: u32 = 0;
/// Id that ends a sequence.
const END: u32 = 1;
const BYTES: u32 = 4;
const SMILES: u32 = BYTES + 256;
const TEXT: u32 = 1024;

/// Strings that a text tokenizer must give back; case, spaces, control characters and scripts are where others lose.
const PROBES: [&str; 3] = [
    "The (R)-enantiomer  of 4-amino-β-D-gal; pH ≈ 7.4, 25 °C.",
    "\tTab, new\nline, \u{a0}\u{2009}spaces, \u{0} and ünïcødé 漢字 🧪 ▁Ġ",
    "C/C=C\\C [C@@H] {x} ~<^`",
];

/// Our own tokenizer for SMILES and text: decoding gives back what was encoded, byte by byte.
pub struct JointTokenizer {
    alphabet: SmilesAlphabet,
    text: Tokenizer,
}

impl JointTokenizer {
    /// Reads the text pieces from a `tokenizer.json` (see [`super::learn_text_pieces`]).
    ///
    /// # Errors
    /// When the file is no tokenizer, or loses something of a text.
    pub fn load(path: &Path) -> Result<Self> {
        let fail = |reason: String| EncoderError::Model { path: path.to_path_buf(), reason };
        let json = std::fs::read_to_string(path)
            .map_err(|source| EncoderError::Io { path: path.to_path_buf(), source })?;
        Self::from_json(&json).map_err(|e| fail(e.to_string()))
    }

    /// As [`Self::load`], from the content of the file.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn from_json(json: &str) -> Result<Self> {
        let fail = |reason: String| EncoderError::Config(reason);
        let mut text: Tokenizer =
            json.parse().map_err(|e| fail(format!("not a tokenizer: {e}")))?;
        text.with_padding(None);
        text.with_truncation(None).map_err(|e| fail(e.to_string()))?;
        let tokenizer = Self { alphabet: SmilesAlphabet::new(), text };
        for probe in PROBES {
            let back = tokenizer.text(probe, usize::MAX).and_then(|t| tokenizer.decode(&t.ids))?;
            if back != probe {
                return Err(fail(format!(
                    "the tokenizer turns {probe:?} into {back:?}; it must be of byte level to lose nothing"
                )));
            }
        }
        Ok(tokenizer)
    }

    /// Ids in use; a model's `vocab_size` must be at least this.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        TEXT as usize + self.text.get_vocab_size(true)
    }

    /// Id of padding, with which the decoder starts.
    #[must_use]
    pub fn pad(&self) -> u32 {
        PAD
    }

    /// Id that ends every sequence.
    #[must_use]
    pub fn end(&self) -> u32 {
        END
    }

    /// Ids that a SMILES is made of, for a decoder that shall write one. Bytes are not among them: nothing that chemistry
    /// can read needs them.
    #[must_use]
    pub fn smiles_ids(&self) -> Range<u32> {
        SMILES..SMILES + self.alphabet.len() as u32
    }

    /// Ids that a text is made of.
    #[must_use]
    pub fn text_ids(&self) -> Range<u32> {
        TEXT..self.vocabulary() as u32
    }

    /// Ids of a SMILES with the end id, at most `max_tokens` of them. The string is not checked to be one.
    ///
    /// # Errors
    /// When the input is over the bound of bytes.
    pub fn smiles(&self, smiles: &str, max_tokens: usize) -> Result<Tokens> {
        check_length(smiles, 0)?;
        let pieces = self.alphabet.cut(smiles);
        let id = |piece: &Piece| match piece.symbol {
            Symbol::Listed(number) => SMILES + number,
            Symbol::Byte(byte) => BYTES + u32::from(byte),
        };
        let tokens = Tokens {
            ids: pieces.iter().map(id).collect(),
            atoms: pieces.iter().map(|piece| piece.atom).collect(),
            spans: pieces.into_iter().map(|piece| piece.span).collect(),
            truncated: false,
        };
        Ok(tokens.closed(max_tokens, END))
    }

    /// Ids of a text with the end id, at most `max_tokens` of them.
    ///
    /// # Errors
    /// When the input is over the bound of bytes or the tokenizer fails.
    pub fn text(&self, text: &str, max_tokens: usize) -> Result<Tokens> {
        check_length(text, 0)?;
        let fail = |e: tokenizers::Error| EncoderError::Text { index: 0, reason: e.to_string() };
        let encoding = self.text.encode(text, false).map_err(fail)?;
        let tokens = Tokens {
            ids: encoding.get_ids().iter().map(|&id| TEXT + id).collect(),
            spans: encoding.get_offsets().iter().map(|&(start, end)| start..end).collect(),
            atoms: Vec::new(),
            truncated: false,
        };
        Ok(tokens.closed(max_tokens, END))
    }

    /// What ids stand for, in order, SMILES and text alike. Ids that stand for no string (padding, the end, unused rows
    /// of a model) are left out; bytes that form no character become the replacement character.
    ///
    /// # Errors
    /// When the tokenizer of the texts fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let is_text = |id: &u32| self.text_ids().contains(id);
        let mut out = String::new();
        for run in ids.chunk_by(|a, b| is_text(a) == is_text(b)) {
            match run.first().is_some_and(is_text) {
                true => out.push_str(&self.decode_text(run)?),
                false => out.push_str(&self.decode_smiles(run)),
            }
        }
        Ok(out)
    }

    fn decode_text(&self, ids: &[u32]) -> Result<String> {
        let ids: Vec<u32> = ids.iter().map(|id| id - TEXT).collect();
        let fail = |e| EncoderError::Request(format!("ids cannot be decoded: {e}"));
        self.text.decode(&ids, false).map_err(fail)
    }

    fn decode_smiles(&self, ids: &[u32]) -> String {
        let mut bytes = Vec::with_capacity(ids.len());
        for &id in ids {
            match id {
                BYTES..SMILES => bytes.push((id - BYTES) as u8),
                SMILES..TEXT => {
                    bytes.extend(self.alphabet.string(id - SMILES).unwrap_or_default().bytes());
                }
                _ => {}
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
