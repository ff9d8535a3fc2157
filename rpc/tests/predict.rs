//! Prediction over a real connection: the answers, each refusal, and what `Info` says of the heads.

#![allow(clippy::unwrap_used)]

mod served;

use std::sync::Arc;

use moiety_chem::Molecule;
use moiety_encoder::{
    Encoder, HashingEncoder,
    property::{
        Block, Candidate, Features, FitConfig, Head, HeadData, HeadSpec, Heads, Labels, Quality,
        Reference, Split, TaskKind, fit,
    },
};
use moiety_engine::{Engine, EngineError, EngineOptions, ErrorKind};
use moiety_rpc::{limits, wire};
use served::{DIMENSION, Served, refusal, serve, serve_engine, smiles_structure};
use tonic::Code;
use wire::task_prediction::Prediction;

const SMILES: [&str; 12] = [
    "CCO", "CCCO", "CCCCO", "CCCCCO", "OCCO", "OCCCO", "CCN", "CCCN", "CCCCN", "CCCCCN", "NCCN",
    "NCCCN",
];

/// A head that says whether there is oxygen, and one that gives the number of atoms.
fn heads(encoder: &HashingEncoder) -> Heads {
    let molecules: Vec<Molecule> =
        SMILES.iter().map(|s| Molecule::from_smiles(s).unwrap()).collect();
    let features = Features::compute(encoder, &molecules.iter().collect::<Vec<_>>()).unwrap();
    let oxygen = SMILES.iter().map(|s| f32::from(u8::from(s.contains('O')))).collect();
    let atoms = molecules.iter().map(|m| m.heavy_atoms() as f32).collect();
    Heads::of(vec![
        head("oxygen", TaskKind::Classification, oxygen, &features, encoder),
        head("atoms", TaskKind::Regression, atoms, &features, encoder),
    ])
}

fn head(
    name: &str,
    kind: TaskKind,
    values: Vec<f32>,
    features: &Features,
    encoder: &HashingEncoder,
) -> Head {
    let labels = Labels::new(kind, vec![name.into()], values).unwrap();
    let all: Vec<usize> = (0..features.rows()).collect();
    let split = Split { train: all.clone(), validation: all.clone(), test: Vec::new() };
    let reads = Candidate { blocks: vec![Block::Descriptors, Block::Fingerprint], hidden: 0 };
    let config = FitConfig {
        learning_rate: 0.05,
        weight_decay: 0.0,
        dropout: 0.0,
        batch_size: 12,
        epochs: 200,
        patience: 200,
    };
    let network = fit(features, &labels, &split, &reads, (&config, 1)).unwrap().network;
    let reference =
        Reference::new(all.iter().map(|&row| features.fingerprint(row).clone()).collect());
    let spec = HeadSpec {
        format_version: 0,
        name: name.into(),
        title: format!("{name}, planted"),
        kind,
        unit: if kind == TaskKind::Regression { "atoms".into() } else { String::new() },
        tasks: vec![name.into()],
        encoder: encoder.info().name.clone(),
        encoder_fingerprint: encoder.info().fingerprint.clone(),
        blocks: reads.blocks.clone(),
        hidden: 0,
        seed: 1,
        far_below: 0.3,
        limits: "alcohols and amines".into(),
        data: HeadData {
            file: String::new(),
            sha256: String::new(),
            licence: "CC0".into(),
            source: "this test".into(),
            rows: 12,
            unread: 0,
            split: [12, 0, 0],
        },
        quality: Quality {
            metric: kind.metric().into(),
            mean: 0.75,
            deviation: 0.25,
            seeds: vec![1],
            this: 0.75,
            near: None,
            far: None,
            far_share: 0.0,
            baselines: Vec::new(),
        },
        examples: Vec::new(),
        files: Default::default(),
    };
    Head::new(spec, network, reference)
}

async fn serve_heads() -> Served {
    let encoder = HashingEncoder::new(DIMENSION);
    let heads = heads(&encoder);
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), Arc::new(encoder), EngineOptions::default()).unwrap();
    serve_engine(dir, engine.with_heads(heads).unwrap()).await
}

fn value(prediction: &wire::HeadPrediction) -> f64 {
    match prediction.tasks[0].prediction.unwrap() {
        Prediction::Probability(x) | Prediction::Value(x) => x,
    }
}

