//! The named weights of a model: their specification, their beginnings, and their way to and from safetensors.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use candle_core::{DType, Device, Tensor, Var};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::error::{EncoderError, Result};

/// How a weight begins before training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Init {
    /// All zero.
    Zeros,
    /// All one.
    Ones,
    /// Normal with this standard deviation.
    Normal(f32),
    /// One number.
    Value(f32),
}

/// Name, shape and beginning of one weight.
#[derive(Clone, Debug)]
pub(crate) struct ParamSpec {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) init: Init,
}

impl ParamSpec {
    pub(crate) fn new(name: impl Into<String>, shape: &[usize], init: Init) -> Self {
        Self { name: name.into(), shape: shape.to_vec(), init }
    }
}

/// A model's weights by name, in f32; some of them may be trainable.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params {
    tensors: BTreeMap<String, Tensor>,
    vars: BTreeMap<String, Var>,
}

impl Params {
    /// Seeded first weights for a specification.
    pub(crate) fn initialise(specs: &[ParamSpec], seed: u64) -> Result<Self> {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut params = Self::default();
        for spec in specs {
            let count: usize = spec.shape.iter().product();
            let data: Vec<f32> = match spec.init {
                Init::Zeros => vec![0.0; count],
                Init::Ones => vec![1.0; count],
                Init::Value(x) => vec![x; count],
                Init::Normal(deviation) => {
                    (0..count).map(|_| deviation * normal(&mut rng)).collect()
                }
            };
            params.insert(&spec.name, Tensor::from_vec(data, spec.shape.as_slice(), &Device::Cpu)?);
        }
        Ok(params)
    }

    /// Reads a safetensors file and checks it against the specification: no name missing or extra, every shape right,
    /// every dtype f16 or f32.
    pub(crate) fn load(path: &Path, specs: &[ParamSpec]) -> Result<Self> {
        let fail = |reason: String| EncoderError::Model { path: path.to_path_buf(), reason };
        let bytes =
            std::fs::read(path).map_err(|source| EncoderError::Io { path: path.into(), source })?;
        let stored = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)
            .map_err(|e| fail(format!("not a readable safetensors file: {e}")))?;
        Self::from_stored(stored, specs, path)
    }

    /// Checks stored tensors against the specification: no name missing or extra, every shape right, every dtype a float of
    /// at most 32 bits. `path` is only named.
    pub(crate) fn from_stored(
        mut stored: HashMap<String, Tensor>,
        specs: &[ParamSpec],
        path: &Path,
    ) -> Result<Self> {
        let fail = |reason: String| EncoderError::Model { path: path.to_path_buf(), reason };
        let mut params = Self::default();
        for spec in specs {
            let tensor = stored
                .remove(&spec.name)
                .ok_or_else(|| fail(format!("tensor `{}` is missing", spec.name)))?;
            if tensor.dims() != spec.shape {
                let (name, found, wanted) = (&spec.name, tensor.dims(), &spec.shape);
                return Err(fail(format!(
                    "tensor `{name}` has shape {found:?}, the config says {wanted:?}"
                )));
            }
            if !matches!(tensor.dtype(), DType::F16 | DType::BF16 | DType::F32) {
                let (name, found) = (&spec.name, tensor.dtype());
                return Err(fail(format!(
                    "tensor `{name}` has dtype {found:?}, expected F16, BF16 or F32"
                )));
            }
            params.insert(&spec.name, tensor.to_dtype(DType::F32)?);
        }
        match stored.keys().min() {
            Some(extra) => Err(fail(format!("tensor `{extra}` is not part of this model"))),
            None => Ok(params),
        }
    }

    /// Where the weights are.
    pub(crate) fn device(&self) -> &Device {
        self.tensors.values().next().map_or(&Device::Cpu, Tensor::device)
    }

    /// Moves all weights to a device. What is trainable already stays where it is.
    pub(crate) fn move_to(&mut self, device: &Device) -> Result<()> {
        for (_, tensor) in
            self.tensors.iter_mut().filter(|(name, _)| !self.vars.contains_key(*name))
        {
            *tensor = tensor.to_device(device)?;
        }
        Ok(())
    }

    /// Writes all weights in the given dtype.
    pub(crate) fn save(&self, path: &Path, dtype: DType) -> Result<()> {
        let cast: std::result::Result<std::collections::HashMap<_, _>, candle_core::Error> =
            self.tensors.iter().map(|(name, t)| Ok((name.clone(), t.to_dtype(dtype)?))).collect();
        Ok(candle_core::safetensors::save(&cast?, path)?)
    }

    /// The weight of this name.
    pub(crate) fn get(&self, name: &str) -> Result<Tensor> {
        self.tensors
            .get(name)
            .cloned()
            .ok_or_else(|| EncoderError::Config(format!("no weight named `{name}`")))
    }

    /// Takes all weights of `others`, which must be these but for some that `optional` accepts.
    pub(crate) fn take(&mut self, mut others: Self, optional: impl Fn(&str) -> bool) -> Result<()> {
        let differs = |name: &str, why: &str| {
            Err(EncoderError::Config(format!(
                "weight `{name}` {why}: give the run's `model` the sizes of the model it begins from"
            )))
        };
        for (name, tensor) in &mut self.tensors {
            match others.tensors.remove(name) {
                Some(other) if other.dims() == tensor.dims() => *tensor = other,
                Some(_) => return differs(name, "has another shape there"),
                None if optional(name) => {}
                None => return differs(name, "is not there"),
            }
        }
        match others.tensors.keys().next() {
            Some(extra) => differs(extra, "is not part of this config"),
            None => Ok(()),
        }
    }

    /// The variable of this name, if the weight is trainable.
    pub(crate) fn var(&self, name: &str) -> Option<&Var> {
        self.vars.get(name)
    }

    /// Sets or replaces a weight that is not trainable.
    pub(crate) fn insert(&mut self, name: &str, tensor: Tensor) {
        self.tensors.insert(name.to_owned(), tensor);
    }

    /// Makes every weight that `chosen` accepts a variable of the gradient graph.
    pub(crate) fn make_trainable(&mut self, chosen: impl Fn(&str) -> bool) -> Result<()> {
        for (name, tensor) in self.tensors.iter_mut().filter(|(name, _)| chosen(name)) {
            let var = Var::from_tensor(tensor)?;
            *tensor = var.as_tensor().clone();
            self.vars.insert(name.clone(), var);
        }
        Ok(())
    }

    /// The trainable weights in name order.
    pub(crate) fn vars(&self) -> impl Iterator<Item = (&String, &Var)> {
        self.vars.iter()
    }
}

