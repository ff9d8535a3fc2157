//! The face of every encoder: the trained model and the hashing one.

use moiety_chem::Molecule;

use crate::{Encoding, Writer, error::Result};

/// What a stored vector must remember about the model that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// Name of the model, as in its config.
    pub name: String,
    /// SHA-256 over the model's files, in hex: vectors of two fingerprints never mix.
    pub fingerprint: String,
    /// Length of the global vector.
    pub global_dim: usize,
    /// Length of fragment and token vectors.
    pub part_dim: usize,
    /// Longest text in tokens; what is beyond is not read.
    pub max_text_tokens: usize,
    /// Most heavy atoms of a molecule that can be encoded.
    pub max_atoms: usize,
}

/// Encodes molecules and texts into one space.
///
/// A batch gives what its items give one by one, to 1e-5.
pub trait Encoder: Send + Sync {
    /// The model behind this encoder.
    fn info(&self) -> &ModelInfo;

    /// One encoding per molecule, in order. Fails as a whole, naming the item at fault: check items before they come here
    /// with [`Encoder::check_molecule`] where one bad item must not fail its neighbours.
    fn encode_molecules(&self, molecules: &[&Molecule]) -> Result<Vec<Encoding>>;

    /// One encoding per text, in order.
    fn encode_texts(&self, texts: &[&str]) -> Result<Vec<Encoding>>;

    /// Says why this molecule cannot be encoded, if it cannot.
    fn check_molecule(&self, molecule: &Molecule) -> Result<()>;

    /// Says why this text cannot be encoded, if it cannot.
    fn check_text(&self, text: &str) -> Result<()>;

    /// What writes captions and molecules, where the model can.
    fn writer(&self) -> Option<&Writer> {
        None
    }
}
