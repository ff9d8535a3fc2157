//! Why a record scores as it does: every best pair of parts, with what it adds to the score.

use moiety_encoder::{Encoder, Level};

use crate::{
    Direction, ExplainRequest, Explanation, LevelExplanation, LevelName, MatchedPair, Timings,
    encode_query::{self, Encoded},
    error::Result,
    live::LiveCollection,
    rerank::Alignment,
    search::Clock,
    store::Store,
};

/// Explains one record for a query, with the vectors that a search compares.
pub(crate) fn explain(
    store: &Store,
    encoder: &dyn Encoder,
    live: &LiveCollection,
    request: &ExplainRequest,
) -> Result<Explanation> {
    let mut clock = Clock::start();
    let mut timings = Timings::default();
    request.weights.check("weights")?;
    let parsed = encode_query::parse(&request.query)?;
    clock.lap(&mut timings.parse);
    let query = encode_query::encode(store, encoder, live, &parsed)?;
    clock.lap(&mut timings.encode);
    let target = encode_query::stored(store, live, &request.id, request.target)?;
    clock.lap(&mut timings.fetch);
    let levels = levels(live, request, &query, &target)?;
    clock.lap(&mut timings.rerank);
    timings.total = clock.total();
    let score = levels.iter().map(|level| level.weight * level.score).sum();
    Ok(Explanation { score, levels, timings, fingerprint: live.info.fingerprint.clone() })
}

fn levels(
    live: &LiveCollection,
    request: &ExplainRequest,
    query: &Encoded,
    target: &Encoded,
) -> Result<Vec<LevelExplanation>> {
    let weights = &request.weights;
    let global = live.index(request.target).score(&query.global, &target.global)?;
    let parts = [
        (LevelName::Fragment, weights.fragment, &query.levels.fragments, &target.levels.fragments),
        (LevelName::Token, weights.token, &query.levels.tokens, &target.levels.tokens),
    ];
    let parts = parts.into_iter().filter_map(|(level, weight, query, target)| {
        Some(explain_level(level, weight, query, target, &Alignment::of(query, target)?))
    });
    Ok(std::iter::once(explain_global(weights.global, global)).chain(parts).collect())
}

fn explain_global(weight: f32, score: f32) -> LevelExplanation {
    let pair = MatchedPair {
        direction: Direction::Both,
        query: None,
        target: None,
        cosine: score,
        weight: 1.0,
        contribution: weight * score,
    };
    LevelExplanation { level: LevelName::Global, weight, score, pairs: vec![pair] }
}

fn explain_level(
    name: LevelName,
    weight: f32,
    query: &Level,
    target: &Level,
    alignment: &Alignment,
) -> LevelExplanation {
    let pair = |direction, q: usize, t: usize, cosine: f32, part: f32| MatchedPair {
        direction,
        query: query.extents.get(q).cloned(),
        target: target.extents.get(t).cloned(),
        cosine,
        weight: part,
        // Each direction counts one half.
        contribution: weight * part * cosine / 2.0,
    };
    let forward =
        alignment.query.iter().zip(&query.weights).enumerate().map(|(q, (best, &part))| {
            pair(Direction::QueryToTarget, q, best.index, best.cosine, part)
        });
    let backward =
        alignment.target.iter().zip(&target.weights).enumerate().map(|(t, (best, &part))| {
            pair(Direction::TargetToQuery, best.index, t, best.cosine, part)
        });
    let mut pairs: Vec<MatchedPair> = forward.chain(backward).collect();
    pairs.sort_by(|a, b| b.contribution.total_cmp(&a.contribution));
    LevelExplanation { level: name, weight, score: alignment.score(query, target), pairs }
}
