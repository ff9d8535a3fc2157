//! Recall and speed of the graph, and speed of exact search, beside hnswlib, usearch and faiss over the same vectors, in
//! one run and in turns. `benches/README.md` has the command.

#![allow(clippy::print_stdout, reason = "it prints tables")]

use std::{
    collections::HashSet,
    error::Error,
    path::{Path, PathBuf},
    time::Instant,
};

use clap::{Parser, ValueEnum};
use moiety_benches::{curve::Curve, npy, peers::Session, table::table, vectors::Clusters};
use moiety_index::{Builder, GoOn, HnswConfig, HnswIndex, Metric, SearchParams};
use rayon::{ThreadPool, ThreadPoolBuilder, prelude::*};
use serde_json::{Value, json};

const K: usize = 10;
/// Recalls at which speeds are compared.
const RECALLS: [f64; 3] = [0.90, 0.95, 0.99];
/// Peers with a width, and the one that compares everything.
const PEERS: [&str; 3] = ["hnswlib", "usearch", "faiss"];
const FLAT_PEER: &str = "faiss flat";

/// Compares the index with hnswlib, usearch and faiss.
#[derive(Parser)]
struct Args {
    /// Made-up vectors in the index
    #[arg(long, default_value_t = 20_000)]
    count: usize,
    /// Vectors of a file instead: rows of float32 (.npy)
    #[arg(long)]
    vectors: Option<PathBuf>,
    /// Queries of a file; without it the last vectors are taken out and asked for
    #[arg(long)]
    query_vectors: Option<PathBuf>,
    /// Queries; the recall is theirs together
    #[arg(long, default_value_t = 1_000)]
    queries: usize,
    /// Length of a made-up vector
    #[arg(long, default_value_t = 256)]
    dim: usize,
    /// Links per point
    #[arg(long, default_value_t = 16)]
    m: usize,
    /// Width of the search when a point is linked
    #[arg(long, default_value_t = 100)]
    ef_construction: usize,
    /// Widths of the search
    #[arg(long, value_delimiter = ',', default_values_t = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 400])]
    ef: Vec<usize>,
    /// Threads that search
    #[arg(long, value_delimiter = ',', default_values_t = [1])]
    threads: Vec<usize>,
    /// Threads that build
    #[arg(long, default_value_t = 1)]
    build_threads: usize,
    /// Each search is timed so often, in turns with the peers, and the best counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// What makes our graph
    #[arg(long, value_enum, default_value_t = Maker::Batches)]
    builder: Maker,
    /// Leave the peers out
    #[arg(long)]
    alone: bool,
    #[arg(long, default_value_t = 11)]
    seed: u64,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Maker {
    Batches,
    HnswRs,
}

/// One row of results: a name, and recall and best seconds at each width.
struct Row {
    name: String,
    points: Vec<(f64, f64)>,
}

struct Bench {
    args: Args,
    vectors: Vec<Vec<f32>>,
    queries: Vec<Vec<f32>>,
    truth: Vec<Vec<i64>>,
    index: HnswIndex,
    build_s: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let (vectors, queries) = data(&args)?;
    let (index, build_s) = build(&args, &vectors)?;
    let exact = SearchParams { k: K, ef: K, exact: true, accept: None, go_on: GoOn::ALWAYS };
    let all = ThreadPoolBuilder::new().build()?;
    let truth = ids(&run(&index, &queries, exact, &all)?.1);
    let bench = Bench { args, vectors, queries, truth, index, build_s };
    bench.print_title();
    let folder = tempfile::tempdir()?;
    let mut peers = match bench.start_peers(folder.path()) {
        Ok(peers) => peers,
        Err(error) => {
            println!("{error}\n");
            None
        }
    };
    bench.builds(peers.as_mut())?;
    for &threads in &bench.args.threads {
        println!("\n## {threads} thread(s)\n");
        let rows = bench.curves(peers.as_mut(), threads)?;
        bench.print_at_equal_width(&rows);
        bench.print_at_equal_recall(&rows);
        bench.flat(peers.as_mut(), threads)?;
    }
    Ok(())
}

type Rows = Vec<Vec<f32>>;

/// Vectors and queries.
fn data(args: &Args) -> Result<(Rows, Rows), Box<dyn Error>> {
    let Some(file) = &args.vectors else {
        let mut source = Clusters::new(args.seed, args.dim, (args.count / 100).max(1));
        return Ok((source.vectors(args.count), source.vectors(args.queries)));
    };
    let mut vectors = npy::read_f32(file)?;
    let mut queries = match &args.query_vectors {
        Some(file) => npy::read_f32(file)?,
        None => vectors.split_off(vectors.len().saturating_sub(args.queries)),
    };
    queries.truncate(args.queries);
    Ok((vectors, queries))
}

fn build(args: &Args, vectors: &[Vec<f32>]) -> Result<(HnswIndex, f64), Box<dyn Error>> {
    let dim = vectors.first().ok_or("there are no vectors")?.len();
    let config = HnswConfig {
        m: args.m,
        ef_construction: args.ef_construction,
        // One graph of everything.
        exact_below: vectors.len(),
        builder: if args.builder == Maker::HnswRs { Builder::HnswRs } else { Builder::Batches },
        threads: args.build_threads,
        ..HnswConfig::new(Metric::Cosine, dim)
    };
    let index = HnswIndex::new(config)?;
    let begin = Instant::now();
    for (id, vector) in vectors.iter().enumerate() {
        index.insert(id as u64, vector)?;
    }
    index.finish_graph();
    Ok((index, begin.elapsed().as_secs_f64()))
}

type Answers = Vec<Vec<moiety_index::Neighbor>>;

/// Seconds, and what was found.
fn run(
    index: &HnswIndex,
    queries: &[Vec<f32>],
    params: SearchParams<'static>,
    pool: &ThreadPool,
) -> Result<(f64, Answers), Box<dyn Error>> {
    let search = |query: &Vec<f32>| Ok(index.search(query, params)?.neighbors);
    let begin = Instant::now();
    let found: Result<Answers, moiety_index::IndexError> =
        pool.install(|| queries.par_iter().map(search).collect());
    Ok((begin.elapsed().as_secs_f64(), found?))
}

fn ids(found: &Answers) -> Vec<Vec<i64>> {
    found.iter().map(|row| row.iter().map(|neighbor| neighbor.id as i64).collect()).collect()
}

impl Bench {
    fn start_peers(&self, folder: &Path) -> Result<Option<Session>, Box<dyn Error>> {
        if self.args.alone {
            return Ok(None);
        }
        npy::write_f32(&folder.join("vectors.npy"), &self.vectors)?;
        npy::write_f32(&folder.join("queries.npy"), &self.queries)?;
        npy::write_i64(&folder.join("truth.npy"), &self.truth)?;
        let (m, construction) = (self.args.m.to_string(), self.args.ef_construction.to_string());
        let options = ["--m", &m, "--ef-construction", &construction];
        let mut arguments = vec![folder.as_os_str()];
        arguments.extend(options.map(std::ffi::OsStr::new));
        Ok(Some(Session::start("index_peers.py", &arguments)?))
    }