#[tokio::test]
async fn molecules_are_predicted_by_every_head_and_bad_ones_come_back() {
    let served = serve_heads().await;
    let inchi = wire::structure::Format::Inchi("InChI=1S/C3H8O/c1-2-3-4/h4H,2-3H2,1H3".into());
    let molecules = vec![
        smiles_structure("CCCCO"),
        smiles_structure("C1CC"),
        wire::Structure { format: None },
        wire::Structure { format: Some(inchi) },
        smiles_structure("CCCCN"),
        smiles_structure("c1ccc2c(c1)[nH]c1ccccc12"),
    ];
    let answer = served.client.predict(molecules.clone(), vec![]).await.unwrap();
    let positions: Vec<u32> = answer.items.iter().map(|item| item.position).collect();
    assert_eq!(positions, [0, 3, 4, 5]);
    let errors: Vec<(u32, i32)> = answer.errors.iter().map(|e| (e.position, e.code)).collect();
    let invalid = i32::from(wire::ItemErrorCode::InvalidMolecule);
    assert_eq!(errors, [(1, invalid), (2, invalid)]);
    let of = |at: usize, head: usize| &answer.items[at].predictions[head];
    assert_eq!((of(0, 0).head.as_str(), of(0, 1).head.as_str()), ("oxygen", "atoms"));
    assert!(value(of(0, 0)) > value(of(2, 0)) && value(of(1, 0)) > value(of(2, 0)));
    assert!((value(of(0, 1)) - 5.0).abs() < 0.5, "{}", value(of(0, 1)));
    assert!(matches!(of(0, 0).tasks[0].prediction, Some(Prediction::Probability(_))));
    assert!(matches!(of(0, 1).tasks[0].prediction, Some(Prediction::Value(_))));
    assert_eq!((of(0, 0).domain(), of(0, 0).nearest_similarity), (wire::Domain::Near, 1.0));
    assert_eq!(of(3, 0).domain(), wire::Domain::Far, "carbazole is no alcohol");
    let again = served.client.predict(molecules, vec![]).await.unwrap();
    assert_eq!(again.items, answer.items, "the same question has the same answer");
}

#[tokio::test]
async fn heads_are_asked_by_name_in_the_order_given() {
    let served = serve_heads().await;
    let names = vec!["atoms".to_owned(), "oxygen".to_owned()];
    let answer = served.client.predict(vec![smiles_structure("CCO")], names).await.unwrap();
    let heads: Vec<&str> = answer.items[0].predictions.iter().map(|p| p.head.as_str()).collect();
    assert_eq!(heads, ["atoms", "oxygen"]);
    assert!(!answer.info.unwrap().model_fingerprint.is_empty());
}

#[tokio::test]
async fn bad_requests_are_refused_with_the_reason() {
    let served = serve_heads().await;
    let ethanol = || vec![smiles_structure("CCO")];
    let many = vec![smiles_structure("CCO"); limits::MAX_ENCODE + 1];
    let named = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let client = &served.client;
    let cases = [
        (refusal(client.predict(vec![], vec![]).await), "1000"),
        (refusal(client.predict(many, vec![]).await), "1000"),
        (refusal(client.predict(ethanol(), named(&["taste"])).await), "oxygen, atoms"),
        (refusal(client.predict(ethanol(), named(&["atoms", "atoms"])).await), "heads[1]"),
    ];
    for ((code, message), word) in cases {
        assert_eq!(code, Code::InvalidArgument, "{message}");
        assert!(message.contains(word), "{message}");
    }
}

#[tokio::test]
async fn a_server_without_heads_says_so() {
    let served = serve().await;
    let (code, message) =
        refusal(served.client.predict(vec![smiles_structure("CCO")], vec![]).await);
    assert_eq!(code, Code::FailedPrecondition);
    assert!(message.contains("no property head"), "{message}");
    assert!(served.client.info().await.unwrap().heads.is_empty());
}

#[tokio::test]
async fn info_lists_the_heads_with_what_they_are_worth() {
    let served = serve_heads().await;
    let info = served.client.info().await.unwrap();
    let atoms = &info.heads[1];
    assert_eq!((atoms.name.as_str(), atoms.unit.as_str()), ("atoms", "atoms"));
    assert_eq!(atoms.kind(), wire::HeadKind::Regression);
    let quality = atoms.quality.clone().unwrap();
    assert_eq!((quality.metric.as_str(), quality.mean), ("RMSE", 0.75));
    assert_eq!(quality.training_molecules, 12);
}

#[test]
fn an_engine_refuses_heads_of_another_encoder() {
    let dir = tempfile::tempdir().unwrap();
    let other = Arc::new(HashingEncoder::new(DIMENSION / 2));
    let engine = Engine::open(dir.path(), other, EngineOptions::default()).unwrap();
    let refused = engine.with_heads(heads(&HashingEncoder::new(DIMENSION))).err().unwrap();
    assert!(matches!(&refused, EngineError::Encoder(_)), "{refused}");
    assert_eq!(refused.kind(), ErrorKind::Refused);
}
