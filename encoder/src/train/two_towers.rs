//! The recipe of the two towers: contrastive at all three levels, with the other pairs of the batch as negatives.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use candle_core::DType;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    adamw::Optimiser,
    augment::{self, Window},
    checkpoint::RunState,
    config::{TextStart, TrainConfig},
    data::{Dataset, Example, read_example},
    event::TrainEvent,
    frozen::FrozenTexts,
    known::KnownVectors,
    loss::{global_loss, losses},
    run::{self, Forward, Plan, Recipe},
    sampler::Sampler,
    validate::validate,
};
use crate::{
    device::DeviceChoice,
    error::Result,
    features::is_table,
    fingerprint, head, minilm, model,
    molecule::MoleculeInput,
    params::Params,
    ragged::Segments,
    tokenize::{TextInput, TextReader},
    towers::Towers,
};

/// The files of a run.
#[derive(Clone, Debug)]
pub struct TrainPaths {
    /// Pairs of molecule and text, JSON lines, gzipped or not.
    pub pairs: PathBuf,
    /// Where the weights begin.
    pub begin: Beginning,
    /// Where the run keeps its state and log, and the model when it is done. A run that began there is resumed.
    pub out: PathBuf,
}

/// Where the weights of a run begin.
#[derive(Clone, Debug)]
pub enum Beginning {
    /// Seeded noise, and the text tower at all-MiniLM-L6-v2 unless the config lets it start from nothing: a directory with
    /// that model's `tokenizer.json` and `model.safetensors`.
    TextModel(PathBuf),
    /// Everything at a model of ours with the same sizes: a model directory. Tables of features that it lacks are new.
    Model(PathBuf),
}

impl Beginning {
    fn dir(&self) -> &Path {
        match self {
            Self::TextModel(dir) | Self::Model(dir) => dir,
        }
    }

    /// First weights, and the fingerprint of the model they come from, if it is one of ours.
    fn params(&self, config: &TrainConfig) -> Result<(Params, Option<String>)> {
        let (specs, weights) = (Towers::specs(&config.model), self.dir().join("model.safetensors"));
        match self {
            Self::TextModel(_) => {
                let mut params = Params::initialise(&specs, config.seed)?;
                if config.text_start == TextStart::Minilm {
                    minilm::load_into(&mut params, &config.model.text, &weights)?;
                }
                Ok((params, None))
            }
            Self::Model(dir) => {
                let fingerprint = fingerprint::verify(dir)?;
                let known = Towers::specs(&model::read_config(dir)?);
                let mut params = Params::initialise(&specs, config.seed)?;
                params.take(Params::load(&weights, &known)?, is_table)?;
                Ok((params, Some(fingerprint)))
            }
        }
    }
}

/// Trains a model, or goes on with a run, and writes the model to `out/model`.
///
/// A run may go on on another device; its numbers are then the same to rounding, not to the bit.
///
/// # Errors
/// A config that does not fit the data or an earlier run in the same place, a device that is not there, files that cannot be
/// read or written, and a loss that is no longer finite.
pub fn train(
    config: &TrainConfig,
    paths: &TrainPaths,
    device: DeviceChoice,
    tell: impl FnMut(&TrainEvent),
) -> Result<()> {
    let device = device.open()?;
    let tokenizer = paths.begin.dir().join("tokenizer.json");
    let reader = TextReader::load(&tokenizer, &config.model)?;
    let data = Dataset::read(&paths.pairs, config.kinds.keys(), |row| {
        read_example(row, &config.model, &reader)
    })?;
    let mut params = paths.begin.params(config)?;
    data.weigh_features(&mut params.0, &config.model)?;
    params.0.move_to(&device)?;
    run::run(&mut TwoTowers::begin(config, params, &data, tokenizer)?, &paths.out, tell)
}

/// Everything that a step needs.
struct TwoTowers<'a> {
    config: &'a TrainConfig,
    data: &'a Dataset<Example>,
    tokenizer: PathBuf,
    params: Params,
    towers: Towers,
    frozen: FrozenTexts,
    known: KnownVectors,
    sampler: Sampler,
    /// Fingerprint of the model that the run began from, if it was one of ours.
    from: Option<String>,
}

