//! The state of a training run as the authors release it: weights, slow copy and queues in one file.

use std::{collections::HashMap, path::Path};

use candle_core::{Device, Tensor};

use super::{
    config::AtomasConfig,
    momentum::{Momentum, QUEUE_POINTER},
    network::Network,
};
use crate::{
    error::{EncoderError, Result},
    params::{ParamSpec, Params},
    t5::weights,
};

/// What the names of the two copies of the T5 begin with.
const T5_PREFIXES: [&str; 2] = ["molt5.", "molt5_m."];

/// What such a file holds.
pub(crate) struct Release {
    /// The trained weights.
    pub(crate) params: Params,
    /// The slow copy and its queues.
    pub(crate) slow: HashMap<String, Tensor>,
}

impl Release {
    /// Reads a safetensors file with the names of the release.
    ///
    /// # Errors
    /// Names the tensor that is missing, extra, or of another shape or dtype than the config says.
    pub(crate) fn read(path: &Path, config: &AtomasConfig, queue: usize) -> Result<Self> {
        let bytes =
            std::fs::read(path).map_err(|source| EncoderError::Io { path: path.into(), source })?;
        let stored = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu);
        let stored = stored.map_err(|e| EncoderError::Model {
            path: path.into(),
            reason: format!("not a readable safetensors file: {e}"),
        })?;
        Self::take(stored, config, queue, path)
    }

    /// Sorts the tensors of a state; `path` is only named.
    fn take(
        mut stored: HashMap<String, Tensor>,
        config: &AtomasConfig,
        queue: usize,
        path: &Path,
    ) -> Result<Self> {
        let fail = |reason: String| EncoderError::Model { path: path.to_path_buf(), reason };
        for prefix in T5_PREFIXES {
            weights::drop_copies(&mut stored, prefix, &config.t5, path)?;
        }
        let next = stored.remove(QUEUE_POINTER);
        let next = next.ok_or_else(|| fail(format!("tensor `{QUEUE_POINTER}` is missing")))?;
        let (online, slow) = (Network::specs(config), Momentum::specs(config, queue));
        let all: Vec<ParamSpec> = online.iter().chain(&slow).cloned().collect();
        let sorted = Params::from_stored(stored, &all, path)?;
        let mut release = Self { params: Params::default(), slow: HashMap::new() };
        for spec in online {
            release.params.insert(&spec.name, sorted.get(&spec.name)?);
        }
        for spec in slow {
            release.slow.insert(spec.name.clone(), sorted.get(&spec.name)?);
        }
        release.slow.insert(QUEUE_POINTER.into(), next);
        Ok(release)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::atomas::{fixture::Fixture, parity::config};

    /// Names of the two embeddings: each stands under three, and one of them is enough.
    const ALIASES: [&str; 6] = [
        "molt5.shared.weight",
        "molt5_m.shared.weight",
        "molt5.encoder.embed_tokens.weight",
        "molt5.decoder.embed_tokens.weight",
        "molt5_m.encoder.embed_tokens.weight",
        "molt5_m.decoder.embed_tokens.weight",
    ];

    fn take(stored: HashMap<String, Tensor>) -> Result<Release> {
        Release::take(stored, &config(), 16, Path::new("state"))
    }

    #[test]
    fn every_tensor_of_the_release_is_mapped_and_none_may_be_missing_or_extra() {
        let stored = Fixture::load("atomas_tiny").below("state.");
        let release = take(stored.clone()).expect("the whole state");
        let specs = Network::specs(&config()).into_iter().chain(Momentum::specs(&config(), 16));
        let mapped: BTreeSet<String> =
            specs.map(|spec| spec.name).chain(ALIASES.map(String::from)).collect();
        let mapped = &mapped | &BTreeSet::from([QUEUE_POINTER.to_owned()]);
        let released: BTreeSet<String> = stored.keys().cloned().collect();
        assert_eq!(mapped, released);
        assert_eq!(released.len(), 197);
        assert!(release.slow.keys().all(|name| name.contains("_m.") || name.contains("queue")));
        for name in released.iter().filter(|name| !ALIASES.contains(&name.as_str())) {
            let mut less = stored.clone();
            less.remove(name);
            let message = take(less).err().expect("one is missing").to_string();
            assert!(message.contains(name), "{name}: {message}");
        }
        for extra in ["molt5.encoder.block.9.layer.0.layer_norm.weight", "t_ctm3.norm.weight"] {
            let mut more = stored.clone();
            more.insert(extra.into(), stored["temp"].clone());
            let message = take(more).err().expect("one is extra").to_string();
            assert!(message.contains(extra), "{message}");
        }
        let mut other = stored.clone();
        other.insert("text_queue".into(), stored["t_ctm1.norm.weight"].clone());
        let message = take(other).err().expect("another shape").to_string();
        assert!(message.contains("text_queue") && message.contains("[32, 16]"), "{message}");
    }
}
