//! Searching an index: through its graph where that pays, exactly where it does not, and always beside it among the vectors
//! that came later.
//!
//! Whatever takes long asks on its way whether the answer is still wanted.

use crate::{
    GoOn, HnswIndex, Neighbor,
    admit::{self, Admission},
    config::{FilteredParams, Found, MAX_EF, SearchParams},
    error::Result,
    frozen::Frozen,
    hnsw::{Inner, State},
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
        let walked =
            if params.exact { None } else { self.inner.search_graph(&state, &query, params) };
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
        let Some(frozen) = &state.frozen else {
            return Ok(queries.iter().map(|query| tail(query).into_sorted()).collect());
        };
        let found = scan::many(frozen, &queries, k);
        let with_tail =
            |(found, query): (Nearest, &Vec<f32>)| found.merge(tail(query)).into_sorted();
        Ok(found.into_iter().zip(&queries).map(with_tail).collect())
    }

    /// The k nearest live vectors that pass the filter, wherever k exist, by a walk that asks the filter on its way.
    pub fn search_filtered(&self, query: &[f32], params: FilteredParams<'_>) -> Result<Found> {
        let query = self.inner.prepare(query)?;
        let state = self.inner.state();
        let FilteredParams { k, accept, go_on, .. } = params;
        let mut stopped_early = false;
        if let Some(frozen) = &state.frozen
            && k > 0
            && !self.inner.exact_is_better(frozen, params.ef.max(k))
        {
            let found = admit::search(frozen, &query, &Admission::of(&params, frozen.nodes()));
            if let Some(found) = found {
                let mut nearest = state.tail.scan_all(&query, k, (Some(accept), go_on));
                found.into_iter().for_each(|neighbor| nearest.push(neighbor));
                let neighbors = nearest.into_sorted();
                return go_on.finished(Found { neighbors, exact: false, stopped_early: false });
            }
            stopped_early = true;
        }
        let neighbors = compare_all(&state, &query, k, (Some(accept), go_on));
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
            if let Some(frozen) = &state.frozen {
                let nodes = ids.iter().filter_map(|&id| frozen.find(id));
                nodes.for_each(|node| nearest.push(frozen.neighbor(&query, node)));
            }
        }
        go_on.finished(nearest.into_sorted())
    }
}

/// Compares everything.
fn compare_all(state: &State, query: &[f32], k: usize, asked: Asked<'_>) -> Vec<Neighbor> {
    let tail = state.tail.scan_all(query, k, asked);
    match &state.frozen {
        Some(frozen) => scan::one(frozen, query, k, asked).merge(tail).into_sorted(),
        None => tail.into_sorted(),
    }
}

impl Inner {
    fn exact_is_better(&self, frozen: &Frozen, width: usize) -> bool {
        frozen.nodes() < self.config.exact_below
            || width.saturating_mul(EXACT_SHARE) >= frozen.nodes()
    }

    /// Wider and wider walks; `None` where exact search is no slower, or alone can answer. One that is not wanted any more
    /// ends with whatever it has.
    fn search_graph(
        &self,
        state: &State,
        query: &[f32],
        params: SearchParams<'_>,
    ) -> Option<Vec<Neighbor>> {
        let frozen = state.frozen.as_ref()?;
        let tail = state.tail.scan_all(query, params.k, (params.accept, params.go_on));
        let live = (frozen.nodes() - frozen.deaths()).max(1);
        // Dead points take room in the beam.
        let mut width = params.ef.clamp(1, MAX_EF).max(params.k);
        width = width.saturating_mul(frozen.nodes()).div_ceil(live);
        loop {
            if self.exact_is_better(frozen, width) {
                return None;
            }
            let most = if params.accept.is_some() { width } else { RESCORE * params.k };
            let mut nearest = tail.clone();
            let accept = |neighbor: &Neighbor| params.accept.is_none_or(|ask| ask(neighbor.id));
            let found = frozen.near(query, width, most, params.go_on).into_iter();
            found.filter(accept).take(params.k).for_each(|neighbor| nearest.push(neighbor));
            let found = nearest.into_sorted();
            if found.len() == params.k {
                return Some(found);
            }
            width *= WIDEN;
        }
    }
}
