//! Encodings and the pieces of input that their parts stand for.

use moiety_engine::{Encoding, Extent, Level};
use moiety_proto::v1 as wire;

use super::{
    ConvertError, known_enum,
    vector::{matrix_to_wire, vector_to_wire},
};

/// How much of an encoding is asked for.
pub fn asked_detail(value: i32, field: &str) -> Result<wire::EncodingDetail, ConvertError> {
    known_enum::<wire::EncodingDetail>(value).ok_or_else(|| ConvertError::UnknownEnum {
        field: field.into(),
        value,
        known: "ENCODING_DETAIL_GLOBAL, ENCODING_DETAIL_LEVELS",
    })
}

/// An encoding in the detail asked for.
pub fn encoding_to_wire(
    encoding: &Encoding,
    detail: wire::EncodingDetail,
    dtype: wire::DType,
) -> wire::Encoding {
    let level = |level: &Level| match detail {
        wire::EncodingDetail::Levels => Some(level_to_wire(level, dtype)),
        wire::EncodingDetail::Unspecified | wire::EncodingDetail::Global => None,
    };
    wire::Encoding {
        global: Some(vector_to_wire(&encoding.global, dtype)),
        fragments: level(&encoding.fragments),
        tokens: level(&encoding.tokens),
    }
}

/// A piece of the input.
pub fn extent_to_wire(extent: &Extent) -> wire::Extent {
    let extent = match extent {
        Extent::Atoms(indices) => {
            wire::extent::Extent::Atoms(wire::Atoms { indices: indices.clone() })
        }
        &Extent::Span { start, end } => wire::extent::Extent::Span(wire::ByteSpan { start, end }),
    };
    wire::Extent { extent: Some(extent) }
}

fn level_to_wire(level: &Level, dtype: wire::DType) -> wire::Level {
    wire::Level {
        vectors: Some(matrix_to_wire(&level.vectors, level.dim, dtype)),
        weights: Some(vector_to_wire(&level.weights, wire::DType::DtypeF32)),
        extents: level.extents.iter().map(extent_to_wire).collect(),
    }
}
