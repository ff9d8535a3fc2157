//! Hits as a table.

use comfy_table::{
    Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets,
};
use moiety_rpc::wire;

use crate::structure;

/// Width that a table may take, in characters.
pub(crate) const WIDTH: u16 = 110;

/// Hits, best first, with the time per stage below.
pub(crate) fn hits(response: &wire::QueryResponse) -> String {
    if response.hits.is_empty() {
        return format!("no hits\n{}", footer(response));
    }
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH)
        .set_header(["#", "score", "id", "structure", "text"]);
    for (i, hit) in response.hits.iter().enumerate() {
        let stored = hit.record.clone().unwrap_or_default();
        let record = stored.record.clone().unwrap_or_default();
        table.add_row([
            Cell::new(i + 1).set_alignment(CellAlignment::Right),
            Cell::new(format!("{:.3}", hit.score)),
            Cell::new(&record.id),
            Cell::new(shorten(structure::smiles(&stored).unwrap_or_default(), 60)),
            Cell::new(shorten(record.text.as_deref().unwrap_or_default(), 160)),
        ]);
    }
    if let Some(column) = table.column_mut(2) {
        column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(28)));
    }
    format!("{table}\n{}", footer(response))
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
    #[test]
    fn shortening_cuts_between_characters() {
        assert_eq!(super::shorten("αβγ", 2), "αβ…");
        assert_eq!(super::shorten("αβ", 2), "αβ");
    }
}
