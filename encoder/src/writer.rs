//! Captions of molecules, and molecules for texts, from a model that was trained to write them.
//!
//! A caption is what the model wrote, true or not. A molecule is what it wrote too, read again: what cannot be read comes back
//! with the reason.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    sync::Arc,
};

use moiety_chem::{ChemError, Molecule};
use serde::Deserialize;

use crate::{
    atomas::{AtomasKind, AtomasModel},
    error::{EncoderError, Result},
    t5::{
        T5,
        generate::GenerateOptions,
        tokenizer::ModelTokenizer,
        translate::{
            Direction, MAX_SOURCE_TOKENS, Translated, Translation, sources_per_call, translate,
        },
    },
};

/// Longest source in tokens of a T5 whose directory does not say; the length that T5 was trained with.
const T5_SOURCE_TOKENS: usize = 512;

/// A generator of texts and SMILES.
#[derive(Clone)]
pub struct Writer {
    t5: T5,
    tokenizer: Arc<ModelTokenizer>,
    max_source_tokens: usize,
}

/// A molecule that a model proposes.
#[derive(Debug)]
pub struct Proposal {
    /// The SMILES as written, with its scores.
    pub written: Translated,
    /// The molecule, or why the SMILES is none.
    pub molecule: std::result::Result<Molecule, ChemError>,
}

/// Most sources that are written for together by [`Writer::describe_each`] and [`Writer::propose_each`]: more would be slower
/// to stop and hardly faster.
const MOST_AT_ONCE: usize = 16;

/// What tells an Atomas's directory from a T5's.
#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    kind: Option<AtomasKind>,
}

impl Writer {
    pub(crate) fn new(t5: T5, tokenizer: Arc<ModelTokenizer>, max_source_tokens: usize) -> Self {
        Self { t5, tokenizer, max_source_tokens: max_source_tokens.min(MAX_SOURCE_TOKENS) }
    }

