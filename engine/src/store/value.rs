//! The bodies of the store's values: records, global vectors and fingerprints. Level vectors have a file of their own.

use moiety_chem::Structure;

use super::{
    frame::{FrameError, Reader, Writer},
    level_value::{decode_levels, read_levels},
};
use crate::{
    MoleculeFacts, StoredMolecule, StoredRecord,
    prints::{PRINT_BYTES, Prints},
};

type Result<T> = std::result::Result<T, FrameError>;

pub(crate) fn encode_record(record: &StoredRecord) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.str(&record.id);
    match &record.molecule {
        None => writer.u8(0),
        Some(molecule) => encode_molecule(&mut writer, molecule),
    }
    writer.option(record.text.as_deref());
    writer.object(&record.payload);
    writer.seal()
}

pub(crate) fn decode_record(value: &[u8]) -> Result<StoredRecord> {
    let mut reader = Reader::open(value)?;
    let id = reader.string()?;
    let molecule = match reader.u8()? {
        0 => None,
        code => Some(decode_molecule(&mut reader, code)?),
    };
    let (text, payload) = (reader.option()?, reader.object()?);
    reader.finish()?;
    Ok(StoredRecord { id, molecule, text, payload })
}

fn encode_molecule(writer: &mut Writer, molecule: &StoredMolecule) {
    let (code, text) = match &molecule.structure {
        Structure::Smiles(text) => (1, text),
        Structure::Inchi(text) => (2, text),
        Structure::MolBlock(text) => (3, text),
    };
    writer.u8(code);
    writer.str(text);
    let MoleculeFacts { canonical_smiles, inchikey, inchikey_block, steps, properties } =
        &molecule.facts;
    writer.str(canonical_smiles);
    writer.option(inchikey.as_deref());
    writer.option(inchikey_block.as_deref());
    writer.count(steps.len() as u64);
    steps.iter().for_each(|step| writer.str(step));
    writer.object(properties);
}

fn decode_molecule(reader: &mut Reader<'_>, code: u8) -> Result<StoredMolecule> {
    let text = reader.string()?;
    let structure = match code {
        1 => Structure::Smiles(text),
        2 => Structure::Inchi(text),
        3 => Structure::MolBlock(text),
        _ => return Err(FrameError::Content("a structure has no known notation")),
    };
    let facts = MoleculeFacts {
        canonical_smiles: reader.string()?,
        inchikey: reader.option()?,
        inchikey_block: reader.option()?,
        steps: (0..reader.count_of(1)?).map(|_| reader.string()).collect::<Result<_>>()?,
        properties: reader.object()?,
    };
    Ok(StoredMolecule { structure, facts })
}

pub(crate) fn encode_vector(vector: &[f32]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.count(vector.len() as u64);
    vector.iter().for_each(|&x| writer.f32(x));
    writer.seal()
}

pub(crate) fn decode_vector(value: &[u8]) -> Result<Vec<f32>> {
    let mut vector = Vec::new();
    decode_vector_into(value, &mut vector)?;
    Ok(vector)
}

/// In the place of what the buffer held.
pub(crate) fn decode_vector_into(value: &[u8], vector: &mut Vec<f32>) -> Result<()> {
    let mut reader = Reader::open(value)?;
    let n = reader.count_of(4)?;
    let numbers = reader.floats(n)?;
    reader.finish()?;
    vector.clear();
    vector.extend(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)));
    Ok(())
}

pub(crate) fn encode_prints(prints: &Prints) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.raw(prints.to_bytes());
    writer.seal()
}

pub(crate) fn decode_prints(value: &[u8]) -> Result<Prints> {
    let mut reader = Reader::open(value)?;
    let prints = Prints::from_bytes(reader.bytes(PRINT_BYTES)?);
    reader.finish()?;
    prints.ok_or(FrameError::Content("fingerprints have another length"))
}

/// Reads bytes as every kind of value; for the fuzzer, which wants to see no panic.
pub fn read_any_value(bytes: &[u8]) {
    let mut writer = Writer::new();
    writer.raw(bytes.iter().copied());
    // With and without a checksum that fits, or the fuzzer would see nothing but the checksum.
    for value in [bytes, &writer.seal()] {
        let _ = decode_record(value);
        let _ = decode_vector(value);
        let _ = read_levels(value);
        let _ = decode_levels(value);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(id: String, text: Option<String>, smiles: Option<String>) -> StoredRecord {
        let molecule = smiles.map(|smiles| StoredMolecule {
            facts: MoleculeFacts {
                canonical_smiles: smiles.clone(),
                inchikey: Some("KEY".into()),
                inchikey_block: None,
                steps: vec!["one".into(), "two".into()],
                properties: [("rings".to_owned(), 3.into())].into_iter().collect(),
            },
            structure: Structure::MolBlock(smiles),
        });
        let payload = [("a".to_owned(), serde_json::json!([1, 2.5, {"b": null}]))];
        StoredRecord { id, molecule, text, payload: payload.into_iter().collect() }
    }

    /// Bytes that version 1 wrote. A change of layout that cannot read them needs a new format version.
    const GOLDEN_RECORD: &str = "01bf4d0f13026964030343434f0343434f01034b45590002036f6e650374776f010572696e6773030300000000000000010574c3a8787401016107030301000000000000000500000000000004400801016200";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn layout_of_format_1_is_as_it_was() {
        let record = record("id".into(), Some("tèxt".into()), Some("CCO".into()));
        assert_eq!(hex(&encode_record(&record)), GOLDEN_RECORD);
    }

    proptest! {
        #[test]
        fn any_record_comes_back_as_it_was(
            id in ".{1,20}",
            text in prop::option::of(".{0,50}"),
            smiles in prop::option::of("[A-Za-z0-9()=#]{0,50}"),
        ) {
            let record = record(id, text, smiles);
            prop_assert_eq!(decode_record(&encode_record(&record)).unwrap(), record);
        }

        #[test]
        fn any_vector_comes_back_as_it_was(vector in prop::collection::vec(-1e9f32..1e9, 0..64)) {
            prop_assert_eq!(decode_vector(&encode_vector(&vector)).unwrap(), vector);
        }

        #[test]
        fn random_bytes_are_an_error_and_never_a_panic(
            body in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            prop_assert!(decode_record(&body).is_err());
            let mut writer = Writer::new();
            writer.raw(body);
            let sealed = writer.seal();
            let _ = decode_record(&sealed);
            let _ = decode_vector(&sealed);
            let _ = decode_prints(&sealed);
        }

        #[test]
        fn cut_values_are_an_error(cut in 0usize..60) {
            let whole = encode_record(&record("id".into(), Some("text".into()), Some("CCO".into())));
            let cut = cut.min(whole.len() - 1);
            prop_assert!(decode_record(&whole[..cut]).is_err());
        }
    }
}
