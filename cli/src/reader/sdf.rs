//! SD files: the mol block is the structure; data fields are text, identifier or payload by their names.

use std::io::BufRead;

use moiety_chem::{ChemError, Place, SdfReader, SdfRecord};
use moiety_rpc::wire;
use serde_json::Map;

use super::{Columns, Reject, Row, Rows, TEXT_NAMES, delimited::typed};
use crate::structure::structure;

pub(super) fn rows(input: Box<dyn BufRead>, columns: &Columns, stem: String) -> Rows {
    let columns = columns.clone();
    let mut last_line = 0;
    Box::new(SdfReader::new(input).map(move |record| match record {
        Ok(record) => {
            last_line = record.line as u64;
            Ok(Row { line: last_line, record: convert(record, &columns, &stem) })
        }
        Err(error) => {
            last_line = line_of(&error).unwrap_or(last_line + 1);
            Err(Reject { line: last_line, reason: error.to_string() })
        }
    }))
}

/// The line that a fault is at; it is never of an earlier record.
fn line_of(error: &ChemError) -> Option<u64> {
    match error {
        ChemError::Syntax { place: Place::Line(line), .. }
        | ChemError::Unreadable { place: Place::Line(line), .. } => Some(*line as u64),
        _ => None,
    }
}

fn convert(record: SdfRecord, columns: &Columns, stem: &str) -> wire::Record {
    let is = |name: &str, asked: &Option<String>, usual: &[&str]| match asked {
        Some(asked) => name == asked,
        None => usual.iter().any(|usual| name.eq_ignore_ascii_case(usual)),
    };
    let (mut id, mut text, mut payload) = (None, None, Map::new());
    for (name, value) in record.fields {
        if id.is_none() && is(&name, &columns.id_column, &["id"]) {
            id = Some(value);
        } else if text.is_none() && is(&name, &columns.text_column, &TEXT_NAMES) {
            text = Some(value);
        } else {
            payload.insert(name, typed(&value));
        }
    }
    let title = record.mol_block.lines().next().unwrap_or_default().trim();
    if !title.is_empty() {
        payload.entry("name").or_insert_with(|| title.into());
    }
    wire::Record {
        id: id.unwrap_or_else(|| format!("{stem}:{}", record.line)),
        molecule: Some(structure(&record.mol_block)),
        text,
        payload: Some(moiety_rpc::convert::payload_to_wire(&payload)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = "name\n\n\n  0  0  0  0  0  0  0  0  0  0999 V2000\nM  END\n$$$$\n";

    #[test]
    fn a_broken_record_is_rejected_with_a_line_of_its_own_also_when_it_is_the_first() {
        let file = ["cut\n$$$$\n", RECORD, "cut again\n\n$$$$\n", RECORD].concat().into_bytes();
        let input = Box::new(std::io::Cursor::new(file));
        let rows: Vec<_> = rows(input, &Columns::default(), "f".into()).collect();
        let lines: Vec<_> = rows
            .iter()
            .map(|row| row.as_ref().map_or_else(|reject| reject.line, |row| row.line))
            .collect();
        assert_eq!(lines, [1, 3, 9, 12]);
        assert!(rows[0].is_err() && rows[1].is_ok() && rows[2].is_err() && rows[3].is_ok());
    }
}
