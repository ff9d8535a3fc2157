//! Any sequence of calls gives what a map and a sort give.

#![allow(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::{collections::BTreeMap, fs, path::Path};

use moiety_encoder::{Encoder, HashingEncoder};
use moiety_engine::{
    Engine, FieldType, Filter, IndexSpec, LevelWeights, Patience, Query, Record, Rerank,
    SearchRequest, Side, Structure, UpsertOutcome,
};
use proptest::prelude::*;
use serde_json::json;

mod fixture;
use fixture::{NAME, encoder, open_with_graphs_of, payload, smiles, text, with_collection};

/// Few enough for the few records of a sequence to have graphs.
fn open(dir: &Path) -> Engine {
    open_with_graphs_of(dir, 4)
}

#[derive(Clone, Debug)]
enum Step {
    Upsert(Vec<(u8, Content)>),
    Delete(Vec<u8>),
    Get(Vec<u8>),
    Scroll {
        after: Option<u8>,
        limit: usize,
        even_only: bool,
    },
    Search {
        seed: u64,
        limit: usize,
        even_only: bool,
        rerank: bool,
    },
    /// Makes the index of a field, or drops it where it is there.
    Index(usize),
    /// Asks in several ways for the records up to a seed.
    Filter(u64),
    Reopen,
    /// The process dies, and its directory is opened as it lies there.
    Crash,
    Rebuild,
    Flush,
    Snapshot(u8),
    /// Back to a snapshot, if it was made.
    Restore(u8),
}

#[derive(Clone, Debug)]
enum Content {
    Text(u64),
    Both(u64),
    Molecule(u64),
    BadMolecule,
}

/// Fields that indexes come and go on.
const INDEXES: [(&str, FieldType); 4] = [
    ("seed", FieldType::Integer),
    ("even", FieldType::Bool),
    ("name", FieldType::Keyword),
    ("mol.heavy_atoms", FieldType::Integer),
];

/// What the map remembers of a record.
type Model = BTreeMap<String, Record>;

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        5 => (0..12u64).prop_map(Content::Text),
        2 => (0..12u64).prop_map(Content::Both),
        2 => (0..12u64).prop_map(Content::Molecule),
        1 => Just(Content::BadMolecule),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..16u8;
    let step = prop_oneof![
        5 => prop::collection::vec((key.clone(), content()), 1..6).prop_map(Step::Upsert),
        2 => prop::collection::vec(key.clone(), 1..4).prop_map(Step::Delete),
        1 => prop::collection::vec(key.clone(), 0..6).prop_map(Step::Get),
        2 => (prop::option::of(key), 1..8usize, any::<bool>())
            .prop_map(|(after, limit, even_only)| Step::Scroll { after, limit, even_only }),
        4 => (0..12u64, 0..20usize, any::<bool>(), any::<bool>()).prop_map(
            |(seed, limit, even_only, rerank)| Step::Search { seed, limit, even_only, rerank }
        ),
        2 => (0..INDEXES.len()).prop_map(Step::Index),
        4 => (0..12u64).prop_map(Step::Filter),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
        1 => Just(Step::Rebuild),
        1 => Just(Step::Flush),
        1 => (0..2u8).prop_map(Step::Snapshot),
        1 => (0..2u8).prop_map(Step::Restore),
    ];
    prop::collection::vec(step, 1..25)
}

fn id(key: u8) -> String {
    format!("k{key:02}")
}

fn record(key: u8, content: &Content) -> Record {
    let record = |seed: u64| Record {
        id: id(key),
        payload: payload(
            json!({"even": seed.is_multiple_of(2), "seed": seed, "name": format!("s{seed:02}")}),
        ),
        ..Record::default()
    };
    match *content {
        Content::Text(seed) => Record { text: Some(text(seed)), ..record(seed) },
        Content::Molecule(seed) => Record { molecule: Some(smiles(seed)), ..record(seed) },
        Content::Both(seed) => {
            Record { text: Some(text(seed)), molecule: Some(smiles(seed)), ..record(seed) }
        }
        Content::BadMolecule => {
            Record { molecule: Some(Structure::Smiles("C((".into())), ..record(0) }
        }
    }
}

fn even() -> Filter {
    Filter::Equals { field: "even".into(), value: json!(true) }
}

fn is_even(record: &Record) -> bool {
    record.payload["even"] == json!(true)
}

fn upsert(engine: &Engine, model: &mut Model, items: &[(u8, Content)]) {
    let records: Vec<Record> = items.iter().map(|(key, content)| record(*key, content)).collect();
    let outcomes = engine.upsert(NAME, records.clone()).unwrap();
    assert_eq!(outcomes.len(), records.len());
    for (position, ((record, (_, content)), outcome)) in
        records.into_iter().zip(items).zip(outcomes).enumerate()
    {
        match (content, outcome) {
            (Content::BadMolecule, Err(error)) => {
                assert_eq!((error.position, error.field), (position, "molecule"));
            }
            (Content::BadMolecule, Ok(_)) => panic!("a broken SMILES was taken"),
            (_, outcome) => {
                let acknowledged = outcome.unwrap();
                assert_eq!(acknowledged.id, record.id);
                let replaced = model.insert(record.id.clone(), record).is_some();
                assert_eq!(acknowledged.outcome == UpsertOutcome::Replaced, replaced);
            }
        }
    }
}

