//! A model small enough to train in a test: its config, its text checkpoint and its pairs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use candle_core::{Device, Tensor};
use moiety_encoder::train::{Beginning, TrainConfig, TrainPaths};

const VOCABULARY: usize = 48;
const WIDTH: usize = 16;
const FFN: usize = 32;
const LAYERS: usize = 2;

/// A run of `steps` steps with a checkpoint every other one.
pub(crate) fn config(steps: usize) -> TrainConfig {
    let json = serde_json::json!({
        "model": {
            "name": "small", "format_version": 1, "global_dim": 12, "part_dim": 8,
            "level_weights": { "global": 1.0, "fragment": 0.5, "token": 0.5 },
            "molecule": {
                "layers": 2, "width": 16, "heads": 2, "ffn": 32,
                "environment_rows": [32, 64, 64], "stereo_rows": 32, "max_atoms": 40
            },
            "text": {
                "vocabulary": VOCABULARY, "positions": 32, "layers": LAYERS, "width": WIDTH,
                "heads": 2, "ffn": FFN, "max_tokens": 24
            }
        },
        "seed": 3, "steps": steps, "batch_size": 6, "kinds": { "caption": 1.0 },
        "warmup_steps": 2, "learning_rate": 5e-3, "text_learning_rate": 1e-3,
        "weight_decay": 0.01, "clip_norm": 1.0, "frozen_text_layers": 1, "text_window": 16,
        "word_dropout": 0.1, "environment_dropout": 0.1, "fragment_loss": 0.25,
        "token_loss": 0.5, "checkpoint_every": 2, "validate_every": 6, "validation_pairs": 4
    });
    TrainConfig::from_json(&json.to_string()).expect("a valid config")
}

/// Lays out pairs and a text checkpoint below `dir`.
pub(crate) fn paths(dir: &Path) -> TrainPaths {
    let text_init = dir.join("text");
    fs::create_dir_all(&text_init).expect("directory");
    fs::write(text_init.join("tokenizer.json"), include_str!("../data/tokenizer.json"))
        .expect("tokenizer");
    candle_core::safetensors::save(&bert(), text_init.join("model.safetensors"))
        .expect("checkpoint");
    let pairs = write_pairs(dir);
    TrainPaths { pairs, begin: Beginning::TextModel(text_init), out: dir.join("run") }
}

/// Writes the pairs below `dir`.
pub(crate) fn write_pairs(dir: &Path) -> PathBuf {
    let pairs = dir.join("pairs.jsonl");
    fs::write(&pairs, pairs_jsonl()).expect("pairs");
    pairs
}

fn pairs_jsonl() -> String {
    let train = [
        ("CCO", "the molecule is a short alcohol"),
        ("CCCCO", "a long chain alcohol, butanol"),
        ("CC(=O)O", "the molecule is an acid"),
        ("c1ccccc1", "an aromatic ring, benzene"),
        ("Cc1ccccc1", "a methyl benzene; aromatic"),
        ("CCN", "a short amine with role as base"),
        ("CCCCN", "a long amine and base"),
        ("CC(=O)OC", "an ester of an acid and an alcohol"),
        ("OCC1OC(O)C(O)C(O)C1O", "a cyclic sugar"),
        ("[Na+].CC(=O)[O-]", "a salt of an acid"),
        ("C1CCCCC1", "a cyclic carbon ring"),
        ("CCCC", "a carbon chain, butane"),
    ];
    let validation = [
        ("CCCO", "an alcohol"),
        ("CCC(=O)O", "an acid"),
        ("CCCN", "an amine"),
        ("c1ccncc1", "aromatic ring"),
    ];
    let row = |split: &str, (smiles, text): &(&str, &str)| {
        serde_json::json!({
            "kind": "caption", "split": split, "use": "open", "smiles": smiles, "inchikey": smiles, "text": text
        })
        .to_string()
    };
    let mut lines: Vec<String> = train.iter().map(|pair| row("train", pair)).collect();
    lines.extend(validation.iter().map(|pair| row("validation", pair)));
    lines.push(r#"{"kind":"caption","split":"train","use":"research","smiles":"C","inchikey":"C","text":"closed"}"#.into());
    lines.push(r#"{"kind":"caption","split":"train","use":"open","smiles":"C(","inchikey":"x","text":"broken"}"#.into());
    lines.join("\n")
}

/// A BERT checkpoint in Hugging Face's names.
fn bert() -> std::collections::HashMap<String, Tensor> {
    let mut tensors = std::collections::HashMap::new();
    let mut seed = 1u64;
    let mut add = |name: String, shape: &[usize], around: f32| {
        let count: usize = shape.iter().product();
        let data: Vec<f32> = (0..count)
            .map(|_| {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                around + 0.3 * ((seed >> 40) as f32 / (1u64 << 23) as f32 - 1.0)
            })
            .collect();
        tensors.insert(name, Tensor::from_vec(data, shape, &Device::Cpu).expect("shape"));
    };
    add("embeddings.word_embeddings.weight".into(), &[VOCABULARY, WIDTH], 0.0);
    add("embeddings.position_embeddings.weight".into(), &[512, WIDTH], 0.0);
    add("embeddings.token_type_embeddings.weight".into(), &[2, WIDTH], 0.0);
    for i in 0..LAYERS {
        let layer = format!("encoder.layer.{i}");
        for part in ["query", "key", "value"] {
            add(format!("{layer}.attention.self.{part}.weight"), &[WIDTH, WIDTH], 0.0);
            add(format!("{layer}.attention.self.{part}.bias"), &[WIDTH], 0.0);
        }
        for (part, output, input) in [
            ("attention.output.dense", WIDTH, WIDTH),
            ("intermediate.dense", FFN, WIDTH),
            ("output.dense", WIDTH, FFN),
        ] {
            add(format!("{layer}.{part}.weight"), &[output, input], 0.0);
            add(format!("{layer}.{part}.bias"), &[output], 0.0);
        }
        for part in ["attention.output.LayerNorm", "output.LayerNorm"] {
            add(format!("{layer}.{part}.weight"), &[WIDTH], 1.0);
            add(format!("{layer}.{part}.bias"), &[WIDTH], 0.0);
        }
    }
    add("embeddings.LayerNorm.weight".into(), &[WIDTH], 1.0);
    add("embeddings.LayerNorm.bias".into(), &[WIDTH], 0.0);
    tensors
}
