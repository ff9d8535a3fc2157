//! Approximate search: a graph over the vectors of an exact index.
//!
//! The graph is a cache. A vector can be searched as soon as it is inserted: until the graph has caught up, which happens
//! in the background, the vectors that are not linked yet are compared one by one. Whatever the graph says is checked
//! again, and where it does not lead to k live results that pass the filter, exact search does.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    Accept, FlatIndex, Metric, Neighbor, error::Result, flat::check_range, graph::Graph,
    neighbor::Nearest, points::MAX_POINTS,
};

/// Most links per point and layer: what the graph library can count.
pub const MAX_M: usize = 255;
/// With fewer vectors than this, comparing all of them is about as fast as the graph (measured with 256 numbers each).
pub const EXACT_BELOW: usize = 50_000;
/// Widest search, in construction and in queries.
pub const MAX_EF: usize = 100_000;
/// Where a search would visit more than one in this many points, comparing all of them is no slower and exact.
const EXACT_SHARE: usize = 4;
/// How much wider a search becomes when it found too few.
const WIDEN: usize = 4;

/// Shape and limits of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HnswConfig {
    /// How vectors are compared.
    pub metric: Metric,
    /// Length of vectors.
    pub dim: usize,
    /// Links per point and layer, 2 to [`MAX_M`].
    pub m: usize,
    /// Width of the search when a point is linked.
    pub ef_construction: usize,
    /// With fewer points than this there is no graph and every search is exact.
    pub exact_below: usize,
    /// Most points, tombstones included.
    pub capacity: usize,
}

impl HnswConfig {
    /// The defaults: `m` 16, `ef_construction` 100, exact below [`EXACT_BELOW`] points.
    pub fn new(metric: Metric, dim: usize) -> Self {
        let (m, ef_construction, capacity) = (16, 100, MAX_POINTS);
        Self { metric, dim, m, ef_construction, exact_below: EXACT_BELOW, capacity }
    }
}

/// What is wanted of one search.
#[derive(Clone, Copy)]
pub struct SearchParams<'a> {
    /// Most neighbors.
    pub k: usize,
    /// Width of the search, at least `k`; large finds more and takes longer.
    pub ef: usize,
    /// Compare every vector.
    pub exact: bool,
    /// Which identifiers may be found. It is asked late and for few.
    pub accept: Option<Accept<'a>>,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Nearest first, ties by identifier.
    pub neighbors: Vec<Neighbor>,
    /// Whether every vector was compared.
    pub exact: bool,
}

/// Vectors under identifiers, searched through a graph.
///
/// Insertions, removals and searches may run at the same time and never wait for the graph.
///
/// ```
/// use moiety_index::{HnswConfig, HnswIndex, Metric, SearchParams};
///
/// let index = HnswIndex::new(HnswConfig::new(Metric::Cosine, 2))?;
/// index.insert(1, &[1.0, 0.0])?;
/// index.insert(2, &[0.0, 1.0])?;
/// let params = SearchParams { k: 1, ef: 64, exact: false, accept: None };
/// assert_eq!(index.search(&[0.9, 0.1], params)?.neighbors[0].id, 1);
/// # Ok::<(), moiety_index::IndexError>(())
/// ```
pub struct HnswIndex {
    inner: Arc<Inner>,
}

struct Inner {
    config: HnswConfig,
    flat: FlatIndex,
    graph: Graph,
    /// Every slot below this is in the graph, or was dead when its turn came.
    linked: AtomicUsize,
    /// Whether a thread is linking.
    linking: AtomicBool,
    /// Held by whoever advances `linked`.
    linker: Mutex<()>,
    stop: AtomicBool,
}

