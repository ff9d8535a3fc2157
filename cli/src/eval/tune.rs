//! Level weights from validation: a grid on one third of the captions, judged on the other two.

use std::fmt::Write;

use moiety_engine::LevelWeights;
use rayon::prelude::*;

use super::{Candidates, Vectors, precision::Precision, report::Setting};

/// Weights of a level that are tried beside 1 for the global vector.
const GRID: [f32; 9] = [0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5];
const DIRECTIONS: [Setting; 2] = [Setting::TextToPool, Setting::MoleculeToValidation];

/// Tries every pair of weights and describes the best.
pub(super) fn tune(vectors: &Vectors, candidates: usize) -> String {
    let all: Vec<[Candidates; 2]> = (0..vectors.queries())
        .into_par_iter()
        .map(|query| {
            DIRECTIONS
                .map(|setting| vectors.candidates(setting, query, candidates, Precision::Stored))
        })
        .collect();
    let (chosen_on, judged_on) = all.split_at(all.len() / 3);
    let grid = GRID
        .iter()
        .flat_map(|&fragment| GRID.map(|token| LevelWeights { global: 1.0, fragment, token }));
    let tried: Vec<(LevelWeights, f64)> = grid
        .map(|weights| (weights, mean_mrr(chosen_on, &weights).iter().sum::<f64>() / 2.0))
        .collect();
    let best = tried
        .iter()
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map_or(LevelWeights::GLOBAL_ONLY, |(weights, _)| *weights);
    let mut text = String::from(
        "| weights (global, fragment, token) | MRR text → molecule | MRR molecule → text |\n|---|---:|---:|\n",
    );
    let only = |fragment, token| LevelWeights { fragment, token, ..best };
    for weights in
        [LevelWeights::GLOBAL_ONLY, only(best.fragment, 0.0), only(0.0, best.token), best]
    {
        let [there, back] = mean_mrr(judged_on, &weights);
        let LevelWeights { global, fragment, token } = weights;
        let _ = writeln!(text, "| {global}, {fragment}, {token} | {there:.4} | {back:.4} |");
    }
    let _ = write!(
        text,
        "chosen on {} captions, judged on {}, {candidates} candidates",
        chosen_on.len(),
        judged_on.len()
    );
    text
}

fn mean_mrr(queries: &[[Candidates; 2]], weights: &LevelWeights) -> [f64; 2] {
    [0, 1].map(|direction| {
        let reciprocal = |query: &[Candidates; 2]| 1.0 / query[direction].rank(weights) as f64;
        queries.par_iter().map(reciprocal).sum::<f64>() / queries.len().max(1) as f64
    })
}
