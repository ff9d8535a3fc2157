//! What a run tells while it goes on, and its log.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::atomas::GenerationScores;
use crate::{
    error::{EncoderError, Result},
    retrieval::RankingMetrics,
};

/// What a run tells while it goes on; also the lines of its log.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum TrainEvent {
    /// Data is read and the first step near.
    Ready {
        /// Training pairs.
        pairs: usize,
        /// Pairs left out because they cannot be read.
        skipped: usize,
        /// Validation pairs.
        validation: usize,
        /// SHA-256 of the pairs file.
        data_digest: String,
        /// Weights that are trained.
        trainable: usize,
        /// Steps done before.
        resumed_at: usize,
        /// Where the run computes: `cpu`, or `cuda:0` and so on.
        device: String,
    },
    /// One step is done.
    Step {
        /// Its number, from 1.
        step: usize,
        /// Kind of text of its batch.
        kind: String,
        /// The parts of the loss by name, each before its weight.
        #[serde(flatten)]
        losses: BTreeMap<&'static str, f32>,
        /// Norm of the gradient before clipping.
        gradient_norm: f64,
        /// Factor of the learning rates.
        schedule: f64,
        /// Seconds the step took.
        seconds: f64,
    },
    /// The validation pairs were ranked.
    Validation {
        /// Steps done.
        step: usize,
        /// Captions against molecules.
        text_to_molecule: RankingMetrics,
        /// Molecules against captions.
        molecule_to_text: RankingMetrics,
        /// What was written from the one and the other, where the recipe writes.
        #[serde(skip_serializing_if = "Option::is_none")]
        generation: Option<GenerationScores>,
    },
    /// The model was written.
    Saved {
        /// Its directory.
        model: PathBuf,
    },
}

/// `log.jsonl`, one event a line.
pub(super) struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    pub(super) fn open(out: &Path) -> Result<Self> {
        let path = out.join("log.jsonl");
        match OpenOptions::new().create(true).append(true).open(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(EncoderError::Io { path, source }),
        }
    }

    pub(super) fn write(&mut self, event: &TrainEvent) -> Result<()> {
        let json = serde_json::to_string(event).map_err(|e| EncoderError::Config(e.to_string()))?;
        writeln!(self.file, "{json}")
            .map_err(|source| EncoderError::Io { path: self.path.clone(), source })
    }
}
