//! How a condition is answered by the index of its field: which keys to read.
//!
//! An index holds every value of its field and all of one type, so that a condition on another type admits nothing.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    Bound, FieldType,
    filter::{Test, micros, words},
    schema::{Index, whole},
    store::{CollectionId, End, FieldValue, KeyRange},
};

/// Beyond this, whole numbers are not all different as binary64.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Keys to read.
#[derive(Debug, PartialEq)]
pub(crate) struct Lookup {
    pub(crate) ranges: Vec<KeyRange>,
    /// Whether a record must be in every range, not in any.
    pub(crate) intersect: bool,
    /// Whether a record in the ranges may still fail.
    pub(crate) recheck: bool,
}

/// What to read for a condition; `None` where the index cannot answer it.
pub(crate) fn of(collection: CollectionId, index: &Index, test: &Test) -> Option<Lookup> {
    let keys = Keys { collection, index: index.number, field_type: index.spec.field_type };
    match test {
        Test::OneOf(_, values) => keys.one_of(values),
        Test::Number(_, lower, upper) => Some(keys.numbers(*lower, *upper)),
        Test::Time(_, lower, upper) => keys.times(*lower, *upper),
        Test::Words(_, wanted) => keys.words(wanted),
        Test::Exists(_) => Some(keys.values([FieldValue::Present], false)),
        Test::Substructure(..) | Test::Similar(..) => None,
    }
}

struct Keys {
    collection: CollectionId,
    index: u32,
    field_type: FieldType,
}

impl Keys {
    fn one_of(&self, wanted: &[Value]) -> Option<Lookup> {
        // One string of a text is found by its words; several would need unions of intersections.
        if let (FieldType::Text, [Value::String(text)]) = (self.field_type, wanted) {
            let mut lookup = self.words(&words(text).collect::<Vec<_>>())?;
            lookup.recheck = true;
            return Some(lookup);
        }
        let mut values = BTreeSet::new();
        let mut recheck = false;
        for wanted in wanted {
            let (value, sure) = self.value(wanted)?;
            recheck |= !sure;
            values.extend(value);
        }
        Some(self.values(values, recheck))
    }

    /// The value in the index that equals a JSON value, if any can, and whether it is surely equal.
    fn value(&self, wanted: &Value) -> Option<(Option<FieldValue>, bool)> {
        let found = match (self.field_type, wanted) {
            // Nulls are in no index.
            (_, Value::Null) => return None,
            (FieldType::Keyword, Value::String(text)) => {
                let value = FieldValue::Keyword(text.clone());
                let whole = value.is_whole();
                (Some(value), whole)
            }
            (FieldType::Text, Value::String(_)) => return None,
            (FieldType::Bool, Value::Bool(flag)) => (Some(FieldValue::Bool(*flag)), true),
            (FieldType::Datetime, Value::String(text)) => {
                (micros(text).map(FieldValue::Integer), false)
            }
            (FieldType::Integer, Value::Number(number)) => {
                // A large number with a fraction's type equals many whole ones.
                let large = number.as_f64().is_some_and(|x| x.abs() >= EXACT);
                if number.is_f64() && large {
                    return None;
                }
                (whole(wanted).map(FieldValue::Integer), true)
            }
            (FieldType::Float, Value::Number(number)) => {
                let x = number.as_f64()?;
                (Some(FieldValue::float(x)), x.abs() < EXACT)
            }
            _ => (None, true),
        };
        Some(found)
    }

    fn numbers(&self, lower: Bound, upper: Bound) -> Lookup {
        match self.field_type {
            FieldType::Integer => {
                let end = |bound: Bound, round: fn(f64) -> f64| -> End {
                    let (x, inclusive) = match bound {
                        Bound::Unbounded => return None,
                        Bound::Inclusive(x) => (x, true),
                        Bound::Exclusive(x) => (x, false),
                    };
                    // A bound between two whole numbers is met by the next one; beyond 64 bits `as` gives the last.
                    let fits = x.fract() == 0.0 && x.abs() < 9.2e18;
                    Some((FieldValue::Integer(round(x) as i64), inclusive || !fits))
                };
                let (low, high) = (end(lower, f64::ceil), end(upper, f64::floor));
                let mut values = [lower, upper].into_iter().filter_map(Bound::value);
                let beyond = values.any(|x| x.abs() >= 9.2e18);
                self.between(&FieldValue::Integer(0), low, high, beyond)
            }
            FieldType::Float => {
                let large = [lower, upper].into_iter().filter_map(Bound::value);
                let large = large.into_iter().any(|x| x.abs() >= EXACT);
                let end = |bound: Bound, outward: fn(f64) -> f64| -> End {
                    match bound {
                        Bound::Unbounded => None,
                        Bound::Inclusive(x) | Bound::Exclusive(x) if large => {
                            Some((FieldValue::float(outward(x)), true))
                        }
                        Bound::Inclusive(x) => Some((FieldValue::float(x), true)),
                        Bound::Exclusive(x) => Some((FieldValue::float(x), false)),
                    }
                };
                let (low, high) = (end(lower, f64::next_down), end(upper, f64::next_up));
                self.between(&FieldValue::float(0.0), low, high, large)
            }
            _ => self.values([], false),
        }
    }

    fn times(&self, lower: Bound<i64>, upper: Bound<i64>) -> Option<Lookup> {
        match self.field_type {
            // A string without a declared form may be a time.
            FieldType::Keyword | FieldType::Text => None,
            FieldType::Datetime => {
                let end = |bound: Bound<i64>| match bound {
                    Bound::Unbounded => None,
                    Bound::Inclusive(at) => Some((FieldValue::Integer(at), true)),
                    Bound::Exclusive(at) => Some((FieldValue::Integer(at), false)),
                };
                let kind = FieldValue::Integer(0);
                Some(self.between(&kind, end(lower), end(upper), false))
            }
            FieldType::Integer | FieldType::Float | FieldType::Bool => Some(self.values([], false)),
        }
    }

    fn words(&self, wanted: &[String]) -> Option<Lookup> {
        match self.field_type {
            FieldType::Text if wanted.is_empty() => None,
            FieldType::Text => {
                let wanted = wanted.iter().map(|word| FieldValue::Keyword(word.clone()));
                Some(Lookup { intersect: true, ..self.values(wanted, false) })
            }
            FieldType::Keyword | FieldType::Datetime => None,
            FieldType::Integer | FieldType::Float | FieldType::Bool => Some(self.values([], false)),
        }
    }

    fn values(&self, values: impl IntoIterator<Item = FieldValue>, recheck: bool) -> Lookup {
        let range = |value: FieldValue| self.collection.value_range(self.index, &value);
        let ranges = values.into_iter().map(range).collect();
        Lookup { ranges, intersect: false, recheck }
    }

    fn between(&self, kind: &FieldValue, lower: End, upper: End, recheck: bool) -> Lookup {
        let range = self.collection.between(self.index, kind, lower, upper);
        Lookup { ranges: vec![range], intersect: false, recheck }
    }
}
