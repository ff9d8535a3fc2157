//! Recall after half of the vectors were replaced, beside a graph built afresh over the same vectors; hnswlib and usearch
//! beside it. `benches/README.md` has the command.

#![allow(clippy::print_stdout, reason = "it prints tables")]

use std::{collections::HashSet, error::Error, path::Path, time::Instant};

use clap::Parser;
use moiety_benches::{
    data::Data,
    npy::{self, Rows},
    peers,
    table::table,
};
use moiety_index::{GoOn, HnswConfig, HnswIndex, Metric, SearchParams};
use rayon::prelude::*;
use serde_json::Value;

const K: usize = 10;
/// Length of a made-up vector.
const DIM: usize = 256;

/// Replaces every second vector, step by step, and compares the graph with a fresh one.
#[derive(Parser)]
#[command(
    mut_arg("count", |count| count.help("Vectors that live at any time")),
    mut_arg("vectors", |file| file.help("Vectors of a file: rows of float32 (.npy), one and a half times as many as live"))
)]
struct Args {
    #[command(flatten)]
    data: Data,
    /// Steps in which half of the vectors are replaced
    #[arg(long, default_value_t = 10)]
    steps: usize,
    /// Widths of the search
    #[arg(long, value_delimiter = ',', default_values_t = [32, 64, 128, 256])]
    ef: Vec<usize>,
    /// Leave the peers out
    #[arg(long)]
    alone: bool,
}

/// What an index showed: seconds that the replacing took, and recall at each width, replaced and fresh.
struct Outcome {
    name: String,
    churn_s: f64,
    recalls: Vec<(f64, f64)>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let (vectors, queries) = data(&args.data)?;
    let half = args.data.count / 2;
    println!(
        "{} vectors of {} numbers, {half} of them replaced in {} steps; {} queries, k {K}, M 16, ef_construction 100\n",
        args.data.count,
        vectors[0].len(),
        args.steps,
        queries.len()
    );
    let churned = filled((0..).zip(&vectors[..args.data.count]))?;
    let begin = Instant::now();
    for step in steps(half, args.steps) {
        for at in step.clone() {
            churned.remove(2 * at as u64);
        }
        for at in step {
            churned.insert((args.data.count + at) as u64, &vectors[args.data.count + at])?;
        }
        churned.finish_graph();
    }
    let churn_s = begin.elapsed().as_secs_f64();
    let live = |at: &usize| *at >= args.data.count || at % 2 == 1 || at / 2 >= half;
    let live = (0..args.data.count + half).filter(live);
    let fresh = filled(live.map(|at| (at as u64, &vectors[at])))?;
    let truth = search(&fresh, &queries, None)?;
    let recalls: Result<Vec<(f64, f64)>, Box<dyn Error>> = args
        .ef
        .iter()
        .map(|&ef| {
            let found = |index| Ok(recall(&search(index, &queries, Some(ef))?, &truth));
            found(&churned).and_then(|churned| Ok((churned, found(&fresh)?)))
        })
        .collect();
    let mut outcomes = vec![Outcome { name: "moiety".into(), churn_s, recalls: recalls? }];
    drop((churned, fresh));
    if !args.alone {
        match of_peers(&args, (&vectors, &queries, &truth)) {
            Ok(peers) => outcomes.extend(peers),
            Err(error) => println!("{error}\n"),
        }
    }
    print(&args, &outcomes);
    Ok(())
}

/// One and a half times as many vectors as live, and queries.
fn data(data: &Data) -> Result<(Rows, Rows), Box<dyn Error>> {
    let wanted = data.count + data.count / 2;
    let (mut vectors, queries) = data.rows(wanted, DIM)?;
    if vectors.len() < wanted {
        return Err(format!("there are {} vectors, needed are {wanted}", vectors.len()).into());
    }
    vectors.truncate(wanted);
    Ok((vectors, queries))
}

