//! Any file of a data directory is damaged: an open succeeds or names it, reads never lie, and a repair saves the rest.

#![allow(clippy::unwrap_used, reason = "a test stops where something fails")]
#![allow(clippy::print_stdout, reason = "a test says what it did, and a child tells its parent")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use moiety_engine::{
    Access, Engine, EngineError, EngineOptions, FieldType, Filter, Query, Record, SearchRequest,
    Side, repair,
};

mod fixture;
use fixture::{NAME, encoder, engine, long_record, open, put, search, spec};

const RECORDS: u64 = 60;

/// Answered by field indexes, by fingerprints, and by both.
const FILTERS: [&str; 4] = [
    "10 <= n < 40",
    "similar('CC(=O)O', 0.3)",
    "smarts('c1ccccc1')",
    "even = true and not smarts('[OX2]')",
];

/// The records that pass each filter.
type Passing = Vec<BTreeSet<String>>;

/// What is done to a file.
#[derive(Clone, Copy, Debug)]
enum Harm {
    Flip,
    Cut,
    Remove,
}

impl Harm {
    const ALL: [Harm; 3] = [Harm::Flip, Harm::Cut, Harm::Remove];

    fn on(self, path: &Path) {
        let mut bytes = fs::read(path).unwrap();
        match self {
            Harm::Flip => {
                let n = bytes.len();
                for at in (n / 5..n).step_by((n / 7).max(1)) {
                    bytes[at] ^= 0x5a;
                }
                fs::write(path, bytes).unwrap();
            }
            Harm::Cut => fs::write(path, &bytes[..bytes.len() / 2]).unwrap(),
            Harm::Remove => fs::remove_file(path).unwrap(),
        }
    }
}

/// Three tables a family, blobs, and a log with the last records; with what passes each filter.
fn filled(dir: &Path) -> (BTreeMap<String, Record>, Passing) {
    let engine = engine(dir);
    engine.create_index(NAME, &spec("n", FieldType::Integer)).unwrap();
    engine.create_index(NAME, &spec("even", FieldType::Bool)).unwrap();
    let mut records = BTreeMap::new();
    for n in 0..RECORDS {
        let record = long_record(n);
        put(&engine, vec![record.clone()]);
        records.insert(record.id.clone(), record);
        if n % 20 == 19 && n + 20 < RECORDS {
            engine.flush().unwrap();
        }
    }
    let passing = FILTERS.map(|filter| passing(&engine, filter).unwrap());
    assert!(passing.iter().all(|passing| (5..50).contains(&passing.len())), "{passing:?}");
    (records, passing.into())
}

fn passing(engine: &Engine, filter: &str) -> Result<BTreeSet<String>, EngineError> {
    let page = engine.scroll(NAME, None, 1_000, Some(&Filter::parse(filter).unwrap()))?;
    Ok(page.records.into_iter().map(|record| record.id).collect())
}

/// Filters find what they found before among what can be read, or say what is damaged.
fn filters_are_right(engine: &Engine, expected: &Passing, may_fail: bool, said: &str) {
    let is_there = |id: &&String| {
        engine.get(NAME, std::slice::from_ref(*id)).is_ok_and(|found| found[0].is_some())
    };
    for (filter, expected) in FILTERS.iter().zip(expected) {
        let expected: BTreeSet<&String> = expected.iter().filter(is_there).collect();
        match passing(engine, filter) {
            Ok(found) => assert_eq!(found.iter().collect::<BTreeSet<_>>(), expected, "{said}"),
            Err(error) => {
                assert!(may_fail, "{said}: {filter}: {error}");
                assert!(matches!(error, EngineError::Corrupt { .. }), "{said}: {error}");
            }
        }
    }
}

fn store_files(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let mut files: Vec<String> = names
        .filter(|name| {
            let ends = [".sst", ".blob", ".log"];
            ends.iter().any(|end| name.ends_with(end))
                || name == "CURRENT"
                || name.starts_with("MANIFEST")
        })
        .collect();
    files.sort_unstable();
    files
}

