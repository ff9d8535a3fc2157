//! Published checkpoints become model directories: safetensors under checked names, config, tokenizer and sums.
//!
//! Read are Hugging Face's T5 (v1.1 and MolT5, also v1.0) from safetensors or PyTorch files, and the PyTorch Lightning
//! checkpoints of Atomas. Nothing is downloaded and no code in a checkpoint is run.

mod checkpoint;

use std::{collections::HashMap, path::Path};

use candle_core::{DType, Tensor};

use self::checkpoint::Checkpoint;
use crate::{
    LevelWeights,
    atomas::{AtomasConfig, AtomasKind, Network, Padding},
    config::FORMAT_VERSION,
    error::{EncoderError, Result},
    fingerprint,
    params::Params,
    t5::{T5Config, tokenizer::ModelTokenizer, weights},
};

/// How Atomas's names of the T5 begin.
const ATOMAS_T5: &str = "molt5.";
/// What only Atomas's training needs.
const QUEUES: [&str; 3] = ["text_queue", "smiles_queue", "queue_ptr"];
/// Parts of which Atomas keeps a slow copy.
const COPIED: [&str; 3] = ["molt5", "text_linear", "smiles_linear"];
/// Heads of the attention over clusters in the released network.
const RELEASED_HEADS: usize = 8;
/// A bound on molecules; the released network has none of its own but its tokens.
const MAX_ATOMS: usize = 512;

/// What to convert, and to where.
#[derive(Clone, Copy, Debug)]
pub struct Conversion<'a> {
    /// `.safetensors`, `pytorch_model.bin` or a Lightning `.ckpt`.
    pub checkpoint: &'a Path,
    /// Hugging Face's `config.json` of the T5; or, for an Atomas that departs from the released one, its own.
    pub config: &'a Path,
    /// Hugging Face's `tokenizer.json` of the T5.
    pub tokenizer: &'a Path,
    /// The directory to write; it must not hold a model.
    pub out: &'a Path,
    /// Which weights of an Atomas.
    pub copy: WeightCopy,
}

/// Atomas trains a network and keeps a slow copy of its encoder and decoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightCopy {
    /// The trained one, with which the authors retrieve.
    #[default]
    Online,
    /// The slow one, with which the authors generate.
    Momentum,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// Whether the checkpoint is an Atomas; else a T5 alone.
    pub atomas: bool,
    /// Weights written.
    pub weights: usize,
    /// Tensors that a model does not need: queues, the other copy, repetitions of the embedding.
    pub left_out: usize,
    /// The fingerprint of the directory.
    pub fingerprint: String,
}

/// Converts a checkpoint into a model directory.
///
/// # Errors
/// Names the file, and the tensor or key, that is missing, extra or of another shape or dtype than the config says.
pub fn convert(conversion: &Conversion<'_>) -> Result<Converted> {
    let out = conversion.out;
    if out.join("config.json").exists() {
        let reason = "already holds a model; give another directory".into();
        return Err(EncoderError::Model { path: out.to_path_buf(), reason });
    }
    let checkpoint = Checkpoint::open(conversion.checkpoint)?;
    let names = checkpoint.names();
    let atomas = names.iter().any(|name| name.starts_with(ATOMAS_T5));
    let mut stored = read(&checkpoint, &names, |name| match atomas {
        true => atomas_name(name, conversion.copy),
        false => Some(name.to_owned()),
    })?;
    let config = Config::read(conversion.config, atomas, &stored)?;
    let (prefix, t5) = config.t5();
    weights::drop_copies(&mut stored, prefix, t5, checkpoint.path())?;
    ModelTokenizer::load(conversion.tokenizer, t5)?;
    let count = stored.len();
    let params = Params::from_stored(stored, &config.specs(), checkpoint.path())?;
    write(conversion, &params, &config.json())?;
    let fingerprint = fingerprint::verify(out)?;
    Ok(Converted { atomas, weights: count, left_out: names.len() - count, fingerprint })
}

/// The tensors that `rename` keeps, under their new names.
fn read(
    checkpoint: &Checkpoint,
    names: &[String],
    rename: impl Fn(&str) -> Option<String>,
) -> Result<HashMap<String, Tensor>> {
    names
        .iter()
        .filter_map(|name| Some((rename(name)?, name)))
        .map(|(new, name)| Ok((new, checkpoint.get(name)?)))
        .collect()
}

/// The name under which a tensor of an Atomas is kept, if it is.
fn atomas_name(name: &str, copy: WeightCopy) -> Option<String> {
    if QUEUES.contains(&name) {
        return None;
    }
    let (part, rest) = name.split_once('.').unwrap_or((name, ""));
    let slow = part.strip_suffix("_m").filter(|part| COPIED.contains(part));
    match (copy, slow) {
        (WeightCopy::Momentum, Some(part)) => Some(format!("{part}.{rest}")),
        (WeightCopy::Online, Some(_)) => None,
        (WeightCopy::Momentum, None) if COPIED.contains(&part) => None,
        (_, None) => Some(name.to_owned()),
    }
}

