//! Where the weights and the tokenizer of a run come from.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use candle_core::Tensor;

use super::config::{AtomasTrainConfig, Start};
use crate::{
    atomas::{Network, Release},
    error::{EncoderError, Result},
    fingerprint,
    params::Params,
    t5::{tokenizer::learn_text_pieces, weights},
    train::data,
};

/// The files of a run.
#[derive(Clone, Debug)]
pub struct AtomasPaths {
    /// Pairs of molecule and text, JSON lines, gzipped or not.
    pub pairs: PathBuf,
    /// Where the weights begin.
    pub begin: AtomasBeginning,
    /// Where the run keeps its state and log, and the model when it is done. A run that began there is resumed.
    pub out: PathBuf,
}

/// Where the weights of a run begin.
#[derive(Clone, Debug)]
pub enum AtomasBeginning {
    /// Nowhere: random weights, and our own tokenizer with text pieces learned from the training texts.
    Nothing,
    /// A directory with `tokenizer.json` and, unless the config's `start` is `random`, the `model.safetensors` that it
    /// names.
    Weights(PathBuf),
    /// A model directory of kind `atomas` with the same sizes.
    Model(PathBuf),
}

/// What a run begins with.
pub(super) struct FirstWeights {
    pub(super) params: Params,
    /// State of the slow copy and the queues, where it comes along.
    pub(super) slow: Option<HashMap<String, Tensor>>,
    /// Fingerprint of the model, if it was one of ours.
    pub(super) from: Option<String>,
}

impl FirstWeights {
    pub(super) fn read(config: &AtomasTrainConfig, begin: &AtomasBeginning) -> Result<Self> {
        let model = &config.model;
        let specs = Network::specs(model);
        let of = |params| Ok(Self { params, slow: None, from: None });
        let dir = match begin {
            AtomasBeginning::Nothing if config.start != Start::Random => {
                let reason = "start is not `random`; name the directory of the weights";
                return Err(EncoderError::Config(reason.into()));
            }
            AtomasBeginning::Nothing => return of(Params::initialise(&specs, config.seed)?),
            AtomasBeginning::Model(dir) => {
                let from = Some(fingerprint::verify(dir)?);
                let params = Params::load(&dir.join("model.safetensors"), &specs)?;
                return Ok(Self { params, slow: None, from });
            }
            AtomasBeginning::Weights(dir) => dir,
        };
        let file = dir.join("model.safetensors");
        match config.start {
            Start::Random => of(Params::initialise(&specs, config.seed)?),
            Start::T5 => {
                let mut params = Params::initialise(&specs, config.seed)?;
                let t5 = weights::read(&file, &model.t5)?;
                for spec in weights::specs(&model.t5) {
                    params.insert(&format!("molt5.{}", spec.name), t5.get(&spec.name)?);
                }
                of(params)
            }
            Start::Release => {
                let release = Release::read(&file, model, config.queue_size)?;
                Ok(Self { params: release.params, slow: Some(release.slow), from: None })
            }
        }
    }
}

/// The tokenizer of a run: that of its beginning, or one that is learned and kept in `out`.
pub(super) fn tokenizer(config: &AtomasTrainConfig, paths: &AtomasPaths) -> Result<PathBuf> {
    if let AtomasBeginning::Weights(dir) | AtomasBeginning::Model(dir) = &paths.begin {
        return Ok(dir.join("tokenizer.json"));
    }
    let path = paths.out.join("tokenizer.json");
    let texts = data::training_texts(&paths.pairs, config.kinds.keys())?;
    let json = learn_text_pieces(texts.iter(), config.text_pieces)?;
    write(&paths.out, &path, &json)?;
    Ok(path)
}

fn write(dir: &Path, path: &Path, text: &str) -> Result<()> {
    let written = fs::create_dir_all(dir).and_then(|()| fs::write(path, text));
    written.map_err(|source| EncoderError::Io { path: path.to_path_buf(), source })
}
