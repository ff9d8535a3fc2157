//! Writing: captions of structures and molecules for texts, by the model that is loaded, without storing anything.
//!
//! What comes back is a model's guess. A SMILES is read again and named, or comes with the reason why it is none; whether a
//! caption is true nobody checks. Work ends within a step of the model when the caller's patience does.

use moiety_chem::{Molecule, Structure};
use moiety_encoder::{
    EncoderError, Proposal, Writer,
    t5::{generate::GenerateOptions, translate::Translated},
};

use crate::{
    Engine, ItemEncodingError, Patience,
    encode::{interleave, refused},
    error::{EngineError, Result},
};

/// What was made of one item of a batch, or why it could not be read.
pub type ItemResult<T> = std::result::Result<T, ItemEncodingError>;

/// A text that the model wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneratedText {
    /// The text.
    pub text: String,
    /// Its log-probability with the length taken into account; larger is better.
    pub score: f32,
    /// Natural logarithm of its probability under the model.
    pub log_probability: f32,
    /// Whether the model ended it; else the bound on tokens did.
    pub complete: bool,
}

/// A molecule that the model proposes.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneratedMolecule {
    /// The SMILES as written.
    pub written: GeneratedText,
    /// The molecule, or why the SMILES is none.
    pub molecule: std::result::Result<NamedMolecule, String>,
}

/// Names of a molecule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedMolecule {
    /// Canonical SMILES.
    pub canonical_smiles: String,
    /// InChIKey; absent where it could not be made.
    pub inchikey: Option<String>,
}

impl Engine {
    /// Captions for each structure, no two equal, best score first. Structures are read as an upsert reads them, and one
    /// that cannot be read does not keep the others from being captioned.
    ///
    /// # Errors
    /// The model does not write, an option is out of its bounds, or the caller's patience ended.
    pub fn caption_within(
        &self,
        structures: &[Structure],
        options: &GenerateOptions,
        patience: &Patience,
    ) -> Result<Vec<ItemResult<Vec<GeneratedText>>>> {
        let writer = self.writing()?;
        let read: Vec<_> = structures.iter().map(|structure| self.readable(structure)).collect();
        let molecules: Vec<&Molecule> = read.iter().flatten().collect();
        let written = writer.describe_each(&molecules, options, &mut || patience.check().is_ok());
        let texts = |written: Vec<Translated>| written.into_iter().map(GeneratedText::of).collect();
        Ok(gathered(read, within(written, patience)?, texts))
    }

    /// Molecules for each text, best score first, no molecule and no unreadable string twice; one text that cannot be read
    /// does not keep the others from being answered.
    ///
    /// # Errors
    /// As those of [`Engine::caption_within`].
    pub fn generate_within(
        &self,
        texts: &[String],
        options: &GenerateOptions,
        patience: &Patience,
    ) -> Result<Vec<ItemResult<Vec<GeneratedMolecule>>>> {
        let writer = self.writing()?;
        let read: Vec<_> = texts.iter().map(|text| self.legible(text)).collect();
        let legible: Vec<&str> = read.iter().flatten().copied().collect();
        let proposed = writer.propose_each(&legible, options, &mut || patience.check().is_ok());
        let molecules =
            |proposed: Vec<Proposal>| proposed.into_iter().map(GeneratedMolecule::of).collect();
        Ok(gathered(read, within(proposed, patience)?, molecules))
    }

    fn writing(&self) -> Result<&Writer> {
        let model = || self.encoder().info().name.clone();
        self.encoder().writer().ok_or_else(|| EngineError::CannotWrite { model: model() })
    }
}

/// What a writer made, or whose fault it is that it made nothing.
fn within<W>(made: std::result::Result<W, EncoderError>, patience: &Patience) -> Result<W> {
    made.map_err(|error| match error {
        EncoderError::Request(reason) => EngineError::invalid("options", reason),
        error => patience.explain(error.into()),
    })
}

/// The items that could be read and written, in their places among those that could not.
fn gathered<T, W, G>(
    read: Vec<ItemResult<T>>,
    made: Vec<std::result::Result<W, EncoderError>>,
    finish: impl Fn(W) -> G,
) -> Vec<ItemResult<G>> {
    let items = interleave(read, made).into_iter();
    items.map(|item| item.and_then(|made| made.map(&finish).map_err(refused))).collect()
}

impl GeneratedText {
    fn of(written: Translated) -> Self {
        let Translated { text, candidate } = written;
        Self {
            text,
            score: candidate.score,
            log_probability: candidate.log_probability,
            complete: candidate.ended,
        }
    }
}

impl GeneratedMolecule {
    fn of(proposal: Proposal) -> Self {
        let molecule = proposal.molecule.and_then(|molecule| {
            let identity = molecule.identity()?;
            let canonical_smiles = molecule.written()?.text;
            Ok(NamedMolecule { canonical_smiles, inchikey: identity.inchikey })
        });
        Self {
            written: GeneratedText::of(proposal.written),
            molecule: molecule.map_err(|error| error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_writer_that_was_stopped_says_which_end_the_patience_came_to() {
        let stopped = || Err::<(), _>(EncoderError::Stopped { steps: 3 });
        let late = within(stopped(), &Patience::until(Instant::now())).unwrap_err();
        assert!(matches!(late, EngineError::DeadlineExceeded), "{late}");
        let patience = Patience::endless();
        patience.cancel();
        let cancelled = within(stopped(), &patience).unwrap_err();
        assert!(matches!(cancelled, EngineError::Cancelled), "{cancelled}");
        let asked = Err::<(), _>(EncoderError::Request("too many".into()));
        let wrong = within(asked, &Patience::endless()).unwrap_err();
        assert!(
            matches!(&wrong, EngineError::Invalid { field, .. } if field == "options"),
            "{wrong}"
        );
    }
}
