//! What the cells of a column are: numbers, truth values, or text. A cell of a CSV, TSV or SD file does not say, so its column
//! does, and an index of the collection goes before both.

use std::collections::{BTreeMap, HashMap, HashSet};

use moiety_engine::limits::MAX_EXACT_INTEGER;
use moiety_rpc::wire::FieldType;
use serde_json::{Number, Value};

/// Cells of a column of numbers that say that there is none.
const MISSING: [&str; 9] = ["na", "n/a", "#n/a", "nan", "none", "null", "-", "--", "?"];

/// Columns that are remembered; a file with more has no columns.
const MAX_COLUMNS: usize = 10_000;

/// What the cells of a column become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum CellType {
    /// Text, as written.
    #[default]
    Text,
    /// A number where the cell is one; nothing where it says that there is none.
    Number,
    /// `true` or `false`.
    Bool,
}

impl CellType {
    /// What an index of this type wants of its field.
    pub(crate) fn of_index(field: FieldType) -> Self {
        match field {
            FieldType::Integer | FieldType::Float => Self::Number,
            FieldType::Bool => Self::Bool,
            _ => Self::Text,
        }
    }

    /// The value of a cell; none where it stands for no value.
    pub(super) fn value(self, cell: &str) -> Option<Value> {
        let text = || Some(Value::String(cell.to_owned()));
        match self {
            Self::Text => text(),
            Self::Bool => cell.parse().map_or_else(|_| text(), |truth| Some(Value::Bool(truth))),
            Self::Number => match Written::of(cell) {
                Written::Number(number) => Some(Value::Number(number)),
                Written::Missing => None,
                _ => text(),
            },
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Bool => "true or false",
        }
    }
}

/// What one cell looks like.
#[derive(Debug, PartialEq)]
enum Written {
    Number(Number),
    /// An integer that a double cannot hold: a number where its neighbours have fractions, else an identifier.
    LongInteger,
    /// Digits that begin with a zero, as in `007`: an identifier whatever its neighbours are.
    Code,
    Bool,
    Missing,
    Text,
}

impl Written {
    fn of(cell: &str) -> Self {
        if matches!(cell, "true" | "false") {
            return Self::Bool;
        }
        let unsigned = cell.strip_prefix(['+', '-']).unwrap_or(cell);
        let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
        let looks_like_a_number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
            && unsigned.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
        if !looks_like_a_number {
            let is_missing = MISSING.iter().any(|word| cell.eq_ignore_ascii_case(word));
            return if is_missing { Self::Missing } else { Self::Text };
        }
        let is_integer = digits == unsigned.len();
        if digits > 1 && unsigned.starts_with('0') {
            return Self::Code;
        }
        if is_integer {
            return match cell.strip_prefix('+').unwrap_or(cell).parse::<i64>() {
                Ok(n) if n.unsigned_abs() <= MAX_EXACT_INTEGER => Self::Number(n.into()),
                _ => Self::LongInteger,
            };
        }
        let number = cell.parse::<f64>().ok().and_then(Number::from_f64);
        number.map_or(Self::Text, Self::Number)
    }
}

/// What the cells of one column look like together.
#[derive(Default)]
struct Seen {
    numbers: bool,
    fractions: bool,
    bools: bool,
    /// The first of each kind, with its line.
    long_integer: Option<(u64, String)>,
    code: Option<(u64, String)>,
    text: Option<(u64, String)>,
}

impl Seen {
    fn add(&mut self, line: u64, cell: &str) {
        let place = match Written::of(cell) {
            Written::Number(number) => {
                self.numbers = true;
                self.fractions |= !number.is_i64();
                return;
            }
            Written::Bool => {
                self.bools = true;
                return;
            }
            Written::Missing => return,
            Written::LongInteger => &mut self.long_integer,
            Written::Code => &mut self.code,
            Written::Text => &mut self.text,
        };
        place.get_or_insert_with(|| (line, cell.chars().take(40).collect()));
    }

    /// The type, and the cell that keeps a column with numbers from being one of numbers.
    fn judged(&self) -> (CellType, Option<&(u64, String)>) {
        let identifiers = self.long_integer.as_ref().filter(|_| !self.fractions);
        let reason = self.code.as_ref().or(self.text.as_ref()).or(identifiers);
        match (self.numbers, self.bools, reason) {
            (true, false, None) => (CellType::Number, None),
            (false, true, None) => (CellType::Bool, None),
            (numbers, _, reason) => (CellType::Text, reason.filter(|_| numbers)),
        }
    }
}

/// The columns of a file in their order, and what their cells look like.
#[derive(Default)]
pub(super) struct Survey {
    names: Vec<String>,
    seen: HashMap<String, Seen>,
    /// Names within what the file itself says is payload.
    payload_names: Vec<String>,
    payload_seen: HashSet<String>,
}

