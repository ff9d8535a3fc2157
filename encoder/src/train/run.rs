//! The training loop.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    time::Instant,
};

use candle_core::{DType, Tensor};
use rand::{SeedableRng, rngs::StdRng};
use serde::Serialize;

use super::{
    adamw::{AdamW, StepSize},
    augment, checkpoint,
    checkpoint::RunState,
    config::{TextStart, TrainConfig},
    data::{Dataset, Example},
    frozen::FrozenTexts,
    loss::losses,
    sampler::Sampler,
    validate::validate,
};
use crate::{
    error::{EncoderError, Result},
    fingerprint, minilm, model,
    params::Params,
    ragged::Segments,
    retrieval::RankingMetrics,
    tokenize::TextReader,
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
    /// Everything at a model of ours with the same sizes: a model directory.
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
                Ok((Params::load(&weights, &specs)?, Some(fingerprint)))
            }
        }
    }
}

/// What a run tells while it goes on; also the lines of its log.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum TrainEvent {
    /// Data is read and the first step near.
    Ready {
        /// Training pairs.
        pairs: usize,
        /// Pairs left out because they cannot be read.
        skipped: usize,
        /// Validation pairs.
        validation: usize,
        /// SHA-256 of the pairs file.
        data_digest: String,
        /// Weights that are trained.
        trainable: usize,
        /// Steps done before.
        resumed_at: usize,
    },
    /// One step is done.
    Step {
        /// Its number, from 1.
        step: usize,
        /// Kind of text of its batch.
        kind: String,
        /// Loss at the global level.
        global: f32,
        /// Loss at the fragment level.
        fragment: f32,
        /// Loss at the token level.
        token: f32,
        /// Norm of the gradient before clipping.
        gradient_norm: f64,
        /// Factor of the learning rates.
        schedule: f64,
        /// Seconds the step took.
        seconds: f64,
    },
    /// The validation pairs were ranked.
    Validation {
        /// Steps done.
        step: usize,
        /// Captions against molecules.
        text_to_molecule: RankingMetrics,
        /// Molecules against captions.
        molecule_to_text: RankingMetrics,
    },
    /// The model was written.
    Saved {
        /// Its directory.
        model: PathBuf,
    },
}

/// Trains a model, or goes on with a run, and writes the model to `out/model`.
///
/// # Errors
/// A config that does not fit the data or an earlier run in the same place, files that cannot be read or written, and a
/// loss that is no longer finite.
pub fn train(
    config: &TrainConfig,
    paths: &TrainPaths,
    mut tell: impl FnMut(&TrainEvent),
) -> Result<()> {
    fs::create_dir_all(&paths.out)
        .map_err(|source| EncoderError::Io { path: paths.out.clone(), source })?;
    let text = &config.model.text;
    let tokenizer = paths.begin.dir().join("tokenizer.json");
    let reader = TextReader::load(&tokenizer, text.max_tokens, text.vocabulary)?;
    let kinds: Vec<&str> = config.kinds.keys().map(String::as_str).collect();
    let data = Dataset::read(&paths.pairs, &config.model, &reader, &kinds)?;
    let mut log = Log::open(&paths.out)?;
    let mut tell = |event: TrainEvent| {
        tell(&event);
        log.write(&event)
    };
    let mut run = Run::begin(config, paths, &data)?;
    tell(run.ready())?;
    while run.state.step < config.steps {
        tell(run.step()?)?;
        let last = run.state.step == config.steps;
        if last || run.state.step.is_multiple_of(config.checkpoint_every) {
            checkpoint::save(&paths.out, &run.state, &run.params, &run.adam)?;
        }
        if last || run.state.step.is_multiple_of(config.validate_every) {
            tell(run.validate(if last { usize::MAX } else { config.validation_pairs })?)?;
            model::save(
                &paths.out.join("model"),
                &config.model,
                &run.params,
                &tokenizer,
                DType::F16,
            )?;
        }
    }
    let model = paths.out.join("model");
    model::save(&model, &config.model, &run.params, &tokenizer, DType::F16)?;
    tell(TrainEvent::Saved { model })
}

/// A run between two steps.
struct Run<'a> {
    config: &'a TrainConfig,
    data: &'a Dataset,
    params: Params,
    towers: Towers,
    adam: AdamW,
    frozen: FrozenTexts,
    sampler: Sampler,
    state: RunState,
}

impl<'a> Run<'a> {
    fn begin(config: &'a TrainConfig, paths: &TrainPaths, data: &'a Dataset) -> Result<Self> {
        let (mut params, from) = paths.begin.params(config)?;
        params.make_trainable(|name| !is_frozen(name, config.frozen_text_layers))?;
        let counts = data.train.iter().map(|(kind, pairs)| (kind.as_str(), pairs.len())).collect();
        let mut sampler = Sampler::new(&counts, &config.kinds, config.batch_size, config.seed)
            .with_neighbours(data.neighbours(config.similar), config.similar);
        let json = serde_json::to_value(config).map_err(|e| EncoderError::Config(e.to_string()))?;
        let mut state = RunState { step: 0, config: json, data_digest: data.digest.clone(), from };
        let mut adam = AdamW::default();
        if let Some((earlier, tensors)) = checkpoint::load(&paths.out)? {
            state = resumable(&paths.out, state, earlier)?;
            adam = checkpoint::restore(&params, &tensors)?;
            (0..state.step).for_each(|_| drop(sampler.next_batch()));
        }
        let towers = Towers::load(&params, &config.model)?;
        let frozen = FrozenTexts::new(config.frozen_text_layers, config.model.text.width);
        Ok(Self { config, data, params, towers, adam, frozen, sampler, state })
    }

