//! How candidates are found: through the graph, by comparing what the indexes admit, or by comparing all.
//!
//! With a filter, the indexes say first which records may pass; a sample of those tells how many do. Few are compared one
//! by one, which is exact; for many the graph is walked, asking on the way which records may pass. Where no index leaves out
//! anything, the graph is asked for as many more as fail, or, where nearly all fail, every vector is compared. Whatever comes
//! near the query is tested before it counts, so a plan decides on speed and never on who passes.

use moiety_index::{FilteredParams, Found, GoOn, Neighbor, SearchParams};

use crate::{
    Accuracy, FilterPlan, Patience, SearchRequest, Side, Strategy, check::Checker, error::Result,
    filter::Prepared, limits::MAX_EF, live::LiveCollection, select::select, store::View,
};

/// Entries of one index beyond which it is not read to its end: testing candidates costs less.
pub(crate) const READ_ENTRIES: u64 = 200_000;
/// Records that are tested to tell how many pass, where the indexes are not sure.
const SAMPLE: usize = 128;
/// Distances that a walk through the graph computes for each point of its width.
const GRAPH_COST: f64 = 64.0;
/// Indexes that admit more than this share of all vectors leave out too little to be asked on the way.
const MOST_SHARE: f64 = 0.9;
/// Where fewer pass than this share of all vectors, the graph would be searched too wide to be worth it.
const LEAST_SHARE: f64 = 0.02;
/// How many more candidates are looked at when too few passed.
const WIDEN: usize = 4;

/// A way to find candidates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) strategy: Strategy,
    /// Records expected to pass.
    pub(crate) estimated: f64,
}

/// What is looked for among the candidates.
#[derive(Clone, Copy)]
pub(crate) struct Candidates<'a> {
    pub(crate) query: &'a [f32],
    pub(crate) target: Side,
    pub(crate) k: usize,
    pub(crate) patience: &'a Patience,
}

/// Asks the indexes about a filter.
pub(crate) fn checker<'a>(
    view: &'a View<'a>,
    live: &'a LiveCollection,
    filter: &'a Prepared,
    patience: &'a Patience,
) -> Result<Checker<'a>> {
    let selection = select(view, live, filter, READ_ENTRIES, patience)?;
    Ok(Checker::new(view, live, filter, selection, patience))
}

/// Chooses for a search without a filter.
pub(crate) fn unfiltered(live: &LiveCollection, accuracy: Accuracy) -> Strategy {
    match accuracy {
        Accuracy::Exact => Strategy::Scan,
        Accuracy::Auto => Strategy::Graph { ef: live.info.config.hnsw.ef_search },
        Accuracy::Ef(ef) => Strategy::Graph { ef },
    }
}

/// Chooses by how many records may pass and how many of them do.
pub(crate) fn choose(
    live: &LiveCollection,
    request: &SearchRequest,
    checker: &Checker<'_>,
) -> Result<Plan> {
    let vectors = live.index(request.target).len() as f64;
    let estimated = estimate(checker)?;
    let possible = checker.selection.possible.len() as f64;
    let share = (estimated / vectors.max(1.0)).min(1.0);
    let strategy = match unfiltered(live, request.accuracy) {
        Strategy::Graph { ef } if possible <= ef as f64 * GRAPH_COST => Strategy::Among,
        Strategy::Graph { ef } if possible <= vectors * MOST_SHARE => Strategy::Graph { ef },
        Strategy::Graph { .. } if share < LEAST_SHARE => Strategy::Scan,
        Strategy::Graph { ef } => {
            Strategy::OverFetch { ef: ((ef as f64 / share).ceil() as usize).min(MAX_EF) }
        }
        _ if possible < vectors => Strategy::Among,
        strategy => strategy,
    };
    Ok(Plan { strategy, estimated })
}

/// How many records pass: the certain ones, and of the others the share of a sample.
pub(crate) fn estimate(checker: &Checker<'_>) -> Result<f64> {
    let selection = &checker.selection;
    let certain = selection.certain.len();
    let unsure = selection.possible.len() - certain;
    if unsure == 0 {
        return Ok(certain as f64);
    }
    // The first and the last are in, and all where there are few.
    let step = (unsure as f64 / SAMPLE as f64).max(1.0);
    let unsure_ones = &selection.possible - &selection.certain;
    let sample: Vec<u64> = (0..SAMPLE.min(unsure as usize))
        .filter_map(|i| unsure_ones.select((i as f64 * step) as u64))
        .collect();
    let passing = checker.check(&sample)?.into_iter().filter(|passes| *passes).count();
    Ok(certain as f64 + unsure as f64 * passing as f64 / sample.len().max(1) as f64)
}