impl Survey {
    /// One that knows these names so far.
    pub(super) fn of_names(names: &[impl AsRef<str>]) -> Self {
        let mut survey = Self::default();
        names.iter().for_each(|name| survey.name(name.as_ref()));
        survey
    }

    /// Notes a name without a cell.
    pub(super) fn name(&mut self, name: &str) {
        if !self.seen.contains_key(name) && self.names.len() < MAX_COLUMNS {
            self.names.push(name.to_owned());
            self.seen.insert(name.to_owned(), Seen::default());
        }
    }

    /// Notes a name of a field that the file itself says is payload.
    pub(super) fn payload_name(&mut self, name: &str) {
        if !self.payload_seen.contains(name) && self.payload_names.len() < MAX_COLUMNS {
            self.payload_names.push(name.to_owned());
            self.payload_seen.insert(name.to_owned());
        }
    }

    /// Notes a cell that is not blank.
    pub(super) fn cell(&mut self, name: &str, line: u64, cell: &str) {
        self.name(name);
        if let Some(seen) = self.seen.get_mut(name) {
            seen.add(line, cell);
        }
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn payload_names(&self) -> &[String] {
        &self.payload_names
    }

    /// The type of each column, those of indexes first.
    pub(super) fn types(&self, indexed: &BTreeMap<String, CellType>) -> Vec<TypedColumn> {
        let typed = |name: &String| {
            let (cells, word) = match indexed.get(name) {
                Some(&of_index) => (of_index, format!("{}, by its index", of_index.name())),
                None => {
                    let (found, reason) = self.seen.get(name).map(Seen::judged).unwrap_or_default();
                    let because = reason.map(|(line, cell)| format!(" (line {line} has `{cell}`)"));
                    (found, format!("{}{}", found.name(), because.unwrap_or_default()))
                }
            };
            TypedColumn { name: name.clone(), cells, word }
        };
        self.names.iter().map(typed).collect()
    }
}

/// A column with the type of its cells.
pub(super) struct TypedColumn {
    pub(super) name: String,
    pub(super) cells: CellType,
    /// The type for a person, with the reason where it is not the one to be expected.
    pub(super) word: String,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judged(cells: &[&str]) -> CellType {
        let mut survey = Survey::default();
        cells.iter().for_each(|cell| survey.cell("c", 1, cell));
        survey.types(&BTreeMap::new())[0].cells
    }

    #[test]
    fn a_column_is_of_numbers_however_they_are_written() {
        assert_eq!(
            judged(&["60.10", "1e0", "+0.5", "1.5E2", "59", "-0.0", ".5", "N/A"]),
            CellType::Number
        );
        for (cell, number) in
            [("60.10", 60.1), ("1e0", 1.0), ("+0.5", 0.5), ("1.5E2", 150.0), ("+7", 7.0)]
        {
            let value = CellType::Number.value(cell).expect("a value");
            assert_eq!(value.as_f64(), Some(number), "{cell}");
        }
        assert_eq!(CellType::Number.value("N/A"), None);
    }

    #[test]
    fn codes_and_long_identifiers_make_their_column_text() {
        for cells in
            [&["1", "007"][..], &["12", "9007199254740993"], &["1", "x"], &["1e999"], &["1-2"]]
        {
            assert_eq!(judged(cells), CellType::Text, "{cells:?}");
        }
        // Among fractions it is no identifier; it stays as it was written, as a number cannot hold it.
        assert_eq!(judged(&["0.5", "9007199254740993"]), CellType::Number);
        let kept = CellType::Number.value("9007199254740993");
        assert_eq!(kept, Some(Value::String("9007199254740993".into())));
        assert_eq!(judged(&["true", "false"]), CellType::Bool);
        assert_eq!(judged(&["true", "1"]), CellType::Text);
    }

    proptest! {
        #[test]
        fn a_number_is_never_rounded_to_another(n in any::<i64>()) {
            match CellType::Number.value(&n.to_string()) {
                Some(Value::Number(number)) => {
                    prop_assert_eq!(number.as_f64().map(|x| x as i128), Some(i128::from(n)));
                }
                other => prop_assert_eq!(other, Some(Value::String(n.to_string()))),
            }
        }

        #[test]
        fn any_cell_is_of_some_type(cell in "\\PC{0,12}|[0-9+-.eE]{0,8}") {
            let value = CellType::Number.value(&cell);
            if let Some(Value::Number(number)) = &value {
                prop_assert_eq!(number.as_f64(), cell.parse::<f64>().ok());
            }
        }
    }
}
