//! Searches and explanations.

use moiety_engine::{
    Accuracy, Direction, ExplainRequest, Explanation, Group, Hit, LevelExplanation, LevelName,
    LevelWeights, MatchedPair, Query, Rerank, SearchRequest, Side, Timings,
};
use moiety_proto::v1::{self as wire, query::Asked};

use super::{
    ConvertError, check_limit,
    encoding::extent_to_wire,
    filter_explanation_to_wire, filter_from_wire, known_enum,
    record::{stored_record_to_wire, structure_from_wire},
    vector_from_wire,
};
use crate::{
    edge::micros,
    limits::{DEFAULT_HITS, MAX_CANDIDATES, MAX_HITS},
};

const SIDES: &str = "SIDE_MOLECULE, SIDE_TEXT";
const MODES: &str = "SEARCH_MODE_PLANNED, SEARCH_MODE_EXACT";
const RERANKS: &str = "RERANK_MODE_DEFAULT, RERANK_MODE_OFF, RERANK_MODE_LEVELS";

/// How queries are reranked that leave it to the server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RerankDefaults {
    /// Whether queries that do not say are reranked.
    pub enabled: bool,
    /// Candidates of a query that does not say how many.
    pub candidates: u32,
    /// Weights of the levels, for reranking and explaining; they belong to the model.
    pub weights: LevelWeights,
}

impl Default for RerankDefaults {
    fn default() -> Self {
        let weights = LevelWeights { global: 1.0, fragment: 1.0, token: 1.0 };
        Self { enabled: false, candidates: 100, weights }
    }
}

/// The name of the collection and what to search in it.
pub fn query_from_wire(
    request: wire::QueryRequest,
    defaults: &RerankDefaults,
) -> Result<(String, SearchRequest), ConvertError> {
    let target = side_from_wire(request.target, "target")?;
    let search = SearchRequest {
        query: asked_from_wire(request.query, target)?,
        target,
        limit: check_limit(request.limit, DEFAULT_HITS, MAX_HITS, "limit")?,
        filter: request.filter.map(|filter| filter_from_wire(filter, "filter")).transpose()?,
        rerank: rerank_from_wire(request.rerank.unwrap_or_default(), defaults)?,
        accuracy: accuracy_from_wire(request.mode, request.ef_search)?,
    };
    Ok((request.collection, search))
}

/// The name of the collection and what to explain in it.
pub fn explain_from_wire(
    request: wire::ExplainRequest,
    defaults: &RerankDefaults,
) -> Result<(String, ExplainRequest), ConvertError> {
    let target = side_from_wire(request.target, "target")?;
    let explain = ExplainRequest {
        query: asked_from_wire(request.query, target)?,
        id: request.id,
        target,
        weights: weights_from_wire(request.weights, "weights", defaults)?,
        filter: request.filter.map(|filter| filter_from_wire(filter, "filter")).transpose()?,
    };
    Ok((request.collection, explain))
}

/// One hit.
pub fn hit_to_wire(hit: Hit) -> wire::Hit {
    wire::Hit {
        record: Some(stored_record_to_wire(hit.record)),
        score: hit.score,
        levels: Some(wire::LevelScores {
            global: Some(hit.levels.global),
            fragment: hit.levels.fragment,
            token: hit.levels.token,
        }),
    }
}

/// An explanation; the caller adds how the answer came to be.
pub fn explanation_to_wire(explanation: &Explanation) -> wire::ExplainResponse {
    wire::ExplainResponse {
        score: explanation.score,
        levels: explanation.levels.iter().map(level_to_wire).collect(),
        info: None,
        filter: explanation.filter.clone().map(filter_explanation_to_wire),
        query_groups: explanation.query_groups.iter().map(group_to_wire).collect(),
        target_groups: explanation.target_groups.iter().map(group_to_wire).collect(),
    }
}

fn group_to_wire(group: &Group) -> wire::NamedGroup {
    let atoms = wire::Atoms { indices: group.atoms.clone() };
    wire::NamedGroup { name: group.name.into(), atoms: Some(atoms) }
}

