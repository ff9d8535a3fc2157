//! How candidates are found: through the graph, or by comparing all that the filter admits.

use std::sync::{Mutex, PoisonError};

use moiety_index::{Found, SearchParams};

use crate::{
    Accuracy, Filter, SearchRequest, Side,
    error::{EngineError, Result},
    live::LiveCollection,
    read::matching,
    store::Store,
};

/// Records that are tried against a filter to guess how many pass.
const SAMPLE: usize = 200;
/// With fewer of the sample passing, all passing records are found first and compared one by one.
const FEW: usize = 10;

/// A way to find candidates.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Plan {
    /// Search the index with this width, asking the filter of what it finds.
    Index { ef: usize, exact: bool },
    /// Compare these versions: all that pass the filter.
    Among(Vec<u64>),
}

/// Chooses by the filter's selectivity on a sample of the target side.
pub(crate) fn choose(
    store: &Store,
    live: &LiveCollection,
    request: &SearchRequest,
) -> Result<Plan> {
    let exact = request.accuracy == Accuracy::Exact;
    let ef = match request.accuracy {
        Accuracy::Ef(ef) => ef,
        Accuracy::Auto | Accuracy::Exact => live.info.config.hnsw.ef_search,
    };
    let Some(filter) = &request.filter else { return Ok(Plan::Index { ef, exact }) };
    let view = store.view();
    let sample = live.index(request.target).sample(SAMPLE);
    let records = view.records(live.number, &sample)?;
    let passing = records.iter().flatten().filter(|record| filter.matches(record)).count();
    if passing * SAMPLE < FEW * sample.len() || passing == 0 {
        return Ok(Plan::Among(matching(&view, live, filter)?));
    }
    // Of `ef` points found, only the passing share counts: look that much further.
    Ok(Plan::Index { ef: ef * sample.len() / passing, exact })
}

/// The `k` nearest by the plan.
pub(crate) fn run(
    plan: &Plan,
    store: &Store,
    live: &LiveCollection,
    search: Candidates<'_>,
) -> Result<Found> {
    let index = live.index(search.target);
    let Candidates { query, k, filter, .. } = search;
    let (ef, exact) = match plan {
        Plan::Among(versions) => {
            let neighbors = index.search_among(query, versions, k)?;
            return Ok(Found { neighbors, exact: true, stopped_early: false });
        }
        Plan::Index { ef, exact } => (*ef, *exact),
    };
    let Some(filter) = filter else {
        return Ok(index.search(query, SearchParams { k, ef, exact, accept: None })?);
    };
    let view = store.view();
    let failed: Mutex<Option<EngineError>> = Mutex::new(None);
    let accept = |version: u64| match view.records(live.number, &[version]) {
        // A version without a record was deleted a moment ago.
        Ok(records) => records.iter().flatten().any(|record| filter.matches(record)),
        Err(error) => {
            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            false
        }
    };
    let found = index.search(query, SearchParams { k, ef, exact, accept: Some(&accept) })?;
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(found),
    }
}

/// What is looked for among the candidates.
#[derive(Clone, Copy)]
pub(crate) struct Candidates<'a> {
    pub(crate) query: &'a [f32],
    pub(crate) target: Side,
    pub(crate) k: usize,
    pub(crate) filter: Option<&'a Filter>,
}
