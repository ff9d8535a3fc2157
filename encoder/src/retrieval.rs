//! Ranking metrics over known pairs: recall at k, mean reciprocal rank, median rank.

use rayon::prelude::*;

/// How well the true target of each query ranks among all targets.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct RankingMetrics {
    /// Number of queries.
    pub queries: usize,
    /// Number of targets each query is ranked against.
    pub targets: usize,
    /// Share of queries, 0 to 1, whose target ranks first.
    pub recall_at_1: f64,
    /// Share of queries whose target is among the first five.
    pub recall_at_5: f64,
    /// Share of queries whose target is among the first ten.
    pub recall_at_10: f64,
    /// Mean of 1 / rank.
    pub mrr: f64,
    /// Median rank, 1 is best.
    pub median_rank: usize,
}

impl RankingMetrics {
    /// Sums up ranks that start at 1.
    pub fn from_ranks(mut ranks: Vec<usize>, targets: usize) -> Self {
        let queries = ranks.len();
        let share =
            |k: usize| ranks.iter().filter(|&&r| r <= k).count() as f64 / queries.max(1) as f64;
        let (recall_at_1, recall_at_5, recall_at_10) = (share(1), share(5), share(10));
        let mrr = ranks.iter().map(|&r| 1.0 / r as f64).sum::<f64>() / queries.max(1) as f64;
        ranks.sort_unstable();
        let median_rank = ranks.get(queries / 2).copied().unwrap_or(0);
        Self { queries, targets, recall_at_1, recall_at_5, recall_at_10, mrr, median_rank }
    }
}

/// Rank of the true target of each query by dot product, from 1. Targets that tie with the truth count before it by half,
/// rounded up, so that constant vectors do not look good.
///
/// `queries` and `targets` are row-major with rows of `dim`; `truth[i]` is the row of query `i`'s target.
pub fn ranks(queries: &[f32], targets: &[f32], dim: usize, truth: &[usize]) -> Vec<usize> {
    queries
        .par_chunks_exact(dim)
        .zip(truth.par_iter())
        .map(|(query, &truth)| {
            let score = |target: &[f32]| dot(query, target);
            let own = score(&targets[truth * dim..][..dim]);
            rank_among(targets.chunks_exact(dim).map(score), own)
        })
        .collect()
}

/// Dot product of two vectors of one length.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    crate::ops::dot(a, b)
}

/// Rank of a target that scores `own` among all scores (its own included).
pub fn rank_among(scores: impl Iterator<Item = f32>, own: f32) -> usize {
    let (mut above, mut tied) = (0, 0);
    for score in scores {
        above += usize::from(score > own);
        tied += usize::from(score == own);
    }
    1 + above + tied.saturating_sub(1).div_ceil(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perfect_vectors_rank_first_and_constant_ones_in_the_middle() {
        let eye = [1.0, 0.0, 0.0, 1.0];
        assert_eq!(ranks(&eye, &eye, 2, &[0, 1]), [1, 1]);
        assert_eq!(ranks(&[1.0], &[1.0; 101], 1, &[3]), [51]);
    }

    #[test]
    fn metrics_follow_their_definitions() {
        let m = RankingMetrics::from_ranks(vec![1, 2, 10, 100], 1000);
        assert_eq!(
            (m.recall_at_1, m.recall_at_5, m.recall_at_10, m.median_rank),
            (0.25, 0.5, 0.75, 10)
        );
        assert!((m.mrr - (1.0 + 0.5 + 0.1 + 0.01) / 4.0).abs() < 1e-12);
    }
}
