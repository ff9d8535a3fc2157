//! Promises of property heads, on molecules whose properties are planted.

mod small;

use std::path::Path;

use moiety_chem::Molecule;
use moiety_encoder::{
    DeviceChoice, Encoder, EncoderError, HashingEncoder, Model,
    property::{
        Block, Candidate, Example, Features, FineTuneConfig, FitConfig, Head, HeadData, HeadSpec,
        Heads, Labels, Network, Quality, Reference, Split, TaskKind, choose, fine_tune, fit,
        mean_over_tasks,
    },
    train::train,
};

const CONFIG: FitConfig = FitConfig {
    learning_rate: 0.01,
    weight_decay: 0.05,
    dropout: 0.1,
    batch_size: 32,
    epochs: 60,
    patience: 15,
};

/// Chains of one to twelve carbons with ten end groups.
fn smiles() -> Vec<String> {
    let ends = ["O", "N", "Cl", "C(=O)O", "C#N", "S", "F", "Br", "C(=O)N", "OC"];
    (1..=12).flat_map(|n| ends.iter().map(move |end| "C".repeat(n) + end)).collect()
}

struct Planted {
    molecules: Vec<Molecule>,
    features: Features,
    split: Split,
}

impl Planted {
    fn new(encoder: &dyn Encoder) -> Self {
        let molecules: Vec<Molecule> =
            smiles().iter().map(|s| Molecule::from_smiles(s).expect("smiles")).collect();
        let references: Vec<&Molecule> = molecules.iter().collect();
        let features = Features::compute(encoder, &references).expect("features");
        let part = |wanted: fn(usize) -> bool| {
            (0..molecules.len()).filter(|row| wanted((row + row / 10) % 10)).collect()
        };
        let split =
            Split { train: part(|k| k < 7), validation: part(|k| k == 7), test: part(|k| k > 7) };
        Self { molecules, features, split }
    }

    /// Whether there is oxygen and whether there is nitrogen, every third measurement missing.
    fn classes(&self) -> Labels {
        let has = |smiles: &str, atom: char| f32::from(u8::from(smiles.contains(atom)));
        let row = |(i, s): (usize, &String)| {
            let missing = |at: usize, y: f32| if (i + at).is_multiple_of(3) { f32::NAN } else { y };
            [missing(0, has(s, 'O')), missing(1, has(s, 'N'))]
        };
        let values = smiles().iter().enumerate().flat_map(row).collect();
        let tasks = ["oxygen", "nitrogen"].map(String::from).to_vec();
        Labels::new(TaskKind::Classification, tasks, values).expect("labels")
    }

    /// Half the number of heavy atoms, far from zero.
    fn sizes(&self) -> Labels {
        let size = |molecule: &Molecule| 100.0 + molecule.heavy_atoms() as f32 / 2.0;
        let values = self.molecules.iter().map(size).collect();
        Labels::new(TaskKind::Regression, vec!["size".into()], values).expect("labels")
    }

    fn judge(&self, labels: &Labels, network: &Network) -> f64 {
        let predicted = network.predict(&self.features, &self.split.test);
        mean_over_tasks(labels, &self.split.test, &predicted).expect("test rows can be judged")
    }

    fn fit(&self, labels: &Labels, candidate: &Candidate, seed: u64) -> Network {
        fit(&self.features, labels, &self.split, candidate, (&CONFIG, seed)).expect("fit").network
    }
}

fn candidate(blocks: &[Block], hidden: usize) -> Candidate {
    Candidate { blocks: blocks.to_vec(), hidden }
}

#[test]
fn a_planted_signal_is_learned_though_labels_are_missing() {
    let planted = Planted::new(&HashingEncoder::new(16));
    let labels = planted.classes();
    for hidden in [0, 16] {
        let network =
            planted.fit(&labels, &candidate(&[Block::Encoder, Block::Fingerprint], hidden), 1);
        let auc = planted.judge(&labels, &network);
        assert!(auc > 0.85, "{hidden} hidden units: {auc}");
    }
}

