//! Rows of named fields, as every format gives them, and the records that they become.

use std::{collections::BTreeMap, fmt};

use moiety_rpc::wire;
use serde_json::{Map, Value};

use super::{
    Format, Reject, Row,
    columns::{Role, Roles},
    typing::{CellType, Survey, TypedColumn},
};
use crate::structure::structure;

/// A value as its format has it.
pub(super) enum Cell {
    /// Text, of whose kind nothing is said.
    Text(String),
    /// A value of JSON.
    Json(Value),
}

/// One record of a file.
pub(super) struct Raw {
    pub(super) line: u64,
    /// The structure, where the format has a place of its own for it.
    pub(super) structure: Option<String>,
    /// The name, where the format has a place of its own for it; a field of that name goes before it.
    pub(super) name: Option<String>,
    /// Fields in their order. A blank cell is one that is not there.
    pub(super) fields: Vec<(String, Cell)>,
    /// Fields that the file itself says are payload, whatever their names are; one of `fields` goes before its namesake here.
    pub(super) payload: Map<String, Value>,
}

/// The records of a file, or why a line holds none.
pub(super) type Raws = Box<dyn Iterator<Item = std::result::Result<Raw, Reject>>>;

impl Raw {
    /// Notes names and cells.
    pub(super) fn survey(&self, survey: &mut Survey) {
        if self.name.is_some() {
            survey.name(NAME);
        }
        self.payload.keys().for_each(|name| survey.payload_name(name));
        for (name, cell) in &self.fields {
            match cell {
                Cell::Text(text) if !text.trim().is_empty() => {
                    survey.cell(name, self.line, text.trim());
                }
                Cell::Text(_) | Cell::Json(_) => survey.name(name),
            }
        }
    }
}

/// The field that a name of its own place is.
pub(super) const NAME: &str = "name";

/// What the fields of a file are taken for.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    format: Format,
    roles: Roles,
    /// What the file calls the place of its own that names have.
    name_title: String,
    types: BTreeMap<String, CellType>,
    /// Fields of the payload, in their order, with a word on their type.
    payload: Vec<(String, String)>,
    /// What else a person should know.
    notes: Vec<String>,
}

impl Mapping {
    pub(super) fn new(
        (format, roles): (Format, Roles),
        survey: &Survey,
        types: Option<Vec<TypedColumn>>,
        notes: Vec<String>,
    ) -> Self {
        let untyped = |name: &String| (name.clone(), String::new());
        let mut payload: Vec<(String, String)> = match &types {
            Some(types) => {
                types.iter().map(|column| (column.name.clone(), column.word.clone())).collect()
            }
            None => survey.names().iter().map(untyped).collect(),
        };
        payload.retain(|(name, _)| roles.of(name) == Role::Payload);
        let only_there =
            survey.payload_names().iter().filter(|name| !survey.names().contains(name));
        payload.extend(only_there.map(untyped));
        let types = types.into_iter().flatten().map(|column| (column.name, column.cells)).collect();
        Self { format, roles, name_title: NAME.into(), types, payload, notes }
    }

    /// The same for a file that calls its names so.
    pub(super) fn with_name_title(self, title: &str) -> Self {
        Self { name_title: title.to_owned(), ..self }
    }

    /// Whether identifiers are made of the line numbers.
    pub(crate) fn numbers_lines(&self) -> bool {
        self.roles.id.is_none()
    }

    /// Makes a record of a row.
    ///
    /// # Errors
    /// The row has neither a structure nor a text, or a value that no message can hold.
    pub(super) fn row(&self, raw: Raw, stem: &str) -> std::result::Result<Row, Reject> {
        let line = raw.line;
        let reject = |reason| Reject { line, reason };
        let mut record = self.record(raw).map_err(reject)?;
        let is_numbered = record.id.is_empty();
        if is_numbered {
            record.id = format!("{stem}:{line}");
        }
        Ok(Row { line, record, is_numbered })
    }

