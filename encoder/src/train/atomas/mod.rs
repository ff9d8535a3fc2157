//! The recipe of Atomas: contrast with a queue and soft targets, alignment at three levels, and writing each side from the
//! other (arXiv 2404.16880).

mod beginning;
mod config;
mod generation;
#[cfg(test)]
mod parity;
mod recipe;

pub use beginning::{AtomasBeginning, AtomasPaths};
pub use config::{AtomasTrainConfig, Schedule, Start};
pub use generation::GenerationScores;
pub use recipe::train_atomas;
