//! Exact search: every live vector is compared with the query. It is the oracle that the graph is measured against, and
//! what the graph falls back on.

use std::{ops::Range, sync::Arc};

use rayon::prelude::*;

use crate::{
    Accept, GoOn, Metric, Neighbor,
    error::{IndexError, Result},
    neighbor::Nearest,
    points::{MAX_POINTS, Point, Points},
    query::BETWEEN_LOOKS,
    scan::Asked,
};

/// Longest vector of an index.
pub const MAX_DIM: usize = 65_536;
/// Slots that one thread scans at a time; fewer than two of these are scanned by the caller's thread alone.
const SCAN_CHUNK: usize = 8_192;

/// Vectors under identifiers, searched exactly.
///
/// Insertions, removals and searches may run at the same time; a search sees what was inserted before it began.
pub struct FlatIndex {
    metric: Metric,
    dim: usize,
    points: Points,
}

impl FlatIndex {
    /// An empty index for vectors of `dim` numbers.
    pub fn new(metric: Metric, dim: usize) -> Result<Self> {
        Self::with_capacity(metric, dim, MAX_POINTS)
    }

    /// An empty index that takes at most `capacity` points, tombstones included.
    pub fn with_capacity(metric: Metric, dim: usize, capacity: usize) -> Result<Self> {
        check_range("dim", dim, 1..MAX_DIM + 1)?;
        check_range("capacity", capacity, 1..MAX_POINTS + 1)?;
        Ok(Self { metric, dim, points: Points::new(capacity) })
    }

    /// How its vectors are compared.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Length of its vectors.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of live vectors.
    pub fn len(&self) -> usize {
        self.points.len() - self.points.dead()
    }

    /// True when no vector is live.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of deleted vectors that still take memory.
    pub fn tombstones(&self) -> usize {
        self.points.dead()
    }

    /// Adds a vector under an identifier that no live vector has.
    pub fn insert(&self, id: u64, vector: &[f32]) -> Result<()> {
        let prepared = self.metric.prepare(vector, self.dim)?;
        self.points.append(id, Arc::from(prepared))
    }

    /// Hides a vector from all searches that begin later; false when there is none.
    pub fn remove(&self, id: u64) -> bool {
        self.points.remove(id)
    }

    /// The k nearest live vectors that `accept` admits, nearest first.
    pub fn search(
        &self,
        query: &[f32],
        k: usize,
        accept: Option<Accept<'_>>,
    ) -> Result<Vec<Neighbor>> {
        let query = self.prepare(query)?;
        Ok(self.scan_all(&query, k, (accept, GoOn::ALWAYS)).into_sorted())
    }

    /// The k nearest of the live vectors under these identifiers, nearest first.
    pub fn search_among(&self, query: &[f32], ids: &[u64], k: usize) -> Result<Vec<Neighbor>> {
        let query = self.prepare(query)?;
        let mut nearest = Nearest::new(k);
        self.scan_among(&query, ids, &mut nearest);
        Ok(nearest.into_sorted())
    }

    /// Whether a live vector has this identifier.
    pub fn contains(&self, id: u64) -> bool {
        !self.points.find(&[id]).is_empty()
    }

    /// Up to `n` identifiers of live vectors, evenly spread over the order of insertion.
    pub fn sample(&self, n: usize) -> Vec<u64> {
        let len = self.points.len();
        let step = len.div_ceil(n.max(1)).max(1);
        let ids = (0..len).step_by(step).filter_map(|at| self.points.live(at));
        ids.map(|point| point.id).take(n).collect()
    }

    pub(crate) fn points(&self) -> &Points {
        &self.points
    }

    pub(crate) fn prepare(&self, query: &[f32]) -> Result<Vec<f32>> {
        self.metric.prepare(query, self.dim)
    }

    pub(crate) fn neighbor(&self, query: &[f32], point: &Point) -> Neighbor {
        Neighbor { id: point.id, distance: self.metric.distance(query, &point.vector) }
    }

    /// Offers the live vectors under these identifiers; the query is prepared.
    pub(crate) fn scan_among(&self, query: &[f32], ids: &[u64], nearest: &mut Nearest) {
        for point in self.points.find(ids) {
            nearest.push(self.neighbor(query, point));
        }
    }

    /// The k nearest of all, by all cores when they are many; the query is prepared. A scan that is not wanted any more ends
    /// with whatever it has.
    pub(crate) fn scan_all(&self, query: &[f32], k: usize, asked: Asked<'_>) -> Nearest {
        if k == 0 {
            return Nearest::new(0);
        }
        let range = 0..self.points.len();
        if range.len() < 2 * SCAN_CHUNK {
            return self.scan_chunk(query, k, range, asked);
        }
        let starts: Vec<usize> = range.clone().step_by(SCAN_CHUNK).collect();
        starts
            .into_par_iter()
            .map(|start| self.scan_chunk(query, k, start..range.end.min(start + SCAN_CHUNK), asked))
            .reduce(|| Nearest::new(k), Nearest::merge)
    }

    fn scan_chunk(
        &self,
        query: &[f32],
        k: usize,
        range: Range<usize>,
        (accept, go_on): Asked<'_>,
    ) -> Nearest {
        let mut nearest = Nearest::new(k);
        for at in range {
            if at % BETWEEN_LOOKS == 0 && !go_on.is_wanted() {
                break;
            }
            let Some(point) = self.points.live(at) else { continue };
            let neighbor = self.neighbor(query, point);
            // The filter is the caller's and may be slow: it is asked last.
            if nearest.admits(&neighbor) && accept.is_none_or(|accept| accept(point.id)) {
                nearest.push(neighbor);
            }
        }
        nearest
    }
}

pub(crate) fn check_range(name: &'static str, value: usize, allowed: Range<usize>) -> Result<()> {
    if allowed.contains(&value) {
        return Ok(());
    }
    let allowed = format!("{} to {}", allowed.start, allowed.end - 1);
    Err(IndexError::Parameter { name, value, allowed })
}
