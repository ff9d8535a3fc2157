//! SMILES files: a structure a line, with its CXSMILES extension if it has one; what follows is its name.

use std::io::BufRead;

use super::{
    Lines, Reject,
    columns::key,
    fields::{Raw, Raws},
};

pub(super) fn rows(input: Box<dyn BufRead>) -> Raws {
    Box::new(Lines::new(input).filter_map(move |(line, text)| match text {
        Ok(text) => row(line, text.trim()).map(Ok),
        Err(reason) => Some(Err(Reject { line, reason })),
    }))
}

/// Blank lines, comments and a header hold nothing.
fn row(line: u64, text: &str) -> Option<Raw> {
    let (structure, name) = split(text);
    let first = structure.split_whitespace().next()?;
    if first.starts_with('#') || (line == 1 && key(first).ends_with("smiles")) {
        return None;
    }
    let name = name.trim();
    Some(Raw {
        line,
        structure: Some(structure.to_owned()),
        name: (!name.is_empty()).then(|| name.to_owned()),
        fields: Vec::new(),
    })
}

/// The structure, an extension between bars included, and what follows it.
fn split(text: &str) -> (&str, &str) {
    let smiles = text.find(char::is_whitespace).unwrap_or(text.len());
    let rest = &text[smiles..];
    let extension = rest.trim_start().strip_prefix('|').and_then(|extension| extension.find('|'));
    let end = match extension {
        Some(close) => smiles + (rest.len() - rest.trim_start().len()) + close + 2,
        None => smiles,
    };
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &'static str) -> Vec<Raw> {
        rows(Box::new(file.as_bytes())).map(|row| row.expect("row")).collect()
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
}
