//! The three-level score: weighted MaxSim of fragments and of tokens, beside the cosine of the wholes.
//!
//! For one level, with unit vectors `q` and `t` and weights that sum to one on each side,
//! `score = (Σ_q w_q max_t cos(q, t) + Σ_t w_t max_q cos(q, t)) / 2`, as in the token alignment of Atomas (arXiv
//! 2404.16880). The total is `global·wg + fragment·wf + token·wt`. Nothing here reads a store.

use moiety_encoder::{Encoding, Level};
use moiety_index::dot_rows;

use crate::{
    LevelScores, LevelWeights,
    error::{EngineError, Result},
    levels::Levels,
};

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
    pub(crate) fn of(query: &Level, target: &Level) -> Option<Self> {
        if query.is_empty() || target.is_empty() || query.dim != target.dim {
            return None;
        }
        let nobody = Partner { index: 0, cosine: f32::NEG_INFINITY };
        let mut best_of_query = vec![nobody; query.len()];
        let mut best_of_target = vec![nobody; target.len()];
        let mut cosines = vec![0f32; target.len()];
        for (q, best) in best_of_query.iter_mut().enumerate() {
            dot_rows(&target.vectors, query.vector(q), &mut cosines);
            for (t, (&cosine, best_of_target)) in
                cosines.iter().zip(&mut best_of_target).enumerate()
            {
                best.offer(t, cosine);
                best_of_target.offer(q, cosine);
            }
        }
        Some(Self { query: best_of_query, target: best_of_target })
    }

    /// Weighted MaxSim, both ways averaged.
    pub(crate) fn score(&self, query: &Level, target: &Level) -> f32 {
        let weighted = |partners: &[Partner], weights: &[f32]| -> f32 {
            partners.iter().zip(weights).map(|(partner, weight)| partner.cosine * weight).sum()
        };
        (weighted(&self.query, &query.weights) + weighted(&self.target, &target.weights)) / 2.0
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

/// Scores of the levels of a candidate; levels of weight zero are not computed.
pub(crate) fn scores(
    global: f32,
    query: &Levels,
    target: Option<&Levels>,
    weights: &LevelWeights,
) -> LevelScores {
    let level = |weight: f32, query: &Level, target: Option<&Level>| {
        max_sim(query, target.filter(|_| weight > 0.0)?)
    };
    LevelScores {
        global,
        fragment: level(weights.fragment, &query.fragments, target.map(|t| &t.fragments)),
        token: level(weights.token, &query.tokens, target.map(|t| &t.tokens)),
    }
}

/// Scores of two encodings at all three levels, as a search and an explanation compute them (with the cosine as metric).
pub fn level_scores(query: &Encoding, target: &Encoding) -> LevelScores {
    let mut global = [0.0];
    dot_rows(&target.global, &query.global, &mut global);
    LevelScores {
        global: global[0],
        fragment: max_sim(&query.fragments, &target.fragments),
        token: max_sim(&query.tokens, &target.tokens),
    }
}

/// Weighted MaxSim of one level; `None` when it cannot be compared.
fn max_sim(query: &Level, target: &Level) -> Option<f32> {
    Alignment::of(query, target).map(|alignment| alignment.score(query, target))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(rows: &[[f32; 2]], weights: &[f32]) -> Level {
        Level { dim: 2, vectors: rows.concat(), weights: weights.to_vec(), extents: Vec::new() }
    }

    #[test]
    fn maxsim_is_the_mean_of_both_directions() {
        let query = level(&[[1.0, 0.0], [0.0, 1.0]], &[0.75, 0.25]);
        let target = level(&[[1.0, 0.0], [0.6, 0.8], [-1.0, 0.0]], &[0.5, 0.3, 0.2]);
        let alignment = Alignment::of(&query, &target).unwrap();
        assert_eq!(alignment.query[0], Partner { index: 0, cosine: 1.0 });
        assert_eq!(alignment.query[1], Partner { index: 1, cosine: 0.8 });
        assert_eq!(alignment.target[1], Partner { index: 1, cosine: 0.8 });
        assert_eq!(alignment.target[2], Partner { index: 1, cosine: 0.0 });
        // ((0.75·1 + 0.25·0.8) + (0.5·1 + 0.3·0.8 + 0.2·0)) / 2
        assert!((alignment.score(&query, &target) - 0.845).abs() < 1e-6);
    }

    #[test]
    fn a_level_without_parts_adds_nothing() {
        let some = level(&[[1.0, 0.0]], &[1.0]);
        let none = level(&[], &[]);
        assert!(Alignment::of(&some, &none).is_none() && Alignment::of(&none, &some).is_none());
        let weights = LevelWeights { global: 0.5, fragment: 2.0, token: 2.0 };
        let scores = scores(0.8, &Levels::default(), Some(&Levels::default()), &weights);
        assert_eq!(weights.total(&scores), 0.4);
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
