//! Names and numbers that the library computes for a molecule.

use super::{Foreign, guard, internal};
use crate::error::ChemError;
use crate::identity::Identity;
use crate::limits::MAX_INCHI_TIME_S;
use cosmolkit::{
    ChiralTag, InchiWriteParams, Molecule, PotentialStereoParams, PotentialStereoSpecified,
    PotentialStereoType, SmilesWriteParams, inchi_to_key,
};

/// Numbers that need the library's pattern search.
#[derive(Debug, Default)]
pub(crate) struct Descriptors {
    pub(crate) log_p: Option<f64>,
    pub(crate) tpsa: Option<f64>,
    pub(crate) donors: Option<u32>,
    pub(crate) acceptors: Option<u32>,
    pub(crate) rotatable: Option<u32>,
}

/// Counts of stereo elements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stereo {
    pub(crate) atoms: u32,
    pub(crate) atoms_open: u32,
    pub(crate) bonds: u32,
    pub(crate) bonds_open: u32,
}

/// Computes each descriptor on its own: one that fails is missing, the others are not.
pub(crate) fn descriptors(molecule: &Foreign) -> Descriptors {
    let inner = &molecule.0;
    fn number<T: Send, E: std::fmt::Display>(
        molecule: &Foreign,
        compute: impl FnOnce() -> Result<T, E> + Send,
    ) -> Option<T> {
        guard("computing descriptors", molecule.size(), || {
            compute().map_err(|e| internal("computing descriptors", &e))
        })
        .ok()
    }
    Descriptors {
        log_p: number(molecule, || inner.crippen_descriptors().map(|totals| totals.logp)),
        tpsa: number(molecule, || inner.tpsa()),
        donors: number(molecule, || inner.num_hbd()),
        acceptors: number(molecule, || inner.num_hba()),
        rotatable: number(molecule, || inner.num_rotatable_bonds()),
    }
}

/// Counts stereo elements, open ones included: centres by RDKit's older perception, double bonds
/// by its newer one.
pub(crate) fn stereo(molecule: &Foreign) -> Result<Stereo, ChemError> {
    const DURING: &str = "counting stereo elements";
    guard(DURING, molecule.size(), || {
        let inner = &molecule.0;
        let all = inner.num_atom_stereo_centers().map_err(|e| internal(DURING, &e))?;
        let open = inner.num_unspecified_atom_stereo_centers().map_err(|e| internal(DURING, &e))?;
        let params = PotentialStereoParams { flag_possible: true, ..Default::default() };
        let found =
            inner.potential_stereo_with_params(&params).map_err(|e| internal(DURING, &e))?;
        let is_double = |kind| kind == PotentialStereoType::BondDouble;
        let bonds = found.stereo.iter().filter(|element| is_double(element.stereo_type));
        let (set, unset): (Vec<_>, Vec<_>) =
            bonds.partition(|bond| bond.specified == PotentialStereoSpecified::Specified);
        Ok(Stereo {
            atoms: all.saturating_sub(open),
            atoms_open: open,
            bonds: set.len() as u32,
            bonds_open: unset.len() as u32,
        })
    })
}

/// Writes the canonical SMILES and, where InChI can name the molecule, its InChI and key.
pub(crate) fn identity(molecule: &Foreign) -> Result<Identity, ChemError> {
    let canonical_smiles = guard("writing SMILES", molecule.size(), || {
        // The writer fails on the chirality of allenes, which RDKit leaves out of the text.
        smiles(&molecule.0).or_else(|_| smiles(&changed(&molecule.0, Change::NoAxialTag)?))
    })?;
    let inchi = guard("writing InChI", molecule.size(), || inchi(&molecule.0)).ok();
    let inchikey = inchi.as_deref().and_then(|inchi| {
        guard("hashing InChI", inchi.len(), || {
            inchi_to_key(inchi).map_err(|e| internal("hashing InChI", &e))
        })
        .ok()
    });
    Ok(Identity { canonical_smiles, inchi, inchikey })
}

/// Writes the canonical SMILES without map numbers, and the same with the row + 1 of every atom as its map number.
pub(crate) fn numbered_smiles(molecule: &Foreign) -> Result<(String, String), ChemError> {
    const DURING: &str = "writing SMILES";
    let write = |molecule: &Molecule| {
        let plain = changed(molecule, Change::NoNumber)?;
        let numbered = changed(molecule, Change::RowAsNumber)?;
        let params = SmilesWriteParams { ignore_atom_map_numbers: true, ..Default::default() };
        let numbered = numbered.to_smiles_with_params(&params).map_err(|e| internal(DURING, &e))?;
        Ok((smiles(&plain)?, String::from_utf8_lossy(numbered.as_bytes()).into_owned()))
    };
    guard(DURING, molecule.size(), || {
        write(&molecule.0).or_else(|_| write(&changed(&molecule.0, Change::NoAxialTag)?))
    })
}

fn inchi(molecule: &Molecule) -> Result<String, ChemError> {
    let options = InchiWriteParams::new(format!("-W{MAX_INCHI_TIME_S}"));
    molecule.to_inchi_with_params(&options).map_err(|e| internal("writing InChI", &e))
}

fn smiles(molecule: &Molecule) -> Result<String, ChemError> {
    let text = molecule.to_smiles().map_err(|e| internal("writing SMILES", &e))?;
    Ok(String::from_utf8_lossy(text.as_bytes()).into_owned())
}

/// What is changed of every atom before a text is written.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// Chirality that the writer cannot write is taken away.
    NoAxialTag,
    /// The map number is taken away.
    NoNumber,
    /// The map number becomes the row + 1.
    RowAsNumber,
}

fn changed(molecule: &Molecule, change: Change) -> Result<Molecule, ChemError> {
    let builder = molecule.to_builder();
    let mut topology = molecule.topology().clone();
    for (row, atom) in (0u32..).zip(&mut topology.atoms) {
        let axial = [ChiralTag::Allene, ChiralTag::Other, ChiralTag::Tetrahedral];
        match change {
            Change::NoNumber => atom.set_atom_map(None),
            Change::RowAsNumber => atom.set_atom_map(Some(row + 1)),
            Change::NoAxialTag if axial.contains(&atom.chiral_tag()) => {
                atom.set_chiral_tag(ChiralTag::Unspecified);
            }
            Change::NoAxialTag => {}
        }
    }
    let edited =
        Molecule::from_parts(topology, builder.coordinates().clone(), builder.properties().clone());
    let edited = edited.map_err(|e| internal("writing SMILES", &e))?;
    edited.sanitize().map_err(|e| internal("writing SMILES", &e))
}
