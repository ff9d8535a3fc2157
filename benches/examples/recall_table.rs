//! Recall and speed of the graph, and speed of exact search, beside hnswlib, usearch and faiss over the same vectors, in
//! one run and in turns. `benches/README.md` has the command.

#![allow(clippy::print_stdout, reason = "it prints tables")]

use std::{
    collections::HashSet,
    error::Error,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use clap::{Parser, ValueEnum};
use hnsw_rs::prelude::{Distance, Hnsw, Neighbour};
use moiety_benches::{curve::Curve, data::Data, npy, peers::Session, table::table};
use moiety_index::{Builder, GoOn, HnswConfig, HnswIndex, Metric, SearchParams};
use rayon::{ThreadPool, ThreadPoolBuilder, prelude::*};
use serde_json::{Value, json};

const K: usize = 10;
/// Recalls at which speeds are compared.
const RECALLS: [f64; 3] = [0.90, 0.95, 0.99];
/// Peers with a width, and the one that compares everything.
const PEERS: [&str; 3] = ["hnswlib", "usearch", "faiss"];
const FLAT_PEER: &str = "faiss flat";
const OURS: &str = "moiety";
const GROWN: &str = "moiety, grown";
const LIBRARY: &str = "hnsw_rs";
/// One in so many of the vectors of a grown index came after its main graph, which takes them in when one in sixteen did.
const LATE: usize = 18;

/// Compares the index with hnswlib, usearch and faiss.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    data: Data,
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
    /// Another row: hnsw_rs, which makes our graphs where asked to (`--builder hnsw-rs`), searching its own
    #[arg(long)]
    library: bool,
    /// Another row: the same vectors, of which as many came after the graph as it ever leaves beside it
    #[arg(long)]
    grown: bool,
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
    /// Where asked for: one that has grown, and the library's.
    grown: Option<HnswIndex>,
    library: Option<(Library, f64)>,
}

/// The crate as it comes: points, each with its vector and lists of neighbors, that point to each other.
type Library = Hnsw<'static, f32, OneMinusProduct>;

/// The cosine distance of unit vectors, with what the machine has for it.
struct OneMinusProduct;

impl Distance<f32> for OneMinusProduct {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        const LANES: usize = 32;
        pulp::Arch::new().dispatch(|| {
            let (mut sums, (a, rest_a), (b, rest_b)) =
                ([0f32; LANES], a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
            for (a, b) in a.iter().zip(b) {
                for lane in 0..LANES {
                    sums[lane] = a[lane].mul_add(b[lane], sums[lane]);
                }
            }
            let rest = rest_a.iter().zip(rest_b).map(|(a, b)| a * b);
            (1.0 - sums.iter().sum::<f32>() - rest.sum::<f32>()).max(0.0)
        })
    }
}

