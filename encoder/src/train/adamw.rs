//! AdamW (arXiv 1711.05101) with clipping by the global norm, and Adagrad by rows for tables of features, with a state that can
//! be saved.

use std::collections::{BTreeMap, HashMap};

use candle_core::{D, DType, Device, Tensor, Var, backprop::GradStore};
use rayon::prelude::*;

use crate::{
    error::{EncoderError, Result},
    features::is_table,
    ops::with_floats,
    params::Params,
};

const BETA1: f64 = 0.9;
const EPS: f64 = 1e-8;
const CHUNK: usize = 1 << 15;
/// What the sums of a table's rows begin with: the first step of a row is short where its gradient is small.
const FIRST_SQUARE: f64 = 1e-6;

/// The optimiser's moments, by weight name.
#[derive(Default)]
pub(crate) struct AdamW {
    moments: BTreeMap<String, Moments>,
}

/// Running means of a weight's gradient and of its square, where the weight is.
enum Moments {
    /// On the CPU: numbers, moved in place by all threads.
    Numbers { m: Vec<f32>, v: Vec<f32> },
    /// On another device, in the weight's shape.
    Tensors { m: Tensor, v: Tensor },
    /// Of a table of features, most of whose rows have no gradient in a step: the sum of each row's mean squares so far,
    /// [rows, 1]. A row is moved by Adagrad (Duchi et al. 2011) with one rate for all its numbers: far where it is seldom
    /// seen, not at all while it is not. Its gradient is not clipped.
    Rows(Tensor),
}

/// How weights are moved, at every step alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Optimiser {
    /// Decay of the second moment.
    pub(crate) beta2: f64,
    /// Decoupled decay of matrices.
    pub(crate) weight_decay: f64,
    /// Largest norm of the gradient of all weights together.
    pub(crate) clip_norm: f64,
}

/// Settings of one step.
pub(crate) struct StepSize<'a> {
    /// Learning rate of a weight by name.
    pub(crate) rate: &'a dyn Fn(&str) -> f64,
    pub(crate) optimiser: Optimiser,
    /// Number of this step, from 1.
    pub(crate) step: usize,
}

/// What one step multiplies the numbers of one weight by.
#[derive(Clone, Copy)]
struct Factors {
    rate: f32,
    clip: f32,
    beta2: f32,
    decay: f32,
    scale: f32,
    eps: f32,
}

impl Factors {
    fn new(size: &StepSize, rate: f64, rank: usize, clip: f64) -> Self {
        let t = size.step as i32;
        let Optimiser { beta2, weight_decay, .. } = size.optimiser;
        let unbias = (1.0 - beta2.powi(t)).sqrt();
        Self {
            rate: rate as f32,
            clip: clip as f32,
            beta2: beta2 as f32,
            // Biases, norms and scales are not decayed.
            decay: if rank > 1 { 1.0 - rate * weight_decay } else { 1.0 } as f32,
            scale: (rate * unbias / (1.0 - BETA1.powi(t))) as f32,
            eps: (EPS * unbias) as f32,
        }
    }
}

impl AdamW {
    /// Moves every trainable weight; returns the norm of the gradient before clipping.
    pub(crate) fn step(
        &mut self,
        params: &Params,
        grads: &GradStore,
        size: &StepSize,
    ) -> Result<f64> {
        let grads: Vec<(&String, &Var, &Tensor)> = params
            .vars()
            .filter_map(|(name, var)| grads.get(var).map(|grad| (name, var, grad)))
            .collect();
        let clipped = grads.iter().filter(|(name, _, _)| !is_table(name));
        let norm = norm(clipped.map(|(_, _, grad)| *grad))?;
        if !norm.is_finite() {
            return Err(EncoderError::Config(format!(
                "the gradient is {norm} at step {}: lower learning_rate",
                size.step
            )));
        }
        let clip = (size.optimiser.clip_norm / norm.max(1e-12)).min(1.0);
        for (name, var, grad) in grads {
            let factors = Factors::new(size, (size.rate)(name), var.rank(), clip);
            let moments = match self.moments.entry(name.clone()) {
                std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::btree_map::Entry::Vacant(new) => {
                    new.insert(Moments::first(name, var)?)
                }
            };
            moments.move_weight(var, grad, factors)?;
        }
        Ok(norm)
    }

    /// The moments as named flat tensors.
    pub(crate) fn tensors(&self) -> Result<HashMap<String, Tensor>> {
        let mut tensors = HashMap::new();
        for (name, moments) in &self.moments {
            let (m, v) = moments.flat()?;
            tensors.insert(format!("adam.m.{name}"), m);
            tensors.insert(format!("adam.v.{name}"), v);
        }
        Ok(tensors)
    }