/// The numbers below `half`, in so many ranges.
fn steps(half: usize, steps: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..steps).map(move |step| step * half / steps..(step + 1) * half / steps)
}

fn filled<'a>(
    vectors: impl Iterator<Item = (u64, &'a Vec<f32>)>,
) -> Result<HnswIndex, Box<dyn Error>> {
    let mut vectors = vectors.peekable();
    let dim = vectors.peek().ok_or("there are no vectors")?.1.len();
    let index =
        HnswIndex::new(HnswConfig { exact_below: 1, ..HnswConfig::new(Metric::Cosine, dim) })?;
    for (id, vector) in vectors {
        index.insert(id, vector)?;
    }
    index.finish_graph();
    Ok(index)
}

/// What is found at a width, or exactly.
fn search(
    index: &HnswIndex,
    queries: &Rows,
    ef: Option<usize>,
) -> Result<Vec<Vec<i64>>, Box<dyn Error>> {
    let (exact, ef) = (ef.is_none(), ef.unwrap_or(K));
    let params = SearchParams { k: K, ef, exact, accept: None, go_on: GoOn::ALWAYS };
    let one = |query: &Vec<f32>| {
        let found = index.search(query, params)?;
        Ok(found.neighbors.iter().map(|neighbor| neighbor.id as i64).collect())
    };
    let found: Result<_, moiety_index::IndexError> = queries.par_iter().map(one).collect();
    Ok(found?)
}

fn recall(found: &[Vec<i64>], truth: &[Vec<i64>]) -> f64 {
    let hits = found.iter().zip(truth).map(|(found, truth)| {
        let truth: HashSet<i64> = truth.iter().copied().collect();
        found.iter().filter(|id| truth.contains(id)).count()
    });
    hits.sum::<usize>() as f64 / (truth.len() * K) as f64
}

fn of_peers(
    args: &Args,
    (vectors, queries, truth): (&Rows, &Rows, &[Vec<i64>]),
) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name);
    npy::write_f32(&file("vectors.npy"), vectors)?;
    npy::write_f32(&file("queries.npy"), queries)?;
    npy::write_i64(&file("truth.npy"), truth)?;
    let (count, steps) = (args.data.count.to_string(), args.steps.to_string());
    let widths: Vec<String> = args.ef.iter().map(usize::to_string).collect();
    let widths = widths.join(",");
    let options = ["--count", &count, "--steps", &steps, "--ef", &widths];
    let mut arguments = vec![Path::new(folder.path()).as_os_str()];
    arguments.extend(options.map(std::ffi::OsStr::new));
    let answer = peers::measure("churn_peers.py", &arguments)?;
    let outcomes = answer.as_array().ok_or("the peers gave no list")?;
    outcomes
        .iter()
        .map(|outcome| outcome_of(outcome).ok_or_else(|| format!("{outcome}").into()))
        .collect()
}

fn outcome_of(answer: &Value) -> Option<Outcome> {
    let recalls = answer["recalls"].as_array()?.iter();
    let recalls = recalls.map(|pair| Some((pair[0].as_f64()?, pair[1].as_f64()?)));
    let (name, churn_s) = (answer["name"].as_str()?.to_owned(), answer["churn_s"].as_f64()?);
    Some(Outcome { name, churn_s, recalls: recalls.collect::<Option<_>>()? })
}

fn print(args: &Args, outcomes: &[Outcome]) {
    let mut lines = Vec::new();
    for (at, ef) in args.ef.iter().enumerate() {
        for Outcome { name, churn_s, recalls } in outcomes {
            let (churned, fresh) = recalls[at];
            lines.push(vec![
                name.clone(),
                ef.to_string(),
                format!("{churned:.4}"),
                format!("{fresh:.4}"),
                format!("{:+.2}", 100.0 * (churned - fresh)),
                format!("{churn_s:.1}"),
            ]);
        }
    }
    let titles = ["index", "ef", "recall@10 replaced", "fresh", "points", "replacing s"];
    println!("{}", table(&titles, &lines));
}
