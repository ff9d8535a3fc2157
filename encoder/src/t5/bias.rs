//! Relative position buckets and the attention bias learned for them (Raffel et al., arXiv 1910.10683, section 2.1).

use candle_core::{Device, Tensor};

use crate::error::Result;

/// How relative positions are binned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// Whether keys after the query have buckets of their own (the encoder's way); else they share bucket 0.
    pub two_sided: bool,
    /// Buckets in all.
    pub count: usize,
    /// Distance from which all positions share the last bucket.
    pub max_distance: usize,
}

impl Buckets {
    /// Bucket of a key seen from a query, where `relative` is the key's position minus the query's.
    ///
    /// The first half of the distances has a bucket each, the rest grow with the logarithm of the distance.
    #[must_use]
    pub fn of(&self, relative: i64) -> u32 {
        let (count, first) = match self.two_sided {
            true => (self.count / 2, if relative > 0 { self.count / 2 } else { 0 }),
            false => (self.count, 0),
        };
        let distance = match self.two_sided {
            true => relative.unsigned_abs() as usize,
            false => (-relative).max(0) as usize,
        };
        let exact = count / 2;
        if distance < exact {
            return (first + distance) as u32;
        }
        // In f32, as the reference computes it: the borders between buckets depend on the rounding.
        let span = (self.max_distance as f64 / exact as f64).ln() as f32;
        let above = (distance as f32 / exact as f32).ln() / span;
        let bucket = exact + (above * (count - exact) as f32) as usize;
        (first + bucket.min(count - 1)) as u32
    }

    /// Bias [1, heads, queries, keys] from the learned `table` [buckets, heads], for the queries at `first_query..`.
    pub(super) fn bias(
        &self,
        table: &Tensor,
        first_query: usize,
        queries: usize,
        keys: usize,
    ) -> Result<Tensor> {
        let positions = first_query as i64..(first_query + queries) as i64;
        let ids: Vec<u32> = positions
            .flat_map(|query| (0..keys as i64).map(move |key| self.of(key - query)))
            .collect();
        let ids = Tensor::from_vec(ids, queries * keys, &Device::Cpu)?.to_device(table.device())?;
        let rows = table.index_select(&ids, 0)?.reshape((queries, keys, table.dim(1)?))?;
        Ok(rows.permute((2, 0, 1))?.contiguous()?.unsqueeze(0)?)
    }
}
