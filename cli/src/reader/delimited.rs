//! CSV and TSV with a header: one column is the structure, one the text, one the identifier, the rest is payload.

use std::io::{BufRead, Read};

use moiety_rpc::wire;
use serde_json::{Map, Value};

use super::{Columns, MOLECULE_NAMES, Reject, Row, Rows, TEXT_NAMES, starts_as_smiles};
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
    let layout = Layout::find(header, columns)?;
    Ok(Box::new(Table { reader, layout, stem, last_line: 1, failed: false }))
}

/// The rows of a table below its header.
struct Table {
    reader: csv::Reader<Box<dyn BufRead>>,
    layout: Layout,
    stem: String,
    last_line: u64,
    failed: bool,
}

impl Iterator for Table {
    type Item = std::result::Result<Row, Reject>;

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
    fn row(&mut self, cells: &csv::ByteRecord) -> std::result::Result<Row, Reject> {
        let line = cells.position().map_or(0, csv::Position::line);
        self.last_line = line;
        let reject = |reason| Reject { line, reason };
        self.layout.check_count(cells, self.reader.position().line() - line).map_err(reject)?;
        let cells = csv::StringRecord::from_byte_record(cells.clone()).map_err(|e| {
            let column = self.layout.header.get(e.utf8_error().field());
            let column = column.map_or("a cell without a column", String::as_str);
            reject(format!("not UTF-8 in `{column}`; convert the file"))
        })?;
        Ok(Row { line, record: self.layout.record(&cells, line, &self.stem) })
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
        if header.iter().all(String::is_empty) {
            return Err(CliError::Usage("the file has no header: its first line is empty".into()));
        }
        let (id, molecule) =
            (pick(&columns.id_column, &["id"])?, pick(&columns.molecule_column, &MOLECULE_NAMES)?);
        let text = pick(&columns.text_column, &TEXT_NAMES)?;
        if molecule.is_none() && text.is_none() {
            return Err(CliError::Usage(no_column(&header)));
        }
        Ok(Self { header, id, molecule, text })
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

/// What to do where no column is known.
fn no_column(header: &[String]) -> String {
    let remedy = if header.iter().any(|cell| starts_as_smiles(cell)) {
        "the first line looks like a row: add a header such as `smiles,name`, or give --format smiles for a SMILES a line"
    } else if header.len() == 1 && header[0].contains([';', '\t', ',', '|']) {
        "the first line is one cell: commas delimit a .csv and tabs a .tsv; give --format or convert the file"
    } else {
        "name one with --molecule-column or --text-column"
    };
    format!("no column of structures or texts; {remedy}; the header has: {}", header.join(", "))
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

    fn read(table: &'static str) -> Vec<std::result::Result<Row, Reject>> {
        let input = Box::new(table.as_bytes());
        rows(input, b',', &Columns::default(), "t".into()).expect("header").collect()
    }

    #[test]
    fn lines_that_end_with_cr_and_lf_are_counted_as_others_and_leave_no_cr() {
        let rows = read("id,smiles,text\r\na,CCO,x\r\n\r\nb,CC,\"two\r\nlines\"\r\nc,C\r\nd,CN,y");
        let lines = rows.iter().map(|row| row.as_ref().map_or_else(|r| r.line, |row| row.line));
        assert_eq!(lines.collect::<Vec<_>>(), [2, 4, 6, 7]);
        assert!(rows[2].is_err());
        for (at, expected) in [(0, "x"), (1, "two\r\nlines"), (3, "y")] {
            let text = rows[at].as_ref().expect("row").record.text.as_deref();
            assert_eq!(text, Some(expected), "{at}");
        }
        let late = read("\r\nid,smiles\r\na,CCO\r\n");
        assert_eq!(late[0].as_ref().map(|row| row.line), Ok(3));
        let old = Box::new(&b"id,smiles\ra,CCO\r"[..]);
        let old = super::rows(old, b',', &Columns::default(), "t".into()).err();
        let old = old.expect("lines that end with CR alone");
        assert!(old.to_string().contains("convert"), "{old}");
    }

    #[test]
    fn rows_that_do_not_fit_the_header_are_rejected_and_not_cut_to_fit() {
        let rows = read("id,smiles,text\na,CCO\nb,CC,one, two\nc,CC,fine,,\nd,C,\"two\nlines\"\n");
        let reason = |at: usize| rows[at].as_ref().map_err(|reject| reject.clone()).err();
        assert!(reason(0).is_some_and(|r| r.line == 2 && r.reason.starts_with("2 cells")));
        assert!(reason(1).is_some_and(|r| r.line == 3 && r.reason.contains("quote a cell")));
        assert_eq!((reason(2), reason(3)), (None, None));
    }

    #[test]
    fn a_quote_left_open_is_told_where_it_opens() {
        let rows = read("id,smiles,text\na,CCO,x\nb,\"CC,x\nc,CC,x\nd,CC,x\n");
        let last = rows.last().and_then(|row| row.as_ref().err()).expect("rejected");
        assert_eq!((rows.len(), last.line), (2, 3));
        assert!(last.reason.contains("quote left open"), "{}", last.reason);
    }

    #[test]
    fn a_table_without_a_header_says_what_to_do() {
        let refuse = |table: &'static str| {
            let input = Box::new(table.as_bytes());
            let refused = rows(input, b',', &Columns::default(), "t".into()).err();
            refused.expect("no header").to_string()
        };
        assert!(refuse("CCO,ethanol\n").contains("--format smiles"));
        assert!(refuse("id;smiles\n").contains("delimit"));
        assert!(refuse("").contains("no header"));
        assert!(refuse("a,b\n").contains("--molecule-column"));
    }
}
