//! An operator's calls: snapshots in both directions, rebuilds, use of disk and memory, health of collections.

#![allow(clippy::unwrap_used)]

mod served;

use std::{sync::Arc, time::Duration};

use moiety_encoder::HashingEncoder;
use moiety_rpc::{ClientError, ImportOptions, ServerOptions, wire};
use served::{DIMENSION, asks_text, create, note, raw, refusal, serve, serve_demo, serve_with};
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use wire::snapshot_part::Part;

fn restore(name: &str) -> wire::RestoreSnapshotRequest {
    wire::RestoreSnapshotRequest { name: name.into(), ..Default::default() }
}

async fn downloaded(client: &moiety_rpc::Client, name: &str) -> Vec<wire::SnapshotPart> {
    let mut download = client.download_snapshot(name).await.unwrap();
    let mut parts = Vec::new();
    while let Some(part) = download.next_part().await.unwrap() {
        parts.push(part);
    }
    parts
}

#[tokio::test]
async fn a_snapshot_goes_to_another_server_and_becomes_its_data() {
    let (here, there) = (serve_demo().await, serve().await);
    let made = here.client.create_snapshot("night").await.unwrap().snapshot.unwrap();
    assert_eq!(made.collections[0].records, 3);
    here.client.delete("demo", vec!["aspirin".into()]).await.unwrap();
    let listed = here.client.list_snapshots().await.unwrap().snapshots;
    assert_eq!(listed, std::slice::from_ref(&made));
    let verified = here.client.verify_snapshot("night").await.unwrap().snapshot.unwrap();
    assert_eq!(verified, made);

    let parts = downloaded(&here.client, "night").await;
    let uploaded = there.client.upload_snapshot("night", tokio_stream::iter(parts)).await.unwrap();
    assert_eq!(uploaded.snapshot.unwrap().files, made.files);
    let restored = there.client.restore_snapshot(restore("night")).await.unwrap();
    assert_eq!(restored.collections[0].config.clone().unwrap().name, "demo");
    assert_eq!(there.client.count("demo", None).await.unwrap().count, 3);
    assert_eq!(there.client.query(asks_text("keeps people awake")).await.unwrap().hits.len(), 3);

    let copy = wire::RestoreSnapshotRequest {
        name: "night".into(),
        collection: "demo".into(),
        as_name: "copy".into(),
    };
    here.client.restore_snapshot(copy).await.unwrap();
    assert_eq!(here.client.count("copy", None).await.unwrap().count, 3);
    assert_eq!(here.client.count("demo", None).await.unwrap().count, 2);
    here.client.delete_snapshot("night").await.unwrap();
    assert_eq!(refusal(here.client.verify_snapshot("night").await).0, Code::NotFound);
    assert_eq!(refusal(here.client.create_snapshot("a/b").await).0, Code::InvalidArgument);
    assert_eq!(refusal(here.client.create_snapshot("").await).0, Code::InvalidArgument);
}

#[tokio::test]
async fn an_upload_that_is_cut_or_changed_leaves_nothing() {
    let (here, there) = (serve_demo().await, serve().await);
    here.client.create_snapshot("s").await.unwrap();
    let parts = downloaded(&here.client, "s").await;
    let cut = parts[..parts.len() - 1].to_vec();
    let error = there.client.upload_snapshot("s", tokio_stream::iter(cut)).await;
    assert_eq!(refusal(error).0, Code::DataLoss);
    let mut changed = parts.clone();
    let file = match changed[2].part.as_mut().unwrap() {
        Part::Chunk(chunk) => {
            chunk.data[0] ^= 1;
            chunk.file.clone()
        }
        Part::Manifest(_) => panic!("the manifest comes first"),
    };
    let (code, message) =
        refusal(there.client.upload_snapshot("s", tokio_stream::iter(changed)).await);
    assert_eq!(code, Code::DataLoss);
    assert!(message.contains(&file), "{message}");
    let empty = vec![wire::SnapshotPart { part: None }];
    let error = there.client.upload_snapshot("s", tokio_stream::iter(empty)).await;
    assert_eq!(refusal(error).0, Code::InvalidArgument);
    assert!(there.client.list_snapshots().await.unwrap().snapshots.is_empty());
    there.client.upload_snapshot("s", tokio_stream::iter(parts)).await.unwrap();
}

