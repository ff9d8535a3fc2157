//! Which fields of a collection are indexed, and what a record has in those indexes.
//!
//! An index declares the type of its field: a record with another value there is refused, so that an index holds every
//! value of its field and its answers are whole. Lists stand for their items; null and missing fields are in no index.

use serde_json::Value;

use crate::{
    StoredRecord,
    error::{EngineError, Result},
    facts,
    filter::{Field, micros, words},
    limits::MAX_INDEXES,
    store::FieldValue,
};

/// What the values of an indexed field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// Strings, found as a whole.
    Keyword,
    /// Whole numbers of 64 bits, and numbers without a fraction up to 2^53.
    Integer,
    /// Numbers.
    Float,
    /// True and false.
    Bool,
    /// RFC 3339 times or dates, as strings.
    Datetime,
    /// Strings, found by their words.
    Text,
}

impl FieldType {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Keyword, Self::Integer, Self::Float, Self::Bool, Self::Datetime, Self::Text];

    /// `keyword`, `integer`, `float`, `bool`, `datetime` or `text`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Keyword => "keyword",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Datetime => "datetime",
            Self::Text => "text",
        }
    }
}

/// An index as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct IndexSpec {
    /// Path of the field, as in a filter; a fact of the molecule too (`mol.inchikey`).
    pub field: String,
    /// What its values are.
    pub field_type: FieldType,
}

/// An index as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexInfo {
    /// What was asked for, the field as filters write it.
    pub spec: IndexSpec,
    /// Whether filters use it.
    pub state: IndexState,
}

/// How far an index is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexState {
    /// Records that were there before it are being read; filters scan until it is done.
    Building {
        /// Records read so far.
        records: u64,
    },
    /// It holds all records.
    Ready,
}

/// What a record has in field indexes: the number of an index, and a value there.
pub(crate) type Entries = Vec<(u32, FieldValue)>;

/// An index of a collection.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Index {
    /// Its number in the store; a collection never gives one twice.
    pub(crate) number: u32,
    pub(crate) spec: IndexSpec,
    pub(crate) ready: bool,
    #[serde(skip)]
    field: Option<Field>,
}

/// The indexes of a collection at one moment.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Schema {
    indexes: Vec<Index>,
    next: u32,
}

impl Schema {
    pub(crate) fn of(specs: &[IndexSpec]) -> Result<Self> {
        let mut schema = Self::default();
        for (at, spec) in specs.iter().enumerate() {
            let number = schema.declare(spec, &format!("indexes[{at}]"))?;
            schema.finish(number);
        }
        Ok(schema)
    }

    /// Adds an index that is not ready; its number.
    pub(crate) fn declare(&mut self, spec: &IndexSpec, path: &str) -> Result<u32> {
        let field = read_field(spec, path)?;
        if let Some(there) = self.indexes.iter().find(|index| index.field() == Some(&field)) {
            let reason = format!(
                "{field} has an index of {} already; drop it first",
                there.spec.field_type.name()
            );
            return Err(EngineError::invalid(format!("{path}.field"), reason));
        }
        if self.indexes.len() >= MAX_INDEXES {
            let reason = format!("a collection has at most {MAX_INDEXES} indexes; drop one first");
            return Err(EngineError::invalid(path, reason));
        }
        let number = self.next;
        let spec = IndexSpec { field: field.to_string(), field_type: spec.field_type };
        self.indexes.push(Index { number, spec, ready: false, field: Some(field) });
        self.next += 1;
        Ok(number)
    }

    /// Lets filters use an index.
    pub(crate) fn finish(&mut self, number: u32) {
        let index = self.indexes.iter_mut().find(|index| index.number == number);
        index.into_iter().for_each(|index| index.ready = true);
    }

    /// Takes an index away; `None` when there is none of this field.
    pub(crate) fn remove(&mut self, field: &Field) -> Option<Index> {
        let at = self.indexes.iter().position(|index| index.field() == Some(field))?;
        Some(self.indexes.remove(at))
    }

    /// The index of a field that filters may use.
    pub(crate) fn ready(&self, field: &Field) -> Option<&Index> {
        self.indexes.iter().find(|index| index.ready && index.field() == Some(field))
    }

