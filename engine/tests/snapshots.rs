//! Snapshots: made while writing, refused when touched, restored whole or not at all.

#![allow(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use moiety_engine::{
    CollectionConfig, Engine, EngineError, ErrorKind, FieldType, Filter, Patience, Query,
    SearchRequest, Side, SnapshotPart,
};

mod fixture;
use fixture::{NAME, engine, full_record, ids, open, put, search, spec, text, text_record};

const RESTORE_DIR: &str = "MOIETY_TEST_RESTORE_DIR";

fn restore(engine: &Engine, name: &str) -> Result<(), EngineError> {
    engine.restore_snapshot(name, None, None, &Patience::endless()).map(drop)
}

fn finds(engine: &Engine, n: u64) -> bool {
    let request = SearchRequest::new(Query::Text(text(n)), Side::Text, 1);
    ids(&search(engine, &request)) == [text_record(n).id.as_str()]
}

#[test]
fn a_snapshot_keeps_its_moment_and_gives_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    put(&engine, (0..80).map(full_record).collect());
    let made = engine.create_snapshot("first", &Patience::endless()).unwrap();
    assert_eq!((made.collections.len(), made.collections[0].records), (1, 80));
    put(&engine, (80..90).map(full_record).collect());
    engine.delete(NAME, &[text_record(3).id]).unwrap();
    engine.create_collection(CollectionConfig::named("later")).unwrap();
    assert_eq!(engine.verify_snapshot("first", &Patience::endless()).unwrap(), made);
    restore(&engine, "first").unwrap();
    assert_eq!(engine.count(NAME, None).unwrap(), 80);
    assert!(finds(&engine, 3) && !finds(&engine, 85));
    // What the snapshot does not hold stays.
    assert_eq!(engine.count("later", None).unwrap(), 0);
    put(&engine, vec![text_record(200)]);
    drop(engine);
    let engine = open(dir.path());
    assert_eq!(engine.count(NAME, None).unwrap(), 81);
    assert!(finds(&engine, 3) && finds(&engine, 200));
    let listed = engine.list_snapshots().unwrap();
    assert_eq!((listed.len(), listed[0].manifest.clone().unwrap()), (1, made));
    engine.delete_snapshot("first").unwrap();
    assert_eq!(
        engine.verify_snapshot("first", &Patience::endless()).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn what_a_kill_left_of_snapshots_is_gone_at_the_next_open() {
    let dir = tempfile::tempdir().unwrap();
    drop(engine(dir.path()));
    let folder = dir.path().join("snapshots");
    for left in [".made.staging", ".gone.deleted"] {
        fs::create_dir_all(folder.join(left).join("store")).unwrap();
        fs::write(folder.join(left).join("store/000001.sst"), "half").unwrap();
    }
    // Neither is one of ours.
    fs::write(folder.join(".DS_Store"), "a file").unwrap();
    fs::create_dir(folder.join(".kept")).unwrap();
    let engine = open(dir.path());
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
    for _ in 0..2 {
        engine.create_snapshot("gone", &Patience::endless()).unwrap();
        engine.delete_snapshot("gone").unwrap();
    }
}

#[test]
fn one_collection_is_restored_under_another_name() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    put(&engine, (0..10).map(full_record).collect());
    engine.create_snapshot("s", &Patience::endless()).unwrap();
    assert_eq!(
        engine.create_snapshot("s", &Patience::endless()).unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    engine.delete(NAME, &[text_record(1).id]).unwrap();
    let patience = Patience::endless();
    let made = engine.restore_snapshot("s", Some(NAME), Some("copy"), &patience).unwrap();
    assert_eq!(made[0].config.name, "copy");
    assert_eq!(engine.count("copy", None).unwrap(), 10);
    assert_eq!(engine.count(NAME, None).unwrap(), 9);
    for (only, as_name, kind) in [
        (Some("nothing"), None, ErrorKind::NotFound),
        (None, Some("x"), ErrorKind::Invalid),
        (Some(NAME), Some("../x"), ErrorKind::Invalid),
    ] {
        let error = engine.restore_snapshot("s", only, as_name, &patience).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    for name in ["", "..", "a/b", ".s.staging"] {
        assert_eq!(
            engine.create_snapshot(name, &Patience::endless()).unwrap_err().kind(),
            ErrorKind::Invalid
        );
    }
    patience.cancel();
    let error = engine.restore_snapshot("s", None, None, &patience).unwrap_err();
    assert!(matches!(error, EngineError::Cancelled));
    assert_eq!(engine.count(NAME, None).unwrap(), 9);
}

#[test]
fn field_indexes_and_fingerprints_come_back_with_a_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    engine.create_index(NAME, &spec("n", FieldType::Integer)).unwrap();
    put(&engine, (0..80).map(full_record).collect());
    let filters = ["n < 20", "similar('CCO', 0.3)", "smarts('c1ccccc1') and n >= 30"];
    let counts = |engine: &Engine, name: &str| {
        filters.map(|filter| {
            let filter = Filter::parse(filter).unwrap();
            let (count, plan) = engine.count_planned(name, &filter).unwrap();
            // What the indexes said, so that a lost one shows.
            (count, plan.possible, plan.certain, plan.tested)
        })
    };
    let before = counts(&engine, NAME);
    assert!(before.iter().all(|counted| counted.0 > 0), "{before:?}");
    engine.create_snapshot("s", &Patience::endless()).unwrap();
    engine.delete(NAME, &(0..40).map(|n| full_record(n).id).collect::<Vec<_>>()).unwrap();
    engine.drop_index(NAME, "n").unwrap();
    let patience = Patience::endless();
    engine.restore_snapshot("s", Some(NAME), Some("copy"), &patience).unwrap();
    restore(&engine, "s").unwrap();
    for name in [NAME, "copy"] {
        assert_eq!(counts(&engine, name), before, "{name}");
        assert!(engine.stats(name).unwrap().fingerprint_bytes > 80 * 512);
    }
    put(&engine, vec![full_record(1_000)]);
    drop(engine);
    let engine = open(dir.path());
    assert_eq!(counts(&engine, "copy"), before);
    let all = Filter::parse("n >= 0").unwrap();
    let (count, plan) = engine.count_planned(NAME, &all).unwrap();
    assert_eq!((count, plan.tested), (81, 0));
}

#[test]
fn a_snapshot_made_beside_writers_is_a_prefix_of_every_writer() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|writer: u64| {
                let engine = &engine;
                scope.spawn(move || {
                    for n in 0..60 {
                        put(engine, vec![text_record(writer * 1000 + n)]);
                    }
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(30));
        engine.create_snapshot("s", &Patience::endless()).unwrap();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
    });
    restore(&engine, "s").unwrap();
    let page = engine.scroll(NAME, None, 1000, None).unwrap();
    for writer in 0..3 {
        let prefix = format!("r{writer:02}");
        let mine: Vec<_> = page.records.iter().filter(|r| r.id.starts_with(&prefix)).collect();
        for (n, record) in mine.iter().enumerate() {
            assert_eq!(record.id, text_record(writer * 1000 + n as u64).id);
        }
    }
}

