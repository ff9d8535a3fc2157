//! A process is killed while it writes: what it acknowledged is there, and nothing is there twice.
//!
//! The child is this test binary again, told by an environment variable what to do.

#![allow(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use moiety_engine::{
    CollectionConfig, Engine, EngineError, EngineOptions, FieldType, Filter, IndexSpec, Query,
    SearchRequest, Side,
};

mod fixture;
use fixture::{NAME, encoder, ids, open, put, search, text, text_record};

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

/// Does to the files what a crash of the machine may do: garbage after the end of the log, and graphs cut, changed or gone. Gives
/// the number of graphs that were there.
fn tear(dir: &Path, round: u64) -> usize {
    let files = |folder: &Path, end: &str| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        let mut paths: Vec<_> =
            paths.filter(|path| path.extension().is_some_and(|e| e == end)).collect();
        paths.sort();
        paths
    };
    if let Some(log) = files(dir, "log").last() {
        let mut log = std::fs::OpenOptions::new().append(true).open(log).unwrap();
        // The beginning of a record that was never written to its end.
        let torn = [[0x5a, 0x11, 0x22, 0x33, 0xff, 0x00, 0x01].as_slice(), &[7; 40]].concat();
        log.write_all(&torn[..round as usize % torn.len()]).unwrap();
    }
    let graphs = files(&dir.join("graphs"), "graph");
    for graph in &graphs {
        let mut bytes = std::fs::read(graph).unwrap();
        match round % 4 {
            0 => continue,
            1 => bytes.truncate(bytes.len() / 2),
            2 => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 0x10;
            }
            _ => {
                std::fs::remove_file(graph).unwrap();
                continue;
            }
        }
        std::fs::write(graph, bytes).unwrap();
    }
    graphs.len()
}

fn all_ids(engine: &Engine) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut after = None;
    loop {
        let page = engine.scroll(NAME, after.as_deref(), 100, None).unwrap();
        for record in page.records {
            assert!(found.insert(record.id), "a record is there twice");
        }
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
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
