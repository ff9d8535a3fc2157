//! JSON lines: `{"id": …, "smiles": …, "text": …, "payload": {…}}`; other fields join the payload.

use std::io::BufRead;

use moiety_rpc::wire;
use serde_json::{Map, Value};

use super::{Columns, Lines, MOLECULE_NAMES, Reject, Row, Rows, TEXT_NAMES};
use crate::structure::structure;

pub(super) fn rows(input: Box<dyn BufRead>, columns: &Columns, stem: String) -> Rows {
    let columns = columns.clone();
    Box::new(Lines::new(input).filter_map(move |(line, text)| {
        let reject = |reason: String| Some(Err(Reject { line, reason }));
        let text = match text {
            Ok(text) if text.trim().is_empty() => return None,
            Ok(text) => text,
            Err(reason) => return reject(reason),
        };
        let object = match serde_json::from_str::<Map<String, Value>>(&text) {
            Ok(object) => object,
            Err(e) => return reject(not_an_object(&e)),
        };
        match record(object, &columns, line, &stem) {
            Ok(record) => Some(Ok(Row { line, record })),
            Err(reason) => reject(reason),
        }
    }))
}

/// What is wrong with a line; its number in the file is told beside it.
fn not_an_object(error: &serde_json::Error) -> String {
    format!("not a JSON object: {error}").replace(" at line 1 column ", " at column ")
}

/// How deep the value of a payload field may be nested.
///
/// A message nests two or three levels for each of these, and readers of messages stop at a hundred.
const MAX_DEPTH: usize = 24;

/// Levels of lists and objects.
fn depth(value: &Value) -> usize {
    let deepest = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(fields) => fields.values().map(depth).max(),
        _ => return 0,
    };
    1 + deepest.unwrap_or(0)
}

fn record(
    mut object: Map<String, Value>,
    columns: &Columns,
    line: u64,
    stem: &str,
) -> std::result::Result<wire::Record, String> {
    let id = take(&mut object, &columns.id_column, &["id"])?;
    let molecule = take(&mut object, &columns.molecule_column, &MOLECULE_NAMES)?;
    let text = take(&mut object, &columns.text_column, &TEXT_NAMES)?;
    let mut payload = match object.remove("payload") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(payload)) => payload,
        Some(_) => return Err("`payload` is not an object".into()),
    };
    payload.extend(object);
    if let Some((name, _)) = payload.iter().find(|(_, value)| depth(value) > MAX_DEPTH) {
        return Err(format!("`{name}` is nested deeper than {MAX_DEPTH}"));
    }
    Ok(wire::Record {
        id: id.unwrap_or_else(|| format!("{stem}:{line}")),
        molecule: molecule.as_deref().map(structure),
        text,
        payload: Some(moiety_rpc::convert::payload_to_wire(&payload)),
    })
}

/// Takes the first of these fields that is there; numbers are taken as their digits.
fn take(
    object: &mut Map<String, Value>,
    asked: &Option<String>,
    usual: &[&str],
) -> std::result::Result<Option<String>, String> {
    let present = match asked {
        Some(name) => Some(name.as_str()),
        None => usual.iter().copied().find(|name| object.contains_key(*name)),
    };
    let Some(name) = present else { return Ok(None) };
    match object.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(format!("`{name}` is neither a string nor a number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_beside_the_known_ones_join_the_payload_and_bad_lines_say_why() {
        let file = b"{\"id\": 7, \"smiles\": \"CCO\", \"year\": 1, \"payload\": {\"a\": true}}\n[1]\n{\"text\": {}}\n";
        let rows: Vec<_> = rows(Box::new(&file[..]), &Columns::default(), "f".into()).collect();
        let record = &rows[0].as_ref().expect("row").record;
        assert_eq!(
            (record.id.as_str(), record.payload.as_ref().expect("payload").fields.len()),
            ("7", 2)
        );
        assert!(rows[1].as_ref().is_err_and(|r| r.line == 2 && r.reason.contains("JSON object")));
        assert!(rows[2].as_ref().is_err_and(|r| r.reason.contains("`text`")));
    }

    #[test]
    fn a_value_that_no_message_can_hold_is_rejected_and_reading_goes_on() {
        let nested = |levels| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        let line = |levels| format!("{{\"text\": \"x\", \"deep\": {}}}\n", nested(levels));
        let file = [line(MAX_DEPTH + 1), line(MAX_DEPTH), line(200)].concat().into_bytes();
        let input = Box::new(std::io::Cursor::new(file));
        let rows: Vec<_> = rows(input, &Columns::default(), "f".into()).collect();
        assert!(rows[0].as_ref().is_err_and(|r| r.reason.contains("`deep` is nested")));
        assert!(rows[1].is_ok());
        assert!(rows[2].as_ref().is_err_and(|r| r.reason.contains("at column")));
    }
}