#[test]
fn a_touched_file_is_named_and_nothing_is_restored() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    put(&engine, (0..40).map(full_record).collect());
    engine.create_snapshot("s", &Patience::endless()).unwrap();
    engine.delete(NAME, &[text_record(1).id]).unwrap();
    let folder = dir.path().join("snapshots/s");
    let mut files: Vec<_> =
        fs::read_dir(folder.join("store")).unwrap().flatten().map(|f| f.path()).collect();
    files.push(folder.join("manifest.json"));
    for path in files {
        let whole = fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let mut flipped = whole.clone();
        let middle = flipped.len() / 2;
        let cut = whole[..whole.len().saturating_sub(1)].to_vec();
        // An empty log is a file too: it can only grow.
        match flipped.get_mut(middle) {
            Some(byte) => *byte ^= 1,
            None => flipped.push(1),
        }
        let harms = [Some(flipped), Some(cut).filter(|cut| cut.len() < whole.len()), None];
        for bytes in harms {
            // A snapshot shares files with the store: a new file takes the place of the link.
            fs::remove_file(&path).unwrap();
            if let Some(bytes) = &bytes {
                fs::write(&path, bytes).unwrap();
            }
            for error in [
                engine.verify_snapshot("s", &Patience::endless()).err(),
                restore(&engine, "s").err(),
            ] {
                let error = error.unwrap();
                assert_eq!(error.kind(), ErrorKind::Corrupt);
                assert!(error.to_string().contains(name), "{name}: {error}");
            }
            if bytes.is_none() {
                fs::write(&path, &whole).unwrap();
            }
        }
        fs::write(&path, &whole).unwrap();
        engine.verify_snapshot("s", &Patience::endless()).unwrap();
    }
    fs::write(folder.join("store/000099.sst"), "more").unwrap();
    assert!(restore(&engine, "s").unwrap_err().to_string().contains("000099.sst"));
    assert_eq!(engine.count(NAME, None).unwrap(), 39);
}

