//! The bodies of the store's values: records, global vectors and level vectors.

use moiety_chem::Structure;
use moiety_encoder::{Extent, Level};

use super::frame::{FrameError, Reader, Writer};
use crate::{
    MoleculeFacts, StoredMolecule, StoredRecord,
    levels::Levels,
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
    let mut reader = Reader::open(value)?;
    let n = reader.count_of(4)?;
    let vector = reader.f32s(n)?;
    reader.finish()?;
    Ok(vector)
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

/// Both levels, vectors first, so that ranking need not read the extents.
///
/// A vector is stored as signed bytes with one scale: at most 1/254 of its largest number is lost in each number.
pub(crate) fn encode_levels(fragments: &Level, tokens: &Level) -> Vec<u8> {
    let mut writer = Writer::new();
    for level in [fragments, tokens] {
        writer.count(level.dim as u64);
        writer.count(level.len() as u64);
        level.weights.iter().for_each(|&weight| writer.f32(weight));
        for i in 0..level.len() {
            encode_row(&mut writer, level.vector(i));
        }
    }
    for extent in fragments.extents.iter().chain(&tokens.extents) {
        encode_extent(&mut writer, extent);
    }
    writer.seal()
}

/// Both levels without extents: all that ranking needs.
pub(crate) fn decode_levels(value: &[u8]) -> Result<Levels> {
    let mut reader = Reader::open(value)?;
    Ok(Levels { fragments: decode_level(&mut reader)?, tokens: decode_level(&mut reader)? })
}

/// Both levels with extents.
pub(crate) fn decode_located_levels(value: &[u8]) -> Result<Levels> {
    let mut reader = Reader::open(value)?;
    let mut levels =
        Levels { fragments: decode_level(&mut reader)?, tokens: decode_level(&mut reader)? };
    for level in [&mut levels.fragments, &mut levels.tokens] {
        level.extents =
            (0..level.len()).map(|_| decode_extent(&mut reader)).collect::<Result<_>>()?;
    }
    reader.finish()?;
    Ok(levels)
}

/// Reads bytes as every kind of value; for the fuzzer, which wants to see no panic.
pub fn read_any_value(bytes: &[u8]) {
    let mut writer = Writer::new();
    writer.raw(bytes.iter().copied());
    // With and without a checksum that fits, or the fuzzer would see nothing but the checksum.
    for value in [bytes, &writer.seal()] {
        let _ = decode_record(value);
        let _ = decode_vector(value);
        let _ = decode_levels(value);
        let _ = decode_located_levels(value);
    }
}

fn encode_row(writer: &mut Writer, row: &[f32]) {
    let largest = row.iter().fold(0f32, |largest, x| largest.max(x.abs()));
    let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
    writer.f32(scale);
    writer.raw(row.iter().map(|x| (x / scale).round() as i8 as u8));
}

fn decode_level(reader: &mut Reader<'_>) -> Result<Level> {
    let dim = reader.count_of(0)?;
    let row_bytes = dim.checked_add(4).ok_or(FrameError::Short)?;
    let n = reader.count_of(row_bytes)?;
    let weights = reader.f32s(n)?;
    let mut vectors = Vec::with_capacity(n * dim);
    for _ in 0..n {
        let scale = reader.f32s(1)?[0];
        let row = reader.bytes(dim)?;
        vectors.extend(row.iter().map(|&byte| f32::from(byte as i8) * scale));
    }
    Ok(Level { dim, vectors, weights, extents: Vec::new() })
}

fn encode_extent(writer: &mut Writer, extent: &Extent) {
    match extent {
        Extent::Atoms(atoms) => {
            writer.u8(0);
            writer.count(atoms.len() as u64);
            atoms.iter().for_each(|&atom| writer.count(atom.into()));
        }
        Extent::Span { start, end } => {
            writer.u8(1);
            writer.count((*start).into());
            writer.count((*end).into());
        }
    }
}

fn decode_extent(reader: &mut Reader<'_>) -> Result<Extent> {
    let small = |reader: &mut Reader<'_>| {
        u32::try_from(reader.count()?).map_err(|_| FrameError::Content("a position is too large"))
    };
    match reader.u8()? {
        0 => {
            let n = reader.count_of(1)?;
            Ok(Extent::Atoms((0..n).map(|_| small(reader)).collect::<Result<_>>()?))
        }
        1 => Ok(Extent::Span { start: small(reader)?, end: small(reader)? }),
        _ => Err(FrameError::Content("an extent is neither atoms nor a span")),
    }
}

#[cfg(test)]
mod tests {
    use moiety_encoder::{Encoder, HashingEncoder};
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

    #[test]
    fn levels_come_back_close_with_their_weights_and_extents() {
        let encoder = HashingEncoder::new(48);
        let encoding = &encoder.encode_texts(&["a yellow dye, of wool and silk"]).unwrap()[0];
        let value = encode_levels(&encoding.fragments, &encoding.tokens);
        let levels = decode_located_levels(&value).unwrap();
        assert_eq!(levels.tokens.extents, encoding.tokens.extents);
        assert_eq!(levels.fragments.extents, encoding.fragments.extents);
        assert_eq!(levels.tokens.weights, encoding.tokens.weights);
        for (stored, given) in levels.tokens.vectors.iter().zip(&encoding.tokens.vectors) {
            assert!((stored - given).abs() < 0.003);
        }
        assert_eq!(decode_levels(&value).unwrap().tokens.vectors, levels.tokens.vectors);
    }

    /// Bytes that version 1 wrote. A change of layout that cannot read them needs a new format version.
    const GOLDEN_RECORD: &str = "01bf4d0f13026964030343434f0343434f01034b45590002036f6e650374776f010572696e6773030300000000000000010574c3a8787401016107030301000000000000000500000000000004400801016200";
    const GOLDEN_LEVELS: &str =
        "013a99c9df02010000803fa069ce3b5f8102010000803fa069ce3b5f81000200ac020101c801";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn layout_of_format_1_is_as_it_was() {
        let record = record("id".into(), Some("tèxt".into()), Some("CCO".into()));
        assert_eq!(hex(&encode_record(&record)), GOLDEN_RECORD);
        let level = |extent: Extent| Level {
            dim: 2,
            vectors: vec![0.6, -0.8],
            weights: vec![1.0],
            extents: vec![extent],
        };
        let fragments = level(Extent::Atoms(vec![0, 300]));
        let tokens = level(Extent::Span { start: 1, end: 200 });
        assert_eq!(hex(&encode_levels(&fragments, &tokens)), GOLDEN_LEVELS);
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
            let _ = decode_levels(&sealed);
            let _ = decode_located_levels(&sealed);
        }

        #[test]
        fn cut_values_are_an_error(cut in 0usize..60) {
            let whole = encode_record(&record("id".into(), Some("text".into()), Some("CCO".into())));
            let cut = cut.min(whole.len() - 1);
            prop_assert!(decode_record(&whole[..cut]).is_err());
        }
    }
}
