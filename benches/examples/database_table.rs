//! The engine beside Chroma and LanceDB, which run inside a process as it does: import, opening, memory, search and filtered
//! search over the same vectors, in one run. `benches/README.md` has the command.

#![allow(clippy::print_stdout, reason = "it prints tables")]

use std::{
    collections::HashSet,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use moiety_benches::{
    data::Data,
    npy::{self, Rows},
    peers::Session,
    table::{quantile, table},
};
use moiety_chem::Molecule;
use moiety_encoder::{Encoder, EncoderError, Encoding, Extent, Level, ModelInfo};
use moiety_engine::{
    Accuracy, CollectionConfig, Engine, EngineOptions, FieldType, Filter, IndexSpec, Query,
    Readiness, Record, SearchRequest, SearchResponse, Side, Start,
};
use serde_json::{Value, json};

const NAME: &str = "vectors";
const K: usize = 10;
const BATCH: usize = 1_000;
/// Length of a made-up vector.
const DIM: usize = 256;
const PEERS: [&str; 2] = ["chroma", "lancedb"];
/// A number from 0 to 999 goes with each vector; filters ask for those below one of these, the last for all.
const BELOW: [i64; 5] = [1, 10, 100, 500, 1_000];

/// Imports vectors here and there, opens them again, and searches them with and without filters.
#[derive(Parser)]
#[command(mut_arg("queries", |queries| queries.default_value("200")))]
struct Args {
    #[command(flatten)]
    data: Data,
    /// Use the graph from so many vectors on
    #[arg(long, default_value_t = EngineOptions::default().exact_below)]
    exact_below: usize,
    /// Only opens the database in this folder, beside its queries: what the command runs to measure that in a process of its own
    #[arg(long, hide = true)]
    open: Option<PathBuf>,
}

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Gives the vectors that it was made with: a text is the number of one.
struct Given {
    info: ModelInfo,
    vectors: Rows,
}

impl Given {
    fn new(dim: usize, vectors: Rows) -> Arc<Self> {
        let (name, fingerprint) = ("given".to_owned(), "0".repeat(64));
        let (global_dim, part_dim, max_text_tokens, max_atoms) = (dim, 1, 1, 1);
        let info =
            ModelInfo { name, fingerprint, global_dim, part_dim, max_text_tokens, max_atoms };
        Arc::new(Self { info, vectors })
    }
}

impl Encoder for Given {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn encode_molecules(
        &self,
        _: &[&Molecule],
    ) -> std::result::Result<Vec<Encoding>, EncoderError> {
        Ok(Vec::new())
    }

    fn encode_texts(&self, texts: &[&str]) -> std::result::Result<Vec<Encoding>, EncoderError> {
        let part = |text: &str| Level {
            dim: 1,
            vectors: vec![1.0],
            weights: vec![1.0],
            extents: vec![Extent::Span { start: 0, end: text.len() as u32 }],
        };
        let encode = |(index, text): (usize, &&str)| {
            let vector = text.parse().ok().and_then(|number: usize| self.vectors.get(number));
            let reason = || format!("{text} is not the number of a vector");
            let unknown = || EncoderError::Text { index, reason: reason() };
            let global = vector.cloned().ok_or_else(unknown)?;
            Ok(Encoding { global, fragments: part(text), tokens: part(text) })
        };
        texts.iter().enumerate().map(encode).collect()
    }

    fn check_molecule(&self, _: &Molecule) -> std::result::Result<(), EncoderError> {
        Ok(())
    }

    fn check_text(&self, _: &str) -> std::result::Result<(), EncoderError> {
        Ok(())
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(folder) = &args.open {
        println!("{}", opened(folder, args.exact_below)?);
        return Ok(());
    }
    let (vectors, queries) = args.data.rows(args.data.count, DIM)?;
    println!(
        "{} vectors of {} numbers, batches of {BATCH}, {} queries, {K} hits\n",
        vectors.len(),
        vectors[0].len(),
        queries.len()
    );
    let folder = tempfile::tempdir()?;
    let shares: Vec<i64> = (0..vectors.len() as u64).map(share).collect();
    npy::write_f32(&folder.path().join("vectors.npy"), &vectors)?;
    npy::write_f32(&folder.path().join("queries.npy"), &queries)?;
    npy::write_i64(&folder.path().join("shares.npy"), &[shares])?;
    let mut peers = Session::start("database_peers.py", &[folder.path().as_os_str()])?;

    let count = vectors.len() as f64;
    let (engine, ours) = import(folder.path(), vectors, args.exact_below)?;
    let mut imports = vec![import_row("moiety", &ours, &ours, count)?];
    for name in PEERS {
        let theirs = peers.ask(&json!({ "import": name }))?;
        let version = theirs["version"].as_str().unwrap_or_default();
        imports.push(import_row(&format!("{name} {version}"), &theirs, &ours, count)?);
    }
    let header = [
        "import",
        "stored, vectors/s",
        "with its graph, vectors/s",
        "moiety's speed",
        "bytes on disk a vector",
    ];
    println!("{}\n", table(&header, &imports));

    let mut searches = Vec::new();
    for below in BELOW {
        let truth = truth(&engine, &queries, below)?;
        npy::write_i64(&folder.path().join(format!("truth-{below}.npy")), &truth)?;
        let ours = search(&engine, &queries, below, &truth)?;
        searches.push(search_row("moiety", below, &ours, &ours)?);
        for name in PEERS {
            let theirs = peers.ask(&json!({ "search": name, "below": below }))?;
            searches.push(search_row(name, below, &theirs, &ours)?);
        }
    }
    let header = ["search", "passing", "p50, ms", "moiety's speed", "recall@10"];
    println!("{}\n", table(&header, &searches));

    drop(engine);
    let program = std::env::current_exe()?;
    let exact_below = args.exact_below.to_string();
    let child = Command::new(program)
        .arg("--open")
        .arg(folder.path())
        .args(["--exact-below", &exact_below])
        .output()?;
    let ours: Value = serde_json::from_slice(&child.stdout)
        .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(&child.stderr)))?;
    let mut opens = vec![open_row("moiety", &ours, &ours, count)?];
    for name in PEERS {
        opens.push(open_row(name, &peers.ask(&json!({ "open": name }))?, &ours, count)?);
    }
    let header = ["open", "first answer, ms", "moiety's speed", "memory a vector, bytes"];
    println!("{}", table(&header, &opens));
    Ok(())
}

