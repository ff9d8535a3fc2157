//! Learning pieces of text from a corpus.

use tokenizers::{
    AddedToken, Tokenizer,
    decoders::byte_level::ByteLevel as ByteLevelDecoder,
    models::{
        TrainerWrapper,
        bpe::{BPE, BpeTrainer},
    },
    pre_tokenizers::byte_level::ByteLevel,
};

use crate::error::{EncoderError, Result};

/// Fewest pieces: the 256 bytes.
const MIN_PIECES: usize = 256;
/// Most pieces that can be asked for.
const MAX_PIECES: usize = 1 << 17;

/// Learns a byte-level pair encoding of at most `pieces` pieces from `texts` and returns it as a `tokenizer.json`. The
/// result is a function of the texts, and loses nothing of any text, seen or not.
///
/// # Errors
/// When `pieces` is out of 256..=131072 or the tokenizer library fails.
pub fn learn_text_pieces<S: AsRef<str> + Send>(
    texts: impl Iterator<Item = S> + Send,
    pieces: usize,
) -> Result<String> {
    if !(MIN_PIECES..=MAX_PIECES).contains(&pieces) {
        return Err(EncoderError::Request(format!(
            "{pieces} pieces asked for, must be {MIN_PIECES}..={MAX_PIECES}"
        )));
    }
    let fail = |e: tokenizers::Error| EncoderError::Config(format!("learning pieces failed: {e}"));
    let mut tokenizer = Tokenizer::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, false, true)));
    tokenizer.with_decoder(Some(ByteLevelDecoder::new(false, false, true)));
    let trainer = BpeTrainer::builder()
        .vocab_size(pieces)
        .min_frequency(2)
        .show_progress(false)
        .special_tokens(Vec::<AddedToken>::new())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    tokenizer.train(&mut TrainerWrapper::from(trainer), texts).map_err(fail)?;
    tokenizer.to_string(false).map_err(fail)
}
