//! From SMILES to text and from text to SMILES (Edwards et al., arXiv 2204.11817), with a T5 that was trained for it.
//!
//! What comes back is what the model wrote: nothing says that a SMILES is valid or a text true. Callers parse the one and
//! mark the other as generated.

use std::collections::HashSet;

use super::{
    T5,
    generate::{Candidate, GenerateOptions, Sources, generate},
    tokenizer::{ModelTokenizer, PaddedBatch, Tokens},
};
use crate::error::{EncoderError, Result};

/// Longest source in tokens that can be asked for; attention needs memory for its square.
pub const MAX_SOURCE_TOKENS: usize = 2048;

/// Most attention scores of one layer of one call: 1 GiB.
pub const MAX_SCORES: usize = 1 << 28;

/// What is written from what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// A description of a SMILES.
    MoleculeToText,
    /// A SMILES for a description.
    TextToMolecule,
}

/// How to translate.
#[derive(Clone, Debug, PartialEq)]
pub struct Translation {
    /// What is written from what.
    pub direction: Direction,
    /// Texts are cut to so many tokens, the end id included; SMILES over it are refused. 2..=2048.
    pub max_source_tokens: usize,
    /// How it is written. Where SMILES and text have ids of their own and `allowed` is absent, only those of the target are
    /// written.
    pub generate: GenerateOptions,
}

/// A candidate in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Translated {
    /// What the model wrote.
    pub text: String,
    /// Its ids and scores.
    pub candidate: Candidate,
}

/// Candidates for each input, different as strings, best score first. `go_on` is asked before every step.
///
/// # Errors
/// Those of [`generate`]; [`EncoderError::Text`] names an input that is empty, too long to be read at all, or a SMILES over
/// `max_source_tokens`.
pub fn translate(
    model: &T5,
    tokenizer: &ModelTokenizer,
    translation: &Translation,
    inputs: &[&str],
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Vec<Vec<Translated>>> {
    if !(2..=MAX_SOURCE_TOKENS).contains(&translation.max_source_tokens) {
        let found = translation.max_source_tokens;
        return Err(EncoderError::Request(format!(
            "max_source_tokens is {found}, must be 2..={MAX_SOURCE_TOKENS}"
        )));
    }
    let mut options = translation.generate.clone();
    options.allowed = options.allowed.or_else(|| match translation.direction {
        Direction::MoleculeToText => tokenizer.text_ids(),
        Direction::TextToMolecule => tokenizer.smiles_ids(),
    });
    options.check(inputs.len(), 0, model.config())?;
    if inputs.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<Tokens> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| read(tokenizer, translation, index, input))
        .collect::<Result<_>>()?;
    let ids: Vec<&[u32]> = rows.iter().map(|tokens| tokens.ids.as_slice()).collect();
    let batch = PaddedBatch::new(&ids, None, model.config().pad_token_id, model.device())?;
    check_scores(&batch, model)?;
    let hidden = model.encode(&batch.ids, &batch.mask)?;
    let sources = Sources { hidden: &hidden, mask: &batch.mask };
    let candidates = generate(model, sources, &options, go_on)?;
    candidates.into_iter().map(|candidates| written(tokenizer, candidates)).collect()
}

/// How many sources one call can take, however long they are; at least 1, which [`translate`] may still refuse.
pub fn sources_per_call(model: &T5, max_source_tokens: usize, options: &GenerateOptions) -> usize {
    let config = model.config();
    let scores =
        max_source_tokens.saturating_mul(max_source_tokens).saturating_mul(config.num_heads);
    let read = MAX_SCORES / scores.max(1);
    options.sources_per_call(max_source_tokens, config).min(read).max(1)
}

/// Checks what attention among the tokens of the sources needs.
fn check_scores(batch: &PaddedBatch, model: &T5) -> Result<()> {
    let (rows, n) = batch.ids.dims2()?;
    let scores = (rows * n * n).saturating_mul(model.config().num_heads);
    if scores <= MAX_SCORES {
        return Ok(());
    }
    Err(EncoderError::Request(format!(
        "{rows} sources of up to {n} tokens need {scores} attention scores, over the bound of {MAX_SCORES}; split the batch"
    )))
}

