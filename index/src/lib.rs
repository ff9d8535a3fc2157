//! Vectors in, nearest neighbours out.
//!
//! It holds vectors in memory under numeric identifiers and finds the nearest, exactly ([`FlatIndex`]) or through a graph
//! ([`HnswIndex`]). It is not a store: nothing here survives the process, and nothing here knows what a vector stands for.

mod error;
mod flat;
mod graph;
mod hnsw;
mod kernel;
mod metric;
mod neighbor;
mod points;

pub use error::IndexError;
pub use flat::{FlatIndex, MAX_DIM};
pub use hnsw::{EXACT_BELOW, Found, HnswConfig, HnswIndex, MAX_EF, MAX_M, SearchParams};
pub use kernel::{dot, dot_rows};
pub use metric::{MAX_NORM, Metric};
pub use neighbor::Neighbor;
pub use points::MAX_POINTS;

/// Which identifiers a search may find.
pub type Accept<'a> = &'a (dyn Fn(u64) -> bool + Sync);
