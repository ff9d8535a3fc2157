//! Why a record scores as it does: every best pair of parts, with what it adds to the score.

use moiety_chem::{Group, Molecule};
use moiety_encoder::Encoder;

use crate::{
    Direction, ExplainRequest, Explanation, Filter, FilterExplanation, LevelExplanation, LevelName,
    MatchedPair, Patience, SearchRequest, Side, StoredRecord, Timings,
    encode_query::{self, Encoded, Parsed},
    error::{EngineError, Result},
    filter::Subject,
    levels::CodedLevel,
    live::LiveCollection,
    plan,
    rerank::Alignment,
    search::Clock,
    store::{Store, View},
};

/// Hits of the search that the plan of a filter is explained for.
const SHOWN_HITS: usize = 10;

/// Explains one record for a query, with the vectors that a search compares.
pub(crate) fn explain(
    store: &Store,
    encoder: &dyn Encoder,
    live: &LiveCollection,
    request: &ExplainRequest,
    patience: &Patience,
) -> Result<Explanation> {
    let mut clock = Clock::start();
    let mut timings = Timings::default();
    request.weights.check("weights")?;
    let parsed = encode_query::parse(&request.query)?;
    clock.lap(&mut timings.parse);
    let query = encode_query::encode(store, encoder, live, &parsed)?;
    clock.lap(&mut timings.encode);
    let target = encode_query::stored(store, live, &request.id, request.target)?;
    let query_groups = match &parsed {
        Parsed::Molecule(molecule) => molecule.groups(),
        Parsed::Id(id, Side::Molecule) => stored_groups(store, live, id)?,
        Parsed::Id(_, Side::Text) | Parsed::Text(_) | Parsed::Vector(_) => Vec::new(),
    };
    let target_groups = match request.target {
        Side::Molecule => stored_groups(store, live, &request.id)?,
        Side::Text => Vec::new(),
    };
    clock.lap(&mut timings.fetch);
    let levels = levels(live, request, &query, &target)?;
    clock.lap(&mut timings.rerank);
    let score = levels.iter().map(|level| level.weight * level.score).sum();
    let filter = request.filter.as_ref();
    let filter = filter.map(|filter| explain_filter(store, live, request, (filter, patience)));
    let (filter, fingerprint) = (filter.transpose()?, live.info.fingerprint.clone());
    timings.total = clock.total();
    Ok(Explanation { score, levels, filter, query_groups, target_groups, timings, fingerprint })
}

/// How a search would answer the filter, and what of it holds for the record.
fn explain_filter(
    store: &Store,
    live: &LiveCollection,
    request: &ExplainRequest,
    (filter, patience): (&Filter, &Patience),
) -> Result<FilterExplanation> {
    let prepared = filter.prepare()?;
    let view = store.view();
    let checker = plan::checker(&view, live, &prepared, patience)?;
    let search = SearchRequest::new(request.query.clone(), request.target, SHOWN_HITS);
    let plan = plan::report(plan::choose(live, &search, &checker)?, live, &checker);
    let record = stored_record(&view, live, &request.id)?;
    let subject = Subject::new(&record, None);
    let holds = prepared.root.leaves().into_iter().map(|leaf| subject.holds(leaf));
    let holds = holds.collect::<Result<_>>()?;
    Ok(FilterExplanation { passes: subject.passes(&prepared.root)?, holds, plan })
}

fn stored_record(view: &View<'_>, live: &LiveCollection, id: &str) -> Result<StoredRecord> {
    let record = match view.version(live.number, id)? {
        Some(version) => view.records(live.number, &[version])?.pop().flatten(),
        None => None,
    };
    let collection = || live.info.config.name.clone();
    record.ok_or_else(|| EngineError::RecordNotFound { collection: collection(), id: id.into() })
}

/// Named parts of a record's molecule; none where it has none.
fn stored_groups(store: &Store, live: &LiveCollection, id: &str) -> Result<Vec<Group>> {
    let Some(molecule) = stored_record(&store.view(), live, id)?.molecule else {
        return Ok(Vec::new());
    };
    Ok(Molecule::parse(&molecule.structure).map_err(EngineError::Structure)?.groups())
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
    query: &CodedLevel,
    target: &CodedLevel,
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
