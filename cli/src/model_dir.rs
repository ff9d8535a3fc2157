//! Finding the model that ships with the program.

use std::path::{Path, PathBuf};

use moiety_encoder::{EncoderError, LoadedModel, ModelInfo, property::Heads};
use moiety_rpc::RerankDefaults;

use crate::error::{CliError, Result};

const SHIPPED: &str = "models/moiety-mini";

/// Which model encodes, and on how many threads.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ModelArgs {
    /// Model directory [default: models/moiety-mini beside the working directory or the program]
    #[arg(long, env = "MOIETY_MODEL")]
    model: Option<PathBuf>,
    /// Directory of property heads [default: heads/ in the model directory]
    #[arg(long, env = "MOIETY_HEADS")]
    heads: Option<PathBuf>,
    /// Encoder threads; 0 takes one per core
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

impl ModelArgs {
    /// Loads the model, of whichever kind it is.
    pub(crate) fn load(&self) -> Result<LoadedModel> {
        Ok(moiety_encoder::load(&self.dir()?, self.threads)?)
    }

    /// The property heads of a model. Those beside it are left out, with a warning, where they belong to another; those
    /// that were asked for must fit.
    pub(crate) fn heads(&self, model: &ModelInfo) -> Result<Heads> {
        if let Some(dir) = &self.heads {
            return Ok(Heads::load(dir, model)?);
        }
        let beside = self.dir()?.join("heads");
        if !beside.is_dir() {
            return Ok(Heads::default());
        }
        match Heads::load(&beside, model) {
            Err(error @ EncoderError::ForeignHead { .. }) => {
                eprintln!("moiety: without property heads: {error}");
                Ok(Heads::default())
            }
            loaded => Ok(loaded?),
        }
    }

    /// The model's directory.
    pub(crate) fn dir(&self) -> Result<PathBuf> {
        if let Some(dir) = &self.model {
            return Ok(dir.clone());
        }
        find_upwards(SHIPPED).ok_or_else(|| {
            CliError::Usage(format!(
                "no {SHIPPED} here or above the program; name a model directory with --model"
            ))
        })
    }
}

/// How a server of this model reranks queries that do not say.
pub(crate) fn rerank_defaults(model: &LoadedModel) -> RerankDefaults {
    let weights = model.level_weights;
    let weights = moiety_engine::LevelWeights {
        global: weights.global,
        fragment: weights.fragment,
        token: weights.token,
    };
    let enabled = weights.fragment > 0.0 || weights.token > 0.0;
    RerankDefaults { enabled, weights, ..RerankDefaults::default() }
}

/// Looks for a path below the working directory, then below each directory above the program and the workspace.
pub(crate) fn find_upwards(path: &str) -> Option<PathBuf> {
    let program = std::env::current_exe().ok();
    let beside_program = program.iter().flat_map(|exe| exe.ancestors().skip(1));
    let places = [Path::new("."), Path::new(env!("CARGO_MANIFEST_DIR")).parent()?];
    places
        .into_iter()
        .chain(beside_program)
        .map(|place| place.join(path))
        .find(|candidate| candidate.exists())
}
