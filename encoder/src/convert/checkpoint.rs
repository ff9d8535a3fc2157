//! The files that weights are published in.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use candle_core::{Device, Tensor, pickle::PthTensors};

use crate::error::{EncoderError, Result};

/// Key below which PyTorch Lightning keeps the weights.
const LIGHTNING_KEY: &str = "state_dict";
/// How a zip file, and so a PyTorch file, begins.
const ZIP: &[u8] = b"PK\x03\x04";

/// An open file of weights.
pub(super) struct Checkpoint {
    path: PathBuf,
    tensors: Tensors,
}

enum Tensors {
    /// Hugging Face: all in memory.
    Safetensors(HashMap<String, Tensor>),
    /// PyTorch: read one at a time, since optimiser states may make the file far larger than the weights.
    Torch(PthTensors),
}

impl Checkpoint {
    /// Opens a safetensors file, a PyTorch file of weights, or a PyTorch Lightning checkpoint; the content says which.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let fail = |reason: String| EncoderError::Model { path: path.to_path_buf(), reason };
        let io = |source| EncoderError::Io { path: path.to_path_buf(), source };
        let mut head = [0; ZIP.len()];
        let mut file = std::fs::File::open(path).map_err(io)?;
        let is_zip = std::io::Read::read_exact(&mut file, &mut head).is_ok() && head == ZIP;
        let tensors = if is_zip {
            Tensors::Torch(open_torch(path).map_err(fail)?)
        } else {
            let bytes = std::fs::read(path).map_err(io)?;
            let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu);
            Tensors::Safetensors(tensors.map_err(|e| {
                fail(format!("neither a safetensors file nor one of PyTorch 1.6 or later: {e}"))
            })?)
        };
        let checkpoint = Self { path: path.to_path_buf(), tensors };
        match checkpoint.names().is_empty() {
            true => Err(fail("holds no named tensors".into())),
            false => Ok(checkpoint),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Names of all tensors, in order.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = match &self.tensors {
            Tensors::Safetensors(tensors) => tensors.keys().cloned().collect(),
            Tensors::Torch(torch) => torch.tensor_infos().keys().cloned().collect(),
        };
        names.sort();
        names
    }

    /// The tensor of this name.
    pub(super) fn get(&self, name: &str) -> Result<Tensor> {
        let found = match &self.tensors {
            Tensors::Safetensors(tensors) => Ok(tensors.get(name).cloned()),
            Tensors::Torch(torch) => {
                self.check_size(torch, name)?;
                guarded(|| torch.get(name))
            }
        };
        let fail = |reason: String| EncoderError::Model { path: self.path.clone(), reason };
        found
            .map_err(|e| fail(format!("tensor `{name}` cannot be read: {e}")))?
            .ok_or_else(|| fail(format!("tensor `{name}` is missing")))
    }

    /// A tensor cannot be larger than its file, where PyTorch stores it as it is; without this a damaged shape would ask
    /// for all memory.
    fn check_size(&self, torch: &PthTensors, name: &str) -> Result<()> {
        let Some(info) = torch.tensor_infos().get(name) else { return Ok(()) };
        let sizes = info.layout.dims().iter();
        let bytes = sizes.fold(info.dtype.size_in_bytes(), |a, &b| a.saturating_mul(b));
        let file = std::fs::metadata(&self.path)
            .map_err(|source| EncoderError::Io { path: self.path.clone(), source })?;
        if bytes as u64 <= file.len() {
            return Ok(());
        }
        let dims = info.layout.dims();
        let reason = format!("tensor `{name}` of shape {dims:?} is larger than the file");
        Err(EncoderError::Model { path: self.path.clone(), reason })
    }
}

/// A Lightning checkpoint has its weights below a key, a plain file at the top.
fn open_torch(path: &Path) -> std::result::Result<PthTensors, String> {
    let lightning = guarded(|| PthTensors::new(path, Some(LIGHTNING_KEY)));
    match lightning {
        Ok(torch) if !torch.tensor_infos().is_empty() => Ok(torch),
        _ => guarded(|| PthTensors::new(path, None))
            .map_err(|e| format!("not a readable PyTorch file: {e}")),
    }
}

/// The reader of pickles trusts their structure; on a damaged file it may panic.
fn guarded<T>(read: impl FnOnce() -> candle_core::Result<T>) -> std::result::Result<T, String> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(|e| e.to_string()),
        Err(_) => Err("the file is damaged".into()),
    }
}
