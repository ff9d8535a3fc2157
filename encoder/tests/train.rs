//! Promises of training and of the models it writes, on a model that trains in a second.

mod small;

use std::{
    collections::BTreeSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use moiety_chem::Molecule;
use moiety_encoder::{
    DeviceChoice, Encoder, Encoding, Extent, FeatureConfig, Level, Model,
    train::{Beginning, TextStart, TrainConfig, TrainEvent, TrainPaths, train},
};

fn trained(dir: &Path, steps: usize) -> Model {
    train(&small::config(steps), &small::paths(dir), DeviceChoice::Cpu, |_| {}).expect("training");
    Model::load(&dir.join("run/model"), 2).expect("the model it wrote")
}

fn molecules(smiles: &[&str]) -> Vec<Molecule> {
    smiles.iter().map(|s| Molecule::from_smiles(s).expect("a valid SMILES")).collect()
}

fn encode(model: &Model, smiles: &[&str]) -> Vec<Encoding> {
    let molecules = molecules(smiles);
    model.encode_molecules(&molecules.iter().collect::<Vec<_>>()).expect("encodings")
}

fn gap(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn loss_falls_and_rows_that_may_not_ship_or_cannot_be_read_are_left_out() {
    let dir = tempfile::tempdir().expect("directory");
    let (mut losses, mut ready) = (Vec::new(), None);
    train(&small::config(60), &small::paths(dir.path()), DeviceChoice::Cpu, |event| match event {
        TrainEvent::Step { losses: parts, .. } => losses.push(parts["global"]),
        TrainEvent::Ready { pairs, skipped, validation, .. } => {
            ready = Some((*pairs, *skipped, *validation))
        }
        _ => {}
    })
    .expect("training");
    assert_eq!(ready, Some((12, 1, 4)));
    let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
    assert!(mean(&losses[50..]) < 0.7 * mean(&losses[..5]), "{losses:?}");
}

#[test]
fn structures_in_words_are_a_kind_of_text_beside_those_of_the_file() {
    let dir = tempfile::tempdir().expect("directory");
    let kinds = [("caption".to_owned(), 1.0), ("structure".to_owned(), 1.0)].into();
    let config = TrainConfig { kinds, ..small::config(12) };
    let (mut kinds, mut pairs_in_all) = (BTreeSet::new(), 0);
    train(&config, &small::paths(dir.path()), DeviceChoice::Cpu, |event| match event {
        TrainEvent::Ready { pairs, .. } => pairs_in_all = *pairs,
        TrainEvent::Step { kind, .. } => drop(kinds.insert(kind.clone())),
        _ => {}
    })
    .expect("training");
    assert_eq!(kinds, BTreeSet::from(["caption".to_owned(), "structure".to_owned()]));
    // The file has twelve pairs to train on, of different molecules.
    assert_eq!(pairs_in_all, 24);
}

#[test]
fn a_text_tower_from_nothing_needs_no_checkpoint_and_trains_its_embeddings() {
    let dir = tempfile::tempdir().expect("directory");
    let words_after = |steps: usize| {
        let config = TrainConfig {
            text_start: TextStart::Random,
            frozen_text_layers: 0,
            ..small::config(steps)
        };
        let paths = small::paths(&dir.path().join(steps.to_string()));
        fs::remove_file(dir.path().join(steps.to_string()).join("text/model.safetensors"))
            .expect("no checkpoint");
        train(&config, &paths, DeviceChoice::Cpu, |_| {}).expect("training");
        let file = paths.out.join("model/model.safetensors");
        let tensors = candle_core::safetensors::load(file, &candle_core::Device::Cpu);
        tensors.expect("weights")["text.words"].to_dtype(candle_core::DType::F32).expect("f32")
    };
    let moved = (words_after(1) - words_after(6)).and_then(|gap| gap.abs()?.max_all());
    assert!(moved.and_then(|m| m.to_scalar::<f32>()).expect("gap") > 1e-3);
}

#[test]
fn a_config_written_before_the_text_start_was_known_is_the_same_config() {
    let json = serde_json::to_value(small::config(4)).expect("json");
    assert!(json.get("text_start").is_none());
    let mut frozen = json;
    frozen["text_start"] = "random".into();
    let error = TrainConfig::from_json(&frozen.to_string()).expect_err("layers are frozen");
    assert!(error.to_string().contains("frozen_text_layers must be 0"), "{error}");
}

#[test]
fn a_killed_run_goes_on_to_the_same_model() {
    let (whole, cut) =
        (tempfile::tempdir().expect("directory"), tempfile::tempdir().expect("directory"));
    trained(whole.path(), 12);
    let paths = small::paths(cut.path());
    let killed = catch_unwind(AssertUnwindSafe(|| {
        train(&small::config(12), &paths, DeviceChoice::Cpu, |event| {
            if matches!(event, TrainEvent::Step { step: 7, .. }) {
                panic!("the power goes");
            }
        })
    }));
    assert!(killed.is_err());
    let mut resumed_at = 0;
    train(&small::config(12), &paths, DeviceChoice::Cpu, |event| {
        if let TrainEvent::Ready { resumed_at: at, .. } = event {
            resumed_at = *at;
        }
    })
    .expect("resumed");
    assert_eq!(resumed_at, 6);
    let weights = |dir: &Path| fs::read(dir.join("run/model/model.safetensors")).expect("weights");
    assert!(weights(whole.path()) == weights(cut.path()));
}

#[test]
fn a_run_can_begin_with_an_earlier_model_and_like_molecules_in_a_batch() {
    let dir = tempfile::tempdir().expect("directory");
    let first = trained(dir.path(), 6);
    let mut paths = small::paths(dir.path());
    paths.begin = Beginning::Model(dir.path().join("run/model"));
    paths.out = dir.path().join("second");
    let mut config = small::config(2);
    (config.similar, config.phrase_windows, config.learning_rate) = (3, 0.5, 1e-9);
    config.text_learning_rate = 1e-9;
    let mut losses = Vec::new();
    train(&config, &paths, DeviceChoice::Cpu, |event| {
        if let TrainEvent::Step { losses: parts, .. } = event {
            losses.push(parts["global"]);
        }
    })
    .expect("training");
    assert!(losses.len() == 2 && losses.iter().all(|loss| loss.is_finite()));
    let second = Model::load(&paths.out.join("model"), 1).expect("the second model");
    let (a, b) = (encode(&first, &["CCO"]), encode(&second, &["CCO"]));
    assert!(gap(&a[0].global, &b[0].global) < 1e-3);
    paths.begin = small::paths(dir.path()).begin;
    let refused = train(&config, &paths, DeviceChoice::Cpu, |_| {})
        .expect_err("another beginning")
        .to_string();
    assert!(refused.contains("another beginning"), "{refused}");
}

/// A run of the feature tables alone, which begins with the model in `dir/run/model`.
fn features_run(dir: &Path, steps: usize) -> (TrainConfig, TrainPaths) {
    let mut config = small::config(steps);
    config.model.features = Some(FeatureConfig { text_rows: 512, molecule_rows: 512 });
    (config.features_alone, config.feature_learning_rate) = (true, 0.3);
    (config.feature_dropout, config.phrase_windows) = (0.1, 0.2);
    config.tower_dropout = [("caption".to_owned(), 0.5)].into();
    let begin = Beginning::Model(dir.join("run/model"));
    (config, TrainPaths { begin, out: dir.join("features"), ..small::paths(dir) })
}

#[test]
fn tables_of_features_learn_beside_towers_that_stay_as_they_were() {
    let dir = tempfile::tempdir().expect("directory");
    let plain = trained(dir.path(), 4);
    let (config, paths) = features_run(dir.path(), 40);
    let mut losses = Vec::new();
    train(&config, &paths, DeviceChoice::Cpu, |event| {
        if let TrainEvent::Step { losses: parts, .. } = event {
            losses.push(parts["global"]);
        }
    })
    .expect("training");
    let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
    assert!(mean(&losses[30..]) < 0.7 * mean(&losses[..5]), "{losses:?}");
    let load = || Model::load(&paths.out.join("model"), 2).expect("the model it wrote");
    let (featured, bare) = (load(), load().without_features());
    let (a, b) = (encode(&plain, &["CC(=O)OC"]), encode(&featured, &["CC(=O)OC"]));
    assert!(a[0].tokens == b[0].tokens && a[0].fragments == b[0].fragments);
    assert!(gap(&a[0].global, &b[0].global) > 0.1);
    assert!((length(&b[0].global) - 1.0).abs() < 1e-5);
    assert!(gap(&a[0].global, &encode(&bare, &["CC(=O)OC"])[0].global) < 1e-3);
    assert_ne!(bare.info().fingerprint, featured.info().fingerprint);
}

#[test]
fn a_killed_run_of_features_goes_on_to_the_same_model() {
    let dir = tempfile::tempdir().expect("directory");
    trained(dir.path(), 4);
    let (config, whole) = features_run(dir.path(), 8);
    train(&config, &whole, DeviceChoice::Cpu, |_| {}).expect("training");
    let cut = TrainPaths { out: dir.path().join("cut"), ..features_run(dir.path(), 8).1 };
    let killed = catch_unwind(AssertUnwindSafe(|| {
        train(&config, &cut, DeviceChoice::Cpu, |event| {
            if matches!(event, TrainEvent::Step { step: 5, .. }) {
                panic!("the power goes");
            }
        })
    }));
    assert!(killed.is_err());
    train(&config, &cut, DeviceChoice::Cpu, |_| {}).expect("resumed");
    let weights = |run: &Path| fs::read(run.join("model/model.safetensors")).expect("weights");
    assert!(weights(&whole.out) == weights(&cut.out));
}

#[test]
fn features_are_refused_where_the_model_has_no_tables_for_them() {
    let mut json = serde_json::to_value(small::config(4)).expect("json");
    json["features_alone"] = true.into();
    let error = TrainConfig::from_json(&json.to_string()).expect_err("no tables").to_string();
    assert!(error.contains("model.features"), "{error}");
}

#[test]
fn another_config_in_the_same_place_is_refused() {
    let dir = tempfile::tempdir().expect("directory");
    trained(dir.path(), 2);
    let error = train(&small::config(4), &small::paths(dir.path()), DeviceChoice::Cpu, |_| {})
        .expect_err("another config");
    assert!(error.to_string().contains("another config"), "{error}");
}

#[test]
fn batch_gives_what_its_items_give_alone() {
    let dir = tempfile::tempdir().expect("directory");
    let model = trained(dir.path(), 4);
    let smiles = ["CCO", "c1ccccc1C(=O)O", "[Na+].[Cl-]", "C", "CC(C)(C)C(F)(F)F"];
    let texts = ["an acid", "the aromatic ring of benzene, and a salt", "salt"];
    let alone: Vec<Encoding> = smiles.iter().flat_map(|s| encode(&model, &[s])).collect();
    let alone_texts: Vec<Encoding> =
        texts.iter().flat_map(|t| model.encode_texts(&[t]).expect("text")).collect();
    let together =
        encode(&model, &smiles).into_iter().chain(model.encode_texts(&texts).expect("texts"));
    for (one, many) in alone.iter().chain(&alone_texts).zip(together) {
        assert!(gap(&one.global, &many.global) < 1e-5);
        for (one, many) in [(&one.tokens, &many.tokens), (&one.fragments, &many.fragments)] {
            assert!(
                gap(&one.vectors, &many.vectors) < 1e-5 && gap(&one.weights, &many.weights) < 1e-5
            );
            assert_eq!(one.extents, many.extents);
        }
    }
}

#[test]
fn every_level_has_unit_vectors_weights_that_sum_to_one_and_true_extents() {
    let dir = tempfile::tempdir().expect("directory");
    let model = trained(dir.path(), 4);
    let text = "the molecule is an ethanol, a short-chain alcohol";
    let encodings =
        [encode(&model, &["CC(=O)Oc1ccccc1C(=O)O"]), model.encode_texts(&[text]).expect("text")];
    for encoding in encodings.iter().flatten() {
        assert!((length(&encoding.global) - 1.0).abs() < 1e-5);
        for level in [&encoding.tokens, &encoding.fragments] {
            check_level(level);
        }
    }
    let atoms: usize = encodings[0][0]
        .fragments
        .extents
        .iter()
        .map(|extent| match extent {
            Extent::Atoms(atoms) => atoms.len(),
            Extent::Span { .. } => 0,
        })
        .sum();
    assert_eq!(atoms, 13);
    let word = |extent: &Extent| match extent {
        Extent::Span { start, end } => text[*start as usize..*end as usize].to_owned(),
        Extent::Atoms(_) => String::new(),
    };
    let words: Vec<String> = encodings[1][0].tokens.extents.iter().map(word).collect();
    assert_eq!(words, ["the", "molecule", "is", "an", "ethanol", "a", "short", "chain", "alcohol"]);
    let phrases: Vec<String> = encodings[1][0].fragments.extents.iter().map(word).collect();
    assert_eq!(phrases, ["molecule", "ethanol", "short-chain alcohol"]);
}

fn check_level(level: &Level) {
    assert!(!level.is_empty() && level.extents.len() == level.len());
    assert!(
        (level.weights.iter().sum::<f32>() - 1.0).abs() < 1e-5
            && level.weights.iter().all(|w| *w > 0.0)
    );
    for i in 0..level.len() {
        assert!((length(level.vector(i)) - 1.0).abs() < 1e-4);
    }
}

fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|x| x * x).sum::<f32>().sqrt()
}

