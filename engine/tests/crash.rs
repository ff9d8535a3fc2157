//! A process is killed while it writes: what it acknowledged is there, and nothing is there twice.
//!
//! The child is this test binary again, told by an environment variable what to do.

#![allow(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use moiety_engine::{
    CollectionConfig, Engine, EngineError, EngineOptions, FieldType, Filter, IndexSpec, Query,
    SearchRequest, Side, StoredRecord,
};

mod fixture;
mod tear;
use fixture::{NAME, encoder, ids, open, put, search, text, text_record};
use tear::{spoil, tear};

const WRITE_DIR: &str = "MOIETY_TEST_WRITE_DIR";
const WRITE_FROM: &str = "MOIETY_TEST_WRITE_FROM";
const OPEN_DIR: &str = "MOIETY_TEST_OPEN_DIR";
const BATCH: u64 = 5;

/// Kills; `just crash` asks for many.
fn rounds() -> u64 {
    std::env::var("MOIETY_CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(8)
}

fn child(test: &str, variables: &[(&str, &str)]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "\n{line}").unwrap();
    stdout.flush().unwrap();
}

/// Not a test of its own: the process that is killed. Batch `b` writes five records and deletes one of an earlier batch.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Ok(dir) = std::env::var(WRITE_DIR) else { return };
    let from: u64 = std::env::var(WRITE_FROM).unwrap().parse().unwrap();
    let engine = open(Path::new(&dir));
    for batch in from.. {
        put(&engine, (batch * BATCH..(batch + 1) * BATCH).map(text_record).collect());
        say(&format!("wrote {batch}"));
        engine.delete(NAME, &[deleted_by(batch)]).unwrap();
        say(&format!("deleted {batch}"));
    }
}

/// Not a test of its own: the second process.
#[test]
fn child_that_opens() {
    let Ok(dir) = std::env::var(OPEN_DIR) else { return };
    let result = Engine::open(Path::new(&dir), encoder(), EngineOptions::default());
    match result {
        Err(EngineError::Locked { .. }) => say("locked"),
        _ => say("not locked"),
    }
}

fn ids_of(batch: u64) -> BTreeSet<String> {
    (batch * BATCH..(batch + 1) * BATCH).map(|n| text_record(n).id).collect()
}

/// A record of the batch before.
fn deleted_by(batch: u64) -> String {
    let n = (batch * BATCH).saturating_sub(3);
    text_record(n).id
}

#[test]
fn second_process_is_refused_and_told_why() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let again = Engine::open(dir.path(), encoder(), EngineOptions::default()).err().unwrap();
    assert!(matches!(again, EngineError::Locked { .. }), "{again}");
    let path = dir.path().to_str().unwrap();
    let output = child("child_that_opens", &[(OPEN_DIR, path)]).wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).lines().any(|line| line == "locked"));
    drop(engine);
    open(dir.path());
}

#[test]
fn what_was_acknowledged_survives_a_kill_at_any_moment() {
    let dir = tempfile::tempdir().unwrap();
    let index = IndexSpec { field: "n".into(), field_type: FieldType::Integer };
    let config = CollectionConfig { indexes: vec![index], ..CollectionConfig::named(NAME) };
    open(dir.path()).create_collection(config).unwrap();
    let mut written = BTreeSet::new();
    let (mut next, mut graphs) = (0, 0);
    for round in 0..rounds() {
        let (last, deleted) =
            write_and_kill(dir.path(), next, Duration::from_millis(20 + 137 * round % 300));
        let room = tempfile::tempdir().unwrap();
        let copy = room.path().join("copy");
        let spoilt = spoil(dir.path(), &copy, round);
        graphs += tear(dir.path(), round);
        let engine = open(dir.path());
        let found = all_ids(&engine);
        for batch in next..=last {
            written.extend(ids_of(batch));
            // The last deletion may have happened without being acknowledged.
            if batch < last || deleted || !found.contains(&deleted_by(batch)) {
                written.remove(&deleted_by(batch));
            }
        }
        let missing: Vec<_> = written.difference(&found).collect();
        assert!(missing.is_empty(), "round {round}: acknowledged but lost: {missing:?}");
        let extra: BTreeSet<String> = found.difference(&written).cloned().collect();
        let whole = extra.is_empty() || extra == ids_of(last + 1);
        assert!(whole, "round {round}: half a batch, or one too many: {extra:?}");
        check_index(&engine, &found);
        check_spoilt(&copy, &spoilt, &written, last);
        written = found;
        next = last + 2;
    }
    assert!(written.len() > 10, "the child wrote {} records only", written.len());
    assert!(graphs > 0, "no graph was on the disk");
}

