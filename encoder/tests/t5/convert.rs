//! Checkpoints to model directories and back into models.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use candle_core::{DType, Device, Tensor};
use moiety_encoder::{
    EncoderError, Writer,
    convert::{Conversion, Converted, WeightCopy, convert},
    t5::{
        T5,
        generate::{GenerateOptions, LengthCount, Scoring, Strategy},
    },
};

use crate::golden::{Golden, gap};

/// A directory with a checkpoint to convert.
struct Room {
    dir: tempfile::TempDir,
    checkpoint: PathBuf,
    config: PathBuf,
}

impl Room {
    /// The tiny Atomas of `data/atomas_checkpoint.py` and the config of its T5.
    fn atomas() -> Self {
        let dir = tempfile::tempdir().expect("directory");
        let (checkpoint, config) = (dir.path().join("last.ckpt"), dir.path().join("t5.json"));
        fs::write(&checkpoint, lightning()).expect("checkpoint");
        let json = serde_json::json!({
            "model_type": "t5", "vocab_size": 96, "d_model": 8, "d_kv": 2, "d_ff": 4, "num_layers": 1, "num_heads": 4,
            "relative_attention_num_buckets": 4, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": false
        });
        fs::write(&config, json.to_string()).expect("config");
        Self { dir, checkpoint, config }
    }