    fn ready(&self) -> TrainEvent {
        TrainEvent::Ready {
            pairs: self.data.pairs(),
            skipped: self.data.skipped,
            validation: self.data.validation.len(),
            data_digest: self.data.digest.clone(),
            trainable: self.params.vars().map(|(_, var)| var.elem_count()).sum(),
            resumed_at: self.state.step,
        }
    }

    fn step(&mut self) -> Result<TrainEvent> {
        let begun = Instant::now();
        let (kind, chosen) = self.sampler.next_batch();
        let kind = kind.to_owned();
        let pairs = &self.data.train[&kind];
        let batch: Vec<(usize, &Example)> = chosen.into_iter().map(|i| (i, &pairs[i])).collect();
        let mut rng = StdRng::seed_from_u64(self.config.seed ^ (self.state.step as u64 + 1) << 20);
        let (loss, [global, fragment, token]) = self.forward(&kind, &batch, &mut rng)?;
        let grads = loss.backward()?;
        let schedule = self.config.schedule(self.state.step);
        let size = StepSize {
            rate: &|name| schedule * peak_rate(name, self.config),
            weight_decay: self.config.weight_decay,
            clip_norm: self.config.clip_norm,
            step: self.state.step + 1,
        };
        let gradient_norm = self.adam.step(&self.params, &grads, &size)?;
        self.state.step += 1;
        let seconds = begun.elapsed().as_secs_f64();
        Ok(TrainEvent::Step {
            step: self.state.step,
            kind,
            global,
            fragment,
            token,
            gradient_norm,
            schedule,
            seconds,
        })
    }

    /// The weighted loss of a batch and its three levels.
    fn forward(
        &mut self,
        kind: &str,
        batch: &[(usize, &Example)],
        rng: &mut StdRng,
    ) -> Result<(Tensor, [f32; 3])> {
        let windows: Vec<_> =
            batch.iter().map(|(_, e)| augment::excerpt(&e.text, self.config, rng)).collect();
        let frozen = self.frozen.rows(&self.towers.text, kind, batch, &windows)?;
        let segments =
            std::sync::Arc::new(Segments::from_lengths(windows.iter().map(|w| w.pieces.len())));
        let layers = self.config.frozen_text_layers..self.towers.text.layers();
        let hidden = self.towers.text.layers_forward(&frozen, &segments, layers)?;
        let inputs: Vec<_> = windows.iter().map(|w| &w.input).collect();
        let texts = self.towers.text_levels(&hidden, &segments, &inputs)?;

        let graphs: Vec<_> = batch.iter().map(|(_, e)| &e.molecule).collect();
        let fragments: Vec<_> = batch.iter().map(|(_, e)| e.fragments.as_slice()).collect();
        let rows = graphs.iter().flat_map(|m| augment::masked_rows(m, self.config, rng)).collect();
        let molecules = self.towers.molecules(rows, &graphs, &fragments)?;

        let same = |i: usize, j: usize| {
            batch[i].1.inchikey == batch[j].1.inchikey || inputs[i].ids == inputs[j].ids
        };
        let losses = losses(&self.towers, &texts, &molecules, same)?;
        let weighted = ((&losses.fragment * self.config.fragment_loss)?
            + (&losses.token * self.config.token_loss)?)?;
        let values =
            [&losses.global, &losses.fragment, &losses.token].map(|l| l.to_scalar::<f32>());
        let [global, fragment, token] = values;
        Ok(((&losses.global + weighted)?, [global?, fragment?, token?]))
    }

    fn validate(&self, most: usize) -> Result<TrainEvent> {
        let pairs: Vec<&Example> = self.data.validation.iter().take(most).collect();
        let [text_to_molecule, molecule_to_text] = validate(&self.towers, &pairs)?;
        Ok(TrainEvent::Validation { step: self.state.step, text_to_molecule, molecule_to_text })
    }
}

/// True for weights that stay as the text model brought them.
fn is_frozen(name: &str, frozen_layers: usize) -> bool {
    let layer = name
        .strip_prefix("text.layers.")
        .and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
    let input =
        ["text.words", "text.positions", "text.norm"].iter().any(|prefix| name.starts_with(prefix));
    frozen_layers > 0 && (input || layer.is_some_and(|layer| layer < frozen_layers))
}

fn peak_rate(name: &str, config: &TrainConfig) -> f64 {
    let text_tower = name.starts_with("text.") && !name.starts_with("text.head");
    if text_tower { config.text_learning_rate } else { config.learning_rate }
}

/// Checks that an earlier run in this place is the same one.
fn resumable(out: &Path, ours: RunState, earlier: RunState) -> Result<RunState> {
    let differs = match () {
        () if earlier.config != ours.config => "config",
        () if earlier.data_digest != ours.data_digest => "data",
        () if earlier.from != ours.from => "beginning",
        () => return Ok(earlier),
    };
    let reason = format!("holds a run with another {differs}; choose another --out or remove it");
    Err(EncoderError::Model { path: out.to_path_buf(), reason })
}

/// `log.jsonl`, one event a line.
struct Log {
    path: PathBuf,
    file: fs::File,
}

impl Log {
    fn open(out: &Path) -> Result<Self> {
        let path = out.join("log.jsonl");
        match OpenOptions::new().create(true).append(true).open(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(EncoderError::Io { path, source }),
        }
    }

    fn write(&mut self, event: &TrainEvent) -> Result<()> {
        let json = serde_json::to_string(event).map_err(|e| EncoderError::Config(e.to_string()))?;
        writeln!(self.file, "{json}")
            .map_err(|source| EncoderError::Io { path: self.path.clone(), source })
    }
}
