//! How a filter was answered, for a person.

use moiety_rpc::wire;

/// A few lines: the strategy, the counts, and what answered each condition.
pub(crate) fn describe(plan: &wire::FilterPlan) -> String {
    let strategy = match plan.strategy() {
        wire::FilterStrategy::Among => "compared what the indexes admit".into(),
        wire::FilterStrategy::Scan => "compared every vector".into(),
        wire::FilterStrategy::Graph => {
            format!("walked the graph through them, {} wide", plan.ef_search)
        }
        wire::FilterStrategy::OverFetch => {
            format!("searched the graph for more than enough, {} wide", plan.ef_search)
        }
        _ => "went through what the indexes admit".to_owned(),
    };
    let mut lines = vec![format!(
        "filter: {strategy}; of {} records {} may pass, {} surely do, about {} were expected to{}; {} were tested",
        plan.records,
        plan.possible,
        plan.certain,
        plan.estimated,
        plan.actual.map_or(String::new(), |actual| format!(", {actual} do")),
        plan.tested
    )];
    lines.extend(plan.conditions.iter().map(|condition| {
        let access = match condition.access() {
            wire::FilterAccess::Index => format!("index of {}", condition.index),
            wire::FilterAccess::Fingerprints => "fingerprints".into(),
            wire::FilterAccess::Screen => "screen".into(),
            _ => "records".to_owned(),
        };
        let admits = condition.admits.map_or(String::new(), |n| format!(", admits {n}"));
        format!("  {}  [{access}{admits}]", condition.text)
    }));
    lines.join("\n")
}
