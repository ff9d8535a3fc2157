//! The frame of every training run: it counts steps, moves weights, keeps the state and the log, and goes on where a
//! killed run stopped. What is computed is a [`Recipe`]'s business.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
    time::Instant,
};

use candle_core::Tensor;

use super::{
    adamw::{AdamW, Optimiser, StepSize},
    checkpoint::{self, RunState},
    event::{Log, TrainEvent},
};
use crate::{
    error::{EncoderError, Result},
    params::Params,
};

/// How long a run is and how often it looks up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) steps: usize,
    pub(super) checkpoint_every: usize,
    pub(super) validate_every: usize,
}

/// The loss of one step.
pub(super) struct Forward {
    /// What the batch is made of.
    pub(super) kind: String,
    /// What is descended, a scalar.
    pub(super) loss: Tensor,
    /// Its parts for the log, each before its weight.
    pub(super) parts: BTreeMap<&'static str, f32>,
}

/// One way of training. Whatever a step draws must follow from the config and the number of the step alone.
pub(super) trait Recipe {
    /// Length and pace of the run.
    fn plan(&self) -> Plan;

    /// What a run must share with an earlier one in the same place to go on with it.
    fn identity(&self) -> Result<RunState>;

    /// The first line of the log.
    fn ready(&self, resumed_at: usize) -> TrainEvent;

    /// The weights; the frame moves those that are trainable.
    fn params(&self) -> &Params;

    /// State beside trainable weights and moments that a resumed run needs.
    fn buffers(&self) -> Result<HashMap<String, Tensor>> {
        Ok(HashMap::new())
    }

    /// Takes the [`Self::buffers`] of an earlier run from its state.
    fn restore_buffers(&mut self, _state: &HashMap<String, Tensor>) -> Result<()> {
        Ok(())
    }

    /// Leaves out the batches of the first steps.
    fn skip(&mut self, steps: usize);

    /// Loss of the next batch; `step` counts the steps done.
    fn forward(&mut self, step: usize) -> Result<Forward>;

    /// How weights are moved.
    fn optimiser(&self) -> Optimiser;

    /// Factor of all learning rates at a step, from 0.
    fn schedule(&self, step: usize) -> f64;

    /// Peak learning rate of a weight.
    fn peak_rate(&self, name: &str) -> f64;

    /// Looks at the validation data after `step` steps.
    fn validate(&self, step: usize) -> Result<TrainEvent>;

    /// Writes the model as it is.
    fn save(&self, dir: &Path) -> Result<()>;
}

/// Runs a recipe to its end, or goes on with the run in `out`, and writes the model to `out/model`.
pub(super) fn run(
    recipe: &mut impl Recipe,
    out: &Path,
    mut tell: impl FnMut(&TrainEvent),
) -> Result<()> {
    fs::create_dir_all(out).map_err(|source| EncoderError::Io { path: out.into(), source })?;
    let mut log = Log::open(out)?;
    let mut tell = |event: TrainEvent| {
        tell(&event);
        log.write(&event)
    };
    let (mut state, mut adam) = begin(recipe, out)?;
    let plan = recipe.plan();
    let model = out.join("model");
    tell(recipe.ready(state.step))?;
    while state.step < plan.steps {
        tell(step(recipe, &mut state, &mut adam)?)?;
        let last = state.step == plan.steps;
        if last || state.step.is_multiple_of(plan.checkpoint_every) {
            checkpoint::save(out, &state, recipe.params(), &adam, recipe.buffers()?)?;
        }
        if last || state.step.is_multiple_of(plan.validate_every) {
            tell(recipe.validate(state.step)?)?;
            recipe.save(&model)?;
        }
    }
    recipe.save(&model)?;
    tell(TrainEvent::Saved { model })
}

/// The state of the run in `out`, with its weights given to the recipe, or a fresh one.
fn begin(recipe: &mut impl Recipe, out: &Path) -> Result<(RunState, AdamW)> {
    let fresh = recipe.identity()?;
    let Some((earlier, tensors)) = checkpoint::load(out)? else {
        return Ok((fresh, AdamW::default()));
    };
    let state = resumable(out, &fresh, earlier)?;
    let adam = checkpoint::restore(recipe.params(), &tensors)?;
    recipe.restore_buffers(&tensors)?;
    recipe.skip(state.step);
    Ok((state, adam))
}

fn step(recipe: &mut impl Recipe, state: &mut RunState, adam: &mut AdamW) -> Result<TrainEvent> {
    let begun = Instant::now();
    let Forward { kind, loss, parts } = recipe.forward(state.step)?;
    let grads = loss.backward()?;
    let schedule = recipe.schedule(state.step);
    let size = StepSize {
        rate: &|name| schedule * recipe.peak_rate(name),
        optimiser: recipe.optimiser(),
        step: state.step + 1,
    };
    let gradient_norm = adam.step(recipe.params(), &grads, &size)?;
    state.step += 1;
    let seconds = begun.elapsed().as_secs_f64();
    Ok(TrainEvent::Step { step: state.step, kind, losses: parts, gradient_norm, schedule, seconds })
}

/// Checks that an earlier run in this place is the same one.
fn resumable(out: &Path, ours: &RunState, earlier: RunState) -> Result<RunState> {
    let differs = match () {
        () if earlier.config != ours.config => "config",
        () if earlier.data_digest != ours.data_digest => "data",
        () if earlier.from != ours.from => "beginning",
        () => return Ok(earlier),
    };
    let reason = format!("holds a run with another {differs}; choose another --out or remove it");
    Err(EncoderError::Model { path: out.to_path_buf(), reason })
}