fn copied(from: &Path, to: &Path) -> PathBuf {
    fs::create_dir_all(to).unwrap();
    for name in store_files(from) {
        fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
    to.to_owned()
}

fn options(access: Access) -> EngineOptions {
    EngineOptions { access, cache_bytes: 16 << 20, ..EngineOptions::default() }
}

/// Every record is as it was, or an error says why not; the number of those that are.
fn right(engine: &Engine, records: &BTreeMap<String, Record>) -> usize {
    let mut readable = 0;
    for (id, record) in records {
        match engine.get(NAME, std::slice::from_ref(id)) {
            Ok(found) => {
                if let Some(found) = &found[0] {
                    assert_eq!((&found.id, &found.text), (id, &record.text));
                    assert_eq!(found.payload, record.payload);
                    readable += 1;
                }
            }
            Err(error) => assert!(matches!(error, EngineError::Corrupt { .. }), "{error}"),
        }
    }
    readable
}

#[test]
fn a_damaged_file_is_named_the_rest_is_read_and_a_repair_saves_it() {
    let whole = tempfile::tempdir().unwrap();
    let (records, passing) = filled(whole.path());
    let files = store_files(whole.path());
    assert!(
        files.iter().any(|f| f.ends_with(".blob")) && files.iter().any(|f| f.ends_with(".log"))
    );
    let (mut opened_read_only, mut saved_something) = (0, 0);
    for (case, file) in files.iter().enumerate() {
        let harm = Harm::ALL[case % 3];
        let room = tempfile::tempdir().unwrap();
        let dir = copied(whole.path(), &room.path().join("data"));
        harm.on(&dir.join(file));
        let said = format!("{file} {harm:?}");

        // Whatever a log loses at its end cannot be told from a crash; everything else is named or harmless.
        match Engine::open(&dir, encoder(), options(Access::ReadWrite)) {
            Ok(engine) => {
                let readable = right(&engine, &records);
                assert!(
                    readable == records.len()
                        || file.ends_with(".log")
                        || engine.list_collections().len() == 1,
                    "{said}: {readable}"
                );
                if engine.list_collections().len() == 1 {
                    filters_are_right(&engine, &passing, true, &said);
                }
            }
            Err(error) => {
                let named = error.to_string().contains(file.as_str());
                assert!(named || file.starts_with("MANIFEST"), "{said}: {error}");
            }
        }

        let room = tempfile::tempdir().unwrap();
        let dir = copied(whole.path(), &room.path().join("data"));
        harm.on(&dir.join(file));
        match Engine::open(&dir, encoder(), options(Access::ReadOnly)) {
            Ok(engine) => {
                opened_read_only += 1;
                let readable = right(&engine, &records);
                let request = SearchRequest::new(
                    Query::Text(records["r00003"].text.clone().unwrap()),
                    Side::Text,
                    100,
                );
                if let Ok(collection) = engine.collection(NAME) {
                    assert_eq!(collection.config.name, NAME);
                    filters_are_right(&engine, &passing, true, &said);
                    let hits = search(&engine, &request).hits;
                    assert!(hits.len() <= readable, "{said}");
                    for hit in hits {
                        assert_eq!(hit.record.text, records[&hit.record.id].text);
                    }
                }
            }
            Err(error) => {
                let named = error.to_string().contains(file.as_str());
                // Where the list of files is cut short, the files that it speaks of are missing.
                let listed = file == "CURRENT" || file.starts_with("MANIFEST");
                assert!(named || listed, "{said}: {error}");
            }
        }

        println!("{said}: {opened_read_only} opened");
        let Ok(report) = repair(&dir, encoder(), &options(Access::ReadWrite), true) else {
            continue;
        };
        let kept = report.kept_as.clone().unwrap();
        assert!(kept.join("moiety.lock").exists(), "{said}");
        let engine = open(&dir);
        println!("  {} saved, {} encoded again", report.saved, report.encoded_again);
        if report.saved == 0 {
            continue;
        }
        saved_something += 1;
        assert_eq!(engine.count(NAME, None).unwrap(), report.saved, "{said} {report:?}");
        assert_eq!(right(&engine, &records) as u64, report.saved, "{said}");
        assert_eq!(engine.stats(NAME).unwrap().texts.vectors, report.saved, "{said}");
        filters_are_right(&engine, &passing, false, &said);
        let indexed = Filter::parse(FILTERS[0]).unwrap();
        let (_, plan) = engine.count_planned(NAME, &indexed).unwrap();
        assert_eq!(plan.tested, 0, "{said}: the index was made again");
        assert_eq!(engine.indexes(NAME).unwrap().len(), 2);
        put(&engine, vec![long_record(7)]);
    }
    assert!(opened_read_only * 2 > files.len(), "{opened_read_only} of {}", files.len());
    assert!(saved_something * 2 > files.len(), "{saved_something} of {}", files.len());
}
