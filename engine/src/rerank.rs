//! The three-level score: weighted MaxSim of fragments and of tokens, beside the cosine of the wholes.
//!
//! For one level, with unit vectors `q` and `t` and weights that sum to one on each side,
//! `score = (Σ_q w_q max_t cos(q, t) + Σ_t w_t max_q cos(q, t)) / 2`, as in the token alignment of Atomas (arXiv
//! 2404.16880). The total is `global·wg + fragment·wf + token·wt`. Cosines are products of the codes that are stored, of the
//! query as of the target, so that an explanation has the very numbers of a search. Nothing here reads a store.

use moiety_encoder::{Encoding, Level};
use moiety_index::{Best, Codes, MaxSim, dot};

use crate::{
    LevelScores, LevelWeights,
    error::{EngineError, Result},
    levels::{CodedLevel, Levels, StoredLevel, StoredLevels},
};

/// A query laid out for the comparison with many candidates.
pub(crate) struct Reranker<'q> {
    fragments: Option<QueryLevel<'q>>,
    tokens: Option<QueryLevel<'q>>,
}

struct QueryLevel<'q> {
    max_sim: MaxSim,
    weights: &'q [f32],
}

/// Scores of the levels of parts; absent where a side has none, or the level weighs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct PartScores {
    pub(crate) fragment: Option<f32>,
    pub(crate) token: Option<f32>,
}

impl<'q> Reranker<'q> {
    pub(crate) fn new(query: &'q Levels, weights: &LevelWeights) -> Self {
        let level = |weight: f32, level: &'q CodedLevel| {
            let max_sim = || MaxSim::new(level.codes.rows());
            (weight > 0.0).then(|| QueryLevel { max_sim: max_sim(), weights: &level.weights })
        };
        Self {
            fragments: level(weights.fragment, &query.fragments),
            tokens: level(weights.token, &query.tokens),
        }
    }

    /// Compares one candidate.
    pub(crate) fn scores(&mut self, target: &StoredLevels<'_>) -> PartScores {
        let score = |query: &mut Option<QueryLevel<'_>>, target: StoredLevel<'_>| {
            let query = query.as_mut()?;
            let best = query.max_sim.compare(target.rows)?;
            Some(both_ways(best, query.weights, target.weights()))
        };
        PartScores {
            fragment: score(&mut self.fragments, target.fragments),
            token: score(&mut self.tokens, target.tokens),
        }
    }
}

/// Weighted MaxSim, both ways averaged.
fn both_ways(best: Best<'_>, query: &[f32], target: impl IntoIterator<Item = f32>) -> f32 {
    let query: f32 = best.query.iter().zip(query).map(|(cosine, weight)| cosine * weight).sum();
    let target: f32 = best.target.iter().zip(target).map(|(cosine, weight)| cosine * weight).sum();
    (query + target) / 2.0
}

/// The best partner of every part of two levels.
pub(crate) struct Alignment {
    /// For each part of the query: the part of the target nearest to it, and their cosine.
    pub(crate) query: Vec<Partner>,
    /// For each part of the target: the part of the query nearest to it, and their cosine.
    pub(crate) target: Vec<Partner>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Partner {
    pub(crate) index: usize,
    pub(crate) cosine: f32,
}

impl Alignment {
    /// Finds all best partners; `None` when a side has no parts or the lengths differ.
    pub(crate) fn of(query: &CodedLevel, target: &CodedLevel) -> Option<Self> {
        let (query_rows, target_rows) = (query.codes.rows(), target.codes.rows());
        if query.is_empty() || target.is_empty() || query_rows.dim() != target_rows.dim() {
            return None;
        }
        let nobody = Partner { index: 0, cosine: f32::NEG_INFINITY };
        let mut best_of_query = vec![nobody; query.len()];
        let mut best_of_target = vec![nobody; target.len()];
        for (q, best) in best_of_query.iter_mut().enumerate() {
            for (t, best_of_target) in best_of_target.iter_mut().enumerate() {
                let cosine = query_rows.dot(q, target_rows, t);
                best.offer(t, cosine);
                best_of_target.offer(q, cosine);
            }
        }
        Some(Self { query: best_of_query, target: best_of_target })
    }

