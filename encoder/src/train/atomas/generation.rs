//! How well a model writes the sides of validation pairs from each other, greedily.

use moiety_chem::Molecule;
use serde::Serialize;

use super::recipe::Example;
use crate::{
    atomas::{Input, LossWeights, Network, Reader},
    error::Result,
    t5::{
        T5,
        generate::{GenerateOptions, Sources, generate},
        tokenizer::PaddedBatch,
    },
};

/// Pairs that one pass writes.
const PASS: usize = 32;

/// Scores of what a model wrote. A direction that is not trained has none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GenerationScores {
    /// Pairs.
    pub pairs: usize,
    /// Share of molecules written that can be read.
    pub valid_molecules: Option<f64>,
    /// Share of molecules written that are the pair's, stereo and all.
    pub exact_molecules: Option<f64>,
    /// Share of texts written that are the pair's, letter by letter.
    pub exact_texts: Option<f64>,
}

/// Writes both sides of these pairs, as far as they are trained.
pub(super) fn scores(
    network: &Network,
    reader: &Reader,
    pairs: &[&Example],
    (losses, max_tokens): (&LossWeights, usize),
) -> Result<GenerationScores> {
    let share = |hits: usize| hits as f64 / pairs.len().max(1) as f64;
    let write = |from: fn(&Example) -> &Input, smiles: bool| {
        written(
            &network.encoder.t5,
            reader,
            pairs.iter().map(|pair| from(pair)),
            smiles,
            max_tokens,
        )
    };
    let mut found = GenerationScores {
        pairs: pairs.len(),
        valid_molecules: None,
        exact_molecules: None,
        exact_texts: None,
    };
    if losses.molecule_generation > 0.0 {
        let molecules: Vec<Option<String>> =
            write(|pair| &pair.text, true)?.iter().map(|smiles| canonical(smiles)).collect();
        let exact = molecules.iter().zip(pairs).filter(|(found, pair)| {
            found.as_ref().is_some_and(|found| *found == pair.canonical_smiles)
        });
        found.exact_molecules = Some(share(exact.count()));
        found.valid_molecules = Some(share(molecules.iter().flatten().count()));
    }
    if losses.text_generation > 0.0 {
        let texts = write(|pair| &pair.smiles, false)?;
        let exact = texts.iter().zip(pairs).filter(|(found, pair)| **found == pair.caption);
        found.exact_texts = Some(share(exact.count()));
    }
    Ok(found)
}

/// The canonical SMILES of what was written, if it is a molecule.
pub(super) fn canonical(smiles: &str) -> Option<String> {
    Some(Molecule::from_smiles(smiles).ok()?.written().ok()?.text)
}

fn written<'a>(
    t5: &T5,
    reader: &Reader,
    inputs: impl Iterator<Item = &'a Input>,
    smiles: bool,
    max_tokens: usize,
) -> Result<Vec<String>> {
    let ids: Vec<&[u32]> = inputs.map(|input| input.ids.as_slice()).collect();
    let options =
        GenerateOptions { max_tokens, allowed: reader.allowed(smiles), ..Default::default() };
    let mut texts = Vec::new();
    for pass in ids.chunks(PASS) {
        let pad = t5.config().pad_token_id;
        let batch = PaddedBatch::new(pass, None, pad, &candle_core::Device::Cpu)?;
        let hidden = t5.encode(&batch.ids, &batch.mask)?.detach();
        let sources = Sources { hidden: &hidden, mask: &batch.mask };
        for candidates in generate(t5, sources, &options, &mut || true)? {
            let ids = candidates.first().map(|candidate| candidate.ids.as_slice());
            texts.push(reader.decode(ids.unwrap_or_default())?);
        }
    }
    Ok(texts)
}
