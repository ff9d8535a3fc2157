//! What a head directory says about its head: `head.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{features::Block, labels::TaskKind};

/// Layout of a head directory that this code writes and reads.
pub(super) const FORMAT_VERSION: u32 = 1;

/// Everything about a head but its numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadSpec {
    /// Layout of the directory; written by [`Head::save`](super::Head::save).
    #[serde(default)]
    pub format_version: u32,
    /// Short name, as calls give it.
    pub name: String,
    /// What it predicts, in a few words.
    pub title: String,
    /// What its tasks ask for.
    pub kind: TaskKind,
    /// Unit of the values; empty for probabilities.
    #[serde(default)]
    pub unit: String,
    /// Names of the tasks.
    pub tasks: Vec<String>,
    /// Name of the encoder whose encodings it reads.
    pub encoder: String,
    /// Fingerprint of that encoder.
    pub encoder_fingerprint: String,
    /// What it reads.
    pub blocks: Vec<Block>,
    /// Units of its hidden layer; 0 where it is linear.
    pub hidden: usize,
    /// Seed of its fit.
    pub seed: u64,
    /// A molecule whose nearest training molecule is less similar than this (Tanimoto, ECFP4) is far.
    pub far_below: f32,
    /// What it cannot be used for, in words.
    pub limits: String,
    /// What it learned from.
    pub data: HeadData,
    /// How well it does.
    pub quality: Quality,
    /// Test molecules with what was measured and what the head says.
    pub examples: Vec<Example>,
    /// SHA-256 of the other files of the directory, by name.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

/// What a head learned from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadData {
    /// Name of the file of measurements.
    pub file: String,
    /// Its SHA-256 in hex.
    pub sha256: String,
    /// Its licence.
    pub licence: String,
    /// Who measured it and where it was published.
    pub source: String,
    /// Molecules that could be read.
    pub rows: usize,
    /// Molecules that could not, and were left out.
    pub unread: usize,
    /// Molecules to learn from, to choose by and to report on: a scaffold split.
    pub split: [usize; 3],
}

/// How well a head does on the test part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// `ROC-AUC` or `RMSE`, as a mean over tasks.
    pub metric: String,
    /// Mean over seeds.
    pub mean: f64,
    /// Sample standard deviation over seeds.
    pub deviation: f64,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// The metric of the head that is here.
    pub this: f64,
    /// Its metric on test molecules that are near the training molecules; absent where it cannot be judged.
    pub near: Option<f64>,
    /// Its metric on those that are far.
    pub far: Option<f64>,
    /// Share of the test molecules that are far.
    pub far_share: f64,
    /// Others on the same split.
    pub baselines: Vec<Baseline>,
}

/// Another way to predict the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// What it is.
    pub name: String,
    /// Mean of the metric over seeds.
    pub mean: f64,
    /// Sample standard deviation over seeds; 0 where there is no chance in it.
    pub deviation: f64,
}

/// One test molecule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// Its SMILES in the file.
    pub smiles: String,
    /// What was measured for each task; absent where nothing was.
    pub measured: Vec<Option<f32>>,
    /// What the head says.
    pub predicted: Vec<f32>,
    /// Similarity of the nearest training molecule.
    pub nearest: f32,
}
