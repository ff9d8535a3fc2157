//! Import of many SMILES into an engine, then queries in words, with the time of every stage. `benches/README.md` has the
//! command.

#![allow(clippy::print_stdout, reason = "it prints tables")]

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Parser;
use moiety_benches::{
    corpus::{encoder, lines},
    stages::stage_table,
    table::table,
};
use moiety_chem::Structure;
use moiety_engine::{
    Accuracy, CollectionConfig, Durability, Engine, EngineOptions, LevelWeights, Query, Record,
    Rerank, SearchRequest, SearchResponse, Side,
};
use serde_json::Map;

const COLLECTION: &str = "scale";
const POLL: Duration = Duration::from_millis(200);

/// Imports SMILES and measures text queries over them.
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
    #[arg(long, default_value_t = 500)]
    limit: usize,
    /// Records per write
    #[arg(long, default_value_t = 1_000)]
    batch: usize,
    /// Where to keep the data [default: a temporary directory]
    #[arg(long)]
    data: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let temporary = tempfile::tempdir()?;
    let data = args.data.clone().unwrap_or_else(|| temporary.path().to_path_buf());
    let begin = Instant::now();
    let engine = Engine::open(&data, encoder(0)?, EngineOptions::default())?;
    println!(
        "model {}; opened in {:.1} s",
        engine.encoder().info().name,
        begin.elapsed().as_secs_f64()
    );
    if engine.list_collections().iter().all(|info| info.config.name != COLLECTION) {
        import(&engine, &args)?;
    }
    wait_for_graph(&engine)?;
    let stats = engine.stats(COLLECTION)?;
    println!(
        "{} records, {:.0} MiB on disk, {:.0} MiB resident\n",
        stats.records,
        stats.disk_bytes as f64 / f64::from(1 << 20),
        resident_mib(),
    );
    let queries = queries(&args)?;
    let exact = searches(&engine, &queries, Accuracy::Exact, None)?;
    let weights = LevelWeights { global: 1.0, fragment: 0.5, token: 0.5 };
    let rerank = Some(Rerank { candidates: 100, weights });
    for (name, rerank) in
        [("global vector alone", None), ("100 candidates reranked by levels", rerank)]
    {
        let answers = searches(&engine, &queries, Accuracy::Auto, rerank)?;
        let timings: Vec<_> = answers.iter().map(|answer| answer.timings).collect();
        println!("{name}, {} queries\n\n{}\n", answers.len(), stage_table(&timings));
        if rerank.is_none() {
            println!("the same first ten as exact search: {:.4}\n", overlap(&answers, &exact));
        }
    }
    Ok(())
}

fn import(engine: &Engine, args: &Args) -> Result<(), Box<dyn Error>> {
    let config =
        CollectionConfig { durability: Durability::Wal, ..CollectionConfig::named(COLLECTION) };
    engine.create_collection(config)?;
    let begin = Instant::now();
    let (mut taken, mut refused, mut batch) = (0, 0, Vec::new());
    let mut write = |batch: &mut Vec<Record>| -> Result<(), Box<dyn Error>> {
        for outcome in engine.upsert(COLLECTION, std::mem::take(batch))? {
            if outcome.is_ok() { taken += 1 } else { refused += 1 }
        }
        if (taken + refused) % (10 * args.batch) == 0 {
            println!(
                "{} records, {:.0} a second",
                taken,
                f64::from(taken as u32) / begin.elapsed().as_secs_f64()
            );
        }
        Ok(())
    };
    for (line, text) in lines(&args.molecules)?.take(args.records).enumerate() {
        batch.push(record(line + 1, &text?));
        if batch.len() == args.batch {
            write(&mut batch)?;
        }
    }
    write(&mut batch)?;
    let seconds = begin.elapsed().as_secs_f64();
    let row = [
        taken.to_string(),
        refused.to_string(),
        format!("{seconds:.0}"),
        format!("{:.0}", taken as f64 / seconds),
    ];
    println!("\n{}\n", table(&["imported", "refused", "seconds", "records/s"], &[row.to_vec()]));
    Ok(())
}

fn record(line: usize, text: &str) -> Record {
    let smiles = text.split('\t').next().unwrap_or_default().to_owned();
    let (molecule, payload) = (Some(Structure::Smiles(smiles)), Map::new());
    Record { id: format!("line-{line}"), molecule, text: None, payload }
}

/// The graph is made in the background; a fair search waits until no more than a small part is left beside it.
fn wait_for_graph(engine: &Engine) -> Result<(), Box<dyn Error>> {
    let begin = Instant::now();
    loop {
        let side = engine.stats(COLLECTION)?.molecules;
        let all = side.vectors + side.tombstones;
        if side.linked + side.linked / 16 + 4_096 >= all
            || all < EngineOptions::default().exact_below as u64
        {
            println!("graph complete after another {:.0} s", begin.elapsed().as_secs_f64());
            return Ok(());
        }
        std::thread::sleep(POLL);
    }
}

fn queries(args: &Args) -> Result<Vec<String>, Box<dyn Error>> {
    let description = |line: Result<String, _>| -> Result<String, Box<dyn Error>> {
        let line = line?;
        Ok(line.split('\t').nth(2).ok_or_else(|| format!("no third column: {line}"))?.to_owned())
    };
    lines(&args.queries)?.skip(1).take(args.limit).map(description).collect()
}

fn searches(
    engine: &Engine,
    queries: &[String],
    accuracy: Accuracy,
    rerank: Option<Rerank>,
) -> Result<Vec<SearchResponse>, Box<dyn Error>> {
    let ask = |text: &String| {
        let plain = SearchRequest::new(Query::Text(text.clone()), Side::Molecule, 10);
        Ok(engine.search(COLLECTION, &SearchRequest { accuracy, rerank, ..plain })?)
    };
    queries.iter().map(ask).collect()
}

/// Share of the hits of exact search that the other found.
fn overlap(found: &[SearchResponse], exact: &[SearchResponse]) -> f64 {
    let ids = |answer: &SearchResponse| {
        answer.hits.iter().map(|hit| hit.record.id.clone()).collect::<Vec<_>>()
    };
    let (mut same, mut all) = (0, 0);
    for (found, exact) in found.iter().zip(exact) {
        let found = ids(found);
        let exact = ids(exact);
        same += exact.iter().filter(|id| found.contains(id)).count();
        all += exact.len();
    }
    same as f64 / all.max(1) as f64
}

/// Memory of this process, as Linux tells it; zero elsewhere.
fn resident_mib() -> f64 {
    let status = fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}
