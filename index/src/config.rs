//! What is asked of an index, when it is made and when it is searched.

use crate::{
    Accept, GoOn, Metric, Neighbor,
    error::Result,
    flat::{MAX_DIM, check_range},
    points::MAX_POINTS,
};

/// Most links per point and layer: what the graph library can count.
pub const MAX_M: usize = 255;
/// With fewer vectors than this, comparing all of them takes well under a millisecond (measured with 256 numbers each), and
/// the answer is exact.
pub const EXACT_BELOW: usize = 50_000;
/// Widest search, in construction and in queries.
pub const MAX_EF: usize = 100_000;
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
    /// So many points go into a graph at a time; until then they are compared one by one.
    pub tail: usize,
    /// Most points, tombstones included.
    pub capacity: usize,
    /// What makes the graph.
    pub builder: Builder,
    /// Threads that make it; zero stands for one a core. They work at a low priority.
    pub threads: usize,
}

/// What makes a graph. Both are searched alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Builder {
    /// Batches of nodes, each linked into the graph before it by all threads. It extends a graph by what came since, and
    /// repairs it around what went.
    #[default]
    Batches,
    /// The crate hnsw_rs, node after node on one thread. Every graph is made from nothing.
    HnswRs,
}

impl HnswConfig {
    /// The defaults: `m` 16, `ef_construction` 100, exact below [`EXACT_BELOW`] points, a tail of 1,024.
    pub fn new(metric: Metric, dim: usize) -> Self {
        let (m, ef_construction, capacity) = (16, 100, MAX_POINTS);
        let (exact_below, tail, builder, threads) = (EXACT_BELOW, 1_024, Builder::default(), 0);
        Self { metric, dim, m, ef_construction, exact_below, tail, capacity, builder, threads }
    }

    pub(crate) fn check(&self) -> Result<()> {
        check_range("m", self.m, 2..MAX_M + 1)?;
        check_range("ef_construction", self.ef_construction, 1..MAX_EF + 1)?;
        check_range("dim", self.dim, 1..MAX_DIM + 1)?;
        check_range("tail", self.tail, 1..MAX_POINTS + 1)?;
        check_range("capacity", self.capacity, 1..MAX_POINTS + 1)
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
    /// Which identifiers may be found. It is asked late and for few; [`HnswIndex::search_filtered`](crate::HnswIndex::search_filtered) asks it on the way.
    pub accept: Option<Accept<'a>>,
    /// Whether the answer is still wanted.
    pub go_on: GoOn<'a>,
}

/// What is wanted of one search among the vectors that pass a filter.
#[derive(Clone, Copy)]
pub struct FilteredParams<'a> {
    /// Most neighbors.
    pub k: usize,
    /// Number of passing vectors that the walk keeps, at least `k`; large finds more and takes longer.
    pub ef: usize,
    /// Which identifiers may be found. It is asked of every vector that the walk meets, so it should be a look into a
    /// table; a hundred nanoseconds each are too many.
    pub accept: Accept<'a>,
    /// The share of vectors that pass, from 0 to 1, as far as known. Where few pass, the walk also looks at the neighbors
    /// of neighbors that do not pass; the answer is right whatever is said here.
    pub pass_rate: f32,
    /// Most links that the walk may look at; zero stands for four times the vectors, which
    /// takes about as long as comparing all of them.
    pub max_looks: usize,
    /// Whether the answer is still wanted.
    pub go_on: GoOn<'a>,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Nearest first, ties by identifier.
    pub neighbors: Vec<Neighbor>,
    /// Whether every vector was compared.
    pub exact: bool,
    /// Whether a filtered walk ended before it had `ef` results, at its bound or because it found no way on. It may have
    /// missed near ones then, so an exact search followed.
    pub stopped_early: bool,
}
