//! The read path on one page: parse → encode → plan → candidates, filtered → rerank → hits.

use std::time::{Duration, Instant};

use moiety_encoder::Encoder;
use moiety_index::Neighbor;

use crate::{
    Accuracy, Filter, Hit, LevelScores, LevelWeights, Patience, SearchRequest, SearchResponse,
    Timings,
    check::Checker,
    encode_query::{self, Encoded},
    error::{EngineError, Result},
    filter::Prepared,
    limits::{MAX_EF, MAX_LIMIT, MAX_RERANK_CANDIDATES},
    live::LiveCollection,
    plan::{self, Candidates, Plan},
    read,
    rerank::{PartScores, Reranker},
    scan,
    store::{Store, View},
    unknown_fields,
};

/// Most attempts of a search whose hits were deleted or replaced before they could be read.
const ATTEMPTS_WHEN_LOST: usize = 32;
/// Most attempts of a search that found fewer than it was asked for while records changed: there may be no more.
const ATTEMPTS_WHEN_SHORT: usize = 3;
/// Candidates whose level vectors are in memory at one time.
const RERANK_READ: usize = 512;

/// Finds the best records for a query.
pub(crate) fn search(
    store: &Store,
    encoder: &dyn Encoder,
    live: &LiveCollection,
    request: &SearchRequest,
    patience: &Patience,
) -> Result<SearchResponse> {
    let mut clock = Clock::start();
    let mut timings = Timings::default();
    check(request)?;
    let filter = request.filter.as_ref().map(Filter::prepare).transpose()?;
    let parsed = encode_query::parse(&request.query)?;
    clock.lap(&mut timings.parse);
    patience.check()?;
    let query = encode_query::encode(store, encoder, live, &parsed)?;
    clock.lap(&mut timings.encode);
    let mut attempt = 1;
    loop {
        patience.check()?;
        let (changes, loads) = (live.changes(), live.loads());
        let view = store.view();
        let (plan, checker) = plan(&view, live, request, (filter.as_ref(), patience))?;
        clock.lap(&mut timings.plan);
        let wanted = Candidates {
            query: &query.global,
            target: request.target,
            k: request.rerank.map_or(0, |rerank| rerank.candidates).max(request.limit),
            patience,
        };
        // A limit of zero asks for nothing, whatever the rerank says.
        let wanted = if request.limit == 0 { Candidates { k: 0, ..wanted } } else { wanted };
        let found = match live.is_loading() {
            true => None,
            false => Some(plan::run(plan, live, wanted, checker.as_ref())?),
        };
        let found = match found {
            Some(found) if loads == live.loads() => found,
            // The vectors are not in memory, or went from it meanwhile.
            _ => scan::nearest(&store.view(), live, wanted, checker.as_ref())?,
        };
        clock.lap(&mut timings.candidates);
        patience.check()?;
        let now = store.view();
        let ranked = rank(&now, live, request, &query, &found.neighbors, patience)?;
        clock.lap(&mut timings.rerank);
        let (hits, lost) = fetch(&now, live, &ranked)?;
        clock.lap(&mut timings.fetch);
        // What was replaced meanwhile may have been found in neither of its versions.
        let short = hits.len() < request.limit && live.changes() != changes;
        let most = match (lost > 0, short) {
            (true, _) => ATTEMPTS_WHEN_LOST,
            (false, true) => ATTEMPTS_WHEN_SHORT,
            (false, false) => 1,
        };
        if attempt >= most {
            timings.total = clock.total();
            let fingerprint = live.info.fingerprint.clone();
            let mut report = checker.as_ref().map(|checker| plan::report(plan, live, checker));
            if let (Some(report), Some(filter), true) = (&mut report, &filter, hits.is_empty()) {
                report.warnings = unknown_fields::warnings(&now, live, filter)?;
            }
            let exact = found.exact;
            return Ok(SearchResponse { hits, exact, filter: report, timings, fingerprint });
        }
        attempt += 1;
    }
}

