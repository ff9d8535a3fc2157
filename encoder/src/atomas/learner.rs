//! The weights that learn, beside their slow copy.

use std::collections::HashMap;

use candle_core::Tensor;

use super::{
    config::AtomasConfig,
    momentum::{Momentum, MomentumShape},
    network::Network,
    objective::{LossWeights, Losses, PairBatch},
};
use crate::{error::Result, params::Params, t5::Dropout};

/// The temperature of the global contrast stays within these.
const TEMPERATURES: (f32, f32) = (0.001, 0.5);

/// Everything that a training step changes, but for the optimiser's moments.
pub(crate) struct Learner {
    pub(crate) params: Params,
    pub(crate) network: Network,
    momentum: Momentum,
    weights: LossWeights,
}

impl Learner {
    /// Makes every weight of `params` trainable and copies it; `slow` is an earlier state of the copy and its queues.
    pub(crate) fn begin(
        mut params: Params,
        config: &AtomasConfig,
        (shape, weights): (MomentumShape, LossWeights),
        seed: u64,
        slow: Option<&HashMap<String, Tensor>>,
    ) -> Result<Self> {
        params.make_trainable(|_| true)?;
        let mut momentum = Momentum::begin(&params, config, shape, seed)?;
        if let Some(slow) = slow {
            momentum.restore(slow)?;
        }
        let network = Network::load(&params, config)?;
        Ok(Self { params, network, momentum, weights })
    }

    /// The losses of one step, in the order of the release: the temperature is brought within its bounds and the copy
    /// follows before the pass; the queues take in the batch after it.
    pub(crate) fn losses(&mut self, batch: &PairBatch, dropout: &mut Dropout) -> Result<Losses> {
        if let Some(temperature) = self.params.var("temp") {
            let (least, most) = TEMPERATURES;
            temperature.set(&temperature.as_detached_tensor().clamp(least, most)?)?;
        }
        self.momentum.follow(&self.params)?;
        let losses = Losses::of(&self.network, &self.momentum, batch, &self.weights, dropout)?;
        self.momentum.enqueue(&losses.slow)?;
        Ok(losses)
    }

    /// What is descended.
    pub(crate) fn total(&self, losses: &Losses) -> Result<Tensor> {
        losses.total(&self.weights)
    }

    /// The slow copy and its queues, under the released names.
    pub(crate) fn slow_tensors(&self) -> Result<HashMap<String, Tensor>> {
        self.momentum.tensors()
    }

    /// Takes [`Self::slow_tensors`] of an earlier run.
    pub(crate) fn restore_slow(&mut self, tensors: &HashMap<String, Tensor>) -> Result<()> {
        self.momentum.restore(tensors)
    }
}
