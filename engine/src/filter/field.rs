//! Paths of fields: where in a record a condition looks.

use moiety_chem::{element_count, is_element};
use serde_json::{Map, Value};

use crate::{StoredRecord, facts, limits::MAX_ID_BYTES};

const MOLECULE: &str = "mol.";
const PAYLOAD: &str = "payload.";
const ELEMENTS: &str = "elements.";

/// The symbol in the name of a fact that counts an element (`elements.Cl`).
fn element_symbol(fact: &str) -> Option<&str> {
    fact.strip_prefix(ELEMENTS)
}

/// A place in a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Field {
    /// Keys from the payload inwards.
    Payload(Vec<String>),
    /// A fact of the molecule by name, without `mol.`.
    Fact(String),
    /// What the record itself has beside its payload; a payload's key of the same name counts too.
    Own(Own),
}

/// A part of a record that is no payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Own {
    Id,
    Text,
}

impl Own {
    const ALL: [Self; 2] = [Self::Id, Self::Text];

    fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Text => "text",
        }
    }

    fn of(self, record: &StoredRecord) -> Option<&str> {
        match self {
            Self::Id => Some(&record.id),
            Self::Text => record.text.as_deref(),
        }
    }
}

impl Field {
    /// Reads a path; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > MAX_ID_BYTES {
            return Err(format!("a field name has 1 to {MAX_ID_BYTES} bytes"));
        }
        if let Some(name) = text.strip_prefix(MOLECULE) {
            check_fact(name)?;
            return Ok(Self::Fact(name.to_owned()));
        }
        if let Some(own) = Own::ALL.into_iter().find(|own| own.name() == text) {
            return Ok(Self::Own(own));
        }
        let path = text.strip_prefix(PAYLOAD).filter(|path| !path.is_empty()).unwrap_or(text);
        Ok(Self::Payload(keys(path)))
    }

    /// Whether `holds` is true of one of the values at this place; a list there stands for its items.
    pub(crate) fn any(&self, record: &StoredRecord, holds: &mut dyn FnMut(&Value) -> bool) -> bool {
        match self {
            Self::Payload(keys) => match keys.split_first() {
                Some((first, rest)) => {
                    record.payload.get(first).is_some_and(|value| walk(value, rest, holds))
                }
                None => false,
            },
            Self::Own(own) => {
                own.of(record).is_some_and(|own| holds(&Value::from(own)))
                    || record.payload.get(own.name()).is_some_and(|value| walk(value, &[], holds))
            }
            Self::Fact(name) => {
                let Some(molecule) = &record.molecule else { return false };
                let facts = &molecule.facts;
                let text = |text: &str| Value::from(text);
                let value = match name.as_str() {
                    "canonical_smiles" => Some(text(&facts.canonical_smiles)),
                    "inchikey" => facts.inchikey.as_deref().map(text),
                    "inchikey_block" => facts.inchikey_block.as_deref().map(text),
                    _ => match element_symbol(name) {
                        Some(symbol) => count(&facts.properties, symbol),
                        None => return facts.properties.get(name).is_some_and(holds),
                    },
                };
                value.is_some_and(|value| holds(&value))
            }
        }
    }
}

/// As a filter writes it.
impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fact(name) => write!(f, "{MOLECULE}{name}"),
            Self::Own(own) => f.write_str(own.name()),
            Self::Payload(keys) => {
                let path: Vec<String> = keys.iter().map(|key| escaped(key)).collect();
                let path = path.join(".");
                let shadowed = path.starts_with(MOLECULE)
                    || path.starts_with(PAYLOAD)
                    || Own::ALL.iter().any(|own| own.name() == path);
                write!(f, "{}{path}", if shadowed { PAYLOAD } else { "" })
            }
        }
    }
}

fn check_fact(name: &str) -> Result<(), String> {
    let known = match element_symbol(name) {
        Some(symbol) if is_element(symbol) => return Ok(()),
        Some(symbol) => return Err(format!("{symbol:?} is no symbol of an element")),
        None => facts::NAMES.contains(&name),
    };
    if known {
        return Ok(());
    }
    let names = facts::NAMES.join(", ");
    Err(format!(
        "a molecule has no fact {name:?}; there are: {names}, elements.C and the like; a payload's own `mol` is \
         `payload.mol`"
    ))
}

/// A key as a path has it.
pub(crate) fn escaped(key: &str) -> String {
    key.replace('\\', "\\\\").replace('.', "\\.")
}

/// Splits at dots that no backslash stands before.
pub(crate) fn keys(path: &str) -> Vec<String> {
    let mut keys = vec![String::new()];
    let mut chars = path.chars().peekable();
    while let Some(c) = chars.next() {
        let next = (c == '\\').then(|| chars.next_if(|c| "\\.".contains(*c))).flatten();
        let last = keys.len() - 1;
        match (c, next) {
            (_, Some(escaped)) => keys[last].push(escaped),
            ('.', None) => keys.push(String::new()),
            (c, None) => keys[last].push(c),
        }
    }
    keys
}

fn walk(value: &Value, keys: &[String], holds: &mut dyn FnMut(&Value) -> bool) -> bool {
    match (keys.split_first(), value) {
        (None, Value::Array(items)) => items.iter().any(holds),
        (None, value) => holds(value),
        (Some((key, rest)), Value::Object(object)) => {
            object.get(key).is_some_and(|value| walk(value, rest, holds))
        }
        (Some(_), Value::Array(items)) => items.iter().any(|item| walk(item, keys, holds)),
        (Some(_), _) => false,
    }
}

fn count(properties: &Map<String, Value>, symbol: &str) -> Option<Value> {
    let formula = properties.get("formula")?.as_str()?;
    Some(element_count(formula, symbol).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_one_place_and_are_written_as_they_are_read() {
        let keys = |text: &str| match Field::parse(text).unwrap() {
            Field::Payload(keys) => keys.join("|"),
            Field::Fact(name) => format!("fact {name}"),
            Field::Own(own) => format!("own {}", own.name()),
        };
        assert_eq!(keys("a.b"), "a|b");
        assert_eq!(keys("payload.mol.x"), "mol|x");
        assert_eq!(keys("payload.payload.x"), "payload|x");
        assert_eq!(keys("payload"), "payload");
        assert_eq!((keys("text"), keys("payload.text")), ("own text".into(), "text".into()));
        assert_eq!(keys(r"a\.b.c\\"), r"a.b|c\");
        assert_eq!(keys("mol.elements.Cl"), "fact elements.Cl");
        for text in [
            "a.b",
            "payload.mol.x",
            "payload.payload",
            "id",
            "payload.id",
            r"a\.b.c\\",
            "mol.log_p",
            "a..b",
        ] {
            let field = Field::parse(text).unwrap();
            assert_eq!(Field::parse(&field.to_string()).unwrap(), field, "{text}");
        }
        assert!(Field::parse("").is_err() && Field::parse("mol.elements.Xx").is_err());
        assert!(Field::parse("mol.logp").unwrap_err().contains("log_p"));
    }
}