fn delete(engine: &Engine, model: &mut Model, keys: &[u8]) {
    let ids: Vec<String> = keys.iter().map(|key| id(*key)).collect();
    let expected: Vec<bool> = ids.iter().map(|id| model.remove(id).is_some()).collect();
    assert_eq!(engine.delete(NAME, &ids).unwrap(), expected);
}

fn get(engine: &Engine, model: &Model, keys: &[u8]) {
    let ids: Vec<String> = keys.iter().map(|key| id(*key)).collect();
    for (id, found) in ids.iter().zip(engine.get(NAME, &ids).unwrap()) {
        let expected = model.get(id);
        assert_eq!(found.is_some(), expected.is_some());
        if let (Some(found), Some(expected)) = (found, expected) {
            assert_eq!((&found.id, &found.text), (&expected.id, &expected.text));
            assert_eq!(found.payload, expected.payload);
            assert_eq!(found.molecule.map(|m| m.structure), expected.molecule);
        }
    }
}

fn scroll(engine: &Engine, model: &Model, after: Option<u8>, limit: usize, even_only: bool) {
    let after = after.map(id);
    let filter = even_only.then(even);
    let page = engine.scroll(NAME, after.as_deref(), limit, filter.as_ref()).unwrap();
    let passing = model.values().filter(|record| {
        after.as_ref().is_none_or(|after| record.id > *after) && (!even_only || is_even(record))
    });
    let expected: Vec<&str> = passing.map(|record| record.id.as_str()).collect();
    let found: Vec<&str> = page.records.iter().map(|record| record.id.as_str()).collect();
    assert_eq!(found, expected[..limit.min(expected.len())]);
    let more = expected.len() > limit;
    assert_eq!(page.next.as_deref(), if more { found.last().copied() } else { None });
    let all = model.values().filter(|record| !even_only || is_even(record)).count() as u64;
    assert_eq!(engine.count(NAME, filter.as_ref()).unwrap(), all);
}

fn toggle_index(engine: &Engine, at: usize) {
    let (field, field_type) = INDEXES[at];
    let spec = IndexSpec { field: field.into(), field_type };
    let there = engine.indexes(NAME).unwrap().iter().any(|index| index.spec == spec);
    if there {
        engine.drop_index(NAME, field).unwrap();
    } else {
        engine.create_index(NAME, &spec).unwrap();
    }
}

fn filter(engine: &Engine, model: &Model, seed: u64) {
    let up_to = |record: &Record| record.payload["seed"].as_u64().unwrap() <= seed;
    let names: Vec<String> = (0..=seed).map(|seed| format!("s{seed:02}")).collect();
    let molecules = |record: &Record| record.molecule.is_some();
    let expressions = [
        (format!("seed <= {seed}"), false),
        (format!("name in {}", json!(names)), false),
        (format!("not (seed > {seed}) and even in [true, false]"), false),
        (format!("seed <= {seed} and has(mol.heavy_atoms)"), true),
        (
            format!(
                "name <= '1970-01-01' or seed <= {seed} and smarts('*') and mol.heavy_atoms > 0"
            ),
            true,
        ),
    ];
    for (text, structures) in expressions {
        let filter = Filter::parse(&text).unwrap();
        let expected: Vec<&str> = model
            .values()
            .filter(|record| up_to(record) && (!structures || molecules(record)))
            .map(|record| record.id.as_str())
            .collect();
        assert_eq!(engine.count(NAME, Some(&filter)).unwrap(), expected.len() as u64, "{text}");
        let page = engine.scroll(NAME, None, 100, Some(&filter)).unwrap();
        let found: Vec<&str> = page.records.iter().map(|record| record.id.as_str()).collect();
        assert_eq!(found, expected, "{text}");
    }
}

fn cosine(encoder: &HashingEncoder, a: &str, b: &str) -> f32 {
    let encodings = encoder.encode_texts(&[a, b]).unwrap();
    encodings[0].global.iter().zip(&encodings[1].global).map(|(x, y)| x * y).sum()
}

