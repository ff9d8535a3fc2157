//! The only file that names `hnsw_rs`, and the guard around it.
//!
//! The library exits the process on a large `m`, panics on a wrong dimension or NaN, takes an identifier twice, and its
//! filtered search may return what the filter refuses. So parameters and vectors are checked before they come here, slots
//! are inserted once each, its filter is not used, and a panic of its own marks the graph broken: the caller then searches
//! exactly. Points are inserted by one thread at a time: two insertions can each hold the lock that the other waits for,
//! and one thread also makes the same graph of the same insertions.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use hnsw_rs::prelude::{Distance, Hnsw};

use crate::Metric;

/// Layers of the graph; the library allows no more.
const LAYERS: usize = 16;

/// A graph over the slots of an index.
pub(crate) struct Graph {
    hnsw: Hnsw<'static, Arc<[f32]>, GraphDistance>,
    broken: AtomicBool,
    turn: Mutex<()>,
}

/// The library keeps a list of items per point; the list here is one item long, and the item is the vector, shared.
struct GraphDistance(Metric);

impl Distance<Arc<[f32]>> for GraphDistance {
    fn eval(&self, a: &[Arc<[f32]>], b: &[Arc<[f32]>]) -> f32 {
        match (a, b) {
            ([a], [b]) => self.0.graph_distance(a, b),
            _ => f32::MAX,
        }
    }
}

impl Graph {
    /// `m` from 2 to 255 and `ef_construction` above zero, which the caller has checked.
    pub(crate) fn new(metric: Metric, m: usize, ef_construction: usize) -> Self {
        // Only a hint for its first allocation, which an empty collection should not pay for.
        let expected = 1024;
        Self {
            hnsw: Hnsw::new(m, expected, LAYERS, ef_construction, GraphDistance(metric)),
            broken: AtomicBool::new(false),
            turn: Mutex::new(()),
        }
    }

    /// Links a slot that was not linked before; false when the graph is broken.
    pub(crate) fn link(&self, slot: usize, vector: &Arc<[f32]>) -> bool {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.guard(|| self.hnsw.insert((std::slice::from_ref(vector), slot))).is_some()
    }

    /// Up to `n` slots near the query, in no order that may be relied on; `None` when the graph is broken.
    pub(crate) fn near(&self, query: &Arc<[f32]>, n: usize, ef: usize) -> Option<Vec<usize>> {
        let found = self.guard(|| self.hnsw.search(std::slice::from_ref(query), n, ef))?;
        Some(found.into_iter().map(|neighbour| neighbour.d_id).collect())
    }

    fn guard<T>(&self, call: impl FnOnce() -> T) -> Option<T> {
        if self.broken.load(Ordering::Acquire) {
            return None;
        }
        let result = catch_unwind(AssertUnwindSafe(call)).ok();
        if result.is_none() {
            self.broken.store(true, Ordering::Release);
        }
        result
    }
}
