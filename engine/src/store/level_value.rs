//! The value of the family `levels`: the parts of one side of a record, both levels in one value.
//!
//! For each level its dimension, the number of parts, their weights, and one [`CodedRows`] row each; then the extents of all.
//! Vectors come first, so that ranking reads neither extents nor anything else, and compares the rows as they lie.

use moiety_encoder::{Extent, Level};
use moiety_index::{CodedRows, Codes};

use super::frame::{FrameError, Reader, Writer};
use crate::levels::{CodedLevel, Levels, StoredLevel, StoredLevels};

type Result<T> = std::result::Result<T, FrameError>;

/// Both levels, which were checked.
pub(crate) fn encode_levels(fragments: &Level, tokens: &Level) -> Vec<u8> {
    let mut writer = Writer::new();
    for level in [fragments, tokens] {
        writer.count(level.dim as u64);
        writer.count(level.len() as u64);
        level.weights.iter().for_each(|&weight| writer.f32(weight));
        writer.raw(Codes::of(&level.vectors, level.dim).as_bytes().iter().copied());
    }
    for extent in fragments.extents.iter().chain(&tokens.extents) {
        encode_extent(&mut writer, extent);
    }
    writer.seal()
}

/// Both levels without extents, as they lie in the value: all that ranking needs.
pub(crate) fn read_levels(value: &[u8]) -> Result<StoredLevels<'_>> {
    read_both(&mut Reader::open(value)?)
}

/// Both levels with extents.
pub(crate) fn decode_levels(value: &[u8]) -> Result<Levels> {
    let mut reader = Reader::open(value)?;
    let StoredLevels { fragments, tokens } = read_both(&mut reader)?;
    let levels = Levels {
        fragments: decode_level(fragments, &mut reader)?,
        tokens: decode_level(tokens, &mut reader)?,
    };
    reader.finish()?;
    Ok(levels)
}

fn read_both<'a>(reader: &mut Reader<'a>) -> Result<StoredLevels<'a>> {
    Ok(StoredLevels { fragments: read_level(reader)?, tokens: read_level(reader)? })
}

fn read_level<'a>(reader: &mut Reader<'a>) -> Result<StoredLevel<'a>> {
    let (dim, n) = (reader.count_of(0)?, reader.count_of(4)?);
    let weights = reader.floats(n)?;
    if n == 0 {
        return Ok(StoredLevel { rows: CodedRows::default(), weights });
    }
    let malformed = FrameError::Content("a part vector is malformed");
    let row_bytes = CodedRows::row_bytes(dim).ok_or(malformed.clone())?;
    let rows = reader.bytes(n.checked_mul(row_bytes).ok_or(FrameError::Short)?)?;
    Ok(StoredLevel { rows: CodedRows::new(dim, rows).ok_or(malformed)?, weights })
}

fn decode_level(level: StoredLevel<'_>, reader: &mut Reader<'_>) -> Result<CodedLevel> {
    let extents = (0..level.rows.len()).map(|_| decode_extent(reader)).collect::<Result<_>>()?;
    Ok(CodedLevel { codes: level.rows.into(), weights: level.weights().collect(), extents })
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

    #[test]
    fn levels_come_back_close_with_their_weights_and_extents() {
        let encoder = HashingEncoder::new(48);
        let encoding = &encoder.encode_texts(&["a yellow dye, of wool and silk"]).unwrap()[0];
        let value = encode_levels(&encoding.fragments, &encoding.tokens);
        let levels = decode_levels(&value).unwrap();
        assert_eq!(levels.tokens.extents, encoding.tokens.extents);
        assert_eq!(levels.fragments.extents, encoding.fragments.extents);
        assert_eq!(levels.tokens.weights, encoding.tokens.weights);
        for i in 0..encoding.tokens.len() {
            let stored = levels.tokens.codes.rows().numbers(i);
            for (stored, given) in stored.zip(encoding.tokens.vector(i)) {
                assert!((stored - given).abs() < 0.003);
            }
        }
        assert_eq!(levels.tokens, CodedLevel::from(encoding.tokens.clone()));
        let read = read_levels(&value).unwrap();
        assert_eq!(read.fragments.rows, levels.fragments.codes.rows());
        assert_eq!(read.tokens.weights().collect::<Vec<_>>(), levels.tokens.weights);
    }

    /// Bytes that version 1 wrote. A change of layout that cannot read them needs a new format version.
    const GOLDEN: &str =
        "013a99c9df02010000803fa069ce3b5f8102010000803fa069ce3b5f81000200ac020101c801";

    #[test]
    fn layout_of_format_1_is_as_it_was() {
        let level = |extent: Extent| Level {
            dim: 2,
            vectors: vec![0.6, -0.8],
            weights: vec![1.0],
            extents: vec![extent],
        };
        let fragments = level(Extent::Atoms(vec![0, 300]));
        let tokens = level(Extent::Span { start: 1, end: 200 });
        let value = encode_levels(&fragments, &tokens);
        let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, GOLDEN);
        let levels = decode_levels(&value).unwrap();
        assert_eq!(levels.fragments, CodedLevel::from(fragments));
        assert_eq!(levels.tokens, CodedLevel::from(tokens));
    }

    #[test]
    fn a_side_without_parts_has_levels_without_parts() {
        let value = encode_levels(&Level::default(), &Level { dim: 8, ..Level::default() });
        assert!(decode_levels(&value).unwrap().is_empty());
        assert!(read_levels(&value).unwrap().tokens.rows.is_empty());
    }

    #[test]
    fn a_scale_that_is_no_number_is_an_error() {
        let level = Level { dim: 1, vectors: vec![1.0], weights: vec![1.0], ..Level::default() };
        let mut writer = Writer::new();
        let sealed = encode_levels(&level, &Level::default());
        let mut body = sealed[5..].to_vec();
        body[6..10].copy_from_slice(&f32::NAN.to_le_bytes());
        writer.raw(body);
        assert!(matches!(read_levels(&writer.seal()), Err(FrameError::Content(_))));
    }

    proptest! {
        #[test]
        fn random_bytes_are_an_error_and_never_a_panic(
            body in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            prop_assert!(read_levels(&body).is_err());
            let mut writer = Writer::new();
            writer.raw(body);
            let sealed = writer.seal();
            let _ = read_levels(&sealed);
            let _ = decode_levels(&sealed);
        }
    }
}
