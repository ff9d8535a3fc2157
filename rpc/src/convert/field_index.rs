//! Field indexes, asked for and as they are.

use moiety_engine::{FieldType, IndexInfo, IndexSpec, IndexState};
use moiety_proto::v1 as wire;

use super::{ConvertError, known_enum};

const TYPES: &str = "FIELD_TYPE_KEYWORD, FIELD_TYPE_INTEGER, FIELD_TYPE_FLOAT, FIELD_TYPE_BOOL, FIELD_TYPE_DATETIME, \
                     FIELD_TYPE_TEXT";

/// An index that is asked for.
pub fn index_from_wire(index: wire::FieldIndex, field: &str) -> Result<IndexSpec, ConvertError> {
    if index.field.is_empty() {
        let remedy = "name the field to index";
        return Err(ConvertError::Missing { field: format!("{field}.field"), remedy });
    }
    use wire::FieldType as T;
    let value = index.r#type;
    let field_type = match known_enum::<T>(value) {
        Some(T::Keyword) => FieldType::Keyword,
        Some(T::Integer) => FieldType::Integer,
        Some(T::Float) => FieldType::Float,
        Some(T::Bool) => FieldType::Bool,
        Some(T::Datetime) => FieldType::Datetime,
        Some(T::Text) => FieldType::Text,
        Some(T::Unspecified) | None => {
            let field = format!("{field}.type");
            return Err(ConvertError::UnknownEnum { field, value, known: TYPES });
        }
    };
    Ok(IndexSpec { field: index.field, field_type })
}

/// An index as it was asked for.
pub fn index_to_wire(spec: IndexSpec) -> wire::FieldIndex {
    use wire::FieldType as T;
    let field_type = match spec.field_type {
        FieldType::Keyword => T::Keyword,
        FieldType::Integer => T::Integer,
        FieldType::Float => T::Float,
        FieldType::Bool => T::Bool,
        FieldType::Datetime => T::Datetime,
        FieldType::Text => T::Text,
    };
    wire::FieldIndex { field: spec.field, r#type: field_type.into() }
}

/// An index as it is.
pub fn index_status_to_wire(info: IndexInfo) -> wire::FieldIndexStatus {
    let (state, records) = match info.state {
        IndexState::Building { records } => (wire::IndexState::Building, records),
        IndexState::Ready => (wire::IndexState::Ready, 0),
    };
    wire::FieldIndexStatus { index: Some(index_to_wire(info.spec)), state: state.into(), records }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_comes_back_as_it_went_and_others_are_refused() {
        for field_type in FieldType::ALL {
            let spec = IndexSpec { field: "a.b".into(), field_type };
            assert_eq!(index_from_wire(index_to_wire(spec.clone()), "index").unwrap(), spec);
        }
        for (field, value, expected) in
            [("", 1, "index.field"), ("a", 0, "index.type"), ("a", 9, "index.type")]
        {
            let index = wire::FieldIndex { field: field.into(), r#type: value };
            assert_eq!(index_from_wire(index, "index").unwrap_err().field(), expected);
        }
    }
}
