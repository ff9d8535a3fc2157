//! Atomas: one T5 encoder for SMILES and texts, aligned at three levels (Zhang et al., arXiv 2404.16880, ICLR 2025).
//!
//! Names and shapes of the weights are those of the authors' release, so that theirs can be read. Steps, optimiser and data
//! are the trainer's, see [`crate::train`].

mod alignment;
mod batch;
mod cluster;
mod config;
#[cfg(test)]
mod fixture;
mod linear;
mod momentum;
mod network;
mod objective;
#[cfg(test)]
mod parity;
mod polymerise;

pub use config::{AtomasConfig, AtomasKind, Padding};
pub(crate) use network::Network;
pub use objective::LossWeights;
