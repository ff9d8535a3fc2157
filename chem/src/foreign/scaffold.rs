//! Bemis–Murcko scaffolds, by the library's port of RDKit's `MurckoDecompose`.

use super::{Foreign, guard, internal};
use crate::error::ChemError;
use crate::scaffold::ScaffoldStereo;
use cosmolkit::{Molecule, SmilesWriteParams};
use cosmolkit_core::{RingSearchParams, murcko_decompose, symmetrized_sssr};

const DURING: &str = "finding the scaffold";

/// Canonical SMILES of the rings, the linkers between them and what is double-bonded to either.
pub(crate) fn scaffold(molecule: &Foreign, stereo: ScaffoldStereo) -> Result<String, ChemError> {
    guard(DURING, molecule.size(), || {
        let inner = &molecule.0;
        let rings = symmetrized_sssr(inner.topology(), &RingSearchParams::default())
            .map_err(|e| internal(DURING, &e))?;
        let builder = inner.to_builder();
        let (coordinates, properties) =
            (builder.coordinates().clone(), builder.properties().clone());
        let left =
            murcko_decompose(inner.topology().clone(), coordinates, properties, Some(&rings))
                .map_err(|e| internal(DURING, &e))?;
        if left.topology.atoms.is_empty() {
            return Ok(String::new());
        }
        let left = Molecule::from_parts(left.topology, left.coordinates, left.properties)
            .map_err(|e| internal(DURING, &e))?;
        let options = SmilesWriteParams {
            isomeric_smiles: stereo == ScaffoldStereo::Kept,
            ..SmilesWriteParams::default()
        };
        let text = left.to_smiles_with_params(&options).map_err(|e| internal(DURING, &e))?;
        Ok(String::from_utf8_lossy(text.as_bytes()).into_owned())
    })
}
