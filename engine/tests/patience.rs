//! Long calls look at their caller's patience on the way, and end with it.

#![allow(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use moiety_engine::{
    Accuracy, Engine, EngineError, ExplainRequest, FieldType, Filter, LevelWeights, Patience,
    Query, Record, SearchRequest, Side,
};

mod fixture;
use fixture::{MOLECULES, NAME, engine, full_record, payload, put, spec, text};
use moiety_engine::Structure;
use serde_json::json;

const RECORDS: u64 = 3_000;
/// Looks that may follow the last one: of threads beside the one that saw it, and of the loops around.
const LAST_LOOKS: usize = 24;

type Call = fn(&Engine, &Patience) -> Result<(), EngineError>;

/// Calls that take long, each with the least number of looks that shows that it looks within its loops.
const CALLS: [(&str, Call, usize); 13] = [
    ("search", |engine, patience| search(engine, None, patience), 6),
    ("indexed search", |engine, patience| search(engine, Some("n >= 10"), patience), 6),
    ("plain search", |engine, patience| search(engine, Some("plain >= 10"), patience), 100),
    ("substructure", |engine, patience| search(engine, Some("smarts('[OX2]')"), patience), 10),
    ("similarity", |engine, patience| search(engine, Some("similar('CCO', 0.1)"), patience), 6),
    ("count", count, RECORDS as usize / 4),
    ("scroll", scroll, 500),
    ("explain", explain, 100),
    ("encode molecules", encode_molecules, 10),
    ("encode texts", encode_texts, 10),
    ("create a snapshot", create_snapshot, 10),
    ("verify a snapshot", verify_snapshot, 10),
    ("rebuild", rebuild, 20),
];
/// A snapshot that is there.
const SNAPSHOT: &str = "there";

fn filter(text: &str) -> Filter {
    Filter::parse(text).unwrap()
}

fn search(engine: &Engine, text: Option<&str>, patience: &Patience) -> Result<(), EngineError> {
    let request = SearchRequest {
        filter: text.map(filter),
        accuracy: Accuracy::Exact,
        ..SearchRequest::new(Query::Text("a red dye".into()), Side::Text, 10)
    };
    let found = engine.search_within(NAME, &request, patience)?;
    assert_eq!(found.hits.len(), 10);
    Ok(())
}

fn count(engine: &Engine, patience: &Patience) -> Result<(), EngineError> {
    let filter = filter("smarts('[OX2]') and plain >= 10");
    engine.count_within(NAME, &filter, patience).map(drop)
}

fn scroll(engine: &Engine, patience: &Patience) -> Result<(), EngineError> {
    engine.scroll_within(NAME, None, 500, Some(&filter("plain >= 10")), patience).map(drop)
}

fn explain(engine: &Engine, patience: &Patience) -> Result<(), EngineError> {
    let request = ExplainRequest {
        query: Query::Text("a red dye".into()),
        id: full_record(40).id,
        target: Side::Text,
        weights: LevelWeights::GLOBAL_ONLY,
        filter: Some(filter("smarts('[OX2]') and plain >= 10")),
    };
    engine.explain_within(NAME, &request, patience).map(drop)
}

fn encode_molecules(engine: &Engine, patience: &Patience) -> Result<(), EngineError> {
    let structures: Vec<Structure> =
        MOLECULES.iter().cycle().take(640).map(|&m| Structure::Smiles(m.into())).collect();
    let encoded = engine.encode_molecules(&structures, patience)?;
    assert!(encoded.len() == 640 && encoded.iter().all(Result::is_ok));
    Ok(())
}

fn encode_texts(engine: &Engine, patience: &Patience) -> Result<(), EngineError> {
    let encoded = engine.encode_texts(&(0..640).map(text).collect::<Vec<_>>(), patience)?;
    assert!(encoded.len() == 640 && encoded.iter().all(Result::is_ok));
    Ok(())
}

fn create_snapshot(engine: &Engine, patience: &Patience) -> Result<(), EngineError> {
    let made = engine.create_snapshot("s", patience);
    assert_eq!(engine.list_snapshots()?.len(), 1 + usize::from(made.is_ok()));
    made.and_then(|_| engine.delete_snapshot("s"))
}

fn verify_snapshot(engine: &Engine, patience: &Patience) -> Result<(), EngineError> {
    engine.verify_snapshot(SNAPSHOT, patience).map(drop)
}

fn rebuild(engine: &Engine, patience: &Patience) -> Result<(), EngineError> {
    let rebuilt = engine.rebuild(NAME, patience);
    assert_eq!(engine.stats(NAME)?.texts.vectors, RECORDS);
    rebuilt
}

/// What a call gives whose caller waits for so many looks, and how often it looked.
fn after(engine: &Engine, call: Call, looks: usize) -> (Result<(), EngineError>, usize) {
    let looked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&looked);
    let ask = move || counter.fetch_add(1, Ordering::Relaxed) < looks;
    let given = call(engine, &Patience::while_true(ask));
    (given, looked.load(Ordering::Relaxed))
}

fn filled(dir: &std::path::Path) -> Engine {
    let engine = engine(dir);
    engine.create_index(NAME, &spec("n", FieldType::Integer)).unwrap();
    let record = |n: u64| Record {
        molecule: Some(Structure::Smiles(MOLECULES[n as usize % MOLECULES.len()].into())),
        text: Some(text(n)),
        payload: payload(json!({"n": n, "plain": n})),
        ..full_record(n)
    };
    let records: Vec<Record> = (0..RECORDS).map(record).collect();
    records.chunks(1_000).for_each(|records| put(&engine, records.to_vec()));
    engine.create_snapshot(SNAPSHOT, &Patience::endless()).unwrap();
    engine
}

#[test]
fn every_long_call_looks_on_its_way_and_says_how_its_callers_patience_ended() {
    let dir = tempfile::tempdir().unwrap();
    let engine = filled(dir.path());
    for (name, call, least) in CALLS {
        let (given, whole) = after(&engine, call, usize::MAX);
        assert!(given.is_ok(), "{name}: {given:?}");
        assert!(whole >= least, "{name} looked {whole} times");
        // One more than the last look is not needed where many threads share the work.
        let stops = (0..8).map(|at| at * whole.saturating_sub(LAST_LOOKS) / 8);
        for looks in stops.chain([1, 2, 3]) {
            let (given, looked) = after(&engine, call, looks);
            assert!(matches!(given, Err(EngineError::Cancelled)), "{name} {looks}: {given:?}");
            assert!(looked <= looks + LAST_LOOKS, "{name} {looks}: {looked}");
        }
    }
    for (name, call, _) in CALLS {
        let late = Patience::until(std::time::Instant::now());
        let given = call(&engine, &late);
        assert!(matches!(given, Err(EngineError::DeadlineExceeded)), "{name}: {given:?}");
    }
}