/// The config of what is written.
enum Config {
    T5(T5Config),
    Atomas(AtomasConfig),
}

impl Config {
    /// Reads the config given and completes it to that of the checkpoint's kind.
    fn read(path: &Path, atomas: bool, stored: &HashMap<String, Tensor>) -> Result<Self> {
        let json = std::fs::read_to_string(path)
            .map_err(|source| EncoderError::Io { path: path.to_path_buf(), source })?;
        let fail = |reason: String| EncoderError::Model { path: path.to_path_buf(), reason };
        let value: serde_json::Value =
            serde_json::from_str(&json).map_err(|e| fail(format!("not JSON: {e}")))?;
        let named = |e: EncoderError| fail(e.to_string());
        match (atomas, value.get("kind").is_some()) {
            (true, true) => Ok(Self::Atomas(AtomasConfig::from_json(&json).map_err(named)?)),
            (true, false) => {
                released(T5Config::from_json(&json).map_err(named)?, stored).map(Self::Atomas)
            }
            (false, false) => Ok(Self::T5(T5Config::from_json(&json).map_err(named)?)),
            (false, true) => Err(fail("describes an Atomas, the checkpoint is a T5 alone".into())),
        }
    }

    fn t5(&self) -> (&'static str, &T5Config) {
        match self {
            Self::T5(t5) => ("", t5),
            Self::Atomas(atomas) => (ATOMAS_T5, &atomas.t5),
        }
    }

    fn specs(&self) -> Vec<crate::params::ParamSpec> {
        match self {
            Self::T5(t5) => weights::specs(t5),
            Self::Atomas(atomas) => Network::specs(atomas),
        }
    }

    fn json(&self) -> String {
        let json = match self {
            Self::T5(t5) => serde_json::to_string_pretty(t5),
            Self::Atomas(atomas) => serde_json::to_string_pretty(atomas),
        };
        json.expect("a config is plain data")
    }
}

/// The released Atomas around this T5: every sequence padded to the positions of the layer that sums tokens, a quarter of
/// them as clusters and half of those again, and retrieval by global vectors alone.
fn released(t5: T5Config, stored: &HashMap<String, Tensor>) -> Result<AtomasConfig> {
    let positions = stored.get("text_linear.weight").and_then(|t| t.dims().last().copied());
    let config = AtomasConfig {
        kind: AtomasKind::Atomas,
        name: "atomas".into(),
        format_version: FORMAT_VERSION,
        t5,
        padding: Padding::Faithful,
        max_tokens: positions.unwrap_or(512),
        cluster_ratios: [0.25, 0.5],
        cluster_heads: RELEASED_HEADS,
        fragment_level: 1,
        max_atoms: MAX_ATOMS,
        level_weights: LevelWeights { global: 1.0, fragment: 0.0, token: 0.0 },
    };
    config.check()?;
    Ok(config)
}

/// Writes the directory; the sums come last, so a directory without them is not complete.
fn write(conversion: &Conversion<'_>, params: &Params, config: &str) -> Result<()> {
    let out = conversion.out;
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |source| EncoderError::Io { path, source }
    };
    std::fs::create_dir_all(out).map_err(io(out))?;
    params.save(&out.join("model.safetensors"), DType::F32)?;
    let tokenizer = out.join("tokenizer.json");
    std::fs::copy(conversion.tokenizer, &tokenizer).map_err(io(conversion.tokenizer))?;
    let path = out.join("config.json");
    std::fs::write(&path, format!("{config}\n")).map_err(io(&path))?;
    fingerprint::write(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tensor_of_an_atomas_has_one_place() {
        use WeightCopy::{Momentum, Online};
        for (name, online, momentum) in [
            ("molt5.shared.weight", Some("molt5.shared.weight"), None),
            ("molt5_m.shared.weight", None, Some("molt5.shared.weight")),
            ("text_linear.bias", Some("text_linear.bias"), None),
            ("smiles_linear_m.bias", None, Some("smiles_linear.bias")),
            ("t_ctm1.score.bias", Some("t_ctm1.score.bias"), Some("t_ctm1.score.bias")),
            ("temp", Some("temp"), Some("temp")),
            ("text_queue", None, None),
            ("strange_m.weight", Some("strange_m.weight"), Some("strange_m.weight")),
        ] {
            assert_eq!(atomas_name(name, Online).as_deref(), online);
            assert_eq!(atomas_name(name, Momentum).as_deref(), momentum);
        }
    }
}