    /// The score of the level, to the last bit that of [`Reranker::scores`].
    pub(crate) fn score(&self, query: &CodedLevel, target: &CodedLevel) -> f32 {
        let cosines =
            |partners: &[Partner]| -> Vec<f32> { partners.iter().map(|p| p.cosine).collect() };
        let (of_query, of_target) = (cosines(&self.query), cosines(&self.target));
        let best = Best { query: &of_query, target: &of_target };
        both_ways(best, &query.weights, target.weights.iter().copied())
    }
}

impl Partner {
    /// Takes a nearer partner; the first of equal ones stays.
    fn offer(&mut self, index: usize, cosine: f32) {
        if cosine > self.cosine {
            *self = Self { index, cosine };
        }
    }
}

impl LevelWeights {
    /// The total of scores per level; a level that was not compared adds nothing.
    pub fn total(&self, scores: &LevelScores) -> f32 {
        self.global * scores.global
            + self.fragment * scores.fragment.unwrap_or(0.0)
            + self.token * scores.token.unwrap_or(0.0)
    }

    pub(crate) fn check(&self, field: &str) -> Result<()> {
        let all = [self.global, self.fragment, self.token];
        if all.iter().all(|weight| weight.is_finite() && *weight >= 0.0)
            && all.iter().any(|w| *w > 0.0)
        {
            return Ok(());
        }
        Err(EngineError::invalid(field, "weights must be finite, not negative, and not all zero"))
    }
}

/// Scores of two encodings at all three levels, as a search and an explanation compute them (with the cosine as metric):
/// fragments and tokens as bytes.
pub fn level_scores(query: &Encoding, target: &Encoding) -> LevelScores {
    scores_with(query, target, |query, target| {
        let (query_codes, target_codes) =
            (Codes::of(&query.vectors, query.dim), Codes::of(&target.vectors, target.dim));
        let mut max_sim = MaxSim::new(query_codes.rows());
        let best = max_sim.compare(target_codes.rows())?;
        Some(both_ways(best, &query.weights, target.weights.iter().copied()))
    })
}

/// The same scores with fragments and tokens in full precision: what [`level_scores`] is measured against.
pub fn full_level_scores(query: &Encoding, target: &Encoding) -> LevelScores {
    scores_with(query, target, |query, target| {
        if query.is_empty() || target.is_empty() || query.dim != target.dim {
            return None;
        }
        let mut of_query = vec![f32::NEG_INFINITY; query.len()];
        let mut of_target = vec![f32::NEG_INFINITY; target.len()];
        for (q, best) in of_query.iter_mut().enumerate() {
            for (t, best_of_target) in of_target.iter_mut().enumerate() {
                let cosine = dot(query.vector(q), target.vector(t));
                *best = best.max(cosine);
                *best_of_target = best_of_target.max(cosine);
            }
        }
        let best = Best { query: &of_query, target: &of_target };
        Some(both_ways(best, &query.weights, target.weights.iter().copied()))
    })
}

fn scores_with(
    query: &Encoding,
    target: &Encoding,
    max_sim: impl Fn(&Level, &Level) -> Option<f32>,
) -> LevelScores {
    LevelScores {
        global: dot(&target.global, &query.global),
        fragment: max_sim(&query.fragments, &target.fragments),
        token: max_sim(&query.tokens, &target.tokens),
    }
}

#[cfg(test)]
mod tests {
    use moiety_encoder::{Encoder, HashingEncoder};

    use super::*;
    use crate::store::{encode_levels, read_levels};

    fn level(rows: &[[f32; 2]], weights: &[f32]) -> CodedLevel {
        let codes = Codes::of(rows.as_flattened(), 2);
        CodedLevel { codes, weights: weights.to_vec(), extents: Vec::new() }
    }

