//! Structures and records of the wire, from what a person types or a file holds.

use moiety_rpc::wire;

/// A structure of the wire from its notation: InChI by its prefix, a mol block by its line breaks, else SMILES.
pub(crate) fn structure(text: &str) -> wire::Structure {
    let trimmed = text.trim();
    let format = if trimmed.starts_with("InChI=") {
        wire::structure::Format::Inchi(trimmed.into())
    } else if text.contains('\n') && text.contains("M  END") {
        wire::structure::Format::MolBlock(text.into())
    } else {
        wire::structure::Format::Smiles(trimmed.into())
    };
    wire::Structure { format: Some(format) }
}

/// The SMILES of a stored record: as given, or canonical where another notation was given.
pub(crate) fn smiles(record: &wire::StoredRecord) -> Option<&str> {
    let given = record.record.as_ref()?.molecule.as_ref()?.format.as_ref()?;
    match given {
        wire::structure::Format::Smiles(smiles) => Some(smiles),
        _ => Some(&record.molecule.as_ref()?.canonical_smiles),
    }
}
