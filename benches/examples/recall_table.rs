//! Recall and speed of the graph beside hnswlib and usearch, over the same vectors with the same M and ef, on one thread
//! each, in one run. `benches/README.md` has the command.

#![allow(clippy::print_stdout, reason = "it prints a table")]

use std::{
    collections::HashSet,
    error::Error,
    ffi::OsStr,
    path::Path,
    time::{Duration, Instant},
};

use clap::Parser;
use moiety_benches::{npy, peers, table::table, vectors::Clusters};
use moiety_index::{HnswConfig, HnswIndex, Metric, SearchParams};
use serde_json::Value;

const K: usize = 10;
const RUNS: usize = 3;

/// Compares the graph with hnswlib and usearch.
#[derive(Parser)]
struct Args {
    /// Vectors in the index
    #[arg(long, default_value_t = 20_000)]
    vectors: usize,
    /// Queries; the recall is theirs together
    #[arg(long, default_value_t = 1_000)]
    queries: usize,
    /// Length of a vector
    #[arg(long, default_value_t = 256)]
    dim: usize,
    /// Links per point
    #[arg(long, default_value_t = 16)]
    m: usize,
    /// Width of the search when a point is linked
    #[arg(long, default_value_t = 100)]
    ef_construction: usize,
    /// Widths of the search
    #[arg(long, value_delimiter = ',', default_values_t = [32, 64, 128, 256])]
    ef: Vec<usize>,
    #[arg(long, default_value_t = 11)]
    seed: u64,
}

/// One index, built and searched.
struct Measured {
    name: String,
    build_s: f64,
    /// Width, recall and queries a second.
    searches: Vec<(usize, f64, f64)>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let mut source = Clusters::new(args.seed, args.dim, (args.vectors / 100).max(1));
    let (vectors, queries) = (source.vectors(args.vectors), source.vectors(args.queries));
    let (index, build_s) = build(&args, &vectors)?;
    let truth = truth(&index, &queries)?;
    let mut searches = Vec::new();
    for &ef in &args.ef {
        searches.push(search(&index, &queries, &truth, ef)?);
    }
    let mut rows = vec![Measured { name: "moiety".into(), build_s, searches }];
    match peers(&args, &vectors, &queries, &truth) {
        Ok(peers) => rows.extend(peers),
        Err(error) => println!("{error}\n"),
    }
    println!(
        "{} vectors of {} numbers, {} queries, k {K}, M {}, ef_construction {}, one thread, seed {}\n",
        args.vectors, args.dim, args.queries, args.m, args.ef_construction, args.seed
    );
    print(&rows);
    Ok(())
}

/// Builds on the one thread that links, and waits for it.
fn build(args: &Args, vectors: &[Vec<f32>]) -> Result<(HnswIndex, f64), Box<dyn Error>> {
    let config = HnswConfig {
        m: args.m,
        ef_construction: args.ef_construction,
        exact_below: 1,
        ..HnswConfig::new(Metric::Cosine, args.dim)
    };
    let index = HnswIndex::new(config)?;
    let begin = Instant::now();
    for (id, vector) in vectors.iter().enumerate() {
        index.insert(id as u64, vector)?;
    }
    index.finish_graph();
    Ok((index, begin.elapsed().as_secs_f64()))
}

/// The true neighbors of each query.
fn truth(index: &HnswIndex, queries: &[Vec<f32>]) -> Result<Vec<Vec<i64>>, Box<dyn Error>> {
    let nearest = |query: &Vec<f32>| {
        let params = SearchParams { k: K, ef: K, exact: true, accept: None };
        let found = index.search(query, params)?.neighbors;
        Ok(found.iter().map(|neighbor| neighbor.id as i64).collect())
    };
    queries.iter().map(nearest).collect()
}

/// Recall, and the best speed of some runs.
fn search(
    index: &HnswIndex,
    queries: &[Vec<f32>],
    truth: &[Vec<i64>],
    ef: usize,
) -> Result<(usize, f64, f64), Box<dyn Error>> {
    let params = SearchParams { k: K, ef, exact: false, accept: None };
    let (mut best, mut hits) = (Duration::MAX, 0);
    for _ in 0..RUNS {
        let begin = Instant::now();
        let mut found = Vec::with_capacity(queries.len());
        for query in queries {
            found.push(index.search(query, params)?.neighbors);
        }
        best = best.min(begin.elapsed());
        let same = |(found, truth): (&Vec<moiety_index::Neighbor>, &Vec<i64>)| {
            let truth: HashSet<i64> = truth.iter().copied().collect();
            found.iter().filter(|neighbor| truth.contains(&(neighbor.id as i64))).count()
        };
        hits = found.iter().zip(truth).map(same).sum();
    }
    let recall = hits as f64 / (queries.len() * K) as f64;
    Ok((ef, recall, queries.len() as f64 / best.as_secs_f64()))
}

fn peers(
    args: &Args,
    vectors: &[Vec<f32>],
    queries: &[Vec<f32>],
    truth: &[Vec<i64>],
) -> Result<Vec<Measured>, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name);
    npy::write_f32(&file("vectors.npy"), vectors)?;
    npy::write_f32(&file("queries.npy"), queries)?;
    npy::write_i64(&file("truth.npy"), truth)?;
    let ef: Vec<String> = args.ef.iter().map(usize::to_string).collect();
    let (m, construction, ef) =
        (args.m.to_string(), args.ef_construction.to_string(), ef.join(","));
    let options = ["--m", &m, "--ef-construction", &construction, "--ef", &ef];
    let mut arguments = vec![Path::new(folder.path()).as_os_str()];
    arguments.extend(options.map(OsStr::new));
    let rows = peers::measure("index_peers.py", &arguments)?;
    rows.as_array()
        .into_iter()
        .flatten()
        .map(|row| read(row).ok_or_else(|| format!("not a row: {row}").into()))
        .collect()
}

fn read(row: &Value) -> Option<Measured> {
    let search = |search: &Value| {
        let ef = search["ef"].as_u64()? as usize;
        Some((ef, search["recall"].as_f64()?, search["queries_per_s"].as_f64()?))
    };
    Some(Measured {
        name: format!("{} {}", row["name"].as_str()?, row["version"].as_str()?),
        build_s: row["build_s"].as_f64()?,
        searches: row["searches"].as_array()?.iter().map(search).collect::<Option<_>>()?,
    })
}

/// The first row is ours; ratios say how many times as fast as the row's index we are.
fn print(rows: &[Measured]) {
    let ours = &rows[0];
    let build = |row: &Measured| {
        vec![
            row.name.clone(),
            format!("{:.1}", row.build_s),
            format!("{:.2}×", row.build_s / ours.build_s),
        ]
    };
    println!(
        "{}\n",
        table(&["index", "build s", "moiety's speed"], &rows.iter().map(build).collect::<Vec<_>>())
    );
    let mut lines = Vec::new();
    for (at, (ef, _, our_speed)) in ours.searches.iter().enumerate() {
        for row in rows {
            let (_, recall, speed) = row.searches[at];
            lines.push(vec![
                row.name.clone(),
                ef.to_string(),
                format!("{recall:.4}"),
                format!("{speed:.0}"),
                format!("{:.2}×", our_speed / speed),
            ]);
        }
    }
    println!("{}", table(&["index", "ef", "recall@10", "queries/s", "moiety's speed"], &lines));
}