    #[test]
    fn maxsim_is_the_mean_of_both_directions() {
        let query = level(&[[1.0, 0.0], [0.0, 1.0]], &[0.75, 0.25]);
        let target = level(&[[1.0, 0.0], [0.6, 0.8], [-1.0, 0.0]], &[0.5, 0.3, 0.2]);
        let alignment = Alignment::of(&query, &target).unwrap();
        let found: Vec<usize> =
            alignment.query.iter().chain(&alignment.target).map(|best| best.index).collect();
        assert_eq!(found, [0, 1, 0, 1, 1]);
        let close = |partner: Partner, cosine: f32| (partner.cosine - cosine).abs() < 1e-6;
        assert!(close(alignment.query[0], 1.0) && close(alignment.query[1], 0.8));
        assert!(close(alignment.target[1], 0.8) && close(alignment.target[2], 0.0));
        // ((0.75·1 + 0.25·0.8) + (0.5·1 + 0.3·0.8 + 0.2·0)) / 2
        assert!((alignment.score(&query, &target) - 0.845).abs() < 1e-6);
    }

    #[test]
    fn a_level_without_parts_or_weight_adds_nothing() {
        let (some, none) = (level(&[[1.0, 0.0]], &[1.0]), CodedLevel::default());
        assert!(Alignment::of(&some, &none).is_none() && Alignment::of(&none, &some).is_none());
        let one = Level { dim: 2, vectors: vec![1.0, 0.0], weights: vec![1.0], ..Level::default() };
        let both = encode_levels(&one, &one);
        let tokens = encode_levels(&Level::default(), &one);
        let query = Levels { fragments: some.clone(), tokens: some };
        let weights = LevelWeights { global: 0.5, fragment: 2.0, token: 0.0 };
        let mut reranker = Reranker::new(&query, &weights);
        assert_eq!(reranker.scores(&read_levels(&tokens).unwrap()), PartScores::default());
        let scores = reranker.scores(&read_levels(&both).unwrap());
        assert!((scores.fragment.unwrap() - 1.0).abs() < 1e-6 && scores.token.is_none());
        assert_eq!(
            Reranker::new(&Levels::default(), &weights).scores(&read_levels(&both).unwrap()),
            PartScores::default()
        );
    }

    #[test]
    fn a_search_an_explanation_and_an_evaluation_have_the_same_scores() {
        let encoder = HashingEncoder::new(48);
        let texts = ["a yellow dye, of wool and silk", "an acid that dyes wool"];
        let encodings = encoder.encode_texts(&texts).unwrap();
        let (one, other) = (&encodings[0], &encodings[1]);
        let levels = |encoding: &Encoding| Levels {
            fragments: encoding.fragments.clone().into(),
            tokens: encoding.tokens.clone().into(),
        };
        let (query, target) = (levels(one), levels(other));
        let value = encode_levels(&other.fragments, &other.tokens);
        let weights = LevelWeights { global: 1.0, fragment: 1.0, token: 1.0 };
        let searched = Reranker::new(&query, &weights).scores(&read_levels(&value).unwrap());
        let explained = |query: &CodedLevel, target: &CodedLevel| {
            Alignment::of(query, target).map(|alignment| alignment.score(query, target))
        };
        assert_eq!(searched.fragment, explained(&query.fragments, &target.fragments));
        assert_eq!(searched.token, explained(&query.tokens, &target.tokens));
        let evaluated = level_scores(one, other);
        assert_eq!((searched.fragment, searched.token), (evaluated.fragment, evaluated.token));
        let full = full_level_scores(one, other);
        assert_eq!(full.global, evaluated.global);
        assert!((full.fragment.unwrap() - searched.fragment.unwrap()).abs() < 0.01);
        assert!((full.token.unwrap() - searched.token.unwrap()).abs() < 0.01);
    }

    #[test]
    fn weights_that_mean_nothing_are_refused() {
        let weights = |global, token| LevelWeights { global, fragment: 0.0, token };
        assert!(weights(1.0, 0.0).check("w").is_ok());
        assert!(weights(0.0, 0.0).check("w").is_err());
        assert!(weights(-1.0, 2.0).check("w").is_err());
        assert!(weights(f32::NAN, 1.0).check("w").is_err());
    }
}
