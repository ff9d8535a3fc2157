//! Tanimoto search beside FPSim2, on the same fingerprints and one thread, and beside what the memory allows.
//! `benches/README.md` has the command.

#![allow(clippy::print_stdout, reason = "it prints a table")]

use std::{
    error::Error,
    fs::File,
    hint::black_box,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Parser;
use moiety_benches::{corpus::lines, peers::Session, table::table};
use moiety_chem::{FINGERPRINT_BITS, Molecule};
use moiety_index::{Fingerprints, GoOn, PrintTable};
use rayon::prelude::*;
use serde_json::{Value, json};

const WORDS: usize = FINGERPRINT_BITS / 64;
const K: usize = 10;
/// Similarities this near the threshold may be told apart from it by rounding alone.
const ROUNDING: f64 = 1e-6;

/// Searches Morgan fingerprints (radius 2, 2,048 bits) of many molecules.
#[derive(Parser)]
struct Args {
    /// Lines of `SMILES<tab>source`, gzip or not
    molecules: PathBuf,
    /// Most molecules
    #[arg(long, default_value_t = 200_000)]
    records: usize,
    /// Queries: the molecules that follow
    #[arg(long, default_value_t = 300)]
    queries: usize,
    /// Least similarity of the first search
    #[arg(long, default_value_t = 0.7)]
    threshold: f32,
    /// Times that everybody searches in turns; the best counts
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Leave FPSim2 out
    #[arg(long)]
    alone: bool,
}

type Row = [u64; WORDS];
/// Identifiers with their similarities, a list a query.
type Found = Vec<Vec<(u64, f64)>>;

struct Bench {
    args: Args,
    rows: Vec<Row>,
    queries: Vec<Row>,
    fingerprints: Fingerprints,
    table: PrintTable,
    /// The fingerprint in each place of the table, which came in no order.
    order: Vec<u64>,
}

/// A search of all queries.
struct Search {
    name: &'static str,
    run: fn(&Bench) -> Result<Found, Box<dyn Error>>,
    /// What FPSim2 is asked for the same.
    request: Value,
    /// Bytes that must be read for all queries.
    bytes: usize,
    best: Duration,
    peer: Option<Duration>,
}

fn main() -> Result<(), Box<dyn Error>> {
    // Everybody has one thread.
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let bench = Bench::read(Args::parse())?;
    let folder = tempfile::tempdir()?;
    let mut peer = match bench.args.alone {
        true => None,
        false => Some(bench.start_peer(folder.path())?),
    };
    let mut searches = bench.searches();
    let (mut version, mut bandwidth) = (String::new(), 0.0f64);
    for _ in 0..bench.args.rounds {
        bandwidth = bandwidth.max(bench.bandwidth());
        for search in &mut searches {
            let begin = Instant::now();
            let found = one.install(|| (search.run)(&bench).map_err(|error| error.to_string()))?;
            search.best = search.best.min(begin.elapsed());
            let Some(peer) = &mut peer else { continue };
            let answer = peer.ask(&search.request)?;
            version = answer["version"].as_str().unwrap_or_default().to_owned();
            let seconds = answer["seconds"].as_f64().ok_or("no seconds")?;
            let time = Duration::from_secs_f64(seconds);
            search.peer = Some(search.peer.map_or(time, |best| best.min(time)));
            bench.compare(search, &found, &answer["found"])?;
        }
    }
    bench.print(&searches, &version, bandwidth);
    Ok(())
}

impl Bench {
    fn read(args: Args) -> Result<Self, Box<dyn Error>> {
        let wanted = args.records + args.queries;
        let lines: Vec<String> = lines(&args.molecules)?.take(wanted).collect::<Result<_, _>>()?;
        let print = |line: &String| {
            let molecule = Molecule::from_smiles(line.split('\t').next()?).ok()?;
            let bytes = molecule.morgan_fingerprint().to_bytes();
            let (words, _) = bytes.as_chunks::<8>();
            let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
            Row::try_from(words).ok()
        };
        let mut rows: Vec<Row> = lines.par_iter().filter_map(print).collect();
        let queries = rows.split_off(rows.len().saturating_sub(args.queries));
        rows.sort_by_key(count);
        let ids: Vec<u64> = (1..=rows.len() as u64).collect();
        let fingerprints = Fingerprints::new(FINGERPRINT_BITS, rows.as_flattened(), &ids)?;
        let table = PrintTable::new(FINGERPRINT_BITS)?;
        let mut order = ids;
        order.sort_by_key(|id| id.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for (place, &id) in (0u64..).zip(&order) {
            let row = &rows[id as usize - 1];
            table.push(place, row, row)?;
        }
        Ok(Self { args, rows, queries, fingerprints, table, order })
    }

    fn searches(&self) -> Vec<Search> {
        let threshold = self.args.threshold;
        let search = |name, run, request, bytes| {
            let (best, peer) = (Duration::MAX, None);
            Search { name, run, request, bytes, best, peer }
        };
        let near = |query: &Row| {
            let bits = count(query);
            let may = |row: &&Row| {
                let (a, b) = (count(row).min(bits), count(row).max(bits));
                f64::from(a) >= f64::from(threshold) * f64::from(b)
            };
            self.rows.iter().filter(may).count() * size_of::<Row>()
        };
        let bytes = self.queries.par_iter().map(near).sum();
        let above = json!({"threshold": threshold});
        vec![
            search("at least the threshold", above_threshold, above.clone(), bytes),
            search("the same in a table that grows", in_table, above, bytes),
            search("the ten nearest", nearest, json!({"top": K}), 0),
        ]
    }

    fn start_peer(&self, folder: &Path) -> Result<Session, Box<dyn Error>> {
        for (name, rows) in [("prints", &self.rows), ("queries", &self.queries)] {
            let mut file = BufWriter::new(File::create(folder.join(format!("{name}.bin")))?);
            for (id, row) in (1u64..).zip(rows) {
                let words = [id].into_iter().chain(*row).chain([u64::from(count(row))]);
                for word in words {
                    file.write_all(&word.to_le_bytes())?;
                }
            }
            file.flush()?;
        }
        Ok(Session::start("tanimoto_peers.py", &[folder.as_os_str()])?)
    }

    /// Both found the same, but for what lies on the threshold, or shares the last similarity of the ten.
    fn compare(&self, search: &Search, ours: &Found, theirs: &Value) -> Result<(), Box<dyn Error>> {
        let theirs: Found = serde_json::from_value(theirs.clone())?;
        let edge = |query: usize| match search.request.get("top") {
            None => f64::from(self.args.threshold),
            Some(_) => ours[query].last().map_or(0.0, |last| last.1),
        };
        let inner = |found: &[(u64, f64)], query: usize| {
            let clear = found.iter().filter(|hit| (hit.1 - edge(query)).abs() > ROUNDING);
            let mut ids: Vec<u64> = clear.map(|hit| hit.0).collect();
            ids.sort_unstable();
            ids
        };
        for (query, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            if inner(ours, query) != inner(theirs, query) {
                let (ours, theirs) = (ours.len(), theirs.len());
                let name = search.name;
                return Err(
                    format!("{name}, query {query}: {ours} found, {theirs} by the peer").into()
                );
            }
        }
        Ok(())
    }

    /// Bytes a second that one thread reads of all fingerprints in a row.
    fn bandwidth(&self) -> f64 {
        let words = self.rows.as_flattened();
        let begin = Instant::now();
        let (lanes, _) = words.as_chunks::<8>();
        let sum = lanes.iter().fold([0u64; 8], |mut sum, lane| {
            sum.iter_mut().zip(lane).for_each(|(sum, word)| *sum ^= word);
            sum
        });
        black_box(sum);
        size_of_val(words) as f64 / begin.elapsed().as_secs_f64()
    }

    fn print(&self, searches: &[Search], version: &str, bandwidth: f64) {
        let queries = self.queries.len() as f64;
        println!(
            "{} fingerprints of {FINGERPRINT_BITS} bits, {} queries, threshold {}, one thread; FPSim2 {version}; reading \
             alone: {:.1} GB/s\n",
            self.rows.len(),
            self.queries.len(),
            self.args.threshold,
            bandwidth / 1e9
        );
        let rows: Vec<Vec<String>> = searches
            .iter()
            .map(|search| {
                let ours = search.best.as_secs_f64();
                let ratio = search.peer.map(|peer| format!("{:.2}", peer.as_secs_f64() / ours));
                let floor = search.bytes as f64 / bandwidth;
                let floor = (search.bytes > 0).then(|| format!("{:.2}", ours / floor));
                vec![
                    search.name.to_owned(),
                    format!("{:.0}", queries / ours),
                    ratio.unwrap_or_else(|| "-".into()),
                    floor.unwrap_or_else(|| "-".into()),
                ]
            })
            .collect();
        let header = ["search", "queries/s", "times FPSim2", "time over the memory's"];
        println!("{}", table(&header, &rows));
    }
}

fn count(row: &Row) -> u32 {
    row.iter().map(|word| word.count_ones()).sum()
}

fn above_threshold(bench: &Bench) -> Result<Found, Box<dyn Error>> {
    let threshold = f64::from(bench.args.threshold);
    let found = |query: &Row| {
        let found = bench.fingerprints.search_above(query, threshold)?;
        Ok(found.into_iter().map(|similar| (similar.id, similar.similarity)).collect())
    };
    bench.queries.iter().map(found).collect()
}

fn in_table(bench: &Bench) -> Result<Found, Box<dyn Error>> {
    let rows = bench.table.view();
    let found = |query: &Row| {
        let found = rows.above(query, bench.args.threshold, GoOn::ALWAYS)?;
        let hit = |place: u64| {
            let id = bench.order[place as usize];
            (id, tanimoto(query, &bench.rows[id as usize - 1]))
        };
        Ok(found.into_iter().map(hit).collect())
    };
    bench.queries.iter().map(found).collect()
}

fn tanimoto(a: &Row, b: &Row) -> f64 {
    let shared: u32 = a.iter().zip(b).map(|(a, b)| (a & b).count_ones()).sum();
    f64::from(shared) / f64::from(count(a) + count(b) - shared)
}

fn nearest(bench: &Bench) -> Result<Found, Box<dyn Error>> {
    let found = |query: &Row| {
        let found = bench.fingerprints.search(query, K)?;
        Ok(found.into_iter().map(|similar| (similar.id, similar.similarity)).collect())
    };
    bench.queries.iter().map(found).collect()
}