fn build_library(args: &Args, vectors: &[Vec<f32>]) -> (Library, f64) {
    const LAYERS: usize = 16;
    let begin = Instant::now();
    let mut hnsw = Hnsw::new(args.m, vectors.len(), LAYERS, args.ef_construction, OneMinusProduct);
    vectors.iter().enumerate().for_each(|(id, vector)| hnsw.insert((&unit(vector), id)));
    hnsw.set_searching_mode(true);
    (hnsw, begin.elapsed().as_secs_f64())
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let (vectors, queries) = args.data.rows(args.data.count, args.dim)?;
    let (index, build_s) = build(&args, &vectors, 0)?;
    let exact = SearchParams { k: K, ef: K, exact: true, accept: None, go_on: GoOn::ALWAYS };
    let all = ThreadPoolBuilder::new().build()?;
    let truth = ids(&run(&index, &queries, exact, &all)?.1);
    let late = vectors.len() / LATE;
    let grown = args.grown.then(|| build(&args, &vectors, late)).transpose()?;
    let grown = grown.map(|(index, _)| index);
    let library = args.library.then(|| build_library(&args, &vectors));
    let bench = Bench { args, vectors, queries, truth, index, build_s, grown, library };
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

/// An index with one graph of all but some late vectors, and the seconds that the graph took.
fn build(
    args: &Args,
    vectors: &[Vec<f32>],
    late: usize,
) -> Result<(HnswIndex, f64), Box<dyn Error>> {
    let dim = vectors.first().ok_or("there are no vectors")?.len();
    let config = HnswConfig {
        m: args.m,
        ef_construction: args.ef_construction,
        // One graph of everything.
        exact_below: vectors.len() - late,
        builder: if args.builder == Maker::HnswRs { Builder::HnswRs } else { Builder::Batches },
        threads: args.build_threads,
        ..HnswConfig::new(Metric::Cosine, dim)
    };
    let index = HnswIndex::new(config)?;
    let (begin, mut vectors) = (Instant::now(), (0..).zip(vectors));
    for (id, vector) in vectors.by_ref().take(index.config().exact_below) {
        index.insert(id, vector)?;
    }
    index.finish_graph();
    let seconds = begin.elapsed().as_secs_f64();
    vectors.try_for_each(|(id, vector)| index.insert(id, vector))?;
    while index.len() - index.linked() >= index.config().tail {
        thread::sleep(Duration::from_millis(20));
    }
    Ok((index, seconds))
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

fn unit(vector: &[f32]) -> Vec<f32> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter().map(|x| x / length).collect()
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
        if let Some((_, seconds)) = &self.library {
            let line = row("hnsw_rs 0.3.5, one thread", *seconds, 0.0);
            // It does not say what it takes.
            lines.push(line.into_iter().take(3).chain(["-".into()]).collect());
        }
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
        let here = [
            Some(OURS),
            self.grown.is_some().then_some(GROWN),
            self.library.is_some().then_some(LIBRARY),
        ];
        let names = here.into_iter().flatten().chain(PEERS.into_iter().filter(|_| peers.is_some()));
        let mut rows: Vec<Row> =
            names.map(|name| Row { name: name.into(), points: Vec::new() }).collect();
        for &ef in &self.args.ef {
            let mut best = vec![(0.0, f64::INFINITY); rows.len()];
            for _ in 0..self.args.rounds {
                for (row, best) in rows.iter().zip(&mut best) {
                    let (recall, seconds) = match (row.name.as_str(), peers.as_mut()) {
                        (OURS, _) => self.ours(&self.index, ef, &pool)?,
                        (GROWN, _) => {
                            self.ours(self.grown.as_ref().unwrap_or(&self.index), ef, &pool)?
                        }
                        (LIBRARY, _) => self.of_library(ef, &pool),
                        (_, Some(peers)) => {
                            let request =
                                json!({ "search": row.name, "ef": ef, "threads": threads });
                            let answer = peers.ask(&request)?;
                            (number(&answer, "recall")?, number(&answer, "seconds")?)
                        }
                        _ => (0.0, f64::INFINITY),
                    };
                    *best = (recall, best.1.min(seconds));
                }
            }
            rows.iter_mut().zip(best).for_each(|(row, best)| row.points.push(best));
        }
        Ok(rows)
    }

    fn ours(
        &self,
        index: &HnswIndex,
        ef: usize,
        pool: &ThreadPool,
    ) -> Result<(f64, f64), Box<dyn Error>> {
        let params = SearchParams { k: K, ef, exact: false, accept: None, go_on: GoOn::ALWAYS };
        let (seconds, found) = run(index, &self.queries, params, pool)?;
        Ok((self.recall(&ids(&found)), seconds))
    }

    fn of_library(&self, ef: usize, pool: &ThreadPool) -> (f64, f64) {
        let Some((library, _)) = &self.library else { return (0.0, f64::INFINITY) };
        let queries: Vec<Vec<f32>> = self.queries.iter().map(|query| unit(query)).collect();
        let begin = Instant::now();
        let search = |query: &Vec<f32>| library.search(query, K, ef);
        let found: Vec<_> = pool.install(|| queries.par_iter().map(search).collect());
        let seconds = begin.elapsed().as_secs_f64();
        let numbers = |row: Vec<Neighbour>| row.iter().map(|found| found.d_id as i64).collect();
        (self.recall(&found.into_iter().map(numbers).collect::<Vec<_>>()), seconds)
    }

    fn recall(&self, found: &[Vec<i64>]) -> f64 {
        let same = |(found, truth): (&Vec<i64>, &Vec<i64>)| {
            let truth: HashSet<&i64> = truth.iter().collect();
            found.iter().filter(|number| truth.contains(number)).count()
        };
        let hits: usize = found.iter().zip(&self.truth).map(same).sum();
        hits as f64 / (self.queries.len() * K) as f64
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
            self.args.data.seed
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
