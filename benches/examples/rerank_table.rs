//! Reranking of candidates by fragments and tokens: bytes a record, and time beside a plain sum of the same bytes, floats, and
//! NumPy. `benches/README.md` has the command.

#![allow(clippy::print_stdout, reason = "it prints tables")]

use std::{
    error::Error,
    hint::black_box,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Parser;
use moiety_benches::{
    corpus::{demo_library, encoder, lines},
    late::{CodedQuery, Floats, Pool},
    peers::Session,
    table::{quantile, table},
};
use moiety_chem::{Molecule, Structure};
use moiety_encoder::{Encoder, Encoding};
use moiety_engine::{
    CollectionConfig, Durability, Engine, EngineOptions, LevelWeights, Query, Record, Rerank,
    SearchRequest, Side, full_level_scores, level_scores,
};
use serde_json::{Map, json};

const COLLECTION: &str = "rerank";
const ENCODED: usize = 256;

/// Encodes molecules and texts, and reranks.
#[derive(Parser)]
struct Args {
    /// Lines of `SMILES<tab>source`, gzip or not [default: the demo library]
    molecules: Option<PathBuf>,
    /// Lines of `cid<tab>smiles<tab>description` after a header, gzip or not: the descriptions are the queries [default: the
    /// demo library's]
    queries: Option<PathBuf>,
    /// Most molecules that are encoded
    #[arg(long, default_value_t = 2_000)]
    distinct: usize,
    /// Records in memory, repeated from those
    #[arg(long, default_value_t = 20_000)]
    records: usize,
    /// Most queries
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Candidates of a query
    #[arg(long, default_value_t = 100)]
    candidates: usize,
    /// Rounds in which every way has its turn
    #[arg(long, default_value_t = 400)]
    rounds: usize,
    /// Leave NumPy out
    #[arg(long)]
    alone: bool,
}

/// What is encoded.
struct Corpus {
    smiles: Vec<String>,
    texts: Vec<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let corpus = Corpus::read(&args)?;
    let model = encoder(0)?;
    let molecules = encode_molecules(model.as_ref(), &corpus.smiles)?;
    let texts: Vec<&str> = corpus.texts.iter().map(String::as_str).collect();
    let queries = model.encode_texts(&texts)?;
    let name = &model.info().name;
    println!("model {name}; {} molecules, {} queries\n", molecules.len(), queries.len());
    let pool = Pool::new(&molecules, args.records);
    println!("{}\n", size_table(&pool));
    println!("{}\n", loss_table(&queries, &molecules));
    times(&args, &pool, &queries)?;
    println!("\n{}", engine_line(&args, &corpus)?);
    Ok(())
}

fn size_table(pool: &Pool) -> String {
    let mean = |total: usize| format!("{:.0}", total as f64 / pool.len() as f64);
    let parts: usize = pool.levels.iter().map(|level| level.weights.len()).sum();
    let floats: usize =
        pool.levels.iter().map(|level| 4 * (level.vectors.len() + level.weights.len())).sum();
    let header = ["vectors and weights of parts", "parts a record", "bytes a record"];
    let row = |name: &str, bytes| vec![name.to_owned(), mean(parts), mean(bytes)];
    table(&header, &[row("float32", floats), row("int8 with a scale each", pool.coded.len())])
}

/// How far the scores in bytes are from those in floats.
fn loss_table(queries: &[Encoding], molecules: &[Encoding]) -> String {
    let (mut differences, mut largest) = (Vec::new(), 0f32);
    for (at, query) in queries.iter().enumerate() {
        for molecule in molecules.iter().skip(at).step_by(queries.len().max(1)) {
            let (coded, full) = (level_scores(query, molecule), full_level_scores(query, molecule));
            for (coded, full) in [(coded.fragment, full.fragment), (coded.token, full.token)] {
                let difference = (coded.unwrap_or(0.0) - full.unwrap_or(0.0)).abs();
                largest = largest.max(difference);
                differences.push(difference);
            }
        }
    }
    let mean = differences.iter().sum::<f32>() / differences.len().max(1) as f32;
    let row = [format!("{}", differences.len()), format!("{mean:.5}"), format!("{largest:.5}")];
    table(&["scores of a level", "mean difference to float32", "largest"], &[row.to_vec()])
}

/// The ways, in the order of their times.
const WAYS: [&str; 4] = [
    "plain sum of the bytes",
    "int8 MaxSim, from memory",
    "int8 MaxSim, again from the cache",
    "float32 products, from memory",
];

/// All ways in turns, each with candidates of its own, so that none finds in the cache what another has read.
fn times(args: &Args, pool: &Pool, queries: &[Encoding]) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let mut peer = match args.alone {
        true => None,
        false => Some(start_peer(folder.path(), pool, queries)?),
    };
    let mut all: [Vec<Duration>; WAYS.len()] = Default::default();
    let (mut theirs, mut farthest) = (Vec::new(), 0f32);
    let mut draws = Draws(1);
    for round in 0..args.rounds {
        let at = round % queries.len();
        let (query, coded) = (&queries[at], CodedQuery::of(&queries[at]));
        let mut draw = || draws.candidates(args.candidates, pool.len());
        let drawn = draw();
        all[0].push(timed(|| pool.sum_of_bytes(&drawn)).1);
        let drawn = draw();
        let (scores, time) = timed(|| pool.rerank(&coded, &drawn));
        all[1].push(time);
        all[2].push(timed(|| pool.rerank(&coded, &drawn)).1);
        if let Some((peer, _)) = &mut peer {
            let answer = peer.ask(&json!({"query": at, "candidates": &drawn}))?;
            theirs.push(Duration::from_secs_f64(answer["seconds"].as_f64().unwrap_or_default()));
            let answered = answer["scores"].as_array().into_iter().flatten();
            for (ours, theirs) in scores.iter().zip(answered) {
                farthest = farthest.max((ours - theirs.as_f64().unwrap_or_default() as f32).abs());
            }
        }
        let drawn = draw();
        all[3].push(timed(|| pool.rerank_in_floats(query, &drawn)).1);
    }
    let mut measured: Vec<(&str, &[Duration])> =
        WAYS.into_iter().zip(all.iter().map(Vec::as_slice)).collect();
    if let Some((_, name)) = &peer {
        measured.push((name, &theirs));
    }
    println!("{}", time_table(args.candidates, &measured));
    if peer.is_some() {
        println!("\nfarthest score from NumPy's: {farthest:.4}");
    }
    Ok(())
}

