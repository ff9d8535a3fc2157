//! What a training run is asked to do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    config::ModelConfig,
    error::{EncoderError, Result},
};

/// A training run, as its JSON file says it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// The model to train.
    pub model: ModelConfig,
    /// Seed of every random choice.
    pub seed: u64,
    /// Optimiser steps in all.
    pub steps: usize,
    /// Pairs in a step; each is a negative for the others.
    pub batch_size: usize,
    /// Relative frequency of batches of each kind of text (`caption`, `tags`, `names`; `structure` is what the molecules of the
    /// others show, in words); a batch is of one kind.
    pub kinds: BTreeMap<String, f64>,
    /// Steps of linear warm-up; a cosine to a twentieth follows.
    pub warmup_steps: usize,
    /// Peak learning rate of the molecule tower, both heads and the scales.
    pub learning_rate: f64,
    /// Peak learning rate of the text tower below its head: lower when it begins pretrained.
    pub text_learning_rate: f64,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f64,
    /// Largest norm of the gradient of all weights together.
    pub clip_norm: f64,
    /// Where the text tower's weights come from. Left out of the JSON when it is the default, so that a run that began
    /// before this field was known can be resumed.
    #[serde(default, skip_serializing_if = "TextStart::is_default")]
    pub text_start: TextStart,
    /// Text layers that stay as they came; their output is computed once per text and kept.
    pub frozen_text_layers: usize,
    /// Longest text window, in word pieces, that a step reads.
    pub text_window: usize,
    /// Chance that a step reads one to three phrases of a text instead of a window, as a person asks.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub phrase_windows: f64,
    /// Pairs of like structure that stand together in a batch; 1 mixes at random.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub similar: usize,
    /// Chance that a word of a text is left out of a step.
    pub word_dropout: f64,
    /// Chance that an environment of an atom is masked in a step.
    pub environment_dropout: f64,
    /// Chance that a hashed feature of a text or a molecule is left out of a step.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub feature_dropout: f64,
    /// Peak learning rate of the tables of hashed features, whose rows most steps leave alone.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub feature_learning_rate: f64,
    /// True for a run that trains nothing but the tables of hashed features, by the global vector: the towers stay as they came,
    /// and are asked once for each text and molecule.
    #[serde(default, skip_serializing_if = "is_false")]
    pub features_alone: bool,
    /// Chance that such a step leaves the towers' vectors out, by kind of text; 1 where they are never asked. They know the
    /// training pairs better than any others, and what they know the tables would not learn.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tower_dropout: BTreeMap<String, f64>,
    /// Weight of the fragment level in the loss (the global level has 1).
    pub fragment_loss: f64,
    /// Weight of the token level in the loss.
    pub token_loss: f64,
    /// Steps between checkpoints.
    pub checkpoint_every: usize,
    /// Steps between looks at the validation pairs.
    pub validate_every: usize,
    /// Validation pairs that such a look ranks among each other.
    pub validation_pairs: usize,
}

/// Where the text tower's weights come from before the first step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextStart {
    /// all-MiniLM-L6-v2.
    #[default]
    Minilm,
    /// Nothing: random weights from the seed. No layer can be frozen then.
    Random,
}

impl TextStart {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Learning rate factor at `step` (from 0) of `steps`: linear warm-up, then a cosine from 1 to 0.05.
pub(super) fn warm_cosine(step: usize, warmup_steps: usize, steps: usize) -> f64 {
    if step < warmup_steps {
        return (step + 1) as f64 / warmup_steps as f64;
    }
    let span = (steps - warmup_steps.min(steps)).max(1) as f64;
    let progress = ((step - warmup_steps) as f64 / span).min(1.0);
    0.05 + 0.95 * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
}

impl TrainConfig {
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
        for (name, p) in [
            ("word_dropout", self.word_dropout),
            ("environment_dropout", self.environment_dropout),
            ("phrase_windows", self.phrase_windows),
            ("feature_dropout", self.feature_dropout),
        ] {
            if !(0.0..1.0).contains(&p) {
                return fail(format!("{name} is {p}, must be at least 0 and below 1"));
            }
        }
        if !(1..=self.batch_size).contains(&self.similar) {
            return fail(format!("similar is {}, must be 1..={}", self.similar, self.batch_size));
        }
        if let Some((kind, p)) = self.tower_dropout.iter().find(|(_, p)| !(0.0..=1.0).contains(*p))
        {
            return fail(format!("tower_dropout of {kind} is {p}, must be 0 to 1"));
        }
        if self.features_alone && self.model.features.is_none() {
            return fail("features_alone needs model.features".into());
        }
        if self.frozen_text_layers > self.model.text.layers {
            return fail(format!(
                "frozen_text_layers is more than the {} text layers",
                self.model.text.layers
            ));
        }
        if self.text_start == TextStart::Random && self.frozen_text_layers > 0 {
            return fail("frozen_text_layers must be 0 when text_start is `random`".into());
        }
        if !(8..=self.model.text.max_tokens).contains(&self.text_window) {
            return fail(format!("text_window must be 8..={}", self.model.text.max_tokens));
        }
        Ok(())
    }

    /// Learning rate factor at `step` (from 0).
    pub(super) fn schedule(&self, step: usize) -> f64 {
        warm_cosine(step, self.warmup_steps, self.steps)
    }
}

/// Counts that every recipe has.
pub(super) fn check_pace(
    steps: usize,
    batch_size: usize,
    checkpoint_every: usize,
    validate_every: usize,
) -> Result<()> {
    for (name, count, least) in [
        ("steps", steps, 1),
        ("batch_size", batch_size, 2),
        ("checkpoint_every", checkpoint_every, 1),
        ("validate_every", validate_every, 1),
    ] {
        if count < least {
            let reason = format!("{name} is {count}, must be at least {least}");
            return Err(EncoderError::Config(reason));
        }
    }
    Ok(())
}

/// Shares of the kinds of text.
pub(super) fn check_kinds(kinds: &BTreeMap<String, f64>) -> Result<()> {
    if kinds.is_empty() || kinds.values().any(|&share| !(share > 0.0 && share.is_finite())) {
        let reason = "kinds must give at least one kind of text a positive weight".to_owned();
        return Err(EncoderError::Config(reason));
    }
    Ok(())
}

fn one() -> usize {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_one(x: &usize) -> bool {
    *x == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_false(x: &bool) -> bool {
    !*x
}

fn is_zero(x: &f64) -> bool {
    *x == 0.0
}
