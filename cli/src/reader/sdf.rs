//! SD files: the mol block is the structure; data fields are text, identifier or payload by their names.

use std::io::BufRead;

use moiety_chem::{SdfReader, SdfRecord};
use moiety_rpc::wire;
use serde_json::Map;

use super::{Columns, Reject, Row, Rows, TEXT_NAMES, delimited::typed};
use crate::structure::structure;

pub(super) fn rows(input: Box<dyn BufRead>, columns: &Columns, stem: String) -> Rows {
    let columns = columns.clone();
    let mut record_line = 0;
    Box::new(SdfReader::new(input).map(move |record| match record {
        Ok(record) => {
            record_line = record.line as u64;
            Ok(Row { line: record_line, record: convert(record, &columns, &stem) })
        }
        Err(error) => Err(Reject { line: record_line, reason: error.to_string() }),
    }))
}

fn convert(record: SdfRecord, columns: &Columns, stem: &str) -> wire::Record {
    let is = |name: &str, asked: &Option<String>, usual: &[&str]| match asked {
        Some(asked) => name == asked,
        None => usual.iter().any(|usual| name.eq_ignore_ascii_case(usual)),
    };
    let (mut id, mut text, mut payload) = (None, None, Map::new());
    for (name, value) in record.fields {
        if id.is_none() && is(&name, &columns.id_column, &["id"]) {
            id = Some(value);
        } else if text.is_none() && is(&name, &columns.text_column, &TEXT_NAMES) {
            text = Some(value);
        } else {
            payload.insert(name, typed(&value));
        }
    }
    let title = record.mol_block.lines().next().unwrap_or_default().trim();
    if !title.is_empty() {
        payload.entry("name").or_insert_with(|| title.into());
    }
    wire::Record {
        id: id.unwrap_or_else(|| format!("{stem}:{}", record.line)),
        molecule: Some(structure(&record.mol_block)),
        text,
        payload: Some(moiety_rpc::convert::payload_to_wire(&payload)),
    }
}
