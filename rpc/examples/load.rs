//! Load on a server: connections that ask without a pause, first as many as it takes, then four times as many, then as many
//! with writers beside them.
//!
//! ```text
//! just bench-load [connections [seconds]]
//! ```
//!
//! It starts a server with a hashing encoder inside this process, so that the engine and the edge are measured and not a
//! model. Beyond capacity the server refuses with RESOURCE_EXHAUSTED and a delay; clients here do not wait for it, so the
//! number of refusals is the worst case. The third line is as the first again: it recovers. Memory is that of clients and
//! server together, the most that was seen.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops where something fails"
)]

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use moiety_encoder::HashingEncoder;
use moiety_engine::{Engine, EngineOptions};
use moiety_rpc::{Client, ClientError, ServerOptions, run, wire};
use tokio::{net::TcpListener, sync::oneshot};
use tonic::Code;

const RECORDS: u32 = 20_000;
const CHUNK: u32 = 1_000;
const CAPACITY: usize = 8;
const WRITERS: usize = 2;
/// Records of one write, each a new version of one that is there.
const WRITE: u32 = 100;

/// What one phase saw.
#[derive(Default)]
struct Seen {
    micros: Vec<u64>,
    refused: u64,
    refused_without_delay: u64,
    failed: u64,
    written: u64,
    most_bytes: u64,
}

impl Seen {
    fn add(&mut self, other: Seen) {
        self.micros.extend(other.micros);
        self.refused += other.refused;
        self.refused_without_delay += other.refused_without_delay;
        self.failed += other.failed;
        self.written += other.written;
        self.most_bytes = self.most_bytes.max(other.most_bytes);
    }

    fn quantile(&self, share: f64) -> f64 {
        let at = ((self.micros.len() as f64 * share) as usize).min(self.micros.len() - 1);
        self.micros[at] as f64 / 1e3
    }

    fn print(&mut self, what: &str, seconds: f64) {
        self.micros.sort_unstable();
        println!(
            "| {what} | {:.0} | {:.0} | {:.1} | {:.1} | {:.1} | {} | {} | {} | {:.0} |",
            self.micros.len() as f64 / seconds,
            self.written as f64 / seconds,
            self.quantile(0.5),
            self.quantile(0.99),
            self.quantile(0.999),
            self.refused,
            self.refused_without_delay,
            self.failed,
            self.most_bytes as f64 / 1e6
        );
    }
}

fn words(n: u32) -> String {
    let words = ["acid", "dye", "sugar", "salt", "plant", "drug", "metal", "odour", "wine", "base"];
    let word = |shift: u32| words[(n.wrapping_mul(2_654_435_761) >> shift) as usize % words.len()];
    format!("{} {} {} number {n}", word(3), word(11), word(19))
}

async fn ask(address: String, seed: u32, until: Instant) -> Seen {
    let client = Client::connect(&address).await.unwrap();
    let mut seen = Seen::default();
    for n in 0.. {
        if Instant::now() >= until {
            break;
        }
        let asked = wire::query::Asked::Text(words(seed.wrapping_mul(7_919).wrapping_add(n)));
        let request = wire::QueryRequest {
            collection: "load".into(),
            query: Some(wire::Query { asked: Some(asked) }),
            target: wire::Side::Text.into(),
            ..Default::default()
        };
        let began = Instant::now();
        match client.query(request).await {
            Ok(_) => seen.micros.push(began.elapsed().as_micros() as u64),
            Err(ClientError::Refused { code: Code::ResourceExhausted, retry_after, .. }) => {
                seen.refused += 1;
                seen.refused_without_delay += u64::from(retry_after.is_none());
            }
            Err(_) => seen.failed += 1,
        }
    }
    seen
}

fn record(n: u32) -> wire::Record {
    wire::Record { id: n.to_string(), text: Some(words(n)), ..Default::default() }
}

/// Writes what is there once more, waiting where it is told to.
async fn write(address: String, next: Arc<AtomicU32>, until: Instant) -> Seen {
    let client = Client::connect(&address).await.unwrap();
    let mut seen = Seen::default();
    while Instant::now() < until {
        let from = next.fetch_add(WRITE, Ordering::Relaxed);
        let records = (from..from + WRITE).map(|n| record(n % RECORDS)).collect();
        match client.upsert("load", records).await {
            Ok(answer) => seen.written += u64::from(answer.created + answer.replaced),
            Err(ClientError::Refused { retry_after: Some(delay), .. }) => {
                tokio::time::sleep(delay).await;
            }
            Err(_) => seen.failed += 1,
        }
    }
    seen
}

/// The memory of this process, now and then.
async fn watch(until: Instant) -> Seen {
    let mut seen = Seen::default();
    while Instant::now() < until {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap();
        let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        seen.most_bytes = seen.most_bytes.max(kibibytes * 1024);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    seen
}

async fn phase(address: &str, connections: usize, writers: usize, seconds: u64) -> Seen {
    let until = Instant::now() + Duration::from_secs(seconds);
    let next = Arc::new(AtomicU32::new(0));
    let mut tasks = vec![tokio::spawn(watch(until))];
    let ask = |seed| tokio::spawn(ask(address.to_owned(), seed as u32, until));
    tasks.extend((0..connections).map(ask));
    let write = |_| tokio::spawn(write(address.to_owned(), Arc::clone(&next), until));
    tasks.extend((0..writers).map(write));
    let mut seen = Seen::default();
    for task in tasks {
        seen.add(task.await.unwrap());
    }
    seen
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let connections = arguments.next().unwrap_or(CAPACITY as u64) as usize;
    let seconds = arguments.next().unwrap_or(5);
    let dir = tempfile::tempdir().unwrap();
    let encoder = Arc::new(HashingEncoder::new(128));
    let engine = Arc::new(Engine::open(dir.path(), encoder, EngineOptions::default()).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let options = ServerOptions { max_in_flight: CAPACITY, ..Default::default() };
    let server = tokio::spawn(run(listener, engine, options, async {
        let _ = stopped.await;
    }));
    let client = Client::connect(&address).await.unwrap();
    let config = wire::CollectionConfig { name: "load".into(), ..Default::default() };
    client.create_collection(config).await.unwrap();
    for from in (0..RECORDS).step_by(CHUNK as usize) {
        client.upsert("load", (from..from + CHUNK).map(record).collect()).await.unwrap();
    }
    println!(
        "{RECORDS} texts, {CAPACITY} calls at work at most, {seconds} s a line, times in ms\n"
    );
    println!(
        "| connections | answers/s | records written/s | p50 | p99 | p99.9 | refused | without a delay | failed | memory, MB |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    // A writer takes a place as a search does.
    let searchers = connections.saturating_sub(WRITERS).max(1);
    let phases = [(connections, 0), (4 * connections, 0), (connections, 0), (searchers, WRITERS)];
    for (connections, writers) in phases {
        let what = match writers {
            0 => connections.to_string(),
            _ => format!("{connections} and {writers} that write"),
        };
        phase(&address, connections, writers, seconds).await.print(&what, seconds as f64);
    }
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}
