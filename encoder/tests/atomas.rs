//! Promises of training an Atomas and of the models it writes, on one that trains in a second.

mod small;

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use moiety_chem::Molecule;
use moiety_encoder::{
    DeviceChoice, Encoder, Encoding, Extent, Level,
    atomas::AtomasModel,
    train::{AtomasBeginning, AtomasPaths, AtomasTrainConfig, TrainEvent, train_atomas},
};

fn config(steps: usize, padding: &str) -> AtomasTrainConfig {
    let json = serde_json::json!({
        "model": {
            "kind": "atomas", "name": "small", "format_version": 1,
            "t5": {
                "vocab_size": 1400, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2,
                "feed_forward_proj": "gated-gelu", "tie_word_embeddings": false, "dropout_rate": 0.1
            },
            "padding": padding, "max_tokens": 48, "cluster_ratios": [0.25, 0.5],
            "cluster_heads": 4, "fragment_level": 1, "max_atoms": 40,
            "level_weights": { "global": 1.0, "fragment": 0.5, "token": 0.5 }
        },
        "start": "random", "text_pieces": 300, "seed": 3, "steps": steps, "batch_size": 6,
        "kinds": { "caption": 1.0 },
        "losses": {
            "contrast": 1.0, "alignment": 1.0, "molecule_generation": 1.0, "text_generation": 1.0, "soft_targets": 0.4
        },
        "momentum": 0.9, "queue_size": 12, "equal_pairs_are_negatives": false, "schedule": "cosine",
        "warmup_steps": 2, "learning_rate": 1e-2, "weight_decay": 0.0, "clip_norm": 1.0, "checkpoint_every": 2,
        "validate_every": 6, "validation_pairs": 4, "generated_pairs": 2, "generated_tokens": 12
    });
    AtomasTrainConfig::from_json(&json.to_string()).expect("a valid config")
}

fn paths(dir: &Path) -> AtomasPaths {
    let pairs = small::write_pairs(dir);
    AtomasPaths { pairs, begin: AtomasBeginning::Nothing, out: dir.join("run") }
}

fn trained(dir: &Path, steps: usize, padding: &str) -> AtomasModel {
    train_atomas(&config(steps, padding), &paths(dir), DeviceChoice::Cpu, |_| {})
        .expect("training");
    AtomasModel::load(&dir.join("run/model"), 2).expect("the model it wrote")
}

fn molecules(model: &dyn Encoder, smiles: &[&str]) -> Vec<Encoding> {
    let molecules: Vec<Molecule> =
        smiles.iter().map(|s| Molecule::from_smiles(s).expect("a valid SMILES")).collect();
    model.encode_molecules(&molecules.iter().collect::<Vec<_>>()).expect("encodings")
}

fn gap(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|x| x * x).sum::<f32>().sqrt()
}

