//! `google.protobuf.Struct` ↔ JSON objects.
//!
//! Whole numbers up to 2^53 become JSON integers, so that a year comes back as `1932` and not `1932.0`.

use moiety_engine::inexact_integer;
use prost_types::{ListValue, Struct, Value, value::Kind};
use serde_json::{Map, Number};

use super::ConvertError;

const EXACT_INTEGERS: f64 = 9_007_199_254_740_992.0;

/// A payload as JSON. Fails at a number that is not finite and at a value without a kind.
pub fn payload_from_wire(
    payload: Struct,
    field: &str,
) -> Result<Map<String, serde_json::Value>, ConvertError> {
    payload
        .fields
        .into_iter()
        .map(|(name, value)| {
            let value = value_from_wire(value, &format!("{field}.{name}"))?;
            Ok((name, value))
        })
        .collect()
}

/// A JSON object as a payload. Integers beyond 2^53, which numbers of the wire would round, go out as strings of their digits.
pub fn payload_to_wire(payload: &Map<String, serde_json::Value>) -> Struct {
    let fields = payload.iter().map(|(name, value)| (name.clone(), value_to_wire(value)));
    Struct { fields: fields.collect() }
}

/// One value as JSON.
pub(super) fn value_from_wire(
    value: Value,
    field: &str,
) -> Result<serde_json::Value, ConvertError> {
    match value.kind {
        None => Err(ConvertError::Missing {
            field: field.into(),
            remedy: "a value needs a kind; send null_value for null",
        }),
        Some(Kind::NullValue(_)) => Ok(serde_json::Value::Null),
        Some(Kind::BoolValue(value)) => Ok(value.into()),
        Some(Kind::StringValue(value)) => Ok(value.into()),
        Some(Kind::NumberValue(value)) => number_from_wire(value, field).map(Into::into),
        Some(Kind::ListValue(list)) => list_from_wire(list, field).map(Into::into),
        Some(Kind::StructValue(object)) => payload_from_wire(object, field).map(Into::into),
    }
}

/// The values of a list as JSON.
pub(super) fn list_from_wire(
    list: ListValue,
    field: &str,
) -> Result<Vec<serde_json::Value>, ConvertError> {
    let values = list.values.into_iter().enumerate();
    values.map(|(i, value)| value_from_wire(value, &format!("{field}[{i}]"))).collect()
}

/// One JSON value on the wire.
pub(super) fn value_to_wire(value: &serde_json::Value) -> Value {
    let kind = match value {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(value) => Kind::BoolValue(*value),
        serde_json::Value::Number(number) => match inexact_integer(value) {
            Some(_) => Kind::StringValue(number.to_string()),
            None => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        },
        serde_json::Value::String(value) => Kind::StringValue(value.clone()),
        serde_json::Value::Array(values) => {
            Kind::ListValue(ListValue { values: values.iter().map(value_to_wire).collect() })
        }
        serde_json::Value::Object(object) => Kind::StructValue(payload_to_wire(object)),
    };
    Value { kind: Some(kind) }
}

fn number_from_wire(value: f64, field: &str) -> Result<Number, ConvertError> {
    if value.fract() == 0.0 && value.abs() <= EXACT_INTEGERS {
        return Ok(Number::from(value as i64));
    }
    Number::from_f64(value)
        .ok_or_else(|| ConvertError::NotFinite { field: field.into(), position: 0 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn object(value: serde_json::Value) -> Map<String, serde_json::Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn payload_comes_back_as_it_went() {
        let payload = object(json!({
            "name": "indigo", "year": 1878, "yield": 0.5, "natural": true, "gone": null,
            "uses": ["dye", 2, {"deep": [[]]}], "negative": -3, "empty": {}
        }));
        assert_eq!(payload_from_wire(payload_to_wire(&payload), "payload").unwrap(), payload);
    }

    proptest! {
        #[test]
        fn an_integer_comes_back_as_it_went_or_as_its_digits(n in any::<i64>(), shift in 0u32..64) {
            let n = n >> shift;
            let payload = object(json!({ "n": n, "list": [n], "unsigned": n.unsigned_abs() }));
            let back = payload_from_wire(payload_to_wire(&payload), "payload").unwrap();
            let digits = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            prop_assert_eq!(digits(&back["n"]), n.to_string());
            prop_assert_eq!(digits(&back["list"][0]), n.to_string());
            prop_assert_eq!(digits(&back["unsigned"]), n.unsigned_abs().to_string());
            prop_assert_eq!(back["n"].is_number(), n.unsigned_abs() <= 1 << 53);
        }
    }

    #[test]
    fn nan_in_a_payload_is_refused_with_its_path() {
        let nan = Value { kind: Some(Kind::NumberValue(f64::NAN)) };
        let list = Value { kind: Some(Kind::ListValue(ListValue { values: vec![nan] })) };
        let payload = Struct { fields: [("x".to_owned(), list)].into() };
        let error = payload_from_wire(payload, "payload").unwrap_err();
        assert_eq!(error, ConvertError::NotFinite { field: "payload.x[0]".into(), position: 0 });
    }

    #[test]
    fn value_without_a_kind_is_refused() {
        let error = value_from_wire(Value { kind: None }, "payload.x").unwrap_err();
        assert_eq!(error.field(), "payload.x");
    }
}
