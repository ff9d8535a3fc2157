//! What an import beside them does to searches: the same questions on an idle server, then beside an import, in turns.
//!
//! ```text
//! just bench-load-import [connections [seconds [rounds]]]
//! ```
//!
//! It serves `models/moiety-mini` (or the directory in `MOIETY_MODEL`) inside this process, loads the demo library, and asks its
//! descriptions as questions from so many connections. The import writes the same molecules and descriptions under new
//! identifiers in chunks of 512, as fast as they are acknowledged, and once more with nobody asking. Encoding is what both sides
//! wait for, so the model is a real one.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops where something fails"
)]

use std::{
    env, fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use moiety_engine::{Engine, EngineOptions};
use moiety_rpc::{Client, ImportOptions, ServerOptions, run, wire};
use serde_json::Value;
use tokio::{net::TcpListener, sync::oneshot};

const COLLECTION: &str = "load";
const CHUNK: usize = 512;

/// Molecules and their descriptions.
type Library = Arc<Vec<(String, String)>>;

fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn library() -> Library {
    let text = fs::read_to_string(repository("demo/molecules.jsonl")).unwrap();
    let field = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    let pair = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        (field(&line, "smiles"), field(&line, "text"))
    };
    Arc::new(text.lines().map(pair).collect())
}

fn chunk(library: &Library, from: usize) -> Vec<wire::Record> {
    let record = |n: usize| {
        let (smiles, text) = &library[n % library.len()];
        let format = Some(wire::structure::Format::Smiles(smiles.clone()));
        wire::Record {
            id: n.to_string(),
            molecule: Some(wire::Structure { format }),
            text: Some(text.clone()),
            payload: None,
        }
    };
    (from..from + CHUNK).map(record).collect()
}

/// Imports until the time is over; gives records a second.
async fn import(client: Client, library: Library, from: usize, seconds: u64) -> f64 {
    let (began, until) = (Instant::now(), Duration::from_secs(seconds));
    let mut session = client.import(COLLECTION, ImportOptions::default()).await.unwrap();
    let mut sent = 0;
    while began.elapsed() < until {
        sent += 1;
        session.send(sent, chunk(&library, from + sent as usize * CHUNK)).await.unwrap();
    }
    session.finish().await.unwrap();
    sent as f64 * CHUNK as f64 / began.elapsed().as_secs_f64()
}

/// Asks until the time is over; gives the time of each answer.
async fn ask(client: Client, library: Library, seed: usize, until: Instant) -> Vec<Duration> {
    let mut times = Vec::new();
    for n in 0.. {
        if Instant::now() >= until {
            break;
        }
        let (_, text) = &library[(seed * 7_919 + n) % library.len()];
        let request = wire::QueryRequest {
            collection: COLLECTION.into(),
            query: Some(wire::Query { asked: Some(wire::query::Asked::Text(text.clone())) }),
            target: wire::Side::Molecule.into(),
            ..Default::default()
        };
        let began = Instant::now();
        client.query(request).await.unwrap();
        times.push(began.elapsed());
    }
    times
}

async fn questions(client: &Client, library: &Library, connections: usize, seconds: u64) -> Seen {
    let until = Instant::now() + Duration::from_secs(seconds);
    let asking = |seed| tokio::spawn(ask(client.clone(), Arc::clone(library), seed, until));
    let tasks: Vec<_> = (0..connections).map(asking).collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    times.sort_unstable();
    Seen { times }
}

/// Times of answers, in order.
struct Seen {
    times: Vec<Duration>,
}

impl Seen {
    fn milliseconds(&self, share: f64) -> f64 {
        let at = ((self.times.len() as f64 * share) as usize).min(self.times.len() - 1);
        self.times[at].as_secs_f64() * 1e3
    }
}

#[tokio::main]
async fn main() {
    let mut arguments = env::args().skip(1).map(|argument| argument.parse().unwrap());
    let connections = arguments.next().unwrap_or(1) as usize;
    let seconds: u64 = arguments.next().unwrap_or(10);
    let rounds = arguments.next().unwrap_or(3);
    let model = env::var_os("MOIETY_MODEL").map(PathBuf::from);
    let model = model.unwrap_or_else(|| repository("models/moiety-mini"));
    let encoder = moiety_encoder::load(&model, 0).unwrap().encoder;
    let dir = tempfile::tempdir().unwrap();
    let engine = Arc::new(Engine::open(dir.path(), encoder, EngineOptions::default()).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(run(listener, engine, ServerOptions::default(), async {
        let _ = stopped.await;
    }));
    let client = Client::connect(&address).await.unwrap();
    let config = wire::CollectionConfig { name: COLLECTION.into(), ..Default::default() };
    client.create_collection(config).await.unwrap();
    let library = library();
    client.upsert(COLLECTION, chunk(&library, 0)).await.unwrap();
    println!("{connections} connections, {seconds} s a phase, times in ms\n");
    println!(
        "| round | p50 idle | p99 idle | p50 beside an import | p99 | p99 over idle | records/s alone | beside questions |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|");
    for round in 1..=rounds {
        let idle = questions(&client, &library, connections, seconds).await;
        let alone = import(client.clone(), Arc::clone(&library), 0, seconds).await;
        let importing = tokio::spawn(import(client.clone(), Arc::clone(&library), 0, seconds + 2));
        // The first chunks are on their way.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let beside = questions(&client, &library, connections, seconds).await;
        let rate = importing.await.unwrap();
        println!(
            "| {round} | {:.1} | {:.1} | {:.1} | {:.1} | {:.2} | {alone:.0} | {rate:.0} |",
            idle.milliseconds(0.5),
            idle.milliseconds(0.99),
            beside.milliseconds(0.5),
            beside.milliseconds(0.99),
            beside.milliseconds(0.99) / idle.milliseconds(0.99),
        );
    }
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}
