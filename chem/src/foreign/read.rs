//! Text in, library molecule out; the library's errors told in this room's words.

use super::{Foreign, guard};
use crate::error::{ChemError, Place};
use crate::mol_block::Block;
use crate::scan::Scan;
use cosmolkit::{Molecule, SdfError, SdfReadError, SmilesError};

/// Reads a SMILES with RDKit's defaults: sanitised, explicit hydrogens folded.
pub(crate) fn from_smiles(scan: &Scan) -> Result<Foreign, ChemError> {
    guard("reading SMILES", scan.text.len(), || {
        Molecule::from_smiles(&scan.text).map(Foreign).map_err(|error| smiles_error(&error, scan))
    })
}

/// Reads a standard InChI: sanitised, hydrogens implicit.
pub(crate) fn from_inchi(text: &str) -> Result<Foreign, ChemError> {
    guard("reading InChI", text.len(), || {
        Molecule::from_inchi(text).map(Foreign).map_err(|error| ChemError::Syntax {
            notation: "InChI",
            reason: tidy(&error.to_string()),
            place: Place::Unknown,
        })
    })
}

/// Reads a V2000 or V3000 block with RDKit's defaults.
pub(crate) fn from_mol_block(block: &Block) -> Result<Foreign, ChemError> {
    guard("reading a mol block", block.text.len(), || {
        Molecule::from_mol(&block.text).map(Foreign).map_err(|error| mol_error(&error))
    })
}

fn smiles_error(error: &SmilesError, scan: &Scan) -> ChemError {
    let reason = error.to_string();
    match error {
        SmilesError::Parse(_) => {
            let byte = number_after(&reason, "at byte ");
            // The library counts in the tidied text; that is the original's where nothing collapsed.
            let exact = scan.steps.iter().all(|step| step.name != "backslashes_collapsed");
            let place = match byte.filter(|_| exact) {
                Some(byte) => Place::Character(scan.offset + byte + 1),
                None => Place::Unknown,
            };
            ChemError::Syntax { notation: "SMILES", reason: tidy(&reason), place }
        }
        _ => {
            // Atom numbers are those after folding, so they only lead back where none was folded.
            let atom = ["atom # ", "non-ring atom ", "Unkekulized atoms: "]
                .iter()
                .find_map(|before| number_after(&reason, before));
            let place = atom
                .filter(|_| scan.hydrogens == 0)
                .and_then(|atom| scan.atoms.get(atom))
                .map_or(Place::Unknown, |&character| Place::Character(character));
            ChemError::Chemistry { reason: tidy(&reason), place }
        }
    }
}

fn mol_error(error: &SdfError) -> ChemError {
    let reason = error.to_string();
    let place = number_after(&reason, "line ").map_or(Place::Unknown, Place::Line);
    match error {
        SdfError::QueryRecord | SdfError::Read(SdfReadError::QueryRecord) => {
            ChemError::Unsupported {
                reason: "the mol block holds query atoms or bonds; send a definite structure"
                    .into(),
            }
        }
        SdfError::Read(SdfReadError::MissingCapability(_)) => {
            ChemError::Unsupported { reason: tidy(&reason) }
        }
        SdfError::Read(SdfReadError::MolPost(_)) | SdfError::Post(_) => {
            ChemError::Chemistry { reason: tidy(&reason), place: Place::Unknown }
        }
        _ => ChemError::Syntax { notation: "mol block", reason: tidy(&reason), place },
    }
}

/// Drops the library's prefixes and line breaks.
fn tidy(reason: &str) -> String {
    let prefixes = ["SMILES parsing failed: ", "SDF reading failed: ", "SDF finalization failed: "];
    let reason =
        prefixes.iter().fold(reason, |text, prefix| text.strip_prefix(prefix).unwrap_or(text));
    reason.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn number_after(text: &str, before: &str) -> Option<usize> {
    let start = text.find(before)? + before.len();
    let digits: String = text[start..].chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}
