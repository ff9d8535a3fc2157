//! Captions and generation over a real connection: the answers and their marks, each refusal, and the end of a caller's
//! patience.

#![allow(clippy::unwrap_used)]

mod served;

use std::{path::Path, sync::Arc, time::Duration};

use moiety_chem::Molecule;
use moiety_encoder::{
    DeviceChoice,
    train::{AtomasBeginning, AtomasPaths, AtomasTrainConfig, train_atomas},
};
use moiety_rpc::{ServerOptions, limits, wire};
use served::{Served, refusal, serve, serve_with, smiles_structure};
use tonic::Code;
use wire::{generate_options::Strategy, generated_molecule::Reading};

/// A model of a few weights, trained for one step: what it writes means nothing, but it writes.
fn train(dir: &Path) -> std::path::PathBuf {
    let config = serde_json::json!({
        "model": {
            "kind": "atomas", "name": "scribbler", "format_version": 1,
            "t5": {
                "vocab_size": 1400, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2,
                "feed_forward_proj": "gated-gelu", "tie_word_embeddings": false, "dropout_rate": 0.0
            },
            "padding": "masked", "max_tokens": 48, "cluster_ratios": [0.25, 0.5], "cluster_heads": 4,
            "fragment_level": 1, "max_atoms": 40,
            "level_weights": { "global": 1.0, "fragment": 0.5, "token": 0.5 }
        },
        "start": "random", "text_pieces": 300, "seed": 3, "steps": 1, "batch_size": 2, "kinds": { "caption": 1.0 },
        "losses": {
            "contrast": 1.0, "alignment": 1.0, "molecule_generation": 1.0, "text_generation": 1.0, "soft_targets": 0.4
        },
        "momentum": 0.9, "queue_size": 4, "equal_pairs_are_negatives": false, "schedule": "constant",
        "warmup_steps": 0, "learning_rate": 1e-3, "weight_decay": 0.0, "clip_norm": 1.0, "checkpoint_every": 1,
        "validate_every": 9, "validation_pairs": 2, "generated_pairs": 0, "generated_tokens": 0
    });
    let pairs = [
        ("train", "CCO", "an alcohol"),
        ("train", "CC(=O)O", "an acid"),
        ("train", "CCN", "a base"),
        ("train", "c1ccccc1", "an aromatic ring"),
        ("validation", "CCCO", "an alcohol"),
        ("validation", "CCCN", "a base"),
    ];
    let line = |(split, smiles, text): &(&str, &str, &str)| {
        let pair = serde_json::json!({
            "kind": "caption", "split": split, "use": "open", "smiles": smiles, "inchikey": smiles, "text": text
        });
        pair.to_string()
    };
    let path = dir.join("pairs.jsonl");
    std::fs::write(&path, pairs.iter().map(line).collect::<Vec<_>>().join("\n")).unwrap();
    let out = dir.join("run");
    let paths = AtomasPaths { pairs: path, begin: AtomasBeginning::Nothing, out: out.clone() };
    let config = AtomasTrainConfig::from_json(&config.to_string()).unwrap();
    train_atomas(&config, &paths, DeviceChoice::Cpu, |_| {}).unwrap();
    out.join("model")
}

async fn serve_scribbler(options: ServerOptions) -> Served {
    let dir = tempfile::tempdir().unwrap();
    let model = moiety_encoder::load(&train(dir.path()), 1).unwrap();
    serve_with(Arc::clone(&model.encoder), options).await
}

fn draws(samples: u32, max_tokens: u32) -> Option<wire::GenerateOptions> {
    let sampling = wire::Sampling { samples, seed: 7, ..Default::default() };
    let strategy = Some(Strategy::Sampling(sampling));
    Some(wire::GenerateOptions { strategy, max_tokens, ..Default::default() })
}

fn beams(width: u32, candidates: u32) -> Option<wire::GenerateOptions> {
    let strategy = Some(Strategy::Beam(wire::BeamSearch { width, candidates }));
    Some(wire::GenerateOptions { strategy, max_tokens: 12, ..Default::default() })
}

