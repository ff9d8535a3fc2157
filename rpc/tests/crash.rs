//! A server is killed while clients import over gRPC: what it acknowledged is there, and nothing is there twice.
//!
//! The child is this test binary again, told by an environment variable what to do.

#![allow(clippy::unwrap_used)]

mod served;

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
use served::{DIMENSION, create, note, serve_at};

const SERVE_DIR: &str = "MOIETY_TEST_SERVE_DIR";
const BATCH: u64 = 4;

/// Kills; `just crash` asks for many.
fn rounds() -> u64 {
    std::env::var("MOIETY_CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(4)
}

/// Not a test of its own: the server that is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_serves_until_it_is_killed() {
    let Ok(dir) = std::env::var(SERVE_DIR) else { return };
    let encoder = Arc::new(HashingEncoder::new(DIMENSION));
    let any = "127.0.0.1:0".parse().unwrap();
    let served = serve_at(any, Path::new(&dir), encoder, ServerOptions::default()).await;
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

/// Imports until the server is gone; the chunks that were acknowledged.
async fn import(address: String, writer: u64, from: u64) -> BTreeSet<u64> {
    let mut acknowledged = BTreeSet::new();
    let Ok(client) = Client::connect(&address).await else { return acknowledged };
    let options = ImportOptions { max_attempts: 1, ..ImportOptions::default() };
    let Ok(mut session) = client.import("demo", options).await else { return acknowledged };
    for chunk in from.. {
        let ids = chunk * BATCH..(chunk + 1) * BATCH;
        let records = ids.map(|n| note(&format!("w{writer}-{n:06}"), &text(n))).collect();
        let sent = session.send(chunk + 1, records).await;
        let Ok(answers) = sent else { break };
        acknowledged.extend(answers.iter().map(|answer| answer.durable_sequence - 1));
    }
    acknowledged.extend((from..session.last_durable()).filter(|_| session.last_durable() > 0));
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_record_survives_a_killed_server() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = [BTreeSet::new(), BTreeSet::new()];
    for round in 0..rounds() {
        let (mut child, address) = server(dir.path());
        if round == 0 {
            create(&Client::connect(&address).await.unwrap(), "demo").await;
        }
        let imports = [0, 1].map(|writer: u64| {
            let from = acknowledged[writer as usize].last().map_or(0, |last: &u64| last + 1);
            tokio::spawn(import(address.clone(), writer, from))
        });
        tokio::time::sleep(Duration::from_millis(150 + 73 * (round % 7))).await;
        child.kill().unwrap();
        child.wait().unwrap();
        for (known, import) in acknowledged.iter_mut().zip(imports) {
            known.extend(import.await.unwrap());
        }
        let dir = dir.path().to_owned();
        let known = acknowledged.clone();
        tokio::task::spawn_blocking(move || check(&dir, &known)).await.unwrap();
    }
    assert!(acknowledged.iter().map(BTreeSet::len).sum::<usize>() > 3, "{acknowledged:?}");
}

/// The directory has what was acknowledged, once, and its index agrees with it.
fn check(dir: &Path, acknowledged: &[BTreeSet<u64>; 2]) {
    let encoder = Arc::new(HashingEncoder::new(DIMENSION));
    let engine = Engine::open(dir, encoder, EngineOptions::default()).unwrap();
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
    for (writer, chunks) in acknowledged.iter().enumerate() {
        for n in chunks.iter().flat_map(|chunk| chunk * BATCH..(chunk + 1) * BATCH) {
            let id = format!("w{writer}-{n:06}");
            assert!(found.contains(&id), "{id} was acknowledged and is lost");
        }
    }
    // A chunk is there whole or not at all.
    assert_eq!(found.len() as u64 % BATCH, 0);
    let stats = engine.stats("demo").unwrap();
    assert_eq!((stats.records, stats.texts.vectors), (found.len() as u64, found.len() as u64));
    if let Some(last) = acknowledged[0].last() {
        let request = SearchRequest::new(Query::Text(text(last * BATCH)), Side::Text, 2);
        let hits = engine.search("demo", &request).unwrap().hits;
        assert!(hits.iter().any(|hit| hit.record.id == format!("w0-{:06}", last * BATCH)));
    }
}
