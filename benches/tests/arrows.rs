//! The arrows between rooms, and the place of every foreign library, held without any tool but cargo.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// Each room and the rooms it may stand on.
const ROOMS: [(&str, &[&str]); 8] = [
    ("moiety-proto", &[]),
    ("moiety-chem", &[]),
    ("moiety-index", &[]),
    ("moiety-encoder", &["moiety-chem"]),
    ("moiety-engine", &["moiety-encoder", "moiety-index", "moiety-chem"]),
    ("moiety-rpc", &["moiety-engine", "moiety-proto"]),
    ("moiety-cli", &["moiety-rpc", "moiety-engine", "moiety-encoder", "moiety-chem"]),
    ("moiety-benches", &["moiety-engine", "moiety-encoder", "moiety-index", "moiety-chem"]),
];

/// What tests of a room may stand on beyond that.
const IN_TESTS: [(&str, &[&str]); 1] = [("moiety-rpc", &["moiety-encoder", "moiety-chem"])];

/// Foreign libraries, the rooms that may depend on them, and the source folders or files that may name them.
const PLACES: [(&str, &[&str], &[&str]); 13] = [
    ("cosmolkit", &["moiety-chem"], &["chem/src/foreign"]),
    ("cosmolkit-core", &["moiety-chem"], &["chem/src/foreign"]),
    ("candle-core", &["moiety-encoder"], &["encoder"]),
    ("candle-nn", &["moiety-encoder"], &["encoder"]),
    (
        "tokenizers",
        &["moiety-encoder"],
        &["encoder/src/tokenize.rs", "encoder/src/plain_text.rs", "encoder/src/t5/tokenizer"],
    ),
    (
        "hnsw_rs",
        &["moiety-index", "moiety-benches"],
        &["index/src/graph.rs", "benches/examples/recall_table.rs"],
    ),
    ("rocksdb", &["moiety-engine"], &["engine/src/store"]),
    ("tonic", &["moiety-proto", "moiety-rpc"], &["proto", "rpc"]),
    ("tonic-health", &["moiety-rpc"], &["rpc"]),
    ("tonic-reflection", &["moiety-rpc"], &["rpc"]),
    ("tonic-types", &["moiety-rpc"], &["rpc"]),
    ("tonic-prost", &["moiety-proto"], &["proto"]),
    ("tokio", &["moiety-rpc", "moiety-cli"], &["rpc", "cli"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository")
}

/// Names that each room depends on, by kind: to build, and in tests alone.
fn dependencies() -> BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let mut rooms = BTreeMap::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let (mut build, mut tests) = (BTreeSet::new(), BTreeSet::new());
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let names = if dependency["kind"] == "dev" { &mut tests } else { &mut build };
            names.insert(text(&dependency["name"]));
        }
        rooms.insert(text(&package["name"]), (build, tests));
    }
    rooms
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

fn allowed(table: &[(&str, &[&'static str])], room: &str) -> BTreeSet<&'static str> {
    let row = table.iter().find(|(name, _)| *name == room);
    row.map(|(_, below)| below.iter().copied().collect()).unwrap_or_default()
}

fn ours(names: &BTreeSet<String>) -> impl Iterator<Item = &str> {
    names.iter().map(String::as_str).filter(|name| name.starts_with("moiety-"))
}

#[test]
fn rooms_stand_only_on_the_rooms_below_them() {
    let found = dependencies();
    let known: BTreeSet<&str> = ROOMS.iter().map(|(room, _)| *room).collect();
    assert_eq!(found.keys().map(String::as_str).collect::<BTreeSet<_>>(), known);
    for (room, (build, tests)) in &found {
        let below = allowed(&ROOMS, room);
        let in_tests: BTreeSet<&str> = below.union(&allowed(&IN_TESTS, room)).copied().collect();
        for name in ours(build) {
            assert!(below.contains(name), "{room} must not depend on {name}");
        }
        for name in ours(tests).filter(|name| name != room) {
            assert!(in_tests.contains(name), "tests of {room} must not depend on {name}");
        }
    }
}

#[test]
fn foreign_libraries_are_dependencies_of_their_room_alone() {
    for (room, (build, tests)) in &dependencies() {
        for (library, rooms, _) in PLACES {
            let used = build.contains(library) || tests.contains(library);
            assert!(!used || rooms.contains(&room.as_str()), "{room} must not depend on {library}");
        }
    }
}

#[test]
fn foreign_libraries_are_named_in_their_place_alone() {
    let root = root();
    for room in ["proto", "chem", "encoder", "index", "engine", "rpc", "cli", "benches"] {
        for file in sources(&root.join(room)) {
            let place = file.strip_prefix(&root).expect("below the root");
            let code = fs::read_to_string(&file).expect("source");
            for (library, _, places) in PLACES {
                let named = names(&code, &library.replace('-', "_"));
                let right = places.iter().any(|allowed| place.starts_with(allowed));
                assert!(!named || right, "{} must not name {library}", place.display());
            }
        }
    }
}

#[test]
fn the_deny_file_knows_every_foreign_library() {
    let file = fs::read_to_string(root().join("deny.toml")).expect("deny.toml");
    for (library, _, _) in PLACES {
        let entry = format!("{{ name = \"{library}\", wrappers");
        assert!(file.contains(&entry), "deny.toml has no entry for {library}");
    }
}

/// Whether a path of this crate stands in code, comments aside.
fn names(code: &str, library: &str) -> bool {
    let path = format!("{library}::");
    let lines = code.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
    lines.into_iter().any(|line| {
        line.match_indices(&path).any(|(at, _)| {
            !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
        })
    })
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found
}
