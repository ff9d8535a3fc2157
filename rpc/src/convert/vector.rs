//! Vectors as bytes with a dtype.

use half::f16;
use moiety_proto::v1 as wire;

use super::{ConvertError, known_enum};

const DTYPES: &str = "DTYPE_F32, DTYPE_F16";

/// The numbers of a vector, all finite and at least one.
pub fn vector_from_wire(vector: &wire::Vector, field: &str) -> Result<Vec<f32>, ConvertError> {
    let dtype = match known_enum::<wire::DType>(vector.dtype) {
        Some(dtype @ (wire::DType::DtypeF32 | wire::DType::DtypeF16)) => dtype,
        _ => return Err(unknown_dtype(vector.dtype, &format!("{field}.dtype"))),
    };
    let data_field = format!("{field}.data");
    if vector.data.is_empty() {
        let remedy = "send the numbers of the vector, little endian";
        return Err(ConvertError::Missing { field: data_field, remedy });
    }
    let width = width(dtype);
    let bytes = vector.data.len();
    if !bytes.is_multiple_of(width) {
        let dtype = dtype.as_str_name();
        return Err(ConvertError::VectorBytes { field: data_field, bytes, width, dtype });
    }
    let numbers = decode(&vector.data, dtype);
    match numbers.iter().position(|number| !number.is_finite()) {
        Some(position) => Err(ConvertError::NotFinite { field: data_field, position }),
        None => Ok(numbers),
    }
}

/// A vector on the wire.
pub fn vector_to_wire(numbers: &[f32], dtype: wire::DType) -> wire::Vector {
    wire::Vector { data: encode(numbers, dtype), dtype: stored(dtype).into() }
}

/// Vectors of `columns` numbers each on the wire, row after row.
pub fn matrix_to_wire(numbers: &[f32], columns: usize, dtype: wire::DType) -> wire::Matrix {
    wire::Matrix {
        data: encode(numbers, dtype),
        dtype: stored(dtype).into(),
        rows: numbers.len().checked_div(columns).unwrap_or(0) as u32,
        columns: columns as u32,
    }
}

/// The dtype that an answer is asked in.
pub fn asked_dtype(value: i32, field: &str) -> Result<wire::DType, ConvertError> {
    known_enum::<wire::DType>(value).map(stored).ok_or_else(|| unknown_dtype(value, field))
}

fn unknown_dtype(value: i32, field: &str) -> ConvertError {
    ConvertError::UnknownEnum { field: field.into(), value, known: DTYPES }
}

fn stored(dtype: wire::DType) -> wire::DType {
    match dtype {
        wire::DType::DtypeUnspecified => wire::DType::DtypeF32,
        other => other,
    }
}

fn width(dtype: wire::DType) -> usize {
    match dtype {
        wire::DType::DtypeF16 => 2,
        _ => 4,
    }
}

fn decode(data: &[u8], dtype: wire::DType) -> Vec<f32> {
    match dtype {
        wire::DType::DtypeF16 => {
            let pairs = data.as_chunks::<2>().0.iter();
            pairs.map(|&pair| f16::from_le_bytes(pair).to_f32()).collect()
        }
        _ => data.as_chunks::<4>().0.iter().map(|&four| f32::from_le_bytes(four)).collect(),
    }
}

fn encode(numbers: &[f32], dtype: wire::DType) -> Vec<u8> {
    match dtype {
        wire::DType::DtypeF16 => {
            numbers.iter().flat_map(|&number| f16::from_f32(number).to_le_bytes()).collect()
        }
        _ => numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vector_comes_back_as_it_went() {
        let numbers = [0.0, -1.5, 3.25, 65504.0];
        for dtype in [wire::DType::DtypeF32, wire::DType::DtypeF16] {
            let vector = vector_to_wire(&numbers, dtype);
            assert_eq!(vector_from_wire(&vector, "v").unwrap(), numbers, "{dtype:?}");
        }
    }

    #[test]
    fn vector_bytes_are_little_endian() {
        let vector = vector_to_wire(&[1.0], wire::DType::DtypeF32);
        assert_eq!(vector.data, [0, 0, 0x80, 0x3f]);
        let vector = vector_to_wire(&[1.0], wire::DType::DtypeF16);
        assert_eq!(vector.data, [0, 0x3c]);
    }

    #[test]
    fn not_finite_number_is_refused_with_its_position() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for dtype in [wire::DType::DtypeF32, wire::DType::DtypeF16] {
                let vector = vector_to_wire(&[0.0, bad], dtype);
                let error = vector_from_wire(&vector, "v").unwrap_err();
                assert_eq!(error, ConvertError::NotFinite { field: "v.data".into(), position: 1 });
            }
        }
    }

    #[test]
    fn torn_empty_and_untyped_vectors_are_refused() {
        let vector = |data: &[u8], dtype: i32| wire::Vector { data: data.to_vec(), dtype };
        let torn = vector_from_wire(&vector(&[1, 2, 3], 1), "v").unwrap_err();
        assert!(matches!(torn, ConvertError::VectorBytes { bytes: 3, width: 4, .. }), "{torn}");
        let empty = vector_from_wire(&vector(&[], 1), "v").unwrap_err();
        assert!(matches!(empty, ConvertError::Missing { .. }), "{empty}");
        for dtype in [0, 3, -1, i32::MAX] {
            let untyped = vector_from_wire(&vector(&[0; 4], dtype), "v").unwrap_err();
            assert!(matches!(untyped, ConvertError::UnknownEnum { .. }), "{untyped}");
        }
    }
}
