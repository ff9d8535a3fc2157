//! Training of the two towers on pairs of molecule and text.
//!
//! The loss is contrastive at all three levels, with the other pairs of the batch as negatives: the cosine of the global
//! vectors, and the weighted late interaction of fragments with phrases and of atoms with words. A run is decided by its
//! config, its seed and its data; it can be killed and resumed.

mod adamw;
mod augment;
mod checkpoint;
mod config;
mod data;
mod frozen;
mod loss;
mod neighbours;
mod run;
mod sampler;
mod validate;

pub use config::{TextStart, TrainConfig};
pub use run::{Beginning, TrainEvent, TrainPaths, train};
