//! Encoding without storing: the engine's encoder for callers who want the vectors themselves.

use moiety_chem::{Molecule, Structure};
use moiety_encoder::{EncoderError, Encoding};

use crate::{Engine, error::Result};

/// Why one item of a batch cannot be encoded; its neighbours were.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ItemEncodingError {
    /// What is wrong and what to do.
    pub reason: String,
}

impl Engine {
    /// One encoding per structure, in order; structures are normalised as an upsert does.
    pub fn encode_molecules(
        &self,
        structures: &[Structure],
    ) -> Result<Vec<std::result::Result<Encoding, ItemEncodingError>>> {
        let read: Vec<_> = structures.iter().map(|structure| self.readable(structure)).collect();
        let molecules: Vec<&Molecule> = read.iter().flatten().collect();
        let encodings = self.encoder().encode_molecules(&molecules)?;
        Ok(interleave(read, encodings))
    }

    /// One encoding per text, in order.
    pub fn encode_texts(
        &self,
        texts: &[String],
    ) -> Result<Vec<std::result::Result<Encoding, ItemEncodingError>>> {
        let read: Vec<_> = texts.iter().map(|text| self.legible(text)).collect();
        let legible: Vec<&str> = read.iter().flatten().copied().collect();
        let encodings = self.encoder().encode_texts(&legible)?;
        Ok(interleave(read, encodings))
    }

    fn readable(
        &self,
        structure: &Structure,
    ) -> std::result::Result<Molecule, ItemEncodingError> {
        let molecule = Molecule::parse(structure)
            .and_then(|molecule| molecule.normalise())
            .map_err(|error| ItemEncodingError { reason: error.to_string() })?;
        self.encoder().check_molecule(&molecule).map_err(refused)?;
        Ok(molecule)
    }

    fn legible<'a>(&self, text: &'a str) -> std::result::Result<&'a str, ItemEncodingError> {
        self.encoder().check_text(text).map_err(refused)?;
        Ok(text)
    }
}

/// The encoder counts from the item it was given, which is always the first: its position says nothing here.
fn refused(error: EncoderError) -> ItemEncodingError {
    let reason = match error {
        EncoderError::Molecule { reason, .. } | EncoderError::Text { reason, .. } => reason,
        other => other.to_string(),
    };
    ItemEncodingError { reason }
}

fn interleave<T>(
    read: Vec<std::result::Result<T, ItemEncodingError>>,
    encodings: Vec<Encoding>,
) -> Vec<std::result::Result<Encoding, ItemEncodingError>> {
    let mut encodings = encodings.into_iter();
    let missing = || ItemEncodingError { reason: "the encoder gave no encoding".into() };
    read.into_iter()
        .map(|item| item.and_then(|_| encodings.next().ok_or_else(missing)))
        .collect()
}
