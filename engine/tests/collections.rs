//! Collections: made, listed, dropped, and opened again with the right model only.

#![allow(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::sync::Arc;

use moiety_encoder::HashingEncoder;
use moiety_engine::{
    CollectionConfig, Durability, Engine, EngineError, EngineOptions, ErrorKind, HnswParams,
    Metric, Query, Record, SearchRequest, Side, Structure, limits,
};

mod fixture;
use fixture::{DIM, NAME, engine, full_record, ids, open, put, search, text_record};

#[test]
fn wrong_fingerprint_is_refused_and_both_models_are_named() {
    let dir = tempfile::tempdir().unwrap();
    drop(engine(dir.path()));
    let other = Arc::new(HashingEncoder::new(DIM + 1));
    let error = Engine::open(dir.path(), other, EngineOptions::default()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Refused);
    let said = error.to_string();
    assert!(said.contains("hashing-32") && said.contains("hashing-33"), "{said}");
    open(dir.path());
}

#[test]
fn a_collection_is_what_it_was_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let config = CollectionConfig {
        name: "odd.name-1_2".into(),
        metric: Metric::Dot,
        hnsw: HnswParams { m: 8, ef_construction: 50, ef_search: 30 },
        durability: Durability::Wal,
        indexes: vec![],
    };
    let info = open(dir.path()).create_collection(config.clone()).unwrap();
    assert_eq!(info.config, config);
    let engine = open(dir.path());
    assert_eq!(engine.list_collections(), std::slice::from_ref(&info));
    assert_eq!(engine.collection("odd.name-1_2").unwrap(), info);
}

#[test]
fn names_and_parameters_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let long = "n".repeat(limits::MAX_NAME_BYTES + 1);
    for name in ["", ".hidden", "a/b", "a b", "é", &long] {
        let error = engine.create_collection(CollectionConfig::named(name)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{name:?}");
    }
    for m in [0, 1, 256, 257, usize::MAX] {
        let hnsw = HnswParams { m, ..HnswParams::default() };
        let config = CollectionConfig { hnsw, ..CollectionConfig::named("x") };
        assert_eq!(engine.create_collection(config).unwrap_err().kind(), ErrorKind::Invalid);
    }
    let error = engine.create_collection(CollectionConfig::named(NAME)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
}

#[test]
fn a_dropped_collection_is_gone_and_its_name_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    engine.create_collection(CollectionConfig::named("other")).unwrap();
    engine.upsert("other", vec![text_record(1)]).unwrap();
    put(&engine, (0..10).map(full_record).collect());
    engine.drop_collection(NAME).unwrap();
    assert!(matches!(engine.count(NAME, None), Err(EngineError::CollectionNotFound { .. })));
    engine.create_collection(CollectionConfig::named(NAME)).unwrap();
    assert_eq!(engine.count(NAME, None).unwrap(), 0);
    drop(engine);
    let engine = open(dir.path());
    assert_eq!(engine.count(NAME, None).unwrap(), 0);
    assert_eq!(engine.count("other", None).unwrap(), 1);
}

#[test]
fn bad_records_come_back_with_position_and_reason_and_good_ones_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let bad = |smiles: &str| Record {
        molecule: Some(Structure::Smiles(smiles.into())),
        ..text_record(7)
    };
    let records = vec![text_record(0), bad("C1CC"), full_record(1), bad(""), text_record(2)];
    let outcomes = engine.upsert(NAME, records).unwrap();
    let positions: Vec<usize> =
        outcomes.iter().filter_map(|o| o.as_ref().err()).map(|error| error.position).collect();
    assert_eq!(positions, [1, 3]);
    assert_eq!(engine.count(NAME, None).unwrap(), 3);
    assert!(engine.upsert(NAME, Vec::new()).unwrap().is_empty());
    let many = vec![text_record(0); limits::MAX_BATCH_RECORDS + 1];
    assert_eq!(engine.upsert(NAME, many).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn of_records_with_one_id_in_a_batch_the_last_stands() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let with = |text: &str| Record { text: Some(text.into()), ..text_record(1) };
    put(&engine, vec![with("first"), with("second"), with("third")]);
    let request = SearchRequest::new(Query::Text("third".into()), Side::Text, 5);
    let response = search(&engine, &request);
    assert_eq!(ids(&response), ["r00001"]);
    assert_eq!(response.hits[0].record.text.as_deref(), Some("third"));
    assert_eq!(engine.stats(NAME).unwrap().texts.vectors, 1);
}

#[test]
fn writers_of_many_threads_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let engine = &engine;
            scope.spawn(move || {
                for n in 0..20 {
                    put(engine, vec![text_record(thread * 20 + n), text_record(9_999)]);
                }
            });
        }
    });
    assert_eq!(engine.count(NAME, None).unwrap(), 81);
    assert_eq!(engine.stats(NAME).unwrap().texts.vectors, 81);
}

#[test]
fn dropping_a_collection_beside_a_writer_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    std::thread::scope(|scope| {
        scope.spawn(|| while engine.upsert(NAME, vec![text_record(1)]).is_ok() {});
        std::thread::sleep(std::time::Duration::from_millis(20));
        engine.drop_collection(NAME).unwrap();
    });
    engine.create_collection(CollectionConfig::named(NAME)).unwrap();
    assert_eq!(engine.count(NAME, None).unwrap(), 0);
}

#[test]
fn a_directory_of_something_else_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("thesis.txt"), "precious").unwrap();
    let encoder = std::sync::Arc::new(moiety_encoder::HashingEncoder::new(16));
    let error = Engine::open(dir.path(), encoder, EngineOptions::default()).err().unwrap();
    assert!(error.to_string().contains("not Moiety's"), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}
