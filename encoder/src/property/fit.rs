//! Fitting one network on features that stay as they are.

use candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde::{Deserialize, Serialize};

use super::{
    features::{Block, Features},
    labels::{Labels, TaskKind},
    metrics::mean_over_tasks,
    network::{Network, NetworkShape},
    objective::loss,
    split::Split,
    standardise::Standard,
};
use crate::{
    error::{EncoderError, Result},
    layers::Linear,
    params::Params,
    train::adamw::{AdamW, Optimiser, StepSize},
};

/// Largest norm of the gradient of a step.
const CLIP_NORM: f64 = 5.0;
/// Decay of AdamW's second moment.
const BETA2: f64 = 0.999;

/// What one network reads, and how large it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// Input blocks, in the order of [`Block`].
    pub blocks: Vec<Block>,
    /// Units of the hidden layer; 0 for a linear head.
    pub hidden: usize,
}

/// How networks are fitted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitConfig {
    /// Learning rate of AdamW.
    pub learning_rate: f64,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f64,
    /// Chance that a hidden unit is left out of a step.
    pub dropout: f32,
    /// Molecules in a step.
    pub batch_size: usize,
    /// Most passes over the training rows.
    pub epochs: usize,
    /// Passes without a better validation metric after which fitting ends.
    pub patience: usize,
}

/// A fitted network and what chose it.
#[derive(Clone, Debug)]
pub struct Fit {
    /// The network of the best epoch.
    pub network: Network,
    /// Its metric on the validation rows.
    pub validation: f64,
    /// The best epoch, from 1.
    pub epoch: usize,
}

impl FitConfig {
    /// # Errors
    /// Names the field that is out of its range.
    pub fn check(&self) -> Result<()> {
        let fail = |reason: &str| Err(EncoderError::Config(reason.into()));
        if self.batch_size == 0 || self.epochs == 0 || self.patience == 0 {
            return fail("batch_size, epochs and patience must be at least 1");
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return fail("dropout must be at least 0 and below 1");
        }
        let rates = [self.learning_rate, self.weight_decay];
        if rates.iter().any(|rate| !rate.is_finite() || *rate < 0.0) || self.learning_rate == 0.0 {
            return fail("learning_rate must be positive and weight_decay not negative");
        }
        Ok(())
    }

    /// How the optimiser moves the weights of a head.
    pub(super) fn optimiser(&self) -> Optimiser {
        Optimiser { beta2: BETA2, weight_decay: self.weight_decay, clip_norm: CLIP_NORM }
    }
}

/// Fits a network on the training rows and keeps the epoch that is best on the validation rows.
///
/// The same arguments give the same network.
///
/// # Errors
/// No block, no training row, a validation part on which no task can be judged, a gradient that is not finite.
pub fn fit(
    features: &Features,
    labels: &Labels,
    split: &Split,
    candidate: &Candidate,
    (config, seed): (&FitConfig, u64),
) -> Result<Fit> {
    config.check()?;
    if candidate.blocks.is_empty() || split.train.is_empty() {
        return Err(EncoderError::Config("a head needs an input block and training rows".into()));
    }
    let mut fitting = Fitting::begin(features, labels, split, candidate, (config, seed))?;
    let mut best: Option<Fit> = None;
    for epoch in 1..=config.epochs {
        fitting.epoch()?;
        let network = fitting.network()?;
        let predicted = network.predict(features, &split.validation);
        let validation =
            mean_over_tasks(labels, &split.validation, &predicted).ok_or_else(|| {
                EncoderError::Config("no task can be judged on the validation rows".into())
            })?;
        let since = best.as_ref().map_or(0, |best| epoch - best.epoch);
        if best.as_ref().is_none_or(|best| labels.kind().is_better(validation, best.validation)) {
            best = Some(Fit { network, validation, epoch });
        } else if since >= config.patience {
            break;
        }
    }
    best.ok_or_else(|| EncoderError::Config("no epoch was run".into()))
}

/// The scale at which targets are learned.
pub(super) fn target_standard(labels: &Labels, rows: &[usize]) -> Standard {
    match labels.kind() {
        TaskKind::Regression => Standard::of_rows(rows, |row, out| out.extend(labels.row(row))),
        TaskKind::Classification => {
            let tasks = labels.tasks().len();
            Standard { mean: vec![0.0; tasks], scale: vec![1.0; tasks] }
        }
    }
}