/// How candidates are found, and what tests them.
fn plan<'a>(
    view: &'a View<'a>,
    live: &'a LiveCollection,
    request: &SearchRequest,
    (filter, patience): (Option<&'a Prepared>, &'a Patience),
) -> Result<(Plan, Option<Checker<'a>>)> {
    let Some(filter) = filter else {
        let strategy = plan::unfiltered(live, request.accuracy);
        return Ok((Plan { strategy, estimated: 0.0 }, None));
    };
    let checker = plan::checker(view, live, filter, patience)?;
    Ok((plan::choose(live, request, &checker)?, Some(checker)))
}

fn check(request: &SearchRequest) -> Result<()> {
    at_most("limit", request.limit, MAX_LIMIT)?;
    if let Some(rerank) = &request.rerank {
        at_most("rerank.candidates", rerank.candidates, MAX_RERANK_CANDIDATES)?;
        rerank.weights.check("rerank.weights")?;
    }
    match request.accuracy {
        Accuracy::Ef(0) => Err(EngineError::invalid("ef", "it must be at least 1")),
        Accuracy::Ef(ef) => at_most("ef", ef, MAX_EF),
        Accuracy::Auto | Accuracy::Exact => Ok(()),
    }
}

fn at_most(field: &str, value: usize, most: usize) -> Result<()> {
    if value <= most {
        return Ok(());
    }
    Err(EngineError::invalid(field, format!("{value} is too many: allowed are {most}")))
}

/// A candidate with its scores.
struct Ranked {
    version: u64,
    score: f32,
    levels: LevelScores,
}

/// The best candidates, best first, by the three-level score when asked for.
fn rank(
    view: &View<'_>,
    live: &LiveCollection,
    request: &SearchRequest,
    query: &Encoded,
    candidates: &[Neighbor],
    patience: &Patience,
) -> Result<Vec<Ranked>> {
    let metric = live.index(request.target).config().metric;
    let weights = request.rerank.map_or(LevelWeights::GLOBAL_ONLY, |rerank| rerank.weights);
    let compare_parts = request.rerank.is_some() && !query.levels.is_empty();
    let mut reranker = compare_parts.then(|| Reranker::new(&query.levels, &weights));
    let mut ranked = Vec::with_capacity(candidates.len());
    for candidates in candidates.chunks(RERANK_READ) {
        patience.check()?;
        let versions: Vec<u64> = candidates.iter().map(|candidate| candidate.id).collect();
        let parts = match &mut reranker {
            Some(reranker) => {
                view.each_levels(live.number, request.target, &versions, |target| {
                    reranker.scores(target)
                })?
            }
            None => vec![None; versions.len()],
        };
        ranked.extend(candidates.iter().zip(parts).map(|(candidate, parts)| {
            let PartScores { fragment, token } = parts.unwrap_or_default();
            let levels = LevelScores { global: metric.score(candidate.distance), fragment, token };
            Ranked { version: candidate.id, score: weights.total(&levels), levels }
        }));
    }
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.version.cmp(&b.version)));
    ranked.truncate(request.limit);
    Ok(ranked)
}

/// Reads the records of the hits; says how many are not there any more.
fn fetch(view: &View<'_>, live: &LiveCollection, ranked: &[Ranked]) -> Result<(Vec<Hit>, usize)> {
    let versions: Vec<u64> = ranked.iter().map(|ranked| ranked.version).collect();
    let records = read::records(view, live, &versions, "limit")?;
    let hit = |(ranked, record): (&Ranked, Option<_>)| {
        Some(Hit { score: ranked.score, levels: ranked.levels, record: record? })
    };
    let mut hits: Vec<Hit> = ranked.iter().zip(records).filter_map(hit).collect();
    hits.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.record.id.cmp(&b.record.id)));
    let lost = ranked.len() - hits.len();
    Ok((hits, lost))
}

/// Measures stage after stage.
pub(crate) struct Clock {
    start: Instant,
    last: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let now = Instant::now();
        Self { start: now, last: now }
    }

    /// Adds the time since the last lap.
    pub(crate) fn lap(&mut self, stage: &mut Duration) {
        let now = Instant::now();
        *stage += now - self.last;
        self.last = now;
    }

    pub(crate) fn total(&self) -> Duration {
        self.start.elapsed()
    }
}
