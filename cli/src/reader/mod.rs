//! Files of records, read one at a time: SMILES, CSV and TSV, JSON lines, SDF; gzipped or not.
//!
//! A bad line comes back as a [`Reject`] with its line and reason, and reading goes on.

mod delimited;
mod jsonl;
mod sdf;
mod smiles;

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use clap::ValueEnum;
use moiety_chem::Molecule;
use moiety_rpc::wire;

use crate::error::{CliError, Result, at};

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A SMILES a line, a name after white space
    Smiles,
    /// Comma-separated with a header
    Csv,
    /// Tab-separated with a header
    Tsv,
    /// A JSON object a line: id, smiles or molecule, text, payload
    Jsonl,
    /// SD file
    Sdf,
}

/// Which columns of a table or fields of an object hold what.
#[derive(clap::Args, Clone, Debug, Default, PartialEq)]
pub(crate) struct Columns {
    /// Column of the identifier [default: `id`, or the line number]
    #[arg(long)]
    pub(crate) id_column: Option<String>,
    /// Column of the structure [default: the first of `smiles`, `canonical_smiles`, `molecule`, `inchi`]
    #[arg(long)]
    pub(crate) molecule_column: Option<String>,
    /// Column of the text [default: the first of `text`, `description`, `caption`]
    #[arg(long)]
    pub(crate) text_column: Option<String>,
}

pub(crate) const MOLECULE_NAMES: [&str; 4] = ["smiles", "canonical_smiles", "molecule", "inchi"];
pub(crate) const TEXT_NAMES: [&str; 3] = ["text", "description", "caption"];

/// A record with the line where it begins, from 1.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) line: u64,
    pub(crate) record: wire::Record,
}

/// A line that holds no record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reject {
    pub(crate) line: u64,
    pub(crate) reason: String,
}

pub(crate) type Rows = Box<dyn Iterator<Item = std::result::Result<Row, Reject>>>;

/// Opens a file of records.
///
/// Identifiers that the file does not give are made of its name and the line, so that reading it again gives the same.
pub(crate) fn open(path: &Path, format: Option<Format>, columns: &Columns) -> Result<Rows> {
    let format = match format {
        Some(format) => format,
        None => guess_with_first_line(path, columns)?,
    };
    let input = reader(path)?;
    let stem = stem(path);
    let rows = match format {
        Format::Smiles => smiles::rows(input, stem),
        Format::Csv => delimited::rows(input, b',', columns, stem)?,
        Format::Tsv => delimited::rows(input, b'\t', columns, stem)?,
        Format::Jsonl => jsonl::rows(input, columns, stem),
        Format::Sdf => sdf::rows(input, columns, stem),
    };
    Ok(Box::new(rows.map(|row| row.and_then(not_empty))))
}

/// Refuses a row that has nothing to search by.
fn not_empty(row: Row) -> std::result::Result<Row, Reject> {
    if row.record.molecule.is_none() && row.record.text.is_none() {
        let reason = "neither a structure nor a text".into();
        return Err(Reject { line: row.line, reason });
    }
    Ok(row)
}

/// Opens a file, unpacking it if its first bytes say gzip; a byte order mark is passed over.
pub(crate) fn reader(path: &Path) -> Result<Box<dyn BufRead>> {
    let mut file = BufReader::with_capacity(1 << 16, File::open(path).map_err(at(path))?);
    let magic = file.fill_buf().map_err(at(path))?;
    let mut input: Box<dyn BufRead> = if magic.starts_with(&[0x1f, 0x8b]) {
        Box::new(BufReader::with_capacity(1 << 16, flate2::read::MultiGzDecoder::new(file)))
    } else {
        Box::new(file)
    };
    let start = input.fill_buf().map_err(at(path))?;
    if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) {
        let path = path.display();
        return Err(CliError::Usage(format!(
            "{path} is written in UTF-16; convert it: iconv -f UTF-16 -t UTF-8 {path}"
        )));
    }
    if start.starts_with(b"\xef\xbb\xbf") {
        input.consume(3);
    }
    Ok(input)
}

