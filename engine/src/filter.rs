//! A typed expression over a record's payload and over its molecule's facts (`mol.…`).

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

use crate::{
    MoleculeFacts, StoredRecord,
    error::{EngineError, Result},
    facts,
    limits::{MAX_FILTER_DEPTH, MAX_FILTER_NODES, MAX_ID_BYTES},
};

/// Fields of this prefix are facts of the molecule; a payload's own `mol` object is not seen by filters.
const MOLECULE_PREFIX: &str = "mol.";

/// Which records a search, a scroll or a count sees.
///
/// A field is a path of object keys joined by dots (`source.year`). Where the path ends at an array, a condition holds
/// when it holds for one of its elements. A missing field fails every condition but `Not`.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// The field equals the value; numbers are compared as numbers.
    Equals {
        /// Path of the field.
        field: String,
        /// String, number, boolean or null.
        value: Value,
    },
    /// The field equals one of the values.
    In {
        /// Path of the field.
        field: String,
        /// Strings, numbers, booleans or nulls.
        values: Vec<Value>,
    },
    /// The field is a number within the bounds.
    Range {
        /// Path of the field.
        field: String,
        /// Lower bound.
        lower: Bound,
        /// Upper bound.
        upper: Bound,
    },
    /// The field is there and not null.
    Exists {
        /// Path of the field.
        field: String,
    },
    /// All hold; true when empty.
    And(Vec<Filter>),
    /// At least one holds; false when empty.
    Or(Vec<Filter>),
    /// The inner filter does not hold.
    Not(Box<Filter>),
}

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// Everything on this side is in.
    Unbounded,
    /// The value itself is in.
    Inclusive(f64),
    /// The value itself is out.
    Exclusive(f64),
}

impl Filter {
    /// Checks depth, size, field names and bounds; says where something is wrong.
    pub(crate) fn check(&self) -> Result<()> {
        let mut nodes = 0;
        self.check_at("filter", 1, &mut nodes)
    }

    /// Whether the record is seen.
    pub(crate) fn matches(&self, record: &StoredRecord) -> bool {
        match self {
            Self::Equals { field, value } => any_value(record, field, |found| same(found, value)),
            Self::In { field, values } => {
                any_value(record, field, |found| values.iter().any(|value| same(found, value)))
            }
            Self::Range { field, lower, upper } => any_value(record, field, |found| {
                found.as_f64().is_some_and(|x| lower.is_below(x) && upper.is_above(x))
            }),
            Self::Exists { field } => any_value(record, field, |found| !found.is_null()),
            Self::And(all) => all.iter().all(|filter| filter.matches(record)),
            Self::Or(any) => any.iter().any(|filter| filter.matches(record)),
            Self::Not(inner) => !inner.matches(record),
        }
    }

    fn check_at(&self, path: &str, depth: usize, nodes: &mut usize) -> Result<()> {
        *nodes += 1;
        if depth > MAX_FILTER_DEPTH {
            let reason = format!("it is nested deeper than {MAX_FILTER_DEPTH}");
            return Err(EngineError::invalid(path, reason));
        }
        match self {
            Self::Equals { field, value } => {
                check_field(path, field)?;
                check_value(path, value)?;
            }
            Self::In { field, values } => {
                *nodes += values.len();
                check_field(path, field)?;
                values.iter().try_for_each(|value| check_value(path, value))?;
            }
            Self::Range { field, lower, upper } => {
                check_field(path, field)?;
                check_range(path, *lower, *upper)?;
            }
            Self::Exists { field } => check_field(path, field)?,
            Self::And(inner) | Self::Or(inner) => {
                let name = if matches!(self, Self::And(_)) { "all" } else { "any" };
                for (i, filter) in inner.iter().enumerate() {
                    filter.check_at(&format!("{path}.{name}[{i}]"), depth + 1, nodes)?;
                }
            }
            Self::Not(inner) => inner.check_at(&format!("{path}.not"), depth + 1, nodes)?,
        }
        if *nodes > MAX_FILTER_NODES {
            let reason = format!("it has more than {MAX_FILTER_NODES} conditions and values");
            return Err(EngineError::invalid("filter", reason));
        }
        Ok(())
    }
}

