//! The steps of an Atomas, for the frame of every run.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use candle_core::{DType, Device, Tensor};
use moiety_chem::Molecule;

use super::{
    beginning::{self, AtomasPaths, FirstWeights},
    config::AtomasTrainConfig,
    generation,
};
use crate::{
    DeviceChoice,
    atomas::{Input, Learner, Modality, PairBatch, Reader, TokenBatch},
    contrastive,
    error::{EncoderError, Result},
    model,
    params::Params,
    retrieval::RankingMetrics,
    t5::Dropout,
    train::{
        TrainEvent,
        adamw::Optimiser,
        checkpoint::RunState,
        data::{Dataset, Row},
        run::{self, Forward, Plan, Recipe},
        sampler::Sampler,
        validate::rankings,
    },
};

/// Second moment's decay in the release.
const BETA2: f64 = 0.999;
/// Validation pairs that one pass encodes.
const PASS: usize = 32;

/// One pair as the network reads it.
pub(super) struct Example {
    pub(super) text: Input,
    pub(super) smiles: Input,
    inchikey: String,
    pub(super) canonical_smiles: String,
    pub(super) caption: String,
}

/// Trains an Atomas, or goes on with a run, and writes the model to `out/model`.
///
/// # Errors
/// A config that does not fit the data or an earlier run in the same place, a device that is not there, files that cannot be
/// read or written, and a loss that is no longer finite.
pub fn train_atomas(
    config: &AtomasTrainConfig,
    paths: &AtomasPaths,
    device: DeviceChoice,
    tell: impl FnMut(&TrainEvent),
) -> Result<()> {
    let device = device.open()?;
    let tokenizer = beginning::tokenizer(config, paths)?;
    let reader = Reader::load(&tokenizer, &config.model)?;
    let data = Dataset::read(&paths.pairs, config.kinds.keys(), |row| read_example(row, &reader))?;
    if let Some((kind, count)) = data.counts().into_iter().find(|(_, n)| *n < config.batch_size) {
        return Err(EncoderError::Config(format!(
            "{} has {count} open pairs of kind `{kind}`, fewer than batch_size {}",
            paths.pairs.display(),
            config.batch_size
        )));
    }
    let mut first = FirstWeights::read(config, &paths.begin)?;
    first.params.move_to(&device)?;
    let mut recipe = Atomas::begin(config, first, &data, (reader, tokenizer))?;
    run::run(&mut recipe, &paths.out, tell)
}

fn read_example(row: &Row, reader: &Reader) -> Option<Example> {
    let molecule = Molecule::from_smiles(&row.smiles).ok()?;
    Some(Example {
        text: reader.text(&row.text, 0).ok()?,
        smiles: reader.molecule(&molecule, 0).ok()?,
        inchikey: row.inchikey.clone(),
        canonical_smiles: molecule.written().ok()?.text,
        caption: row.text.clone(),
    })
}

/// Everything that a step needs.
struct Atomas<'a> {
    config: &'a AtomasTrainConfig,
    data: &'a Dataset<Example>,
    reader: Reader,
    tokenizer: PathBuf,
    learner: Learner,
    sampler: Sampler,
    /// Fingerprint of the model that the run began from, if it was one of ours.
    from: Option<String>,
}

impl<'a> Atomas<'a> {
    fn begin(
        config: &'a AtomasTrainConfig,
        first: FirstWeights,
        data: &'a Dataset<Example>,
        (reader, tokenizer): (Reader, PathBuf),
    ) -> Result<Self> {
        let learner = Learner::begin(
            first.params,
            &config.model,
            (config.momentum(), config.losses),
            config.seed,
            first.slow.as_ref(),
        )?;
        let sampler = Sampler::new(&data.counts(), &config.kinds, config.batch_size, config.seed);
        Ok(Self { config, data, reader, tokenizer, learner, sampler, from: first.from })
    }

    fn device(&self) -> &Device {
        self.learner.params.device()
    }

    fn batch(&self, pairs: &[&Example]) -> Result<PairBatch> {
        let ids = |side: fn(&Example) -> &Input| -> Vec<&[u32]> {
            pairs.iter().map(|pair| side(pair).ids.as_slice()).collect()
        };
        let (texts, smiles) = (ids(|pair| &pair.text), ids(|pair| &pair.smiles));
        let mut batch = PairBatch::new(&texts, &smiles, &self.config.model, self.device())?;
        if !self.config.equal_pairs_are_negatives {
            let same =
                |i: usize, j: usize| pairs[i].inchikey == pairs[j].inchikey || texts[i] == texts[j];
            batch.mask = Some(contrastive::mask(pairs.len(), self.device(), same)?);
        }
        Ok(batch)
    }