    /// Opens the directory of an Atomas, or of a T5 that was converted.
    ///
    /// # Errors
    /// Names the file, and the tensor or key, that is missing or differs.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join("config.json");
        let json = std::fs::read_to_string(&path)
            .map_err(|source| EncoderError::Io { path: path.clone(), source })?;
        let kind: Kind = serde_json::from_str(&json)
            .map_err(|e| EncoderError::Model { path, reason: e.to_string() })?;
        if kind.kind.is_some() {
            return Ok(AtomasModel::load(dir, 1)?.into_writer());
        }
        let (t5, tokenizer) = T5::open(dir)?;
        Ok(Self::new(t5, Arc::new(tokenizer), T5_SOURCE_TOKENS))
    }

    /// Captions for each molecule, no two equal, best score first. Molecules are read by their canonical SMILES. `go_on` is
    /// asked before every step.
    ///
    /// # Errors
    /// [`EncoderError::Molecule`] names a molecule that is too large; else those of [`crate::t5::generate::generate`].
    pub fn describe(
        &self,
        molecules: &[&Molecule],
        options: &GenerateOptions,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<Vec<Translated>>> {
        let smiles = |(index, molecule): (usize, &&Molecule)| match molecule.written() {
            Ok(written) => Ok(written.text),
            Err(error) => Err(EncoderError::Molecule { index, reason: error.to_string() }),
        };
        let smiles: Vec<String> =
            molecules.iter().enumerate().map(smiles).collect::<Result<_>>()?;
        let smiles: Vec<&str> = smiles.iter().map(String::as_str).collect();
        self.translate(Direction::MoleculeToText, &smiles, options, go_on).map_err(|error| {
            match error {
                EncoderError::Text { index, reason } => EncoderError::Molecule { index, reason },
                other => other,
            }
        })
    }

    /// Molecules for each text, best score first, no molecule and no unreadable string twice. `go_on` is asked before every
    /// step.
    ///
    /// # Errors
    /// [`EncoderError::Text`] names a text that is empty; else those of [`crate::t5::generate::generate`].
    pub fn propose(
        &self,
        texts: &[&str],
        options: &GenerateOptions,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<Vec<Proposal>>> {
        let written = self.translate(Direction::TextToMolecule, texts, options, go_on)?;
        Ok(written.into_iter().map(proposals).collect())
    }

    /// As [`Writer::describe`], for any number of molecules: as many at once as memory allows, and a molecule that cannot be
    /// read does not keep the others from being described.
    ///
    /// # Errors
    /// [`EncoderError::Stopped`] when `go_on` says no, and those of the options.
    pub fn describe_each(
        &self,
        molecules: &[&Molecule],
        options: &GenerateOptions,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<Result<Vec<Translated>>>> {
        let write = |chunk: &[&Molecule], go_on: &mut dyn FnMut() -> bool| {
            self.describe(chunk, options, go_on)
        };
        each(molecules, self.at_once(options), go_on, write)
    }

    /// As [`Writer::propose`], for any number of texts; one that cannot be read does not keep the others from being answered.
    ///
    /// # Errors
    /// As those of [`Writer::describe_each`].
    pub fn propose_each(
        &self,
        texts: &[&str],
        options: &GenerateOptions,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<Result<Vec<Proposal>>>> {
        let write =
            |chunk: &[&str], go_on: &mut dyn FnMut() -> bool| self.propose(chunk, options, go_on);
        each(texts, self.at_once(options), go_on, write)
    }

    fn at_once(&self, options: &GenerateOptions) -> usize {
        sources_per_call(&self.t5, self.max_source_tokens, options).min(MOST_AT_ONCE)
    }

    fn translate(
        &self,
        direction: Direction,
        inputs: &[&str],
        options: &GenerateOptions,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<Vec<Translated>>> {
        let translation = Translation {
            direction,
            max_source_tokens: self.max_source_tokens,
            generate: options.clone(),
        };
        translate(&self.t5, &self.tokenizer, &translation, inputs, go_on)
    }
}

/// Writes for all items, `at_once` together.
fn each<T: Copy, W>(
    items: &[T],
    at_once: usize,
    go_on: &mut dyn FnMut() -> bool,
    mut write: impl FnMut(&[T], &mut dyn FnMut() -> bool) -> Result<Vec<W>>,
) -> Result<Vec<Result<W>>> {
    let mut outcomes: Vec<Result<W>> = Vec::with_capacity(items.len());
    for chunk in items.chunks(at_once) {
        let (made, mut faults) = together(chunk, go_on, &mut write)?;
        let mut made = made.into_iter();
        outcomes.extend((0..chunk.len()).filter_map(|place| match faults.remove(&place) {
            Some(error) => Some(Err(error)),
            None => made.next().map(Ok),
        }));
    }
    Ok(outcomes)
}

/// Writes for a chunk. Items at fault are left out and come back by their places; what the others made is in their order.
fn together<T: Copy, W>(
    chunk: &[T],
    go_on: &mut dyn FnMut() -> bool,
    write: &mut impl FnMut(&[T], &mut dyn FnMut() -> bool) -> Result<Vec<W>>,
) -> Result<(Vec<W>, BTreeMap<usize, EncoderError>)> {
    let mut faults = BTreeMap::new();
    let mut places: Vec<usize> = (0..chunk.len()).collect();
    loop {
        if !go_on() {
            return Err(EncoderError::Stopped { steps: 0 });
        }
        let asked: Vec<T> = places.iter().map(|&place| chunk[place]).collect();
        let error = match write(&asked, go_on) {
            Ok(made) => return Ok((made, faults)),
            Err(error) => error,
        };
        match item_at_fault(&error).filter(|fault| *fault < places.len()) {
            Some(fault) => faults.insert(places.remove(fault), error),
            None => return Err(error),
        };
    }
}

/// The item that an error is about, counted among those that were asked together.
fn item_at_fault(error: &EncoderError) -> Option<usize> {
    match error {
        EncoderError::Text { index, .. } | EncoderError::Molecule { index, .. } => Some(*index),
        _ => None,
    }
}

/// Reads what was written. Of several ways to write one molecule the best scored stays.
fn proposals(written: Vec<Translated>) -> Vec<Proposal> {
    let mut seen = HashSet::new();
    let mut proposals = Vec::with_capacity(written.len());
    for written in written {
        let molecule = Molecule::from_smiles(&written.text);
        let canonical = molecule.as_ref().ok().and_then(|molecule| molecule.written().ok());
        if canonical.is_none_or(|canonical| seen.insert(canonical.text)) {
            proposals.push(Proposal { written, molecule });
        }
    }
    proposals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::t5::generate::Candidate;

    #[test]
    fn a_molecule_is_proposed_once_and_what_cannot_be_read_says_why() {
        let written = |text: &str| Translated {
            text: text.into(),
            candidate: Candidate { ids: vec![], ended: true, log_probability: -1.0, score: -1.0 },
        };
        let found = proposals(["OCC", "C1CC", "CCO", "C/C=C\\C", "C/C=C/C"].map(written).into());
        let strings: Vec<&str> = found.iter().map(|p| p.written.text.as_str()).collect();
        assert_eq!(strings, ["OCC", "C1CC", "C/C=C\\C", "C/C=C/C"]);
        let readable: Vec<bool> = found.iter().map(|p| p.molecule.is_ok()).collect();
        assert_eq!(readable, [true, false, true, true]);
    }

    #[test]
    fn an_item_at_fault_is_named_and_its_neighbours_are_written() {
        let items = [1, -2, 3, -4, -5, 6];
        let write = |chunk: &[i32], _: &mut dyn FnMut() -> bool| match chunk
            .iter()
            .position(|item| *item < 0)
        {
            Some(index) => Err(EncoderError::Text { index, reason: chunk[index].to_string() }),
            None => Ok(chunk.iter().map(|item| 10 * item).collect()),
        };
        let made = each(&items, 4, &mut || true, write).expect("written");
        let shown: Vec<_> = made.into_iter().map(Result::ok).collect();
        assert_eq!(shown, [Some(10), None, Some(30), None, None, Some(60)]);
    }

    #[test]
    fn nothing_more_is_written_once_it_is_told_to_stop() {
        let left = std::cell::Cell::new(2u32);
        let mut go_on = || left.replace(left.get().saturating_sub(1)) > 0;
        let mut chunks = 0;
        let write = |chunk: &[i32], _: &mut dyn FnMut() -> bool| {
            chunks += 1;
            Ok(chunk.to_vec())
        };
        let stopped = each(&[1, 2, 3], 1, &mut go_on, write).expect_err("told to stop");
        assert!(matches!(stopped, EncoderError::Stopped { .. }) && chunks == 2);
    }
}