impl Bound {
    /// As a lower bound: whether `x` is on the inner side.
    fn is_below(self, x: f64) -> bool {
        match self {
            Self::Unbounded => true,
            Self::Inclusive(bound) => bound <= x,
            Self::Exclusive(bound) => bound < x,
        }
    }

    /// As an upper bound: whether `x` is on the inner side.
    fn is_above(self, x: f64) -> bool {
        match self {
            Self::Unbounded => true,
            Self::Inclusive(bound) => x <= bound,
            Self::Exclusive(bound) => x < bound,
        }
    }

    fn is_nan(self) -> bool {
        matches!(self, Self::Inclusive(bound) | Self::Exclusive(bound) if bound.is_nan())
    }
}

/// Whether the condition holds for the field's value, or for an element of it when it is an array.
fn any_value(record: &StoredRecord, field: &str, holds: impl Fn(&Value) -> bool) -> bool {
    match lookup(record, field).as_deref() {
        None => false,
        Some(Value::Array(items)) => items.iter().any(holds),
        Some(value) => holds(value),
    }
}

fn lookup<'a>(record: &'a StoredRecord, field: &str) -> Option<Cow<'a, Value>> {
    match field.strip_prefix(MOLECULE_PREFIX) {
        Some(name) => fact(&record.molecule.as_ref()?.facts, name),
        None => path(&record.payload, field).map(Cow::Borrowed),
    }
}

fn fact<'a>(facts: &'a MoleculeFacts, name: &str) -> Option<Cow<'a, Value>> {
    let text = |text: &str| Cow::Owned(Value::from(text));
    match name {
        "canonical_smiles" => Some(text(&facts.canonical_smiles)),
        "inchikey" => facts.inchikey.as_deref().map(text),
        "inchikey_block" => facts.inchikey_block.as_deref().map(text),
        _ => path(&facts.properties, name).map(Cow::Borrowed),
    }
}

fn path<'a>(object: &'a Map<String, Value>, field: &str) -> Option<&'a Value> {
    let mut keys = field.split('.');
    let first = object.get(keys.next()?)?;
    keys.try_fold(first, |value, key| value.as_object()?.get(key))
}

/// Equality of scalars; `1` equals `1.0`, and large integers are compared as integers.
fn same(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Number(a), Value::Number(b)) => {
            a == b || a.as_f64() == b.as_f64() && !both_integers(a, b)
        }
        _ => found == wanted,
    }
}

fn both_integers(a: &Number, b: &Number) -> bool {
    !a.is_f64() && !b.is_f64()
}

fn check_field(path: &str, field: &str) -> Result<()> {
    if let Some(name) = field.strip_prefix(MOLECULE_PREFIX)
        && !facts::NAMES.contains(&name)
    {
        let names = facts::NAMES.join(", ");
        let reason = format!("a molecule has no fact {name:?}; there are: {names}");
        return Err(EngineError::invalid(path, reason));
    }
    if field.is_empty() || field.len() > MAX_ID_BYTES {
        let reason = format!("a field name has 1 to {MAX_ID_BYTES} bytes");
        return Err(EngineError::invalid(path, reason));
    }
    Ok(())
}

fn check_value(path: &str, value: &Value) -> Result<()> {
    if value.is_array() || value.is_object() {
        let reason = "a field is compared with a string, a number, a boolean or null";
        return Err(EngineError::invalid(path, reason));
    }
    Ok(())
}

