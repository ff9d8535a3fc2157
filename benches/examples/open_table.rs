//! Time from the start of an open to the first answer, with the graph on the disk and without, and bytes by component.
//!
//! ```text
//! just bench-open [records [directory]]
//! ```
//!
//! The data are made in the directory and stay there, so that a second run measures again without making them; or else in a
//! temporary one.
//!
//! Texts are encoded by hashing, so that the making of the data is not the bench. Times are of a warm page cache.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use moiety_encoder::HashingEncoder;
use moiety_engine::{
    CollectionConfig, Durability, Engine, EngineError, EngineOptions, Query, Readiness, Record,
    SearchRequest, Side, Start,
};

const DIM: usize = 256;
const CHUNK: usize = 2_000;
const NAME: &str = "texts";

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn text(n: usize) -> String {
    let words = ["acid", "dye", "sugar", "salt", "plant", "drug", "metal", "odour", "wine", "base"];
    let word = |shift: u32| words[(n.wrapping_mul(2_654_435_761) >> shift) % words.len()];
    format!("{} {} {} number {n}", word(3), word(11), word(19))
}

fn open(dir: &Path) -> std::result::Result<Engine, EngineError> {
    let options = EngineOptions { start: Start::AtOnce, ..EngineOptions::default() };
    Engine::open(dir, Arc::new(HashingEncoder::new(DIM)), options)
}

fn wait_until_ready(engine: &Engine) -> Result<()> {
    while engine.readiness(NAME)? != Readiness::Ready {
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn fill(dir: &Path, records: usize) -> Result<()> {
    let engine = open(dir)?;
    let config = CollectionConfig { durability: Durability::Wal, ..CollectionConfig::named(NAME) };
    engine.create_collection(config)?;
    for from in (0..records).step_by(CHUNK) {
        let record =
            |n: usize| Record { id: n.to_string(), text: Some(text(n)), ..Record::default() };
        engine.upsert(NAME, (from..records.min(from + CHUNK)).map(record).collect())?;
    }
    wait_until_ready(&engine)?;
    // Below that many there is no graph, and the last of more stay beside it.
    let graph = records >= EngineOptions::default().exact_below;
    while graph && engine.stats(NAME)?.texts.linked < (records - records / 16) as u64 {
        thread::sleep(Duration::from_millis(100));
    }
    let used = engine.usage();
    println!(
        "{records} texts of {DIM} numbers; bytes: {used:?}, indexes {}\n",
        engine.index_bytes()
    );
    Ok(())
}

/// Milliseconds to an open engine, to the first answer, and to vectors in memory with their graph.
fn measure(dir: &Path) -> Result<[f64; 3]> {
    let began = Instant::now();
    let ms = || began.elapsed().as_secs_f64() * 1e3;
    let engine = open(dir)?;
    let opened = ms();
    let found = engine.search(NAME, &SearchRequest::new(Query::Text(text(7)), Side::Text, 10))?;
    assert_eq!(found.hits[0].record.id, "7");
    let answered = ms();
    wait_until_ready(&engine)?;
    Ok([opened, answered, ms()])
}

fn main() -> Result<()> {
    let records = std::env::args().nth(1).map_or(Ok(60_000), |records| records.parse())?;
    let temporary = tempfile::tempdir()?;
    let dir = std::env::args().nth(2).map_or(temporary.path().to_path_buf(), PathBuf::from);
    let aside = dir.join("graphs.aside");
    if aside.exists() {
        // A run was cut off between its two measurements.
        let _ = std::fs::remove_dir_all(dir.join("graphs"));
        std::fs::rename(&aside, dir.join("graphs"))?;
    }
    if open(&dir)?.list_collections().is_empty() {
        fill(&dir, records)?;
    }
    let graphs = dir.join("graphs");
    let found = open(&dir)?.count(NAME, None)?;
    if found != records as u64 {
        return Err(
            format!("{} has {found} records; say so, or take another", dir.display()).into()
        );
    }
    println!("| | open, ms | first answer, ms | graph ready, ms |");
    println!("|---|---:|---:|---:|");
    // Few records have none.
    if graphs.exists() {
        row("graph on the disk", &dir)?;
        std::fs::rename(&graphs, &aside)?;
    }
    row("no graph on the disk", &dir)?;
    if aside.exists() {
        let _ = std::fs::remove_dir_all(&graphs);
        std::fs::rename(&aside, &graphs)?;
    }
    Ok(())
}

fn row(what: &str, dir: &Path) -> Result<()> {
    let [opened, answered, ready] = measure(dir)?;
    println!("| {what} | {opened:.0} | {answered:.0} | {ready:.0} |");
    Ok(())
}
