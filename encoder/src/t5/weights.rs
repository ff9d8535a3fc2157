//! The weights of a T5 under Hugging Face's names: which there are, how they begin, and how a checkpoint is read.

use std::{collections::HashMap, path::Path};

use candle_core::{Device, Tensor};

use super::{FeedForwardKind, T5Config};
use crate::{
    error::{EncoderError, Result},
    params::{Init, ParamSpec, Params},
};

/// Where weights come from: called once with the name and shape of each.
pub(super) type Source<'a> = dyn FnMut(&str, &[usize]) -> Result<Tensor> + 'a;

/// Other names under which checkpoints repeat the embedding.
const ALIASES: [&str; 2] = ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight"];
/// Written by early T5 v1.0 checkpoints and read by no implementation.
const UNUSED: &str = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight";

/// Reads a Hugging Face safetensors checkpoint: no weight missing or extra, copies of the embedding dropped.
pub(crate) fn read(path: &Path, config: &T5Config) -> Result<Params> {
    config.check()?;
    let fail = |reason: String| EncoderError::Model { path: path.to_path_buf(), reason };
    let bytes =
        std::fs::read(path).map_err(|source| EncoderError::Io { path: path.into(), source })?;
    let mut stored = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)
        .map_err(|e| fail(format!("not a readable safetensors file: {e}")))?;
    drop(bytes);
    drop_copies(&mut stored, "", config, path)?;
    Params::from_stored(stored, &specs(config), path)
}

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

/// Removes from `stored` what checkpoints hold besides the weights of [`specs`], each name behind `prefix` (`molt5.` in an
/// Atomas checkpoint): the embedding under its other names, which must equal it, and a table that nothing reads. An
/// embedding that stands only under another name gets its own.
///
/// # Errors
/// Names the copy that differs.
pub(crate) fn drop_copies(
    stored: &mut HashMap<String, Tensor>,
    prefix: &str,
    config: &T5Config,
    path: &Path,
) -> Result<()> {
    stored.remove(&format!("{prefix}{UNUSED}"));
    let embedding = format!("{prefix}shared.weight");
    let head = config.tie_word_embeddings.then_some("lm_head.weight");
    for alias in ALIASES.into_iter().chain(head) {
        let name = format!("{prefix}{alias}");
        let Some(copy) = stored.remove(&name) else { continue };
        let shared = stored.entry(embedding.clone()).or_insert_with(|| copy.clone());
        if !equal(shared, &copy)? {
            let reason = format!("tensor `{name}` should equal `{embedding}`");
            return Err(EncoderError::Model { path: path.to_path_buf(), reason });
        }
    }
    Ok(())
}

fn equal(a: &Tensor, b: &Tensor) -> Result<bool> {
    if a.dims() != b.dims() || a.dtype() != b.dtype() {
        return Ok(false);
    }
    Ok(a.eq(b)?.min_all()?.to_scalar::<u8>()? == 1)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::{params::Params, t5::T5};

    fn config(tied: bool) -> T5Config {
        let json = serde_json::json!({
            "model_type": "t5", "vocab_size": 12, "d_model": 4, "d_kv": 2, "d_ff": 6, "num_layers": 1, "num_heads": 2,
            "feed_forward_proj": if tied { "relu" } else { "gated-gelu" }, "tie_word_embeddings": tied,
        });
        T5Config::from_json(&json.to_string()).expect("valid")
    }

    fn stored(config: &T5Config) -> HashMap<String, Tensor> {
        let params = Params::initialise(&specs(config), 5).expect("initialise");
        specs(config)
            .into_iter()
            .map(|spec| (spec.name.clone(), params.get(&spec.name).expect("weight")))
            .collect()
    }

    fn read(config: &T5Config, tensors: &HashMap<String, Tensor>) -> Result<T5> {
        let dir = tempfile::tempdir().expect("directory");
        let file = dir.path().join("model.safetensors");
        candle_core::safetensors::save(tensors, &file).expect("save");
        T5::from_safetensors(config, &file)
    }

    #[test]
    fn both_kinds_are_read_and_run_and_all_their_weights_are_used() {
        for tied in [false, true] {
            let config = config(tied);
            let mut left: Vec<String> = specs(&config).into_iter().map(|s| s.name).collect();
            let tensors = stored(&config);
            let model = T5::load(&config, |name, shape| {
                left.retain(|other| other != name);
                assert_eq!(tensors[name].dims(), shape);
                Ok(tensors[name].clone())
            });
            assert!(left.is_empty(), "{left:?} not read");
            let model = model.expect("model");
            let ids = Tensor::new(&[[3u32, 4, 1], [5, 1, 0]], &Device::Cpu).expect("ids");
            let mask = Tensor::new(&[[1u8, 1, 1], [1, 1, 0]], &Device::Cpu).expect("mask");
            let hidden = model.encode(&ids, &mask).expect("encode");
            let logits = model.decode(&ids, &hidden, &mask).and_then(|d| model.logits(&d));
            assert_eq!(logits.expect("logits").dims(), [2, 3, 12]);
        }
    }

    #[test]
    fn copies_of_the_embedding_must_be_equal_and_may_stand_alone() {
        for tied in [false, true] {
            let config = config(tied);
            let mut tensors = stored(&config);
            let shared = tensors["shared.weight"].clone();
            tensors.insert(ALIASES[0].into(), shared.clone());
            tensors.insert(UNUSED.into(), shared.clone());
            assert!(read(&config, &tensors).is_ok());
            tensors.remove("shared.weight");
            assert!(read(&config, &tensors).is_ok());
            tensors.insert(ALIASES[1].into(), shared.affine(2.0, 0.0).expect("twice"));
            let error = read(&config, &tensors).expect_err("differs").to_string();
            assert!(error.contains("should equal"), "{error}");
        }
    }

    #[test]
    fn missing_extra_and_wrong_weights_are_named() {
        let config = config(false);
        let name = "encoder.block.0.layer.1.DenseReluDense.wi_1.weight";
        let changed = |change: &dyn Fn(&mut HashMap<String, Tensor>)| {
            let mut tensors = stored(&config);
            change(&mut tensors);
            read(&config, &tensors).expect_err("differs").to_string()
        };
        let zeros = |dtype| Tensor::zeros((6, 4), dtype, &Device::Cpu).expect("zeros");
        let missing = changed(&|t| drop(t.remove(name)));
        assert!(missing.contains(name) && missing.contains("missing"), "{missing}");
        let extra = changed(&|t| drop(t.insert("encoder.extra".into(), zeros(DType::F32))));
        assert!(extra.contains("encoder.extra") && extra.contains("not part"), "{extra}");
        let shape =
            changed(&|t| drop(t.insert(name.into(), zeros(DType::F32).t().expect("turned"))));
        assert!(shape.contains(name) && shape.contains("[4, 6]"), "{shape}");
        let dtype = changed(&|t| drop(t.insert(name.into(), zeros(DType::I64))));
        assert!(dtype.contains(name) && dtype.contains("I64"), "{dtype}");
    }
}
