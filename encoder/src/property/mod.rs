//! Property heads: small networks that read an encoding and predict what was measured for molecules like it.
//!
//! A head reads the [`Encoding`](crate::Encoding) of a molecule and, where validation says that it pays, descriptors and
//! ECFP4 bits beside it. It works with any encoder but belongs to the one it was fitted on: [`Heads::load`] refuses
//! another. Every prediction says how near the molecule is to those the head has seen. Reading files of measurements,
//! baselines and tables are left to the command.

mod choose;
mod domain;
mod features;
mod fine_tune;
mod fit;
mod head;
mod labels;
mod metrics;
mod network;
mod objective;
mod spec;
mod split;
mod standardise;

pub use choose::{Choice, Trial, choose};
pub use domain::{Domain, Reference};
pub use features::{Block, DESCRIPTORS, Features};
pub use fine_tune::{FineTuneConfig, FineTuned, fine_tune};
pub use fit::{Candidate, Fit, FitConfig, fit};
pub use head::{Head, HeadPrediction, Heads};
pub use labels::{Labels, TaskKind};
pub use metrics::{Summary, mean_over_tasks, rmse, roc_auc};
pub use network::Network;
pub use spec::{Baseline, Example, HeadData, HeadSpec, Quality};
pub use split::{Split, scaffold_split};

/// SHA-256 of some bytes in hex, as heads state it of their data.
pub fn digest(bytes: &[u8]) -> String {
    crate::fingerprint::digest(bytes)
}
