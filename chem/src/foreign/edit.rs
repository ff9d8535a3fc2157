//! The two edits of normalisation: one part kept, charges changed.

use super::{Foreign, guard, internal};
use crate::error::ChemError;
use cosmolkit::Molecule;

/// Keeps one connected part, counted in the order of smallest atoms; atoms keep their order.
pub(crate) fn keep_part(molecule: &Foreign, part: usize) -> Result<Foreign, ChemError> {
    guard("separating parts", molecule.size(), || {
        let parts = molecule.0.fragments().map_err(|e| internal("separating parts", &e))?;
        let kept = parts.into_iter().nth(part);
        kept.map(Foreign).ok_or_else(|| internal("separating parts", &"a part is missing"))
    })
}

/// Sets formal charges to 0, adding or removing one hydrogen per unit of charge.
pub(crate) fn set_charges(molecule: &Foreign, atoms: &[u32]) -> Result<Foreign, ChemError> {
    guard("neutralising charges", molecule.size(), || {
        let builder = molecule.0.to_builder();
        let mut topology = molecule.0.topology().clone();
        for &index in atoms {
            let Some(atom) = topology.atoms.get_mut(index as usize) else { continue };
            let charge = atom.formal_charge();
            atom.set_formal_charge(0);
            // Hydrogens that the valence rules add follow by themselves.
            if atom.no_implicit() || atom.explicit_hydrogens() > 0 {
                let hydrogens = i16::from(atom.explicit_hydrogens()) - i16::from(charge);
                atom.set_explicit_hydrogens(u8::try_from(hydrogens.max(0)).unwrap_or(0));
            }
        }
        let edited = Molecule::from_parts(
            topology,
            builder.coordinates().clone(),
            builder.properties().clone(),
        );
        let edited = edited.map_err(|e| internal("neutralising charges", &e))?;
        edited.sanitize().map(Foreign).map_err(|e| internal("neutralising charges", &e))
    })
}
