//! Filtered search over many molecules: recall, plan and time at several selectivities, with an index on the field and
//! without, beside the same search without a filter. `benches/README.md` has the command.

#![allow(clippy::print_stdout, reason = "it prints a table")]

use std::{
    collections::HashSet,
    error::Error,
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::Parser;
use moiety_benches::{
    corpus::{encoder, lines},
    table::{quantile, table},
};
use moiety_chem::Structure;
use moiety_engine::{
    Accuracy, CollectionConfig, Durability, Engine, EngineOptions, FieldType, Filter, IndexSpec,
    Query, Record, SearchRequest, SearchResponse, Side, Strategy,
};
use serde_json::json;

const COLLECTION: &str = "filters";
const K: usize = 10;
const POLL: Duration = Duration::from_millis(200);

/// Imports SMILES and measures filtered text queries over them.
#[derive(Parser)]
struct Args {
    /// Lines of `SMILES<tab>source`, gzip or not
    molecules: PathBuf,
    /// Lines of `cid<tab>smiles<tab>description` after a header, gzip or not: the descriptions are the queries
    queries: PathBuf,
    /// Most molecules
    #[arg(long, default_value_t = 100_000)]
    records: usize,
    /// Most queries
    #[arg(long, default_value_t = 200)]
    limit: usize,
    /// Use the graph from so many vectors on
    #[arg(long, default_value_t = EngineOptions::default().exact_below)]
    exact_below: usize,
    /// Where to keep the data [default: a temporary directory]
    #[arg(long)]
    data: Option<PathBuf>,
}

/// Filters by name; `share` is a number from 0 to 999 that has nothing to do with the molecule, and so is `plain`.
const FILTERS: [&str; 12] = [
    "share < 1",
    "share < 10",
    "share < 100",
    "share < 500",
    "plain < 1",
    "plain < 10",
    "plain < 100",
    "plain < 500",
    "mw < 200",
    "smarts(\"C(=O)[OX2H1]\")",
    "smarts(\"[#16X4](=[OX1])(=[OX1])([#6])[NX3]\") and share < 500",
    "similar(\"CC(=O)Oc1ccccc1C(=O)O\", 0.4)",
];

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let temporary = tempfile::tempdir()?;
    let data = args.data.clone().unwrap_or_else(|| temporary.path().to_path_buf());
    let options = EngineOptions { exact_below: args.exact_below, ..EngineOptions::default() };
    let engine = Engine::open(&data, encoder(0)?, options)?;
    println!("model {}", engine.encoder().info().name);
    if engine.list_collections().iter().all(|info| info.config.name != COLLECTION) {
        import(&engine, &args)?;
    }
    // Of an index the planner estimates what is on the disk.
    engine.flush()?;
    wait_for_graph(&engine, args.exact_below)?;
    let vectors = queries(&engine, &args)?;
    let open = vectors.iter().map(|vector| timed(&engine, vector, None).map(|timed| timed.1));
    let open: Vec<Duration> = open.collect::<Result<_, _>>()?;
    let unfiltered = quantile(&open, 0.5);
    let rows: Result<Vec<_>, _> =
        FILTERS.iter().map(|text| row(&engine, &vectors, text, unfiltered)).collect();
    let records = engine.stats(COLLECTION)?.records;
    println!("{records} molecules, {} queries, {K} hits\n", vectors.len());
    let header =
        ["filter", "passes", "recall@10", "fewer than due", "plan", "p50 × unfiltered", "tested"];
    println!("{}", table(&header, &rows?));
    Ok(())
}

