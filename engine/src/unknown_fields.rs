//! Why a filter that reads well passes nothing: it asks for a field that no record has.

use std::collections::BTreeSet;

use crate::{
    StoredRecord,
    error::Result,
    filter::{Field, Prepared, Test},
    live::LiveCollection,
    store::View,
};

/// Records that are looked at.
const LOOKED_AT: usize = 1_000;
/// Names of fields that a warning lists.
const LISTED: usize = 20;

/// A sentence for each field of the payload that the filter asks for and none of the first records has.
pub(crate) fn warnings(
    view: &View<'_>,
    live: &LiveCollection,
    filter: &Prepared,
) -> Result<Vec<String>> {
    let fields: BTreeSet<&Field> =
        filter.root.leaves().iter().filter_map(|leaf| payload_field(&leaf.test)).collect();
    if fields.is_empty() {
        return Ok(Vec::new());
    }
    let first: Result<Vec<u64>> = view
        .ids(live.number, None)?
        .take(LOOKED_AT)
        .map(|entry| entry.map(|(_, version)| version))
        .collect();
    let records: Vec<StoredRecord> =
        view.records(live.number, &first?)?.into_iter().flatten().collect();
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let who = match records.len() < LOOKED_AT {
        true => "no record".to_owned(),
        false => format!("none of the first {LOOKED_AT} records"),
    };
    let has = |field: &Field| records.iter().any(|record| field.any(record, &mut |v| !v.is_null()));
    let unknown = fields.into_iter().filter(|field| !has(field));
    Ok(unknown.map(|field| format!("{who} has the field `{field}`; {}", there(&records))).collect())
}

/// The field of the payload that a condition asks for, if it does.
fn payload_field(test: &Test) -> Option<&Field> {
    let (Test::OneOf(field, _)
    | Test::Number(field, ..)
    | Test::Time(field, ..)
    | Test::Exists(field)
    | Test::Words(field, _)) = test
    else {
        return None;
    };
    Some(field).filter(|field| matches!(field, Field::Payload(_)))
}

/// The fields that records have, as a sentence goes on.
fn there(records: &[StoredRecord]) -> String {
    let names: BTreeSet<&str> =
        records.iter().flat_map(|record| record.payload.keys()).map(String::as_str).collect();
    if names.is_empty() {
        return "their payloads are empty".into();
    }
    let more = if names.len() > LISTED { ", …" } else { "" };
    let listed: Vec<&str> = names.into_iter().take(LISTED).collect();
    format!("fields there are: {}{more}", listed.join(", "))
}
