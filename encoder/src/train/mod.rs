//! Training on pairs of molecule and text.
//!
//! One frame (`run.rs`) drives every recipe: a run is decided by its config, its seed and its data; it can be killed and
//! resumed, byte for byte. The recipe of the two towers is contrastive at all three levels: the cosine of the global
//! vectors, and the weighted late interaction of fragments with phrases and of atoms with words.

pub(crate) mod adamw;
mod atomas;
mod augment;
mod checkpoint;
mod config;
mod data;
mod event;
mod frozen;
mod known;
mod loss;
mod neighbours;
mod run;
mod sampler;
mod two_towers;
mod validate;

pub use atomas::{
    AtomasBeginning, AtomasPaths, AtomasTrainConfig, GenerationScores, Schedule, Start,
    train_atomas,
};
pub use config::{TextStart, TrainConfig};
pub use event::TrainEvent;
pub use two_towers::{Beginning, TrainPaths, train};
