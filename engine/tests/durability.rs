//! What an acknowledgement promises, and what happens at the edges of the disk and of memory.

#![allow(clippy::unwrap_used, reason = "a test stops where something fails")]
#![allow(clippy::print_stdout, reason = "a test says what it did, and a child tells its parent")]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use moiety_engine::{
    Access, CollectionConfig, Durability, Engine, EngineError, EngineOptions, ErrorKind, FieldType,
    Filter, FreeSpace, Patience, Query, Readiness, SearchRequest, Side,
};

mod fixture;
use fixture::{
    NAME, encoder, engine, full_record, ids, long_record, open, put, search, spec, text,
    text_record,
};

const FILL_DIR: &str = "MOIETY_TEST_FILL_DIR";
const READ_DIR: &str = "MOIETY_TEST_READ_DIR";
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/format-1");

fn with(dir: &Path, change: impl FnOnce(&mut EngineOptions)) -> Result<Engine, EngineError> {
    let mut options = EngineOptions { cache_bytes: 16 << 20, ..EngineOptions::default() };
    change(&mut options);
    Engine::open(dir, encoder(), options)
}

fn read_only(dir: &Path) -> Result<Engine, EngineError> {
    with(dir, |options| options.access = Access::ReadOnly)
}

fn all_ids(engine: &Engine) -> BTreeSet<String> {
    let page = engine.scroll(NAME, None, 10_000, None).unwrap();
    page.records.into_iter().map(|record| record.id).collect()
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn writers_that_share_a_sync_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let config =
        CollectionConfig { durability: Durability::Grouped, ..CollectionConfig::named(NAME) };
    engine.create_collection(config).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let engine = &engine;
            scope.spawn(move || {
                for n in 0..10 {
                    put(engine, vec![text_record(writer * 100 + n)]);
                }
                engine.delete(NAME, &[text_record(writer * 100).id]).unwrap();
            });
        }
    });
    drop(engine);
    let engine = open(dir.path());
    assert_eq!(engine.count(NAME, None).unwrap(), 36);
    assert_eq!(engine.collection(NAME).unwrap().config.durability, Durability::Grouped);
}

#[test]
fn writes_stop_before_the_disk_is_full_and_deletions_and_reads_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let free = Arc::new(AtomicU64::new(10 << 30));
    let probe = Arc::clone(&free);
    let engine = with(dir.path(), |options| {
        options.free_space = FreeSpace::measured_by(move |_| Ok(probe.load(Ordering::SeqCst)));
    })
    .unwrap();
    engine.create_collection(CollectionConfig::named(NAME)).unwrap();
    put(&engine, (0..20).map(full_record).collect());
    free.store(100 << 20, Ordering::SeqCst);
    let error = engine.upsert(NAME, vec![text_record(99)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exhausted);
    assert!(error.to_string().contains(dir.path().to_str().unwrap()), "{error}");
    let config = CollectionConfig::named("another");
    assert_eq!(engine.create_collection(config).unwrap_err().kind(), ErrorKind::Exhausted);
    assert_eq!(
        engine.create_snapshot("s", &Patience::endless()).unwrap_err().kind(),
        ErrorKind::Exhausted
    );
    assert_eq!(engine.delete(NAME, &[text_record(3).id]).unwrap(), [true]);
    assert_eq!(engine.count(NAME, None).unwrap(), 19);
    let request = SearchRequest::new(Query::Text(text(5)), Side::Text, 1);
    assert_eq!(ids(&search(&engine, &request)), ["r00005"]);
    engine.drop_collection(NAME).unwrap();
    free.store(10 << 30, Ordering::SeqCst);
    engine.create_collection(CollectionConfig::named(NAME)).unwrap();
    put(&engine, vec![text_record(99)]);
}

