//! Snapshots as streams, in chunks of bounded size.
//!
//! Downloads read ahead by a few chunks and then wait for the client; uploads write a chunk before they read the next. So
//! the slowest of disk, network and client sets the pace, and memory stays bounded. Neither holds one of the places of
//! short calls; they have a few of their own, so that clients that stop reading cannot hold all threads.

use moiety_engine::{Engine, SnapshotPart};
use moiety_proto::v1::{self as wire, upload_snapshot_request::Message};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::{
    collections::named,
    convert::{ConvertError, part_from_wire, part_to_wire, snapshot_to_wire},
    edge::{Clock, Edge},
    refusal,
    status::{engine_status, panicked, shutting_down},
};

/// Chunks that wait for a slow disk or a slow client.
const CHUNKS_AHEAD: usize = 4;

type Download = ReceiverStream<Result<wire::DownloadSnapshotResponse, Status>>;

/// Sends a snapshot in the background.
pub(crate) async fn download(edge: Edge, name: String) -> Result<Download, Status> {
    let place = edge.transfer()?;
    let engine = edge.engine();
    let opened = tokio::task::spawn_blocking(move || engine.read_snapshot(&name));
    let mut reader = match opened.await {
        Ok(opened) => opened.map_err(|error| engine_status(&error))?,
        Err(error) => return Err(panicked(&error)),
    };
    let (parts, receiver) = mpsc::channel(CHUNKS_AHEAD);
    tokio::task::spawn_blocking(move || {
        let _place = place;
        loop {
            let part = match reader.next_part() {
                Ok(Some(part)) => {
                    Ok(wire::DownloadSnapshotResponse { part: Some(part_to_wire(part)) })
                }
                Ok(None) => return,
                Err(error) => Err(engine_status(&error)),
            };
            let last = part.is_err() || edge.is_draining();
            let part = if edge.is_draining() { Err(shutting_down()) } else { part };
            // A client that has gone wants no more.
            if parts.blocking_send(part).is_err() || last {
                return;
            }
        }
    });
    Ok(ReceiverStream::new(receiver))
}

/// Takes a snapshot.
pub(crate) async fn upload(
    edge: &Edge,
    mut messages: Streaming<wire::UploadSnapshotRequest>,
) -> Result<wire::UploadSnapshotResponse, Status> {
    let clock = Clock::start();
    let _place = edge.transfer()?;
    let name = match next(&mut messages).await? {
        Some(Message::Name(name)) => name,
        _ => {
            let remedy = "the first message of an upload must be the name of the snapshot";
            return Err(ConvertError::Missing { field: "name".into(), remedy }.into());
        }
    };
    named(&name, "name")?;
    let (parts, received) = mpsc::channel(CHUNKS_AHEAD);
    let engine = edge.engine();
    let writing = tokio::task::spawn_blocking(move || write(&engine, &name, received));
    let mut edge_end = edge.clone();
    let sent = tokio::select! {
        biased;
        () = edge_end.drained() => Err(shutting_down()),
        sent = pass_on(&mut messages, &parts) => sent,
    };
    // Without the word that it is whole, what was written is removed.
    let whole = match &sent {
        Ok(()) => parts.send(None).await.map_err(|_| ()),
        Err(_) => Err(()),
    };
    drop(parts);
    let written = writing.await.map_err(|error| panicked(&error))?;
    sent?;
    let manifest = written?;
    debug_assert!(whole.is_ok());
    Ok(wire::UploadSnapshotResponse {
        snapshot: Some(snapshot_to_wire(manifest)),
        info: clock.info(&edge.engine(), Vec::new()),
    })
}

async fn next(
    messages: &mut Streaming<wire::UploadSnapshotRequest>,
) -> Result<Option<Message>, Status> {
    let message = messages.message().await.map_err(refusal::restate)?;
    Ok(message.and_then(|message| message.message))
}

/// Hands the parts to the writer until the client ends; a writer that has stopped says why itself.
async fn pass_on(
    messages: &mut Streaming<wire::UploadSnapshotRequest>,
    parts: &mpsc::Sender<Option<SnapshotPart>>,
) -> Result<(), Status> {
    while let Some(message) = messages.message().await.map_err(refusal::restate)? {
        let part = match message.message {
            Some(Message::Part(part)) => part_from_wire(part)?,
            _ => {
                let remedy = "every message after the first must be a part";
                return Err(ConvertError::Missing { field: "part".into(), remedy }.into());
            }
        };
        if parts.send(Some(part)).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Writes parts until `None` says that they are all.
fn write(
    engine: &Engine,
    name: &str,
    mut parts: mpsc::Receiver<Option<SnapshotPart>>,
) -> Result<moiety_engine::SnapshotManifest, Status> {
    let mut writer = engine.receive_snapshot(name).map_err(|error| engine_status(&error))?;
    loop {
        match parts.blocking_recv() {
            Some(Some(part)) => writer.take(part).map_err(|error| engine_status(&error))?,
            Some(None) => return writer.finish().map_err(|error| engine_status(&error)),
            None => return Err(Status::cancelled("the upload was cut off")),
        }
    }
}
