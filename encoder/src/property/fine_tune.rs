//! Fitting a head and the molecule tower below it together.
//!
//! What comes out is a model of its own: it is written as a model directory, and the head carries the fingerprint of that.
//! The head reads the encoder's block alone; the other blocks do not depend on the tower.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use moiety_chem::Molecule;
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde::{Deserialize, Serialize};

use super::{
    features::{Block, Features},
    fit::{Fit, FitConfig, Layers, target_standard, targets},
    labels::Labels,
    metrics::mean_over_tasks,
    network::{Network, NetworkShape},
    objective::loss,
    split::Split,
    standardise::{CLIP, Standard},
};
use crate::{
    Model, ModelConfig,
    error::{EncoderError, Result},
    model,
    molecule::MoleculeInput,
    ops,
    params::Params,
    parts::LevelTensors,
    towers::{BatchEncoding, Towers},
    train::adamw::{AdamW, StepSize},
};

/// How tower and head are fitted together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FineTuneConfig {
    /// How the head is fitted, and how long.
    pub head: FitConfig,
    /// Units of the head's hidden layer.
    pub hidden: usize,
    /// Learning rate of the tower.
    pub tower_learning_rate: f64,
}

/// A fine-tuned model's head.
pub struct FineTuned {
    /// The head's network and what chose it.
    pub fit: Fit,
    /// What the tuned model makes of the molecules.
    pub features: Features,
}

/// Fits the molecule tower of the model in `base` and a head on top of it, and writes the tuned model to `out`.
///
/// The epoch that is best on the validation rows is kept. The same arguments give the same model.
///
/// # Errors
/// Whatever loading, fitting and writing can fail with.
pub fn fine_tune(
    (base, out): (&Path, &Path),
    molecules: &[&Molecule],
    labels: &Labels,
    split: &Split,
    (config, seed): (&FineTuneConfig, u64),
) -> Result<FineTuned> {
    config.head.check()?;
    let mut tuning = Tuning::begin(base, molecules, labels, split, (config, seed))?;
    let mut best: Option<(usize, f64, Kept)> = None;
    for epoch in 1..=config.head.epochs {
        tuning.epoch()?;
        let validation = tuning.judge(&split.validation)?;
        let since = best.as_ref().map_or(0, |(best, ..)| epoch - best);
        if best.as_ref().is_none_or(|best| labels.kind().is_better(validation, best.1)) {
            best = Some((epoch, validation, tuning.keep()?));
        } else if since >= config.head.patience {
            break;
        }
    }
    let (epoch, validation, kept) =
        best.ok_or_else(|| EncoderError::Config("epochs must be at least 1".into()))?;
    model::save(out, &tuning.model, &kept.tower, &base.join("tokenizer.json"), DType::F16)?;
    let features = Features::compute(&Model::load(out, 0)?, molecules)?;
    Ok(FineTuned { fit: Fit { network: kept.network, validation, epoch }, features })
}

/// What is kept of the best epoch.
struct Kept {
    tower: Params,
    network: Network,
}

/// A molecule as the tower reads it.
struct Input {
    graph: MoleculeInput,
    fragments: Vec<Vec<u32>>,
}

/// A fit between two epochs.
struct Tuning<'a> {
    model: ModelConfig,
    labels: &'a Labels,
    config: &'a FineTuneConfig,
    inputs: Vec<Input>,
    tower: Params,
    towers: Towers,
    head: Params,
    layers: Layers,
    /// The scales of the untuned encodings, which the tuned ones keep.
    input: Standard,
    target: Standard,
    adam: [AdamW; 2],
    rows: Vec<usize>,
    rng: StdRng,
    step: usize,
}

