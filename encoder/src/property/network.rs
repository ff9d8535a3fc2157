//! The network of a head: standardised inputs, at most one hidden layer, one output per task.
//!
//! It is evaluated here in plain loops, row by row, so that a prediction does not depend on what else is in the batch and
//! zeros of the fingerprint cost nothing. Fitting it is `fit`'s.

use std::{collections::HashMap, path::Path};

use candle_core::{DType, Device, Tensor};
use half::f16;

use super::{
    features::{Block, Features},
    labels::TaskKind,
    standardise::Standard,
};
use crate::{
    error::Result,
    ops,
    params::{Init, ParamSpec, Params},
};

/// Shape of a network: inputs, hidden units (0: none), tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NetworkShape {
    pub(super) inputs: usize,
    pub(super) hidden: usize,
    pub(super) tasks: usize,
}

impl NetworkShape {
    /// The trained weights and how they begin.
    pub(super) fn specs(&self) -> Vec<ParamSpec> {
        let Self { inputs, hidden, tasks } = *self;
        let mut specs = Vec::new();
        let mut layer = |name: &str, from: usize, to: usize, deviation: f32| {
            specs.push(ParamSpec::new(
                format!("{name}.weight"),
                &[from, to],
                Init::Normal(deviation),
            ));
            specs.push(ParamSpec::new(format!("{name}.bias"), &[to], Init::Zeros));
        };
        if hidden > 0 {
            layer("hidden", inputs, hidden, 0.04);
            layer("out", hidden, tasks, 0.05);
        } else {
            layer("out", inputs, tasks, 0.001);
        }
        specs
    }

    /// All tensors of a stored network.
    fn stored(&self) -> Vec<ParamSpec> {
        let mut specs = self.specs();
        for (name, width) in [("input", self.inputs), ("target", self.tasks)] {
            specs.push(ParamSpec::new(format!("{name}.mean"), &[width], Init::Zeros));
            specs.push(ParamSpec::new(format!("{name}.scale"), &[width], Init::Ones));
        }
        specs
    }
}

/// A fitted network.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    kind: TaskKind,
    blocks: Vec<Block>,
    input: Standard,
    hidden: Option<Dense>,
    out: Dense,
    /// Mean and deviation of the measured numbers; 0 and 1 in a classification.
    target: Standard,
}

/// `x W + b` with `W` as [inputs, outputs].
#[derive(Clone, Debug, PartialEq)]
struct Dense {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Dense {
    fn of(params: &Params, name: &str) -> Result<Self> {
        let weight = params.get(&format!("{name}.weight"))?.flatten_all()?.to_vec1::<f32>()?;
        // As they are stored, so that what is judged is what ships.
        let weight = weight.into_iter().map(|x| f16::from_f32(x).to_f32()).collect();
        Ok(Self { weight, bias: params.get(&format!("{name}.bias"))?.to_vec1()? })
    }

    fn forward(&self, x: &[f32]) -> Vec<f32> {
        let mut out = self.bias.clone();
        for (&x, weights) in x.iter().zip(self.weight.chunks_exact(out.len())) {
            if x != 0.0 {
                ops::axpy(x, weights, &mut out);
            }
        }
        out
    }
}

impl Network {
    /// The network that trained weights make, with the scales that they were trained at.
    pub(super) fn of(
        params: &Params,
        kind: TaskKind,
        blocks: &[Block],
        (input, target): (Standard, Standard),
    ) -> Result<Self> {
        let hidden = params.get("hidden.weight").is_ok();
        Ok(Self {
            kind,
            blocks: blocks.to_vec(),
            input,
            hidden: hidden.then(|| Dense::of(params, "hidden")).transpose()?,
            out: Dense::of(params, "out")?,
            target,
        })
    }

    /// Reads the tensors of a file and checks every name and shape.
    pub(super) fn load(
        path: &Path,
        kind: TaskKind,
        blocks: &[Block],
        shape: NetworkShape,
    ) -> Result<Self> {
        let params = Params::load(path, &shape.stored())?;
        let numbers = |name: &str| -> Result<Vec<f32>> { Ok(params.get(name)?.to_vec1()?) };
        let standard = |name: &str| -> Result<Standard> {
            let (mean, scale) =
                (numbers(&format!("{name}.mean"))?, numbers(&format!("{name}.scale"))?);
            Ok(Standard { mean, scale })
        };
        Self::of(&params, kind, blocks, (standard("input")?, standard("target")?))
    }

    /// Writes the tensors: matrices in f16, the rest in f32.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let mut tensors = HashMap::new();
        let mut put = |name: String, data: &[f32], columns: Option<usize>| -> Result<()> {
            let tensor = match columns {
                Some(columns) => {
                    Tensor::from_slice(data, (data.len() / columns, columns), &Device::Cpu)?
                        .to_dtype(DType::F16)?
                }
                None => Tensor::from_slice(data, data.len(), &Device::Cpu)?,
            };
            tensors.insert(name, tensor);
            Ok(())
        };
        let layers =
            self.hidden.iter().map(|hidden| ("hidden", hidden)).chain([("out", &self.out)]);
        for (name, layer) in layers {
            put(format!("{name}.weight"), &layer.weight, Some(layer.bias.len()))?;
            put(format!("{name}.bias"), &layer.bias, None)?;
        }
        for (name, standard) in [("input", &self.input), ("target", &self.target)] {
            put(format!("{name}.mean"), &standard.mean, None)?;
            put(format!("{name}.scale"), &standard.scale, None)?;
        }
        Ok(candle_core::safetensors::save(&tensors, path)?)
    }

    /// Hidden units, 0 where there is no hidden layer.
    pub fn hidden_units(&self) -> usize {
        self.hidden.as_ref().map_or(0, |hidden| hidden.bias.len())
    }

    /// One number per task for each of the rows: probabilities, or values in the unit of the set.
    pub fn predict(&self, features: &Features, rows: &[usize]) -> Vec<f32> {
        let mut all = Vec::with_capacity(rows.len() * self.out.bias.len());
        let mut x = Vec::with_capacity(self.input.mean.len());
        for &row in rows {
            x.clear();
            features.extend(row, &self.blocks, &mut x);
            self.input.apply(&mut x);
            let hidden = self.hidden.as_ref().map(|layer| {
                let mut hidden = layer.forward(&x);
                hidden.iter_mut().for_each(|h| *h = h.max(0.0));
                hidden
            });
            let out = self.out.forward(hidden.as_ref().unwrap_or(&x));
            all.extend(out.iter().enumerate().map(|(task, &z)| self.reading(task, z)));
        }
        all
    }

    /// What an output means.
    fn reading(&self, task: usize, z: f32) -> f32 {
        match self.kind {
            TaskKind::Classification => 1.0 / (1.0 + (-z).exp()),
            TaskKind::Regression => self.target.undo(task, z),
        }
    }
}