#[test]
fn order_of_atoms_does_not_matter_and_stereo_does() {
    let dir = tempfile::tempdir().expect("directory");
    let model = trained(dir.path(), 4);
    let same = encode(&model, &["C[C@H](N)C(=O)O", "OC(=O)[C@H](C)N"]);
    assert!(gap(&same[0].global, &same[1].global) < 1e-4);
    let mirrored = encode(&model, &["C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"]);
    assert!(gap(&mirrored[0].global, &mirrored[1].global) > 1e-3);
    let bent = encode(&model, &["C/C=C/C", "C/C=C\\C"]);
    assert!(gap(&bent[0].global, &bent[1].global) > 1e-3);
}

#[test]
fn items_beyond_the_limits_are_named() {
    let dir = tempfile::tempdir().expect("directory");
    let model = trained(dir.path(), 2);
    let (small, large) = (
        Molecule::from_smiles("CC").expect("small"),
        Molecule::from_smiles(&"C".repeat(41)).expect("large"),
    );
    let error = model.encode_molecules(&[&small, &large]).expect_err("too large").to_string();
    assert!(
        error.contains("molecule 1") && error.contains("41") && error.contains("40"),
        "{error}"
    );
    let error = model.encode_texts(&["an acid", " "]).expect_err("no words").to_string();
    assert!(error.contains("text 1") && error.contains("no words"), "{error}");
    let error = model.encode_texts(&["黄色染料"]).expect_err("nothing it knows").to_string();
    assert!(error.contains("English"), "{error}");
    let long = "acid ".repeat(1000);
    assert_eq!(model.encode_texts(&[&long]).expect("the beginning is read")[0].tokens.len(), 22);
}

#[test]
fn a_damaged_file_is_named() {
    let dir = tempfile::tempdir().expect("directory");
    let model = trained(dir.path(), 2);
    let first = model.info().fingerprint.clone();
    let place = dir.path().join("run/model");
    assert_eq!(Model::load(&place, 1).expect("again").info().fingerprint, first);
    let weights = place.join("model.safetensors");
    let mut bytes = fs::read(&weights).expect("weights");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&weights, bytes).expect("damage");
    let error = Model::load(&place, 1).err().expect("damaged").to_string();
    assert!(error.contains("model.safetensors") && error.contains("SHA256SUMS"), "{error}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn any_config_text_is_read_or_refused(text in ".{0,200}") {
        let _ = moiety_encoder::train::TrainConfig::from_json(&text);
    }
}