impl<'a> TwoTowers<'a> {
    fn begin(
        config: &'a TrainConfig,
        (mut params, from): (Params, Option<String>),
        data: &'a Dataset<Example>,
        tokenizer: PathBuf,
    ) -> Result<Self> {
        let trains =
            |name: &str| !config.features_alone || is_global_table(name) || name == "logit_scales";
        params
            .make_trainable(|name| trains(name) && !is_frozen(name, config.frozen_text_layers))?;
        let sampler = Sampler::new(&data.counts(), &config.kinds, config.batch_size, config.seed)
            .with_neighbours(data.neighbours(config.similar), config.similar);
        let towers = Towers::load(&params, &config.model)?;
        let frozen = FrozenTexts::new(config.frozen_text_layers, config.model.text.width);
        let known = KnownVectors::default();
        Ok(Self { config, data, tokenizer, params, towers, frozen, known, sampler, from })
    }
}

impl Recipe for TwoTowers<'_> {
    fn plan(&self) -> Plan {
        let TrainConfig { steps, checkpoint_every, validate_every, .. } = *self.config;
        Plan { steps, checkpoint_every, validate_every }
    }

    fn identity(&self) -> Result<RunState> {
        RunState::new(self.config, &self.data.digest, self.from.clone())
    }

    fn ready(&self, resumed_at: usize) -> TrainEvent {
        self.data.ready(&self.params, resumed_at)
    }

    fn params(&self) -> &Params {
        &self.params
    }

    fn skip(&mut self, steps: usize) {
        (0..steps).for_each(|_| drop(self.sampler.next_batch()));
    }

    fn forward(&mut self, step: usize) -> Result<Forward> {
        let (kind, chosen) = self.sampler.next_batch();
        let kind = kind.to_owned();
        let pairs = &self.data.train[&kind];
        let batch: Vec<(usize, &Example)> = chosen.into_iter().map(|i| (i, &pairs[i])).collect();
        let mut rng = StdRng::seed_from_u64(self.config.seed ^ (step as u64 + 1) << 20);
        match self.config.features_alone {
            true => self.features_loss(kind, &batch, &mut rng),
            false => self.losses(kind, &batch, &mut rng),
        }
    }

    fn optimiser(&self) -> Optimiser {
        let TrainConfig { weight_decay, clip_norm, .. } = *self.config;
        Optimiser { beta2: 0.98, weight_decay, clip_norm }
    }

    fn schedule(&self, step: usize) -> f64 {
        self.config.schedule(step)
    }

    fn peak_rate(&self, name: &str) -> f64 {
        if is_table(name) && self.config.feature_learning_rate > 0.0 {
            return self.config.feature_learning_rate;
        }
        let text_tower = name.starts_with("text.") && !name.starts_with("text.head");
        if text_tower { self.config.text_learning_rate } else { self.config.learning_rate }
    }

    fn validate(&self, step: usize) -> Result<TrainEvent> {
        let last = step == self.config.steps;
        let most = if last { usize::MAX } else { self.config.validation_pairs };
        let pairs: Vec<&Example> = self.data.validation.iter().take(most).collect();
        let [text_to_molecule, molecule_to_text] = validate(&self.towers, &pairs)?;
        Ok(TrainEvent::Validation { step, text_to_molecule, molecule_to_text, generation: None })
    }

    fn save(&self, dir: &Path) -> Result<()> {
        model::save(dir, &self.config.model, &self.params, &self.tokenizer, DType::F16)
    }
}

