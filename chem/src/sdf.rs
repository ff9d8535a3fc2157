//! A streaming reader of SD files: one record at a time, each with its line.
//!
//! It splits records and data fields and leaves the mol block to [`crate::Molecule`]. A bad record
//! is an error with its line, and reading goes on with the next; only a failing stream ends it.

use crate::error::{ChemError, Place};
use crate::limits::{MAX_SDF_LINE_BYTES, MAX_SDF_RECORD_BYTES};
use crate::line::{ReadLine, read_line};
use std::io::BufRead;

/// The line behind a record. A line that goes on after these signs is part of a value.
const END_OF_RECORD: &str = "$$$$";

/// One record of an SD file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SdfRecord {
    /// The mol block up to and including `M  END`.
    pub mol_block: String,
    /// Data fields in the order of the file; a value of several lines keeps its line breaks.
    pub fields: Vec<(String, String)>,
    /// Line of the file (from 1) at which the record starts.
    pub line: usize,
}

/// Iterates over the records of an SD file.
///
/// ```
/// let file = "name\n\n\n  0  0  0  0  0  0  0  0  0  0999 V2000\nM  END\n> <CAS>\n50-78-2\n\n$$$$\n";
/// let record = moiety_chem::SdfReader::new(file.as_bytes()).next().expect("one record")?;
/// assert_eq!(record.fields, [("CAS".to_owned(), "50-78-2".to_owned())]);
/// # Ok::<(), moiety_chem::ChemError>(())
/// ```
#[derive(Debug)]
pub struct SdfReader<R> {
    input: R,
    /// Lines read so far.
    line: usize,
    finished: bool,
}

impl<R: BufRead> SdfReader<R> {
    /// Reads from `input`, starting at line 1.
    pub fn new(input: R) -> Self {
        Self { input, line: 0, finished: false }
    }

    /// Collects the lines of one record; `None` at the end of the input.
    fn collect(&mut self) -> Result<Option<Result<Vec<String>, ChemError>>, ChemError> {
        let mut lines = Vec::new();
        let mut bytes = 0;
        let mut wrong = None;
        loop {
            let (line, ended) = match self.next_line()? {
                Some(Line::Text(line)) => (line, false),
                Some(Line::Bad(error)) => {
                    wrong.get_or_insert(error);
                    continue;
                }
                None => (String::new(), true),
            };
            if ended || line.trim_end() == END_OF_RECORD {
                self.finished = ended;
                let blank = lines.iter().all(|line: &String| line.trim().is_empty());
                return Ok(match wrong {
                    Some(error) => Some(Err(error)),
                    None if ended && blank => None,
                    None => Some(Ok(lines)),
                });
            }
            bytes += line.len() + 1;
            if bytes > MAX_SDF_RECORD_BYTES {
                let what = "SDF record length in bytes";
                wrong.get_or_insert(too_large(what, bytes, MAX_SDF_RECORD_BYTES));
                lines = vec!["too large".into()];
            } else if wrong.is_none() {
                lines.push(line);
            }
        }
    }

    fn next_line(&mut self) -> Result<Option<Line>, ChemError> {
        let mut bytes = Vec::new();
        let place = Place::Line(self.line + 1);
        let read = read_line(&mut self.input, MAX_SDF_LINE_BYTES, &mut bytes)
            .map_err(|e| ChemError::Unreadable { reason: e.to_string(), place })?;
        if read == ReadLine::End {
            return Ok(None);
        }
        self.line += 1;
        if let ReadLine::TooLong(found) = read {
            let what = "SDF line length in bytes";
            return Ok(Some(Line::Bad(too_large(what, found, MAX_SDF_LINE_BYTES))));
        }
        Ok(Some(match String::from_utf8(bytes) {
            Ok(text) => Line::Text(text),
            Err(_) => {
                Line::Bad(syntax("the text is not UTF-8; convert the file".into(), self.line))
            }
        }))
    }
}

impl<R: BufRead> Iterator for SdfReader<R> {
    type Item = Result<SdfRecord, ChemError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let start = self.line + 1;
        match self.collect() {
            Ok(Some(lines)) => Some(lines.and_then(|lines| split(lines, start))),
            Ok(None) => None,
            Err(error) => {
                self.finished = true;
                Some(Err(error))
            }
        }
    }
}

enum Line {
    Text(String),
    Bad(ChemError),
}

/// Separates the mol block from its data fields.
fn split(lines: Vec<String>, start: usize) -> Result<SdfRecord, ChemError> {
    let Some(end) = lines.iter().position(|line| line.starts_with("M  END")) else {
        // The rest of a value in which the signs of the end stand on a line of their own looks like this.
        let is_rest = start > 1 && lines.iter().any(|line| field_name(line).is_some());
        let reason = match is_rest {
            true => {
                "the record has no 'M  END' line but has data fields: is it the rest of the record before, whose value has a \
                 line of '$$$$' alone? Write other signs there"
            }
            false => "the record has no 'M  END' line",
        };
        return Err(syntax(reason.into(), start));
    };
    let mut mol_block = lines[..=end].join("\n");
    mol_block.push('\n');
    Ok(SdfRecord { mol_block, fields: fields(&lines[end + 1..]), line: start })
}