/// Runs the writer for a while; the last batch it acknowledged, and whether its deletion was acknowledged too.
fn write_and_kill(dir: &Path, from: u64, after: Duration) -> (u64, bool) {
    let variables = [(WRITE_DIR, dir.to_str().unwrap()), (WRITE_FROM, &from.to_string())];
    let mut writer = child("child_that_writes_until_it_is_killed", &variables);
    let lines = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
    let (acknowledged, acknowledgements) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in lines {
            let number = |prefix| line.strip_prefix(prefix).and_then(|n| n.parse::<u64>().ok());
            let wrote = number("wrote ").map(|batch| (batch, false));
            let deleted = number("deleted ").map(|batch| (batch, true));
            wrote.or(deleted).map(|known| acknowledged.send(known));
        }
    });
    // The clock starts with the first batch, so that every round kills a process that is writing.
    let first = acknowledgements.recv_timeout(Duration::from_secs(60));
    std::thread::sleep(after);
    writer.kill().unwrap();
    writer.wait().unwrap();
    reader.join().unwrap();
    acknowledgements.iter().last().unwrap_or_else(|| first.unwrap())
}

/// Of a directory on a bad disk nothing wrong is read: it opens with all that it had, or says which file is at fault. What a
/// log or a list of files loses at its end cannot be told from a crash, and takes the last batches with it, no others.
fn check_spoilt(dir: &Path, file: &str, written: &BTreeSet<String>, last: u64) {
    let options = EngineOptions { exact_below: 64, ..EngineOptions::default() };
    let engine = match Engine::open(dir, encoder(), options) {
        Ok(engine) => engine,
        Err(error) => {
            assert!(matches!(error, EngineError::Corrupt { .. }), "{file}: {error}");
            let names_one = [".log", ".sst", "MANIFEST", "CURRENT"]
                .iter()
                .any(|kind| error.to_string().contains(kind));
            assert!(names_one, "{file}: {error}");
            return;
        }
    };
    let records = match all_records(&engine) {
        Ok(records) => records,
        Err(error) => {
            // The collection may be what was lost last.
            let gone = matches!(error, EngineError::CollectionNotFound { .. });
            let named = matches!(error, EngineError::Corrupt { .. });
            assert!((gone && !file.ends_with(".sst")) || named, "{file}: {error}");
            return;
        }
    };
    let mut found = BTreeSet::new();
    for record in records {
        let n: u64 = record.id[1..].parse().unwrap();
        assert_eq!(record.text, text_record(n).text, "{file}");
        assert!(found.insert(record.id), "{file}: a record is there twice");
    }
    let batch_of = |id: &String| id[1..].parse::<u64>().unwrap() / BATCH;
    let newest = found.iter().map(batch_of).max().unwrap_or(0);
    assert!(newest <= last + 1, "{file}");
    let missing: Vec<_> = written.difference(&found).collect();
    if file.ends_with(".sst") {
        assert!(missing.is_empty(), "{file}: lost without a word: {missing:?}");
    }
    let between: Vec<_> = missing.into_iter().filter(|id| batch_of(id) < newest).collect();
    assert!(between.is_empty(), "{file}: lost in the midst: {between:?}");
}

fn all_records(engine: &Engine) -> Result<Vec<StoredRecord>, EngineError> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = engine.scroll(NAME, after.as_deref(), 100, None)?;
        found.extend(page.records);
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

fn all_ids(engine: &Engine) -> BTreeSet<String> {
    let records = all_records(engine).unwrap();
    let ids: BTreeSet<String> = records.iter().map(|record| record.id.clone()).collect();
    assert_eq!(ids.len(), records.len(), "a record is there twice");
    ids
}

/// The indexes of vectors and of a field agree with the store.
fn check_index(engine: &Engine, found: &BTreeSet<String>) {
    let stats = engine.stats(NAME).unwrap();
    assert_eq!((stats.records, stats.texts.vectors), (found.len() as u64, found.len() as u64));
    let filter = Filter::parse("has(n)").unwrap();
    let (indexed, plan) = engine.count_planned(NAME, &filter).unwrap();
    assert_eq!(
        (indexed, plan.tested),
        (found.len() as u64, 0),
        "entries without a record, or none"
    );
    for id in found.iter().rev().take(5) {
        let n: u64 = id[1..].parse().unwrap();
        let request = SearchRequest::new(Query::Text(text(n)), Side::Text, 1);
        assert_eq!(ids(&search(engine, &request)), [id.as_str()]);
    }
}
