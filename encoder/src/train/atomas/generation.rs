//! How well a model writes the sides of validation pairs from each other, greedily.

use moiety_chem::Molecule;
use serde::Serialize;

use super::recipe::Example;
use crate::{
    atomas::{LossWeights, Network, Reader},
    error::Result,
    t5::{
        generate::GenerateOptions,
        translate::{Direction, MAX_SOURCE_TOKENS, Translation, translate},
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
    let tokenizer = reader.tokenizer();
    let write = |direction: Direction| -> Result<Vec<String>> {
        let generate = GenerateOptions { max_tokens, ..Default::default() };
        let translation = Translation { direction, max_source_tokens: MAX_SOURCE_TOKENS, generate };
        let source = |pair: &&Example| match direction {
            Direction::TextToMolecule => pair.caption.clone(),
            Direction::MoleculeToText => pair.canonical_smiles.clone(),
        };
        let sources: Vec<String> = pairs.iter().map(source).collect();
        let mut texts = Vec::new();
        for pass in sources.chunks(PASS) {
            let inputs: Vec<&str> = pass.iter().map(String::as_str).collect();
            let t5 = &network.encoder.t5;
            for candidates in translate(t5, &tokenizer, &translation, &inputs, &mut || true)? {
                texts.push(candidates.into_iter().next().map(|c| c.text).unwrap_or_default());
            }
        }
        Ok(texts)
    };
    let mut found = GenerationScores {
        pairs: pairs.len(),
        valid_molecules: None,
        exact_molecules: None,
        exact_texts: None,
    };
    if losses.molecule_generation > 0.0 {
        let molecules: Vec<Option<String>> =
            write(Direction::TextToMolecule)?.iter().map(|smiles| canonical(smiles)).collect();
        let exact = molecules.iter().zip(pairs).filter(|(found, pair)| {
            found.as_ref().is_some_and(|found| *found == pair.canonical_smiles)
        });
        found.exact_molecules = Some(share(exact.count()));
        found.valid_molecules = Some(share(molecules.iter().flatten().count()));
    }
    if losses.text_generation > 0.0 {
        let texts = write(Direction::MoleculeToText)?;
        let exact = texts.iter().zip(pairs).filter(|(found, pair)| **found == pair.caption);
        found.exact_texts = Some(share(exact.count()));
    }
    Ok(found)
}

/// The canonical SMILES of what was written, if it is a molecule.
fn canonical(smiles: &str) -> Option<String> {
    Some(Molecule::from_smiles(smiles).ok()?.written().ok()?.text)
}
