//! What the benchmarks share: seeded vectors, the demo library, tables, quantiles, and the Python programs beside which
//! Moiety is measured. It measures nothing itself and is no dependency of any room.

pub mod corpus;
pub mod curve;
pub mod data;
mod error;
pub mod late;
pub mod npy;
pub mod peers;
pub mod stages;
pub mod table;
pub mod vectors;

pub use error::BenchError;