/// Reads `> <NAME>` headers, each followed by its value.
///
/// A value goes up to the blank line before the next header, so that blank lines within it belong to it.
fn fields(lines: &[String]) -> Vec<(String, String)> {
    let mut fields: Vec<(String, Vec<&str>)> = Vec::new();
    let mut after_blank = true;
    for line in lines {
        let is_blank = line.trim().is_empty();
        match (field_name(line).filter(|_| after_blank), fields.last_mut()) {
            (Some(name), _) => fields.push((name, Vec::new())),
            (None, Some((_, value))) => value.push(line),
            // What stands between the mol block and the first header belongs to no field.
            (None, None) => {}
        }
        after_blank = is_blank || (fields.is_empty() && after_blank);
    }
    fields.into_iter().map(|(name, lines)| (name, value_of(&lines))).collect()
}

/// A value without the blank lines before and behind it.
fn value_of(lines: &[&str]) -> String {
    let filled = |line: &&str| !line.trim().is_empty();
    let start = lines.iter().position(filled).unwrap_or(lines.len());
    let end = lines.iter().rposition(filled).map_or(start, |last| last + 1);
    lines[start..end].join("\n")
}

/// The name of a `> <NAME>` line, or of `> DT12` where there are no angle brackets.
fn field_name(line: &str) -> Option<String> {
    let header = line.strip_prefix('>')?;
    let between = header.find('<').zip(header.rfind('>')).filter(|(open, close)| open < close);
    Some(match between {
        Some((open, close)) => header[open + 1..close].to_owned(),
        None => header.trim().to_owned(),
    })
}

fn syntax(reason: String, line: usize) -> ChemError {
    ChemError::Syntax { notation: "SDF", reason, place: Place::Line(line) }
}

fn too_large(what: &'static str, found: usize, limit: usize) -> ChemError {
    ChemError::TooLarge { what, found, limit }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "\n\n\n  0  0  0  0  0  0  0  0  0  0999 V2000\nM  END\n";

    fn read(text: &[u8]) -> Vec<Result<SdfRecord, ChemError>> {
        SdfReader::new(text).collect()
    }

    #[test]
    fn records_know_their_line_and_fields() {
        let file = format!(
            "a{EMPTY}>  <NAME> (1)\nfirst\nsecond\n\n> <EMPTY>\n\n> <CAS>\r\n50-00-0\r\n\r\n$$$$\nb{EMPTY}"
        );
        let records: Vec<SdfRecord> =
            read(file.as_bytes()).into_iter().map(Result::unwrap).collect();
        assert_eq!(records.len(), 2);
        assert_eq!((records[0].line, records[1].line), (1, 16));
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            records[0].fields,
            [field("NAME", "first\nsecond"), field("EMPTY", ""), field("CAS", "50-00-0")]
        );
        assert!(
            records[1].mol_block.starts_with("b\n") && records[1].mol_block.ends_with("M  END\n")
        );
    }

    #[test]
    fn a_value_keeps_its_blank_lines_and_signs_that_only_begin_like_the_end_of_a_record() {
        let file = format!(
            "a{EMPTY}> <COMMENT>\nfirst\n\nsecond\n>5 mg\n\n> <PRICE>\n$$$$ 5\n\n> <B>\n2\n\n$$$$\nb{EMPTY}$$$$\n"
        );
        for end in ["\n", "\r\n", "\r"] {
            let records: Vec<SdfRecord> =
                read(file.replace('\n', end).as_bytes()).into_iter().map(Result::unwrap).collect();
            let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            assert_eq!(records.len(), 2, "{end:?}");
            assert_eq!(
                records[0].fields,
                [
                    field("COMMENT", "first\n\nsecond\n>5 mg"),
                    field("PRICE", "$$$$ 5"),
                    field("B", "2")
                ]
            );
        }
    }

    #[test]
    fn the_rest_of_a_record_that_a_value_has_cut_says_so() {
        let file = format!("a{EMPTY}> <PRICE>\n$$$$\n\n> <B>\n2\n\n$$$$\nb{EMPTY}$$$$\n");
        let records = read(file.as_bytes());
        let reason = records[1].as_ref().unwrap_err().to_string();
        assert!(reason.contains("'$$$$' alone") && records[2].is_ok(), "{reason}");
    }

    #[test]
    fn a_bad_record_does_not_stop_the_next() {
        let mut file = b"no end\n$$$$\n".to_vec();
        file.extend_from_slice(format!("x{EMPTY}> <N>\n").as_bytes());
        file.extend_from_slice(b"\xff\xfe\n\n$$$$\n");
        file.extend_from_slice(format!("good{EMPTY}$$$$\n\n").as_bytes());
        let records = read(&file);
        assert_eq!(records.len(), 3);
        let message = |i: usize| records[i].as_ref().unwrap_err().to_string();
        assert_eq!(message(0), "cannot read SDF: the record has no 'M  END' line at line 1");
        assert_eq!(
            message(1),
            "cannot read SDF: the text is not UTF-8; convert the file at line 9"
        );
        assert!(records[2].is_ok());
    }

    #[test]
    fn endless_lines_are_refused_without_being_kept() {
        let mut file = vec![b'x'; MAX_SDF_LINE_BYTES * 3];
        file.extend_from_slice(format!("\n$$$$\nok{EMPTY}$$$$\n").as_bytes());
        let records = read(&file);
        assert!(
            records[0]
                .as_ref()
                .unwrap_err()
                .to_string()
                .contains("SDF line length in bytes is 3000000")
        );
        assert!(records[1].is_ok());
    }
}