#[test]
fn every_loss_is_logged_and_falls_and_validation_ranks_and_writes() {
    let dir = tempfile::tempdir().expect("directory");
    let (mut steps, mut validations) = (Vec::new(), 0);
    train_atomas(
        &config(60, "masked"),
        &paths(dir.path()),
        DeviceChoice::Cpu,
        |event| match event {
            TrainEvent::Step { losses, .. } => steps.push(losses.clone()),
            TrainEvent::Validation { text_to_molecule, generation, .. } => {
                let generation = generation.as_ref().expect("asked for");
                assert_eq!((text_to_molecule.targets, generation.pairs), (4, 2));
                assert!(
                    generation.valid_molecules.is_some_and(|share| (0.0..=1.0).contains(&share))
                );
                assert!(generation.exact_texts.is_some());
                validations += 1;
            }
            _ => {}
        },
    )
    .expect("training");
    assert_eq!(validations, 10);
    let names: Vec<&str> = steps[0].keys().copied().collect();
    let parts = ["alignment_0", "alignment_1", "alignment_2", "contrast"];
    assert_eq!(names, [&parts[..], &["molecule_generation", "text_generation"]].concat());
    for name in names {
        let mean = |part: &[std::collections::BTreeMap<&str, f32>]| {
            part.iter().map(|step| step[name]).sum::<f32>() / part.len() as f32
        };
        assert!(mean(&steps[50..]) < 0.9 * mean(&steps[..5]), "{name}: {steps:?}");
    }
    let log = fs::read_to_string(dir.path().join("run/log.jsonl")).expect("a log");
    assert!(log.contains(r#""exact_molecules""#) && log.contains(r#""recall_at_10""#));
}

#[test]
fn a_killed_run_goes_on_to_the_same_model() {
    let (whole, cut) =
        (tempfile::tempdir().expect("directory"), tempfile::tempdir().expect("directory"));
    trained(whole.path(), 8, "masked");
    let killed = catch_unwind(AssertUnwindSafe(|| {
        train_atomas(&config(8, "masked"), &paths(cut.path()), DeviceChoice::Cpu, |event| {
            if matches!(event, TrainEvent::Step { step: 5, .. }) {
                panic!("the power goes");
            }
        })
    }));
    assert!(killed.is_err());
    let mut resumed_at = 0;
    train_atomas(&config(8, "masked"), &paths(cut.path()), DeviceChoice::Cpu, |event| {
        if let TrainEvent::Ready { resumed_at: at, .. } = event {
            resumed_at = *at;
        }
    })
    .expect("resumed");
    assert_eq!(resumed_at, 4);
    for file in ["model/model.safetensors", "model/tokenizer.json", "model/SHA256SUMS"] {
        let bytes = |dir: &Path| fs::read(dir.join("run").join(file)).expect("a file");
        assert!(bytes(whole.path()) == bytes(cut.path()), "{file}");
    }
}

#[test]
fn batch_gives_what_its_items_give_alone() {
    for padding in ["masked", "faithful"] {
        let dir = tempfile::tempdir().expect("directory");
        let model = trained(dir.path(), 4, padding);
        let smiles = ["CCO", "c1ccccc1C(=O)O", "[Na+].[Cl-]", "C", "CC(C)(C)C(F)(F)F"];
        let texts = ["an acid", "the aromatic ring of benzene, and a salt", "salt"];
        let one_text = |t: &&str| model.encode_texts(&[*t]).expect("text");
        let mut alone: Vec<Encoding> =
            smiles.iter().flat_map(|s| molecules(&model, &[s])).collect();
        alone.extend(texts.iter().flat_map(one_text));
        let mut together = molecules(&model, &smiles);
        together.extend(model.encode_texts(&texts).expect("texts"));
        for (one, many) in alone.iter().zip(&together) {
            assert!(gap(&one.global, &many.global) < 1e-5);
            for (one, many) in [(&one.tokens, &many.tokens), (&one.fragments, &many.fragments)] {
                assert_eq!(one.extents, many.extents);
                assert!(gap(&one.vectors, &many.vectors) < 1e-5);
                assert!(gap(&one.weights, &many.weights) < 1e-5);
            }
        }
    }
}

#[test]
fn fragments_are_clusters_that_part_the_atoms_and_the_words() {
    for padding in ["masked", "faithful"] {
        let dir = tempfile::tempdir().expect("directory");
        let model = trained(dir.path(), 4, padding);
        let text = "the molecule is an ethanol, a short-chain alcohol";
        let encodings = [
            molecules(&model, &["CC(=O)Oc1ccccc1C(=O)O"]).remove(0),
            model.encode_texts(&[text]).expect("text").remove(0),
        ];
        for encoding in &encodings {
            assert!((length(&encoding.global) - 1.0).abs() < 1e-5);
            [&encoding.tokens, &encoding.fragments].into_iter().for_each(check_level);
            assert_eq!(encoding.tokens.dim, model.info().part_dim);
        }
        let mut seen: Vec<u32> = encodings[0].fragments.extents.iter().flat_map(atoms).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, (0..13).collect::<Vec<u32>>());
        let mut spans: Vec<(usize, usize)> =
            encodings[1].fragments.extents.iter().map(bytes).collect();
        spans.sort_unstable();
        assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{spans:?}");
        let kept: String = spans.iter().map(|&(start, end)| &text[start..end]).collect();
        let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        assert_eq!(letters(&kept), letters(text));
    }
}

fn atoms(extent: &Extent) -> Vec<u32> {
    match extent {
        Extent::Atoms(atoms) => atoms.clone(),
        Extent::Span { .. } => panic!("a molecule has atoms"),
    }
}

fn bytes(extent: &Extent) -> (usize, usize) {
    match extent {
        Extent::Span { start, end } => (*start as usize, *end as usize),
        Extent::Atoms(_) => panic!("a text has bytes"),
    }
}

fn check_level(level: &Level) {
    assert!(!level.is_empty() && level.extents.len() == level.len());
    assert!((level.weights.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    assert!(level.weights.iter().all(|w| *w > 0.0));
    for i in 0..level.len() {
        assert!((length(level.vector(i)) - 1.0).abs() < 1e-4);
    }
}

#[test]
fn how_a_molecule_is_written_does_not_matter_and_stereo_does() {
    let dir = tempfile::tempdir().expect("directory");
    let model = trained(dir.path(), 4, "masked");
    let same = molecules(&model, &["C[C@H](N)C(=O)O", "OC(=O)[C@H](C)N"]);
    assert_eq!(same[0].global, same[1].global);
    for pair in [["C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"], ["C/C=C/C", "C/C=C\\C"]] {
        let other = molecules(&model, &pair);
        assert!(gap(&other[0].global, &other[1].global) > 1e-4, "{pair:?}");
    }
}

#[test]
fn items_beyond_the_limits_are_named() {
    let dir = tempfile::tempdir().expect("directory");
    let model = trained(dir.path(), 2, "masked");
    let read = |smiles: &str| Molecule::from_smiles(smiles).expect("a molecule");
    let (small, large, long) = (read("CC"), read(&"C".repeat(41)), read(&"C(F)".repeat(20)));
    let error = model.encode_molecules(&[&small, &large]).expect_err("too large").to_string();
    assert!(
        error.contains("molecule 1") && error.contains("41") && error.contains("40"),
        "{error}"
    );
    let error = model.check_molecule(&long).expect_err("too many tokens").to_string();
    assert!(error.contains("47 tokens"), "{error}");
    let error = model.encode_texts(&["an acid", " "]).expect_err("no words").to_string();
    assert!(error.contains("text 1") && error.contains("no words"), "{error}");
    let beginning = model.encode_texts(&[&"acid ".repeat(1000)]).expect("the beginning is read");
    assert!(beginning[0].tokens.len() < 48);
}

#[test]
fn a_directory_of_either_kind_is_loaded_and_a_damaged_one_is_named() {
    let dir = tempfile::tempdir().expect("directory");
    let first = trained(dir.path(), 2, "masked").info().clone();
    let place = dir.path().join("run/model");
    let loaded = moiety_encoder::load(&place, 1).expect("loaded");
    assert_eq!((loaded.encoder.info(), loaded.level_weights.fragment), (&first, 0.5));
    let towers = tempfile::tempdir().expect("directory");
    let run = small::paths(towers.path());
    moiety_encoder::train::train(&small::config(2), &run, DeviceChoice::Cpu, |_| {})
        .expect("training");
    let loaded = moiety_encoder::load(&towers.path().join("run/model"), 1).expect("loaded");
    assert_eq!(loaded.encoder.info().name, "small");

    let weights = place.join("model.safetensors");
    let mut bytes = fs::read(&weights).expect("weights");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&weights, bytes).expect("damage");
    let error = moiety_encoder::load(&place, 1).err().expect("damaged").to_string();
    assert!(error.contains("model.safetensors") && error.contains("SHA256SUMS"), "{error}");
}

#[test]
fn a_run_can_begin_with_an_earlier_model() {
    let dir = tempfile::tempdir().expect("directory");
    trained(dir.path(), 2, "masked");
    let begin = AtomasBeginning::Model(dir.path().join("run/model"));
    let again = AtomasPaths { begin, out: dir.path().join("again"), ..paths(dir.path()) };
    train_atomas(&config(2, "masked"), &again, DeviceChoice::Cpu, |_| {}).expect("training");
    let again = AtomasPaths { out: again.out, ..paths(dir.path()) };
    let error = train_atomas(&config(2, "masked"), &again, DeviceChoice::Cpu, |_| {});
    let error = error.expect_err("another beginning").to_string();
    assert!(error.contains("another beginning"), "{error}");
}

#[test]
fn the_config_beside_the_program_is_valid_and_its_tokenizer_fits() {
    let json = include_str!("../../configs/atomas-small.json");
    let config = AtomasTrainConfig::from_json(json).expect("valid");
    assert!(1024 + config.text_pieces <= config.model.t5.vocab_size);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn any_config_text_is_read_or_refused(text in ".{0,200}") {
        let _ = AtomasTrainConfig::from_json(&text);
        let _ = moiety_encoder::atomas::AtomasConfig::from_json(&text);
    }
}