    /// Global vectors of texts and molecules, row after row.
    fn global_vectors(&self, pairs: &[&Example]) -> Result<[Vec<f32>; 2]> {
        let mut vectors = [Vec::new(), Vec::new()];
        for pass in pairs.chunks(PASS) {
            for (modality, vectors) in Modality::BOTH.into_iter().zip(&mut vectors) {
                let ids: Vec<&[u32]> = pass
                    .iter()
                    .map(|pair| match modality {
                        Modality::Text => pair.text.ids.as_slice(),
                        Modality::Smiles => pair.smiles.ids.as_slice(),
                    })
                    .collect();
                let batch = TokenBatch::new(&ids, &self.config.model, self.device())?;
                let encoder = &self.learner.network.encoder;
                let encoded = encoder.encode(modality, &batch, &mut Dropout::off())?;
                vectors.extend(encoded.global.detach().flatten_all()?.to_vec1::<f32>()?);
            }
        }
        Ok(vectors)
    }
}

impl Recipe for Atomas<'_> {
    fn plan(&self) -> Plan {
        let AtomasTrainConfig { steps, checkpoint_every, validate_every, .. } = *self.config;
        Plan { steps, checkpoint_every, validate_every }
    }

    fn identity(&self) -> Result<RunState> {
        RunState::new(self.config, &self.data.digest, self.from.clone())
    }

    fn ready(&self, resumed_at: usize) -> TrainEvent {
        self.data.ready(&self.learner.params, resumed_at)
    }

    fn params(&self) -> &Params {
        &self.learner.params
    }

    fn buffers(&self) -> Result<HashMap<String, Tensor>> {
        self.learner.slow_tensors()
    }

    fn restore_buffers(&mut self, state: &HashMap<String, Tensor>) -> Result<()> {
        self.learner.restore_slow(state)
    }

    fn skip(&mut self, steps: usize) {
        (0..steps).for_each(|_| drop(self.sampler.next_batch()));
    }

    fn forward(&mut self, step: usize) -> Result<Forward> {
        let (kind, chosen) = self.sampler.next_batch();
        let kind = kind.to_owned();
        let pairs: Vec<&Example> = chosen.iter().map(|&i| &self.data.train[&kind][i]).collect();
        let batch = self.batch(&pairs)?;
        let rate = self.config.model.t5.dropout_rate as f32;
        let mut dropout = Dropout::new(rate, self.config.seed ^ (step as u64 + 1) << 20);
        let losses = self.learner.losses(&batch, &mut dropout)?;
        let mut parts = BTreeMap::from([("contrast", losses.contrast.to_scalar()?)]);
        let names = ["alignment_0", "alignment_1", "alignment_2"];
        for (name, loss) in names.into_iter().zip(&losses.alignment) {
            parts.insert(name, loss.to_scalar()?);
        }
        for (name, loss) in [
            ("molecule_generation", &losses.molecule_generation),
            ("text_generation", &losses.text_generation),
        ] {
            if let Some(loss) = loss {
                parts.insert(name, loss.to_scalar()?);
            }
        }
        Ok(Forward { kind, loss: self.learner.total(&losses)?, parts })
    }

    fn optimiser(&self) -> Optimiser {
        let AtomasTrainConfig { weight_decay, clip_norm, .. } = *self.config;
        Optimiser { beta2: BETA2, weight_decay, clip_norm }
    }

    fn schedule(&self, step: usize) -> f64 {
        self.config.rate_factor(step)
    }

    fn peak_rate(&self, _name: &str) -> f64 {
        self.config.learning_rate
    }

    fn validate(&self, step: usize) -> Result<TrainEvent> {
        let last = step == self.config.steps;
        let most = if last { usize::MAX } else { self.config.validation_pairs };
        let pairs: Vec<&Example> = self.data.validation.iter().take(most).collect();
        let [texts, molecules] = self.global_vectors(&pairs)?;
        let dim = self.config.model.t5.d_model;
        let [text_to_molecule, molecule_to_text]: [RankingMetrics; 2] =
            rankings(&texts, &molecules, dim);
        let written = &pairs[..self.config.generated_pairs.min(pairs.len())];
        let options = (&self.config.losses, self.config.generated_tokens);
        let generation = (!written.is_empty())
            .then(|| generation::scores(&self.learner.network, &self.reader, written, options));
        let generation = generation.transpose()?;
        Ok(TrainEvent::Validation { step, text_to_molecule, molecule_to_text, generation })
    }

    fn save(&self, dir: &Path) -> Result<()> {
        let params = &self.learner.params;
        model::save(dir, &self.config.model, params, &self.tokenizer, DType::F16)
    }
}