/// The number that goes with a vector, which has nothing to do with it.
fn share(vector: u64) -> i64 {
    (vector.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1_000) as i64
}

fn open(folder: &Path, encoder: Arc<Given>, exact_below: usize) -> Result<Engine> {
    let options = EngineOptions { exact_below, start: Start::AtOnce, ..EngineOptions::default() };
    Ok(Engine::open(&folder.join("moiety"), encoder, options)?)
}

fn import(folder: &Path, vectors: Rows, exact_below: usize) -> Result<(Engine, Value)> {
    let count = vectors.len();
    let engine = open(folder, Given::new(vectors[0].len(), vectors), exact_below)?;
    let index = IndexSpec { field: "share".into(), field_type: FieldType::Integer };
    let config = CollectionConfig { indexes: vec![index], ..CollectionConfig::named(NAME) };
    engine.create_collection(config)?;
    let record = |number: usize| Record {
        id: number.to_string(),
        text: Some(number.to_string()),
        payload: json!({ "share": share(number as u64) }).as_object().cloned().unwrap_or_default(),
        ..Record::default()
    };
    let begin = Instant::now();
    for start in (0..count).step_by(BATCH) {
        let records = (start..count.min(start + BATCH)).map(record).collect();
        for outcome in engine.upsert(NAME, records)? {
            outcome?;
        }
    }
    let stored_s = begin.elapsed().as_secs_f64();
    // Fewer than a step of what came last stay beside the graph.
    let linked = || engine.stats(NAME).map(|stats| stats.texts.linked as usize);
    while count >= exact_below && linked()? + 1_024 <= count {
        thread::sleep(Duration::from_millis(20));
    }
    let indexed_s = begin.elapsed().as_secs_f64();
    engine.flush()?;
    let bytes = bytes_below(&folder.join("moiety"))?;
    Ok((engine, json!({ "stored_s": stored_s, "indexed_s": indexed_s, "bytes": bytes })))
}

fn bytes_below(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let (entry, path) = entry.map(|entry| (entry.metadata(), entry.path()))?;
        let entry = entry?;
        bytes += if entry.is_dir() { bytes_below(&path)? } else { entry.len() };
    }
    Ok(bytes)
}