/// Targets and mask of some rows, both [rows, tasks].
pub(super) fn targets(
    labels: &Labels,
    rows: &[usize],
    standard: &Standard,
) -> Result<(Tensor, Tensor)> {
    let tasks = labels.tasks().len();
    let (mut values, mut mask) = (Vec::new(), Vec::new());
    for &row in rows {
        for (task, &y) in labels.row(row).iter().enumerate() {
            let missing = y.is_nan();
            mask.push(f32::from(u8::from(!missing)));
            values.push(if missing {
                0.0
            } else {
                (y - standard.mean[task]) * standard.scale[task]
            });
        }
    }
    let shape = (rows.len(), tasks);
    Ok((
        Tensor::from_vec(values, shape, &Device::Cpu)?,
        Tensor::from_vec(mask, shape, &Device::Cpu)?,
    ))
}

/// The layers that are trained, over weights of their own.
pub(super) struct Layers {
    hidden: Option<Linear>,
    out: Linear,
}

impl Layers {
    pub(super) fn load(params: &Params, shape: NetworkShape) -> Result<Self> {
        let hidden = (shape.hidden > 0).then(|| Linear::load(params, "hidden")).transpose()?;
        Ok(Self { hidden, out: Linear::load(params, "out")? })
    }

    /// Outputs [rows, tasks] for standardised inputs [rows, inputs].
    pub(super) fn forward(&self, x: &Tensor, dropout: f32, rng: &mut StdRng) -> Result<Tensor> {
        let Some(hidden) = &self.hidden else { return self.out.forward(x) };
        let h = hidden.forward(x)?.relu()?;
        self.out.forward(&(&h * kept(h.dims2()?, dropout, rng)?)?)
    }
}

/// A mask of 0 and 1 / (1 - p).
fn kept((rows, columns): (usize, usize), p: f32, rng: &mut StdRng) -> Result<Tensor> {
    let keep = 1.0 / (1.0 - p);
    let mask = (0..rows * columns).map(|_| if rng.random::<f32>() < p { 0.0 } else { keep });
    Ok(Tensor::from_vec(mask.collect(), (rows, columns), &Device::Cpu)?)
}

/// A fit between two epochs.
struct Fitting<'a> {
    features: &'a Features,
    labels: &'a Labels,
    blocks: &'a [Block],
    config: &'a FitConfig,
    params: Params,
    layers: Layers,
    adam: AdamW,
    input: Standard,
    target: Standard,
    rows: Vec<usize>,
    rng: StdRng,
    step: usize,
}

impl<'a> Fitting<'a> {
    fn begin(
        features: &'a Features,
        labels: &'a Labels,
        split: &Split,
        candidate: &'a Candidate,
        (config, seed): (&'a FitConfig, u64),
    ) -> Result<Self> {
        let input = Standard::of_features(features, &split.train, &candidate.blocks);
        let shape = NetworkShape {
            inputs: input.mean.len(),
            hidden: candidate.hidden,
            tasks: labels.tasks().len(),
        };
        let mut params = Params::initialise(&shape.specs(), seed)?;
        params.make_trainable(|_| true)?;
        Ok(Self {
            layers: Layers::load(&params, shape)?,
            features,
            labels,
            blocks: &candidate.blocks,
            config,
            params,
            adam: AdamW::default(),
            input,
            target: target_standard(labels, &split.train),
            rows: split.train.clone(),
            rng: StdRng::seed_from_u64(seed ^ 0x6865_6164),
            step: 0,
        })
    }

    /// One pass over the training rows in a new order.
    fn epoch(&mut self) -> Result<()> {
        self.rows.shuffle(&mut self.rng);
        let rows = std::mem::take(&mut self.rows);
        let passed = rows.chunks(self.config.batch_size).try_for_each(|batch| self.batch(batch));
        self.rows = rows;
        passed
    }

    fn batch(&mut self, rows: &[usize]) -> Result<()> {
        let mut x = Vec::with_capacity(rows.len() * self.input.mean.len());
        for &row in rows {
            let start = x.len();
            self.features.extend(row, self.blocks, &mut x);
            self.input.apply(&mut x[start..]);
        }
        let x = Tensor::from_vec(x, (rows.len(), self.input.mean.len()), &Device::Cpu)?;
        let (targets, mask) = targets(self.labels, rows, &self.target)?;
        let z = self.layers.forward(&x, self.config.dropout, &mut self.rng)?;
        let grads = loss(&z, &targets, &mask, self.labels.kind())?.backward()?;
        self.step += 1;
        let optimiser = self.config.optimiser();
        let rate = self.config.learning_rate;
        let size = StepSize { rate: &|_| rate, optimiser, step: self.step };
        self.adam.step(&self.params, &grads, &size)?;
        Ok(())
    }

    fn network(&self) -> Result<Network> {
        let standards = (self.input.clone(), self.target.clone());
        Network::of(&self.params, self.labels.kind(), self.blocks, standards)
    }
}
