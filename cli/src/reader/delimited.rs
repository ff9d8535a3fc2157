//! CSV and TSV with a header: a row is a record, and its cells are the fields that the header names.

use std::io::{BufRead, Read};

use serde_json::Map;

use super::{
    Columns, Format, Lines, Reject, Source,
    fields::{Cell, Raw, Raws},
    starts_as_smiles,
};
use crate::error::{CliError, Result};

/// What a table may have between its cells where its name says something else.
pub(super) const OTHER_DELIMITERS: [char; 4] = [',', ';', '\t', '|'];

/// What stands between the cells: as asked for, as the name says, or what the header has where it has nothing of that.
pub(super) fn delimiter(
    source: &Source,
    format: Format,
    columns: &Columns,
    notes: &mut Vec<String>,
) -> Result<u8> {
    if let Some(asked) = columns.delimiter {
        return byte(asked);
    }
    let usual = if format == Format::Tsv { '\t' } else { ',' };
    let first = Lines::new(source.open()?)
        .find_map(|(_, line)| line.ok().filter(|line| !line.trim().is_empty()));
    let header = first.unwrap_or_default();
    if header.contains(usual) {
        return Ok(usual as u8);
    }
    let count = |delimiter: &char| header.matches(*delimiter).count();
    match OTHER_DELIMITERS.into_iter().max_by_key(count).filter(|other| count(other) > 0) {
        Some(other) if !starts_as_smiles(&header) => {
            notes.push(format!(
                "cells are delimited by {other:?}, by the header (--delimiter says otherwise)"
            ));
            Ok(other as u8)
        }
        _ => Ok(usual as u8),
    }
}

/// A delimiter that was asked for, if it can be one.
pub(super) fn byte(asked: char) -> Result<u8> {
    let unusable =
        || CliError::Usage(format!("--delimiter {asked:?}: it must be one byte, and no quote"));
    u8::try_from(asked).ok().filter(|byte| byte.is_ascii() && *byte != b'"').ok_or_else(unusable)
}

/// The names in the header, and the rows below it.
pub(super) fn rows(input: Box<dyn BufRead>, delimiter: u8) -> Result<(Vec<String>, Raws)> {
    // Of CR and LF the crate counts the LF to the next line, so that lines would have the number of those before them.
    let terminator = csv::Terminator::Any(b'\n');
    let mut builder = csv::ReaderBuilder::new();
    builder.delimiter(delimiter).terminator(terminator).flexible(true).has_headers(false);
    let mut reader = builder.from_reader(input);
    let header = next_record(&mut reader)
        .map_err(|e| CliError::Usage(format!("cannot read the header: {e}")))?
        .unwrap_or_default();
    let header: Vec<String> =
        header.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
    if header.iter().any(|name| name.contains('\r') && !name.contains('\n')) {
        let remedy = "lines end with CR alone; convert the file: tr '\\r' '\\n'";
        return Err(CliError::Usage(remedy.into()));
    }
    Ok((header.clone(), Box::new(Table { reader, header, last_line: 1, failed: false })))
}

/// The rows of a table below its header.
struct Table {
    reader: csv::Reader<Box<dyn BufRead>>,
    header: Vec<String>,
    last_line: u64,
    failed: bool,
}

impl Iterator for Table {
    type Item = std::result::Result<Raw, Reject>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        match next_record(&mut self.reader) {
            Ok(cells) => cells.map(|cells| self.row(&cells)),
            Err(e) => {
                self.failed = true;
                let reason = format!("reading stopped: {e}");
                Some(Err(Reject { line: self.last_line + 1, reason }))
            }
        }
    }
}

impl Table {
    fn row(&mut self, cells: &csv::ByteRecord) -> std::result::Result<Raw, Reject> {
        let line = cells.position().map_or(0, csv::Position::line);
        self.last_line = line;
        let reject = |reason| Reject { line, reason };
        self.check_count(cells, self.reader.position().line() - line).map_err(reject)?;
        let cells = csv::StringRecord::from_byte_record(cells.clone()).map_err(|e| {
            let column = self.header.get(e.utf8_error().field());
            let column = column.map_or("a cell without a column", String::as_str);
            reject(format!("not UTF-8 in `{column}`; convert the file"))
        })?;
        let cell = |cell: &str| Cell::Text(cell.to_owned());
        let fields = self.header.iter().cloned().zip(cells.iter().map(cell)).collect();
        Ok(Raw { line, structure: None, name: None, fields, payload: Map::new() })
    }

    /// Refuses a row that does not fit its header; `lines` is how many it takes.
    ///
    /// Cells beyond the header may be empty: some programs end every row with delimiters.
    fn check_count(&self, cells: &csv::ByteRecord, lines: u64) -> std::result::Result<(), String> {
        let (found, named) = (cells.len(), self.header.len());
        if found == named || (found > named && cells.iter().skip(named).all(<[u8]>::is_empty)) {
            return Ok(());
        }
        let count = format!("{found} cells where the header has {named}");
        Err(match lines {
            0 | 1 => format!("{count}; quote a cell that holds the delimiter or a quote"),
            _ => format!("{count}, over {lines} lines: is a quote left open here?"),
        })
    }
}

/// The next record, without the CR before its LF. A line of CR and LF alone is passed over, as the crate does one of LF.
fn next_record(reader: &mut csv::Reader<impl Read>) -> csv::Result<Option<csv::ByteRecord>> {
    let mut cells = csv::ByteRecord::new();
    while reader.read_byte_record(&mut cells)? {
        let last = cells.iter().next_back().and_then(|last| last.strip_suffix(b"\r"));
        match last {
            None => return Ok(Some(cells)),
            Some([]) if cells.len() == 1 => {}
            Some(last) => {
                let others = cells.iter().take(cells.len() - 1);
                let mut stripped: csv::ByteRecord = others.chain([last]).collect();
                stripped.set_position(cells.position().cloned());
                return Ok(Some(stripped));
            }
        }
    }
    Ok(None)
}

/// Refuses a table of which no column is known.
///
/// # Errors
/// Says what to do, and which columns there are.
pub(super) fn refuse_unknown(header: &[String], delimiter: Option<u8>) -> Result<()> {
    if delimiter.is_none() && header.is_empty() {
        return Ok(());
    }
    if header.iter().all(String::is_empty) {
        return Err(CliError::Usage("the file has no header: its first line is empty".into()));
    }
    let remedy = if delimiter.is_some() && header.iter().any(|cell| starts_as_smiles(cell)) {
        "the first line looks like a row: add a header such as `smiles,name`, or give --format smiles for a SMILES a line"
    } else {
        "name one with --molecule-column or --text-column"
    };
    let there = header.join(", ");
    Err(CliError::Usage(format!(
        "no column of structures or texts; {remedy}; the file has: {there}"
    )))
}