    fn builds(&self, peers: Option<&mut Session>) -> Result<(), Box<dyn Error>> {
        let row = |name: &str, seconds: f64, bytes: f64| {
            vec![
                name.into(),
                format!("{seconds:.1}"),
                format!("{:.2}×", seconds / self.build_s),
                format!("{:.0}", bytes / self.vectors.len() as f64),
            ]
        };
        let mut lines = vec![row("moiety", self.build_s, self.index.memory_bytes() as f64)];
        if let Some(peers) = peers {
            for name in PEERS.into_iter().chain([FLAT_PEER]) {
                let request = json!({ "build": name, "threads": self.args.build_threads });
                let answer = peers.ask(&request)?;
                let version = answer["version"].as_str().unwrap_or_default();
                let (seconds, bytes) = (number(&answer, "seconds")?, number(&answer, "bytes")?);
                lines.push(row(&format!("{name} {version}"), seconds, bytes));
            }
        }
        println!("{}", table(&["index", "build s", "moiety's speed", "bytes a vector"], &lines));
        Ok(())
    }

    /// Ours and theirs in turns, width after width.
    fn curves(
        &self,
        mut peers: Option<&mut Session>,
        threads: usize,
    ) -> Result<Vec<Row>, Box<dyn Error>> {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build()?;
        let names = ["moiety"].into_iter().chain(PEERS.into_iter().filter(|_| peers.is_some()));
        let mut rows: Vec<Row> =
            names.map(|name| Row { name: name.into(), points: Vec::new() }).collect();
        for &ef in &self.args.ef {
            let mut best = vec![(0.0, f64::INFINITY); rows.len()];
            for _ in 0..self.args.rounds {
                for (row, best) in rows.iter().zip(&mut best) {
                    let (recall, seconds) = match peers.as_mut() {
                        Some(peers) if row.name != "moiety" => {
                            let request =
                                json!({ "search": row.name, "ef": ef, "threads": threads });
                            let answer = peers.ask(&request)?;
                            (number(&answer, "recall")?, number(&answer, "seconds")?)
                        }
                        _ => self.ours(ef, &pool)?,
                    };
                    *best = (recall, best.1.min(seconds));
                }
            }
            rows.iter_mut().zip(best).for_each(|(row, best)| row.points.push(best));
        }
        Ok(rows)
    }