fn check_range(path: &str, lower: Bound, upper: Bound) -> Result<()> {
    if lower.is_nan() || upper.is_nan() {
        return Err(EngineError::invalid(path, "a bound of a range must be a number"));
    }
    if lower == Bound::Unbounded && upper == Bound::Unbounded {
        return Err(EngineError::invalid(path, "a range needs a lower or an upper bound"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::StoredMolecule;

    fn record() -> StoredRecord {
        let properties = json!({"rings": 2, "molecular_weight": 180.16});
        let facts = MoleculeFacts {
            canonical_smiles: "CCO".into(),
            inchikey: None,
            properties: properties.as_object().unwrap().clone(),
            ..MoleculeFacts::default()
        };
        let structure = moiety_chem::Structure::Smiles("OCC".into());
        let payload =
            json!({"n": 3, "x": 2.5, "tag": ["a", "b"], "deep": {"year": 1999}, "nil": null});
        StoredRecord {
            id: "r".into(),
            molecule: Some(StoredMolecule { structure, facts }),
            text: None,
            payload: payload.as_object().unwrap().clone(),
        }
    }

    fn equals(field: &str, value: Value) -> Filter {
        Filter::Equals { field: field.into(), value }
    }

    fn range(field: &str, lower: Bound, upper: Bound) -> Filter {
        Filter::Range { field: field.into(), lower, upper }
    }

    #[test]
    fn conditions_hold_for_values_array_elements_paths_and_facts() {
        let record = record();
        let holding = [
            equals("n", json!(3)),
            equals("n", json!(3.0)),
            equals("tag", json!("b")),
            equals("deep.year", json!(1999)),
            equals("mol.canonical_smiles", json!("CCO")),
            equals("mol.rings", json!(2)),
            equals("nil", Value::Null),
            Filter::In { field: "tag".into(), values: vec![json!("z"), json!("a")] },
            range("x", Bound::Exclusive(2.0), Bound::Inclusive(2.5)),
            range("mol.molecular_weight", Bound::Unbounded, Bound::Exclusive(200.0)),
            Filter::Exists { field: "deep".into() },
            Filter::And(vec![]),
            Filter::Not(Box::new(Filter::Or(vec![]))),
        ];
        for filter in holding {
            assert!(filter.check().is_ok() && filter.matches(&record), "{filter:?}");
            assert!(!Filter::Not(Box::new(filter)).matches(&record));
        }
    }

    #[test]
    fn missing_null_and_other_types_fail() {
        let record = record();
        let failing = [
            equals("n", json!("3")),
            equals("missing", json!(1)),
            equals("deep.year.more", json!(1)),
            equals("mol.inchikey", json!("x")),
            range("x", Bound::Exclusive(2.5), Bound::Unbounded),
            range("tag", Bound::Inclusive(0.0), Bound::Unbounded),
            Filter::Exists { field: "nil".into() },
        ];
        assert!(failing.iter().all(|filter| !filter.matches(&record)));
    }

    #[test]
    fn large_integers_are_not_rounded() {
        let (a, b) = (json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_992_u64));
        assert!(same(&a, &a) && !same(&a, &b));
    }

    #[test]
    fn filters_without_bound_are_refused_with_their_place() {
        let mut deep = equals("a", json!(1));
        for _ in 0..MAX_FILTER_DEPTH {
            deep = Filter::Not(Box::new(deep));
        }
        assert!(deep.check().is_err());
        let wide = Filter::In { field: "a".into(), values: vec![json!(1); MAX_FILTER_NODES] };
        assert!(wide.check().is_err());
        let bad = Filter::And(vec![equals("a", json!(1)), equals("", json!(1))]);
        assert!(bad.check().unwrap_err().to_string().starts_with("filter.all[1]"));
        let misspelt = equals("mol.logp", json!(1)).check().unwrap_err().to_string();
        assert!(misspelt.contains("logp") && misspelt.contains("log_p"), "{misspelt}");
        assert!(equals("a", json!([1])).check().is_err());
        assert!(range("a", Bound::Unbounded, Bound::Unbounded).check().is_err());
        assert!(range("a", Bound::Inclusive(f64::NAN), Bound::Unbounded).check().is_err());
    }
}