#[test]
fn vectors_stay_within_their_budget_of_memory_and_room_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let engine = with(dir.path(), |options| options.index_bytes = 300_000).unwrap();
    engine.create_collection(CollectionConfig::named(NAME)).unwrap();
    let mut written = 0;
    let error = loop {
        match engine.upsert(NAME, (written..written + 10).map(text_record).collect()) {
            Ok(_) => written += 10,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, EngineError::MemoryFull { .. }), "{error}");
    assert!(engine.index_bytes() <= 300_000 && written >= 50, "{written}");
    let gone: Vec<String> = (0..written).map(|n| text_record(n).id).collect();
    engine.delete(NAME, &gone).unwrap();
    engine.rebuild(NAME, &Patience::endless()).unwrap();
    put(&engine, vec![text_record(1)]);
    assert_eq!(engine.stats(NAME).unwrap().texts.tombstones, 0);
}

#[test]
fn a_collection_that_there_is_no_room_for_is_searched_on_the_disk_until_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let request = |n| SearchRequest::new(Query::Text(text(n)), Side::Text, 5);
    let (expected, bytes) = {
        let engine = with(dir.path(), |_| ()).unwrap();
        for name in ["other", NAME] {
            engine.create_collection(CollectionConfig::named(name)).unwrap();
            engine.upsert(name, (0..400).map(text_record).collect()).unwrap();
        }
        (search(&engine, &request(123)), engine.index_bytes())
    };
    let budget = bytes * 3 / 4;
    let engine = with(dir.path(), |options| options.index_bytes = budget).unwrap();
    let readiness = |name| engine.readiness(name).unwrap();
    // They are read in the order of their names.
    let (fits, stays) = if NAME < "other" { (NAME, "other") } else { ("other", NAME) };
    assert_eq!((readiness(fits), readiness(stays)), (Readiness::Ready, Readiness::OnDisk));
    assert!(engine.index_bytes() <= budget, "{} of {budget}", engine.index_bytes());
    for name in [fits, stays] {
        let found = engine.search(name, &request(123)).unwrap();
        assert!(found.exact && ids(&found) == ids(&expected), "{name}");
        assert_eq!(engine.count(name, None).unwrap(), 400);
    }
    let error = engine.upsert(stays, vec![text_record(900)]).unwrap_err();
    assert!(matches!(error, EngineError::MemoryFull { .. }), "{error}");
    assert_eq!(engine.delete(stays, &[text_record(7).id]).unwrap(), [true]);
    assert!(engine.rebuild(stays, &Patience::endless()).is_err());
    assert_eq!(engine.count(stays, None).unwrap(), 399);
    engine.drop_collection(fits).unwrap();
    for _ in 0..2_000 {
        if readiness(stays) == Readiness::Ready {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(readiness(stays), Readiness::Ready);
    assert!(engine.index_bytes() <= budget);
    engine.upsert(stays, vec![text_record(900)]).unwrap();
    assert_eq!(ids(&engine.search(stays, &request(123)).unwrap()), ids(&expected));
}

#[test]
fn fingerprints_are_in_memory_where_there_is_room_and_give_way_to_vectors() {
    let dir = tempfile::tempdir().unwrap();
    let filter = Filter::parse("similar('CC(=O)O', 0.3) and not smarts('c1ccccc1')").unwrap();
    let (expected, vectors) = {
        let engine = with(dir.path(), |_| ()).unwrap();
        engine.create_collection(CollectionConfig::named(NAME)).unwrap();
        put(&engine, (0..200).map(full_record).collect());
        let stats = engine.stats(NAME).unwrap();
        assert!(stats.fingerprint_bytes >= 200 * 512, "{stats:?}");
        let vectors = stats.molecules.memory_bytes + stats.texts.memory_bytes;
        assert_eq!(engine.index_bytes() as u64, vectors + stats.fingerprint_bytes);
        (engine.count(NAME, Some(&filter)).unwrap(), vectors as usize)
    };
    assert!(expected > 0);
    let fingerprints = |engine: &Engine| engine.stats(NAME).unwrap().fingerprint_bytes;
    // No room but for vectors: the store is read.
    let engine = with(dir.path(), |options| options.index_bytes = vectors + 1_000).unwrap();
    assert_eq!(fingerprints(&engine), 0);
    assert_eq!(engine.count(NAME, Some(&filter)).unwrap(), expected);
    drop(engine);
    // Room for both, until more vectors come.
    let budget = vectors + 200_000;
    let engine = with(dir.path(), |options| options.index_bytes = budget).unwrap();
    assert!(fingerprints(&engine) >= 200 * 512);
    let mut written = 200;
    while engine.upsert(NAME, (written..written + 10).map(full_record).collect()).is_ok() {
        written += 10;
        assert!(engine.index_bytes() <= budget, "{written}");
        let even = engine.count(NAME, Some(&filter)).unwrap();
        assert!(even >= expected, "{written}");
    }
    assert_eq!(fingerprints(&engine), 0);
    assert!(written > 220, "{written}");
    let gone: Vec<String> = (200..written).map(|n| full_record(n).id).collect();
    engine.delete(NAME, &gone).unwrap();
    engine.rebuild(NAME, &Patience::endless()).unwrap();
    assert!(fingerprints(&engine) >= 200 * 512);
    assert_eq!(engine.count(NAME, Some(&filter)).unwrap(), expected);
}

#[test]
fn a_reader_changes_nothing_and_keeps_writers_out() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(read_only(dir.path()).err().unwrap().kind(), ErrorKind::Invalid);
    let writer = engine(dir.path());
    put(&writer, (0..10).map(full_record).collect());
    let error = read_only(dir.path()).err().unwrap();
    assert!(matches!(error, EngineError::Locked { .. }), "{error}");
    let said = error.to_string();
    assert!(said.contains(dir.path().to_str().unwrap()), "{said}");
    assert!(said.contains(&std::process::id().to_string()), "{said}");
    drop(writer);
    let (one, two) = (read_only(dir.path()).unwrap(), read_only(dir.path()).unwrap());
    assert!(matches!(with(dir.path(), |_| ()).err().unwrap(), EngineError::Locked { .. }));
    for reader in [&one, &two] {
        assert_eq!(all_ids(reader).len(), 10);
        let request = SearchRequest::new(Query::Text(text(5)), Side::Text, 1);
        assert_eq!(ids(&search(reader, &request)), ["r00005"]);
        let refused = [
            reader.upsert(NAME, vec![text_record(1)]).unwrap_err(),
            reader.delete(NAME, &["r00001".into()]).unwrap_err(),
            reader.create_collection(CollectionConfig::named("x")).unwrap_err(),
            reader.drop_collection(NAME).unwrap_err(),
            reader.create_snapshot("x", &Patience::endless()).unwrap_err(),
        ];
        for error in refused {
            assert!(matches!(error, EngineError::ReadOnly { .. }), "{error}");
        }
    }
    drop((one, two));
    assert_eq!(all_ids(&open(dir.path())).len(), 10);
}

