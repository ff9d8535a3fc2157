//! The weights of a T5 under Hugging Face's names: which there are, how they begin, and how a checkpoint is read.

use std::{collections::HashMap, path::Path};

use candle_core::{DType, Tensor};

use super::{FeedForwardKind, T5Config};
use crate::{
    error::{EncoderError, Result},
    params::{Init, ParamSpec},
};

/// Where weights come from: called once with the name and shape of each.
pub(super) type Source<'a> = dyn FnMut(&str, &[usize]) -> Result<Tensor> + 'a;

/// Other names under which checkpoints repeat the embedding.
const ALIASES: [&str; 2] = ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight"];
/// Written by early T5 v1.0 checkpoints and read by no implementation.
const UNUSED: &str = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight";

/// Name, shape and beginning of every weight, in the order in which they are used.
///
/// Beginnings are those of the published initialisation: the product of a random unit input and a weight has variance 1.
pub(crate) fn specs(config: &T5Config) -> Vec<ParamSpec> {
    let (d, vocabulary) = (config.d_model, config.vocab_size);
    let mut specs = vec![ParamSpec::new("shared.weight", &[vocabulary, d], Init::Normal(1.0))];
    for i in 0..config.num_layers {
        let at = |part: &str| format!("encoder.block.{i}.layer.{part}");
        attention_specs(&mut specs, &at("0"), "SelfAttention", config, i == 0);
        feed_forward_specs(&mut specs, &at("1"), config);
    }
    specs.push(ParamSpec::new("encoder.final_layer_norm.weight", &[d], Init::Ones));
    for i in 0..config.decoder_layers() {
        let at = |part: &str| format!("decoder.block.{i}.layer.{part}");
        attention_specs(&mut specs, &at("0"), "SelfAttention", config, i == 0);
        attention_specs(&mut specs, &at("1"), "EncDecAttention", config, false);
        feed_forward_specs(&mut specs, &at("2"), config);
    }
    specs.push(ParamSpec::new("decoder.final_layer_norm.weight", &[d], Init::Ones));
    if !config.tie_word_embeddings {
        specs.push(ParamSpec::new("lm_head.weight", &[vocabulary, d], normal(d)));
    }
    specs
}

fn attention_specs(
    specs: &mut Vec<ParamSpec>,
    at: &str,
    kind: &str,
    config: &T5Config,
    with_table: bool,
) {
    let (d, inner) = (config.d_model, config.inner());
    let mut add = |name: &str, shape: &[usize], init| {
        specs.push(ParamSpec::new(format!("{at}.{name}"), shape, init));
    };
    add("layer_norm.weight", &[d], Init::Ones);
    // Scores are not divided by the root of the head width, so the queries begin that much smaller.
    add(&format!("{kind}.q.weight"), &[inner, d], normal(d * config.d_kv));
    add(&format!("{kind}.k.weight"), &[inner, d], normal(d));
    add(&format!("{kind}.v.weight"), &[inner, d], normal(d));
    add(&format!("{kind}.o.weight"), &[d, inner], normal(inner));
    if with_table {
        let shape = [config.relative_attention_num_buckets, config.num_heads];
        add(&format!("{kind}.relative_attention_bias.weight"), &shape, normal(d));
    }
}

fn feed_forward_specs(specs: &mut Vec<ParamSpec>, at: &str, config: &T5Config) {
    let (d, ff) = (config.d_model, config.d_ff);
    let mut add = |name: &str, shape: &[usize], init| {
        specs.push(ParamSpec::new(format!("{at}.{name}.weight"), shape, init));
    };
    add("layer_norm", &[d], Init::Ones);
    match config.feed_forward_proj {
        FeedForwardKind::Relu => add("DenseReluDense.wi", &[ff, d], normal(d)),
        FeedForwardKind::GatedGelu => {
            add("DenseReluDense.wi_0", &[ff, d], normal(d));
            add("DenseReluDense.wi_1", &[ff, d], normal(d));
        }
    }
    add("DenseReluDense.wo", &[d, ff], normal(ff));
}

/// Normal with variance 1/`fan`.
fn normal(fan: usize) -> Init {
    Init::Normal((1.0 / fan as f32).sqrt())
}

/// Takes a T5's weights out of `stored`, checks them against the config and turns them to f32. Names may carry `prefix`
/// (`molt5.` in an Atomas checkpoint); names without it stay in `stored`, which keeps what is not this model's.
///
/// # Errors
/// Names the weight that is missing, has another shape or dtype, repeats the embedding with other numbers, or carries the
/// prefix and is unknown. `path` is only named.
pub(crate) fn take(
    stored: &mut HashMap<String, Tensor>,
    prefix: &str,
    config: &T5Config,
    path: &Path,
) -> Result<HashMap<String, Tensor>> {
    let fail = |reason: String| EncoderError::Model { path: path.to_path_buf(), reason };
    let mut taken = HashMap::new();
    for spec in specs(config) {
        let name = format!("{prefix}{}", spec.name);
        let found = stored.remove(&name).or_else(|| embedding_alias(stored, prefix, &spec.name));
        let tensor = found.ok_or_else(|| fail(format!("tensor `{name}` is missing")))?;
        if tensor.dims() != spec.shape {
            let (found, wanted) = (tensor.dims(), &spec.shape);
            return Err(fail(format!(
                "tensor `{name}` has shape {found:?}, the config says {wanted:?}"
            )));
        }
        if !matches!(tensor.dtype(), DType::F16 | DType::BF16 | DType::F32) {
            let found = tensor.dtype();
            return Err(fail(format!(
                "tensor `{name}` has dtype {found:?}, expected F16, BF16 or F32"
            )));
        }
        taken.insert(spec.name, tensor.to_dtype(DType::F32)?);
    }
    repeated(stored, prefix, &taken, config).map_err(fail)?;
    match stored.keys().filter(|name| name.starts_with(prefix)).min() {
        Some(extra) => Err(fail(format!("tensor `{extra}` is not part of this T5"))),
        None => Ok(taken),
    }
}

/// The embedding under another of its names.
fn embedding_alias(stored: &HashMap<String, Tensor>, prefix: &str, name: &str) -> Option<Tensor> {
    if name != "shared.weight" {
        return None;
    }
    ALIASES.iter().find_map(|alias| stored.get(&format!("{prefix}{alias}")).cloned())
}

/// Removes what checkpoints hold twice, after a look that it is the same.
fn repeated(
    stored: &mut HashMap<String, Tensor>,
    prefix: &str,
    taken: &HashMap<String, Tensor>,
    config: &T5Config,
) -> std::result::Result<(), String> {
    stored.remove(&format!("{prefix}{UNUSED}"));
    let head = config.tie_word_embeddings.then_some("lm_head.weight");
    for alias in ALIASES.into_iter().chain(head) {
        let Some(copy) = stored.remove(&format!("{prefix}{alias}")) else { continue };
        if !equal(&taken["shared.weight"], &copy).unwrap_or(false) {
            return Err(format!("tensor `{prefix}{alias}` should equal `{prefix}shared.weight`"));
        }
    }
    Ok(())
}

fn equal(a: &Tensor, b: &Tensor) -> Result<bool> {
    if a.dims() != b.dims() {
        return Ok(false);
    }
    Ok(a.eq(&b.to_dtype(a.dtype())?)?.min_all()?.to_scalar::<u8>()? == 1)
}