/// A standard normal number (Box and Muller).
fn normal(rng: &mut StdRng) -> f32 {
    let (u, v): (f32, f32) = (rng.random_range(f32::MIN_POSITIVE..1.0), rng.random());
    (-2.0 * u.ln()).sqrt() * (std::f32::consts::TAU * v).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs() -> Vec<ParamSpec> {
        vec![ParamSpec::new("a", &[2, 3], Init::Normal(0.1)), ParamSpec::new("b", &[3], Init::Ones)]
    }

    #[test]
    fn weights_survive_a_round_trip_and_any_difference_is_named() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let file = dir.path().join("model.safetensors");
        let params = Params::initialise(&specs(), 7).expect("initialise");
        params.save(&file, DType::F32).expect("save");
        let back = Params::load(&file, &specs()).expect("load");
        let rows = |p: &Params| p.get("a").and_then(|t| Ok(t.to_vec2::<f32>()?)).expect("rows");
        assert_eq!(rows(&params), rows(&back));

        let mut missing = specs();
        missing.push(ParamSpec::new("c", &[1], Init::Zeros));
        let mut shape = specs();
        shape[1].shape = vec![4];
        for (specs, word) in [
            (missing, "`c` is missing"),
            (shape, "[4]"),
            (specs()[..1].to_vec(), "`b` is not part"),
        ] {
            let message = Params::load(&file, &specs).expect_err("differs").to_string();
            assert!(message.contains(word), "{message}");
        }
    }

    #[test]
    fn random_bytes_are_an_error() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let file = dir.path().join("model.safetensors");
        std::fs::write(&file, [7u8; 100]).expect("write");
        assert!(Params::load(&file, &specs()).is_err());
    }
}
