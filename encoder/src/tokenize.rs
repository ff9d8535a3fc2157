//! Text to word pieces, words and phrases, with the bytes of each.

use std::{ops::Range, path::Path};

use tokenizers::Tokenizer;

use crate::{
    config::ModelConfig,
    error::{EncoderError, Result},
    features::{FeatureCounts, text_features},
    phrases::{Word, content_words, phrases},
    plain_text::PlainText,
};

/// A text as the tower reads it.
#[derive(Clone, Debug)]
pub(crate) struct TextInput {
    /// Word pieces between the two markers, which are the first and last id.
    pub(crate) ids: Vec<u32>,
    /// The words that carry meaning, in order, with their bytes in the text as it was given.
    pub(crate) words: Vec<Word>,
    /// Runs of `words` that form phrases.
    pub(crate) phrases: Vec<Range<usize>>,
    /// What the whole text holds; empty for a model without feature tables.
    pub(crate) features: FeatureCounts,
}

impl TextInput {
    /// The pieces of these words.
    pub(crate) fn pieces(&self, words: Range<usize>) -> Vec<usize> {
        self.words[words].iter().flat_map(|word| word.pieces.clone()).collect()
    }
}

/// A tokenizer with its length limit.
pub(crate) struct TextReader {
    tokenizer: Tokenizer,
    /// The piece that stands for everything outside the vocabulary.
    unknown: Option<u32>,
    max_tokens: usize,
    /// Rows of the model's tables of text features, if it has any.
    feature_rows: Option<u32>,
}

impl TextReader {
    /// Reads a `tokenizer.json` for a model.
    pub(crate) fn load(path: &Path, config: &ModelConfig) -> Result<Self> {
        let vocabulary = config.text.vocabulary;
        let fail = |reason: String| EncoderError::Model { path: path.to_path_buf(), reason };
        let mut tokenizer =
            Tokenizer::from_file(path).map_err(|e| fail(format!("not a tokenizer: {e}")))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|e| fail(e.to_string()))?;
        let found = tokenizer.get_vocab_size(true);
        if found > vocabulary {
            return Err(fail(format!("has {found} word pieces, the config says {vocabulary}")));
        }
        let unknown = tokenizer.token_to_id("[UNK]");
        let feature_rows = config.features.map(|features| features.text_rows);
        Ok(Self { tokenizer, unknown, max_tokens: config.text.max_tokens, feature_rows })
    }

    /// From now on texts are read without their features.
    pub(crate) fn leave_features_out(&mut self) {
        self.feature_rows = None;
    }

    /// Reads a text. Pieces beyond the limit are dropped, whole words at a time.
    ///
    /// # Errors
    /// Says why when the text holds no word; `index` is its place in the batch.
    pub(crate) fn read(&self, text: &str, index: usize) -> Result<TextInput> {
        let fail = |reason: &str| EncoderError::Text { index, reason: reason.into() };
        let plain = PlainText::new(text);
        let text = plain.as_str();
        let encoding = self.tokenizer.encode(text, true).map_err(|e| fail(&e.to_string()))?;
        let ids = encoding.get_ids();
        let (Some(&last), true) = (ids.last(), ids.len() > 2) else {
            return Err(fail("has no words; give at least one letter or digit"));
        };
        if ids[1..ids.len() - 1].iter().all(|&id| Some(id) == self.unknown) {
            return Err(fail("has no word that this model knows; it reads English"));
        }
        let words = words(encoding.get_word_ids(), encoding.get_offsets(), self.max_tokens - 1);
        let end = words.last().map_or(1, |word| word.pieces.end);
        if end == 1 {
            return Err(fail("its first word alone is longer than the model reads"));
        }
        let mut ids = ids[..end].to_vec();
        ids.push(last);
        let words = content_words(text, words);
        let phrases = phrases(text, &words);
        let read = &text[..words.last().map_or(0, |word| word.bytes.end)];
        let features = self.feature_rows.map(|rows| text_features(read, rows));
        let words =
            words.into_iter().map(|word| Word { bytes: plain.original(word.bytes), ..word });
        let features = features.unwrap_or_default();
        Ok(TextInput { ids, words: words.collect(), phrases, features })
    }
}

/// Groups pieces by word, up to `limit` pieces.
fn words(word_ids: &[Option<u32>], offsets: &[(usize, usize)], limit: usize) -> Vec<Word> {
    let mut words: Vec<(u32, Word)> = Vec::new();
    for (piece, (id, &(start, end))) in word_ids.iter().zip(offsets).enumerate() {
        let Some(id) = *id else { continue };
        match words.last_mut() {
            Some((open, word)) if *open == id => {
                word.pieces.end = piece + 1;
                word.bytes.end = end;
            }
            _ => words.push((id, Word { bytes: start..end, pieces: piece..piece + 1 })),
        }
    }
    words.into_iter().map(|(_, word)| word).take_while(|word| word.pieces.end <= limit).collect()
}
