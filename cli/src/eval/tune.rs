//! Level weights from validation, and what each level adds: a grid on one third of the captions, judged on the other two.

use std::{fmt::Write, ops::Range};

use moiety_encoder::retrieval::RankingMetrics;
use moiety_engine::LevelWeights;
use rayon::prelude::*;

use super::{Candidates, Vectors, precision::Precision, report::Setting};

/// Weights of a level that are tried beside 1 for the global vector.
const GRID: [f32; 9] = [0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5];
const DIRECTIONS: [Setting; 2] = [Setting::TextToPool, Setting::MoleculeToValidation];

/// Tries every pair of weights and describes the best: of all, and of those that do without a level. They are chosen with the
/// most candidates and judged with each number of them.
pub(super) fn tune(vectors: &Vectors, candidates: &[usize]) -> String {
    let queries = vectors.queries();
    let most = candidates.iter().copied().max().unwrap_or_default();
    let chosen_on = seen(vectors, 0..queries / 3, most);
    let grid = GRID
        .iter()
        .flat_map(|&fragment| GRID.map(|token| LevelWeights { global: 1.0, fragment, token }));
    let tried: Vec<(LevelWeights, f64)> = grid
        .map(|weights| {
            let both = metrics(vectors, &chosen_on, &weights);
            (weights, both.iter().map(|m| m.mrr).sum::<f64>() / 2.0)
        })
        .collect();
    let best = |takes: fn(&LevelWeights) -> bool| {
        let of = tried.iter().filter(|(weights, _)| takes(weights));
        of.max_by(|a, b| a.1.total_cmp(&b.1)).map_or(LevelWeights::GLOBAL_ONLY, |(best, _)| *best)
    };
    let rows = [
        ("global", LevelWeights::GLOBAL_ONLY),
        ("and fragments", best(|weights| weights.token == 0.0)),
        ("and tokens", best(|weights| weights.fragment == 0.0)),
        ("all three", best(|weights| weights.fragment > 0.0 && weights.token > 0.0)),
        ("the best of all", best(|_| true)),
    ];
    let mut text = String::from(
        "| candidates | levels | weights (global, fragment, token) | text → molecule: R@1 | R@10 | MRR | molecule → text: R@1 | R@10 \
         | MRR |\n|---:|---|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for &count in candidates {
        let judged_on = seen(vectors, queries / 3..queries, count);
        for (levels, weights) in &rows {
            let LevelWeights { global, fragment, token } = weights;
            let _ = write!(text, "| {count} | {levels} | {global}, {fragment}, {token} |");
            for RankingMetrics { recall_at_1, recall_at_10, mrr, .. } in
                metrics(vectors, &judged_on, weights)
            {
                let (first, ten) = (100.0 * recall_at_1, 100.0 * recall_at_10);
                let _ = write!(text, " {first:.1} | {ten:.1} | {mrr:.4} |");
            }
            text.push('\n');
        }
    }
    let judged = queries - queries / 3;
    text + &format!("chosen on {} captions with {most} candidates, judged on {judged}", queries / 3)
}

/// What some queries are shown, in both directions.
fn seen(vectors: &Vectors, queries: Range<usize>, count: usize) -> Vec<[Candidates; 2]> {
    let of = |query| {
        DIRECTIONS.map(|setting| vectors.candidates(setting, query, count, Precision::Stored))
    };
    queries.into_par_iter().map(of).collect()
}

fn metrics(
    vectors: &Vectors,
    queries: &[[Candidates; 2]],
    weights: &LevelWeights,
) -> [RankingMetrics; 2] {
    [0, 1].map(|direction| {
        let ranks = queries.par_iter().map(|query| query[direction].rank(weights)).collect();
        RankingMetrics::from_ranks(ranks, vectors.targets(DIRECTIONS[direction]).len())
    })
}
