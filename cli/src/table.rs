//! Hits as a table, with their names where they have any.

use comfy_table::{
    Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets,
};
use moiety_rpc::wire;

use crate::{reader, structure};

/// Width that a table may take, in characters.
pub(crate) const WIDTH: u16 = 110;

/// Hits, best first, with the time per stage below.
pub(crate) fn hits(response: &wire::QueryResponse) -> String {
    if response.hits.is_empty() {
        return format!("no hits\n{}", footer(response));
    }
    let names: Vec<Option<String>> = response.hits.iter().map(name).collect();
    let has_names = names.iter().any(Option::is_some);
    let header = ["#", "score", "id", "name", "structure", "text"];
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH)
        .set_header(header.into_iter().filter(|title| has_names || *title != "name"));
    for (i, (hit, name)) in response.hits.iter().zip(&names).enumerate() {
        let stored = hit.record.clone().unwrap_or_default();
        let record = stored.record.clone().unwrap_or_default();
        let mut row = vec![
            Cell::new(i + 1).set_alignment(CellAlignment::Right),
            Cell::new(format!("{:.3}", hit.score)),
            Cell::new(&record.id),
        ];
        row.extend(has_names.then(|| Cell::new(shorten(name.as_deref().unwrap_or_default(), 60))));
        row.extend([
            Cell::new(shorten(structure::smiles(&stored).unwrap_or_default(), 60)),
            Cell::new(shorten(record.text.as_deref().unwrap_or_default(), 160)),
        ]);
        table.add_row(row);
    }
    if let Some(column) = table.column_mut(2) {
        column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(28)));
    }
    format!("{table}\n{}", footer(response))
}

/// Fields of a payload that hold a name, without case and signs; the first that is there is shown.
const NAME_KEYS: [&str; 8] = [
    "name",
    "prefname",
    "preferredname",
    "commonname",
    "genericname",
    "compoundname",
    "moleculename",
    "iupacname",
];

/// The name of a hit's record, if its payload has one.
fn name(hit: &wire::Hit) -> Option<String> {
    let payload = hit.record.as_ref()?.record.as_ref()?.payload.clone()?;
    let payload = moiety_rpc::convert::payload_from_wire(payload, "payload").ok()?;
    NAME_KEYS.iter().find_map(|usual| {
        let mut named = payload.iter().filter(|(field, _)| reader::key(field) == *usual);
        named.find_map(|(_, value)| Some(value.as_str()?.to_owned()))
    })
}

/// How the answer came to be, in one line.
fn footer(response: &wire::QueryResponse) -> String {
    let info = response.info.clone().unwrap_or_default();
    let stages: Vec<String> = info
        .stages
        .iter()
        .map(|s| format!("{} {:.1} ms", s.stage, s.duration_us as f64 / 1e3))
        .collect();
    let coverage = match response.coverage() {
        wire::Coverage::Exact => "exact",
        _ => "approximate",
    };
    let model = info.model_fingerprint.get(..8).unwrap_or(&info.model_fingerprint);
    format!(
        "{coverage} · {:.1} ms ({}) · model {model}",
        info.total_us as f64 / 1e3,
        stages.join(", ")
    )
}

/// The first `most` characters, with an ellipsis where some are missing.
pub(crate) fn shorten(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use moiety_rpc::wire;
    use serde_json::{Value, json};

    fn hit(payload: Value) -> wire::Hit {
        let payload = payload.as_object().map(moiety_rpc::convert::payload_to_wire);
        let record = wire::Record { id: "X1".into(), payload, ..Default::default() };
        let record = Some(wire::StoredRecord { record: Some(record), ..Default::default() });
        wire::Hit { record, ..Default::default() }
    }

    #[test]
    fn names_are_shown_where_a_hit_has_one() {
        let with = |payloads: Vec<Value>| {
            let hits = payloads.into_iter().map(hit).collect();
            super::hits(&wire::QueryResponse { hits, ..Default::default() })
        };
        let table = with(vec![json!({"Pref. Name": "ASPIRIN"}), json!({"name": 7}), json!({})]);
        assert!(table.contains("ASPIRIN") && table.contains("name"), "{table}");
        assert!(!with(vec![json!({"title": "x"})]).contains("name"));
    }

    #[test]
    fn shortening_cuts_between_characters() {
        assert_eq!(super::shorten("αβγ", 2), "αβ…");
        assert_eq!(super::shorten("αβ", 2), "αβ");
    }
}