/// The stages of a search on the wire.
pub fn search_stages(timings: &Timings) -> Vec<wire::StageTime> {
    let stages = [
        ("parse", timings.parse),
        ("encode", timings.encode),
        ("plan", timings.plan),
        ("candidates", timings.candidates),
        ("rerank", timings.rerank),
        ("fetch", timings.fetch),
    ];
    let stages = stages.into_iter();
    stages
        .map(|(stage, time)| wire::StageTime { stage: stage.into(), duration_us: micros(time) })
        .collect()
}

fn side_from_wire(value: i32, field: &str) -> Result<Side, ConvertError> {
    match known_enum::<wire::Side>(value) {
        Some(wire::Side::Molecule) => Ok(Side::Molecule),
        Some(wire::Side::Text) => Ok(Side::Text),
        Some(wire::Side::Unspecified) | None => {
            Err(ConvertError::UnknownEnum { field: field.into(), value, known: SIDES })
        }
    }
}

fn asked_from_wire(query: Option<wire::Query>, target: Side) -> Result<Query, ConvertError> {
    match query.and_then(|query| query.asked) {
        Some(Asked::Text(text)) => Ok(Query::Text(text)),
        Some(Asked::Molecule(molecule)) => {
            structure_from_wire(molecule, "query.molecule").map(Query::Molecule)
        }
        Some(Asked::Vector(vector)) => vector_from_wire(&vector, "query.vector").map(Query::Vector),
        Some(Asked::Stored(wire::StoredId { id, side })) => {
            let side = match side {
                0 => target,
                value => side_from_wire(value, "query.stored.side")?,
            };
            Ok(Query::Id { id, side })
        }
        None => Err(ConvertError::Missing {
            field: "query".into(),
            remedy: "send one of text, molecule, vector, stored",
        }),
    }
}

fn rerank_from_wire(
    rerank: wire::Rerank,
    defaults: &RerankDefaults,
) -> Result<Option<Rerank>, ConvertError> {
    use wire::RerankMode as Mode;
    let value = rerank.mode;
    let known = known_enum::<Mode>(value).ok_or_else(|| ConvertError::UnknownEnum {
        field: "rerank.mode".into(),
        value,
        known: RERANKS,
    })?;
    let candidates =
        check_limit(rerank.candidates, defaults.candidates, MAX_CANDIDATES, "rerank.candidates")?;
    let weights = weights_from_wire(rerank.weights, "rerank.weights", defaults)?;
    let enabled = match known {
        Mode::Unspecified | Mode::Default => defaults.enabled,
        Mode::Off => false,
        Mode::Levels => true,
    };
    Ok(enabled.then_some(Rerank { candidates, weights }))
}

fn weights_from_wire(
    weights: Option<wire::LevelWeights>,
    field: &str,
    defaults: &RerankDefaults,
) -> Result<LevelWeights, ConvertError> {
    let Some(wire::LevelWeights { global, fragment, token }) = weights else {
        return Ok(defaults.weights);
    };
    for (weight, level) in [(global, "global"), (fragment, "fragment"), (token, "token")] {
        if !weight.is_finite() || weight < 0.0 {
            return Err(ConvertError::OutOfRange {
                field: format!("{field}.{level}"),
                found: weight.to_string(),
                bounds: "finite and not negative".into(),
            });
        }
    }
    Ok(LevelWeights { global, fragment, token })
}

fn accuracy_from_wire(mode: i32, ef_search: u32) -> Result<Accuracy, ConvertError> {
    use wire::SearchMode as Mode;
    match (known_enum::<Mode>(mode), ef_search) {
        (Some(Mode::Unspecified | Mode::Planned), 0) => Ok(Accuracy::Auto),
        (Some(Mode::Unspecified | Mode::Planned), ef) => Ok(Accuracy::Ef(ef as usize)),
        (Some(Mode::Exact), 0) => Ok(Accuracy::Exact),
        (Some(Mode::Exact), _) => Err(ConvertError::Conflict {
            field: "ef_search".into(),
            reason: "an exact search uses no graph; leave ef_search out or the mode".into(),
        }),
        (None, _) => {
            Err(ConvertError::UnknownEnum { field: "mode".into(), value: mode, known: MODES })
        }
    }
}