fn search(engine: &Engine, model: &Model, request: &SearchRequest, words: &str) {
    let response = engine.search(NAME, request).unwrap();
    let encoder = encoder();
    let passes = |record: &&Record| request.filter.is_none() || is_even(record);
    let mut scores = BTreeMap::new();
    for record in model.values().filter(passes) {
        if let Some(text) = &record.text {
            scores.insert(record.id.as_str(), cosine(&encoder, words, text));
        }
    }
    assert_eq!(response.hits.len(), request.limit.min(scores.len()));
    let mut worst = f32::INFINITY;
    for hit in &response.hits {
        let expected = scores.remove(hit.record.id.as_str()).expect("a live record, once");
        assert!((hit.levels.global - expected).abs() < 1e-4);
        worst = worst.min(hit.score);
    }
    assert!(response.hits.windows(2).all(|pair| {
        pair[0].score > pair[1].score
            || pair[0].score == pair[1].score && pair[0].record.id < pair[1].record.id
    }));
    if request.rerank.is_none() {
        assert!(scores.values().all(|left_out| *left_out <= worst + 1e-4));
    }
}

/// A copy of a directory whose process has just died: what is in files, and nothing else.
fn left_behind(dir: &Path, to: &Path) {
    let listed = || -> BTreeMap<_, _> {
        let entries = fs::read_dir(dir).unwrap().flatten();
        let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
        files.filter_map(|entry| Some((entry.file_name(), entry.metadata().ok()?.len()))).collect()
    };
    // The store may be merging files just now: a copy counts when nothing changed meanwhile.
    for _ in 0..100 {
        let before = listed();
        let _ = fs::remove_dir_all(to);
        fs::create_dir_all(to).unwrap();
        let copied = before.keys().all(|name| fs::copy(dir.join(name), to.join(name)).is_ok());
        if copied && listed() == before {
            let _ = copy_graphs(dir, to);
            return;
        }
    }
    panic!("the store never rests");
}

fn make_snapshot(engine: &Engine, model: &Model, made: &mut BTreeMap<u8, Model>, number: u8) {
    let name = format!("s{number}");
    if made.insert(number, model.clone()).is_some() {
        engine.delete_snapshot(&name).unwrap();
    }
    let manifest = engine.create_snapshot(&name, &Patience::endless()).unwrap();
    assert_eq!(manifest.collections[0].records, model.len() as u64);
}

fn run(steps: Vec<Step>) {
    let room = tempfile::tempdir().unwrap();
    let mut dir = room.path().join("0");
    let mut engine = with_collection(open(&dir));
    let mut model = Model::new();
    let mut snapshots = BTreeMap::new();
    let mut lives = 1;
    for step in steps {
        match step {
            Step::Upsert(items) => upsert(&engine, &mut model, &items),
            Step::Delete(keys) => delete(&engine, &mut model, &keys),
            Step::Get(keys) => get(&engine, &model, &keys),
            Step::Scroll { after, limit, even_only } => {
                scroll(&engine, &model, after, limit, even_only);
            }
            Step::Search { seed, limit, even_only, rerank } => {
                let words = text(seed);
                let mut request = SearchRequest::new(Query::Text(words.clone()), Side::Text, limit);
                request.filter = even_only.then(even);
                let weights = LevelWeights { global: 1.0, fragment: 0.5, token: 0.5 };
                request.rerank = rerank.then_some(Rerank { candidates: 5, weights });
                search(&engine, &model, &request, &words);
            }
            Step::Index(at) => toggle_index(&engine, at),
            Step::Filter(seed) => filter(&engine, &model, seed),
            Step::Reopen => {
                drop(engine);
                engine = open(&dir);
            }
            Step::Crash => {
                let next = room.path().join(lives.to_string());
                lives += 1;
                left_behind(&dir, &next);
                engine = open(&next);
                dir = next;
                // They lay in a folder that was not copied.
                snapshots.clear();
            }
            Step::Rebuild => {
                engine.rebuild(NAME, &Patience::endless()).unwrap();
                let stats = engine.stats(NAME).unwrap();
                assert_eq!((stats.texts.tombstones, stats.molecules.tombstones), (0, 0));
            }
            Step::Flush => engine.flush().unwrap(),
            Step::Snapshot(number) => {
                make_snapshot(&engine, &model, &mut snapshots, number);
            }
            Step::Restore(number) => {
                if let Some(then) = snapshots.get(&number) {
                    let patience = Patience::endless();
                    engine.restore_snapshot(&format!("s{number}"), None, None, &patience).unwrap();
                    model = then.clone();
                }
            }
        }
        let stats = engine.stats(NAME).unwrap();
        let texts = model.values().filter(|record| record.text.is_some()).count() as u64;
        let molecules = model.values().filter(|record| record.molecule.is_some()).count() as u64;
        assert_eq!(stats.records, model.len() as u64);
        assert_eq!((stats.texts.vectors, stats.molecules.vectors), (texts, molecules));
    }
}

/// As they lie there: one may be missing, or cut.
fn copy_graphs(dir: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to.join("graphs"))?;
    for entry in fs::read_dir(dir.join("graphs"))? {
        let path = entry?.path();
        fs::copy(&path, to.join("graphs").join(path.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

/// Sequences that are tried; `just soak` asks for many.
fn cases() -> u32 {
    std::env::var("MOIETY_MODEL_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(24)
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn any_sequence_of_calls_gives_what_a_map_gives(steps in steps()) {
        run(steps);
    }
}
