//! SD files: the mol block is the structure, its title the name, and data fields are what their names say.

use std::io::BufRead;

use moiety_chem::{ChemError, Place, SdfReader, SdfRecord};
use serde_json::Map;

use super::{
    Reject,
    fields::{Cell, Raw, Raws},
};

pub(super) fn rows(input: Box<dyn BufRead>) -> Raws {
    let mut last_line = 0;
    Box::new(SdfReader::new(input).map(move |record| match record {
        Ok(record) => {
            last_line = record.line as u64;
            Ok(row(record))
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

fn row(record: SdfRecord) -> Raw {
    let title = record.mol_block.lines().next().unwrap_or_default().trim();
    Raw {
        line: record.line as u64,
        name: (!title.is_empty()).then(|| title.to_owned()),
        structure: Some(record.mol_block),
        fields: record.fields.into_iter().map(|(name, value)| (name, Cell::Text(value))).collect(),
        payload: Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = "name\n\n\n  0  0  0  0  0  0  0  0  0  0999 V2000\nM  END\n$$$$\n";

    #[test]
    fn a_broken_record_is_rejected_with_a_line_of_its_own_also_when_it_is_the_first() {
        let file = ["cut\n$$$$\n", RECORD, "cut again\n\n$$$$\n", RECORD].concat().into_bytes();
        let rows: Vec<_> = rows(Box::new(std::io::Cursor::new(file))).collect();
        let lines: Vec<_> = rows
            .iter()
            .map(|row| row.as_ref().map_or_else(|reject| reject.line, |row| row.line))
            .collect();
        assert_eq!(lines, [1, 3, 9, 12]);
        assert!(rows[0].is_err() && rows[1].is_ok() && rows[2].is_err() && rows[3].is_ok());
    }
}
