//! Text in, library molecule out; the library's errors told in this room's words.

use super::wording::{heart, number_after};
use super::{Foreign, guard, internal};
use crate::error::{ChemError, Place};
use crate::mol_block::Block;
use crate::scan::Scan;
use cosmolkit::{
    BondDirection, BondOrder, InchiError, Molecule, SdfError, SdfReadError, SmilesError,
};

/// Reads a SMILES with RDKit's defaults: sanitised, explicit hydrogens folded.
pub(crate) fn from_smiles(scan: &Scan) -> Result<Foreign, ChemError> {
    guard("reading SMILES", scan.text.len(), || {
        Molecule::from_smiles(&scan.text).map(Foreign).map_err(|error| smiles_error(&error, scan))
    })
}

/// Reads a standard InChI: sanitised, hydrogens implicit.
pub(crate) fn from_inchi(text: &str) -> Result<Foreign, ChemError> {
    guard("reading InChI", text.len(), || {
        Molecule::from_inchi(text).map(Foreign).map_err(|error| inchi_error(&error))
    })
}

/// Reads a V2000 or V3000 block with RDKit's defaults.
pub(crate) fn from_mol_block(block: &Block) -> Result<Foreign, ChemError> {
    guard("reading a mol block", block.text.len(), || {
        let molecule = Molecule::from_mol(&block.text).map_err(|error| mol_error(&error))?;
        without_spent_wedges(molecule).map(Foreign)
    })
}

/// Takes the wedges off double bonds, as on S=O and P=O. By now they have told the stereo of their centres, and the library cannot
/// write them.
fn without_spent_wedges(molecule: Molecule) -> Result<Molecule, ChemError> {
    let is_wedge =
        |direction| matches!(direction, BondDirection::BeginWedge | BondDirection::BeginDash);
    let is_spent = |order, direction| order == BondOrder::Double && is_wedge(direction);
    if !molecule.bonds().iter().any(|bond| is_spent(bond.order(), bond.direction())) {
        return Ok(molecule);
    }
    let builder = molecule.to_builder();
    let mut topology = molecule.topology().clone();
    for bond in &mut topology.bonds {
        if is_spent(bond.order(), bond.direction()) {
            bond.set_direction(BondDirection::None);
        }
    }
    let (coordinates, properties) = (builder.coordinates().clone(), builder.properties().clone());
    let edited = Molecule::from_parts(topology, coordinates, properties);
    let edited = edited.map_err(|e| internal("reading a mol block", &e))?;
    edited.sanitize().map_err(|e| internal("reading a mol block", &e))
}

/// Marks of atom numbers in the library's messages.
const ATOM_MARKS: [&str; 3] = ["atom # ", "aromatic atom ", "remaining atoms: [AtomId("];

fn smiles_error(error: &SmilesError, scan: &Scan) -> ChemError {
    let message = error.to_string();
    let reason = heart(&message);
    match error {
        SmilesError::Parse(_) => {
            // The library counts in the tidied text; that is the original's where nothing collapsed.
            let exact = scan.steps.iter().all(|step| step.name != "backslashes_collapsed");
            let place = match number_after(&message, &["at byte "]).filter(|_| exact) {
                Some(byte) => Place::Character(scan.offset + byte + 1),
                None => Place::Unknown,
            };
            ChemError::Syntax { notation: "SMILES", reason, place }
        }
        _ => {
            // Atom numbers are those after folding, so they only lead back where none was folded.
            let atom = number_after(&message, &ATOM_MARKS).filter(|_| scan.hydrogens == 0);
            let place = atom
                .and_then(|atom| scan.atoms.get(atom))
                .map_or(Place::Unknown, |&character| Place::Character(character));
            ChemError::Chemistry { reason, place }
        }
    }
}

fn inchi_error(error: &InchiError) -> ChemError {
    let message = error.to_string();
    let (reason, place) = (heart(&message), Place::Unknown);
    if message.contains("SanitizeFailed") {
        ChemError::Chemistry { reason, place }
    } else {
        // The engine often refuses without a word.
        let silent = reason.trim_end().ends_with(':');
        let reason = if silent { "its layers do not fit together".into() } else { reason };
        ChemError::Syntax { notation: "InChI", reason, place }
    }
}

fn mol_error(error: &SdfError) -> ChemError {
    let message = error.to_string();
    let reason = heart(&message);
    match error {
        SdfError::QueryRecord | SdfError::Read(SdfReadError::QueryRecord) => {
            ChemError::Unsupported {
                reason: "the mol block holds query atoms or bonds; send a definite structure"
                    .into(),
            }
        }
        SdfError::Read(SdfReadError::MissingCapability(_)) => ChemError::Unsupported { reason },
        SdfError::Read(SdfReadError::MolPost(_)) | SdfError::Post(_) => {
            ChemError::Chemistry { reason, place: Place::Unknown }
        }
        _ => {
            let place = number_after(&message, &["line "]).map_or(Place::Unknown, Place::Line);
            ChemError::Syntax { notation: "mol block", reason, place }
        }
    }
}
