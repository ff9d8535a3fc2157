//! A server is killed while clients import and delete over gRPC: what it acknowledged is so, and nothing is there twice.
//!
//! The child is this test binary again, told by an environment variable what to do.

#![allow(clippy::unwrap_used)]

mod served;
#[path = "../../engine/tests/tear/mod.rs"]
mod tear;

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use moiety_encoder::HashingEncoder;
use moiety_engine::{Engine, EngineOptions, Query, SearchRequest, Side};
use moiety_rpc::{Client, ImportOptions, ServerOptions};
use served::{DIMENSION, create, note, serve_open};
use tear::tear;

const SERVE_DIR: &str = "MOIETY_TEST_SERVE_DIR";
const BATCH: u64 = 4;

/// Kills; `just crash` asks for many.
fn rounds() -> u64 {
    std::env::var("MOIETY_CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(4)
}

/// An engine whose graphs begin early.
fn open(dir: &Path) -> Engine {
    let encoder = Arc::new(HashingEncoder::new(DIMENSION));
    let options = EngineOptions { exact_below: 64, ..EngineOptions::default() };
    Engine::open(dir, encoder, options).unwrap()
}

/// Not a test of its own: the server that is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_serves_until_it_is_killed() {
    let Ok(dir) = std::env::var(SERVE_DIR) else { return };
    let any = "127.0.0.1:0".parse().unwrap();
    let served = serve_open(any, open(Path::new(&dir)), ServerOptions::default()).await;
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "\nserving {}", served.address).unwrap();
    stdout.flush().unwrap();
    drop(stdout);
    std::future::pending::<()>().await;
}

fn server(dir: &Path) -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child_that_serves_until_it_is_killed", "--exact", "--nocapture"])
        .env(SERVE_DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let address = lines.find_map(|line| line.strip_prefix("serving ").map(str::to_owned));
    (child, address.unwrap())
}

fn text(n: u64) -> String {
    format!("record number {n} of a long import")
}

/// What one client was told, in chunks.
#[derive(Clone, Default)]
struct Told {
    written: BTreeSet<u64>,
    /// Those whose deletion was asked for, and those whose deletion was acknowledged.
    doomed: BTreeSet<u64>,
    deleted: BTreeSet<u64>,
}

fn ids_of(writer: u64, chunk: u64) -> Vec<String> {
    (chunk * BATCH..(chunk + 1) * BATCH).map(|n| format!("w{writer}-{n:06}")).collect()
}

/// Imports until the server is gone, and now and then deletes what was written first.
async fn import(address: String, writer: u64, mut told: Told) -> Told {
    let Ok(client) = Client::connect(&address).await else { return told };
    let options = ImportOptions { max_attempts: 1, ..ImportOptions::default() };
    let Ok(mut session) = client.import("demo", options).await else { return told };
    let from = told.written.last().map_or(0, |last| last + 1);
    for chunk in from.. {
        let numbered = ids_of(writer, chunk).into_iter().zip(chunk * BATCH..);
        let records = numbered.map(|(id, n)| note(&id, &text(n))).collect();
        let Ok(answers) = session.send(chunk + 1, records).await else { break };
        told.written.extend(answers.iter().map(|answer| answer.durable_sequence - 1));
        let oldest = told.written.difference(&told.doomed).next().copied();
        if let Some(oldest) = oldest.filter(|_| chunk % 3 == 2) {
            told.doomed.insert(oldest);
            let Ok(answer) = client.delete("demo", ids_of(writer, oldest)).await else { break };
            assert_eq!(answer.deleted, BATCH);
            told.deleted.insert(oldest);
        }
    }
    told.written.extend((from..session.last_durable()).filter(|_| session.last_durable() > 0));
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_write_and_deletion_survives_a_killed_server() {
    let dir = tempfile::tempdir().unwrap();
    let mut told = [Told::default(), Told::default()];
    let mut graphs = 0;
    for round in 0..rounds() {
        let (mut child, address) = server(dir.path());
        if round == 0 {
            create(&Client::connect(&address).await.unwrap(), "demo").await;
        }
        let imports = [0, 1].map(|writer: u64| {
            tokio::spawn(import(address.clone(), writer, told[writer as usize].clone()))
        });
        tokio::time::sleep(Duration::from_millis(150 + 73 * (round % 7))).await;
        child.kill().unwrap();
        child.wait().unwrap();
        for (told, import) in told.iter_mut().zip(imports) {
            *told = import.await.unwrap();
        }
        graphs += tear(dir.path(), round);
        let (dir, told) = (dir.path().to_owned(), told.clone());
        tokio::task::spawn_blocking(move || check(&dir, &told)).await.unwrap();
    }
    let count = |of: fn(&Told) -> usize| told.iter().map(of).sum::<usize>();
    let (written, deleted) = (count(|told| told.written.len()), count(|told| told.deleted.len()));
    assert!(written > 30 && deleted > 3 && graphs > 0, "{written} {deleted} {graphs}");
}

/// The directory has what was acknowledged, once, and its index agrees with it.
fn check(dir: &Path, told: &[Told; 2]) {
    let engine = open(dir);
    let mut found = BTreeSet::new();
    let mut after = None;
    loop {
        let page = engine.scroll("demo", after.as_deref(), 1000, None).unwrap();
        for record in page.records {
            assert!(found.insert(record.id.clone()), "{} is there twice", record.id);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    for (writer, told) in (0..).zip(told) {
        let known = told.written.last().map_or(0, |last| last + 2);
        for chunk in 0..known {
            let there = ids_of(writer, chunk).iter().filter(|id| found.contains(*id)).count();
            let whole = there == BATCH as usize;
            assert!(whole || there == 0, "{there} records of chunk {chunk}");
            let must_be_there = told.written.contains(&chunk) && !told.doomed.contains(&chunk);
            assert!(whole || !must_be_there, "chunk {chunk} was acknowledged and is lost");
            assert!(!whole || !told.deleted.contains(&chunk), "chunk {chunk} came back");
        }
    }
    let stats = engine.stats("demo").unwrap();
    assert_eq!((stats.records, stats.texts.vectors), (found.len() as u64, found.len() as u64));
    let newest = told[0].written.difference(&told[0].doomed).last();
    if let Some(newest) = newest {
        let request = SearchRequest::new(Query::Text(text(newest * BATCH)), Side::Text, 2);
        let hits = engine.search("demo", &request).unwrap().hits;
        assert!(hits.iter().any(|hit| hit.record.id == ids_of(0, *newest)[0]));
    }
}
