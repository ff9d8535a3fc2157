//! Texts per second of the text tower, and the time of one text alone, beside ONNX Runtime on the same weights and the same
//! texts, in one run, after a check that both give the same vectors. `benches/README.md` has the command.

#![allow(clippy::print_stdout, reason = "it prints a table")]

use std::{
    error::Error,
    ffi::OsStr,
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use moiety_benches::{
    corpus::{demo_library, lines, model_dir},
    npy, peers,
    table::table,
};
use moiety_encoder::{Encoder, Model};
use serde_json::Value;

/// Vectors of the two may differ by this much in any number.
const TOLERANCE: f64 = 1e-4;
const RUNS: usize = 3;
/// So many texts are also encoded one by one, as queries are.
const ALONE: usize = 200;

/// Compares the text tower with ONNX Runtime.
#[derive(Parser)]
struct Args {
    /// Texts, one a line [default: the descriptions of the demo library]
    #[arg(long)]
    texts: Option<PathBuf>,
    /// Most texts
    #[arg(long, default_value_t = 1_000)]
    limit: usize,
    /// Numbers of threads [default: 1 and all cores]
    #[arg(long, value_delimiter = ',')]
    threads: Vec<usize>,
}

/// What one number of threads makes of the texts.
struct Encoded {
    speed: Speed,
    globals: Vec<Vec<f32>>,
}

#[derive(Clone, Copy)]
struct Speed {
    /// In batches.
    texts_per_s: f64,
    /// Median of one text alone.
    alone_ms: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = Args::parse();
    if args.threads.is_empty() {
        args.threads = vec![1, thread::available_parallelism()?.get()];
        args.threads.dedup();
    }
    let texts = texts(&args)?;
    let folder = tempfile::tempdir()?;
    let (list, vectors) = (folder.path().join("texts.json"), folder.path().join("vectors.npy"));
    let mut ours = Vec::new();
    for &threads in &args.threads {
        let encoded = encode(threads, &texts)?;
        npy::write_f32(&vectors, &encoded.globals)?;
        ours.push(encoded.speed);
    }
    fs::write(&list, serde_json::to_string(&texts)?)?;
    let threads: Vec<String> = args.threads.iter().map(usize::to_string).collect();
    let (model, threads) = (model_dir(), threads.join(","));
    let arguments = [
        model.as_os_str(),
        list.as_os_str(),
        vectors.as_os_str(),
        OsStr::new("--threads"),
        OsStr::new(&threads),
    ];
    let theirs = peers::measure("encode_peers.py", &arguments)?;
    println!("{} texts, {}\n", texts.len(), model.display());
    let largest =
        print(&args.threads, &ours, &theirs).ok_or_else(|| format!("not rows: {theirs}"))?;
    println!("\nlargest difference of a number in the global vectors: {largest:.1e}");
    if largest > TOLERANCE {
        return Err(
            format!("the vectors differ by {largest:.1e}, more than {TOLERANCE:.0e}").into()
        );
    }
    Ok(())
}

fn texts(args: &Args) -> Result<Vec<String>, Box<dyn Error>> {
    Ok(match &args.texts {
        Some(path) => lines(path)?.take(args.limit).collect::<Result<_, _>>()?,
        None => {
            demo_library()?.into_iter().map(|molecule| molecule.text).take(args.limit).collect()
        }
    })
}

/// Encodes some times over; the best counts.
fn encode(threads: usize, texts: &[String]) -> Result<Encoded, Box<dyn Error>> {
    // The peer has no tables of features; they cost next to nothing, but they change the vectors.
    let model = Model::load(&model_dir(), threads)?.without_features();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let encoded = model.encode_texts(&texts)?;
    let mut best = Duration::MAX;
    for _ in 0..RUNS {
        let begin = Instant::now();
        model.encode_texts(&texts)?;
        best = best.min(begin.elapsed());
    }
    let mut alone = Vec::new();
    for text in texts.iter().take(ALONE) {
        let begin = Instant::now();
        model.encode_texts(&[text])?;
        alone.push(begin.elapsed());
    }
    alone.sort_unstable();
    let speed = Speed {
        texts_per_s: texts.len() as f64 / best.as_secs_f64(),
        alone_ms: alone.get(alone.len() / 2).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3),
    };
    let globals = encoded.into_iter().map(|encoding| encoding.global).collect();
    Ok(Encoded { speed, globals })
}

/// Prints the table and gives the largest difference; `None` when the peer's rows are not as expected.
fn print(threads: &[usize], ours: &[Speed], theirs: &Value) -> Option<f64> {
    let (mut rows, mut largest) = (Vec::new(), 0.0_f64);
    for ((threads, &ours), theirs) in threads.iter().zip(ours).zip(theirs.as_array()?) {
        let number = |field: &str| theirs[field].as_f64();
        let peer = Speed { texts_per_s: number("texts_per_s")?, alone_ms: number("alone_ms")? };
        let mut row = |name: &str, speed: Speed| {
            rows.push(vec![
                name.to_owned(),
                threads.to_string(),
                format!("{:.0}", speed.texts_per_s),
                format!("{:.2}×", ours.texts_per_s / speed.texts_per_s),
                format!("{:.1} ms", speed.alone_ms),
                format!("{:.2}×", speed.alone_ms / ours.alone_ms),
            ]);
        };
        row("moiety", ours);
        row(theirs["name"].as_str()?, peer);
        largest = largest.max(number("largest_difference")?);
    }
    let head =
        ["encoder", "threads", "texts/s", "moiety's speed", "one text", "moiety's speed, one"];
    println!("{}", table(&head, &rows));
    Some(largest)
}