impl HnswIndex {
    /// An empty index.
    pub fn new(config: HnswConfig) -> Result<Self> {
        check_range("m", config.m, 2..MAX_M + 1)?;
        check_range("ef_construction", config.ef_construction, 1..MAX_EF + 1)?;
        let inner = Inner {
            config,
            flat: FlatIndex::with_capacity(config.metric, config.dim, config.capacity)?,
            graph: Graph::new(config.metric, config.m, config.ef_construction),
            linked: AtomicUsize::new(0),
            linking: AtomicBool::new(false),
            linker: Mutex::new(()),
            stop: AtomicBool::new(false),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Its shape and limits.
    pub fn config(&self) -> &HnswConfig {
        &self.inner.config
    }

    /// The exact index under the graph.
    pub fn flat(&self) -> &FlatIndex {
        &self.inner.flat
    }

    /// Number of vectors that the graph leads to, tombstones included.
    pub fn linked(&self) -> usize {
        self.inner.linked.load(Ordering::Acquire)
    }

    /// Rough memory of vectors and graph, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let points = self.inner.flat.points().len();
        let per_vector = self.inner.config.dim * size_of::<f32>() + 96;
        // Two references and a distance per link, twice `m` links on the lowest layer, and a table of 16 layers.
        let per_node = 2 * self.inner.config.m * 40 + 16 * 24 + 128;
        points * per_vector + self.linked() * per_node
    }

    /// Says why this vector could not be inserted, if it could not; nothing is changed.
    pub fn check(&self, vector: &[f32]) -> Result<()> {
        self.inner.flat.prepare(vector).map(drop)
    }

    /// How many more vectors it takes.
    pub fn room(&self) -> usize {
        self.inner.config.capacity.saturating_sub(self.inner.flat.points().len())
    }

    /// Adds a vector under an identifier that no live vector has; searches that begin later see it.
    pub fn insert(&self, id: u64, vector: &[f32]) -> Result<()> {
        self.inner.flat.insert(id, vector)?;
        Inner::link_in_background(&self.inner);
        Ok(())
    }

    /// Hides a vector from all searches that begin later; false when there is none.
    pub fn remove(&self, id: u64) -> bool {
        self.inner.flat.remove(id)
    }

    /// Waits until the graph leads to everything inserted so far, however few points there are.
    pub fn finish_graph(&self) {
        self.inner.link();
    }

    /// The k nearest live vectors that pass the filter, wherever k exist.
    pub fn search(&self, query: &[f32], params: SearchParams<'_>) -> Result<Found> {
        let query = self.inner.flat.prepare(query)?;
        let neighbors = if params.exact { None } else { self.inner.search_graph(&query, params) };
        if let Some(neighbors) = neighbors {
            return Ok(Found { neighbors, exact: false });
        }
        let all = 0..self.inner.flat.points().len();
        let neighbors = self.inner.flat.scan(&query, params.k, all, params.accept).into_sorted();
        Ok(Found { neighbors, exact: true })
    }

    /// The k nearest of the live vectors under these identifiers, compared one by one.
    pub fn search_among(&self, query: &[f32], ids: &[u64], k: usize) -> Result<Vec<Neighbor>> {
        self.inner.flat.search_among(query, ids, k)
    }
}

impl Drop for HnswIndex {
    fn drop(&mut self) {
        self.inner.stop.store(true, Ordering::Release);
    }
}

impl Inner {
    /// Wider and wider searches of the graph; `None` where exact search is no slower, or alone can answer.
    fn search_graph(&self, query: &[f32], params: SearchParams<'_>) -> Option<Vec<Neighbor>> {
        let query: Arc<[f32]> = Arc::from(query);
        let mut width = params.ef.clamp(1, MAX_EF).max(params.k);
        loop {
            let linked = self.linked.load(Ordering::Acquire);
            if linked < self.config.exact_below || width.saturating_mul(EXACT_SHARE) >= linked {
                return None;
            }
            let candidates = self.candidates(&query, linked, width)?;
            let accept = |neighbor: &Neighbor| params.accept.is_none_or(|ask| ask(neighbor.id));
            let found: Vec<Neighbor> =
                candidates.into_iter().filter(accept).take(params.k).collect();
            if found.len() == params.k {
                return Some(found);
            }
            width *= WIDEN;
        }
    }

    /// Live points from the graph and from what it does not know yet, nearest first.
    fn candidates(&self, query: &Arc<[f32]>, linked: usize, width: usize) -> Option<Vec<Neighbor>> {
        let points = self.flat.points();
        let tail = self.flat.scan(query, width, linked..points.len(), None);
        let mut nearest = Nearest::new(width);
        for slot in self.graph.near(query, width, width)? {
            // What was linked since `linked` was read is in the tail already.
            if slot < linked
                && let Some(point) = points.live(slot)
            {
                nearest.push(self.flat.neighbor(query, point));
            }
        }
        Some(nearest.merge(tail).into_sorted())
    }

    fn link_in_background(inner: &Arc<Self>) {
        let points = inner.flat.points().len();
        let behind = inner.linked.load(Ordering::Acquire) < points;
        let wanted = points >= inner.config.exact_below && !inner.stop.load(Ordering::Acquire);
        if !(behind && wanted) || inner.linking.swap(true, Ordering::AcqRel) {
            return;
        }
        let this = Arc::clone(inner);
        let work = move || {
            let whole = this.link();
            this.linking.store(false, Ordering::Release);
            // An insertion that came between the two lines above found a thread at work and left.
            if whole {
                Self::link_in_background(&this);
            }
        };
        if thread::Builder::new().name("moiety-link".into()).spawn(work).is_err() {
            // Without a thread everything is still found, exactly; the next insertion tries again.
            inner.linking.store(false, Ordering::Release);
        }
    }

    /// Links all that is not linked; false when it gave up.
    fn link(&self) -> bool {
        let _turn = self.linker.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = self.linked.load(Ordering::Acquire);
        while next < self.flat.points().len() {
            if self.stop.load(Ordering::Acquire) {
                return false;
            }
            if let Some(point) = self.flat.points().live(next)
                && !self.graph.link(next, &point.vector)
            {
                return false;
            }
            next += 1;
            self.linked.store(next, Ordering::Release);
        }
        true
    }
}