    /// Takes the moments of the trainable weights back from named tensors, to where those weights are.
    pub(crate) fn restore(params: &Params, tensors: &HashMap<String, Tensor>) -> Result<Self> {
        let mut moments = BTreeMap::new();
        for (name, var) in params.vars() {
            let Some(m) = tensors.get(&format!("adam.m.{name}")) else { continue };
            let v = tensors.get(&format!("adam.v.{name}")).ok_or_else(|| {
                EncoderError::Config(format!("checkpoint has no `adam.v.{name}`"))
            })?;
            moments.insert(name.clone(), Moments::of(var, m, v)?);
        }
        Ok(Self { moments })
    }
}

impl Moments {
    fn first(name: &str, var: &Var) -> Result<Self> {
        if is_table(name) {
            let squares = Tensor::full(FIRST_SQUARE as f32, (var.dim(0)?, 1), var.device())?;
            return Ok(Self::Rows(squares));
        }
        let zero = Tensor::zeros(var.elem_count(), var.dtype(), &Device::Cpu)?;
        Self::of(var, &zero, &zero)
    }

    fn of(var: &Var, m: &Tensor, v: &Tensor) -> Result<Self> {
        if v.elem_count() != var.elem_count() {
            return Ok(Self::Rows(v.reshape((var.dim(0)?, 1))?.to_device(var.device())?));
        }
        if var.device().is_cpu() {
            return Ok(Self::Numbers { m: m.to_vec1()?, v: v.to_vec1()? });
        }
        let place =
            |t: &Tensor| -> Result<_> { Ok(t.reshape(var.shape())?.to_device(var.device())?) };
        Ok(Self::Tensors { m: place(m)?, v: place(v)? })
    }

    fn flat(&self) -> Result<(Tensor, Tensor)> {
        Ok(match self {
            Self::Numbers { m, v } => (
                Tensor::from_slice(m, m.len(), &Device::Cpu)?,
                Tensor::from_slice(v, v.len(), &Device::Cpu)?,
            ),
            Self::Tensors { m, v } => (m.flatten_all()?, v.flatten_all()?),
            // There is no first moment.
            Self::Rows(squares) => (Tensor::zeros(1, DType::F32, &Device::Cpu)?, squares.clone()),
        })
    }

    fn move_weight(&mut self, var: &Var, grad: &Tensor, factors: Factors) -> Result<()> {
        match self {
            Self::Numbers { m, v } => {
                let mut theta = var.flatten_all()?.to_vec1::<f32>()?;
                with_floats(grad, |grad| {
                    move_numbers(&mut theta, (m, v), grad, factors);
                    Ok(())
                })?;
                Ok(var.set(&Tensor::from_vec(theta, var.shape(), var.device())?)?)
            }
            Self::Tensors { m, v } => {
                let theta;
                (theta, *m, *v) = moved_tensors(var, (m, v), grad, factors)?;
                Ok(var.set(&theta)?)
            }
            Self::Rows(squares) => {
                *squares = (&*squares + grad.sqr()?.mean_keepdim(D::Minus1)?)?;
                let step =
                    grad.affine(f64::from(factors.rate), 0.0)?.broadcast_div(&squares.sqrt()?)?;
                Ok(var.set(&(var.detach() - step)?)?)
            }
        }
    }
}

/// Length of all gradients as one vector.
fn norm<'a>(grads: impl Iterator<Item = &'a Tensor>) -> Result<f64> {
    let mut on_device = Vec::new();
    let mut total = 0.0;
    for grad in grads {
        if grad.device().is_cpu() {
            let square = |g: &[f32]| g.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
            total += with_floats(grad, |g| Ok(g.par_chunks(CHUNK).map(square).sum::<f64>()))?;
        } else {
            // By rows first: a GPU sums each with threads of its own.
            on_device.push(grad.sqr()?.sum_keepdim(D::Minus1)?.sum_all()?);
        }
    }
    if !on_device.is_empty() {
        let squares = Tensor::stack(&on_device, 0)?.to_vec1::<f32>()?;
        total += squares.into_iter().map(f64::from).sum::<f64>();
    }
    Ok(total.sqrt())
}