#[test]
fn a_snapshot_goes_from_one_database_to_another_and_no_part_may_differ() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let from = engine(here.path());
    put(&from, (0..30).map(full_record).collect());
    from.create_snapshot("s", &Patience::endless()).unwrap();
    let mut parts = Vec::new();
    let mut reader = from.read_snapshot("s").unwrap();
    while let Some(part) = reader.next_part().unwrap() {
        parts.push(part);
    }
    let to = open(there.path());
    let send = |parts: &[SnapshotPart]| {
        let mut writer = to.receive_snapshot("s")?;
        parts.iter().try_for_each(|part| writer.take(part.clone()))?;
        writer.finish()
    };
    for left_out in 0..parts.len() {
        let mut fewer = parts.clone();
        fewer.remove(left_out);
        assert_eq!(send(&fewer).unwrap_err().kind(), ErrorKind::Corrupt, "without part {left_out}");
        let mut other = parts.clone();
        match &mut other[left_out] {
            SnapshotPart::Manifest(bytes) => bytes[40] ^= 1,
            SnapshotPart::Bytes { bytes, .. } => bytes[0] ^= 1,
        }
        assert_eq!(send(&other).unwrap_err().kind(), ErrorKind::Corrupt, "part {left_out} changed");
    }
    assert_eq!(to.list_snapshots().unwrap(), []);
    send(&parts).unwrap();
    to.verify_snapshot("s", &Patience::endless()).unwrap();
    restore(&to, "s").unwrap();
    assert_eq!(to.count(NAME, None).unwrap(), 30);
    assert!(finds(&to, 7));
}

/// Not a test of its own: the process that is killed.
#[test]
fn child_that_restores_until_it_is_killed() {
    let Ok(dir) = std::env::var(RESTORE_DIR) else { return };
    let engine = open(Path::new(&dir));
    for turn in 0.. {
        restore(&engine, if turn % 2 == 0 { "small" } else { "large" }).unwrap();
    }
}

#[test]
fn a_killed_restore_leaves_the_one_or_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    put(&engine, (0..20).map(full_record).collect());
    engine.create_snapshot("small", &Patience::endless()).unwrap();
    put(&engine, (20..60).map(full_record).collect());
    engine.create_snapshot("large", &Patience::endless()).unwrap();
    drop(engine);
    let mut seen = [false; 2];
    for round in 0..8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child_that_restores_until_it_is_killed", "--exact", "--nocapture"])
            .env(RESTORE_DIR, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(120 + 53 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let engine = open(dir.path());
        let count = engine.count(NAME, None).unwrap();
        assert!([20, 60].contains(&count), "{count} records");
        seen[usize::from(count == 60)] = true;
        let stats = engine.stats(NAME).unwrap();
        assert_eq!((stats.texts.vectors, stats.molecules.vectors), (count, count));
        assert!(finds(&engine, 11) && finds(&engine, 33) == (count == 60));
    }
    assert!(seen[0] || seen[1]);
}
