//! Where the time of many searches went.

use std::time::Duration;

use moiety_engine::Timings;

use crate::table::{ms, quantile, table};

/// Names a stage and reads its time.
type Stage = (&'static str, fn(&Timings) -> Duration);

const STAGES: [Stage; 7] = [
    ("parse", |t| t.parse),
    ("encode", |t| t.encode),
    ("plan", |t| t.plan),
    ("candidates", |t| t.candidates),
    ("rerank", |t| t.rerank),
    ("fetch", |t| t.fetch),
    ("total", |t| t.total),
];

/// One row a stage: p50, p99 and the longest, in milliseconds.
pub fn stage_table(searches: &[Timings]) -> String {
    let row = |(name, time): &Stage| {
        let times: Vec<Duration> = searches.iter().map(time).collect();
        let at = |q| ms(quantile(&times, q));
        vec![(*name).to_owned(), at(0.5), at(0.99), at(1.0)]
    };
    let rows: Vec<Vec<String>> = STAGES.iter().map(row).collect();
    table(&["stage", "p50 ms", "p99 ms", "longest ms"], &rows)
}