    /// The same indexes, none of which filters may use.
    pub(crate) fn unready(mut self) -> Self {
        self.indexes.iter_mut().for_each(|index| index.ready = false);
        self
    }

    pub(crate) fn indexes(&self) -> &[Index] {
        &self.indexes
    }

    /// Reads the fields after the schema was read from the store.
    pub(crate) fn restored(mut self) -> Result<Self> {
        for index in &mut self.indexes {
            let corrupt = |reason| EngineError::corrupt("index", reason);
            index.field = Some(Field::parse(&index.spec.field).map_err(corrupt)?);
        }
        Ok(self)
    }

    /// What a record has in every index; the error names a value of another type than its index has.
    pub(crate) fn entries(&self, record: &StoredRecord) -> std::result::Result<Entries, String> {
        let mut entries = Vec::new();
        for index in &self.indexes {
            let values = index.values(record)?;
            entries.extend(values.into_iter().map(|value| (index.number, value)));
        }
        Ok(entries)
    }
}

impl Schema {
    /// What a stored record has in the indexes. An index that is being built may find a value that it will not take; what the
    /// record has in it then goes with the index.
    pub(crate) fn present_entries(&self, record: &StoredRecord) -> Entries {
        let entries = self.indexes.iter().filter_map(|index| {
            let values = index.values(record).ok()?;
            Some(values.into_iter().map(|value| (index.number, value)))
        });
        entries.flatten().collect()
    }
}

impl Index {
    fn field(&self) -> Option<&Field> {
        self.field.as_ref()
    }

    /// The different values of a record, and that there is any.
    pub(crate) fn values(
        &self,
        record: &StoredRecord,
    ) -> std::result::Result<Vec<FieldValue>, String> {
        let mut values = Vec::new();
        let mut misfit = None;
        let mut take = |value: &Value| {
            if !value.is_null() && !take_value(self.spec.field_type, value, &mut values) {
                misfit = Some(self.misfit(value));
            }
            misfit.is_some()
        };
        if let Some(field) = &self.field {
            field.any(record, &mut take);
        }
        match misfit {
            Some(misfit) => Err(misfit),
            None => {
                values.sort_unstable();
                values.dedup();
                Ok(values)
            }
        }
    }

    fn misfit(&self, value: &Value) -> String {
        let mut shown = value.to_string();
        if shown.chars().count() > 60 {
            shown = shown.chars().take(60).chain(['…']).collect();
        }
        let IndexSpec { field, field_type } = &self.spec;
        let wanted = match field_type {
            FieldType::Keyword | FieldType::Text => "a string",
            FieldType::Integer => "a whole number",
            FieldType::Float => "a number",
            FieldType::Bool => "true or false",
            FieldType::Datetime => "an RFC 3339 time or date, as \"2024-05-01T12:00:00Z\"",
        };
        format!("{field} is {shown}, but its {} index takes {wanted}", field_type.name())
    }
}

/// Adds what a value is in an index of this type; false when it has another type.
fn take_value(field_type: FieldType, value: &Value, values: &mut Vec<FieldValue>) -> bool {
    let found = match (field_type, value) {
        (FieldType::Keyword, Value::String(text)) => Some(FieldValue::Keyword(text.clone())),
        (FieldType::Integer, Value::Number(_)) => whole(value).map(FieldValue::Integer),
        (FieldType::Float, Value::Number(number)) => number.as_f64().map(FieldValue::float),
        (FieldType::Bool, Value::Bool(flag)) => Some(FieldValue::Bool(*flag)),
        (FieldType::Datetime, Value::String(text)) => micros(text).map(FieldValue::Integer),
        (FieldType::Text, Value::String(text)) => {
            values.extend(words(text).map(FieldValue::Keyword));
            Some(FieldValue::Present)
        }
        _ => None,
    };
    let fits = found.is_some();
    values.extend(found);
    if fits {
        values.push(FieldValue::Present);
    }
    fits
}

/// A whole number, where it is one and fits.
pub(crate) fn whole(value: &Value) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let small = |x: &f64| x.fract() == 0.0 && x.abs() <= EXACT;
    match value.as_i64() {
        Some(value) => Some(value),
        None if value.is_u64() => None,
        None => value.as_f64().filter(small).map(|x| x as i64),
    }
}

