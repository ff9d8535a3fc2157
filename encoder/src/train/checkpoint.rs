//! A run's state on disk, replaced atomically: weights in f32, the optimiser's moments, and where the run stands.

use std::{collections::HashMap, fs, path::Path};

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::adamw::AdamW;
use crate::{
    error::{EncoderError, Result},
    params::Params,
};

const STATE: &str = "state.json";
const TENSORS: &str = "state.safetensors";

/// Where a run stands, and what it must be resumed with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct RunState {
    /// Steps done.
    pub(super) step: usize,
    /// The config of the run.
    pub(super) config: serde_json::Value,
    /// SHA-256 of the pairs.
    pub(super) data_digest: String,
    /// Fingerprint of the model that the run began from, if it was one of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<String>,
}

impl RunState {
    /// The state of a run that has not begun.
    pub(super) fn new(
        config: &impl Serialize,
        data_digest: &str,
        from: Option<String>,
    ) -> Result<Self> {
        let config =
            serde_json::to_value(config).map_err(|e| EncoderError::Config(e.to_string()))?;
        Ok(Self { step: 0, config, data_digest: data_digest.into(), from })
    }
}

/// Writes the state into `dir`. The step is part of the tensor file's name, so a kill leaves the old pair or the new one.
///
/// `buffers` is what the recipe keeps beside trainable weights and moments.
pub(super) fn save(
    dir: &Path,
    state: &RunState,
    params: &Params,
    adam: &AdamW,
    buffers: HashMap<String, Tensor>,
) -> Result<()> {
    let mut tensors = adam.tensors()?;
    tensors.extend(buffers);
    for (name, var) in params.vars() {
        tensors.insert(name.clone(), var.as_tensor().clone());
    }
    let io = |source| EncoderError::Io { path: dir.to_path_buf(), source };
    let old: Option<usize> = read_state(dir)?.map(|state| state.step);
    candle_core::safetensors::save(&tensors, tensor_file(dir, state.step))?;
    let json =
        serde_json::to_string_pretty(state).map_err(|e| EncoderError::Config(e.to_string()))?;
    fs::write(dir.join("state.json.new"), json).map_err(io)?;
    fs::rename(dir.join("state.json.new"), dir.join(STATE)).map_err(io)?;
    match old {
        Some(step) if step != state.step => fs::remove_file(tensor_file(dir, step)).map_err(io),
        _ => Ok(()),
    }
}

/// Reads the state of `dir`, if a run began there.
pub(super) fn load(dir: &Path) -> Result<Option<(RunState, HashMap<String, Tensor>)>> {
    let Some(state) = read_state(dir)? else { return Ok(None) };
    let tensors = candle_core::safetensors::load(tensor_file(dir, state.step), &Device::Cpu)?;
    Ok(Some((state, tensors)))
}

/// Puts a checkpoint's weights into the trainable ones.
pub(super) fn restore(params: &Params, tensors: &HashMap<String, Tensor>) -> Result<AdamW> {
    for (name, var) in params.vars() {
        let tensor = tensors.get(name);
        let tensor = tensor
            .ok_or_else(|| EncoderError::Config(format!("checkpoint has no weight `{name}`")))?;
        var.set(&tensor.to_device(var.device())?)?;
    }
    AdamW::restore(params, tensors)
}

fn tensor_file(dir: &Path, step: usize) -> std::path::PathBuf {
    dir.join(format!("{step}.{TENSORS}"))
}

fn read_state(dir: &Path) -> Result<Option<RunState>> {
    let path = dir.join(STATE);
    match fs::read_to_string(&path) {
        Ok(json) => serde_json::from_str(&json)
            .map(Some)
            .map_err(|e| EncoderError::Model { path, reason: format!("not a run state: {e}") }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(EncoderError::Io { path, source }),
    }
}