#[test]
fn disk_use_is_told_while_the_records_are_in_the_log_alone() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    put(&engine, (0..50).map(full_record).collect());
    let used = engine.usage();
    assert!(used.log_bytes > 10_000 && used.write_buffer_bytes > 0, "{used:?}");
    assert!(engine.stats(NAME).unwrap().disk_bytes > 10_000);
    engine.flush().unwrap();
    assert!(engine.usage().table_bytes > 1_000);
    let stats = engine.stats(NAME).unwrap();
    assert!(stats.disk_bytes > 1_000 && stats.texts.vector_bytes > 0);
}

/// Today's format is the last one; each older one must be told so, migrated, and then hold what it held.
#[test]
fn data_of_every_format_opens_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    copy_folder(Path::new(GOLDEN), &path);
    if let Err(error) = with(&path, |_| ()) {
        assert!(error.to_string().contains("moiety migrate"), "{error}");
    }
    let migrated = Engine::migrate(&path).unwrap();
    assert_eq!(migrated.from, 1);
    assert_eq!(Engine::migrate(&path).unwrap().from, migrated.to);
    let engine = with(&path, |_| ()).unwrap();
    for n in (0..12).filter(|n| *n != 4) {
        let expected = long_record(n);
        let found =
            engine.get(NAME, std::slice::from_ref(&expected.id)).unwrap().remove(0).unwrap();
        assert_eq!((&found.text, &found.payload), (&expected.text, &expected.payload));
        assert_eq!(found.molecule.map(|molecule| molecule.structure), expected.molecule);
        let request =
            SearchRequest::new(Query::Text(expected.text.clone().unwrap()), Side::Text, 1);
        assert_eq!(ids(&search(&engine, &request)), [expected.id.as_str()]);
    }
    assert_eq!(engine.count(NAME, None).unwrap(), 11);
    // Whatever was stored beside the records then, filters find what a look at each record finds.
    let solvent = Filter::parse("similar('CCO', 1) and n >= 0").unwrap();
    let alike = |n: u64| long_record(n).molecule == long_record(0).molecule;
    let expected = (0..12).filter(|n| *n != 4 && alike(*n)).count() as u64;
    assert_eq!(engine.count(NAME, Some(&solvent)).unwrap(), expected);
    engine.create_index(NAME, &spec("n", FieldType::Integer)).unwrap();
    assert_eq!(engine.count(NAME, Some(&solvent)).unwrap(), expected);
    assert_eq!(engine.list_snapshots().unwrap(), []);
}

