//! Records and structures.

use moiety_engine::{MoleculeFacts, Record, StoredMolecule, StoredRecord, Structure};
use moiety_proto::v1::{self as wire, structure::Format};

use super::{
    ConvertError,
    payload::{payload_from_wire, payload_to_wire},
};

/// A record as the engine takes it.
pub fn record_from_wire(record: wire::Record, field: &str) -> Result<Record, ConvertError> {
    if record.molecule.is_none() && record.text.is_none() {
        let remedy = "a record needs a molecule, a text, or both";
        return Err(ConvertError::Missing { field: field.into(), remedy });
    }
    let molecule = record
        .molecule
        .map(|molecule| structure_from_wire(molecule, &format!("{field}.molecule")))
        .transpose()?;
    let payload =
        payload_from_wire(record.payload.unwrap_or_default(), &format!("{field}.payload"))?;
    Ok(Record { id: record.id, molecule, text: record.text, payload })
}

/// A structure as the engine takes it; nothing of it is read yet.
pub fn structure_from_wire(
    structure: wire::Structure,
    field: &str,
) -> Result<Structure, ConvertError> {
    match structure.format {
        Some(Format::Smiles(text)) => Ok(Structure::Smiles(text)),
        Some(Format::Inchi(text)) => Ok(Structure::Inchi(text)),
        Some(Format::MolBlock(text)) => Ok(Structure::MolBlock(text)),
        None => Err(ConvertError::Missing {
            field: format!("{field}.format"),
            remedy: "send one of smiles, inchi, mol_block",
        }),
    }
}

/// A record as it comes back.
pub fn stored_record_to_wire(record: StoredRecord) -> wire::StoredRecord {
    let (structure, facts) = match record.molecule {
        Some(StoredMolecule { structure, facts }) => (Some(structure), Some(facts)),
        None => (None, None),
    };
    wire::StoredRecord {
        record: Some(wire::Record {
            id: record.id,
            molecule: structure.map(structure_to_wire),
            text: record.text,
            payload: Some(payload_to_wire(&record.payload)),
        }),
        molecule: facts.map(facts_to_wire),
    }
}

fn structure_to_wire(structure: Structure) -> wire::Structure {
    let format = match structure {
        Structure::Smiles(text) => Format::Smiles(text),
        Structure::Inchi(text) => Format::Inchi(text),
        Structure::MolBlock(text) => Format::MolBlock(text),
    };
    wire::Structure { format: Some(format) }
}

fn facts_to_wire(facts: MoleculeFacts) -> wire::MoleculeFacts {
    wire::MoleculeFacts {
        canonical_smiles: facts.canonical_smiles,
        inchikey: facts.inchikey,
        inchikey_block: facts.inchikey_block,
        normalisation_steps: facts.steps,
        properties: Some(payload_to_wire(&facts.properties)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_comes_back_as_it_went() {
        let sent = wire::Record {
            id: "caffeine".into(),
            molecule: Some(wire::Structure {
                format: Some(Format::Smiles("CN1C=NC2=C1C(=O)N(C(=O)N2C)C".into())),
            }),
            text: Some("keeps people awake".into()),
            payload: Some(payload_to_wire(serde_json::json!({"year": 1819}).as_object().unwrap())),
        };
        let taken = record_from_wire(sent.clone(), "records[0]").unwrap();
        let molecule = taken
            .molecule
            .map(|structure| StoredMolecule { structure, facts: MoleculeFacts::default() });
        let stored =
            StoredRecord { id: taken.id, molecule, text: taken.text, payload: taken.payload };
        assert_eq!(stored_record_to_wire(stored).record, Some(sent));
    }

    #[test]
    fn structure_without_a_format_is_refused() {
        let record =
            wire::Record { molecule: Some(wire::Structure { format: None }), ..Default::default() };
        let error = record_from_wire(record, "records[3]").unwrap_err();
        assert_eq!(error.field(), "records[3].molecule.format");
    }
}