    /// The golden T5 with one tensor changed.
    fn t5(change: impl FnOnce(&mut std::collections::HashMap<String, Tensor>)) -> Self {
        let dir = tempfile::tempdir().expect("directory");
        let checkpoint = dir.path().join("model.safetensors");
        let mut weights = Golden::read().weights();
        change(&mut weights);
        candle_core::safetensors::save(&weights, &checkpoint).expect("save");
        Self { checkpoint, config: data("t5_tiny.json"), dir }
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    fn convert(&self, copy: WeightCopy) -> Result<Converted, EncoderError> {
        convert(&Conversion {
            checkpoint: &self.checkpoint,
            config: &self.config,
            tokenizer: &data("t5_tokenizer.json"),
            out: &self.out(),
            copy,
        })
    }

    fn written(&self, name: &str) -> Vec<f32> {
        let file = self.out().join("model.safetensors");
        let tensors = candle_core::safetensors::load(file, &Device::Cpu).expect("safetensors");
        let tensor = &tensors[name];
        tensor.flatten_all().and_then(|t| t.to_vec1()).expect("floats")
    }
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn lightning() -> Vec<u8> {
    let mut bytes = Vec::new();
    let file = fs::File::open(data("atomas.ckpt.gz")).expect("checkpoint");
    flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).expect("gzip");
    bytes
}

#[test]
fn a_t5_survives_conversion() {
    let golden = Golden::read();
    let room = Room::t5(|_| {});
    let converted = room.convert(WeightCopy::Online).expect("converted");
    assert!(!converted.atomas);
    assert_eq!(converted.left_out, 2, "the embedding under two other names");
    let (model, tokenizer) = T5::open(&room.out()).expect("model");
    let hidden = golden.encoded(&model);
    assert!(gap(&hidden, golden.get("enc.last_hidden_state")) < 1e-4);
    assert_eq!(tokenizer.text("an acid", 8).expect("ids").ids.last(), Some(&1));
    let again = room.convert(WeightCopy::Online).expect_err("taken").to_string();
    assert!(again.contains("already holds a model"), "{again}");
}

#[test]
fn a_lightning_checkpoint_of_atomas_becomes_a_model_with_either_copy() {
    // Number k of a tensor is its place in the order of names, plus k/1024.
    for (copy, head, sum) in [(WeightCopy::Online, 28.0, 86.0), (WeightCopy::Momentum, 57.0, 88.0)]
    {
        let room = Room::atomas();
        let converted = room.convert(copy).expect("converted");
        assert!(converted.atomas);
        // The T5, the two sums over tokens, the token weights, the clusters, the two temperatures.
        assert_eq!(converted.weights, 29 + 4 + 24 + 52 + 2);
        // The other copy, the embedding's two other names in both copies, the queues.
        assert_eq!(converted.left_out, (29 + 4) + 2 * 2 + 3);
        let written = room.written("molt5.lm_head.weight");
        assert_eq!((written[0], written[5]), (head, head + 5.0 / 1024.0));
        assert_eq!(room.written("smiles_linear.bias"), [sum]);
        assert_eq!(room.written("t_block1.attn.q.bias")[0], 107.0);
        let config = fs::read_to_string(room.out().join("config.json")).expect("config");
        assert!(config.contains(r#""kind": "atomas""#) && config.contains(r#""max_tokens": 8"#));
    }
}

#[test]
fn what_was_converted_writes_captions_and_molecules() {
    let ethanol = moiety_chem::Molecule::from_smiles("OCC").expect("ethanol");
    let options = GenerateOptions {
        strategy: Strategy::Beam { beams: 4, candidates: 3 },
        max_tokens: 12,
        scoring: Scoring { length_penalty: 1.0, length: LengthCount::Generated },
        allowed: None,
    };
    for room in [Room::t5(|_| {}), Room::atomas()] {
        room.convert(WeightCopy::Momentum).expect("converted");
        let writer = Writer::open(&room.out()).expect("writer");
        let captions = writer.describe(&[&ethanol], &options, &mut || true).expect("captions");
        assert!(!captions[0].is_empty() && captions[0].len() <= 3);
        let molecules = writer.propose(&["an acid", "a base"], &options, &mut || true);
        let molecules = molecules.expect("molecules");
        assert_eq!(molecules.len(), 2);
        for proposal in molecules.iter().flatten() {
            assert!(proposal.written.candidate.score.is_finite());
            let read = moiety_chem::Molecule::from_smiles(&proposal.written.text);
            assert_eq!(read.is_ok(), proposal.molecule.is_ok());
        }
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let name = "decoder.block.1.layer.1.EncDecAttention.q.weight";
    let zeros = |dtype| Tensor::zeros((32, 32), dtype, &Device::Cpu).expect("zeros");
    let error = |room: Room| room.convert(WeightCopy::Online).expect_err("differs").to_string();
    let missing = error(Room::t5(|t| drop(t.remove(name))));
    assert!(missing.contains(name) && missing.contains("missing"), "{missing}");
    let extra = error(Room::t5(|t| drop(t.insert("optimizer.lr".into(), zeros(DType::F32)))));
    assert!(extra.contains("optimizer.lr"), "{extra}");
    let dtype = error(Room::t5(|t| drop(t.insert(name.into(), zeros(DType::F64)))));
    assert!(dtype.contains(name) && dtype.contains("F64"), "{dtype}");

    let mut room = Room::atomas();
    let json = fs::read_to_string(&room.config).expect("config");
    fs::write(&room.config, json.replace(r#""d_ff":4"#, r#""d_ff":5"#)).expect("config");
    let shape = error(Room {
        checkpoint: room.checkpoint.clone(),
        config: room.config.clone(),
        dir: room.dir,
    });
    assert!(shape.contains("wi_0") && shape.contains("[5, 8]"), "{shape}");
    room = Room::t5(|_| {});
    room.config = room.dir.path().join("atomas.json");
    fs::write(&room.config, r#"{"kind":"atomas"}"#).expect("config");
    let kind = error(room);
    assert!(kind.contains("a T5 alone"), "{kind}");
}

#[test]
fn a_shape_larger_than_the_file_is_refused_before_memory_is_asked_for() {
    let room = Room::atomas();
    let mut bytes = lightning();
    // The shape (96, 8) as a pickle writes it becomes (255, 255).
    let shape = [b'K', 96, b'K', 8, 0x86];
    let places: Vec<usize> = (0..bytes.len() - 5).filter(|&i| bytes[i..i + 5] == shape).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at + 1] = 255;
        bytes[at + 3] = 255;
    }
    fs::write(&room.checkpoint, bytes).expect("checkpoint");
    let error = room.convert(WeightCopy::Online).expect_err("too large").to_string();
    assert!(error.contains("larger than the file"), "{error}");
}

#[test]
fn a_damaged_checkpoint_is_an_error() {
    let whole = lightning();
    let mut room = Room::atomas();
    let damaged = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        bytes
    };
    // The pickle begins near the front; a changed opcode or length there must not bring the program down. What can be read
    // in spite of it does not fit the config.
    let mut variants = vec![
        b"PK\x03\x04".to_vec(),
        Vec::new(),
        vec![7; 1000],
        damaged(&|b| b.truncate(b.len() / 2)),
    ];
    variants.extend((60..400).step_by(9).map(|at| damaged(&|b| b[at] ^= 0x5a)));
    room.config = data("t5_tiny.json");
    for bytes in variants {
        fs::write(&room.checkpoint, bytes).expect("checkpoint");
        assert!(room.convert(WeightCopy::Online).is_err());
    }
}
