//! What a record is on its way in, and what it has become when it comes back.

use moiety_chem::Structure;
use serde_json::{Map, Value};

/// A record as a caller gives it: a molecule, a text, or both, with any payload.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Unique within the collection; a record of the same identifier is replaced.
    pub id: String,
    /// The molecule, in one of the formats that `moiety-chem` reads.
    pub molecule: Option<Structure>,
    /// The text, in UTF-8.
    pub text: Option<String>,
    /// Anything else, as a JSON object; filters see it.
    pub payload: Map<String, Value>,
}

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRecord {
    /// Unique within the collection.
    pub id: String,
    /// The molecule, with what was computed from it.
    pub molecule: Option<StoredMolecule>,
    /// The text, as given.
    pub text: Option<String>,
    /// The payload, as given.
    pub payload: Map<String, Value>,
}

impl StoredRecord {
    /// About what it takes in an answer.
    pub(crate) fn rough_bytes(&self) -> usize {
        let molecule = self.molecule.as_ref().map_or(0, |molecule| {
            let (Structure::Smiles(text) | Structure::Inchi(text) | Structure::MolBlock(text)) =
                &molecule.structure;
            text.len() + 2 * molecule.facts.canonical_smiles.len() + 512
        });
        let payload = object_bytes(&self.payload);
        self.id.len() + self.text.as_ref().map_or(0, String::len) + molecule + payload + 64
    }
}

fn object_bytes(object: &Map<String, Value>) -> usize {
    object.iter().map(|(key, value)| key.len() + value_bytes(value)).sum()
}

fn value_bytes(value: &Value) -> usize {
    16 + match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(value_bytes).sum(),
        Value::Object(object) => object_bytes(object),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// A molecule as given, with its facts.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredMolecule {
    /// What the caller sent, unchanged.
    pub structure: Structure,
    /// What `moiety-chem` computed at the upsert.
    pub facts: MoleculeFacts,
}

/// Identity and properties of a molecule; filters see them under `mol.`.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct MoleculeFacts {
    /// Canonical SMILES of the normalised molecule.
    pub canonical_smiles: String,
    /// InChIKey of the normalised molecule, where one can be computed.
    pub inchikey: Option<String>,
    /// Its first block: equal for molecules of the same connectivity.
    pub inchikey_block: Option<String>,
    /// What normalisation did, in order, in words.
    pub steps: Vec<String>,
    /// Properties by name (`molecular_weight`, `rings`, `formula`, …); units are documented in `moiety-chem`.
    pub properties: Map<String, Value>,
}

/// Says that a record is durable and searchable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// The record's identifier.
    pub id: String,
    /// Whether a record of this identifier was there before.
    pub outcome: UpsertOutcome,
}

/// What an upsert did with one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpsertOutcome {
    /// No record had this identifier.
    Created,
    /// The record of this identifier was replaced.
    Replaced,
}

/// Why one record of a batch was not taken; its neighbours were.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {position} ({id:?}): {field}: {reason}")]
pub struct RecordError {
    /// Position in the batch, from zero.
    pub position: usize,
    /// Identifier as given, cut to a printable length.
    pub id: String,
    /// The part at fault: `id`, `molecule`, `text` or `payload`.
    pub field: &'static str,
    /// What is wrong and what to do.
    pub reason: String,
}
