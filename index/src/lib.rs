//! Vectors in, nearest neighbours out.
//!
//! It holds vectors in memory under numeric identifiers and finds the nearest, exactly ([`FlatIndex`]) or through a graph
//! ([`HnswIndex`]), and binary fingerprints by Tanimoto similarity ([`Fingerprints`], and [`PrintTable`] for those that come
//! and go); sets of vectors are compared part by part ([`MaxSim`]). It is not a store: a graph can be saved, but whoever
//! holds the truth must be able to do without the file. Nothing here knows what a vector stands for.

mod admit;
mod beam;
mod coded;
mod codes;
mod config;
mod error;
mod file;
mod flat;
mod freeze;
mod frozen;
mod gauge;
mod go_on;
mod graph;
mod grow;
mod hnsw;
mod image;
mod kernel;
mod layers;
mod maxsim;
mod meter;
mod metric;
mod neighbor;
mod points;
mod print_segment;
mod print_table;
mod prune;
mod query;
mod rebuild;
mod repair;
mod scan;
mod simd;
mod tanimoto;
mod walk;

pub use coded::{CodedRows, Codes};
pub use config::{
    Builder, EXACT_BELOW, FilteredParams, Found, HnswConfig, MAX_EF, MAX_M, SearchParams,
};
pub use error::IndexError;
pub use file::{GRAPH_FORMAT, MAX_LABEL};
pub use flat::{FlatIndex, MAX_DIM};
pub use gauge::Gauge;
pub use go_on::GoOn;
pub use hnsw::HnswIndex;
pub use kernel::{dot, dot_rows};
pub use maxsim::{Best, MaxSim, prefetch};
pub use meter::Meter;
pub use metric::{MAX_NORM, Metric};
pub use neighbor::{Nearest, Neighbor};
pub use points::MAX_POINTS;
pub use print_table::{PrintTable, PrintView};
pub use rebuild::lower_priority;
pub use tanimoto::{Fingerprints, MAX_BITS, Similar};

/// Which identifiers a search may find.
pub type Accept<'a> = &'a (dyn Fn(u64) -> bool + Sync);