/// NumPy with the same records and queries, and what it is called.
fn start_peer(
    folder: &Path,
    pool: &Pool,
    queries: &[Encoding],
) -> Result<(Session, String), Box<dyn Error>> {
    pool.write(folder, &Floats::both(queries, queries.len()))?;
    let mut peer = Session::start("rerank_peers.py", &[folder.as_os_str()])?;
    let version = peer.answer()?["version"].as_str().unwrap_or_default().to_owned();
    Ok((peer, format!("numpy {version}, float32, one thread")))
}

/// Medians, and how they compare with the first.
fn time_table(candidates: usize, measured: &[(&str, &[Duration])]) -> String {
    let p50 = |times: &[Duration]| quantile(times, 0.5).as_secs_f64();
    let floor = measured.first().map_or(1.0, |(_, times)| p50(times));
    let row = |(name, times): &(&str, &[Duration])| {
        let p50 = p50(times);
        vec![(*name).to_owned(), format!("{:.0}", p50 * 1e6), format!("{:.1}×", p50 / floor)]
    };
    let title = format!("rerank of {candidates}");
    table(&[&title, "p50 µs", "× floor"], &measured.iter().map(row).collect::<Vec<_>>())
}

/// Records at random, the same ones in every run.
struct Draws(u64);

impl Draws {
    fn candidates(&mut self, count: usize, records: usize) -> Vec<usize> {
        let mut next = || {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % records
        };
        (0..count).map(|_| next()).collect()
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    let result = black_box(work());
    (result, begin.elapsed())
}

/// The same within a search, reading included.
fn engine_line(args: &Args, corpus: &Corpus) -> Result<String, Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let engine = Engine::open(dir.path(), encoder(0)?, EngineOptions::default())?;
    let config =
        CollectionConfig { durability: Durability::Wal, ..CollectionConfig::named(COLLECTION) };
    engine.create_collection(config)?;
    for (batch, smiles) in corpus.smiles.chunks(ENCODED).enumerate() {
        let record = |(at, smiles): (usize, &String)| Record {
            id: format!("{}", batch * ENCODED + at),
            molecule: Some(Structure::Smiles(smiles.clone())),
            text: None,
            payload: Map::new(),
        };
        engine.upsert(COLLECTION, smiles.iter().enumerate().map(record).collect())?;
    }
    engine.flush()?;
    let weights = LevelWeights { global: 1.0, fragment: 1.0, token: 1.0 };
    let mut times: [Vec<Duration>; 2] = Default::default();
    for times in &mut times {
        for text in &corpus.texts {
            let request = SearchRequest {
                rerank: Some(Rerank { candidates: args.candidates, weights }),
                ..SearchRequest::new(Query::Text(text.clone()), Side::Molecule, 10)
            };
            times.push(engine.search(COLLECTION, &request)?.timings.rerank);
        }
    }
    let [first, again] = times.map(|times| quantile(&times, 0.5).as_micros());
    Ok(format!(
        "within a search, reading included: p50 {first} µs, and {again} µs for the same queries again"
    ))
}

fn encode_molecules(
    model: &dyn Encoder,
    smiles: &[String],
) -> Result<Vec<Encoding>, Box<dyn Error>> {
    let mut encodings = Vec::new();
    for smiles in smiles.chunks(ENCODED) {
        let molecules: Vec<Molecule> = smiles
            .iter()
            .filter_map(|smiles| Molecule::from_smiles(smiles).ok())
            .filter(|molecule| model.check_molecule(molecule).is_ok())
            .collect();
        encodings.extend(model.encode_molecules(&molecules.iter().collect::<Vec<_>>())?);
    }
    encodings.retain(|encoding| !encoding.fragments.is_empty() && !encoding.tokens.is_empty());
    Ok(encodings)
}

impl Corpus {
    fn read(args: &Args) -> Result<Self, Box<dyn Error>> {
        let demo = demo_library()?;
        let smiles = match &args.molecules {
            None => {
                demo.iter().map(|molecule| molecule.smiles.clone()).take(args.distinct).collect()
            }
            Some(path) => {
                let lines = lines(path)?.take(args.distinct);
                let smiles = |line: String| line.split('\t').next().unwrap_or_default().to_owned();
                lines.map(|line| line.map(smiles)).collect::<Result<_, _>>()?
            }
        };
        let texts = match &args.queries {
            None => demo.into_iter().map(|molecule| molecule.text).take(args.limit).collect(),
            Some(path) => {
                let lines = lines(path)?.skip(1).take(args.limit);
                let text = |line: String| line.split('\t').nth(2).unwrap_or_default().to_owned();
                lines.map(|line| line.map(text)).collect::<Result<_, _>>()?
            }
        };
        Ok(Self { smiles, texts })
    }
}