fn read_field(spec: &IndexSpec, path: &str) -> Result<Field> {
    let invalid = |reason| EngineError::invalid(format!("{path}.field"), reason);
    let field = Field::parse(&spec.field).map_err(invalid)?;
    if let Field::Fact(name) = &field {
        let field_type = facts::field_type(name);
        if field_type != spec.field_type {
            let reason = format!("{field} is of type {}", field_type.name());
            return Err(EngineError::invalid(format!("{path}.type"), reason));
        }
    }
    Ok(field)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema(field_type: FieldType) -> Schema {
        Schema::of(&[IndexSpec { field: "a.b".into(), field_type }]).unwrap()
    }

    fn record(value: Value) -> StoredRecord {
        let payload = json!({"a": {"b": value}}).as_object().unwrap().clone();
        StoredRecord { id: "r".into(), molecule: None, text: None, payload }
    }

    #[test]
    fn values_of_the_type_are_entries_once_and_null_is_none() {
        use FieldValue as V;
        let cases = [
            (FieldType::Keyword, json!("x"), vec![V::Present, V::Keyword("x".into())]),
            (FieldType::Keyword, json!(["x", "x", null]), vec![V::Present, V::Keyword("x".into())]),
            (FieldType::Integer, json!([3, 3.0]), vec![V::Present, V::Integer(3)]),
            (FieldType::Float, json!(-0.0), vec![V::Present, V::float(0.0)]),
            (FieldType::Bool, json!(true), vec![V::Present, V::Bool(true)]),
            (
                FieldType::Datetime,
                json!("1970-01-02"),
                vec![V::Present, V::Integer(86_400_000_000)],
            ),
            (
                FieldType::Text,
                json!("Red, red dye"),
                vec![V::Present, V::Keyword("dye".into()), V::Keyword("red".into())],
            ),
            (FieldType::Text, json!("…"), vec![V::Present]),
            (FieldType::Text, json!(null), vec![]),
            (FieldType::Bool, json!([]), vec![]),
        ];
        for (field_type, value, expected) in cases {
            let entries = schema(field_type).entries(&record(value)).unwrap();
            assert_eq!(entries.into_iter().map(|entry| entry.1).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn values_of_another_type_are_named() {
        let cases = [
            (FieldType::Keyword, json!(1)),
            (FieldType::Integer, json!(1.5)),
            (FieldType::Integer, json!(u64::MAX)),
            (FieldType::Float, json!("1")),
            (FieldType::Bool, json!([true, 0])),
            (FieldType::Datetime, json!("yesterday")),
            (FieldType::Text, json!({"a": 1})),
        ];
        for (field_type, value) in cases {
            let misfit = schema(field_type).entries(&record(value)).unwrap_err();
            assert!(misfit.contains("a.b") && misfit.contains(field_type.name()), "{misfit}");
        }
    }

    #[test]
    fn a_field_has_one_index_and_a_fact_its_own_type() {
        let spec = |field: &str, field_type| IndexSpec { field: field.into(), field_type };
        let mut schema = schema(FieldType::Text);
        let error = schema.declare(&spec("payload.a.b", FieldType::Keyword), "index").unwrap_err();
        assert!(error.to_string().starts_with("index.field: a.b has an index"), "{error}");
        let wrong = spec("mol.rings", FieldType::Float);
        assert!(schema.declare(&wrong, "index").unwrap_err().to_string().contains("integer"));
        let elements = schema.declare(&spec("mol.elements.Cl", FieldType::Integer), "i").unwrap();
        assert_eq!(elements, 1);
        let removed = schema.remove(&Field::parse("a.b").unwrap()).unwrap();
        assert_eq!((removed.number, schema.indexes().len()), (0, 1));
        assert_eq!(schema.declare(&spec("a.b", FieldType::Bool), "i").unwrap(), 2, "never again 0");
        let stored = serde_json::to_string(&schema).unwrap();
        assert_eq!(serde_json::from_str::<Schema>(&stored).unwrap().restored().unwrap(), schema);
    }
}
