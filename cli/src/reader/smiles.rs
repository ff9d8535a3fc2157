//! SMILES files: a structure a line, anything after the first white space is its name.

use std::io::BufRead;

use moiety_rpc::wire;

use super::{Lines, Reject, Row, Rows};
use crate::structure::structure;

pub(super) fn rows(input: Box<dyn BufRead>, stem: String) -> Rows {
    Box::new(Lines::new(input).filter_map(move |(line, text)| match text {
        Ok(text) => row(line, text.trim(), &stem).map(Ok),
        Err(reason) => Some(Err(Reject { line, reason })),
    }))
}

/// Blank lines, comments and a header hold nothing.
fn row(line: u64, text: &str, stem: &str) -> Option<Row> {
    let (smiles, name) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    if smiles.is_empty()
        || smiles.starts_with('#')
        || (line == 1 && smiles.eq_ignore_ascii_case("smiles"))
    {
        return None;
    }
    let mut payload = serde_json::Map::new();
    if !name.trim().is_empty() {
        payload.insert("name".into(), name.trim().into());
    }
    let record = wire::Record {
        id: format!("{stem}:{line}"),
        molecule: Some(structure(smiles)),
        text: None,
        payload: Some(moiety_rpc::convert::payload_to_wire(&payload)),
    };
    Some(Row { line, record })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_comments_and_blank_lines_are_passed_over_and_lines_keep_their_numbers() {
        let rows: Vec<_> =
            rows(Box::new(&b"smiles name\n# note\n\nCCO ethanol\nCC\n"[..]), "f".into()).collect();
        let ids: Vec<_> =
            rows.iter().map(|r| r.as_ref().expect("row").record.id.as_str()).collect();
        assert_eq!(ids, ["f:4", "f:5"]);
    }
}