/// One filter over all queries, each search beside an exact one.
fn row(
    engine: &Engine,
    vectors: &[Vec<f32>],
    text: &str,
    unfiltered: Duration,
) -> Result<Vec<String>, Box<dyn Error>> {
    let filter = Filter::parse(text)?;
    let passing = engine.count(COLLECTION, Some(&filter))?;
    let share = passing as f64 / engine.stats(COLLECTION)?.records.max(1) as f64;
    let (mut same, mut due, mut short, mut tested) = (0, 0, 0, 0);
    let (mut times, mut plans) = (Vec::new(), Vec::<String>::new());
    for vector in vectors {
        let request = request(vector, Some(&filter));
        let exact = SearchRequest { accuracy: Accuracy::Exact, ..request };
        let truth = engine.search(COLLECTION, &exact)?;
        let (found, time) = timed(engine, vector, Some(&filter))?;
        times.push(time);
        let wanted: HashSet<&str> = ids(&truth).collect();
        same += ids(&found).filter(|id| wanted.contains(id)).count();
        due += wanted.len();
        short += usize::from(found.hits.len() < truth.hits.len());
        if let Some(plan) = &found.filter {
            tested += plan.tested;
            let name = match plan.strategy {
                Strategy::Among => "among".to_owned(),
                Strategy::Scan => "scan".to_owned(),
                Strategy::Graph { ef } => format!("graph, ef {ef}"),
                Strategy::OverFetch { ef } => format!("over-fetch, ef {ef}"),
                Strategy::List => "list".to_owned(),
            };
            if !plans.contains(&name) {
                plans.push(name);
            }
        }
    }
    Ok(vec![
        format!("`{text}`"),
        format!("{:.2}%", share * 100.0),
        format!("{:.3}", same as f64 / due.max(1) as f64),
        short.to_string(),
        plans.join("; "),
        format!("{:.1}×", quantile(&times, 0.5).as_secs_f64() / unfiltered.as_secs_f64()),
        (tested / vectors.len().max(1) as u64).to_string(),
    ])
}

fn request(vector: &[f32], filter: Option<&Filter>) -> SearchRequest {
    let filter = filter.cloned();
    SearchRequest {
        filter,
        ..SearchRequest::new(Query::Vector(vector.to_vec()), Side::Molecule, K)
    }
}

fn timed(
    engine: &Engine,
    vector: &[f32],
    filter: Option<&Filter>,
) -> Result<(SearchResponse, Duration), Box<dyn Error>> {
    let request = request(vector, filter);
    let begin = Instant::now();
    let response = engine.search(COLLECTION, &request)?;
    Ok((response, begin.elapsed()))
}

fn ids(response: &SearchResponse) -> impl Iterator<Item = &str> {
    response.hits.iter().map(|hit| hit.record.id.as_str())
}

fn import(engine: &Engine, args: &Args) -> Result<(), Box<dyn Error>> {
    let index = |field: &str, field_type| IndexSpec { field: field.into(), field_type };
    let config = CollectionConfig {
        durability: Durability::Wal,
        indexes: vec![
            index("share", FieldType::Integer),
            index("mol.molecular_weight", FieldType::Float),
        ],
        ..CollectionConfig::named(COLLECTION)
    };
    engine.create_collection(config)?;
    let mut batch = Vec::new();
    for (line, text) in lines(&args.molecules)?.take(args.records).enumerate() {
        let smiles = text?.split('\t').next().unwrap_or_default().to_owned();
        let share = (line as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1_000;
        let payload = json!({"share": share, "plain": share});
        batch.push(Record {
            id: format!("line-{}", line + 1),
            molecule: Some(Structure::Smiles(smiles)),
            text: None,
            payload: payload.as_object().cloned().unwrap_or_default(),
        });
        if batch.len() == 1_000 {
            engine.upsert(COLLECTION, std::mem::take(&mut batch))?;
        }
    }
    engine.upsert(COLLECTION, batch)?;
    Ok(())
}

/// The graph is built in the background; a fair search waits for it. What came late is compared one by one.
fn wait_for_graph(engine: &Engine, exact_below: usize) -> Result<(), Box<dyn Error>> {
    loop {
        let side = engine.stats(COLLECTION)?.molecules;
        let all = side.vectors + side.tombstones;
        if side.linked + side.linked / 16 + 4_096 >= all || all < exact_below as u64 {
            return Ok(());
        }
        std::thread::sleep(POLL);
    }
}

/// The vectors of the descriptions, so that encoding is not in the times.
fn queries(engine: &Engine, args: &Args) -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
    let mut vectors = Vec::new();
    for line in lines(&args.queries)?.skip(1).take(args.limit) {
        let line = line?;
        let text = line.split('\t').nth(2).ok_or_else(|| format!("no third column: {line}"))?;
        let encodings = engine.encoder().encode_texts(&[text])?;
        vectors.extend(encodings.into_iter().map(|encoding| encoding.global));
    }
    Ok(vectors)
}
