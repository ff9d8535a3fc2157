//! What a training run of an Atomas is asked to do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    atomas::{AtomasConfig, LossWeights, MomentumShape},
    error::{EncoderError, Result},
    train::config::{check_kinds, check_pace, warm_cosine},
};

/// A training run of an Atomas, as its JSON file says it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtomasTrainConfig {
    /// The model to train.
    pub model: AtomasConfig,
    /// What the weights begin with, unless the run begins with a model of ours.
    pub start: Start,
    /// Pieces of text that the tokenizer learns from the training texts, where none is given.
    pub text_pieces: usize,
    /// Seed of every random choice.
    pub seed: u64,
    /// Optimiser steps in all.
    pub steps: usize,
    /// Pairs in a step; each is a negative for the others.
    pub batch_size: usize,
    /// Relative frequency of batches of each kind of text (`caption`, `tags`, `names`); a batch is of one kind.
    pub kinds: BTreeMap<String, f64>,
    /// Weights of the parts of the loss.
    pub losses: LossWeights,
    /// Share of the slow copy that stays in a step (the release: 0.995).
    pub momentum: f64,
    /// Vectors of earlier steps that the contrast sees (13,200); a multiple of `batch_size`.
    pub queue_size: usize,
    /// Whether pairs that share a molecule or a text are each other's negatives (the release: yes).
    pub equal_pairs_are_negatives: bool,
    /// Course of the learning rate (constant).
    pub schedule: Schedule,
    /// Steps of linear warm-up (0).
    pub warmup_steps: usize,
    /// Peak learning rate of every weight (1e-4).
    pub learning_rate: f64,
    /// Decoupled weight decay of matrices (0).
    pub weight_decay: f64,
    /// Largest norm of the gradient of all weights together (1).
    pub clip_norm: f64,
    /// Steps between checkpoints.
    pub checkpoint_every: usize,
    /// Steps between looks at the validation pairs.
    pub validate_every: usize,
    /// Validation pairs that such a look ranks among each other.
    pub validation_pairs: usize,
    /// Validation pairs whose sides such a look writes from each other; 0 for none.
    pub generated_pairs: usize,
    /// Longest sequence that it writes, in tokens.
    pub generated_tokens: usize,
}

/// What the weights begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// Nothing: random weights from the seed.
    Random,
    /// A T5 in Hugging Face's names; the rest is random.
    T5,
    /// The whole state of a released training run, slow copy and queues too.
    Release,
}

/// The course of the learning rate after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// As it is.
    Constant,
    /// A cosine to a twentieth.
    Cosine,
}

impl AtomasTrainConfig {
    /// Reads and checks a JSON config.
    ///
    /// # Errors
    /// Names the field that is wrong.
    pub fn from_json(text: &str) -> Result<Self> {
        let config: Self =
            serde_json::from_str(text).map_err(|e| EncoderError::Config(e.to_string()))?;
        config.model.check()?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        let fail = |reason: String| Err(EncoderError::Config(reason));
        check_pace(self.steps, self.batch_size, self.checkpoint_every, self.validate_every)?;
        check_kinds(&self.kinds)?;
        let (queue, batch) = (self.queue_size, self.batch_size);
        if queue == 0 || queue % batch != 0 {
            return fail(format!(
                "queue_size is {queue}, must be a multiple of batch_size {batch}"
            ));
        }
        let losses = &self.losses;
        for (name, share) in
            [("momentum", self.momentum), ("losses.soft_targets", losses.soft_targets)]
        {
            if !(0.0..=1.0).contains(&share) {
                return fail(format!("{name} is {share}, must be 0..=1"));
            }
        }
        let weights =
            [losses.contrast, losses.alignment, losses.molecule_generation, losses.text_generation];
        if !weights.iter().all(|&w| w >= 0.0 && w.is_finite()) || weights.iter().all(|&w| w == 0.0)
        {
            return fail("losses must not be negative, and one of them positive".into());
        }
        if self.generated_pairs > 0 && self.generated_tokens == 0 {
            return fail("generated_tokens must be positive where generated_pairs is".into());
        }
        Ok(())
    }

    pub(super) fn momentum(&self) -> MomentumShape {
        MomentumShape { momentum: self.momentum, queue: self.queue_size }
    }

    /// Learning rate factor at `step` (from 0).
    pub(super) fn rate_factor(&self, step: usize) -> f64 {
        match self.schedule {
            Schedule::Constant => ((step + 1) as f64 / self.warmup_steps.max(1) as f64).min(1.0),
            Schedule::Cosine => warm_cosine(step, self.warmup_steps, self.steps),
        }
    }
}