#[test]
fn regression_comes_back_in_its_own_unit() {
    let planted = Planted::new(&HashingEncoder::new(16));
    let labels = planted.sizes();
    let network = planted.fit(&labels, &candidate(&[Block::Descriptors], 16), 1);
    let rmse = planted.judge(&labels, &network);
    assert!(rmse < 0.4, "a deviation of 1.8 was left at {rmse}");
}

#[test]
fn the_same_seed_gives_the_same_head_and_another_another() {
    let planted = Planted::new(&HashingEncoder::new(16));
    let (labels, reads) = (planted.classes(), candidate(&[Block::Encoder], 8));
    let once = planted.fit(&labels, &reads, 5);
    assert_eq!(once, planted.fit(&labels, &reads, 5));
    assert_ne!(once, planted.fit(&labels, &reads, 6));
}

#[test]
fn what_validation_prefers_is_chosen() {
    let planted = Planted::new(&HashingEncoder::new(4));
    let labels = planted.sizes();
    let candidates = [candidate(&[Block::Fingerprint], 0), candidate(&[Block::Descriptors], 0)];
    let choice =
        choose(&planted.features, &labels, &planted.split, &candidates, (&CONFIG, &[1, 2]), || ());
    let choice = choice.expect("choice");
    let best = choice.best(|_| true).expect("a trial");
    assert_eq!((&best.candidate, best.fits.len()), (&candidates[1], 2));
    let bits = choice.best(|candidate| candidate.blocks == [Block::Fingerprint]);
    assert_eq!(bits.expect("a trial").candidate, candidates[0]);
}

/// A head on the planted classes.
fn head(planted: &Planted, encoder: &dyn Encoder) -> Head {
    let reads = candidate(&[Block::Encoder, Block::Descriptors, Block::Fingerprint], 8);
    let network = planted.fit(&planted.classes(), &reads, 1);
    let train = planted.split.train.iter();
    let reference =
        Reference::new(train.map(|&row| planted.features.fingerprint(row).clone()).collect());
    Head::new(spec(&reads, encoder, reference.far_below()), network, reference)
}

fn spec(reads: &Candidate, encoder: &dyn Encoder, far_below: f32) -> HeadSpec {
    HeadSpec {
        format_version: 0,
        name: "planted".into(),
        title: "holds oxygen, holds nitrogen".into(),
        kind: TaskKind::Classification,
        unit: String::new(),
        tasks: ["oxygen", "nitrogen"].map(String::from).to_vec(),
        encoder: encoder.info().name.clone(),
        encoder_fingerprint: encoder.info().fingerprint.clone(),
        blocks: reads.blocks.clone(),
        hidden: reads.hidden,
        seed: 1,
        far_below,
        limits: String::new(),
        data: HeadData {
            file: "none".into(),
            sha256: String::new(),
            licence: "CC0".into(),
            source: "this test".into(),
            rows: 120,
            unread: 0,
            split: [84, 12, 24],
        },
        quality: Quality {
            metric: "ROC-AUC".into(),
            mean: 1.0,
            deviation: 0.0,
            seeds: vec![1],
            this: 1.0,
            near: None,
            far: None,
            far_share: 0.0,
            baselines: Vec::new(),
        },
        examples: Vec::new(),
        files: Default::default(),
    }
}

#[test]
fn a_head_survives_its_directory_and_predicts_alike_in_any_company() {
    let encoder = HashingEncoder::new(16);
    let planted = Planted::new(&encoder);
    let dir = tempfile::tempdir().expect("directory");
    let head = head(&planted, &encoder);
    head.save(&dir.path().join("planted")).expect("save");
    let heads = Heads::load(dir.path(), encoder.info()).expect("load");
    let loaded = heads.get("planted").expect("head");
    let together = head.predict(&planted.features);
    assert_eq!(loaded.predict(&planted.features), together);
    for row in [0, 57, 119] {
        let alone = &planted.molecules[row];
        let features = Features::compute(&encoder, &[alone]).expect("features");
        assert_eq!(loaded.predict(&features), together[row..=row]);
    }
}