impl<'a> Tuning<'a> {
    fn begin(
        base: &Path,
        molecules: &[&Molecule],
        labels: &'a Labels,
        split: &Split,
        (config, seed): (&'a FineTuneConfig, u64),
    ) -> Result<Self> {
        let untuned = Model::load(base, 0)?;
        let model = untuned.config().clone();
        let begun = Features::compute(&untuned, molecules)?;
        let input = Standard::of_features(&begun, &split.train, &[Block::Encoder]);
        let mut tower = Params::load(&base.join("model.safetensors"), &Towers::specs(&model))?;
        tower.make_trainable(|name| name.starts_with("molecule."))?;
        let tasks = labels.tasks().len();
        let shape = NetworkShape { inputs: input.mean.len(), hidden: config.hidden, tasks };
        let mut head = Params::initialise(&shape.specs(), seed)?;
        head.make_trainable(|_| true)?;
        let read = |molecule: &&Molecule| Input {
            graph: MoleculeInput::new(molecule, &model),
            fragments: molecule.fragments(),
        };
        Ok(Self {
            inputs: molecules.iter().map(read).collect(),
            towers: Towers::load(&tower, &model)?,
            layers: Layers::load(&head, shape)?,
            model,
            labels,
            config,
            tower,
            head,
            input,
            target: target_standard(labels, &split.train),
            adam: [AdamW::default(), AdamW::default()],
            rows: split.train.clone(),
            rng: StdRng::seed_from_u64(seed ^ 0x7475_6e65),
            step: 0,
        })
    }

    /// One pass over the training rows in a new order.
    fn epoch(&mut self) -> Result<()> {
        self.rows.shuffle(&mut self.rng);
        let rows = std::mem::take(&mut self.rows);
        let passed =
            rows.chunks(self.config.head.batch_size).try_for_each(|batch| self.batch(batch));
        self.rows = rows;
        passed
    }

    fn batch(&mut self, rows: &[usize]) -> Result<()> {
        let x = self.standardised(rows)?;
        let (targets, mask) = targets(self.labels, rows, &self.target)?;
        let z = self.layers.forward(&x, self.config.head.dropout, &mut self.rng)?;
        let grads = loss(&z, &targets, &mask, self.labels.kind())?.backward()?;
        self.step += 1;
        let rates = [self.config.tower_learning_rate, self.config.head.learning_rate];
        for ((params, adam), rate) in
            [&self.tower, &self.head].into_iter().zip(&mut self.adam).zip(rates)
        {
            let optimiser = self.config.head.optimiser();
            let size = StepSize { rate: &|_| rate, optimiser, step: self.step };
            adam.step(params, &grads, &size)?;
        }
        Ok(())
    }

    /// The head's inputs for some rows, [rows, inputs].
    fn standardised(&self, rows: &[usize]) -> Result<Tensor> {
        let inputs: Vec<&Input> = rows.iter().map(|&row| &self.inputs[row]).collect();
        let graphs: Vec<&MoleculeInput> = inputs.iter().map(|input| &input.graph).collect();
        let fragments: Vec<&[Vec<u32>]> = inputs.iter().map(|i| i.fragments.as_slice()).collect();
        let x = statistics(&self.towers.molecules(&graphs, &fragments)?)?;
        let column = |numbers: &[f32]| Tensor::from_slice(numbers, numbers.len(), &Device::Cpu);
        let x = x
            .broadcast_sub(&column(&self.input.mean)?)?
            .broadcast_mul(&column(&self.input.scale)?)?;
        Ok(x.clamp(-CLIP, CLIP)?)
    }

    /// The metric on some rows.
    fn judge(&mut self, rows: &[usize]) -> Result<f64> {
        let mut predicted = Vec::new();
        for batch in rows.chunks(self.config.head.batch_size) {
            let z = self.layers.forward(&self.standardised(batch)?, 0.0, &mut self.rng)?;
            predicted.extend(z.detach().flatten_all()?.to_vec1::<f32>()?);
        }
        // Standardised numbers go back to their unit; logits rank as their probabilities do.
        let tasks = self.labels.tasks().len();
        for (at, z) in predicted.iter_mut().enumerate() {
            *z = self.target.undo(at % tasks, *z);
        }
        mean_over_tasks(self.labels, rows, &predicted).ok_or_else(|| {
            EncoderError::Config("no task can be judged on the validation rows".into())
        })
    }

    /// The weights as they are now.
    fn keep(&self) -> Result<Kept> {
        let mut tower = Params::default();
        for spec in Towers::specs(&self.model) {
            tower.insert(&spec.name, self.tower.get(&spec.name)?.detach().copy()?);
        }
        let standards = (self.input.clone(), self.target.clone());
        let network = Network::of(&self.head, self.labels.kind(), &[Block::Encoder], standards)?;
        Ok(Kept { tower, network })
    }
}

/// The encoder's block of a batch, as `features` makes it of finished encodings.
fn statistics(batch: &BatchEncoding) -> Result<Tensor> {
    let mut columns = vec![batch.global.clone()];
    for level in [&batch.tokens, &batch.fragments] {
        let LevelTensors { vectors, weights, items } = level;
        columns.push(ops::segment_weighted_sum(vectors, weights, items)?);
        columns.push(ops::segment_weighted_sum(&vectors.sqr()?, weights, items)?);
        let counts: Vec<f32> = items.ranges().map(|range| (range.len() as f32).ln_1p()).collect();
        columns.push(Tensor::from_vec(counts, (items.len(), 1), &Device::Cpu)?);
    }
    Ok(Tensor::cat(&columns, 1)?)
}
