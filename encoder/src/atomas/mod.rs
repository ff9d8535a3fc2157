//! Atomas: one T5 encoder for SMILES and texts, aligned at three levels (Zhang et al., arXiv 2404.16880, ICLR 2025).
//!
//! Names and shapes of the weights are those of the authors' release, so that theirs can be read. Steps, optimiser and data
//! are the trainer's, see [`crate::train`].

mod alignment;
mod batch;
mod cluster;
mod config;
#[cfg(test)]
pub(crate) mod fixture;
mod learner;
mod linear;
mod model;
mod momentum;
mod network;
mod objective;
#[cfg(test)]
pub(crate) mod parity;
mod polymerise;
mod reader;
mod release;

pub(crate) use alignment::Modality;
pub(crate) use batch::TokenBatch;
pub use config::{AtomasConfig, AtomasKind, Padding};
pub(crate) use learner::Learner;
pub use model::AtomasModel;
pub(crate) use momentum::MomentumShape;
pub(crate) use network::Network;
pub use objective::LossWeights;
pub(crate) use objective::PairBatch;
pub(crate) use reader::{Input, Reader};
pub(crate) use release::Release;
