//! `moiety import --dry-run`: the first records of a file as an import would send them.

use serde_json::{Value, json};

use crate::reader::{Row, Rows};

/// Records that are shown.
const SHOWN: usize = 10;

/// Prints the first records, and the first lines that hold none, as a person reads them.
pub(super) fn show(rows: Rows) {
    for row in rows.take(SHOWN) {
        match row {
            Ok(row) => outln!("{}", described(&row)),
            Err(reject) => outln!("line {}: rejected: {}", reject.line, reject.reason),
        }
    }
    outln!("nothing was written (--dry-run)");
}

fn described(row: &Row) -> Value {
    use moiety_rpc::wire::structure::Format;
    let record = &row.record;
    let format = record.molecule.as_ref().and_then(|molecule| molecule.format.as_ref());
    let molecule = format.map(|format| match format {
        Format::Smiles(text) | Format::Inchi(text) | Format::MolBlock(text) => text,
    });
    let payload = record.payload.clone().unwrap_or_default();
    let payload = moiety_rpc::convert::payload_from_wire(payload, "payload").unwrap_or_default();
    json!({ "id": record.id, "molecule": molecule, "text": record.text, "payload": payload })
}
