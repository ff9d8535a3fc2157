//! Encoding without storing: the engine's encoder for callers who want the vectors themselves. Work ends with the caller's
//! patience, within some tens of items.

use std::borrow::Borrow;

use moiety_chem::{Molecule, Structure};
use moiety_encoder::{EncoderError, Encoding};

use crate::{
    Engine, Patience,
    error::Result,
    limits::{MAX_STRUCTURE_BYTES, MAX_TEXT_BYTES},
};

/// Items that are read and encoded between two looks at the caller's patience.
const TOGETHER: usize = 64;

/// Why one item of a batch cannot be encoded; its neighbours were.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ItemEncodingError {
    /// What is wrong and what to do.
    pub reason: String,
}

impl Engine {
    /// One encoding per structure, in order; structures are read as an upsert reads them.
    pub fn encode_molecules(
        &self,
        structures: &[Structure],
        patience: &Patience,
    ) -> Result<Vec<std::result::Result<Encoding, ItemEncodingError>>> {
        let encode = |molecules: &[&Molecule]| {
            Ok(self.bulk.run(molecules.len(), || self.encoder().encode_molecules(molecules))?)
        };
        some_at_a_time(structures, patience, |structure| self.readable(structure), encode)
    }

    /// One encoding per text, in order.
    pub fn encode_texts(
        &self,
        texts: &[String],
        patience: &Patience,
    ) -> Result<Vec<std::result::Result<Encoding, ItemEncodingError>>> {
        let encode = |texts: &[&str]| {
            Ok(self.bulk.run(texts.len(), || self.encoder().encode_texts(texts))?)
        };
        some_at_a_time(texts, patience, |text| self.legible(text), encode)
    }

    /// Reads a structure that the encoder can take.
    pub(crate) fn readable(
        &self,
        structure: &Structure,
    ) -> std::result::Result<Molecule, ItemEncodingError> {
        let (Structure::Smiles(text) | Structure::Inchi(text) | Structure::MolBlock(text)) =
            structure;
        check_length(text, MAX_STRUCTURE_BYTES)?;
        let molecule = Molecule::parse(structure)
            .map_err(|error| ItemEncodingError { reason: error.to_string() })?;
        self.encoder().check_molecule(&molecule).map_err(refused)?;
        Ok(molecule)
    }

    /// Checks a text that the encoder can take.
    pub(crate) fn legible<'a>(
        &self,
        text: &'a str,
    ) -> std::result::Result<&'a str, ItemEncodingError> {
        check_length(text, MAX_TEXT_BYTES)?;
        self.encoder().check_text(text).map_err(refused)?;
        Ok(text)
    }
}

fn check_length(text: &str, limit: usize) -> std::result::Result<(), ItemEncodingError> {
    if text.len() <= limit {
        return Ok(());
    }
    let reason = format!("it has {} bytes, allowed are {limit}", text.len());
    Err(ItemEncodingError { reason })
}

/// Without the encoder's position, which counts from the items that it was given.
pub(crate) fn refused(error: EncoderError) -> ItemEncodingError {
    let reason = match error {
        EncoderError::Molecule { reason, .. } | EncoderError::Text { reason, .. } => reason,
        other => other.to_string(),
    };
    ItemEncodingError { reason }
}

/// Reads items and makes something of the readable ones, some at a time, as long as the caller's patience lasts.
pub(crate) fn some_at_a_time<'a, I, T, R, O>(
    items: &'a [I],
    patience: &Patience,
    read: impl Fn(&'a I) -> std::result::Result<T, ItemEncodingError>,
    make: impl Fn(&[&R]) -> Result<Vec<O>>,
) -> Result<Vec<std::result::Result<O, ItemEncodingError>>>
where
    T: Borrow<R>,
    R: ?Sized,
{
    let mut all = Vec::with_capacity(items.len());
    for items in items.chunks(TOGETHER) {
        patience.check()?;
        let read: Vec<_> = items.iter().map(&read).collect();
        let readable: Vec<&R> = read.iter().flatten().map(T::borrow).collect();
        let made = make(&readable)?;
        all.extend(interleave(read, made));
    }
    Ok(all)
}

/// What was made of the readable items, put back among those that were not.
pub(crate) fn interleave<T, O>(
    read: Vec<std::result::Result<T, ItemEncodingError>>,
    made: Vec<O>,
) -> Vec<std::result::Result<O, ItemEncodingError>> {
    let mut made = made.into_iter();
    let missing = || ItemEncodingError { reason: "the encoder gave no encoding".into() };
    read.into_iter().map(|item| item.and_then(|_| made.next().ok_or_else(missing))).collect()
}