    fn ours(&self, ef: usize, pool: &ThreadPool) -> Result<(f64, f64), Box<dyn Error>> {
        let params = SearchParams { k: K, ef, exact: false, accept: None, go_on: GoOn::ALWAYS };
        let (seconds, found) = run(&self.index, &self.queries, params, pool)?;
        let same = |(found, truth): (&Vec<moiety_index::Neighbor>, &Vec<i64>)| {
            let truth: HashSet<i64> = truth.iter().copied().collect();
            found.iter().filter(|neighbor| truth.contains(&(neighbor.id as i64))).count()
        };
        let hits: usize = found.iter().zip(&self.truth).map(same).sum();
        Ok((hits as f64 / (self.queries.len() * K) as f64, seconds))
    }

    fn print_title(&self) {
        println!(
            "{} vectors of {} numbers, {} queries, k {K}, M {}, ef_construction {}, {} thread(s) build, seed {}\n",
            self.vectors.len(),
            self.vectors[0].len(),
            self.queries.len(),
            self.args.m,
            self.args.ef_construction,
            self.args.build_threads,
            self.args.seed
        );
    }

    /// Ratios say how many times as fast as the row's index we are.
    fn print_at_equal_width(&self, rows: &[Row]) {
        let mut lines = Vec::new();
        for (at, ef) in self.args.ef.iter().enumerate() {
            for row in rows {
                let (recall, seconds) = row.points[at];
                lines.push(vec![
                    row.name.clone(),
                    ef.to_string(),
                    format!("{recall:.4}"),
                    format!("{:.0}", self.queries.len() as f64 / seconds),
                    format!("{:.2}×", seconds / rows[0].points[at].1),
                ]);
            }
        }
        println!(
            "{}\n",
            table(&["index", "ef", "recall@10", "queries/s", "moiety's speed"], &lines)
        );
    }

    fn print_at_equal_recall(&self, rows: &[Row]) {
        let speed = |row: &Row, recall: f64| {
            let points = row.points.iter();
            let points = points.map(|&(recall, s)| (recall, self.queries.len() as f64 / s));
            Curve::new(points.collect()).speed_at(recall)
        };
        let mut lines = Vec::new();
        for recall in RECALLS {
            let ours = speed(&rows[0], recall);
            for row in rows {
                let theirs = speed(row, recall);
                let ratio = ours.zip(theirs).map(|(ours, theirs)| format!("{:.2}×", ours / theirs));
                lines.push(vec![
                    row.name.clone(),
                    format!("{recall:.2}"),
                    theirs.map_or("beyond the widths".into(), |speed| format!("{speed:.0}")),
                    ratio.unwrap_or_else(|| "-".into()),
                ]);
            }
        }
        println!("{}\n", table(&["index", "at recall@10", "queries/s", "moiety's speed"], &lines));
    }

    /// Exact search, ours and theirs in turns.
    fn flat(&self, mut peers: Option<&mut Session>, threads: usize) -> Result<(), Box<dyn Error>> {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build()?;
        let exact = SearchParams { k: K, ef: K, exact: true, accept: None, go_on: GoOn::ALWAYS };
        let (mut ours, mut at_once, mut theirs) = (f64::INFINITY, f64::INFINITY, f64::INFINITY);
        for _ in 0..self.args.rounds {
            ours = ours.min(run(&self.index, &self.queries, exact, &pool)?.0);
            let begin = Instant::now();
            let found = pool.install(|| self.index.search_exact_many(&self.queries, K))?;
            at_once = at_once.min(begin.elapsed().as_secs_f64());
            assert!(ids(&found) == self.truth, "exact search is exact");
            if let Some(peers) = peers.as_mut() {
                let answer =
                    peers.ask(&json!({ "search": FLAT_PEER, "ef": 0, "threads": threads }))?;
                theirs = theirs.min(number(&answer, "seconds")?);
            }
        }
        let row = |name: &str, seconds: f64| {
            let speed = self.queries.len() as f64 / seconds;
            vec![name.into(), format!("{speed:.0}"), format!("{:.2}×", seconds / at_once)]
        };
        let mut lines =
            vec![row("moiety, all queries at once", at_once), row("moiety, one by one", ours)];
        lines.extend(theirs.is_finite().then(|| row(FLAT_PEER, theirs)));
        println!("{}", table(&["exact search", "queries/s", "moiety's speed"], &lines));
        Ok(())
    }
}

fn number(answer: &Value, name: &str) -> Result<f64, Box<dyn Error>> {
    answer[name].as_f64().ok_or_else(|| format!("no {name} in {answer}").into())
}
