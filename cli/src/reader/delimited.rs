//! CSV and TSV with a header: one column is the structure, one the text, one the identifier, the rest is payload.

use std::io::BufRead;

use moiety_rpc::wire;
use serde_json::{Map, Value};

use super::{Columns, MOLECULE_NAMES, Reject, Row, Rows, TEXT_NAMES};
use crate::{
    error::{CliError, Result},
    structure::structure,
};

pub(super) fn rows(
    input: Box<dyn BufRead>,
    delimiter: u8,
    columns: &Columns,
    stem: String,
) -> Result<Rows> {
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(input);
    let header = reader
        .byte_headers()
        .map_err(|e| CliError::Usage(format!("cannot read the header: {e}")))?;
    let header: Vec<String> =
        header.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
    let layout = Layout::find(header, columns)?;
    Ok(Box::new(reader.into_byte_records().map(move |record| {
        let record = record.map_err(|e| Reject {
            line: e.position().map_or(0, csv::Position::line),
            reason: format!("not a row of the table: {e}"),
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        let record = csv::StringRecord::from_byte_record(record).map_err(|e| Reject {
            line,
            reason: format!("not UTF-8: {}; convert the file", e.utf8_error()),
        })?;
        Ok(Row { line, record: layout.record(&record, line, &stem) })
    })))
}

/// Which column holds what.
struct Layout {
    header: Vec<String>,
    id: Option<usize>,
    molecule: Option<usize>,
    text: Option<usize>,
}

impl Layout {
    fn find(header: Vec<String>, columns: &Columns) -> Result<Self> {
        let position =
            |name: &str| header.iter().position(|column| column.eq_ignore_ascii_case(name));
        let pick = |asked: &Option<String>, usual: &[&str]| match asked {
            Some(name) => position(name).map(Some).ok_or_else(|| {
                CliError::Usage(format!(
                    "no column `{name}`; the header has: {}",
                    header.join(", ")
                ))
            }),
            None => Ok(usual.iter().find_map(|name| position(name))),
        };
        let (id, molecule) =
            (pick(&columns.id_column, &["id"])?, pick(&columns.molecule_column, &MOLECULE_NAMES)?);
        let text = pick(&columns.text_column, &TEXT_NAMES)?;
        if molecule.is_none() && text.is_none() {
            return Err(CliError::Usage(format!(
                "no column of structures or texts; name one with --molecule-column or --text-column; the header has: {}",
                header.join(", ")
            )));
        }
        Ok(Self { header, id, molecule, text })
    }

    fn record(&self, row: &csv::StringRecord, line: u64, stem: &str) -> wire::Record {
        let cell = |at: Option<usize>| {
            at.and_then(|at| row.get(at)).map(str::trim).filter(|cell| !cell.is_empty())
        };
        let special = [self.id, self.molecule, self.text];
        let mut payload = Map::new();
        for (at, name) in
            self.header.iter().enumerate().filter(|(at, _)| !special.contains(&Some(*at)))
        {
            if let Some(value) = cell(Some(at)) {
                payload.insert(name.clone(), typed(value));
            }
        }
        wire::Record {
            id: cell(self.id).map_or_else(|| format!("{stem}:{line}"), str::to_owned),
            molecule: cell(self.molecule).map(structure),
            text: cell(self.text).map(str::to_owned),
            payload: Some(moiety_rpc::convert::payload_to_wire(&payload)),
        }
    }
}

/// A number where the cell is one and would be written the same; `007` and `1e999` stay strings.
pub(super) fn typed(cell: &str) -> Value {
    match serde_json::from_str::<serde_json::Number>(cell) {
        Ok(number) if number.to_string() == cell => Value::Number(number),
        _ => match cell {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => Value::String(cell.to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name_and_the_rest_is_payload() {
        let table = b"ID,Smiles,year,code\na,CCO,1999,007\nb,\"C,C\",,x\n";
        let rows: Vec<_> = rows(Box::new(&table[..]), b',', &Columns::default(), "t".into())
            .expect("header")
            .collect();
        let first = &rows[0].as_ref().expect("row").record;
        assert_eq!((first.id.as_str(), rows[1].as_ref().expect("row").line), ("a", 3));
        let fields = &first.payload.as_ref().expect("payload").fields;
        assert_eq!(fields.len(), 2);
        assert_eq!(typed("007"), Value::String("007".into()));
        assert_eq!(typed("1999"), Value::from(1999));
    }

    #[test]
    fn missing_column_is_named_with_the_header() {
        let asked = Columns { molecule_column: Some("structure".into()), ..Columns::default() };
        let error = rows(Box::new(&b"a,b\n1,2\n"[..]), b',', &asked, "t".into())
            .err()
            .expect("no such column");
        assert!(error.to_string().contains("`structure`") && error.to_string().contains("a, b"));
    }
}