fn request(query: &[f32], below: i64) -> Result<SearchRequest> {
    let all = below == BELOW[BELOW.len() - 1];
    let filter = if all { None } else { Some(Filter::parse(&format!("share < {below}"))?) };
    let query = Query::Vector(query.to_vec());
    Ok(SearchRequest { filter, ..SearchRequest::new(query, Side::Text, K) })
}

fn numbers(response: &SearchResponse) -> Result<Vec<i64>> {
    response.hits.iter().map(|hit| Ok(hit.record.id.parse()?)).collect()
}

fn truth(engine: &Engine, queries: &[Vec<f32>], below: i64) -> Result<Vec<Vec<i64>>> {
    let exact = |query: &Vec<f32>| {
        let request = SearchRequest { accuracy: Accuracy::Exact, ..request(query, below)? };
        numbers(&engine.search(NAME, &request)?)
    };
    queries.iter().map(exact).collect()
}

fn search(engine: &Engine, queries: &[Vec<f32>], below: i64, truth: &[Vec<i64>]) -> Result<Value> {
    let (mut times, mut hits, mut due) = (Vec::new(), 0, 0);
    for (query, truth) in queries.iter().zip(truth) {
        let begin = Instant::now();
        let response = engine.search(NAME, &request(query, below)?)?;
        times.push(begin.elapsed());
        let truth: HashSet<&i64> = truth.iter().collect();
        hits += numbers(&response)?.iter().filter(|number| truth.contains(number)).count();
        due += truth.len();
    }
    let ms = quantile(&times, 0.5).as_secs_f64() * 1e3;
    Ok(json!({ "ms": ms, "recall": hits as f64 / due as f64 }))
}

/// Bytes of memory that are this process's own, files it has mapped left out.
fn resident() -> Result<i64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("RssAnon")).ok_or("no RssAnon")?;
    let kibibytes = line.split_whitespace().nth(1).ok_or("no number")?;
    Ok(kibibytes.parse::<i64>()? * 1024)
}

/// Opens what is there, and says how long that took and what it holds in the end.
fn opened(folder: &Path, exact_below: usize) -> Result<Value> {
    let queries = npy::read_f32(&folder.join("queries.npy"))?;
    let (before, begin) = (resident()?, Instant::now());
    let engine = open(folder, Given::new(queries[0].len(), Vec::new()), exact_below)?;
    let all = BELOW[BELOW.len() - 1];
    engine.search(NAME, &request(&queries[0], all)?)?;
    let ms = begin.elapsed().as_secs_f64() * 1e3;
    while engine.readiness(NAME)? != Readiness::Ready {
        thread::sleep(Duration::from_millis(5));
    }
    for query in &queries {
        engine.search(NAME, &request(query, all)?)?;
    }
    Ok(json!({ "ms": ms, "bytes": resident()? - before }))
}

fn import_row(name: &str, measured: &Value, ours: &Value, count: f64) -> Result<Vec<String>> {
    let (stored, indexed) = (number(measured, "stored_s")?, number(measured, "indexed_s")?);
    Ok(vec![
        name.into(),
        format!("{:.0}", count / stored),
        format!("{:.0}", count / indexed),
        format!("{:.2}×", indexed / number(ours, "indexed_s")?),
        format!("{:.0}", number(measured, "bytes")? / count),
    ])
}

fn search_row(name: &str, below: i64, measured: &Value, ours: &Value) -> Result<Vec<String>> {
    let ms = number(measured, "ms")?;
    Ok(vec![
        name.into(),
        format!("{}%", below as f64 / 10.0),
        format!("{ms:.2}"),
        format!("{:.2}×", ms / number(ours, "ms")?),
        format!("{:.4}", number(measured, "recall")?),
    ])
}

fn open_row(name: &str, measured: &Value, ours: &Value, count: f64) -> Result<Vec<String>> {
    let ms = number(measured, "ms")?;
    Ok(vec![
        name.into(),
        format!("{ms:.0}"),
        format!("{:.2}×", ms / number(ours, "ms")?),
        format!("{:.0}", number(measured, "bytes")? / count),
    ])
}

fn number(answer: &Value, name: &str) -> Result<f64> {
    answer[name].as_f64().ok_or_else(|| format!("no {name} in {answer}").into())
}