/// The format by the name; a `.tsv` without a header whose first cell is a structure is a SMILES file by another name.
fn guess_with_first_line(path: &Path, columns: &Columns) -> Result<Format> {
    let format = guess(path)?;
    if format == Format::Tsv && *columns == Columns::default() && path.is_file() {
        let mut line = String::new();
        let read = reader(path)?.take(MAX_LINE_BYTES as u64).read_line(&mut line);
        // What cannot be read here is told, with its line, when the file is read as a table.
        if read.is_ok() && is_row_of_smiles(&line) {
            eprintln!(
                "{} has no header: reading a SMILES a line (--format tsv if it has one)",
                path.display()
            );
            return Ok(Format::Smiles);
        }
    }
    Ok(format)
}

/// Whether a first line begins with a structure and names no column that a header would.
fn is_row_of_smiles(line: &str) -> bool {
    let names = |cell: &str| {
        ["id"]
            .iter()
            .chain(&MOLECULE_NAMES)
            .chain(&TEXT_NAMES)
            .any(|n| cell.eq_ignore_ascii_case(n))
    };
    let mut cells = line.trim_end().split('\t').map(str::trim);
    let first = cells.clone().next().unwrap_or_default();
    !cells.any(names) && starts_as_smiles(first)
}

/// Whether a cell is a structure rather than the name of a column.
fn starts_as_smiles(cell: &str) -> bool {
    Molecule::from_smiles(cell).is_ok()
}

fn guess(path: &Path) -> Result<Format> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    match name.rsplit('.').next() {
        Some("smi" | "smiles" | "ism") => Ok(Format::Smiles),
        Some("csv") => Ok(Format::Csv),
        Some("tsv") => Ok(Format::Tsv),
        Some("jsonl" | "ndjson") => Ok(Format::Jsonl),
        Some("sdf" | "sd" | "mol") => Ok(Format::Sdf),
        _ => Err(CliError::Usage(format!(
            "cannot tell the format of {} by its name; give --format",
            path.display()
        ))),
    }
}

/// The name without what tells its packing and its format: `a.part1.smi.gz` and `a.part2.smi.gz` stay apart.
fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    if stem.is_empty() { "row".into() } else { stem.to_owned() }
}

/// Longest line that is read, in bytes; a longer one is rejected whole.
const MAX_LINE_BYTES: usize = 8 << 20;

/// Lines of a text file with their numbers; a line that is too long or not UTF-8 is rejected and reading goes on.
pub(crate) struct Lines {
    input: Box<dyn BufRead>,
    line: u64,
    failed: bool,
}

impl Lines {
    pub(crate) fn new(input: Box<dyn BufRead>) -> Self {
        Self { input, line: 0, failed: false }
    }

    fn read(&mut self) -> std::io::Result<Option<std::result::Result<String, String>>> {
        let mut bytes = Vec::new();
        let limit = MAX_LINE_BYTES as u64 + 1;
        if self.input.by_ref().take(limit).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        if bytes.len() > MAX_LINE_BYTES && bytes.last() != Some(&b'\n') {
            self.input.skip_until(b'\n')?;
            return Ok(Some(Err(format!("longer than {MAX_LINE_BYTES} bytes"))));
        }
        Ok(Some(String::from_utf8(bytes).map_err(|e| {
            format!(
                "not UTF-8 at byte {} of the line; convert the file",
                e.utf8_error().valid_up_to() + 1
            )
        })))
    }
}

