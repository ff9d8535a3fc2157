//! What is computed from a molecule once, when it is written.

use moiety_chem::{ChemError, Molecule, Properties, StereoCounts};
use serde_json::{Map, Value};

use crate::{FieldType, MoleculeFacts, prints::Prints};

/// Every fact that a filter can ask for under `mol.`.
pub(crate) const NAMES: [&str; 18] = [
    "canonical_smiles",
    "inchikey",
    "inchikey_block",
    "formula",
    "exact_mass",
    "molecular_weight",
    "heavy_atoms",
    "rings",
    "charge",
    "log_p",
    "tpsa",
    "hydrogen_bond_donors",
    "hydrogen_bond_acceptors",
    "rotatable_bonds",
    "stereo_atoms_assigned",
    "stereo_atoms_unassigned",
    "stereo_bonds_assigned",
    "stereo_bonds_unassigned",
];

/// The type of a fact's values, by its name.
pub(crate) fn field_type(name: &str) -> FieldType {
    match name {
        "canonical_smiles" | "inchikey" | "inchikey_block" | "formula" => FieldType::Keyword,
        "exact_mass" | "molecular_weight" | "log_p" | "tpsa" => FieldType::Float,
        // Everything else is counted, the elements too.
        _ => FieldType::Integer,
    }
}

/// Identity, properties and fingerprints of the normalised molecule.
pub(crate) fn facts(molecule: &Molecule) -> Result<(MoleculeFacts, Prints), ChemError> {
    let normalised = molecule.normalise()?;
    let identity = normalised.identity()?;
    let steps = normalised.steps().iter().map(|step| format!("{}: {}", step.name, step.detail));
    let facts = MoleculeFacts {
        inchikey_block: identity.inchikey_block().map(str::to_owned),
        canonical_smiles: identity.canonical_smiles,
        inchikey: identity.inchikey,
        steps: steps.collect(),
        properties: by_name(normalised.properties()),
    };
    Ok((facts, Prints::of(&normalised)))
}

/// Properties under the names of their fields; those that could not be computed are left out.
fn by_name(properties: Properties) -> Map<String, Value> {
    let Properties {
        formula,
        exact_mass,
        molecular_weight,
        heavy_atoms,
        rings,
        charge,
        log_p,
        tpsa,
        hydrogen_bond_donors,
        hydrogen_bond_acceptors,
        rotatable_bonds,
        stereo,
    } = properties;
    let mut named = vec![
        ("formula", Value::from(formula)),
        ("exact_mass", exact_mass.into()),
        ("molecular_weight", molecular_weight.into()),
        ("heavy_atoms", heavy_atoms.into()),
        ("rings", rings.into()),
        ("charge", charge.into()),
        ("log_p", log_p.into()),
        ("tpsa", tpsa.into()),
        ("hydrogen_bond_donors", hydrogen_bond_donors.into()),
        ("hydrogen_bond_acceptors", hydrogen_bond_acceptors.into()),
        ("rotatable_bonds", rotatable_bonds.into()),
    ];
    if let Some(StereoCounts {
        atoms_assigned,
        atoms_unassigned,
        bonds_assigned,
        bonds_unassigned,
    }) = stereo
    {
        named.push(("stereo_atoms_assigned", atoms_assigned.into()));
        named.push(("stereo_atoms_unassigned", atoms_unassigned.into()));
        named.push(("stereo_bonds_assigned", bonds_assigned.into()));
        named.push(("stereo_bonds_unassigned", bonds_unassigned.into()));
    }
    let known = named.into_iter().filter(|(_, value)| !value.is_null());
    known.map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_computed_fact_has_a_name_that_filters_know() {
        let alanine = Molecule::from_smiles("C[C@H](N)C(=O)O").unwrap();
        let (facts, prints) = facts(&alanine).unwrap();
        let properties = facts.properties;
        let read = Molecule::from_smiles(&facts.canonical_smiles).unwrap();
        assert_eq!(Prints::of(&read), prints, "what is stored is what would be computed again");
        assert_eq!(properties.len() + 3, NAMES.len());
        assert!(properties.keys().all(|name| NAMES.contains(&name.as_str())));
    }
}