/// Not a test of its own: makes the golden data of the present format, when it is asked to.
#[test]
fn golden_data_is_made() {
    let Ok(dir) = std::env::var("MOIETY_GOLDEN_DIR") else { return };
    let engine = engine(Path::new(&dir));
    put(&engine, (0..6).map(long_record).collect());
    engine.flush().unwrap();
    put(&engine, (6..12).map(long_record).collect());
    engine.delete(NAME, &[text_record(4).id]).unwrap();
}

/// Not a test of its own: writes until the system refuses, saying what was acknowledged.
#[test]
fn child_that_writes_until_it_is_refused() {
    let Ok(dir) = std::env::var(FILL_DIR) else { return };
    let reserve: u64 = std::env::var("MOIETY_TEST_RESERVE").unwrap().parse().unwrap();
    let engine = with(Path::new(&dir), |options| options.reserve_bytes = reserve).unwrap();
    let config = CollectionConfig { durability: Durability::Wal, ..CollectionConfig::named(NAME) };
    engine.create_collection(config).unwrap();
    for batch in 0..4_000u64 {
        let records = (batch * 50..(batch + 1) * 50).map(full_record).collect();
        match engine.upsert(NAME, records) {
            Ok(_) => println!("\nacknowledged {batch}"),
            Err(error) => {
                println!("\nrefused {:?} {error}", error.kind());
                let searched = engine.count(NAME, None).is_ok();
                let deleted = engine.delete(NAME, &[full_record(0).id]).is_ok();
                println!("\nafterwards searched {searched} deleted {deleted}");
                return;
            }
        }
    }
    panic!("nothing was refused");
}

/// Not a test of its own: says what a directory on a read-only file system gives.
#[test]
fn child_that_reads_what_cannot_be_written() {
    let Ok(dir) = std::env::var(READ_DIR).map(PathBuf::from) else { return };
    let refused = with(&dir, |_| ()).err().unwrap();
    println!("\nwriter {} {refused}", matches!(refused, EngineError::ReadOnly { .. }));
    let readers = [read_only(&dir).unwrap(), read_only(&dir).unwrap()];
    for reader in readers {
        let request = SearchRequest::new(Query::Text(text(5)), Side::Text, 1);
        println!("\nreader {} {:?}", all_ids(&reader).len(), ids(&search(&reader, &request)));
    }
}

