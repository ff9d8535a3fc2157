//! Loading a model of whichever kind a directory holds.

use std::{path::Path, sync::Arc};

use serde::Deserialize;

use crate::{
    Encoder, Model,
    atomas::{AtomasKind, AtomasModel},
    config::LevelWeights,
    error::{EncoderError, Result},
};

/// A model ready to encode.
#[derive(Clone)]
pub struct LoadedModel {
    /// It.
    pub encoder: Arc<dyn Encoder>,
    /// Default weights of the three levels in a reranked score, from its config.
    pub level_weights: LevelWeights,
}

/// What tells the kinds apart: two towers say nothing.
#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    kind: Option<AtomasKind>,
}

/// Loads a model directory on `threads` threads (0: one per core).
///
/// # Errors
/// Names the file, and the tensor or field, that is missing or differs.
pub fn load(dir: &Path, threads: usize) -> Result<LoadedModel> {
    let path = dir.join("config.json");
    let json = std::fs::read_to_string(&path)
        .map_err(|source| EncoderError::Io { path: path.clone(), source })?;
    let kind: Kind = serde_json::from_str(&json)
        .map_err(|e| EncoderError::Model { path, reason: e.to_string() })?;
    Ok(match kind.kind {
        Some(AtomasKind::Atomas) => {
            let model = AtomasModel::load(dir, threads)?;
            let level_weights = model.config().level_weights;
            LoadedModel { encoder: Arc::new(model), level_weights }
        }
        None => {
            let model = Model::load(dir, threads)?;
            let level_weights = model.config().level_weights;
            LoadedModel { encoder: Arc::new(model), level_weights }
        }
    })
}
