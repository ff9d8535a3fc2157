//! AdamW (arXiv 1711.05101) with clipping by the global norm and a state that can be saved.

use std::collections::{BTreeMap, HashMap};

use candle_core::{Device, Tensor, Var, backprop::GradStore};
use rayon::prelude::*;

use crate::{
    error::{EncoderError, Result},
    params::Params,
};

const BETA1: f64 = 0.9;
const EPS: f64 = 1e-8;
const CHUNK: usize = 1 << 15;

/// The optimiser's moments, by weight name.
#[derive(Default)]
pub(super) struct AdamW {
    moments: BTreeMap<String, (Vec<f32>, Vec<f32>)>,
}

/// How weights are moved, at every step alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Optimiser {
    /// Decay of the second moment.
    pub(super) beta2: f64,
    /// Decoupled decay of matrices.
    pub(super) weight_decay: f64,
    /// Largest norm of the gradient of all weights together.
    pub(super) clip_norm: f64,
}

/// Settings of one step.
pub(super) struct StepSize<'a> {
    /// Learning rate of a weight by name.
    pub(super) rate: &'a dyn Fn(&str) -> f64,
    pub(super) optimiser: Optimiser,
    /// Number of this step, from 1.
    pub(super) step: usize,
}

impl AdamW {
    /// Moves every trainable weight; returns the norm of the gradient before clipping.
    pub(super) fn step(
        &mut self,
        params: &Params,
        grads: &GradStore,
        size: &StepSize,
    ) -> Result<f64> {
        let mut flat = Vec::new();
        for (name, var) in params.vars() {
            if let Some(grad) = grads.get(var) {
                flat.push((name, var, grad.flatten_all()?.to_vec1::<f32>()?));
            }
        }
        let square = |g: &[f32]| g.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
        let norm = flat
            .iter()
            .map(|(_, _, g)| g.par_chunks(CHUNK).map(square).sum::<f64>())
            .sum::<f64>()
            .sqrt();
        if !norm.is_finite() {
            return Err(EncoderError::Config(format!(
                "the gradient is {norm} at step {}: lower learning_rate",
                size.step
            )));
        }
        let clip = (size.optimiser.clip_norm / norm.max(1e-12)).min(1.0);
        for (name, var, grad) in flat {
            self.move_weight(name, var, &grad, clip as f32, size)?;
        }
        Ok(norm)
    }

    fn move_weight(
        &mut self,
        name: &str,
        var: &Var,
        grad: &[f32],
        clip: f32,
        size: &StepSize,
    ) -> Result<()> {
        let rate = (size.rate)(name);
        let Optimiser { beta2, weight_decay, .. } = size.optimiser;
        // Biases, norms and scales are not decayed.
        let decay = if var.rank() > 1 { 1.0 - rate * weight_decay } else { 1.0 } as f32;
        let t = size.step as i32;
        let scale = (rate * (1.0 - beta2.powi(t)).sqrt() / (1.0 - BETA1.powi(t))) as f32;
        let eps = (EPS * (1.0 - beta2.powi(t)).sqrt()) as f32;
        let (b1, b2) = (BETA1 as f32, beta2 as f32);
        let fresh = || (vec![0.0; grad.len()], vec![0.0; grad.len()]);
        let (m, v) = self.moments.entry(name.to_owned()).or_insert_with(fresh);
        let mut theta = var.flatten_all()?.to_vec1::<f32>()?;
        let state = m.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK));
        theta.par_chunks_mut(CHUNK).zip(grad.par_chunks(CHUNK)).zip(state).for_each(
            |((theta, grad), (m, v))| {
                for (i, g) in grad.iter().enumerate() {
                    let g = g * clip;
                    m[i] = b1 * m[i] + (1.0 - b1) * g;
                    v[i] = b2 * v[i] + (1.0 - b2) * g * g;
                    theta[i] = decay * theta[i] - scale * m[i] / (v[i].sqrt() + eps);
                }
            },
        );
        Ok(var.set(&Tensor::from_vec(theta, var.shape(), var.device())?)?)
    }

    /// The moments as named tensors.
    pub(super) fn tensors(&self) -> Result<HashMap<String, Tensor>> {
        let mut tensors = HashMap::new();
        for (name, (m, v)) in &self.moments {
            tensors.insert(format!("adam.m.{name}"), Tensor::from_slice(m, m.len(), &Device::Cpu)?);
            tensors.insert(format!("adam.v.{name}"), Tensor::from_slice(v, v.len(), &Device::Cpu)?);
        }
        Ok(tensors)
    }

    /// Takes the moments back from named tensors.
    pub(super) fn restore(tensors: &HashMap<String, Tensor>) -> Result<Self> {
        let mut moments = BTreeMap::new();
        for (name, m) in tensors {
            let Some(name) = name.strip_prefix("adam.m.") else { continue };
            let v = tensors.get(&format!("adam.v.{name}"));
            let v = v.ok_or_else(|| {
                EncoderError::Config(format!("checkpoint has no `adam.v.{name}`"))
            })?;
            moments.insert(name.to_owned(), (m.to_vec1()?, v.to_vec1()?));
        }
        Ok(Self { moments })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::{Init, ParamSpec};

    #[test]
    fn a_parabola_is_descended_and_the_first_step_is_the_rate() {
        let mut params =
            Params::initialise(&[ParamSpec::new("x", &[1], Init::Value(3.0))], 1).expect("params");
        params.make_trainable(|_| true).expect("vars");
        let mut adam = AdamW::default();
        let optimiser = Optimiser { beta2: 0.98, weight_decay: 0.1, clip_norm: 10.0 };
        let value = |params: &Params| {
            params.get("x").and_then(|x| Ok(x.to_vec1::<f32>()?[0])).expect("value")
        };
        for step in 1..=200 {
            let loss = params.get("x").and_then(|x| Ok(x.sqr()?.sum_all()?)).expect("loss");
            let grads = loss.backward().expect("backward");
            let size = StepSize { rate: &|_| 0.1, optimiser, step };
            adam.step(&params, &grads, &size).expect("step");
            if step == 1 {
                assert!((value(&params) - 2.9).abs() < 1e-5);
            }
        }
        assert!(value(&params).abs() < 0.05, "{}", value(&params));
    }
}