fn texts(texts: &[&str], options: Option<wire::GenerateOptions>) -> wire::GenerateRequest {
    wire::GenerateRequest { texts: texts.iter().map(|t| (*t).to_owned()).collect(), options }
}

fn molecules(smiles: &[&str], options: Option<wire::GenerateOptions>) -> wire::CaptionRequest {
    wire::CaptionRequest {
        molecules: smiles.iter().map(|s| smiles_structure(s)).collect(),
        options,
    }
}

/// Minutes of work, unless it is stopped.
fn long() -> wire::GenerateRequest {
    texts(&["an alcohol"; 100], draws(64, 1024))
}

#[tokio::test]
async fn captions_are_marked_ranked_and_distinct_and_bad_structures_come_back() {
    let served = serve_scribbler(ServerOptions::default()).await;
    let request = molecules(&["CCO", "C1CC", "OCC", "CC(=O)[O-].[Na+]"], draws(12, 8));
    let answer = served.client.caption(request.clone()).await.unwrap();
    let positions: Vec<u32> = answer.items.iter().map(|item| item.position).collect();
    assert_eq!(positions, [0, 2, 3]);
    assert_eq!(answer.errors.len(), 1);
    assert_eq!(
        (answer.errors[0].position, answer.errors[0].code()),
        (1, wire::ItemErrorCode::InvalidMolecule)
    );
    for item in &answer.items {
        let captions = &item.captions;
        assert!(captions.iter().all(|c| c.origin() == wire::TextOrigin::Generated));
        assert!(captions.iter().all(|c| c.ending() != wire::TextEnding::Unspecified));
        assert!(captions.is_sorted_by(|a, b| a.score >= b.score));
        let distinct: std::collections::HashSet<&str> =
            captions.iter().map(|c| c.text.as_str()).collect();
        assert!(distinct.len() == captions.len() && captions.len() > 4);
    }
    assert_eq!(answer.items[0].captions, answer.items[1].captions, "one molecule, however written");
    assert!(!answer.info.clone().unwrap().model_fingerprint.is_empty());
    let again = served.client.caption(request).await.unwrap();
    assert_eq!(again.items, answer.items, "the same draws");
    let beamed = served.client.caption(molecules(&["CCO"], beams(4, 3))).await.unwrap();
    assert!((1..=3).contains(&beamed.items[0].captions.len()), "equal strings are one");
    let greedy = served.client.caption(molecules(&["CCO"], None)).await.unwrap();
    assert_eq!(greedy.items[0].captions.len(), 1);
}

#[tokio::test]
async fn generated_molecules_are_read_again_and_what_is_none_says_why() {
    let served = serve_scribbler(ServerOptions::default()).await;
    // Of short draws from an untrained model some are molecules and some are not.
    let answer =
        served.client.generate(texts(&["an acid", "", "a base"], draws(64, 3))).await.unwrap();
    let positions: Vec<u32> = answer.items.iter().map(|item| item.position).collect();
    assert_eq!(positions, [0, 2]);
    assert_eq!(
        (answer.errors[0].position, answer.errors[0].code()),
        (1, wire::ItemErrorCode::InvalidText)
    );
    let (mut valid, mut invalid) = (0, 0);
    for item in &answer.items {
        let mut seen = std::collections::HashSet::new();
        assert!(item.molecules.is_sorted_by(|a, b| {
            a.written.as_ref().unwrap().score >= b.written.as_ref().unwrap().score
        }));
        for proposed in &item.molecules {
            let written = proposed.written.clone().unwrap();
            assert_eq!(written.origin(), wire::TextOrigin::Generated);
            match proposed.reading.clone().unwrap() {
                Reading::Molecule(named) => {
                    valid += 1;
                    let molecule = Molecule::from_smiles(&written.text).unwrap();
                    assert_eq!(molecule.written().unwrap().text, named.canonical_smiles);
                    assert!(seen.insert(named.canonical_smiles), "no molecule twice");
                }
                Reading::Invalid(reason) => {
                    invalid += 1;
                    assert!(Molecule::from_smiles(&written.text).is_err() && !reason.is_empty());
                }
            }
        }
    }
    assert!(valid > 0 && invalid > 0, "{valid} valid, {invalid} invalid");
}