impl Iterator for Lines {
    type Item = (u64, std::result::Result<String, String>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        self.line += 1;
        match self.read() {
            Ok(line) => Some((self.line, line?)),
            Err(e) => {
                self.failed = true;
                Some((self.line, Err(format!("reading stopped: {e}"))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes of any kind, and lines that begin like those of a file.
    fn near_a_file() -> impl Strategy<Value = Vec<u8>> {
        let line = prop_oneof![
            "[CNOc1()=#@\\\\/ \t]{0,12}( [a-z]{0,4})?",
            "(id|smiles|text|[a-z]{1,3})([,\t\";](id|smiles|text|\"?[A-Z\n]{0,3}\"?)){0,4}",
            r#"\{"(id|smiles|text|payload)": ?("C{0,3}"|[0-9{}\[\]]{0,4})(, ?"[a-z]": null)?\}?"#,
            "(> *<[a-z]{0,4}>|M  END|[$]{4}|  1  0  0  0  0  0  0  0  0  0999 V2000)",
        ];
        let lines = prop::collection::vec((line, any::<bool>()), 0..12).prop_map(|lines| {
            let ended = |(line, cr): (String, bool)| line + if cr { "\r\n" } else { "\n" };
            lines.into_iter().map(ended).collect::<String>().into_bytes()
        });
        let gzipped = |mut bytes: Vec<u8>| {
            bytes.splice(0..0, [0x1f, 0x8b]);
            bytes
        };
        let random = prop::collection::vec(any::<u8>(), 0..400);
        prop_oneof![4 => lines, 2 => random.clone(), 1 => random.prop_map(gzipped)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn a_file_of_any_bytes_is_read_to_its_end(bytes in near_a_file()) {
            let dir = tempfile::tempdir().expect("directory");
            let file = dir.path().join("file");
            std::fs::write(&file, &bytes).expect("file");
            for format in Format::value_variants() {
                let Ok(rows) = open(&file, Some(*format), &Columns::default()) else { continue };
                let mut last = 0;
                for row in rows {
                    let line = row.map_or_else(|reject| reject.line, |row| row.line);
                    prop_assert!(line > last, "{format:?}: line {line} after {last}");
                    last = line;
                }
                prop_assert!(last <= bytes.len() as u64 + 2, "{format:?}: line {last}");
            }
        }
    }

    #[test]
    fn a_line_that_is_not_utf8_is_rejected_and_reading_goes_on() {
        let lines: Vec<_> = Lines::new(Box::new(&b"CCO\n\xff\xfe\nCC\n"[..])).collect();
        assert_eq!(lines[0], (1, Ok("CCO\n".into())));
        assert!(lines[1].1.as_ref().is_err_and(|reason| reason.contains("UTF-8")));
        assert_eq!(lines[2], (3, Ok("CC\n".into())));
    }

    #[test]
    fn formats_are_known_by_name_also_when_gzipped() {
        assert_eq!(guess(Path::new("a.smi.gz")).expect("known"), Format::Smiles);
        assert_eq!(guess(Path::new("A.SDF")).expect("known"), Format::Sdf);
        assert!(guess(Path::new("a.xyz")).is_err());
    }

    #[test]
    fn names_without_format_and_packing_stay_apart() {
        assert_eq!(stem(Path::new("x/a.part1.smi.gz")), "a.part1");
        assert_eq!(stem(Path::new("a.part2.smi")), "a.part2");
        assert_eq!(stem(Path::new("plain")), "plain");
    }

    #[test]
    fn a_table_without_a_header_is_told_from_one_with() {
        assert!(is_row_of_smiles("Cc1ccccc1O\tchembl\n"));
        assert!(is_row_of_smiles("CCO\n"));
        assert!(!is_row_of_smiles("CID\tSMILES\n"));
        assert!(!is_row_of_smiles("C\tsmiles\n"));
        assert!(!is_row_of_smiles("name\tvalue\n"));
        assert!(!is_row_of_smiles("\n"));
    }

    #[test]
    fn byte_order_marks_are_passed_over_and_utf16_says_what_to_do() {
        let dir = tempfile::tempdir().expect("directory");
        let (marked, wide) = (dir.path().join("a.jsonl"), dir.path().join("b.csv"));
        std::fs::write(&marked, b"\xef\xbb\xbf{\"smiles\": \"CCO\"}\n").expect("file");
        std::fs::write(&wide, b"\xff\xfei\0d\0").expect("file");
        let rows: Vec<_> = open(&marked, None, &Columns::default()).expect("file").collect();
        assert_eq!((rows.len(), rows[0].is_ok()), (1, true));
        let refused = open(&wide, None, &Columns::default()).err().expect("UTF-16");
        assert!(refused.to_string().contains("iconv"));
    }

    #[test]
    fn a_row_without_structure_and_text_is_rejected_with_its_line() {
        let dir = tempfile::tempdir().expect("directory");
        let file = dir.path().join("a.csv");
        std::fs::write(&file, "id,smiles\na,CCO\nb,\n").expect("file");
        let rows: Vec<_> = open(&file, None, &Columns::default()).expect("file").collect();
        assert!(rows[1].as_ref().is_err_and(|r| r.line == 3 && r.reason.contains("neither")));
    }
}
