//! A look at the validation pairs while a run goes on: captions ranked against molecules by the global vector.

use candle_core::Tensor;

use super::data::Example;
use crate::{
    error::Result,
    retrieval::{RankingMetrics, ranks},
    towers::Towers,
};

/// Pairs that one pass encodes.
const PASS: usize = 64;

/// Ranking of text → molecule and molecule → text among these pairs.
pub(super) fn validate(towers: &Towers, pairs: &[&Example]) -> Result<[RankingMetrics; 2]> {
    let (mut texts, mut molecules) = (Vec::new(), Vec::new());
    let mut dim = 1;
    for pass in pairs.chunks(PASS) {
        let inputs: Vec<_> = pass.iter().map(|e| &e.text).collect();
        let graphs: Vec<_> = pass.iter().map(|e| &e.molecule).collect();
        let fragments: Vec<_> = pass.iter().map(|e| e.fragments.as_slice()).collect();
        let (text, molecule) = (towers.texts(&inputs)?, towers.molecules(&graphs, &fragments)?);
        dim = text.global.dim(1)?;
        append(&mut texts, &text.global)?;
        append(&mut molecules, &molecule.global)?;
    }
    Ok(rankings(&texts, &molecules, dim))
}

/// Ranking of texts → molecules and back; both are rows of `dim` numbers, and rows of one place belong together.
pub(super) fn rankings(texts: &[f32], molecules: &[f32], dim: usize) -> [RankingMetrics; 2] {
    let pairs = texts.len() / dim;
    let truth: Vec<usize> = (0..pairs).collect();
    let metrics = |queries: &[f32], targets: &[f32]| {
        RankingMetrics::from_ranks(ranks(queries, targets, dim, &truth), pairs)
    };
    [metrics(texts, molecules), metrics(molecules, texts)]
}

fn append(to: &mut Vec<f32>, rows: &Tensor) -> Result<()> {
    to.extend(rows.detach().flatten_all()?.to_vec1::<f32>()?);
    Ok(())
}
