//! Distances of vectors that are in no index.

use crate::{Metric, error::Result};

/// A query that was checked once, and finds the distances that a search with it finds.
#[derive(Clone, Debug)]
pub struct Gauge {
    metric: Metric,
    query: Vec<f32>,
    /// The vector at hand, prepared.
    vector: Vec<f32>,
}

impl Gauge {
    /// Fails as a search with this query would.
    pub(crate) fn new(metric: Metric, query: &[f32], dim: usize) -> Result<Self> {
        let query = metric.prepare(query, dim)?;
        Ok(Self { metric, vector: Vec::with_capacity(dim), query })
    }

    /// The distance of a vector; fails where an index would not take it.
    pub fn distance(&mut self, vector: &[f32]) -> Result<f32> {
        self.metric.prepare_into(vector, self.query.len(), &mut self.vector)?;
        Ok(self.metric.distance(&self.query, &self.vector))
    }
}