/// The `k` nearest by the plan; every one of them passes.
pub(crate) fn run(
    plan: Plan,
    live: &LiveCollection,
    search: Candidates<'_>,
    checker: Option<&Checker<'_>>,
) -> Result<Found> {
    let Candidates { query, target, k, patience } = search;
    let ask = || patience.check().is_ok();
    let go_on = GoOn::while_true(&ask);
    let (ef, exact) = match (plan.strategy, checker) {
        (Strategy::Among | Strategy::List, Some(checker)) => {
            return among(plan, live, search, checker);
        }
        (Strategy::Graph { ef }, Some(checker)) => return walk(plan, live, search, (checker, ef)),
        (Strategy::Graph { ef } | Strategy::OverFetch { ef }, _) => (ef, false),
        (Strategy::Among | Strategy::List | Strategy::Scan, _) => (k, true),
    };
    let index = live.index(target);
    let Some(checker) = checker else {
        return Ok(index.search(query, SearchParams { k, ef, exact, accept: None, go_on })?);
    };
    let accept = |version: u64| checker.accepts(version);
    let params = SearchParams { k, ef, exact, accept: Some(&accept), go_on };
    let found = index.search(query, params);
    checker.finish()?;
    Ok(found?)
}

/// Goes through what the indexes admit, nearest first, until `k` pass.
fn among(
    plan: Plan,
    live: &LiveCollection,
    search: Candidates<'_>,
    checker: &Checker<'_>,
) -> Result<Found> {
    let Candidates { query, target, k, patience } = search;
    let ask = || patience.check().is_ok();
    let possible: Vec<u64> = checker.selection.possible.iter().collect();
    let mut width = first_width(plan, k, checker);
    loop {
        let index = live.index(target);
        let near = index.search_among(query, &possible, width, GoOn::while_true(&ask))?;
        let neighbors = passing(&near, k, checker)?;
        if neighbors.len() == k || near.len() < width || width >= possible.len() {
            return Ok(Found { neighbors, exact: true, stopped_early: false });
        }
        width = width.saturating_mul(WIDEN);
    }
}

/// Walks through the graph, asking on the way what the indexes admit, and tests what it finds.
fn walk(
    plan: Plan,
    live: &LiveCollection,
    search: Candidates<'_>,
    (checker, ef): (&Checker<'_>, usize),
) -> Result<Found> {
    let Candidates { query, target, k, patience } = search;
    let ask = || patience.check().is_ok();
    let go_on = GoOn::while_true(&ask);
    let possible = &checker.selection.possible;
    let accept = |version: u64| possible.contains(version);
    let index = live.index(target);
    let pass_rate = (possible.len() as f32 / index.len().max(1) as f32).min(1.0);
    let mut width = first_width(plan, k, checker);
    while width <= MAX_EF {
        let params = FilteredParams {
            k: width,
            ef: ef.max(width),
            accept: &accept,
            pass_rate,
            max_looks: 0,
            go_on,
        };
        let near = index.search_filtered(query, params)?;
        let neighbors = passing(&near.neighbors, k, checker)?;
        // Fewer than asked for are all that there are.
        if neighbors.len() == k || near.neighbors.len() < width {
            return Ok(Found { neighbors, ..near });
        }
        width = width.saturating_mul(WIDEN);
    }
    among(plan, live, search, checker)
}

/// As many candidates as should hold `k` that pass, and a margin, since a sample may have been lucky.
fn first_width(plan: Plan, k: usize, checker: &Checker<'_>) -> usize {
    let selection = &checker.selection;
    if selection.possible.len() == selection.certain.len() {
        return k;
    }
    let share = (plan.estimated / selection.possible.len().max(1) as f64).clamp(0.001, 1.0);
    (k as f64 / share * 1.25) as usize + 16
}

/// The first `k` that pass.
fn passing(near: &[Neighbor], k: usize, checker: &Checker<'_>) -> Result<Vec<Neighbor>> {
    let mut passing = Vec::with_capacity(k);
    for chunk in near.chunks(k.clamp(16, 256)) {
        let versions: Vec<u64> = chunk.iter().map(|neighbor| neighbor.id).collect();
        let verdicts = checker.check(&versions)?;
        let passed = chunk.iter().zip(verdicts).filter(|(_, passes)| *passes);
        passing.extend(passed.map(|(neighbor, _)| *neighbor));
        if passing.len() >= k {
            passing.truncate(k);
            break;
        }
    }
    Ok(passing)
}

/// What was done, for the answer.
pub(crate) fn report(plan: Plan, live: &LiveCollection, checker: &Checker<'_>) -> FilterPlan {
    let (tested, passed) = checker.counts();
    let selection = &checker.selection;
    let (possible, certain) = (selection.possible.len(), selection.certain.len());
    FilterPlan {
        strategy: plan.strategy,
        conditions: selection.conditions.clone(),
        records: live.records(),
        possible,
        certain,
        estimated: plan.estimated.round() as u64,
        actual: (possible == certain + tested).then_some(certain + passed),
        tested,
        warnings: Vec::new(),
    }
}