impl TwoTowers<'_> {
    /// The loss of the global vectors where only the tables of features are trained.
    fn features_loss(
        &mut self,
        kind: String,
        batch: &[(usize, &Example)],
        rng: &mut StdRng,
    ) -> Result<Forward> {
        let Drawn { windows, graphs } = Drawn::new(batch, self.config, rng);
        let inputs: Vec<_> = windows.iter().map(|w| &w.input).collect();
        let texts = self.towers.text.global_features(&inputs)?;
        let molecules = self.towers.molecule.global_features(&graphs.iter().collect::<Vec<_>>())?;
        let dropout = self.config.tower_dropout.get(&kind).copied().unwrap_or(0.0);
        let (text, molecule) = match rng.random_bool(dropout) {
            true => (None, None),
            false => (
                Some(self.known.texts(&self.towers, &kind, batch, &windows)?),
                Some(self.known.molecules(&self.towers, &kind, batch)?),
            ),
        };
        let (texts, molecules) = (head::join(text, texts)?, head::join(molecule, molecules)?);
        let loss = global_loss(&self.towers, &texts, &molecules, same(batch, &inputs))?;
        let parts = BTreeMap::from([("global", loss.to_scalar()?)]);
        Ok(Forward { kind, loss, parts })
    }

    /// The weighted loss of a batch and its three levels.
    fn losses(
        &mut self,
        kind: String,
        batch: &[(usize, &Example)],
        rng: &mut StdRng,
    ) -> Result<Forward> {
        let Drawn { windows, graphs } = Drawn::new(batch, self.config, rng);
        let frozen = self.frozen.rows(&self.towers.text, &kind, batch, &windows)?;
        let segments = Arc::new(Segments::from_lengths(windows.iter().map(|w| w.pieces.len())));
        let layers = self.config.frozen_text_layers..self.towers.text.layers();
        let hidden = self.towers.text.layers_forward(&frozen, &segments, layers)?;
        let inputs: Vec<_> = windows.iter().map(|w| &w.input).collect();
        let texts = self.towers.text_levels(&hidden, &segments, &inputs)?;

        let fragments: Vec<_> = batch.iter().map(|(_, e)| e.fragments.as_slice()).collect();
        let molecules = self.towers.molecules(&graphs.iter().collect::<Vec<_>>(), &fragments)?;

        let losses = losses(&self.towers, &texts, &molecules, same(batch, &inputs))?;
        let weighted = ((&losses.fragment * self.config.fragment_loss)?
            + (&losses.token * self.config.token_loss)?)?;
        let parts = BTreeMap::from([
            ("global", losses.global.to_scalar()?),
            ("fragment", losses.fragment.to_scalar()?),
            ("token", losses.token.to_scalar()?),
        ]);
        Ok(Forward { kind, loss: (&losses.global + weighted)?, parts })
    }
}

/// What a step reads of a batch, some of it left out.
struct Drawn {
    windows: Vec<Window>,
    graphs: Vec<MoleculeInput>,
}

impl Drawn {
    fn new(batch: &[(usize, &Example)], config: &TrainConfig, rng: &mut StdRng) -> Self {
        let windows = batch.iter().map(|(_, e)| augment::excerpt(e, config, rng)).collect();
        let graphs = batch.iter().map(|(_, e)| augment::masked(&e.molecule, config, rng)).collect();
        Self { windows, graphs }
    }
}

/// Pairs of one molecule or of one text, which are not each other's negatives.
fn same(batch: &[(usize, &Example)], texts: &[&TextInput]) -> impl Fn(usize, usize) -> bool {
    move |i, j| batch[i].1.is_same(batch[j].1) || texts[i].ids == texts[j].ids
}

/// True for tables of features of whole texts and molecules.
fn is_global_table(name: &str) -> bool {
    name.ends_with(".features.global")
}

/// True for weights that stay as the text model brought them, or as the data made them.
fn is_frozen(name: &str, frozen_layers: usize) -> bool {
    let layer = name
        .strip_prefix("text.layers.")
        .and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
    let input =
        ["text.words", "text.positions", "text.norm"].iter().any(|prefix| name.starts_with(prefix));
    let frozen = frozen_layers > 0 && (input || layer.is_some_and(|layer| layer < frozen_layers));
    frozen || name.ends_with(".features.idf")
}