#[tokio::test]
async fn snapshots_that_are_never_sent_whole_hold_a_few_threads_and_no_more() {
    let served = serve_demo().await;
    let idle = |i: usize| {
        let client = served.client.clone();
        tokio::spawn(async move {
            client.upload_snapshot(&format!("idle{i}"), tokio_stream::pending()).await
        })
    };
    let mut held: Vec<_> = (0..moiety_rpc::limits::MAX_TRANSFERS).map(idle).collect();
    let code = async || {
        let nothing = tokio_stream::iter(Vec::new());
        refusal(served.client.upload_snapshot("another", nothing).await).0
    };
    while code().await != Code::ResourceExhausted {
        // One of them may have been refused while this upload had the last place.
        held.push(idle(held.len()));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(served.client.count("demo", None).await.unwrap().count, 3);
    held.iter().for_each(tokio::task::JoinHandle::abort);
    while code().await == Code::ResourceExhausted {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(served.client.list_snapshots().await.unwrap().snapshots.is_empty());
}

#[tokio::test]
async fn use_is_told_by_component_and_a_rebuild_gives_back_what_was_deleted() {
    let served = serve_demo().await;
    served.client.delete("demo", vec!["aspirin".into()]).await.unwrap();
    let stats = served.client.stats("demo").await.unwrap();
    assert_eq!(stats.readiness(), wire::Readiness::Ready);
    assert!(stats.disk_bytes > 0 && stats.texts.unwrap().tombstones == 1);
    served.client.rebuild("demo").await.unwrap();
    served.client.compact("demo").await.unwrap();
    assert_eq!(served.client.stats("demo").await.unwrap().texts.unwrap().tombstones, 0);
    let usage = served.client.usage().await.unwrap();
    assert!(usage.vector_bytes > 0 && usage.write_buffer_bytes > 0, "{usage:?}");
    assert_eq!(refusal(served.client.rebuild("nothing").await).0, Code::NotFound);
}

#[tokio::test]
async fn each_collection_has_a_health_of_its_own_until_it_is_dropped() {
    let served = serve_demo().await;
    let channel = tonic::transport::Channel::from_shared(served.url()).unwrap();
    let mut health = HealthClient::new(channel.connect().await.unwrap());
    let request = || HealthCheckRequest { service: "moiety.v1.collection/demo".into() };
    for _ in 0..200 {
        match health.check(request()).await {
            Ok(answer) if answer.get_ref().status() == ServingStatus::Serving => break,
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    served.client.drop_collection("demo").await.unwrap();
    for _ in 0..200 {
        if health.check(request()).await.is_err_and(|status| status.code() == Code::NotFound) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("a dropped collection has a health");
}

#[tokio::test]
async fn requests_that_are_never_sent_whole_are_counted_until_their_client_goes() {
    let options = ServerOptions { max_bytes_in_flight: 6 << 20, ..Default::default() };
    let served = serve_with(Arc::new(HashingEncoder::new(DIMENSION)), options).await;
    create(&served.client, "demo").await;
    let long = "a text that goes on and on, ".repeat(1800);
    let write = || {
        let records = (0..60).map(|n| note(&format!("n{n}"), &long)).collect();
        served.client.upsert("demo", records)
    };
    let stalled = raw::stall(&served.url(), "/moiety.v1.Records/Upsert", 5 << 20).await;
    let refused = async || match write().await {
        Ok(_) => false,
        Err(ClientError::Refused { code: Code::ResourceExhausted, retry_after, .. }) => {
            retry_after.is_some()
        }
        Err(other) => panic!("{other}"),
    };
    // It may not be there yet, and not gone yet.
    while !refused().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Small calls go on.
    assert!(served.client.count("demo", None).await.is_ok());
    stalled.abort();
    while refused().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(served.client.count("demo", None).await.unwrap().count, 60);
}

#[tokio::test]
async fn imports_beyond_their_places_are_refused_until_one_ends() {
    let served = serve_demo().await;
    let once = ImportOptions { max_attempts: 1, ..Default::default() };
    let open = async || served.client.import("demo", once.clone()).await;
    let mut sessions = Vec::new();
    for _ in 0..moiety_rpc::limits::MAX_IMPORTS {
        sessions.push(open().await.unwrap());
    }
    assert_eq!(refusal(open().await.map(drop)).0, Code::ResourceExhausted);
    sessions.pop();
    while open().await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn answers_that_nobody_reads_are_counted_until_their_client_goes() {
    let options = ServerOptions { max_bytes_in_flight: 6 << 20, ..Default::default() };
    let served = serve_with(Arc::new(HashingEncoder::new(DIMENSION)), options).await;
    create(&served.client, "demo").await;
    let long = "a text that goes on and on, ".repeat(1800);
    // More than a connection takes without its reader.
    for n in 0..100 {
        served.client.upsert("demo", vec![note(&format!("n{n}"), &long)]).await.unwrap();
    }
    let scroll = wire::ScrollRequest { collection: "demo".into(), ..Default::default() };
    let unread = raw::begin(&served.url(), "/moiety.v1.Records/Scroll", scroll.clone()).await;
    match served.client.scroll(scroll.clone()).await {
        Err(ClientError::Refused { code, retry_after, message, .. }) => {
            assert_eq!(code, Code::ResourceExhausted, "{message}");
            assert!(retry_after.is_some());
        }
        other => panic!("not refused: {:?}", other.map(|answer| answer.records.len())),
    }
    // Small calls go on.
    assert_eq!(served.client.count("demo", None).await.unwrap().count, 100);
    drop(unread);
    for _ in 0..100 {
        if let Ok(answer) = served.client.scroll(scroll.clone()).await {
            assert_eq!(answer.records.len(), 100);
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the room did not come back");
}