#[tokio::test]
async fn requests_beyond_a_bound_are_refused_with_the_field() {
    let served = serve_scribbler(ServerOptions::default()).await;
    let client = &served.client;
    let many = vec!["an acid"; limits::MAX_WRITTEN + 1];
    let wide = draws(limits::MAX_BEAMS + 1, 8);
    let lengthy = draws(1, limits::MAX_WRITTEN_TOKENS + 1);
    let cases = [
        (refusal(client.generate(texts(&[], None)).await), "texts"),
        (refusal(client.generate(texts(&many, None)).await), "texts"),
        (refusal(client.caption(molecules(&[], None)).await), "molecules"),
        (refusal(client.caption(molecules(&["CCO"], wide)).await), "options.sampling.samples"),
        (refusal(client.caption(molecules(&["CCO"], lengthy)).await), "options.max_tokens"),
        (
            refusal(client.caption(molecules(&["CCO"], beams(2, 3))).await),
            "options.beam.candidates",
        ),
    ];
    for ((code, message), field) in cases {
        assert_eq!(code, Code::InvalidArgument, "{message}");
        assert!(message.contains(field), "{message}");
    }
}

#[tokio::test]
async fn a_model_that_does_not_write_says_so() {
    let served = serve().await;
    let client = &served.client;
    for (code, message) in [
        refusal(client.caption(molecules(&["CCO"], None)).await),
        refusal(client.generate(texts(&["an acid"], None)).await),
    ] {
        assert_eq!(code, Code::FailedPrecondition);
        assert!(message.contains("writes neither"), "{message}");
    }
    assert_eq!(client.info().await.unwrap().generation(), wire::GenerationSupport::None);
}

#[tokio::test]
async fn writing_stops_for_a_caller_who_has_gone_and_never_takes_the_place_of_other_calls() {
    let served = serve_scribbler(ServerOptions { max_writing: 1, ..Default::default() }).await;
    let client = served.client.clone();
    assert_eq!(client.info().await.unwrap().generation(), wire::GenerationSupport::Both);
    let writing = tokio::spawn({
        let client = client.clone();
        async move {
            // It may find the place taken by a short call.
            until(|| async { client.generate(long()).await.ok() }).await
        }
    });
    let short = || client.generate(texts(&["an acid"], draws(1, 4)));
    let busy = until(|| async { short().await.err() }).await;
    let (code, message) = refusal::<()>(Err(busy));
    assert_eq!(code, Code::ResourceExhausted);
    assert!(message.contains("writes for 1 calls"), "{message}");
    // Others go on while it writes.
    let request = wire::EncodeTextsRequest { texts: vec!["an acid".into()], ..Default::default() };
    assert_eq!(client.encode_texts(request).await.unwrap().items.len(), 1);
    assert!(!writing.is_finished());
    // Its caller goes; its place is free again within a step of the model.
    writing.abort();
    until(|| async { short().await.ok() }).await;
}

#[tokio::test]
async fn writing_ends_at_the_deadline() {
    let served = serve_scribbler(ServerOptions { max_writing: 1, ..Default::default() }).await;
    let url = served.url();
    let mut client = wire::encoder_client::EncoderClient::connect(url).await.unwrap();
    let mut request = tonic::Request::new(long());
    request.set_timeout(Duration::from_millis(300));
    let status = client.generate(request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    let short = || served.client.generate(texts(&["an acid"], draws(1, 4)));
    until(|| async { short().await.ok() }).await;
}

/// Asks until there is an answer, for some seconds.
async fn until<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> T {
    for _ in 0..500 {
        if let Some(found) = ask().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing of the kind in five seconds")
}
