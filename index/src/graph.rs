//! The only file that names `hnsw_rs`, and the guard around it: it builds a graph, whose links are then taken out.
//!
//! The library exits the process on a large `m`, panics on a wrong dimension or NaN and takes an identifier twice. So
//! parameters and vectors are checked before they come here, rows are inserted once each, and a panic of its own gives no
//! graph. Points are inserted by one thread: two insertions can each hold the lock that the other waits for, and one thread
//! also makes the same graph of the same rows.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hnsw_rs::prelude::{Distance, Hnsw};

use crate::{
    Metric,
    layers::{Layers, MAX_HEIGHT},
};

/// The vectors to be linked.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) metric: Metric,
    pub(crate) dim: usize,
    /// `dim` numbers a row, prepared by the metric.
    pub(crate) numbers: &'a [f32],
}

impl<'a> Rows<'a> {
    pub(crate) fn len(&self) -> usize {
        self.numbers.len() / self.dim
    }

    pub(crate) fn get(&self, row: u32) -> &'a [f32] {
        &self.numbers[row as usize * self.dim..][..self.dim]
    }
}

/// The library keeps a list of items per point; the list here is the number of a row.
struct BetweenRows<'a>(Rows<'a>);

impl Distance<u32> for BetweenRows<'_> {
    fn eval(&self, a: &[u32], b: &[u32]) -> f32 {
        match (a, b) {
            ([a], [b]) => self.0.metric.graph_distance(self.0.get(*a), self.0.get(*b)),
            _ => f32::MAX,
        }
    }
}

/// Builds a graph over all rows; `m` from 2 to 255 and `ef_construction` above zero, which the caller has checked.
/// `None` when it was told to stop, or when the library failed.
pub(crate) fn build(
    rows: Rows<'_>,
    m: usize,
    ef_construction: usize,
    stop: &(dyn Fn() -> bool + Sync),
) -> Option<Layers> {
    let work = || {
        let hnsw = Hnsw::new(m, rows.len(), MAX_HEIGHT + 1, ef_construction, BetweenRows(rows));
        for row in 0..rows.len() {
            if stop() {
                return None;
            }
            hnsw.insert((&[row as u32], row));
        }
        Some(links(&hnsw, rows.len(), m))
    };
    catch_unwind(AssertUnwindSafe(work)).ok().flatten()
}

/// Takes the links out. A row of the library may name a point that is not on its layer; such links are left out.
fn links(hnsw: &Hnsw<'_, u32, BetweenRows<'_>>, rows: usize, m: usize) -> Layers {
    let points = hnsw.get_point_indexation();
    let mut heights = vec![0; rows];
    for layer in 0..=MAX_HEIGHT {
        for point in points.get_layer_iterator(layer) {
            heights[point.get_origin_id()] = layer;
        }
    }
    let mut layers = Layers::new(m);
    heights.iter().for_each(|&height| layers.push(height));
    for layer in 0..=MAX_HEIGHT {
        for point in points.get_layer_iterator(layer) {
            let node = point.get_origin_id() as u32;
            for (on, neighbors) in point.get_neighborhood_id().iter().enumerate().take(layer + 1) {
                let there = neighbors.iter().filter(|neighbor| heights[neighbor.d_id] >= on);
                layers.set(node, on, there.map(|neighbor| neighbor.d_id as u32));
            }
        }
    }
    layers
}