    /// The record, with an empty identifier where the row has none.
    fn record(&self, raw: Raw) -> std::result::Result<wire::Record, String> {
        let (mut id, mut molecule, mut text) = (None, raw.structure, None);
        let mut payload = Map::new();
        for (name, value) in raw.payload.into_iter().filter(|(_, value)| !value.is_null()) {
            check(&name, &value)?;
            payload.insert(name, value);
        }
        for (name, cell) in raw.fields {
            let place = match self.roles.of(&name) {
                Role::Id if id.is_none() => &mut id,
                Role::Molecule if molecule.is_none() => &mut molecule,
                Role::Text if text.is_none() => &mut text,
                _ => {
                    if let Some(value) = self.value(&name, cell) {
                        check(&name, &value)?;
                        payload.insert(name, value);
                    }
                    continue;
                }
            };
            *place = written(&name, cell)?;
        }
        if let Some(name) = raw.name {
            match self.roles.of(&self.name_title) {
                Role::Id if id.is_none() => id = Some(name.clone()),
                Role::Text if text.is_none() => text = Some(name.clone()),
                _ => {}
            }
            payload.entry(NAME).or_insert_with(|| name.into());
        }
        if molecule.is_none() && text.is_none() {
            return Err("neither a structure nor a text".into());
        }
        Ok(wire::Record {
            id: id.unwrap_or_default(),
            molecule: molecule.as_deref().map(structure),
            text,
            payload: Some(moiety_rpc::convert::payload_to_wire(&payload)),
        })
    }

    /// The value of a payload field, if its cell has one.
    fn value(&self, name: &str, cell: Cell) -> Option<Value> {
        match cell {
            Cell::Json(Value::Null) => None,
            Cell::Json(value) => Some(value),
            Cell::Text(text) => match text.trim() {
                "" => None,
                cell => self.types.get(name).copied().unwrap_or_default().value(cell),
            },
        }
    }
}

/// A person reads this before an import.
impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or =
            |role: &Option<String>, other: &str| role.clone().unwrap_or_else(|| other.to_owned());
        let has_structure = matches!(self.format, Format::Smiles | Format::Sdf);
        let structure = if has_structure { "in its own place" } else { "none" };
        writeln!(f, "  identifier: {}", or(&self.roles.id, "file name and line number"))?;
        writeln!(f, "  structure:  {}", or(&self.roles.molecule, structure))?;
        write!(f, "  text:       {}", or(&self.roles.text, "none"))?;
        if !self.payload.is_empty() {
            let field = |(name, word): &(String, String)| match word.as_str() {
                "" => name.clone(),
                word => format!("{name}: {word}"),
            };
            let fields: Vec<String> = self.payload.iter().map(field).collect();
            write!(f, "\n  payload:    {}", fields.join(", "))?;
        }
        self.notes.iter().try_for_each(|note| write!(f, "\n  note: {note}"))
    }
}

/// A cell as text, where there is any; numbers of JSON are taken as their digits.
fn written(name: &str, cell: Cell) -> std::result::Result<Option<String>, String> {
    let text = match cell {
        Cell::Text(text) | Cell::Json(Value::String(text)) => text,
        Cell::Json(Value::Null) => return Ok(None),
        Cell::Json(Value::Number(number)) => number.to_string(),
        Cell::Json(_) => return Err(format!("`{name}` is neither a string nor a number")),
    };
    // The first line of a mol block is its title, which may be blank.
    let kept = if text.contains("M  END") { text.as_str() } else { text.trim() };
    Ok((!kept.trim().is_empty()).then(|| kept.to_owned()))
}

/// How deep the value of a payload field may be nested.
///
/// A message nests two or three levels for each of these, and readers of messages stop at a hundred.
const MAX_DEPTH: usize = 24;

fn check(name: &str, value: &Value) -> std::result::Result<(), String> {
    if depth(value) > MAX_DEPTH {
        return Err(format!("`{name}` is nested deeper than {MAX_DEPTH}"));
    }
    match moiety_engine::inexact_integer(value) {
        None => Ok(()),
        Some(number) => Err(format!(
            "`{name}` has the integer {number}, which a number cannot hold exactly (beyond 2^53); write it as a string"
        )),
    }
}

/// Levels of lists and objects.
fn depth(value: &Value) -> usize {
    let deepest = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(fields) => fields.values().map(depth).max(),
        _ => return 0,
    };
    1 + deepest.unwrap_or(0)
}
