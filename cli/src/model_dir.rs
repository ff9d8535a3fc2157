//! Finding the model that ships with the program.

use std::{
    iter,
    path::{Path, PathBuf},
};

use moiety_encoder::{EncoderError, LoadedModel, ModelInfo, property::Heads};
use moiety_rpc::RerankDefaults;

use crate::error::{CliError, Result, at};

const SHIPPED: &str = "models/moiety-mini";

/// Where a package of the system puts what goes with the program: `/usr/bin/moiety` reads `/usr/share/moiety`.
const SHARED: &str = "share/moiety";

/// Which model encodes, and on how many threads.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ModelArgs {
    /// Model directory [default: models/moiety-mini in the working directory, beside the program or above it]
    #[arg(long, env = "MOIETY_MODEL")]
    model: Option<PathBuf>,
    /// Directory of property heads [default: heads/ in the model directory]
    #[arg(long, env = "MOIETY_HEADS")]
    heads: Option<PathBuf>,
    /// Encoder threads; 0 takes one per core
    #[arg(long, env = "MOIETY_THREADS", default_value_t = 0)]
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
                errln!("moiety: without property heads: {error}");
                Ok(Heads::default())
            }
            loaded => Ok(loaded?),
        }
    }

    /// Encoder threads; 0 takes one per core.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// The model's directory.
    pub(crate) fn dir(&self) -> Result<PathBuf> {
        if let Some(dir) = &self.model {
            return Ok(dir.clone());
        }
        find_shipped(SHIPPED)
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

/// Finds what ships with the program: below the working directory, then below each directory above the program.
pub(crate) fn find_shipped(path: &str) -> Result<PathBuf> {
    let program = std::env::current_exe().map_err(at(Path::new("the program's own path")))?;
    search_places(&program, path)
        .find(|candidate| candidate.exists())
        .ok_or_else(|| CliError::NotShipped { path: path.to_owned(), program: program.clone() })
}

fn search_places<'a>(program: &'a Path, path: &'a str) -> impl Iterator<Item = PathBuf> + 'a {
    let above = program
        .ancestors()
        .skip(1)
        .flat_map(move |dir| [dir.join(path), dir.join(SHARED).join(path)]);
    iter::once(PathBuf::from(path)).chain(above)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ships_is_sought_beside_the_program_and_where_a_package_puts_it() {
        let places: Vec<PathBuf> = search_places(Path::new("/usr/bin/moiety"), SHIPPED).collect();
        assert_eq!(places[0], Path::new("models/moiety-mini"));
        assert!(places.contains(&PathBuf::from("/usr/bin/models/moiety-mini")));
        assert!(places.contains(&PathBuf::from("/usr/share/moiety/models/moiety-mini")));
    }
}
