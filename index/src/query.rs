//! Searching an index: through its graphs where that pays, exactly where it does not, and always beside them among the
//! vectors that came last.
//!
//! Whatever takes long asks on its way whether the answer is still wanted.

use crate::{
    GoOn, HnswIndex, Neighbor,
    admit::{self, Admission},
    config::{FilteredParams, Found, MAX_EF, SearchParams},
    error::Result,
    frozen::Frozen,
    hnsw::State,
    neighbor::Nearest,
    scan::{self, Asked},
};

/// Where a search would visit more than one in this many points, comparing all of them is no slower and exact.
const EXACT_SHARE: usize = 4;
/// How much wider a search becomes when it found too few.
const WIDEN: usize = 4;
/// Vectors that are compared one by one between two looks at whether the answer is wanted.
pub(crate) const BETWEEN_LOOKS: usize = 1_024;
/// Of a walk, this many times k are compared in full precision; codes put none of the k nearest behind so many others.
const RESCORE: usize = 4;

impl HnswIndex {
    /// The k nearest live vectors that pass the filter, wherever k exist.
    pub fn search(&self, query: &[f32], params: SearchParams<'_>) -> Result<Found> {
        let query = self.inner.prepare(query)?;
        let state = self.inner.state();
        let SearchParams { k, accept, go_on, .. } = params;
        let walked = if params.exact { None } else { self.search_graphs(&state, &query, params) };
        let exact = walked.is_none();
        let neighbors = walked.unwrap_or_else(|| compare_all(&state, &query, k, (accept, go_on)));
        go_on.finished(Found { neighbors, exact, stopped_early: false })
    }

    /// The k nearest live vectors of each query, exactly: as [`HnswIndex::search`] with `exact`, but with all queries at once,
    /// which compares a vector with many of them while it is near the core.
    pub fn search_exact_many<Q: AsRef<[f32]>>(
        &self,
        queries: &[Q],
        k: usize,
    ) -> Result<Vec<Vec<Neighbor>>> {
        let prepare = |query: &Q| self.inner.prepare(query.as_ref());
        let queries = queries.iter().map(prepare).collect::<Result<Vec<_>>>()?;
        let state = self.inner.state();
        let tail = |query: &Vec<f32>| state.tail.scan_all(query, k, (None, GoOn::ALWAYS));
        let mut found: Vec<Nearest> = queries.iter().map(tail).collect();
        for graph in &state.graphs {
            let of_graph = scan::many(graph, &queries, k);
            found = found.into_iter().zip(of_graph).map(|(one, other)| one.merge(other)).collect();
        }
        Ok(found.into_iter().map(Nearest::into_sorted).collect())
    }

    /// The k nearest live vectors that pass the filter, wherever k exist, by a walk that asks the filter on its way.
    pub fn search_filtered(&self, query: &[f32], params: FilteredParams<'_>) -> Result<Found> {
        let query = self.inner.prepare(query)?;
        let state = self.inner.state();
        let FilteredParams { k, accept, go_on, .. } = params;
        let asked = (Some(accept), go_on);
        let mut stopped_early = false;
        if let Some((main, young)) = state.graphs.split_first()
            && k > 0
            && !self.exact_is_better(main, params.ef.max(k))
        {
            if let Some(found) = admit::search(main, &query, &Admission::of(&params, main.nodes()))
            {
                let mut nearest = state.tail.scan_all(&query, k, asked);
                nearest.extend(found);
                let of_young = young.iter().map(|young| search_young(young, &query, &params));
                let neighbors = of_young.fold(nearest, Nearest::merge).into_sorted();
                return go_on.finished(Found { neighbors, exact: false, stopped_early: false });
            }
            stopped_early = true;
        }
        let neighbors = compare_all(&state, &query, k, asked);
        go_on.finished(Found { neighbors, exact: true, stopped_early })
    }

    /// The k nearest of the live vectors under these identifiers, compared one by one.
    pub fn search_among(
        &self,
        query: &[f32],
        ids: &[u64],
        k: usize,
        go_on: GoOn<'_>,
    ) -> Result<Vec<Neighbor>> {
        let query = self.inner.prepare(query)?;
        let state = self.inner.state();
        let mut nearest = Nearest::new(k);
        for ids in ids.chunks(BETWEEN_LOOKS).take_while(|_| go_on.is_wanted()) {
            state.tail.scan_among(&query, ids, &mut nearest);
            for graph in &state.graphs {
                let nodes = ids.iter().filter_map(|&id| graph.find(id));
                nearest.extend(nodes.map(|node| graph.neighbor(&query, node)));
            }
        }
        go_on.finished(nearest.into_sorted())
    }

    /// Whether comparing everything beats a walk of this width through the main graph.
    fn exact_is_better(&self, main: &Frozen, width: usize) -> bool {
        main.nodes() < self.inner.config.exact_below || is_wide(main, width)
    }

    /// Wider and wider walks; `None` where exact search is no slower, or alone can answer. One that is not wanted any more
    /// ends with whatever it has.
    fn search_graphs(
        &self,
        state: &State,
        query: &[f32],
        params: SearchParams<'_>,
    ) -> Option<Vec<Neighbor>> {
        let main = state.graphs.first()?;
        let SearchParams { k, accept, go_on, .. } = params;
        let tail = state.tail.scan_all(query, k, (accept, go_on));
        let mut width = params.ef.clamp(1, MAX_EF).max(k);
        while !self.exact_is_better(main, main.width_for(width)) {
            let mut nearest = tail.clone();
            for graph in &state.graphs {
                let width = graph.width_for(width);
                if is_wide(graph, width) {
                    nearest = nearest.merge(scan::one(graph, query, k, (accept, go_on)));
                    continue;
                }
                let most = if accept.is_some() { width } else { RESCORE * k };
                let found = graph.near(query, width, most, go_on).into_iter();
                let passing = found.filter(|found| accept.is_none_or(|accept| accept(found.id)));
                nearest.extend(passing.take(k));
            }
            let found = nearest.into_sorted();
            if found.len() == k {
                return Some(found);
            }
            width *= WIDEN;
        }
        None
    }
}

/// The k nearest that pass of a young graph: by a walk where so many pass that it is shorter than a scan.
fn search_young(young: &Frozen, query: &[f32], params: &FilteredParams<'_>) -> Nearest {
    let passing = (young.nodes() as f32 * params.pass_rate) as usize;
    let is_short = params.ef.max(params.k).saturating_mul(EXACT_SHARE) < passing;
    let walk = || admit::search(young, query, &Admission::of(params, young.nodes()));
    match is_short.then(walk).flatten() {
        None => scan::one(young, query, params.k, (Some(params.accept), params.go_on)),
        Some(found) => {
            let mut nearest = Nearest::new(params.k);
            nearest.extend(found);
            nearest
        }
    }
}

/// Compares everything.
fn compare_all(state: &State, query: &[f32], k: usize, asked: Asked<'_>) -> Vec<Neighbor> {
    let tail = state.tail.scan_all(query, k, asked);
    let of_graphs = state.graphs.iter().map(|graph| scan::one(graph, query, k, asked));
    of_graphs.fold(tail, Nearest::merge).into_sorted()
}

/// Whether a walk of this width visits so much of the graph that comparing all is no slower.
fn is_wide(graph: &Frozen, width: usize) -> bool {
    width.saturating_mul(EXACT_SHARE) >= graph.nodes()
}