fn level_to_wire(level: &LevelExplanation) -> wire::LevelExplanation {
    let name = match level.level {
        LevelName::Global => wire::LevelName::Global,
        LevelName::Fragment => wire::LevelName::Fragment,
        LevelName::Token => wire::LevelName::Token,
    };
    wire::LevelExplanation {
        level: name.into(),
        score: level.score,
        weight: level.weight,
        matches: level.pairs.iter().map(match_to_wire).collect(),
    }
}

fn match_to_wire(pair: &MatchedPair) -> wire::Match {
    let direction = match pair.direction {
        Direction::Both => wire::MatchDirection::Both,
        Direction::QueryToTarget => wire::MatchDirection::QueryToTarget,
        Direction::TargetToQuery => wire::MatchDirection::TargetToQuery,
    };
    wire::Match {
        direction: direction.into(),
        query: pair.query.as_ref().map(extent_to_wire),
        target: pair.target.as_ref().map(extent_to_wire),
        cosine: pair.cosine,
        weight: pair.weight,
        contribution: pair.contribution,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> wire::QueryRequest {
        wire::QueryRequest {
            collection: "demo".into(),
            query: Some(wire::Query { asked: Some(Asked::Text("a dye".into())) }),
            target: wire::Side::Molecule.into(),
            ..Default::default()
        }
    }

    fn refused(request: wire::QueryRequest) -> ConvertError {
        query_from_wire(request, &RerankDefaults::default()).unwrap_err()
    }

    #[test]
    fn short_query_gets_the_defaults() {
        let (collection, search) = query_from_wire(asked(), &RerankDefaults::default()).unwrap();
        assert_eq!(collection, "demo");
        assert_eq!(search.query, Query::Text("a dye".into()));
        assert_eq!(search.limit, DEFAULT_HITS as usize);
        assert_eq!(search.rerank, None);
        assert_eq!(search.accuracy, Accuracy::Auto);
    }

    #[test]
    fn server_default_decides_whether_to_rerank() {
        let defaults = RerankDefaults { enabled: true, ..Default::default() };
        let (_, search) = query_from_wire(asked(), &defaults).unwrap();
        assert_eq!(search.rerank, Some(Rerank { candidates: 100, weights: defaults.weights }));
        let off = wire::Rerank { mode: wire::RerankMode::Off.into(), ..Default::default() };
        let (_, search) =
            query_from_wire(wire::QueryRequest { rerank: Some(off), ..asked() }, &defaults)
                .unwrap();
        assert_eq!(search.rerank, None);
    }

    #[test]
    fn stored_query_asks_with_the_target_side_unless_it_says_otherwise() {
        for (side, expected) in [(0, Side::Molecule), (2, Side::Text)] {
            let stored = Asked::Stored(wire::StoredId { id: "a".into(), side });
            let query = Some(wire::Query { asked: Some(stored) });
            let request = wire::QueryRequest { query, ..asked() };
            let (_, search) = query_from_wire(request, &RerankDefaults::default()).unwrap();
            assert_eq!(search.query, Query::Id { id: "a".into(), side: expected });
        }
    }

    #[test]
    fn bad_queries_are_refused_with_the_field_at_fault() {
        let rerank = |mode, global| {
            let weights = wire::LevelWeights { global, fragment: 0.0, token: 0.0 };
            Some(wire::Rerank { mode, candidates: 0, weights: Some(weights) })
        };
        let cases = [
            (wire::QueryRequest { target: 0, ..asked() }, "target"),
            (wire::QueryRequest { target: 7, ..asked() }, "target"),
            (wire::QueryRequest { query: None, ..asked() }, "query"),
            (wire::QueryRequest { limit: MAX_HITS + 1, ..asked() }, "limit"),
            (wire::QueryRequest { mode: 3, ..asked() }, "mode"),
            (wire::QueryRequest { mode: 2, ef_search: 5, ..asked() }, "ef_search"),
            (wire::QueryRequest { rerank: rerank(9, 1.0), ..asked() }, "rerank.mode"),
            (
                wire::QueryRequest { rerank: rerank(3, f32::NAN), ..asked() },
                "rerank.weights.global",
            ),
            (wire::QueryRequest { rerank: rerank(3, -1.0), ..asked() }, "rerank.weights.global"),
        ];
        for (request, field) in cases {
            assert_eq!(refused(request).field(), field);
        }
    }
}