#[test]
fn molecules_unlike_any_that_were_seen_are_far() {
    let encoder = HashingEncoder::new(16);
    let planted = Planted::new(&encoder);
    let head = head(&planted, &encoder);
    let steroid = Molecule::from_smiles("CC12CCC3C(C1CCC2O)CCC4=CC(=O)CCC34C").expect("steroid");
    let features =
        Features::compute(&encoder, &[&planted.molecules[0], &steroid]).expect("features");
    let domains: Vec<bool> = head.predict(&features).iter().map(|p| p.domain.far).collect();
    assert_eq!(domains, [false, true]);
}

#[test]
fn heads_of_another_encoder_and_damaged_ones_are_refused() {
    let encoder = HashingEncoder::new(16);
    let planted = Planted::new(&encoder);
    let dir = tempfile::tempdir().expect("directory");
    let place = dir.path().join("planted");
    head(&planted, &encoder).save(&place).expect("save");
    let other = HashingEncoder::new(8);
    let refused = Heads::load(dir.path(), other.info()).expect_err("another encoder");
    assert!(matches!(&refused, EncoderError::ForeignHead { head, .. } if head == "planted"));
    assert!(refused.to_string().contains("heads.sh"), "{refused}");
    for file in ["network.safetensors", "reference.safetensors", "head.json"] {
        let path = place.join(file);
        let intact = std::fs::read(&path).expect("file");
        std::fs::write(&path, &intact[..intact.len() - 9]).expect("write");
        let damaged = Head::load(&place, encoder.info()).expect_err("damaged");
        assert!(damaged.to_string().contains(file), "{damaged}");
        std::fs::write(&path, intact).expect("write");
    }
    assert!(Head::load(&place, encoder.info()).is_ok());
}

#[test]
fn a_tuned_model_predicts_what_its_epochs_were_judged_by() {
    let dir = tempfile::tempdir().expect("directory");
    train(&small::config(2), &small::paths(dir.path()), DeviceChoice::Cpu, |_| {})
        .expect("training");
    let base = dir.path().join("run/model");
    let planted = Planted::new(&Model::load(&base, 1).expect("model"));
    let labels = planted.sizes();
    let molecules: Vec<&Molecule> = planted.molecules.iter().collect();
    let head = FitConfig { epochs: 12, patience: 12, ..CONFIG };
    let config = FineTuneConfig { head, hidden: 8, tower_learning_rate: 0.005 };
    let out = dir.path().join("tuned");
    let tuned = fine_tune((&base, &out), &molecules, &labels, &planted.split, (&config, 1));
    let tuned = tuned.expect("tuned");
    let predicted = tuned.fit.network.predict(&tuned.features, &planted.split.validation);
    let judged = mean_over_tasks(&labels, &planted.split.validation, &predicted).expect("judged");
    // What was judged had weights in f32, what was written has them in f16.
    assert!(
        (judged - tuned.fit.validation).abs() < 0.05,
        "{judged} against {}",
        tuned.fit.validation
    );
    assert!(tuned.fit.validation < 1.5, "a deviation of 1.8 was left at {}", tuned.fit.validation);
    let fingerprint = |dir: &Path| Model::load(dir, 1).expect("model").info().fingerprint.clone();
    assert_ne!(fingerprint(&base), fingerprint(&out));
}

/// The heads that ship belong to the encoder that ships, and say what their cards say.
#[test]
fn the_shipped_heads_reproduce_their_examples() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/moiety-mini");
    let model = Model::load(&models, 1).expect("the shipped model");
    let heads = Heads::load(&models.join("heads"), model.info());
    let heads =
        heads.expect("the shipped heads fit the shipped model; scripts/heads.sh rebuilds them");
    let names: Vec<&str> = heads.iter().map(|head| head.spec().name.as_str()).collect();
    assert_eq!(names, ["bbbp", "esol", "lipophilicity", "tox21"]);
    for head in heads.iter() {
        for Example { smiles, predicted, nearest, .. } in &head.spec().examples {
            let molecule = Molecule::from_smiles(smiles).expect("an example's SMILES");
            let features = Features::compute(&model, &[&molecule]).expect("features");
            let now = &head.predict(&features)[0];
            assert!((now.domain.nearest - nearest).abs() < 1e-6);
            for (now, then) in now.values.iter().zip(predicted) {
                let name = &head.spec().name;
                assert!((now - then).abs() < 2e-3, "{name} {smiles}: {now}, not {then}");
            }
        }
    }
}
