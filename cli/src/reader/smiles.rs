//! SMILES files: a structure a line, with its CXSMILES extension if it has one; what follows is its name.

use std::io::BufRead;

use serde_json::Map;

use super::{
    Columns, Lines, Reject, Source,
    columns::key,
    delimited::{self, OTHER_DELIMITERS},
    fields::{NAME, Raw, Raws},
    starts_as_smiles,
};
use crate::error::Result;

/// How the lines of a file are to be split.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Layout {
    /// What ends a structure where it is not white space.
    delimiter: Option<char>,
    /// What the header calls the names.
    pub(super) name_title: Option<String>,
}

impl Layout {
    /// As asked for, or as the first line shows.
    pub(super) fn of(source: &Source, columns: &Columns, notes: &mut Vec<String>) -> Result<Self> {
        let asked = columns.delimiter.map(delimited::byte).transpose()?.map(char::from);
        let mut lines =
            Lines::new(source.open()?).filter_map(|(line, text)| Some((line, text.ok()?)));
        let first = lines.find(|(_, text)| !text.trim().is_empty() && !text.starts_with('#'));
        let (line, first) = first.unwrap_or_default();
        let delimiter = asked.or_else(|| guessed(first.trim()));
        if let (None, Some(delimiter)) = (asked, delimiter) {
            notes.push(format!(
                "a structure ends at {delimiter:?}, by the first line (--delimiter says otherwise)"
            ));
        }
        let (head, title) = split(first.trim(), delimiter);
        let is_titled = line == 1 && is_header(head) && !title.is_empty();
        Ok(Self { delimiter, name_title: is_titled.then(|| title.to_owned()) })
    }

    /// The name of the field that names are.
    pub(super) fn name_title(&self) -> &str {
        self.name_title.as_deref().unwrap_or(NAME)
    }

    /// Blank lines, comments and a header hold nothing.
    fn row(&self, line: u64, text: &str) -> Option<Raw> {
        let (structure, name) = split(text, self.delimiter);
        if structure.is_empty() && name.is_empty() || structure.starts_with('#') {
            return None;
        }
        if line == 1 && is_header(structure) {
            return None;
        }
        Some(Raw {
            line,
            structure: (!structure.is_empty()).then(|| structure.to_owned()),
            name: (!name.is_empty()).then(|| name.to_owned()),
            fields: Vec::new(),
            payload: Map::new(),
        })
    }
}

pub(super) fn rows(input: Box<dyn BufRead>, layout: Layout) -> Raws {
    Box::new(Lines::new(input).filter_map(move |(line, text)| match text {
        Ok(text) => layout.row(line, text.trim()).map(Ok),
        Err(reason) => Some(Err(Reject { line, reason })),
    }))
}

fn is_header(first: &str) -> bool {
    key(first).ends_with("smiles")
}

/// The delimiter of a line whose first word is a structure, or the title of one, only up to it.
fn guessed(line: &str) -> Option<char> {
    let word = line.split_whitespace().next()?;
    let is_structure = |text: &str| is_header(text) || starts_as_smiles(text);
    let ends_there = |delimiter: &char| {
        word.split_once(*delimiter).is_some_and(|(structure, _)| is_structure(structure))
    };
    if starts_as_smiles(word) { None } else { OTHER_DELIMITERS.into_iter().find(ends_there) }
}

/// The structure, an extension between bars included, and what follows it.
fn split(text: &str, delimiter: Option<char>) -> (&str, &str) {
    let ends = |c: char| c.is_whitespace() || Some(c) == delimiter;
    let smiles = text.find(ends).unwrap_or(text.len());
    let rest = &text[smiles..];
    let blank = rest.len() - rest.trim_start().len();
    let extension = rest[blank..].strip_prefix('|').filter(|_| delimiter != Some('|'));
    let end = match extension.and_then(|extension| extension.find('|')) {
        Some(close) => smiles + blank + close + 2,
        None => smiles,
    };
    let (structure, name) = match delimiter {
        None => text.split_at(end),
        Some(delimiter) => match text[end..].split_once(delimiter) {
            Some((before, name)) => (&text[..end + before.len()], name),
            None => (text, ""),
        },
    };
    (structure.trim(), name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &'static str) -> Vec<Raw> {
        rows(Box::new(file.as_bytes()), Layout::default()).map(|row| row.expect("row")).collect()
    }

    #[test]
    fn header_comments_and_blank_lines_are_passed_over_and_lines_keep_their_numbers() {
        let lines: Vec<u64> =
            read("smiles name\n# note\n\nCCO ethanol\nCC\n").iter().map(|row| row.line).collect();
        assert_eq!(lines, [4, 5]);
    }

    #[test]
    fn an_extension_belongs_to_the_structure_and_the_name_follows_it() {
        let rows =
            read("O[C@H](Br)[C@H](F)C |&1:1,3|\tZ1\nCCO |$a b$| two words\nCCO ethanol | x\nCC\n");
        let found: Vec<_> = rows
            .iter()
            .map(|row| (row.structure.as_deref().unwrap_or_default(), row.name.as_deref()))
            .collect();
        assert_eq!(
            found,
            [
                ("O[C@H](Br)[C@H](F)C |&1:1,3|", Some("Z1")),
                ("CCO |$a b$|", Some("two words")),
                ("CCO", Some("ethanol | x")),
                ("CC", None),
            ]
        );
    }

    #[test]
    fn a_delimiter_ends_a_structure_but_not_within_its_extension() {
        for (line, delimiter, expected) in [
            ("CCO;ethyl alcohol", ';', ("CCO", "ethyl alcohol")),
            ("O[C@H](Br)C |&1:1,3|,Z1", ',', ("O[C@H](Br)C |&1:1,3|", "Z1")),
            ("CCO|ethanol", '|', ("CCO", "ethanol")),
            ("CCO", ';', ("CCO", "")),
            (";x", ';', ("", "x")),
        ] {
            assert_eq!(split(line, Some(delimiter)), expected, "{line}");
        }
        assert_eq!(guessed("CCO;ethyl alcohol"), Some(';'));
        assert_eq!(guessed("SMILES,id"), Some(','));
        assert_eq!(guessed("CCO ethanol;x"), None);
        assert_eq!(guessed("nonsense;x"), None);
    }
}