/// Runs a test of this file as a child of a shell, after its setup; what it printed, or `None` where the system does not
/// allow the setup.
fn child(shell: &[&str], setup: &str, test: &str, variables: &[(&str, &str)]) -> Option<String> {
    let program = std::env::current_exe().unwrap();
    let (program, begin) = (program.display(), "ready");
    let script = format!("{setup} && echo {begin} && exec {program} {test} --exact --nocapture");
    let output = Command::new(shell[0])
        .args(&shell[1..])
        .args(["-c", &script])
        .envs(variables.iter().copied())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().any(|line| line == begin).then_some(text)
}

/// A shell with mounts of its own, which go away with it.
const MOUNTING: [&str; 3] = ["unshare", "-m", "sh"];

/// Writes to a directory until the system refuses, after a setup.
fn fill(shell: &[&str], setup: &str, dir: &Path, reserve: u64) -> Option<String> {
    let (dir, reserve) = (dir.to_str().unwrap(), reserve.to_string());
    let variables = [(FILL_DIR, dir), ("MOIETY_TEST_RESERVE", &reserve)];
    child(shell, setup, "child_that_writes_until_it_is_refused", &variables)
}

fn acknowledged(said: &str) -> Vec<u64> {
    said.lines().filter_map(|line| line.strip_prefix("acknowledged ")?.parse().ok()).collect()
}

#[test]
fn what_was_acknowledged_before_the_system_refused_a_write_is_there() {
    let dir = tempfile::tempdir().unwrap();
    // Files may grow to a megabyte; the signal that would end the process is ignored, so that writes fail instead.
    let setup = "trap '' XFSZ && ulimit -f 2048";
    let Some(said) = fill(&["sh"], setup, dir.path(), 0) else { return };
    let batches = acknowledged(&said);
    assert!(!batches.is_empty() && said.lines().any(|line| line.starts_with("refused")), "{said}");
    let engine = open(dir.path());
    let found =
        engine.get(NAME, &batches.iter().map(|b| full_record(b * 50 + 7).id).collect::<Vec<_>>());
    assert!(found.unwrap().iter().all(Option::is_some));
    let count = engine.count(NAME, None).unwrap();
    assert!(count + 1 >= batches.len() as u64 * 50, "{count} records of {} batches", batches.len());
}

#[test]
fn a_small_disk_refuses_writes_before_it_is_full_and_still_deletes() {
    let dir = tempfile::tempdir().unwrap();
    let mount: PathBuf = dir.path().join("disk");
    std::fs::create_dir(&mount).unwrap();
    let setup = format!("mount -t tmpfs -o size=48m tmpfs {} 2>/dev/null", mount.display());
    let Some(said) = fill(&MOUNTING, &setup, &mount.join("data"), 16 << 20) else { return };
    assert!(said.contains("refused Exhausted"), "{said}");
    assert!(said.contains("afterwards searched true deleted true"), "{said}");
}

#[test]
fn a_read_only_file_system_is_read_and_a_writer_is_told() {
    let dir = tempfile::tempdir().unwrap();
    for locked in [true, false] {
        let data = dir.path().join(format!("data-{locked}"));
        put(&engine(&data), (0..10).map(full_record).collect());
        if !locked {
            // As when it was copied from elsewhere.
            std::fs::remove_file(data.join("moiety.lock")).unwrap();
        }
        let data = data.to_str().unwrap();
        let setup = format!("mount --bind {data} {data} && mount -o remount,bind,ro {data}");
        let test = "child_that_reads_what_cannot_be_written";
        let Some(said) = child(&MOUNTING, &setup, test, &[(READ_DIR, data)]) else { return };
        let writer = said.lines().find(|line| line.starts_with("writer true")).unwrap_or(&said);
        assert!(writer.contains(data), "{said}");
        assert_eq!(said.matches("reader 10 [\"r00005\"]").count(), 2, "{said}");
    }
}