fn read(
    tokenizer: &ModelTokenizer,
    translation: &Translation,
    index: usize,
    input: &str,
) -> Result<Tokens> {
    let tokens = match translation.direction {
        Direction::MoleculeToText => tokenizer.smiles(input, translation.max_source_tokens),
        Direction::TextToMolecule => tokenizer.text(input, translation.max_source_tokens),
    };
    let named = |error| match error {
        EncoderError::Text { reason, .. } => EncoderError::Text { index, reason },
        other => other,
    };
    let tokens = tokens.map_err(named)?;
    let fail = |reason: String| Err(EncoderError::Text { index, reason });
    if tokens.ids.len() == 1 {
        return fail("is empty; there is nothing to translate".into());
    }
    if tokens.truncated && translation.direction == Direction::MoleculeToText {
        let most = translation.max_source_tokens - 1;
        return fail(format!("is over {most} tokens; a part of a molecule is another molecule"));
    }
    Ok(tokens)
}

/// The candidates as strings. Different ids may spell one string; the best of them stays.
fn written(tokenizer: &ModelTokenizer, candidates: Vec<Candidate>) -> Result<Vec<Translated>> {
    let mut seen = HashSet::new();
    let mut written = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let text = tokenizer.decode(&candidate.ids)?;
        if seen.insert(text.clone()) {
            written.push(Translated { text, candidate });
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        params::Params,
        t5::{
            T5Config,
            generate::{Sampling, Strategy},
            tokenizer::learn_text_pieces,
            weights,
        },
    };

    /// A model of random weights with our own tokenizer.
    fn random() -> (T5, ModelTokenizer) {
        let json = learn_text_pieces(["an acid, an alcohol", "an acid, a base"].iter(), 280);
        let dir = tempfile::tempdir().expect("directory");
        let file = dir.path().join("tokenizer.json");
        std::fs::write(&file, json.expect("learned")).expect("write");
        let config = T5Config::from_json(
            r#"{"vocab_size":1304,"d_model":8,"d_kv":4,"d_ff":8,"num_layers":1,"num_heads":2,
                "feed_forward_proj":"gated-gelu","tie_word_embeddings":false}"#,
        );
        let config = config.expect("valid");
        let tokenizer = ModelTokenizer::load(&file, &config).expect("tokenizer");
        let params = Params::initialise(&weights::specs(&config), 3).expect("weights");
        (T5::load(&config, |name, _| params.get(name)).expect("model"), tokenizer)
    }

    fn draws(direction: Direction) -> Translation {
        let sampling = Sampling { samples: 8, temperature: 1.0, top_k: None, top_p: 1.0, seed: 5 };
        let generate = GenerateOptions {
            strategy: Strategy::Sample(sampling),
            max_tokens: 12,
            ..GenerateOptions::default()
        };
        Translation { direction, max_source_tokens: 64, generate }
    }

    #[test]
    fn each_direction_writes_in_its_own_alphabet_and_no_string_twice() {
        let (model, tokenizer) = random();
        for (direction, allowed, inputs) in [
            (Direction::MoleculeToText, tokenizer.text_ids(), ["C/C=C\\C", "CCO"]),
            (Direction::TextToMolecule, tokenizer.smiles_ids(), ["an acid", "a base"]),
        ] {
            let allowed = allowed.expect("a range of its own");
            let translation = draws(direction);
            let run = || translate(&model, &tokenizer, &translation, &inputs, &mut || true);
            let found = run().expect("translate");
            assert_eq!(found.len(), 2);
            for candidates in &found {
                let strings: HashSet<&str> = candidates.iter().map(|c| c.text.as_str()).collect();
                assert!(strings.len() == candidates.len() && strings.len() > 4);
                let mut ids = candidates.iter().flat_map(|c| &c.candidate.ids);
                assert!(ids.all(|id| allowed.contains(id)));
            }
            assert_eq!(found, run().expect("again"));
        }
    }

    #[test]
    fn inputs_without_content_and_options_without_bounds_are_refused() {
        let (model, tokenizer) = random();
        let mut translation = draws(Direction::TextToMolecule);
        let run = |translation: &Translation, inputs: &[&str]| {
            translate(&model, &tokenizer, translation, inputs, &mut || true)
        };
        assert!(matches!(
            run(&translation, &["acid", ""]),
            Err(EncoderError::Text { index: 1, .. })
        ));
        assert!(run(&translation, &[]).expect("nothing").is_empty());
        translation.max_source_tokens = 4;
        assert!(run(&translation, &["an acid, a base"]).is_ok());
        translation.direction = Direction::MoleculeToText;
        let error = run(&translation, &["CCO", "CCCCO"]).expect_err("too long").to_string();
        assert!(error.contains("text 1") && error.contains("over 3 tokens"), "{error}");
        translation.max_source_tokens = 1 << 20;
        assert!(matches!(run(&translation, &["acid"]), Err(EncoderError::Request(_))));
    }
}
