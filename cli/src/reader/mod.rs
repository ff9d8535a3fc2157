//! Files of records, read one at a time: SMILES, CSV and TSV, JSON lines, SDF; gzipped or not.
//!
//! Every format gives rows of named fields, and one place says what they mean: which is the identifier, the structure and the
//! text, what a blank cell is, and what is a number. A bad line comes back as a [`Reject`] with its line and reason, and reading
//! goes on.

mod columns;
mod delimited;
mod fields;
mod jsonl;
mod lines;
mod sdf;
mod smiles;
mod source;
mod typing;

use std::{
    collections::BTreeMap,
    io::{BufRead, Read},
    path::Path,
};

use clap::ValueEnum;
use moiety_chem::Molecule;
use moiety_rpc::wire;

pub(crate) use self::{
    columns::{Columns, Roles, key},
    fields::Mapping,
    lines::Lines,
    source::{Source, reader},
    typing::CellType,
};
use self::{fields::Raws, lines::MAX_LINE_BYTES, typing::Survey};
use crate::error::{CliError, Result};

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A SMILES a line, with its CXSMILES extension if it has one, and a name after white space
    Smiles,
    /// Comma-separated with a header
    Csv,
    /// Tab-separated with a header
    Tsv,
    /// A JSON object a line: id, smiles or molecule, text, payload
    Jsonl,
    /// SD file, or a single mol block
    Sdf,
}

/// A record with the line where it begins, from 1.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) line: u64,
    pub(crate) record: wire::Record,
    /// Whether its identifier is made of the line number.
    pub(crate) is_numbered: bool,
}

/// A line that holds no record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reject {
    pub(crate) line: u64,
    pub(crate) reason: String,
}

pub(crate) type Rows = Box<dyn Iterator<Item = std::result::Result<Row, Reject>>>;

/// A file of records that is open.
pub(crate) struct Opened {
    pub(crate) rows: Rows,
    /// What its fields are taken for.
    pub(crate) mapping: Mapping,
}

/// How a file is to be read.
#[derive(Clone, Copy, Default)]
pub(crate) struct Reading<'a> {
    /// Its format, where its name does not tell.
    pub(crate) format: Option<Format>,
    /// Which column holds what, where it is not the usual one.
    pub(crate) columns: Option<&'a Columns>,
    /// Types of fields that the collection has indexes of.
    pub(crate) indexed: Option<&'a BTreeMap<String, CellType>>,
}

/// Opens a file of records.
///
/// It is read twice, since only all cells of a column together say whether it is one of numbers, and only all records which
/// fields there are. Identifiers that the file does not give are made of its name and the line, so that reading it again gives
/// the same.
pub(crate) fn open(source: &Source, reading: Reading<'_>) -> Result<Opened> {
    let columns = reading.columns.cloned().unwrap_or_default();
    let (format, mut notes) = match reading.format {
        Some(format) => (format, Vec::new()),
        None => guess_with_first_line(source, &columns)?,
    };
    let delimiter = match format {
        Format::Csv | Format::Tsv => {
            Some(delimited::delimiter(source, format, &columns, &mut notes)?)
        }
        _ => None,
    };
    let layout = match (format, columns.delimiter) {
        (Format::Smiles, _) => smiles::Layout::of(source, &columns, &mut notes)?,
        (Format::Jsonl | Format::Sdf, Some(asked)) => {
            return Err(CliError::Usage(format!(
                "--delimiter {asked:?}: files of this format have none; leave it out, or name another --format"
            )));
        }
        _ => smiles::Layout::default(),
    };
    let raws = || -> Result<(Vec<String>, Raws)> {
        let input = source.open()?;
        Ok(match (format, delimiter) {
            (_, Some(delimiter)) => delimited::rows(input, delimiter)?,
            (Format::Smiles, _) => (Vec::new(), smiles::rows(input, layout.clone())),
            (Format::Jsonl, _) => (Vec::new(), jsonl::rows(input)),
            _ => (Vec::new(), sdf::rows(input)),
        })
    };
    let survey = match format {
        Format::Smiles => Survey::of_names(&[layout.name_title()]),
        _ => survey(raws()?),
    };
    let has_structure = matches!(format, Format::Smiles | Format::Sdf);
    let roles = Roles::find(survey.names(), &columns, has_structure)?;
    if roles.molecule.is_none() && roles.text.is_none() && !has_structure {
        delimited::refuse_unknown(survey.names(), delimiter)?;
    }
    let none = BTreeMap::new();
    let typed = matches!(format, Format::Csv | Format::Tsv | Format::Sdf);
    let types = typed.then(|| survey.types(reading.indexed.unwrap_or(&none)));
    let mapping = Mapping::new((format, roles), &survey, types, notes);
    let mapping = mapping.with_name_title(layout.name_title());
    let (stem, of_rows) = (source.stem(), mapping.clone());
    let (_, rows) = raws()?;
    let rows = rows.map(move |raw| raw.and_then(|raw| of_rows.row(raw, &stem)));
    Ok(Opened { rows: Box::new(rows), mapping })
}

/// Looks at the fields of all records.
fn survey((header, raws): (Vec<String>, Raws)) -> Survey {
    let mut survey = Survey::of_names(&header);
    raws.flatten().for_each(|raw| raw.survey(&mut survey));
    survey
}

/// The format by the name; a `.tsv` without a header whose first cell is a structure is a SMILES file by another name.
fn guess_with_first_line(source: &Source, columns: &Columns) -> Result<(Format, Vec<String>)> {
    let format = guess(source.name())?;
    if format == Format::Tsv && *columns == Columns::default() {
        let mut line = String::new();
        let read = source.open()?.take(MAX_LINE_BYTES as u64).read_line(&mut line);
        // What cannot be read here is told, with its line, when the file is read as a table.
        if read.is_ok() && is_row_of_smiles(&line) {
            let note = "no header: reading a SMILES a line (--format tsv if it has one)".to_owned();
            return Ok((Format::Smiles, vec![note]));
        }
    }
    Ok((format, Vec::new()))
}

/// Whether a first line begins with a structure and names no column that a header would.
fn is_row_of_smiles(line: &str) -> bool {
    let mut cells = line.trim_end().split('\t').map(str::trim);
    let first = cells.clone().next().unwrap_or_default();
    !cells.any(columns::is_usual_name) && starts_as_smiles(first)
}

/// Whether a cell is a structure rather than the name of a column.
fn starts_as_smiles(cell: &str) -> bool {
    Molecule::from_smiles(cell).is_ok()
}

fn guess(name: &str) -> Result<Format> {
    let lower = name.to_lowercase();
    let unpacked = lower.strip_suffix(".gz").unwrap_or(&lower);
    match Path::new(unpacked).extension().and_then(|extension| extension.to_str()) {
        Some("smi" | "smiles" | "ism" | "can" | "cxsmi" | "cxsmiles") => Ok(Format::Smiles),
        Some("csv") => Ok(Format::Csv),
        Some("tsv" | "tab") => Ok(Format::Tsv),
        Some("jsonl" | "ndjson") => Ok(Format::Jsonl),
        Some("sdf" | "sd" | "mol") => Ok(Format::Sdf),
        _ => Err(CliError::Usage(format!(
            "cannot tell the format of {name} by its name; give --format smiles, csv, tsv, jsonl or sdf"
        ))),
    }
}

#[cfg(test)]
mod tests;