fn move_numbers(
    theta: &mut [f32],
    (m, v): (&mut [f32], &mut [f32]),
    grad: &[f32],
    Factors { clip, beta2, decay, scale, eps, .. }: Factors,
) {
    let beta1 = BETA1 as f32;
    let state = m.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK));
    theta.par_chunks_mut(CHUNK).zip(grad.par_chunks(CHUNK)).zip(state).for_each(
        |((theta, grad), (m, v))| {
            for (i, g) in grad.iter().enumerate() {
                let g = g * clip;
                m[i] = beta1 * m[i] + (1.0 - beta1) * g;
                v[i] = beta2 * v[i] + (1.0 - beta2) * g * g;
                theta[i] = decay * theta[i] - scale * m[i] / (v[i].sqrt() + eps);
            }
        },
    );
}

/// The same with tensors: the new weight and moments.
fn moved_tensors(
    theta: &Tensor,
    (m, v): (&Tensor, &Tensor),
    grad: &Tensor,
    Factors { clip, beta2, decay, scale, eps, .. }: Factors,
) -> Result<(Tensor, Tensor, Tensor)> {
    let beta1 = BETA1 as f32;
    let times = |t: &Tensor, factor: f32| t.affine(f64::from(factor), 0.0);
    let grad = times(grad, clip)?;
    let m = (times(m, beta1)? + times(&grad, 1.0 - beta1)?)?;
    let v = (times(v, beta2)? + times(&grad.sqr()?, 1.0 - beta2)?)?;
    let step = (times(&m, scale)? / v.sqrt()?.affine(1.0, f64::from(eps))?)?;
    let theta = (times(&theta.detach(), decay)? - step)?;
    Ok((theta, m, v))
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
        let value = |params: &Params| {
            params.get("x").and_then(|x| Ok(x.to_vec1::<f32>()?[0])).expect("value")
        };
        let optimiser = Optimiser { beta2: 0.98, weight_decay: 0.1, clip_norm: 10.0 };
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

    #[test]
    fn rows_of_a_table_move_alone_and_less_each_time() {
        let spec = ParamSpec::new("text.features.global", &[2, 2], Init::Zeros);
        let mut params = Params::initialise(&[spec], 1).expect("params");
        params.make_trainable(|_| true).expect("vars");
        let mut adam = AdamW::default();
        let optimiser = Optimiser { beta2: 0.98, weight_decay: 0.1, clip_norm: 1e-9 };
        let mut places = Vec::new();
        for step in 1..=2 {
            let table = params.get("text.features.global").expect("table");
            let grads = table.narrow(0, 1, 1).and_then(|row| row.sum_all()?.backward());
            let size = StepSize { rate: &|_| 0.1, optimiser, step };
            adam.step(&params, &grads.expect("backward"), &size).expect("step");
            places.push(table.to_vec2::<f32>().expect("numbers"));
        }
        assert_eq!(places[1][0], [0.0; 2]);
        let (first, second) = (-places[0][1][0], places[0][1][0] - places[1][1][0]);
        assert!((first - 0.1).abs() < 1e-5 && (second - 0.1 / 2f32.sqrt()).abs() < 1e-5);
        let kept = AdamW::restore(&params, &adam.tensors().expect("tensors")).expect("restored");
        assert_eq!(kept.tensors().expect("tensors").len(), 2);
        assert!(matches!(kept.moments.values().next(), Some(Moments::Rows(_))));
    }

    #[test]
    fn tensors_move_as_numbers_do() {
        let optimiser = Optimiser { beta2: 0.98, weight_decay: 0.1, clip_norm: 1.0 };
        let size = StepSize { rate: &|_| 0.1, optimiser, step: 3 };
        let factors = Factors::new(&size, 0.1, 2, 0.7);
        let (grad, theta) = ([0.5f32, -2.0, 0.0, 1e-4], [1.0f32, -1.0, 3.0, 0.25]);
        let (m, v) = ([0.1f32, 0.0, -0.2, 0.0], [0.04f32, 0.0, 0.01, 0.0]);
        let tensor = |x: &[f32; 4]| Tensor::new(x, &Device::Cpu).expect("tensor");
        let moved =
            moved_tensors(&tensor(&theta), (&tensor(&m), &tensor(&v)), &tensor(&grad), factors);
        let moved = moved.expect("moved");
        let (mut theta, mut m, mut v) = (theta, m, v);
        move_numbers(&mut theta, (&mut m, &mut v), &grad, factors);
        for (ours, numbers) in [(moved.0, theta), (moved.1, m), (moved.2, v)] {
            for (a, b) in ours.to_vec1::<f32>().expect("numbers").iter().zip(numbers) {
                assert!((a - b).abs() < 1e-6, "{a} {b}");
            }
        }
    }
}
